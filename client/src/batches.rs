//! Cuts a file into batches: a pure function of the file and the limits, so that a client that is
//! started again cuts as before. Knows no lane, no seq and no dialect.
//!
//! ```text
//! rows   1 2 3 4 5 6 7 8 x 10 ...            x is no bet; at most 3 bets in a batch
//!        +---+ +---+ +-+
//!        sent  sent  held back               whatever x is mended to: 1-3 and 4-6 stay as they are
//! ```
//! A batch is whole once no later row can change it: it has all the bets that it may have, the bet
//! after it does not fit, or the file ends. A batch that a bad row cuts short is not whole, nor is one
//! that ends because a bad row does not fit. Earlier versions did send these, so they are still cut,
//! for comparison with what is stored, and have a [`Batch::problem`].

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
#[derive(Debug, Clone)]
pub struct Batch {
    /// Opcode 3's form, `n#@0#…`.
    pub body: Vec<u8>,
    /// How many bets it has, 1 or more.
    pub bets: u32,
    /// The lines of the file that they stand in.
    pub lines: RangeInclusive<u64>,
    /// Bytes of the file that were read when it was cut.
    pub file_bytes: u64,
    /// Why it must not be sent: a row that is no bet is in it, or follows it and decides where it ends.
    /// It may be stored already.
    pub problem: Option<SourceError>,
    /// The line of the bad row that alone decided where it ends.
    pub cut_short_by: Option<u64>,
}

impl Batch {
    /// The batch, if it may be sent.
    ///
    /// # Errors
    /// Its problem.
    pub fn checked(mut self) -> Result<Self, SourceError> {
        self.problem.take().map_or(Ok(self), Err)
    }
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
/// A row that no version ever took for a bet ends them: what precedes it comes first, as a batch with
/// a problem, then its error, then nothing.
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

/// What is known of a batch while it is filled.
#[derive(Debug)]
struct Filled {
    lines: RangeInclusive<u64>,
    problem: Option<SourceError>,
    cut_short_by: Option<u64>,
}

impl<R: BufRead> Batches<R> {
    /// Cuts `source` into batches within `limits` and [`BODY_SIZE_MAX`] bytes.
    pub fn new(source: Source<R>, limits: Limits) -> Self {
        let builder = BatchBuilder::default();
        Self { source, limits, builder, row_waits: false, end: None }
    }

    /// Whether the file has no row at all; reads the first one to find out. Only before the first
    /// batch is taken.
    pub fn is_empty(&mut self) -> bool {
        !self.find_row() && matches!(self.end, Some(End::Clean))
    }

    /// Fills the builder until it is full or the file ends; `None` where no row is left.
    fn fill(&mut self) -> Option<Filled> {
        let mut filled: Option<Filled> = None;
        while !self.is_full() && self.find_row() {
            if filled.as_ref().is_some_and(|filled| self.is_cut_after(*filled.lines.end())) {
                return filled;
            }
            let (line, objection) = (self.source.line(), self.source.objection());
            if !self.builder.push_within(&self.source.bet(), BODY_SIZE_MAX) {
                let mut filled = filled.expect("the longest bet fits an empty batch");
                filled.cut_short_by = objection.as_ref().map(|_| line);
                filled.problem = filled.problem.or(objection);
                return Some(filled);
            }
            self.row_waits = false;
            match &mut filled {
                None => filled = Some(Filled::new(line, objection)),
                Some(filled) => filled.add(line, objection),
            }
        }
        if let (Some(filled), Some(End::Broken(error))) = (&mut filled, &self.end)
            && !self.is_cut_after(*filled.lines.end())
        {
            filled.cut_short_by = error.line();
            filled.problem.get_or_insert_with(|| error.clone());
        }
        filled
    }

    fn is_full(&self) -> bool {
        self.limits.bets_max.is_some_and(|max| self.builder.bets() >= max.get())
    }

    /// Whether a batch that has the row in line `last` ends before the row that the source stands at.
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

impl Filled {
    fn new(line: u64, problem: Option<SourceError>) -> Self {
        Self { lines: line..=line, problem, cut_short_by: None }
    }

