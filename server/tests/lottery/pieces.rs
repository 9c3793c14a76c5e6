//! Long lists of winners leave in pieces: the same bytes, a bounded amount unsent, each connection
//! in its turn.

use std::num::NonZeroUsize;

use bolillero_server::lottery::pieces::PieceSettings;

use crate::chance::Chance;
use crate::support::*;

/// How many bets of each agency win: the list of agency 1 is long, that of 2 short, that of 3
/// empty.
const WINNERS: [usize; 3] = [120, 2, 0];
/// What is small here: the longest piece, and what leaves without being counted as one.
const PIECE: usize = 100;
const SHORT: usize = 30;
/// What a packet's header adds to the first piece.
const HEADER: usize = 5;

fn list(agency: usize) -> String {
    match WINNERS[agency - 1] {
        0 => "#".to_owned(),
        count => "30007574#".repeat(count),
    }
}

fn line(agency: usize) -> Vec<u8> {
    let documents = vec!["30007574"; WINNERS[agency - 1]].join(",");
    if documents.is_empty() { b"NOWINNERS\n".to_vec() } else { (documents + "\n").into_bytes() }
}

fn settings(pieces_max: usize) -> PieceSettings {
    let pieces_max = NonZeroUsize::new(pieces_max).unwrap();
    PieceSettings { pieces_max, piece_bytes_max: PIECE, short_bytes_max: SHORT }
}

/// An office whose draw is done.
fn drawn(pieces: PieceSettings) -> Central {
    let mut central = Central::with(Setup { agencies: 3, pieces, ..Setup::default() });
    let mut client = central.connect();
    for (agency, winners) in (1..).zip(WINNERS).filter(|(_, winners)| *winners > 0) {
        for bets in vec![7574; winners].chunks(40) {
            client.send(&batch(agency, bets));
            central.settle();
            assert_eq!(client.replies(), [ack()]);
        }
    }
    central.finish_all([1, 2, 3]);
    central
}

fn asking(central: &Central) -> Client {
    let mut client = central.connect();
    client.send(&ask(1));
    client
}

fn asking_in_text(central: &Central) -> Client {
    let mut client = central.connect_text();
    client.send(&[frame("RESULTS"), frame("1")].concat());
    client
}

fn in_use(central: &Central) -> (usize, usize) {
    (central.pieces.unsent(), central.pieces.waiting())
}

#[test]
fn the_bytes_are_the_same_however_a_list_is_cut() {
    for piece_bytes_max in [1, 2, 8, 9, 10, 100, 1079, 1080, 1081, 1 << 20] {
        for short_bytes_max in [0, SHORT, 1085, 1 << 20] {
            let mut central =
                drawn(PieceSettings { piece_bytes_max, short_bytes_max, ..settings(2) });
            let mut session = central.session(1);
            session.send(&ask(1).repeat(2));
            assert_eq!(
                session.replies(),
                vec![winners(&list(1)); 2],
                "pieces of {piece_bytes_max}"
            );
            let mut base = central.connect();
            base.send(&[ask(1), ask(3), ask(2), ask(1), packet(0, "")].concat());
            let lists = [1, 3, 2, 1].map(|agency| winners(&list(agency)));
            assert_eq!((base.replies(), base.is_closed()), (lists.to_vec(), true));
            for agency in 1..=3 {
                let mut text = central.connect_text();
                text.send(&[frame("RESULTS"), frame(&agency.to_string())].concat());
                assert!(text.read() == line(agency) && text.is_closed());
            }
            assert_eq!(in_use(&central), (0, 0));
        }
    }
}

#[test]
fn a_peer_that_does_not_read_costs_a_piece_however_much_it_asks() {
    let mut central = drawn(settings(9));
    let mut session = central.session(1);
    session.send(&ask(1).repeat(500));
    let mut base = central.connect();
    base.send(&[ask(2), ask(1)].concat().repeat(500));
    let mut text = asking_in_text(&central);
    for (name, client) in [("session", &mut session), ("base", &mut base), ("text", &mut text)] {
        assert!(client.is_held(), "{name}");
        assert_eq!(client.wait(), None, "{name}: its peer is not waited for");
        let unread = client.unread_output();
        assert!((PIECE..=PIECE + 30 * HEADER).contains(&unread), "{name}: {unread} bytes");
    }
    assert_eq!(in_use(&central), (3, 0));
    assert_eq!(session.replies(), vec![winners(&list(1)); 500]);
    let lists = [2, 1].map(|agency| winners(&list(agency))).into_iter().cycle();
    assert_eq!(base.replies(), lists.take(1000).collect::<Vec<_>>());
    assert!(text.read() == line(1) && text.is_closed());
    assert_eq!(in_use(&central), (0, 0));
}

