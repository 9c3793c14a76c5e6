//! The text dialect, as its deployed clients speak it: byte for byte, over a socket, beside the other dialect.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use bolillero_server::args::{Cli, Command};
use bolillero_server::config::Config;
use bolillero_server::failure::Failure;
use bolillero_server::lifecycle::{Lifecycle, Phase};
use bolillero_server::server::{self, Sockets};
use bolillero_tls::Identity;
use bolillero_tls::server::ServerFiles;
use clap::{Parser as _, ValueEnum as _};
use tempfile::{TempDir, tempdir};

use crate::certificates::{client_config, of_agency, write_server_files};
use crate::client::{Client, socket_from};
use crate::harness::{Cell, PATIENCE, knock};

/// A whole office for two agencies, which listens for both dialects.
pub(crate) struct Office {
    cell: Cell,
    text: SocketAddr,
    pub(crate) packets: SocketAddr,
    life: Lifecycle,
    ended: Receiver<Result<(), Failure>>,
    _directory: TempDir,
}

impl Office {
    pub(crate) fn start(cell: Cell, options: &[&str]) -> Self {
        let directory = tempdir().unwrap();
        let identity = write_server_files(directory.path()).identity;
        Self::reached_with(&identity, cell, options, directory)
    }

    /// One that lets in only agencies.
    pub(crate) fn certified(cell: Cell) -> Self {
        let directory = tempdir().unwrap();
        let ServerFiles { identity, client_ca } = write_server_files(directory.path());
        let options = ["--tls-client-ca", client_ca.as_ref().unwrap().to_str().unwrap()];
        Self::reached_with(&identity, cell, &options, directory)
    }

    fn reached_with(identity: &Identity, cell: Cell, options: &[&str], directory: TempDir) -> Self {
        let driver = cell.driver.to_possible_value().unwrap();
        let typed = ["bolillero-server", "serve", "--listen", "127.0.0.1:0", "--agencies", "2"];
        let text = ["--listen-text", "127.0.0.1:0", "--segment-size", "1MiB", "--data-dir"];
        let data_dir = directory.path().to_str().unwrap();
        let driver = [data_dir, "--driver", driver.get_name()];
        let [cert, key] = [&identity.cert, &identity.key].map(|path| path.to_str().unwrap());
        let tls = ["--tls-cert", cert, "--tls-key", key];
        let tls = if cell.tls { &tls[..] } else { &[] };
        let typed = [&typed[..], &text, &driver, tls, options].concat();
        let Command::Serve(args) = Cli::parse_from(typed).command else { panic!("it is serve") };
        let config = Config::new(&args, |_| None).unwrap();
        let sockets = Sockets::bind(&config).unwrap();
        let packets = sockets.lottery.local_addr().unwrap();
        let text = sockets.text.as_ref().unwrap().local_addr().unwrap();
        let life = Lifecycle::new();
        let its_life = life.clone();
        let (end, ended) = mpsc::channel();
        thread::spawn(move || end.send(server::run(&config, sockets, &its_life)));
        assert!(life.wait_for(Phase::Serving, PATIENCE));
        Self { cell, text, packets, life, ended, _directory: directory }
    }

    fn text(&self) -> Client {
        self.connect(self.text)
    }

    pub(crate) fn packets(&self) -> Client {
        self.connect(self.packets)
    }

    fn connect(&self, address: SocketAddr) -> Client {
        let client = knock(self.cell, address, 1);
        client.shake_hands().unwrap();
        client
    }

    /// A connection of somebody with the certificate of this agency.
    pub(crate) fn packets_of(&self, agency: u32) -> Client {
        connect_as(agency, self.packets)
    }

    /// What a connection is told that sends this, up to its end.
    fn told(&self, sent: &[u8]) -> String {
        tell(self.text(), sent)
    }

    /// The same, of somebody with the certificate of this agency.
    pub(crate) fn told_as(&self, agency: u32, sent: &[u8]) -> String {
        tell(connect_as(agency, self.text), sent)
    }
}

fn connect_as(agency: u32, address: SocketAddr) -> Client {
    let config = client_config(Some(&of_agency(agency)));
    Client::secured(socket_from(1, address), &config)
}

fn tell(mut client: Client, sent: &[u8]) -> String {
    client.send(sent);
    String::from_utf8(client.rest()).unwrap()
}

impl Drop for Office {
    fn drop(&mut self) {
        self.life.stop();
        if !thread::panicking() {
            self.ended.recv_timeout(PATIENCE).unwrap().unwrap();
        }
    }
}

/// One bet of agency 1 on 7574, by itself.
pub(crate) const BROUGHT: &[u8] =
    b"\x00\x03BET\x00\x231,Ana,Paz,30007574,1990-01-01,7574;\x00\x06FINISH";
pub(crate) const RESULTS_1: &[u8] = b"\x00\x07RESULTS\x00\x011";
pub(crate) const RESULTS_2: &[u8] = b"\x00\x07RESULTS\x00\x012";
const READY_2: &[u8] = b"\x05\0\0\0\x022#";
const ACK: &[u8] = b"\x02\0\0\0\0";

