//! Long listings: they stream, connections share them, and all together have a limit.

use std::io;
use std::sync::{Arc, Mutex};

use bolillero_protocol::bet::AGENCIES_MAX;
use bolillero_server::files::FilesLimits;
use bolillero_server::files::directory::{Content, Folder, Reach};

use crate::rig::{Client, service, service_with, take_log_lines};

/// A folder with the names that it is told.
#[derive(Clone, Default)]
struct Named(Arc<Mutex<Vec<String>>>);

impl Named {
    fn set(&self, names: Vec<String>) {
        *self.0.lock().unwrap() = names;
    }
}

impl Folder for Named {
    fn names(&self, bytes_max: usize) -> io::Result<Vec<String>> {
        let names = self.0.lock().unwrap().clone();
        assert!(names.iter().map(|name| name.len() + 2).sum::<usize>() <= bytes_max);
        Ok(names)
    }

    fn size_of(&self, _: &str, _: Reach) -> io::Result<u64> {
        unreachable!("only names are asked for")
    }

    fn open(&self, _: &str, _: Reach) -> io::Result<Box<dyn Content>> {
        unreachable!("only names are asked for")
    }
}

/// The results of a draw with the most agencies, or of one with fewer.
fn results(agencies: u32) -> Vec<String> {
    let mut names: Vec<String> =
        (1..=agencies).map(|agency| format!("winners-agency-{agency}.csv")).collect();
    names.extend(["SHA256SUMS", "draw.json"].map(str::to_owned));
    names.sort_unstable();
    names
}

fn reply(names: &[String]) -> String {
    let lines = names.iter().map(|name| format!("{name}\r\n"));
    format!("0 OK\r\n{}\r\n", lines.collect::<String>())
}

#[test]
fn the_results_of_the_most_agencies_are_listed_piece_by_piece() {
    let names = results(AGENCIES_MAX);
    let folder = Named::default();
    folder.set(names.clone());
    let mut client = Client::new(&service(folder));
    assert_eq!(client.exchange("get_file_listing\r\n"), reply(&names));
    assert!(client.out_max <= 64 << 10, "{} bytes were in the output at once", client.out_max);
    assert_eq!(client.exchange("help\n"), "100 BAD EOL\r\n");
}

#[test]
fn many_that_are_sent_the_same_names_share_them_and_other_names_wait_for_room() {
    let (names, others) = (results(10_000), results(9_999));
    let size = reply(&names).len();
    let folder = Named::default();
    let limits = FilesLimits { listing_memory_bytes_max: 3 * size / 2, ..FilesLimits::default() };
    let files = service_with(folder.clone(), limits);
    folder.set(names.clone());
    let mut unread: Vec<Client> = (0..100).map(|_| Client::new(&files)).collect();
    for client in &mut unread {
        client.send("get_file_listing\r\n");
        client.await_output();
    }
    folder.set(others.clone());
    take_log_lines();
    let mut refused = Client::new(&files);
    assert_eq!(refused.exchange("get_file_listing\r\n"), "199 INTERNAL SERVER ERROR\r\n");
    assert!(refused.is_closed());
    let line = format!(
        "WARN action: answer_request | result: fail | ip: 127.0.0.1 | error: reading the directory: the listings \
         that are being sent take {size} of {} bytes",
        3 * size / 2
    );
    assert_eq!(take_log_lines()[1..], [line]);
    // Each gets the names of the moment at which it asked.
    for client in &mut unread {
        assert!(client.read_all() == reply(&names).into_bytes());
    }
    let mut client = Client::new(&files);
    assert_eq!(client.exchange("get_file_listing\r\n"), reply(&others));
}

#[test]
fn one_listing_alone_may_take_more_than_all_may() {
    let names = results(10);
    let folder = Named::default();
    folder.set(names.clone());
    let limits = FilesLimits { listing_memory_bytes_max: 0, ..FilesLimits::default() };
    let mut client = Client::new(&service_with(folder, limits));
    for _ in 0..2 {
        assert_eq!(client.exchange("get_file_listing\r\n"), reply(&names));
    }
}
