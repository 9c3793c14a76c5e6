//! The draw happens once, when the last agency has finished, whatever the order; and everybody learns of it.

use bolillero_server::lottery::draw::DrawStep;
use bolillero_server::lottery::state::Draw;

use crate::support::*;

const LINE: &str = "action: sorteo | result: success";

fn draw_lines(central: &Central) -> usize {
    central.logged().iter().filter(|line| *line == LINE).count()
}

#[test]
fn the_last_mark_completes_the_draw_in_any_order_and_once() {
    let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for order in orders {
        let mut central = Central::new(3);
        let mut client = central.connect();
        for agency in 1..=3 {
            client.send(&batch(agency, &[7574, agency, 7574]));
        }
        for (n, agency) in (1..).zip(order) {
            assert_eq!(draw_lines(&central), 0, "{order:?}");
            // Twice on the way, and once more by another connection.
            client.send(&ready(agency).repeat(2));
            central.connect().send(&ready(agency));
            let expected = if n < 3 { Draw::Open } else { Draw::Drawing };
            assert_eq!(central.office.draw(), expected, "{order:?}");
            central.settle();
        }
        assert_eq!(client.replies(), vec![ack(); 3 + 6]);
        client.send(&[ready(order[2]), ask(1), ask(2), ask(3)].concat());
        let two = winners("30007574#30007574#");
        assert_eq!(client.replies(), [ack(), two.clone(), two.clone(), two], "{order:?}");
        assert_eq!((draw_lines(&central), central.stored().1), (1, 1), "{order:?}");
        central.check_replay();
    }
}

#[test]
fn the_log_tells_of_the_draw_before_anybody_is_told() {
    let mut central = Central::new(2);
    let mut waiting = central.session(1);
    waiting.send(&[numbered(1, 1, &[7574]), session_ready(1, 1, 1), ask(1)].concat());
    central.commit();
    assert_eq!(waiting.replies(), [receipt(&[body(1, &[7574])]), ack()]);

    let mut last = central.connect();
    last.send(&[ready(2), ask(2)].concat());
    let mut early = central.connect();
    early.send(&ask(1));
    assert_eq!(early.replies(), [busy()]);

    assert_eq!(central.draw(), DrawStep::Waiting, "the mark is not on disk");
    central.commit();
    // The mark is durable; the draw's record is queued, then durable, then announced.
    assert_eq!(central.draw(), DrawStep::Waiting);
    early.send(&[ready(2), ask(1)].concat());
    assert_eq!(draw_lines(&central), 0);
    central.commit();
    assert_eq!(draw_lines(&central), 1);
    assert_eq!((waiting.replies(), last.replies(), early.replies()), (vec![], vec![], vec![]));
    assert_eq!(central.draw(), DrawStep::Done);
    assert_eq!(waiting.replies(), [winners("30007574#")]);
    assert_eq!(last.replies(), [ack(), winners("#")]);
    assert_eq!(early.replies(), [ack(), winners("30007574#")]);
    assert_eq!(central.draw(), DrawStep::Done, "again: nothing happens");
    assert_eq!((draw_lines(&central), central.stored().1), (1, 1));
}

#[test]
fn a_session_that_waits_is_told_once_and_one_that_left_is_not() {
    let mut central = Central::new(2);
    let mut stays = central.session(1);
    stays.send(&[session_ready(1, 0, 0), ask(1).repeat(3)].concat());
    central.commit();
    assert_eq!(stays.replies(), [ack()]);
    let mut leaves = central.session(2);
    leaves.send(&ask(2));
    let left = leaves.number();
    drop(leaves);
    let (before, told) = (central.happened().len(), stays.wakes());
    central.session(2).send(&session_ready(2, 0, 0));
    central.settle();
    assert_eq!(stays.wakes(), told + 1);
    assert!(!central.happened()[before..].contains(&Happened::Woken(left)));
    assert_eq!(stays.replies(), vec![winners("#"); 3]);
}

#[test]
fn winners_are_the_bets_on_the_number_however_it_is_written() {
    let numbers = ["0", "00", "0000", "1", "10", "100", "7574", "7", "0007", "57", "757", "574"];
    let rows = [(0, "0#1#2#"), (7, "7#8#"), (10, "4#"), (100, "5#"), (7574, "6#"), (9999, "#")];
    for (winning_number, expected) in rows {
        let mut central = Central::with(Setup { agencies: 1, winning_number, ..Setup::default() });
        let mut client = central.connect();
        for (document, number) in numbers.iter().enumerate() {
            client.send(&packet(1, format!("1#Ana#Paz#{document}#1990-01-01#{number}#")));
        }
        client.send(&[ready(1), ask(1)].concat());
        central.settle();
        let replies = client.replies();
        assert_eq!(replies[..=numbers.len()], vec![ack(); numbers.len() + 1]);
        assert_eq!(replies.last(), Some(&winners(expected)), "winning number {winning_number}");
    }
}

