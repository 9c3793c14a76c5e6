//! `bolillero bet`: one bet, from wherever its fields stand.

use std::fs;
use std::process::{Command, Output};

use bolillero_protocol::message::Reply;
use tempfile::TempDir;

use crate::office::{Fault, Office, Served, packet};
use crate::setting::{finish, log, program, stderr};

const BET: [(&str, &str); 5] = [
    ("NOMBRE", "Santiago Lionel"),
    ("APELLIDO", "Lorca"),
    ("DOCUMENTO", "30904465"),
    ("NACIMIENTO", "1999-03-17"),
    ("NUMERO", "7574"),
];
const STORED: &[u8] = b"1#@0#1#Santiago Lionel#Lorca#30904465#1999-03-17#7574#";

/// An office, and a directory to run in.
struct Place {
    served: Served,
    directory: TempDir,
}

impl Place {
    fn new(office: Office) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("client")).unwrap();
        Self { served: Served::new(office), directory }
    }

    fn command(&self, options: &[&str]) -> Command {
        let server = self.served.address.to_string();
        let mut command = program(&[&["bet", "--id", "1", "--server", &server], options].concat());
        command.current_dir(self.directory.path());
        command
    }

    fn bet(&self) -> Output {
        let mut command = self.command(&["--reply-timeout", "200ms"]);
        command.envs(BET);
        finish(command)
    }

    fn write(&self, name: &str, number: &str) {
        let lines = BET.map(|(key, value)| format!("{key}={value}\n")).concat();
        fs::write(self.directory.path().join(name), lines.replace("7574", number)).unwrap();
    }

    fn stored(&self) -> Vec<Vec<u8>> {
        self.served.bodies(1)
    }
}

#[test]
fn a_bet_is_stored_and_told_by_document_and_number() {
    let place = Place::new(Office::default());
    let output = place.bet();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.stored(), [STORED]);
    assert_eq!(
        log(&output),
        [
            &format!(
                "INFO     action: config | result: success | client_id: 1 | server_address: {} | \
                 loop_amount: 5 | loop_period: 5s | log_level: INFO",
                place.served.address
            ),
            "INFO     action: apuesta_enviada | result: success | dni: 30904465 | numero: 7574",
        ]
    );
    assert_eq!(place.served.office.lock().unwrap().requests, 1, "no draw is waited for");
}

#[test]
fn leading_zeros_of_a_number_are_sent_and_not_logged() {
    // As many digits as an office takes.
    let zeros = "0".repeat(18) + "42";
    for number in ["0042", &zeros] {
        let place = Place::new(Office::default());
        let mut command = place.command(&[]);
        command.envs(BET).env("NUMERO", number);
        let output = finish(command);
        assert!(place.stored()[0].ends_with(format!("#{number}#").as_bytes()));
        let said = "apuesta_enviada | result: success | dni: 30904465 | numero: 42";
        assert!(log(&output).pop().unwrap().ends_with(said), "{output:?}");
    }
}

#[test]
fn a_file_beside_it_is_read_below_the_environment_and_the_flags() {
    let place = Place::new(Office::default());
    place.write("client/.env", "1");
    assert!(finish(place.command(&[])).status.success());
    place.write(".env", "2");
    assert!(finish(place.command(&[])).status.success());
    place.write("mine", "3");
    assert!(finish(place.command(&["--env-file", "mine"])).status.success());
    let mut command = place.command(&[]);
    command.env("NUMERO", "4");
    assert!(finish(command).status.success());
    let mut command = place.command(&["--number", "5"]);
    command.env("NUMERO", "4");
    assert!(finish(command).status.success());
    let numbers = place.stored();
    let numbers: Vec<_> = numbers.iter().map(|body| body[body.len() - 2] - b'0').collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[test]
fn a_field_that_is_wrong_is_told_before_a_socket_opens() {
    let place = Place::new(Office::default());
    place.write(".env", "10000");
    let output = finish(place.command(&[]));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output), "bolillero: NUMERO in .env, line 5: number is not 0 to 9999\n");
    assert_eq!(log(&output).len(), 0);
    assert_eq!(place.served.office.lock().unwrap().requests, 0);
}

#[test]
fn a_busy_office_is_asked_again_and_a_refusal_is_told() {
    let busy = Fault::Last(packet(&Reply::Busy));
    let place = Place::new(Office::with_faults([(0, busy.clone()), (1, busy)]));
    let output = place.bet();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.stored(), [STORED]);
    assert!(!log(&output).iter().any(|line| line.contains("fail")), "{output:?}");

    let refusal = Fault::Answer(packet(&Reply::Error("the draw | is done")));
    let place = Place::new(Office::with_faults([(0, refusal)]));
    let output = place.bet();
    assert_eq!(output.status.code(), Some(1));
    let said = "ERROR    action: apuesta_enviada | result: fail | dni: 30904465 | numero: 7574 | \
        error: the office refused the bet: the draw   is done";
    assert_eq!(log(&output).pop().unwrap(), said);
}

#[test]
fn a_lost_answer_is_not_asked_for_again() {
    let closed = Fault::Last(packet(&Reply::Close));
    for fault in [Fault::Drop, Fault::DropAfter, Fault::Silent, closed] {
        let place = Place::new(Office::with_faults([(0, fault.clone())]));
        let output = place.bet();
        assert_eq!(output.status.code(), Some(1), "{fault:?} {output:?}");
        assert!(stderr(&output).contains("the bet may be stored or not"), "{fault:?} {output:?}");
        assert_eq!(place.served.office.lock().unwrap().requests, 1, "{fault:?}");
    }
}
