//! An agency that is killed wherever it stands, and started again.

use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::office::{Fault, Office, bodies, rows};
use crate::setting::{Setting, TIME_MAX, agency, log};

const OPTIONS: [&str; 4] = ["--batch-bets-max", "3", "--window", "2"];

/// An office that stops at request `n`, serves it before or not at all, and tells so.
fn office_that_holds(n: usize, serves: bool) -> (Office, Receiver<()>) {
    let (told, held) = channel();
    (Office::with_faults([(n, Fault::Hold { serves, told })]), held)
}

fn start(setting: &Setting) -> Child {
    let mut command = agency(&setting.file(), &setting.served.address.to_string(), &OPTIONS);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn an_agency_killed_at_any_request_ends_as_if_it_had_never_been() {
    let file = rows(16);
    let undisturbed = Setting::new(Office::default(), &file);
    let expected = log(&undisturbed.agency(&OPTIONS));
    let requests = undisturbed.served.office.lock().unwrap().requests;
    // A hello, six batches, the mark, the question.
    assert_eq!(requests, 9);
    for (n, serves) in (0..requests).flat_map(|n| [(n, false), (n, true)]) {
        let (office, held) = office_that_holds(n, serves);
        let setting = Setting::new(office, &file);
        let mut child = start(&setting);
        held.recv_timeout(TIME_MAX).unwrap_or_else(|_| panic!("request {n} never came"));
        child.kill().unwrap();
        child.wait().unwrap();

        let output = setting.agency(&OPTIONS);
        assert!(output.status.success(), "killed at {n}, served: {serves}: {output:?}");
        assert_eq!(setting.served.bodies(1), bodies(&file, 3), "killed at {n}, served: {serves}");
        assert!(setting.served.office.lock().unwrap().lane(1).finished);
        let results = |lines: &[String]| lines[lines.len() - 3..].to_vec();
        assert_eq!(results(&log(&output)), results(&expected), "killed at {n}");
    }
}