#[test]
fn at_the_limit_lists_wait_and_whatever_is_short_does_not() {
    let mut central = drawn(settings(1));
    let silent = asking(&central);
    let mut session = central.session(1);
    session.send(&ask(1));
    let (mut base, mut text) = (asking(&central), asking_in_text(&central));
    for client in [&mut session, &mut base, &mut text] {
        assert_eq!((client.unread_output(), client.is_held()), (0, true));
        assert_eq!(client.wait(), None, "its turn has no deadline");
        client.send(&[9; 1000]);
        assert_eq!(client.unread_output(), 0);
    }
    assert_eq!(in_use(&central), (1, 3));

    let mut other = central.session(2);
    other.send(&[numbered(1, 2, &[7574, 7574]), ask(2)].concat());
    central.commit();
    assert_eq!(other.replies(), [receipt(&[body(2, &[7574, 7574])]), winners(&list(2))]);
    let mut base = central.connect();
    base.send(&[ready(1), ask(3), ask(2)].concat());
    central.commit();
    assert_eq!(base.replies()[1..], [winners("#"), winners(&list(2))]);
    let mut text = central.connect_text();
    text.send(&[frame("RESULTS"), frame("2")].concat());
    assert!(text.read() == line(2) && text.is_closed());
    assert_eq!(in_use(&central), (1, 3));
    drop(silent);
}

#[test]
fn pieces_are_handed_on_in_the_order_in_which_connections_asked() {
    let central = drawn(settings(1));
    let mut clients: Vec<Client> = (0..4).map(|_| asking(&central)).collect();
    let whole = packet(7, list(1));
    let mut read = vec![Vec::new(); 4];
    // Each has one piece and goes to the end of the queue.
    for turn in 0.. {
        let next = turn % 4;
        let unread: Vec<usize> = clients.iter().map(Client::unread_output).collect();
        assert!(unread.iter().enumerate().all(|(n, &bytes)| (bytes > 0) == (n == next)));
        let piece = clients[next].read_once();
        assert!(piece.len() <= PIECE + HEADER);
        read[next].extend_from_slice(&piece);
        if read[3].len() == whole.len() {
            break;
        }
        // The next is woken, and takes it in its turn.
        clients[(turn + 1) % 4].send(b"");
    }
    assert!(read.iter().all(|read| *read == whole));
    assert_eq!(in_use(&central), (0, 0));
}

#[test]
fn a_short_list_behind_unread_answers_waits_for_its_own_peer_only() {
    let mut central = drawn(settings(1));
    let silent = asking(&central);
    let mut client = central.connect();
    client.send(&[ready(2).repeat(10), ask(2), ready(2)].concat());
    central.commit();
    client.send(b"");
    assert_eq!(in_use(&central), (1, 1));
    let refusals = client.read_once();
    assert_eq!(packets(&refusals).len(), 10);
    assert_eq!(in_use(&central), (1, 0), "it no longer waits for a piece");
    assert_eq!(client.replies()[0], winners(&list(2)));
    assert!(!client.is_held());
    drop(silent);
}

#[test]
fn a_piece_and_a_place_in_the_queue_are_given_back_however_a_connection_ends() {
    let central = drawn(settings(1));
    let [holds, waits, next, last] = [(); 4].map(|()| asking(&central));
    assert_eq!(in_use(&central), (1, 3));
    drop(waits);
    assert_eq!(in_use(&central), (1, 2));
    let before = next.wakes();
    drop(holds);
    assert_eq!((next.wakes(), in_use(&central)), (before + 1, (1, 1)));
    // It was given the piece, and did not take it.
    drop(next);
    assert_eq!((last.wakes(), in_use(&central)), (1, (1, 0)));
    drop(last);
    assert_eq!(in_use(&central), (0, 0));
}

