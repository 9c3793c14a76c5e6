//! Cuts a file into batches: a pure function of the file and the limits, so that a client that is
//! started again cuts as before. Knows no lane, no seq and no dialect.

use std::io::BufRead;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use bolillero_protocol::bet::BatchBuilder;
use bolillero_protocol::tlv::{CLIENT_PACKET_SIZE_MAX, HEADER_SIZE};

use crate::source::{Source, SourceError};

/// The longest seq item, `18446744073709551615#`. It is always left room for: neither the seq nor
/// the dialect may move a cut.
const SEQ_ITEM_SIZE_MAX: usize = 21;
/// The longest body of a batch, in bytes.
pub const BODY_SIZE_MAX: usize = CLIENT_PACKET_SIZE_MAX - HEADER_SIZE - SEQ_ITEM_SIZE_MAX;

/// Bets that travel and are stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Opcode 3's form, `n#@0#…`.
    pub body: Vec<u8>,
    /// How many bets it has, 1 or more.
    pub bets: u32,
    /// The lines of the file that they stand in.
    pub lines: RangeInclusive<u64>,
    /// Bytes of the file that were read when it was cut.
    pub file_bytes: u64,
}

/// What a batch may be, beside its size. The same limits cut the same file alike.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The most bets; `None`: as many as fit.
    pub bets_max: Option<NonZeroU32>,
    /// Lines of the file before which a batch ends: where a row was mended, a batch that precedes
    /// it is stored already.
    pub cut_before: Vec<u64>,
}

/// The batches of a file, in order.
///
/// A row that is no bet ends them: the bets before it come first, as a batch, then its error, then
/// nothing.
#[derive(Debug)]
pub struct Batches<R> {
    source: Source<R>,
    limits: Limits,
    builder: BatchBuilder,
    /// The source stands at a row that no batch has yet.
    row_waits: bool,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    Clean,
    Broken(SourceError),
}

impl<R: BufRead> Batches<R> {
    /// Cuts `source` into batches within `limits` and [`BODY_SIZE_MAX`] bytes.
    pub fn new(source: Source<R>, limits: Limits) -> Self {
        let builder = BatchBuilder::default();
        Self { source, limits, builder, row_waits: false, end: None }
    }

    /// Fills the builder until it is full or the file ends; returns the lines it took.
    fn fill(&mut self) -> Option<RangeInclusive<u64>> {
        let mut lines: Option<RangeInclusive<u64>> = None;
        while !self.is_full() && self.find_row() {
            if lines.as_ref().is_some_and(|lines| self.is_cut_after(*lines.end())) {
                break;
            }
            if !self.builder.push_within(&self.source.bet(), BODY_SIZE_MAX) {
                assert!(lines.is_some(), "the longest bet fits an empty batch");
                break;
            }
            self.row_waits = false;
            let line = self.source.line();
            lines = Some(lines.map_or(line, |lines| *lines.start())..=line);
        }
        lines
    }

    fn is_full(&self) -> bool {
        self.limits.bets_max.is_some_and(|max| self.builder.bets() >= max.get())
    }

    /// Whether a batch that has the row in line `last` ends before the row that waits.
    fn is_cut_after(&self, last: u64) -> bool {
        let gap = last + 1..=self.source.line();
        self.limits.cut_before.iter().any(|line| gap.contains(line))
    }