/// Whether one more bet of agency 1 is, in the other dialect.
fn is_taken(packets: &mut Client) -> bool {
    packets.send_packet(1, "1#Ana#Paz#1#1990-01-01#1#");
    packets.packet().0 == ACK[0]
}

/// So many batches of `bets` bets each.
fn batches(count: usize, bets: usize) -> Vec<u8> {
    let batch = "1,Ana,Paz,30000001,1990-01-01,1;".repeat(bets);
    let length = u16::try_from(batch.len()).unwrap().to_be_bytes();
    [length.as_slice(), batch.as_bytes()].concat().repeat(count)
}

pub(crate) fn both_dialects_share_one_draw(cell: Cell) {
    let office = Office::start(cell, &[]);
    assert_eq!(office.told(RESULTS_1), "", "the draw is not done");
    assert_eq!(office.told(BROUGHT), "1\n");
    assert_eq!(office.told(RESULTS_1), "", "nor now");
    let mut other = office.packets();
    other.send(READY_2);
    other.expect(ACK);
    // The answer to the last mark says that the draw is done, in whichever dialect it was asked.
    assert_eq!(office.told(RESULTS_1), "30007574\n");
    assert_eq!(office.told(RESULTS_2), "NOWINNERS\n");
    assert_eq!(office.told(BROUGHT), "ERROR\n", "it has finished");
}

pub(crate) fn frames_cut_into_single_bytes_are_counted(cell: Cell) {
    let office = Office::start(cell, &[]);
    let mut client = office.text();
    for byte in BROUGHT {
        client.send(&[*byte]);
    }
    assert_eq!(client.rest(), b"1\n");
}

pub(crate) fn far_more_batches_than_may_be_unsynced_are_counted_in_one_line(cell: Cell) {
    let office = Office::start(cell, &["--max-unanswered", "4", "--ledger-queue", "100KiB"]);
    let mut client = office.text();
    client.send(&[b"\0\x03BET", &batches(500, 100)[..], b"\0\x06FINISH"].concat());
    assert_eq!(client.rest(), b"50000\n");
}

pub(crate) fn an_error_survives_a_peer_that_keeps_sending(cell: Cell) {
    let office = Office::start(cell, &[]);
    let mut client = office.text();
    let sent = [b"\0\x03BET", &batches(1, 10)[..], b"\0\x04oops", &batches(500, 100)].concat();
    client.send(&sent);
    assert_eq!(client.rest(), b"ERROR\n");
}

pub(crate) fn long_lists_leave_in_turn_to_readers_of_both_dialects(cell: Cell) {
    let office = Office::start(cell, &["--winning-number", "1", "--winners-unsent-max", "64KiB"]);
    let sent = [b"\0\x03BET", &batches(500, 100)[..], b"\0\x06FINISH"].concat();
    assert_eq!(office.told(&sent), "50000\n");
    let mut other = office.packets();
    other.send(READY_2);
    other.expect(ACK);
    let list = "30000001#".repeat(50_000);
    let line = list.trim_end_matches('#').replace('#', ",") + "\n";
    // A piece for all: who has one waits for the others before the next.
    let mut silent = office.packets();
    silent.send_packet(6, "1#");
    thread::scope(|scope| {
        for _ in 0..3 {
            let (mut packets, text) = (office.packets(), office.text());
            let (list, line) = (&list, &line);
            scope.spawn(move || {
                packets.send_packet(6, "1#");
                packets.send_packet(6, "1#");
                for _ in 0..2 {
                    assert!(packets.packet() == (7, list.clone()));
                }
            });
            scope.spawn(move || assert!(tell(text, RESULTS_1) == *line));
        }
    });
    assert!(silent.packet() == (7, list));
}

pub(crate) fn a_peer_of_text_that_sends_no_more_is_still_counted(cell: Cell) {
    let office = Office::start(cell, &[]);
    let mut client = office.text();
    client.send(BROUGHT);
    client.end();
    assert_eq!(client.rest(), b"1\n");
}

pub(crate) fn a_newcomer_of_text_without_room_is_closed_without_a_byte(cell: Cell) {
    let options = ["--max-connections", "1", "--busy-delay", "10ms"];
    let office = Office::start(cell, &options);
    let mut inside = office.text();
    inside.send(b"\0\x03BET");
    for _ in 0..3 {
        let mut newcomer = knock(cell, office.text, 1);
        newcomer.expect_turned_away(b"");
    }
    inside.send(&BROUGHT[5..]);
    assert_eq!(inside.rest(), b"1\n");
}

pub(crate) fn a_stop_waits_for_a_count_that_is_owed_and_closes_the_silent(cell: Cell) {
    let office = Office::start(cell, &["--announce-delay", "300ms", "--drain-timeout", "1h"]);
    let mut packets = office.packets();
    packets.send(READY_2);
    packets.expect(ACK);
    let (mut silent, mut owed) = (office.text(), office.text());
    silent.send(b"\0\x03BET");
    owed.send(BROUGHT);
    // Bets of an agency are taken until it is marked: then the draw is under way, and the count is owed.
    while is_taken(&mut packets) {}
    office.life.stop();
    assert_eq!(silent.rest(), b"");
    assert_eq!(owed.rest(), b"1\n");
}
