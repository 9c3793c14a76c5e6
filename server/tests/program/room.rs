//! The room from outside, beside a lottery: deployed chat clients come as they are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use tempfile::tempdir;

use crate::for_every_driver;
use crate::office::{Office, listens};

struct Guest(BufReader<TcpStream>);

impl Guest {
    fn enter(room: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(room).unwrap()))
    }

    fn say(&mut self, object: &str) {
        self.0.get_mut().write_all(object.as_bytes()).unwrap();
    }

    /// The next object, without its line feed; nothing at the end.
    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

for_every_driver! { operators_talk_beside_a_lottery_and_nothing_of_it_is_logged }

fn operators_talk_beside_a_lottery_and_nothing_of_it_is_logged(driver: &str) {
    let directory = tempdir().unwrap();
    let options = ["--room", "127.0.0.1:0", "--room-plaintext", "--room-capacity", "2"];
    let options = [&options[..], &["--driver", driver]].concat();
    let mut office = Office::start(directory.path(), &options);
    let room = listens(&mut office.process, "room");
    let (mut ana, mut leo) = (Guest::enter(room), Guest::enter(room));
    assert_eq!(ana.hears(), r#"{"sender_id": "Server", "status": 200, "content": 1}"#);
    assert_eq!(leo.hears(), r#"{"sender_id": "Server", "status": 200, "content": 2}"#);
    let mut late = Guest::enter(room);
    assert_eq!(late.hears(), r#"{"sender_id": "Server", "status": 500, "content": "server_full"}"#);
    assert_eq!(late.hears(), "");
    leo.say(r#"{"sender_id": null, "status": 200, "content": "a secret, \u00f1"}"#);
    assert_eq!(ana.hears(), r#"{"sender_id": 2, "status": 200, "content": "a secret, \u00f1"}"#);
    drop(leo);
    office.process.wait_for("action: leave");
    assert_eq!(
        Guest::enter(room).hears(),
        r#"{"sender_id": "Server", "status": 200, "content": 3}"#
    );
    let ended = office.stop();
    assert_eq!(ana.hears(), "", "the room closes with the server");
    assert!(!ended.lines.iter().any(|line| line.contains("secret") || line.contains(": fail")));
}