#[test]
fn all_bets_can_win_whoever_reads_them() {
    for readers in [1, 3] {
        let mut setup = Setup { agencies: 2, ..Setup::default() };
        setup.draw.readers = readers;
        let mut central = Central::with(setup);
        central.finish_all([1]);
        let mut client = central.session(2);
        for seq in 1..=100 {
            client.send(&numbered(seq, 2, &[7574; 50]));
            central.settle();
        }
        assert!(central.disk.durable_files().contains_key("00000003.log"));
        client.send(&[session_ready(2, 100, 5000), ask(2)].concat());
        central.settle();
        let replies = client.replies();
        assert_eq!(replies.len(), 102);
        assert_eq!(replies[101], winners(&"30007574#".repeat(5000)));
    }
}

#[test]
fn without_agencies_nothing_is_drawn() {
    let mut central = Central::new(0);
    let mut client = central.connect();
    client.send(&[hello(1), batch(1, &[1]), packet(3, "0#"), ready(1), ready(0), ask(1)].concat());
    central.settle();
    let unknown = |agency| (4, format!("{agency} is not an agency 1 to 0"));
    assert_eq!(
        client.replies(),
        [
            (4, "REFUSED#-#1 is not an agency 1 to 0#".to_owned()),
            (4, "bet 0: id is not an agency 1 to 0".to_owned()),
            ack(),
            unknown(1),
            unknown(0),
            unknown(1),
        ]
    );
    assert_eq!((central.office.draw(), central.stored().1), (Draw::Open, 0));
    assert_eq!(central.restart().office.draw(), Draw::Open);
}

/// The record may be durable before the office asks to be told of it: then no group tells the drawer.
#[test]
fn the_drawer_is_told_of_the_completing_mark_at_once_and_when_it_is_durable() {
    let mut central = Central::new(2);
    let mut client = central.connect();
    client.send(&ready(1));
    assert_eq!(central.drawer_told(), 0);
    client.send(&ready(2));
    assert_eq!(central.drawer_told(), 1);
    central.commit();
    assert_eq!(central.drawer_told(), 2);
}

#[test]
fn who_asks_before_its_mark_is_told_busy_however_late_that_leaves() {
    let mut central = Central::new(1);
    let mut client = central.connect();
    client.send(&[batch(1, &[1]), ask(1), ready(1), ask(1)].concat());
    central.settle();
    assert_eq!(client.replies(), [ack(), busy(), ack(), winners("#")]);
}

#[test]
fn one_agency_draws_by_itself() {
    let mut central = Central::new(1);
    let mut client = central.connect();
    client.send(&[batch(1, &[7574]), ready(1), ask(1)].concat());
    central.settle();
    assert_eq!(client.replies(), [ack(), ack(), winners("30007574#")]);
}

#[test]
fn the_most_agencies_that_a_draw_can_have() {
    let mut limits = Setup::default().limits;
    limits.unanswered_max = 100_000;
    let (segment_size, queue_bytes_max) = (8 << 20, 64 << 20);
    let setup =
        Setup { agencies: 65_535, limits, segment_size, queue_bytes_max, ..Setup::default() };
    let mut central = Central::with(setup);
    let mut client = central.connect();
    client.send(&batch(65_535, &[7574]));
    for agency in 1..=65_535 {
        client.send(&ready(agency));
    }
    client.send(&[ask(65_535), ask(1)].concat());
    central.settle();
    let replies = client.replies();
    assert_eq!(replies.len(), 65_538);
    assert_eq!(replies[65_536..], [winners("30007574#"), winners("#")]);
    let central = central.restart();
    let mut client = central.connect();
    client.send(&ask(65_535));
    assert_eq!(client.replies(), [winners("30007574#")]);
}

#[test]
fn too_many_winners_to_send_are_named_by_their_file() {
    let mut setup = Setup { agencies: 2, ..Setup::default() };
    setup.draw.winners_length_max = 26;
    let mut central = Central::with(setup);
    let mut client = central.connect();
    client.send(&[batch(1, &[7574, 7574]), batch(2, &[7574, 7574, 7574])].concat());
    central.finish_all([1, 2]);
    for _ in 0..2 {
        let mut base = central.connect();
        let mut session = central.connect();
        session.send(&[hello(2), ask(2)].concat());
        base.send(&[ask(1), ask(2), packet(3, "0#")].concat());
        central.settle();
        let text = "too many winners to send: they are in winners-agency-2.csv";
        let two = winners("30007574#30007574#");
        assert_eq!(base.replies(), [two, (4, text.to_owned()), ack()]);
        assert_eq!(session.replies()[1], (4, format!("REFUSED#-#{text}#")));
        central = central.restart();
    }
}
