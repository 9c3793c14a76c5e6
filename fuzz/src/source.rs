//! A file of bets, as the agency reads it. Knows no office.

use std::io::{BufRead, BufReader};

use bolillero::batches::{Batches, Limits};
use bolillero::source::Source;
use bolillero_protocol::bet::{Batch, Bet, Bets};

const AGENCY: u32 = 3;

/// What a file gave: the fields and the line of each bet, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    bets: Vec<([String; 6], u64)>,
    end: Option<String>,
}

/// A file, the size of a reader's buffer in its first byte: read the same in pieces, every row a bet or an error, and
/// every batch that is cut from it valid.
pub fn source(bytes: &[u8]) {
    let Some((&size, file)) = bytes.split_first() else { return };
    let found = read(file);
    let in_pieces = BufReader::with_capacity(usize::from(size).max(1), file);
    assert_eq!(read(in_pieces), found);
    let mut line = 0;
    for (_, next) in &found.bets {
        // A CR alone ends a row too, and no line.
        assert!(*next >= line, "lines grow");
        line = *next;
    }
    let mut lines = file.iter().filter(|&&byte| byte == b'\n').count() as u64;
    lines += u64::from(!file.ends_with(b"\n"));
    assert!(line <= lines);
    check_batches(file, &found);
}

fn read(file: impl BufRead) -> Found {
    let mut source = Source::new(file, "bets.csv", AGENCY);
    let mut bets = Vec::new();
    loop {
        match source.advance() {
            Ok(true) => {
                let bet = source.bet();
                assert_eq!(bet.check_fields(), Ok(()));
                bets.push((fields(&bet), source.line()));
            }
            Ok(false) => return Found { bets, end: None },
            Err(error) => {
                assert!(error.line().is_some(), "memory does not fail to be read: {error}");
                return Found { bets, end: Some(error.to_string()) };
            }
        }
    }
}

fn check_batches(file: &[u8], found: &Found) {
    let mut bets = Vec::new();
    let mut end = None;
    for batch in Batches::new(Source::new(file, "bets.csv", AGENCY), Limits::default()) {
        let Ok(batch) = batch.map_err(|error| end = Some(error.to_string())) else { continue };
        assert!(end.is_none(), "nothing follows an error");
        let valid = Batch::validate(&batch.body, AGENCY).expect("what is cut is valid");
        assert_eq!((valid.bets(), valid.agency()), (batch.bets, AGENCY));
        for bet in Bets::read(&batch.body).expect("a batch is a list") {
            let bet = bet.expect("a batch is read");
            bets.push(fields(&bet));
        }
    }
    assert_eq!(end, found.end);
    assert!(bets.iter().eq(found.bets.iter().map(|(bet, _)| bet)), "each bet is sent once");
}

fn fields(bet: &Bet<'_>) -> [String; 6] {
    [bet.agency, bet.first_name, bet.last_name, bet.document, bet.birth_date, bet.number]
        .map(str::to_owned)
}
