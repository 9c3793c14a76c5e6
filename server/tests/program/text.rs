//! Agencies that speak the text dialect, as programs, beside others: one office, one draw.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::tempdir;

use crate::for_every_driver;
use crate::inputs::Inputs;
use crate::main_job::check_record;
use crate::office::{
    Office, assert_healthy_log, bets_received, count, export, finish_agencies, listens, serve,
    start_agency, verify,
};
use crate::process::Process;
use crate::wire::Wire;

const DRAWN: &str = "action: sorteo | result: success";
const TEXT: [&str; 2] = ["--listen-text", "127.0.0.1:0"];

for_every_driver! {
    agencies_of_both_dialects_share_one_draw
    what_a_dying_server_left_of_a_text_connection_is_gone_on_with_in_a_session
}

/// A server that listens for both, and where it does for text.
fn start(data_dir: &Path, options: &[&str]) -> (Office, SocketAddr) {
    let process = Process::start(serve(data_dir, &[&TEXT, options].concat()));
    let mut office = Office::listening(process);
    let text = listens(&mut office.process, "lottery-text");
    (office, text)
}

fn agencies_of_both_dialects_share_one_draw(driver: &str) {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let (office, text) = start(directory.path(), &["--driver", driver]);
    let dialects = [(office.address, "--base"), (text, "--text"), (office.address, "--window=3")];
    let agencies = (1..).zip(&inputs.files).map(|(id, file)| {
        let (address, option) = dialects[id as usize % dialects.len()];
        start_agency(address, id, file, &[option])
    });
    assert_eq!(finish_agencies(agencies.collect()), inputs.winners());
    let ended = office.stop();
    assert_healthy_log(&ended.lines);
    assert_eq!(bets_received(&ended.lines), inputs.bets());
    assert_eq!(count(&ended.lines, DRAWN), 1);
    check_record(directory.path(), &inputs);
}

/// An agency of text is at work when its server dies. It does not send again; started anew, it goes on in a session.
fn what_a_dying_server_left_of_a_text_connection_is_gone_on_with_in_a_session(driver: &str) {
    let inputs = Inputs::find();
    let directory = tempdir().unwrap();
    let options = ["--driver", driver];
    let (mut office, text) = start(directory.path(), &options);
    let brought = start_agency(text, 1, &inputs.files[0], &["--text"]);
    // The others are under way in sessions; they are not told the end of it.
    office.process.wait_for("action: agencia_lista | result: success | agencia: 1");
    let first = start_agency(text, 2, &inputs.files[1], &["--text", "--batch-bets-max", "1"]);
    office.process.wait_for("action: apuesta_recibida | result: success | cantidad: 1");
    let mut lines = office.process.kill().lines;
    let ended = first.end();
    // It may have been done by then.
    if ended.code != Some(0) {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("without --text"), "{ended:?}");
    }
    drop(brought);

    let (office, text) = start(directory.path(), &options);
    let again = [
        start_agency(office.address, 1, &inputs.files[0], &[]),
        start_agency(office.address, 2, &inputs.files[1], &["--batch-bets-max", "1"]),
        start_agency(text, 3, &inputs.files[2], &["--text"]),
    ];
    let rest =
        (4..).zip(&inputs.files[3..]).map(|(id, file)| start_agency(text, id, file, &["--text"]));
    assert_eq!(finish_agencies(again.into_iter().chain(rest).collect()), inputs.winners());
    lines.extend(office.stop().lines);
    assert_eq!(count(&lines, DRAWN), 1);
    check_record(directory.path(), &inputs);
}

#[test]
fn a_text_port_that_is_taken_is_told_before_anything_is_recovered() {
    let directory = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let process = Process::start(serve(directory.path(), &["--listen-text", &address]));
    let ended = process.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("listening on {address}")), "{ended:?}");
    assert!(!directory.path().join("ledger").exists());
}

#[test]
fn without_the_option_nobody_listens_for_text() {
    let directory = tempdir().unwrap();
    let ended = Office::start(directory.path(), &[]).stop();
    assert_eq!(count(&ended.lines, "action: listen"), 1, "{ended:?}");
}

/// The largest frame there can be, of the shortest bets: in the form that is stored it is longer than any packet may be.
#[test]
fn the_longest_frame_is_stored_and_exported() {
    let directory = tempdir().unwrap();
    let (office, text) = start(directory.path(), &["--agencies", "1"]);
    let bets = 3120;
    let batch = "1,A,B,1,1990-01-01,1;".repeat(bets);
    let length = u16::try_from(batch.len()).unwrap().to_be_bytes();
    let mut wire = Wire::connect(text);
    wire.send(&[b"\0\x03BET", &length[..], batch.as_bytes(), b"\0\x06FINISH"].concat());
    wire.expect_last(format!("{bets}\n").as_bytes());
    office.stop();
    assert_eq!(export(directory.path()), "1,A,B,1,1990-01-01,1\r\n".repeat(bets).as_bytes());
    verify(directory.path());
}