#[test]
fn a_connection_ends_only_when_its_last_piece_has_left() {
    type Row = (&'static str, fn(&Central) -> Client, Vec<u8>);
    let corrupt = [packet(7, list(1)), packet(-1, "")].concat();
    let rows: [Row; 4] = [
        ("op 0", |central| asking_and(central, &packet(0, "")), packet(7, list(1))),
        ("half-close", half_closed, packet(7, list(1))),
        ("corrupt", |central| asking_and(central, &packet(2, "")), corrupt),
        ("text", asking_in_text, line(1)),
    ];
    for (name, connect, expected) in rows {
        let central = drawn(settings(1));
        let mut client = connect(&central);
        let mut read = Vec::new();
        while client.unread_output() > SHORT {
            assert!(!client.is_closed(), "{name}: a piece is unsent");
            assert_eq!(in_use(&central), (1, 0), "{name}: a piece is unsent");
            read.extend(client.read_once());
        }
        client.send(b"");
        assert!(client.is_closed(), "{name}");
        read.extend(client.read_once());
        assert_eq!((read, in_use(&central)), (expected, (0, 0)), "{name}");
    }
}

fn asking_and(central: &Central, more: &[u8]) -> Client {
    let mut client = central.connect();
    client.send(&[&ask(1), more].concat());
    client
}

fn half_closed(central: &Central) -> Client {
    let mut client = asking(central);
    client.half_close();
    client
}

#[test]
fn at_a_stop_a_list_that_is_begun_leaves_whole_and_one_that_is_not_gives_up_its_turn() {
    let central = drawn(settings(2));
    let [mut base, mut text] = [asking(&central), asking_in_text(&central)];
    let [mut waits, mut waits_in_text] = [asking(&central), asking_in_text(&central)];
    assert_eq!(in_use(&central), (2, 2));
    for client in [&mut waits, &mut waits_in_text, &mut base, &mut text] {
        client.stop();
    }
    assert_eq!((waits.replies(), waits.is_closed()), (vec![close()], true));
    assert_eq!((waits_in_text.read(), waits_in_text.is_closed()), (vec![], true));
    assert_eq!(in_use(&central), (2, 0));
    assert!(!base.is_closed() && !text.is_closed());
    assert_eq!((base.replies(), base.is_closed()), (vec![winners(&list(1)), close()], true));
    assert!(text.read() == line(1) && text.is_closed());
    assert_eq!(in_use(&central), (0, 0));
}

#[test]
fn at_a_stop_a_list_that_is_begun_goes_on_waiting_for_its_next_piece() {
    let central = drawn(settings(1));
    let mut first = asking(&central);
    let second = asking(&central);
    let begun = first.read_once();
    assert_eq!((first.unread_output(), in_use(&central)), (0, (1, 1)), "it is the other's turn");
    first.stop();
    assert!(!first.is_closed());
    drop(second);
    let rest = first.read();
    let said = packets(&[begun, rest].concat());
    assert_eq!((said, first.is_closed()), (vec![winners(&list(1)), close()], true));
}

#[test]
fn at_a_stop_requests_that_had_arrived_behind_a_list_are_answered() {
    let central = drawn(settings(1));
    let mut client = asking(&central);
    client.send(&[ask(3), ask(2)].concat());
    client.stop();
    let lists = [1, 3, 2].map(|agency| winners(&list(agency)));
    assert_eq!(client.replies(), [&lists[..], &[close()]].concat());
    assert!(client.is_closed());
}

/// Whatever is read, dropped and asked in any order: nothing is lost, and nobody waits for what
/// does not come.
#[test]
fn any_crowd_gets_its_lists_whole_within_the_limit() {
    for seed in 0..30 {
        let chance = &mut Chance(seed);
        let pieces_max = 1 + chance.below(4);
        let central = drawn(settings(pieces_max));
        let mut crowd: Vec<Reader> = Vec::new();
        let (mut done, mut comes, mut leaves) = (0, 60, 20);
        while comes > 0 || !crowd.is_empty() {
            let number = chance.below(crowd.len() + 1);
            if number == crowd.len() {
                if comes > 0 {
                    comes -= 1;
                    crowd.push(Reader::new(&central, chance));
                }
            } else if leaves > 0 && chance.below(20) == 0 {
                leaves -= 1;
                drop(crowd.swap_remove(number));
            } else if crowd[number].reads() {
                done += 1;
                drop(crowd.swap_remove(number));
            }
            let (unsent, waiting) = in_use(&central);
            assert!(unsent <= pieces_max && (waiting == 0 || unsent == pieces_max));
            assert!(waiting <= crowd.len());
            let can_go_on = crowd.iter().any(Reader::can_go_on);
            assert!(crowd.is_empty() || can_go_on, "seed {seed}: all wait for what does not come");
        }
        assert_eq!(done, 40 + leaves, "seed {seed}");
        assert_eq!(in_use(&central), (0, 0));
    }
}

/// Somebody who reads what there is whenever it is its turn.
struct Reader {
    client: Client,
    read: Vec<u8>,
    expected: Vec<u8>,
    wakes_seen: usize,
}

impl Reader {
    fn new(central: &Central, chance: &mut Chance) -> Self {
        let (client, expected) = match chance.below(3) {
            0 => (asking_in_text(central), line(1)),
            1 => (asking(central), packet(7, list(1))),
            _ => {
                let mut client = central.connect();
                client.send(&[ask(2), ask(1), ask(3)].concat());
                let lists = [2, 1, 3].map(|agency| packet(7, list(agency)));
                (client, lists.concat())
            }
        };
        Self { client, read: Vec::new(), expected, wakes_seen: 0 }
    }

    /// Something is there to be read, or to be looked at.
    fn can_go_on(&self) -> bool {
        self.client.unread_output() > 0 || self.client.wakes() > self.wakes_seen
    }

    /// Reads what there is; says whether it has all.
    fn reads(&mut self) -> bool {
        self.wakes_seen = self.client.wakes();
        self.client.send(b"");
        self.read.extend(self.client.read_once());
        assert!(self.expected.starts_with(&self.read));
        self.read.len() == self.expected.len()
    }
}
