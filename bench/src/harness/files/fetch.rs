//! One client that fetches a whole file: blocking, some slices in flight, nothing kept.

use anyhow::{Context as _, ensure};

use super::super::tls::Stream;
use super::content::Replies;

/// Slices that were asked for and have not come whole. With each that has the next is asked for.
pub(super) const WINDOW: usize = 4;
/// What is read at once.
const READ_BYTES: usize = 256 << 10;

/// How much of what comes is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Every,
    /// The last byte of each read, which costs nothing.
    Spots,
}

/// Fetches every slice.
pub(super) fn fetch(
    socket: &mut dyn Stream,
    replies: &Replies<'_>,
    check: Check,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut asked, mut received) = (0, 0);
    let total = replies.count() * replies.bytes_each();
    let mut whole = Whole { replies, index: 0, reply: Vec::new() };
    while received < total {
        let due = (received / replies.bytes_each() + WINDOW).min(replies.count());
        let requests: String = (asked..due).map(|index| replies.request(index)).collect();
        socket.write_all(requests.as_bytes()).context("asking")?;
        asked = due;
        let length = socket.read(&mut buffer).context("waiting for the file")?;
        ensure!(length > 0, "the server closed after {received} bytes");
        let bytes = &buffer[..length];
        let sound = match check {
            Check::Every => whole.holds(received, bytes),
            Check::Spots => replies.byte(received + length - 1) == bytes[length - 1],
        };
        received += length;
        ensure!(sound, "of the {received} bytes that came the last are wrong");
    }
    ensure!(received == total, "{} bytes too many came", received - total);
    Ok(())
}

/// One expected reply after the other.
struct Whole<'a> {
    replies: &'a Replies<'a>,
    index: usize,
    reply: Vec<u8>,
}

impl Whole<'_> {
    /// Whether these bytes are those from a position on.
    fn holds(&mut self, mut position: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let index = position / self.replies.bytes_each();
            if self.reply.is_empty() || self.index != index {
                (self.index, self.reply) = (index, self.replies.reply(index));
            }
            let rest = &self.reply[position % self.replies.bytes_each()..];
            let (piece, behind) = bytes.split_at(rest.len().min(bytes.len()));
            if !rest.starts_with(piece) {
                return false;
            }
            (position, bytes) = (position + piece.len(), behind);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::super::content::{Content, Form, SLICE_BYTES};
    use super::*;

    /// What becomes of a fetch that is sent these bytes, and then the end.
    fn fetch_from(sent: Vec<u8>, replies: &Replies<'_>, check: Check) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let sender = thread::spawn(move || {
            // A client that found it wrong is gone.
            let _ = server.write_all(&sent);
            let _ = server.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut server, &mut std::io::sink());
        });
        let fetched = fetch(&mut client, replies, check);
        drop(client);
        sender.join().unwrap();
        fetched
    }

    #[test]
    fn only_the_whole_file_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let content = Content::write(directory.path(), 2 * SLICE_BYTES).unwrap();
        for form in [Form::Plain, Form::Raw, Form::Base64] {
            let replies = Replies::new(&content, form);
            let good = [replies.reply(0), replies.reply(1)].concat();
            let half = good.len() / 2;
            let flipped = |at: usize| {
                let mut bad = good.clone();
                bad[at] ^= 1;
                bad
            };
            let swapped = [replies.reply(1), replies.reply(0)].concat();
            let short = good[..good.len() - 1].to_vec();
            for (sent, check, sound) in [
                (good.clone(), Check::Every, true),
                (good.clone(), Check::Spots, true),
                (flipped(0), Check::Every, false),
                (flipped(half - 3), Check::Every, false),
                (flipped(good.len() - 1), Check::Spots, false),
                (swapped.clone(), Check::Every, false),
                (swapped, Check::Spots, false),
                (short.clone(), Check::Every, false),
                (short, Check::Spots, false),
            ] {
                let fetched = fetch_from(sent, &replies, check);
                assert_eq!(fetched.is_ok(), sound, "{form:?} {check:?}: {fetched:?}");
            }
        }
    }
}
