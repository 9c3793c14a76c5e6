//! The program `bolillero agency` against an office on the loopback: options, log lines, exit
//! codes, waits.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

#[path = "../office/mod.rs"]
mod office;
#[path = "../shelf/mod.rs"]
mod shelf;

mod pty;
mod running;
mod secure;
mod setting;

mod bet;
mod echo;
mod files;
mod hostile;
mod killed;
mod mended;
mod network;
mod options;
mod others;
mod pki;
mod probe;
mod room;
mod stopped;
mod text;
mod tls;
mod waiting;
mod winners;

use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

use bolillero_protocol::bet::Bets;
use bolillero_protocol::message::{Code, Reply};

use office::{Fault, Office, Served, bodies, packet, refusal, rows};
use setting::{Setting, TIME_MAX, agency, finish, log, stderr};

#[test]
fn an_agency_sends_its_file_and_logs_what_deployed_tools_read() {
    for options in [&["--batch-bets-max", "7"][..], &["--batch-bets-max", "7", "--base"]] {
        let winners = b"30000001#30000002#".to_vec();
        let setting = Setting::new(Office { winners, ..Office::default() }, &rows(100));
        let output = setting.agency(options);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stderr(&output), "");
        assert_eq!(setting.served.bodies(1), bodies(&rows(100), 7));
        let log = log(&output);
        assert!(log[0].starts_with("INFO     action: config | result: success | client_id: 1 | "));
        assert_eq!(
            log[log.len() - 4..],
            [
                "INFO     action: apuestas_enviadas | result: success | cantidad: 100",
                "INFO     action: consulta_ganadores | result: in_progress | note: waiting for the \
                 draw",
                "INFO     action: consulta_ganadores | result: success | cant_ganadores: 2",
                "INFO     action: stop | result: success",
            ]
        );
    }
}

#[test]
fn a_second_run_stores_nothing_and_tells_the_same() {
    let setting = Setting::new(Office::default(), &rows(100));
    let (first, second) = (setting.agency(&[]), setting.agency(&[]));
    assert_eq!(log(&first)[2..], log(&second)[2..]);
    assert_eq!(setting.served.bodies(1), bodies(&rows(100), 0));
}

#[test]
fn exit_codes_tell_failure_mismatch_and_fencing_apart() {
    let mut fenced = Vec::new();
    refusal(Code::Fenced, Some(1), "a newer session", &mut fenced);
    let mut other_record = Office::default();
    other_record.lane(1).push(&bodies("Eva,Paz,1,1990-01-01,1\n", 0)[0]);
    let corrupt = Office::with_faults([(0, Fault::Last(packet(&Reply::Corrupt)))]);
    let bad_row = format!("{}Ana,Paz,1,1990-01-01,10000\r\n", rows(16));
    let cases = [
        (Office::with_faults([(1, Fault::Answer(fenced))]), rows(9), 6, "another client works"),
        (other_record, rows(9), 3, "--batch-bets-max"),
        (corrupt, rows(9), 1, "use --base"),
        (
            Office::default(),
            bad_row,
            1,
            "bets.csv: line 17: number is not 0 to 9999. Mend the row and start again with the \
             same options",
        ),
    ];
    for (office, file, code, said) in cases {
        let setting = Setting::new(office, &file);
        let output = setting.agency(&[]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let error = stderr(&output);
        assert!(error.starts_with("bolillero: ") && error.contains(said), "{error}");
        assert_eq!(error.matches(said).count(), 1, "told once: {error}");
        let last = log(&output).pop().unwrap();
        assert!(last.starts_with("ERROR    action: agency | result: fail | error: "), "{last}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = finish(agency(Path::new("no/such.csv"), "127.0.0.1:1", &[]));
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.starts_with("bolillero: reading no/such.csv: No such file"), "{error}");
}

#[test]
fn a_closed_or_stalled_stdout_does_not_end_the_work() {
    let setting = Setting::new(Office::default(), &rows(9));
    let mut client = agency(&setting.file(), &setting.served.address.to_string(), &[]);
    let mut client = client.stdout(Stdio::piped()).spawn().unwrap();
    drop(client.stdout.take());
    assert!(client.wait().unwrap().success());

    let mut client = agency(&setting.file(), &setting.served.address.to_string(), &[]);
    let mut client = client.stdout(full_pipe()).spawn().unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(client.wait().unwrap().success()));
    assert_eq!(end.recv_timeout(TIME_MAX), Ok(true));
}

/// A pipe that nobody reads and that takes no more.
fn full_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
    while rustix::io::write(&writer, &[0]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    // The reading end has to outlive the client, which ends before this test's process does.
    std::mem::forget(reader);
    writer.into()
}

/// Bets in each batch of a file, cut by the committed settings.
fn cut_by_the_committed_settings(file: &Path) -> Vec<usize> {
    let served = Served::new(Office::default());
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config.yaml");
    let output = finish(agency(file, &served.address.to_string(), &["--config", config]));
    assert!(output.status.success(), "{output:?}");
    served.bodies(1).iter().map(|body| Bets::read(body).unwrap().count()).collect()
}

fn assert_full(sizes: &[usize]) {
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|&size| size == 100) && (1..=100).contains(last), "{sizes:?}");
}

#[test]
fn the_sample_is_cut_into_batches_of_as_many_bets_as_the_committed_settings_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.data");
    for agency in 1..=5 {
        assert_full(&cut_by_the_committed_settings(
            &directory.join(format!("agency-{agency}.csv")),
        ));
    }
}

#[test]
fn the_deployed_data_set_is_cut_whole() {
    let Some(directory) = std::env::var_os("BOLILLERO_DATASET") else {
        println!("skipped: BOLILLERO_DATASET names no directory");
        return;
    };
    let counts = (1..=5).map(|agency| {
        let file = Path::new(&directory).join(format!("agency-{agency}.csv"));
        let sizes = cut_by_the_committed_settings(&file);
        assert_full(&sizes);
        sizes.iter().sum::<usize>()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [26_936, 25_518, 16_014, 9_238, 991]);
}