    fn add(&mut self, line: u64, objection: Option<SourceError>) {
        self.lines = *self.lines.start()..=line;
        self.problem = self.problem.take().or(objection);
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<Batch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(Filled { lines, problem, cut_short_by }) = self.fill() {
            let bets = self.builder.bets();
            let body = self.builder.take();
            let file_bytes = self.source.bytes();
            return Some(Ok(Batch { body, bets, lines, file_bytes, problem, cut_short_by }));
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
    use proptest::prelude::*;

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

    /// The bodies that may be sent, one after another, and why no more of them.
    fn sent(batches: Vec<Result<Batch, SourceError>>) -> (Vec<Vec<u8>>, Option<String>) {
        let mut bodies = Vec::new();
        for batch in batches {
            match batch.and_then(Batch::checked) {
                Ok(batch) => bodies.push(batch.body),
                Err(error) => return (bodies, Some(error.to_string())),
            }
        }
        (bodies, None)
    }

    #[test]
    fn what_precedes_a_bad_row_comes_before_its_error_and_nothing_after() {
        let file = format!("{}bad row\r\n{}", rows(5), rows(5));
        let batches = cut(&file, 2);
        let bets: Vec<_> = batches.iter().map(|b| b.as_ref().map(|b| b.bets).ok()).collect();
        assert_eq!(bets, [Some(2), Some(2), Some(1), None]);
        let short = batches[2].as_ref().unwrap();
        assert_eq!(short.cut_short_by, Some(6));
        let error = batches.last().unwrap().as_ref().unwrap_err().to_string();
        assert_eq!(error, "reading bets.csv: line 6: has 1 column, not 5");
        assert_eq!(short.problem.as_ref().unwrap().to_string(), error);
        assert_eq!(sent(batches).0.len(), 2);
    }

    #[test]
    fn a_batch_that_is_whole_before_a_bad_row_is_sent_and_one_that_it_decides_is_not() {
        let marked = "\u{feff}Ana,Paz,1,1990-01-01,1\r\n";
        for bad in ["bad row\r\n", marked] {
            let file = format!("{}{bad}{}", rows(4), rows(4));
            // Full, by a limit or by a line that the user named; then short of it by one.
            for (max, cuts, expected) in [
                (4, &[][..], 1),
                (2, &[], 2),
                (0, &[5], 1),
                (3, &[4, 5], 2),
                (3, &[], 1),
                (5, &[], 0),
            ] {
                let (bodies, error) = sent(cut_before(&file, max, cuts));
                assert_eq!(bodies.len(), expected, "{max} {cuts:?} {bad:?}");
                assert!(error.unwrap().contains("line 5: "));
            }
        }
    }

    #[test]
    fn a_mended_file_is_cut_as_an_earlier_version_did_when_its_row_was_bad() {
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

    /// A row with names of these lengths.
    fn row_of(lengths: (usize, usize)) -> String {
        format!("{},{},1,1990-01-01,1\r\n", "A".repeat(lengths.0), "B".repeat(lengths.1))
    }

    /// A row that is no bet, of many lengths.
    fn bad_row() -> impl Strategy<Value = String> {
        (row(), 0_usize..6).prop_map(|(good, how)| match how {
            0 => "bad row\r\n".to_owned(),
            1 => good.replace("1990-", "1990:"),
            2 => format!("A\u{feff}{good}"),
            3 => format!("\"A\"{good}"),
            4 => format!("\0{good}"),
            _ => format!("\"A\\\"{good}"),
        })
    }

    fn row() -> impl Strategy<Value = String> {
        (1_usize..60, 1_usize..60).prop_map(row_of)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_sent_of_a_file_with_a_bad_row_begins_every_file_that_it_is_mended_to(
            before in prop::collection::vec(row(), 0..200),
            bad in bad_row(),
            after in prop::collection::vec(row(), 0..5),
            mended in prop::collection::vec(row(), 0..3),
            bets_max in prop_oneof![Just(0), Just(u32::MAX), 1_u32..150],
            cuts in prop::collection::vec(1_u64..220, 0..3),
        ) {
            let (before, after) = (before.concat(), after.concat());
            let (sent, error) =
                sent(cut_before(&format!("{before}{bad}{after}"), bets_max, &cuts));
            prop_assert!(error.is_some(), "{bad:?} is no bet");
            let whole = cut_before(&format!("{before}{}{after}", mended.concat()), bets_max, &cuts);
            let whole: Vec<_> = whole.into_iter().map(|batch| batch.unwrap().body).collect();
            prop_assert!(whole.starts_with(&sent), "{} of {}", sent.len(), whole.len());
        }

        #[test]
        fn earlier_versions_cuts_are_found_again(
            rows in prop::collection::vec(prop_oneof![8 => row(), 1 => bad_row()], 0..200),
            bets_max in prop_oneof![Just(0), 1_u32..150],
        ) {
            // What they sent: all that comes before the error, whatever was the matter with it.
            let file = rows.concat();
            let stored: Vec<_> = cut(&file, bets_max).into_iter().map_while(Result::ok).collect();
            let mut bets = 0;
            for batch in &stored {
                bets += batch.bets;
                prop_assert!(bets_max == 0 || batch.bets <= bets_max);
                prop_assert!(batch.body.len() <= BODY_SIZE_MAX);
                let whole = bet::Batch::validate(&batch.body, 65_535).unwrap();
                prop_assert_eq!(whole.bets(), batch.bets);
            }
            let hard = rows.iter().position(|row| {
                row.starts_with("bad") || row.contains("1990:") || row.contains('\0')
            });
            prop_assert_eq!(bets as usize, hard.unwrap_or(rows.len()));
        }
    }

    #[test]
    fn a_batch_knows_its_lines() {
        let lines: Vec<_> =
            cut(&format!("\r\n{}", rows(5)), 2).into_iter().map(|b| b.unwrap().lines).collect();
        assert_eq!(lines, [2..=3, 4..=5, 6..=6]);
    }
}