    fn find_row(&mut self) -> bool {
        if self.row_waits || self.end.is_some() {
            return self.row_waits;
        }
        match self.source.advance() {
            Ok(true) => self.row_waits = true,
            Ok(false) => self.end = Some(End::Clean),
            Err(error) => self.end = Some(End::Broken(error)),
        }
        self.row_waits
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<Batch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(lines) = self.fill() {
            let bets = self.builder.bets();
            let body = self.builder.take();
            return Some(Ok(Batch { body, bets, lines, file_bytes: self.source.bytes() }));
        }
        match self.end.replace(End::Clean) {
            Some(End::Broken(error)) => Some(Err(error)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bolillero_protocol::bet;
    use bolillero_protocol::message::Request;

    use super::*;

    fn cut(file: &str, bets_max: u32) -> Vec<Result<Batch, SourceError>> {
        cut_before(file, bets_max, &[])
    }

    fn cut_before(file: &str, bets_max: u32, lines: &[u64]) -> Vec<Result<Batch, SourceError>> {
        let source = Source::new(file.as_bytes(), "bets.csv", 65_535);
        let limits = Limits { bets_max: NonZeroU32::new(bets_max), cut_before: lines.to_vec() };
        Batches::new(source, limits).collect()
    }

    fn rows(n: usize) -> String {
        (0..n)
            .map(|i| format!("Ana,Paz,{},1990-01-01,{}\r\n", 30_000_000 + i, i % 10_000))
            .collect()
    }

    #[test]
    fn batches_hold_every_bet_once_and_in_order() {
        for (n, max) in [(0, 1), (1, 1), (5, 2), (6, 2), (1000, 7), (1000, u32::MAX), (1000, 0)] {
            let batches = cut(&rows(n), max);
            let mut documents = Vec::new();
            for batch in &batches {
                let batch = batch.as_ref().unwrap();
                assert!(max == 0 || batch.bets <= max);
                let whole = bet::Batch::validate(&batch.body, 65_535).unwrap();
                assert_eq!(whole.bets(), batch.bets);
                documents.extend(
                    bet::Bets::read(&batch.body).unwrap().map(|b| b.unwrap().document.to_owned()),
                );
            }
            let expected: Vec<_> = (0..n).map(|i| (30_000_000 + i).to_string()).collect();
            assert_eq!(documents, expected);
        }
    }

    #[test]
    fn a_packet_is_within_its_limit_whatever_its_seq_and_full_before_the_next_begins() {
        let batches: Vec<_> = cut(&rows(1000), 0).into_iter().map(Result::unwrap).collect();
        assert!(batches.len() > 1);
        for batch in &batches {
            let mut packet = Vec::new();
            Request::NumberedBatch { seq: u64::MAX, body: &batch.body }.encode(&mut packet);
            assert!(packet.len() <= CLIENT_PACKET_SIZE_MAX, "{}", packet.len());
        }
        for batch in &batches[..batches.len() - 1] {
            let packet = batch.body.len() + HEADER_SIZE + SEQ_ITEM_SIZE_MAX;
            assert!(packet > CLIENT_PACKET_SIZE_MAX - 60, "{packet}");
        }
    }

    #[test]
    fn the_longest_bet_there_can_be_fits() {
        let name = "\u{1f3b1}".repeat(64);
        let file = format!("{name},{name},123456789012,1990-01-01,{}\n", "0".repeat(64));
        assert_eq!(cut(&file, 0).into_iter().map(Result::unwrap).count(), 1);
    }

    #[test]
    fn what_precedes_a_bad_row_comes_before_its_error_and_nothing_after() {
        let file = format!("{}bad row\r\n{}", rows(5), rows(5));
        let batches = cut(&file, 2);
        let bets: Vec<_> = batches.iter().map(|b| b.as_ref().map(|b| b.bets).ok()).collect();
        assert_eq!(bets, [Some(2), Some(2), Some(1), None]);
        let error = batches.last().unwrap().as_ref().unwrap_err().to_string();
        assert_eq!(error, "reading bets.csv: line 6: has 1 columns, not 5");
    }

    #[test]
    fn a_mended_file_is_cut_as_it_was_when_its_row_was_bad() {
        let broken = cut(&format!("{}bad row\r\n", rows(5)), 3);
        let mended = rows(9);
        let again = cut_before(&mended, 3, &[6]);
        let stored = broken.iter().map_while(|batch| batch.as_ref().ok());
        for (before, after) in stored.zip(&again) {
            assert_eq!(before.body, after.as_ref().unwrap().body);
        }
        let lines = |cuts: &[u64]| -> Vec<_> {
            cut_before(&mended, 3, cuts).into_iter().map(|b| b.unwrap().lines).collect()
        };
        assert_eq!(lines(&[6]), [1..=3, 4..=5, 6..=8, 9..=9]);
        assert_eq!(lines(&[6, 8]), [1..=3, 4..=5, 6..=7, 8..=9]);
        assert_eq!(lines(&[1, 4, 10]), [1..=3, 4..=6, 7..=9]);
    }

    #[test]
    fn a_batch_knows_its_lines() {
        let lines: Vec<_> =
            cut(&format!("\r\n{}", rows(5)), 2).into_iter().map(|b| b.unwrap().lines).collect();
        assert_eq!(lines, [2..=3, 4..=5, 6..=6]);
    }
}
