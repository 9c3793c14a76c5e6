//! The base dialect against an office without a socket: what may be tried again is, what may not
//! ends the work.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

mod office;

use std::collections::VecDeque;

use bolillero::base::Base;
use bolillero::dialogue::{Dialogue as _, Next, Stop};
use bolillero_protocol::message::Reply;

use office::{Fault, Office, bodies, cut, drive, packet, rows};

/// Sends a file of `n` bets in batches of 3.
fn run(n: usize, office: &mut Office) -> Result<(), Stop> {
    let file = rows(n);
    drive(&mut Base::new(1, "bets.csv", cut(&file, 3)), office, &mut VecDeque::new())
}

#[test]
fn a_file_is_stored_batch_by_batch_and_the_agency_marked() {
    for n in [0, 1, 3, 10] {
        let mut office = Office { busy_answers: 3, ..Office::default() };
        run(n, &mut office).unwrap();
        assert_eq!(office.lane(1).bodies, bodies(&rows(n), 3));
        assert!(office.lane(1).finished);
        let batches = office.lane(1).bodies.len();
        assert_eq!(office.requests, batches + 1 + 4, "the mark, and four questions");
    }
}

#[test]
fn a_lost_answer_to_a_batch_ends_the_work_and_names_the_batch() {
    let closed = Fault::Last(packet(&Reply::Close));
    for (request, fault) in [(0, Fault::Drop), (1, Fault::DropAfter), (3, closed)] {
        let mut office = Office::with_faults([(request, fault)]);
        let stop = run(10, &mut office).unwrap_err();
        let (number, first, last) = (request + 1, 3 * request + 1, (3 * request + 3).min(10));
        let named =
            format!("batch {number} (bets.csv lines {first} to {last}) may be stored or not");
        assert!(stop.to_string().starts_with(&named), "{stop}");
        assert_eq!(stop.exit_code(), 1);
        assert!(!office.lane(1).finished);
    }
}

#[test]
fn an_office_without_room_for_a_connection_is_tried_again() {
    let busy = Fault::Last(packet(&Reply::Busy));
    let mut office = Office::with_faults([(0, busy.clone()), (1, busy.clone()), (6, busy)]);
    run(10, &mut office).unwrap();
    assert_eq!(office.lane(1).bodies, bodies(&rows(10), 3));
}

#[test]
fn the_mark_and_the_question_may_be_sent_twice() {
    for request in [4, 5] {
        for fault in [Fault::Drop, Fault::DropAfter, Fault::Last(packet(&Reply::Close))] {
            let mut office = Office::with_faults([(request, fault)]);
            run(10, &mut office).unwrap();
            assert_eq!(office.lane(1).bodies, bodies(&rows(10), 3));
            assert!(office.lane(1).finished);
        }
    }
}

#[test]
fn a_bad_row_ends_the_work_after_the_whole_batches_before_it_and_nobody_is_marked() {
    let file = format!("{}Ana,Paz\r\n{}", rows(7), rows(3));
    let mut office = Office::default();
    let mut base = Base::new(1, "bets.csv", cut(&file, 3));
    let stop = drive(&mut base, &mut office, &mut VecDeque::new()).unwrap_err();
    assert_eq!(stop.to_string(), "reading bets.csv: line 8: has 2 columns, not 5");
    assert_eq!(office.lane(1).bodies, bodies(&rows(6), 3));
    assert!(!office.lane(1).finished);
}

#[test]
fn a_refusal_names_the_batch_and_what_the_office_said() {
    let mut office =
        Office::with_faults([(1, Fault::Answer(packet(&Reply::Error("bet 0: no such agency"))))]);
    let stop = run(10, &mut office).unwrap_err();
    let said = "the office refused batch 2 (bets.csv lines 4 to 6): bet 0: no such agency";
    assert_eq!(stop.to_string(), said);
}

#[test]
fn answers_that_were_not_asked_for_end_the_work() {
    let cases = [
        (Reply::Corrupt, "the office found the packet of batch 1"),
        (Reply::Winners { data: b"1#", rest: 0 }, "the office answered winners (7)"),
    ];
    for (reply, said) in cases {
        let mut office = Office::with_faults([(0, Fault::Answer(packet(&reply)))]);
        let stop = run(10, &mut office).unwrap_err();
        assert!(stop.to_string().starts_with(said), "{stop}");
    }
}

#[test]
fn a_count_that_a_connection_broke_off_begins_anew() {
    let mut base = Base::new(1, "bets.csv", cut("", 3));
    let mut out = Vec::new();
    base.open(&mut out).unwrap();
    base.answer(Reply::Ack, &mut out).unwrap();
    base.answer(Reply::Winners { data: b"1#2#3", rest: 9 }, &mut out).unwrap();
    base.lost("the test ended it").unwrap();
    base.open(&mut out).unwrap();
    // Gone on with, the document that was cut off would never end.
    let next = base.answer(Reply::Winners { data: b"", rest: 0 }, &mut out).unwrap();
    assert_eq!(next, Next::Done);
}
