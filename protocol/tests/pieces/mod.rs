//! Bytes in pieces, as a network brings them.

/// Cuts bytes into pieces of these sizes, again and again.
pub(crate) fn cut<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut left, mut pieces) = (bytes, Vec::new());
    for size in sizes.iter().cycle() {
        if left.is_empty() {
            break;
        }
        let (piece, rest) = left.split_at((*size).min(left.len()));
        pieces.push(piece);
        left = rest;
    }
    pieces
}
