//! Readers wait for the disk, and nobody else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bolillero_server::files::FilesLimits;

use crate::folder::{Call, Scripted, gated, only_on_disk};
use crate::gate::Gate;
use crate::rig::{Client, service};

#[test]
fn many_that_wait_for_blocked_readers_stop_nobody_who_needs_none() {
    let gate = Gate::default();
    let files = service(gated(&gate));
    let mut waiting: Vec<Client> = (0..100).map(|_| Client::new(&files)).collect();
    for client in &mut waiting {
        client.send("get_metadata cold\r\nhelp\n");
        assert!(client.is_held());
    }
    gate.await_waiting(FilesLimits::default().readers);
    let mut other = Client::new(&files);
    other.send("get_metadata warm\r\nget_slice warm 0 0 raw\r\nquit\r\n");
    let replies = other.read();
    assert_eq!(replies, b"0 OK\r\n9\r\n0 OK\r\nContent-Length: 0\r\n\r\n0 OK\r\n");
    assert!(other.is_closed());
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.read_all(), b"0 OK\r\n9\r\n100 BAD EOL\r\n");
    }
}

#[test]
fn what_nobody_waits_for_any_more_is_not_looked_up() {
    let gate = Gate::default();
    let folder = gated(&gate);
    let calls = Arc::clone(&folder.calls);
    let files = service(folder);
    let readers = FilesLimits::default().readers;
    let mut at_work: Vec<Client> = (0..readers).map(|_| Client::new(&files)).collect();
    for client in &mut at_work {
        client.send("get_metadata cold\r\n");
    }
    gate.await_waiting(readers);
    for _ in 0..100 {
        Client::new(&files).send("get_metadata cold\r\n");
    }
    let before = calls.load(Ordering::Acquire);
    gate.open();
    for client in &mut at_work {
        assert_eq!(client.read_all(), b"0 OK\r\n9\r\n");
    }
    // Each of the errands of those who left is before this one.
    let mut last = Client::new(&files);
    assert_eq!(last.exchange("get_metadata cold\r\n"), "0 OK\r\n9\r\n");
    assert_eq!(calls.load(Ordering::Acquire), before + 2, "asked from memory, then by a reader");
}

#[test]
fn bytes_behind_a_command_that_waits_are_answered_behind_it() {
    let gate = Gate::default();
    let files = service(gated(&gate));
    let mut client = Client::new(&files);
    client.send("get_slice cold 0 1\r\nget_metadata warm\r\nget_metadata co");
    assert!(client.is_held());
    gate.open();
    assert_eq!(client.read_all(), b"0 OK\r\nAA==\r\n0 OK\r\n9\r\n");
    assert_eq!(client.exchange("ld\r\n"), "0 OK\r\n9\r\n");
}

#[test]
fn a_reader_that_panics_closes_one_connection_and_reads_on_for_others() {
    let panics = AtomicUsize::new(0);
    let folder = Scripted::new(9, move |call, reach| {
        only_on_disk(reach)?;
        if call == Call::Size("bad") {
            panics.fetch_add(1, Ordering::AcqRel);
            panic!("as the test wished");
        }
        Ok(usize::MAX)
    });
    let files = service(folder);
    // More often than there are readers.
    for _ in 0..2 * FilesLimits::default().readers {
        let mut client = Client::new(&files);
        client.exchange("get_metadata bad\r\n");
        assert!(client.is_closed());
    }
    assert_eq!(Client::new(&files).exchange("get_metadata good\r\n"), "0 OK\r\n9\r\n");
}
