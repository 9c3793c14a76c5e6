//! No name leads out of the directory, and nothing but regular files is in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use bolillero_server::files::directory::{Directory, Folder, Reach};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::folder::Cold;
use crate::rig::{Client, directory, service, take_log_lines, write};

const NOT_FOUND: &str = "202 FILE NOT FOUND\r\n";
const INVALID: &str = "201 INVALID ARGUMENTS FOR COMMAND\r\n";

#[test]
fn only_regular_files_of_the_directory_itself_are_listed_and_served() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), &[("secret", b"secret")]);
    let (place, directory) = directory(&[("real", b"1234"), (".hidden", b"")]);
    let inside = |name: &str| place.path().join(name);
    symlink(outside.path().join("secret"), inside("link-outside")).unwrap();
    symlink("real", inside("link-inside")).unwrap();
    symlink("nowhere", inside("link-nowhere")).unwrap();
    symlink(outside.path(), inside("link-directory")).unwrap();
    fs::create_dir(inside("directory")).unwrap();
    mknodat(CWD, inside("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(inside("socket")).unwrap();
    for name in ["with space", "año", "a|b", "real~"] {
        fs::write(inside(name), b"not by HFTP").unwrap();
    }
    fs::write(place.path().join(OsStr::from_bytes(b"\xff")), b"").unwrap();

    for files in [service(directory.clone()), service(Cold(directory))] {
        let mut client = Client::new(&files);
        assert_eq!(client.exchange("get_file_listing\r\n"), "0 OK\r\n.hidden\r\nreal\r\n\r\n");
        for (name, reply) in [
            ("real", "0 OK\r\n4\r\n"),
            (".hidden", "0 OK\r\n0\r\n"),
            ("link-outside", NOT_FOUND),
            ("link-inside", NOT_FOUND),
            ("link-nowhere", NOT_FOUND),
            ("link-directory", NOT_FOUND),
            ("directory", NOT_FOUND),
            ("fifo", NOT_FOUND),
            ("socket", NOT_FOUND),
            (".", NOT_FOUND),
            ("..", NOT_FOUND),
            ("...", NOT_FOUND),
            ("-", NOT_FOUND),
            ("../real", INVALID),
            ("./real", INVALID),
            ("link-directory/secret", INVALID),
            ("/etc/passwd", INVALID),
            ("real~", INVALID),
            ("a|b", INVALID),
            ("%2e%2e", INVALID),
            ("..\\real", INVALID),
            ("real\0", INVALID),
        ] {
            assert_eq!(client.exchange(format!("get_metadata {name}\r\n")), reply, "{name:?}");
            let (in_base64, raw) = match reply {
                NOT_FOUND | INVALID => (reply, reply),
                _ => ("0 OK\r\n\r\n", "0 OK\r\nContent-Length: 0\r\n\r\n"),
            };
            let slice = format!("get_slice {name} 0 0");
            assert_eq!(client.exchange(format!("{slice}\r\n")), in_base64, "{name:?}");
            assert_eq!(client.exchange(format!("{slice} raw\r\n")), raw, "{name:?}");
        }
    }
}

#[test]
fn the_longest_name_is_served() {
    let longest = "n".repeat(255);
    let (_place, directory) = directory(&[(&longest, b"long")]);
    let mut client = Client::new(&service(directory));
    assert_eq!(client.exchange(format!("get_metadata {longest}\r\n")), "0 OK\r\n4\r\n");
    assert_eq!(client.exchange(format!("get_metadata {longest}n\r\n")), NOT_FOUND);
}

#[test]
fn the_directory_may_be_deleted_and_made_again() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b/published");
    let files = service(Directory::create(&path).unwrap());
    let mut client = Client::new(&files);
    assert_eq!(client.exchange("get_file_listing\r\n"), "0 OK\r\n\r\n");
    fs::remove_dir_all(place.path().join("a")).unwrap();
    assert_eq!(client.exchange("get_metadata one\r\n"), NOT_FOUND);
    assert!(path.is_dir(), "made again when it was missed");
    write(&path, &[("one", b"1")]);
    assert_eq!(client.exchange("get_metadata one\r\n"), "0 OK\r\n1\r\n");
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(client.exchange("get_file_listing\r\n"), "0 OK\r\n\r\n");
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(client.exchange("get_slice one 0 1 raw\r\n"), NOT_FOUND);
    // Another one in its place, and a link to one: the operator's own affair.
    fs::remove_dir_all(&path).unwrap();
    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    write(&other, &[("two", b"22")]);
    symlink(&other, &path).unwrap();
    assert_eq!(client.exchange("get_metadata two\r\n"), "0 OK\r\n2\r\n");
}

#[test]
fn a_directory_that_is_none_is_the_servers_fault_and_logged_with_its_path() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("published");
    let files = service(Directory::create(&path).unwrap());
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "a file").unwrap();
    for command in ["get_file_listing", "get_metadata one", "get_slice one 0 1"] {
        take_log_lines();
        let mut client = Client::new(&files);
        let reply = client.exchange(format!("{command}\r\n"));
        assert_eq!(reply, "199 INTERNAL SERVER ERROR\r\n", "{command}");
        assert!(client.is_closed(), "{command}");
        let lines = take_log_lines();
        let line = lines.last().unwrap();
        assert!(line.starts_with("WARN action: answer_request | result: fail | "), "{line}");
        assert!(line.contains(&format!("the directory {}: ", path.display())), "{line}");
    }
    assert!(Directory::create(&path).is_err());
}

#[test]
fn what_is_in_memory_is_found_without_the_disk() {
    let (_place, directory) = directory(&[("warm", &[7; 10_000])]);
    let mut buffer = [0; 10_000];
    let on_disk = directory.open("warm", Reach::Disk).unwrap();
    assert_eq!(on_disk.read_at(&mut buffer, 0, Reach::Disk).unwrap(), 10_000);
    let found = directory.size_of("warm", Reach::Memory);
    if found.is_err() {
        eprintln!("this system does not look names up in memory alone: skipped");
        return;
    }
    assert_eq!(found.unwrap(), 10_000);
    let content = directory.open("warm", Reach::Memory).unwrap();
    // Some file systems have no such reads.
    if let Ok(count) = content.read_at(&mut buffer, 0, Reach::Memory) {
        assert_eq!((count, buffer), (10_000, [7; 10_000]));
    }
}
