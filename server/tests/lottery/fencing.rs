//! A newer session of a lane ends those before it: they are told, and closed, and there are never many of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bolillero_protocol::bet::Batch;
use bolillero_protocol::chain::Head;
use bolillero_protocol::message::{ChainAlarm, Code, Totals};
use bolillero_server::ledger::Waiter;
use bolillero_server::ledger::committer::Step;
use bolillero_server::ledger::memory::Done;
use bolillero_server::lottery::Put;
use bolillero_server::lottery::draw::Alarm;
use bolillero_server::lottery::pieces::PieceSettings;
use bolillero_server::lottery::session::SessionLimits;
use bolillero_server::lottery::state::By;
use bolillero_server::session::Mailbox;

use crate::support::*;

/// A new connection that says HELLO for agency 1; nothing is synced.
fn takes_over(central: &Central) -> Client {
    let mut newer = central.connect();
    newer.send(&hello(1));
    newer
}

#[test]
fn a_session_is_told_once_the_newer_hello_is_on_disk_and_closed() {
    type Before = (&'static str, fn(&mut Client));
    let silent: [Before; 4] = [
        ("nothing was asked", |_| {}),
        ("it waits for winners", |old| old.send(&ask(1))),
        ("it waits for many", |old| old.send(&ask(1).repeat(500))),
        ("half a packet has come", |old| old.send(b"\x0b\0\0")),
    ];
    for (name, before) in silent {
        let mut central = Central::new(2);
        let mut old = central.session(1);
        before(&mut old);
        take_log_lines();
        let mut newer = takes_over(&central);
        assert_eq!((old.replies(), old.is_closed()), (vec![], false), "{name}: too early");
        central.commit();
        assert_eq!((old.replies(), old.is_closed()), (vec![fenced()], true), "{name}");
        assert_eq!(newer.replies(), [welcome(2, &[], false)], "{name}");
        let line =
            "action: close | result: success | ip: 127.0.0.1 | reason: a newer session of agency 1";
        assert_eq!(take_log_lines(), [line], "{name}");
        assert_eq!(central.office.open_sessions(1), 1, "{name}");
    }
}

#[test]
fn a_session_whose_time_is_over_just_then_is_still_told() {
    let mut central = Central::new(2);
    let mut old = central.session(1);
    let _newer = takes_over(&central);
    old.time_out();
    assert_eq!((old.replies(), old.is_closed()), (vec![], false));
    central.commit();
    assert_eq!((old.replies(), old.is_closed()), (vec![fenced()], true));
}

#[test]
fn nobody_is_fenced_by_a_hello_that_is_refused_or_lost() {
    let mut central = Central::new(2);
    let mut old = central.session(1);
    let mut other = central.connect();
    other.send(&packet(9, "1#1#0123456789abcdee#"));
    central.settle();
    assert_eq!(other.replies()[0].1.split('#').next(), Some("REFUSED"));
    assert_eq!((old.replies(), old.is_closed()), (vec![], false));

    let _newer = takes_over(&central);
    central.disk.fail_call(1, std::io::ErrorKind::Other, Done::Nothing);
    central.commit_fails();
    assert_eq!((old.replies(), old.is_closed()), (vec![], false), "its end is not on disk");
}

#[test]
fn what_a_session_is_owed_leaves_before_it_is_told() {
    let mut central = Central::new(2);
    let mut old = central.session(1);
    let bodies: Vec<String> = (1..=3).map(|n| body(1, &[n])).collect();
    (1..=2).for_each(|seq: usize| old.send(&packet(11, format!("{seq}#{}", bodies[seq - 1]))));
    // What waits for the draw is replaced, and what stands behind that is not answered.
    old.send(&[ask(1), packet(11, format!("3#{}", bodies[2]))].concat());
    let mut newer = takes_over(&central);
    old.send(&numbered(4, 1, &[4]));
    assert_eq!((old.replies(), newer.replies()), (vec![], vec![]));
    central.commit();
    assert_eq!(old.replies(), [receipt(&bodies[..1]), receipt(&bodies[..2]), fenced()]);
    assert!(old.is_closed());
    // It was stored before the newer session came, which learns of it.
    assert_eq!(newer.replies(), [welcome(2, &bodies, false)]);
    assert_eq!(central.stored().0[0].len(), 3, "what came too late is not stored");
}

#[test]
fn a_welcome_is_told_before_the_session_it_opens_is_fenced() {
    let mut central = Central::new(2);
    let mut clients: Vec<Client> = (0..5).map(|_| takes_over(&central)).collect();
    central.commit();
    let newest = clients.pop().unwrap();
    for (epoch, client) in (1..).zip(&mut clients) {
        assert_eq!(client.replies(), [welcome(epoch, &[], false), fenced()]);
        assert!(client.is_closed());
    }
    assert!(!newest.is_closed());
    assert_eq!(central.office.open_sessions(1), 1);
}

#[test]
fn an_ack_that_waits_for_the_draw_is_replaced_and_the_mark_stays() {
    let mut central = Central::new(1);
    let mut old = central.session(1);
    old.send(&[session_ready(1, 0, 0), ask(1)].concat());
    central.commit();
    assert_eq!(old.replies(), [], "the draw is due");
    let mut newer = takes_over(&central);
    central.commit();
    assert_eq!((old.replies(), old.is_closed()), (vec![fenced()], true));
    assert_eq!(newer.replies(), [welcome(2, &[], true)]);
    newer.send(&ask(1));
    central.settle();
    assert_eq!(newer.replies(), [winners("#")]);
}

#[test]
fn winners_that_can_leave_do_and_those_that_cannot_are_replaced() {
    let setup = Setup { agencies: 1, ..Setup::default() };
    let limits = SessionLimits { output_bytes_max: 12, ..setup.limits };
    let mut central = Central::with(Setup { limits, ..setup });
    let mut old = central.session(1);
    old.send(&session_ready(1, 0, 0));
    central.settle();
    assert_eq!(old.replies(), [ack()]);
    // Two fill the output, which nobody reads.
    old.send(&ask(1).repeat(6));
    assert!(old.is_held());
    let mut newer = takes_over(&central);
    central.commit();
    let mut replies = old.replies();
    assert!(old.is_closed(), "it does not stay for a peer that does not read");
    assert_eq!(replies.pop(), Some(fenced()));
    assert!(!replies.is_empty() && replies.len() < 6, "{replies:?}");
    assert!(replies.iter().all(|reply| *reply == winners("#")));
    newer.send(&ask(1));
    assert_eq!(newer.replies(), [welcome(2, &[], true), winners("#")]);
}

#[test]
fn one_that_holds_or_has_ended_its_sending_is_fenced_too() {
    type Before = fn(&mut Client);
    let ends: [(&str, Before); 3] = [
        ("half-close", |old| {
            old.send(&ask(1));
            old.half_close();
        }),
        ("op 0", |old| old.send(&[ask(1), packet(0, "")].concat())),
        ("stop", |old| {
            old.send(&numbered(1, 1, &[1]));
            old.stop();
        }),
    ];
    for (name, before) in ends {
        let mut central = Central::new(2);
        let mut old = central.session(1);
        before(&mut old);
        let mut newer = takes_over(&central);
        central.commit();
        let replies = old.replies();
        assert_eq!((replies.last(), old.is_closed()), (Some(&fenced()), true), "{name}");
        assert_eq!(newer.replies().len(), 1, "{name}");
    }
}

#[test]
fn of_10_000_hellos_of_one_agency_few_sessions_are_open_and_others_are_served() {
    let setup = Setup { agencies: 2, sessions_per_agency_max: 4, ..Setup::default() };
    let mut central = Central::with(setup);
    let mut other = central.session(2);
    let mut kept = Vec::new();
    for n in 0..10_000_usize {
        let mut client = takes_over(&central);
        client.send(&ask(1));
        kept.push(client);
        assert!(central.office.open_sessions(1) <= 4, "{n}");
        if n % 7 == 0 {
            // Twice: some may have waited for a segment, and have not been taken before.
            for _ in 0..2 {
                central.settle();
                kept.iter_mut().for_each(|client| drop(client.read()));
            }
            kept.retain(|client| !client.is_closed());
            assert!(kept.len() <= 4, "after {n} each but the newest has gone: {}", kept.len());
        }
        if n % 1000 == 0 {
            let seq = n as u64 / 1000 + 1;
            other.send(&numbered(seq, 2, &[1]));
            central.settle();
            assert_eq!(other.replies().len(), 1, "{n}");
        }
    }
    // Whoever comes now is welcomed, at the latest when it comes again.
    central.settle();
    kept.clear();
    assert_eq!(central.office.open_sessions(1), 0);
    assert_eq!(central.office.open_sessions(2), 1);
    central.session(1);
    central.check_replay();
}

#[test]
fn at_the_limit_the_oldest_makes_place_and_the_agency_is_told_to_come_again() {
    let setup = Setup { agencies: 2, sessions_per_agency_max: 3, ..Setup::default() };
    let mut central = Central::with(setup);
    // Nothing is synced meanwhile: none of them can be told and closed.
    let mut clients: Vec<Client> = (0..3).map(|_| takes_over(&central)).collect();
    take_log_lines();
    let mut one_more = takes_over(&central);
    assert_eq!(central.office.open_sessions(1), 3);
    assert!(one_more.replies().is_empty(), "it follows from what is not on disk");
    assert!(take_log_lines()[0].ends_with("error: it has all the sessions that it may have"));
    // The oldest has made place when it comes again.
    let oldest = &mut clients[0];
    assert_eq!((oldest.replies(), oldest.is_closed()), (vec![], true));
    let mut again = takes_over(&central);
    central.commit();
    assert_eq!((one_more.replies(), one_more.is_closed()), (vec![busy()], true));
    assert_eq!(again.replies(), [welcome(4, &[], false)]);
    for client in &mut clients[1..] {
        assert_eq!((client.replies().len(), client.is_closed()), (2, true));
    }
    assert_eq!(central.office.open_sessions(1), 1);
}

#[test]
fn only_sessions_are_counted_and_their_places_are_given_back_however_they_end() {
    let setup = Setup { agencies: 2, sessions_per_agency_max: 2, ..Setup::default() };
    let mut central = Central::with(setup);
    let mut crowd: Vec<Client> = (0..50).map(|_| central.connect()).collect();
    crowd.iter_mut().for_each(|base| base.send(&batch(1, &[1])));
    crowd.extend((0..50).map(|_| {
        let mut client = central.connect_text();
        client.send(&frames(["BET", &text(1, &[1])]));
        client
    }));
    central.settle();
    assert_eq!(central.office.open_sessions(1), 0);
    type End = fn(&mut Client);
    let ends: [(&str, End); 5] = [
        ("half-close", Client::half_close),
        ("op 0", |client| client.send(&packet(0, ""))),
        ("corrupt", |client| client.send(&packet(2, ""))),
        ("time-out", Client::time_out),
        ("stop", Client::stop),
    ];
    for (name, end) in ends {
        let mut client = central.session(1);
        assert_eq!(central.office.open_sessions(1), 1, "{name}");
        end(&mut client);
        assert_eq!(central.office.open_sessions(1), 0, "{name}");
    }
    drop(central.session(1));
    assert_eq!(central.office.open_sessions(1), 0, "a lost connection");
}

/// A session may ask at the very moment at which another says HELLO, before it can know.
#[test]
fn the_office_itself_refuses_what_an_old_session_asks() {
    let mut central = Central::new(2);
    central.session(1);
    central.session(1);
    let office = &central.office;
    let waiter = &mut Waiter::new(Mailbox::new(Arc::new(Alarm::default())));
    let (old, text) = (By::Session { epoch: 1 }, body(1, &[7]));
    let batch = Batch::validate(text.as_bytes(), 2);
    let put = Put {
        agency: 1,
        by: old,
        seq: Some(1),
        body: text.as_bytes(),
        batch: &batch,
        log_line: format_args!(""),
    };
    let alarm = ChainAlarm { seq: 0, bets: 0, head: Head::EMPTY };
    let totals = Some(Totals { last_seq: 0, bets: 0 });
    let codes = [
        office.put(&put, waiter).result.err(),
        office.finish(1, old, totals, waiter).result.err(),
        office.alarm(1, 1, alarm, waiter).result.err(),
    ];
    assert!(codes.into_iter().all(|refused| refused.is_some_and(|it| it.code == Code::Fenced)));
    assert_eq!(central.commit(), Step::Idle, "nothing is recorded");
}

/// Two agencies are drawn; the first has four winners, and one piece of 20 bytes may be unsent.
fn drawn_in_pieces() -> Central {
    let pieces =
        PieceSettings { pieces_max: NonZeroUsize::MIN, piece_bytes_max: 20, short_bytes_max: 0 };
    let mut central = Central::with(Setup { agencies: 2, pieces, ..Setup::default() });
    let mut session = central.session(1);
    session.send(&[numbered(1, 1, &[7574; 4]), session_ready(1, 1, 4)].concat());
    central.settle();
    central.finish_all([2]);
    central
}

#[test]
fn a_list_that_is_begun_is_completed_before_the_end() {
    let mut central = drawn_in_pieces();
    let mut old = central.session(1);
    old.send(&ask(1).repeat(2));
    assert!(old.unread_output() > 0 && old.is_held(), "a piece of it is in the output");
    let _newer = takes_over(&central);
    central.commit();
    assert_eq!(old.replies(), [winners(&"30007574#".repeat(4)), fenced()]);
    assert!(old.is_closed());
    assert_eq!(central.pieces.unsent(), 0);
}

#[test]
fn a_list_that_waits_for_its_turn_is_replaced_and_gives_it_up() {
    let mut central = drawn_in_pieces();
    let mut reader = central.connect();
    reader.send(&ask(1));
    assert!(reader.is_held(), "it has the only piece");
    let mut old = central.session(1);
    old.send(&ask(1));
    assert_eq!(central.pieces.waiting(), 1);
    let _newer = takes_over(&central);
    central.commit();
    assert_eq!((old.replies(), old.is_closed()), (vec![fenced()], true));
    assert_eq!((central.pieces.waiting(), central.pieces.unsent()), (0, 1));
    assert_eq!(reader.replies(), [winners(&"30007574#".repeat(4))]);
}
