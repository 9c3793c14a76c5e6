//! What is asked of a file server and what becomes of its answers, without a socket: however they
//! are cut, wherever connections end, the bytes are those of the file, or the client says why not.

#![allow(clippy::unwrap_used)] // The lint knows test functions, not their helpers.

mod shelf;

use bolillero::dialogue::{Next, Stop};
use bolillero::files::questions::{Listing, Sizes, Slices, Span};
use bolillero::files::requests::{Questions, Requests};
use bolillero::files::{FilesError, Name, Problem, SUMS, SUMS_SIZE_MAX};
use bolillero::talk::Talk as _;
use bolillero_protocol::bet::AGENCIES_MAX;
use bolillero_protocol::hftp::{Form, Reply};
use proptest::prelude::*;

use shelf::{Shelf, Visit, content};

/// Where connections end: how many bytes of the server each one carries. More follow that do not.
type Breaks<'a> = &'a [usize];

/// No test takes more connections.
const CONNECTIONS_MAX: usize = 1000;

/// Asks until all is answered; the answers arrive in pieces of `piece` bytes.
fn drive<Q: Questions>(
    requests: &mut Requests<Q>,
    shelf: &mut Shelf,
    piece: usize,
    breaks: Breaks<'_>,
) -> Result<(), Stop> {
    for connection in 0..CONNECTIONS_MAX {
        let carried = breaks.get(connection).copied().unwrap_or(usize::MAX);
        if converse(requests, shelf, piece, carried)? {
            return Ok(());
        }
        requests.lost("the connection ended")?;
    }
    panic!("no end after {CONNECTIONS_MAX} connections");
}

/// One connection; true when all is answered.
fn converse<Q: Questions>(
    requests: &mut Requests<Q>,
    shelf: &mut Shelf,
    piece: usize,
    mut carried: usize,
) -> Result<bool, Stop> {
    let (mut visit, mut out) = (Visit::new(), Vec::new());
    requests.open(&mut out)?;
    let mut answers = Vec::new();
    loop {
        shelf.receive(&mut visit, &std::mem::take(&mut out), &mut answers);
        let size = piece.min(answers.len()).min(carried);
        if size == 0 {
            assert!(carried == 0 || requests.owed().is_none(), "it waits for nothing");
            return Ok(false);
        }
        carried -= size;
        let bytes: Vec<_> = answers.drain(..size).collect();
        match requests.receive(&bytes, &mut out)? {
            Next::Read => {}
            Next::Done => return Ok(true),
            Next::Reconnect(_) => return Ok(false),
            next => panic!("{next:?}"),
        }
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// What is asked of a file.
#[derive(Debug, Clone, Copy)]
struct Asking {
    size: u64,
    received: u64,
    slice: u64,
    window: usize,
}

const ASKING: Asking = Asking { size: 10, received: 0, slice: 4, window: 2 };

/// The bytes of `file` that came, and how it ended.
fn fetch(
    asking: Asking,
    shelf: &mut Shelf,
    piece: usize,
    breaks: Breaks<'_>,
) -> (Vec<u8>, Result<(), Stop>) {
    let Asking { size, received, slice, window } = asking;
    let (mut came, name) = (Vec::new(), name("file"));
    let mut sink = |bytes: &[u8]| {
        came.extend_from_slice(bytes);
        Ok(())
    };
    let span = Span { name: &name, size, received, slice };
    let mut requests = Requests::new(Slices::new(span, Form::Raw, &mut sink), window);
    let ended = drive(&mut requests, shelf, piece, breaks);
    drop(requests);
    (came, ended)
}

#[test]
fn a_file_is_asked_for_in_slices_between_two_looks_at_its_size() {
    const LOOK: &str = "get_metadata file";
    let cases: [(usize, usize, &[&str]); 6] = [
        (0, 0, &[]),
        (1, 0, &["0 1"]),
        (3, 0, &["0 3"]),
        (4, 0, &["0 4"]),
        (5, 0, &["0 4", "4 1"]),
        (9, 3, &["3 4", "7 2"]),
    ];
    for (size, received, slices) in cases {
        let file = content(size);
        let mut shelf = Shelf::of(&[("file", &file)]);
        let asking = Asking { size: size as u64, received: received as u64, ..ASKING };
        let (came, ended) = fetch(asking, &mut shelf, usize::MAX, &[]);
        ended.unwrap();
        assert_eq!(came, file[received..]);
        let slices = slices.iter().map(|slice| format!("get_slice file {slice} raw"));
        let asked: Vec<_> =
            [LOOK.to_owned()].into_iter().chain(slices).chain([LOOK.to_owned()]).collect();
        assert_eq!(shelf.asked, asked);
    }
}

#[test]
fn no_more_than_a_window_is_on_its_way() {
    let file = content(100);
    for window in [1, 2, 64] {
        let name = name("file");
        let mut sink = |_: &[u8]| Ok(());
        let span = Span { name: &name, size: 100, received: 0, slice: 1 };
        let mut requests = Requests::new(Slices::new(span, Form::Raw, &mut sink), window);
        let mut out = Vec::new();
        requests.open(&mut out).unwrap();
        let lines = |out: &[u8]| out.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(lines(&out), window);
        let (mut shelf, mut answers) = (Shelf::of(&[("file", &file)]), Vec::new());
        let (mut visit, mut open) = (Visit::new(), window);
        shelf.receive(&mut visit, &std::mem::take(&mut out), &mut answers);
        while requests.receive(&answers, &mut out).unwrap() == Next::Read {
            let asked = lines(&out);
            assert!(asked <= open, "{asked} of {open} were answered");
            (open, answers) = (asked, Vec::new());
            shelf.receive(&mut visit, &std::mem::take(&mut out), &mut answers);
        }
    }
}

#[test]
fn a_server_without_raw_slices_is_asked_for_base64() {
    let file = content(1000);
    for (window, piece, breaks) in
        [(1, 1, &[][..]), (4, 7, &[]), (64, usize::MAX, &[]), (4, 50, &[100, 100, 100])]
    {
        let mut shelf = Shelf { is_old: true, ..Shelf::of(&[("file", &file)]) };
        let asking = Asking { size: 1000, received: 0, slice: 100, window };
        let (came, ended) = fetch(asking, &mut shelf, piece, breaks);
        ended.unwrap();
        assert!(came == file, "window {window}");
        let raw = shelf.asked.iter().filter(|line| line.ends_with(" raw")).count();
        assert!(raw <= window, "{raw} raw slices with a window of {window}");
    }
}

#[test]
fn a_file_that_is_another_by_now_is_told_from_one_that_is_not_there() {
    let cases: [(&str, &[u8], bool); 6] = [
        ("get_metadata", b"0 OK\r\n9\r\n", true),
        ("get_metadata", b"0 OK\r\n11\r\n", true),
        ("get_slice file 8", b"203 OFFSET EXCEEDS FILE SIZE\r\n", true),
        ("get_slice", b"202 FILE NOT FOUND\r\n", false),
        ("get_metadata", b"202 FILE NOT FOUND\r\n", false),
        ("get_slice", b"777 NO\x1b[2J WAY\r\n", false),
    ];
    for (line, lie, changed) in cases {
        let shelf = Shelf::of(&[("file", &content(10))]);
        let mut shelf = Shelf { lies: vec![(line, lie.to_vec())], ..shelf };
        let stop = fetch(ASKING, &mut shelf, 3, &[]).1.unwrap_err();
        let Stop::Files(FilesError::File { problem, .. }) = &stop else { panic!("{stop}") };
        assert_eq!(matches!(problem, Problem::Changed), changed, "{line}: {stop}");
        assert!(!stop.to_string().contains('\x1b'), "{stop}");
    }
}

#[test]
fn a_lie_ends_it_and_is_called_one() {
    let long = vec![b'1'; 1 << 20];
    let cases: [(&str, &[u8], &str); 12] = [
        ("help", b"HTTP/1.1 400 Bad Request\r\n", "is not a status"),
        ("help", b"101 BAD REQUEST\r\n", "101 BAD REQUEST"),
        ("help", b"\x02\0\0\0\0\n", "does not end in CR LF"),
        ("help", &long, "more than 1024 bytes"),
        ("get_metadata", b"0 OK\r\nten\r\n", "is not a size"),
        ("get_metadata", &long, "more than 1024 bytes"),
        ("get_slice file 0 4 raw", b"0 OK\r\nContent-Length: 5\r\n\r\n12345", "more or fewer"),
        ("get_slice file 0 4 raw", b"0 OK\r\nContent-Length: 3\r\n\r\n123", "more or fewer"),
        ("get_slice file 0 4 raw", b"0 OK\r\nContent-Length: 4\r\n\r\n1234x", "is not a status"),
        ("get_slice file 0 4 raw", b"0 OK\r\nContent-Type: text\r\n", "is not a Content-Length"),
        ("get_slice file 0 4 raw", b"0 OK\r\n", "is not a Content-Length"),
        ("get_slice file 0 4 raw", &long, "more than 1024 bytes"),
    ];
    for (line, lie, said) in cases {
        for piece in [1, usize::MAX] {
            let shelf = Shelf::of(&[("file", &content(10))]);
            let mut shelf = Shelf { lies: vec![(line, lie.to_vec())], ..shelf };
            let stop = fetch(ASKING, &mut shelf, piece, &[]).1.unwrap_err();
            assert!(stop.to_string().contains(said), "{line}: {stop}");
            assert!(!matches!(stop, Stop::Files(FilesError::File { .. })), "{line}: {stop}");
        }
    }
}

#[test]
fn base64_that_is_none_or_has_another_length_is_a_lie() {
    for (lie, said) in [
        (&b"0 OK\r\nAAAA AAA\r\n"[..], "not base64"),
        (b"0 OK\r\nAAAAAAAA\r\n", "more or fewer"),
        (b"0 OK\r\nAAAA\r\n", "more or fewer"),
        (b"0 OK\r\nAAAAAA\r\n", "not base64"),
    ] {
        let old = Shelf { is_old: true, ..Shelf::of(&[("file", &content(10))]) };
        let mut shelf = Shelf { lies: vec![("get_slice file 4 4", lie.to_vec())], ..old };
        // Behind the fall back; a raw slice of these bytes is not asked for.
        let asking = Asking { window: 1, ..ASKING };
        let stop = fetch(asking, &mut shelf, usize::MAX, &[]).1.unwrap_err();
        assert!(stop.to_string().contains(said), "{stop}");
    }
}

#[test]
fn bytes_that_nobody_asked_for_are_told() {
    let mut requests = Requests::new(Listing::default(), 1);
    requests.open(&mut Vec::new()).unwrap();
    let mut out = Vec::new();
    requests.receive(b"0 OK\r\nhelp\r\n\r\n", &mut out).unwrap();
    let stop = requests.receive(b"0 OK\r\n\r\n0", &mut out).unwrap_err();
    assert!(stop.to_string().contains("more than it was asked for"), "{stop}");
}

#[test]
fn a_199_before_any_other_answer_means_no_room_and_later_the_file() {
    const OWN_FAULT: &[u8] = b"199 INTERNAL SERVER ERROR\r\n";
    let mut requests = Requests::new(Listing::default(), 1);
    let mut out = Vec::new();
    requests.open(&mut out).unwrap();
    let next = requests.receive(OWN_FAULT, &mut out).unwrap();
    assert_eq!(next, Next::Reconnect("the server has no room at present"));
    assert!(!requests.is_established());

    let shelf = Shelf::of(&[("a", b"1"), ("b", b"22"), ("c", b"333")]);
    let mut shelf = Shelf { lies: vec![("get_metadata b", OWN_FAULT.to_vec())], ..shelf };
    let names = ["a", "b", "c", "d"].map(name);
    let mut requests = Requests::new(Sizes::of(&names), 64);
    drive(&mut requests, &mut shelf, usize::MAX, &[]).unwrap();
    let sizes = requests.into_questions().into_sizes();
    let told: Vec<_> =
        sizes.iter().map(|size| size.as_ref().map_err(ToString::to_string)).collect();
    let refused = |said: &str| Err(format!("the server says {said}"));
    assert_eq!(
        told[..3],
        [Ok(&1), refused("199 INTERNAL SERVER ERROR. The server's log tells why"), Ok(&3)]
    );
    assert_eq!(told[3], refused("202 FILE NOT FOUND; `bolillero files ls` tells what is there"));
    // Behind the refusal nothing was read of the first connection.
    assert_eq!(shelf.asked.iter().filter(|line| line.ends_with(" b")).count(), 1);
}

#[test]
fn a_listing_is_names_and_has_an_end() {
    let list = |listing: Vec<u8>| {
        let mut shelf = Shelf { lies: vec![("get_file_listing", listing)], ..Shelf::default() };
        let mut requests = Requests::new(Listing::default(), 1);
        drive(&mut requests, &mut shelf, 4096, &[])?;
        Ok::<_, Stop>(requests.into_questions().into_names())
    };
    for bad in ["..", ".", "a/b", "/etc/passwd", "a b", "\x1b[2J", "a\\b"] {
        let stop = list(format!("0 OK\r\ngood\r\n{bad}\r\n\r\n").into_bytes()).unwrap_err();
        assert!(stop.to_string().contains("which is no name of a file"), "{stop}");
        assert!(!stop.to_string().contains('\x1b'), "{stop}");
    }
    let endless = [&b"0 OK\r\n"[..], &b"abcdefgh\r\n".repeat(1 << 20)].concat();
    let stop = list(endless).unwrap_err();
    assert!(stop.to_string().contains("listing is too long"), "{stop}");
    assert_eq!(list(b"0 OK\r\n\r\n".to_vec()).unwrap(), []);
}

#[test]
fn the_results_of_the_most_agencies_that_a_draw_can_have_are_listed_and_checked() {
    let results = (1..=AGENCIES_MAX).map(|agency| format!("winners-agency-{agency}.csv"));
    let others = ["draw.json", SUMS].map(str::to_owned);
    let names: Vec<String> = results.chain(others).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut listing = Vec::new();
    Reply::Names(&names).encode(&mut listing);
    let mut shelf = Shelf { lies: vec![("get_file_listing", listing)], ..Shelf::default() };
    let mut requests = Requests::new(Listing::default(), 1);
    drive(&mut requests, &mut shelf, 64 << 10, &[]).unwrap();
    assert_eq!(requests.into_questions().into_names().len(), names.len());
    // Every file but the checksums themselves has 64 digits, two blanks, its name and a line end there.
    let sums: usize = names[..names.len() - 1].iter().map(|name| 64 + 2 + name.len() + 1).sum();
    assert!(u64::try_from(sums).unwrap() <= SUMS_SIZE_MAX, "{sums}");
}

#[test]
fn a_listing_that_breaks_off_is_asked_for_anew() {
    let mut shelf = Shelf::of(&[("a", b""), ("b", b""), ("c", b"")]);
    for broken in 0..40 {
        let mut requests = Requests::new(Listing::default(), 1);
        drive(&mut requests, &mut shelf, 1, &[broken, broken]).unwrap();
        assert_eq!(requests.into_questions().into_names(), ["a", "b", "c"].map(name));
    }
}

#[test]
fn the_wait_for_an_answer_begins_anew_with_each_piece_of_a_slice() {
    let name = name("file");
    let mut sink = |_: &[u8]| Ok(());
    let span = Span { name: &name, size: 1 << 20, received: 0, slice: 1 << 20 };
    let mut requests = Requests::new(Slices::new(span, Form::Raw, &mut sink), 4);
    let mut out = Vec::new();
    requests.open(&mut out).unwrap();
    let head = b"0 OK\r\n\r\n0 OK\r\n1048576\r\n0 OK\r\nContent-Length: 1048576\r\n\r\n";
    requests.receive(head, &mut out).unwrap();
    assert!(!requests.is_established(), "a size and no byte is nothing new");
    let begun = requests.owed();
    requests.receive(&[0; (16 << 10) - 1], &mut out).unwrap();
    assert_eq!(requests.owed(), begun);
    requests.receive(&[0], &mut out).unwrap();
    assert_ne!(requests.owed(), begun);
    assert!(requests.is_established());
}

proptest! {
    #[test]
    fn wherever_answers_are_cut_and_connections_end_the_bytes_are_those_of_the_file(
        size in 0_usize..3000,
        received: proptest::sample::Index,
        slice in 1_u64..700,
        window in 1_usize..9,
        piece in 1_usize..2000,
        breaks in proptest::collection::vec(0_usize..1500, 0..12),
        is_old: bool,
    ) {
        let file = content(size);
        let mut shelf = Shelf { is_old, ..Shelf::of(&[("file", &file)]) };
        let received = received.index(size + 1);
        let asking = Asking { size: size as u64, received: received as u64, slice, window };
        let (came, ended) = fetch(asking, &mut shelf, piece, &breaks);
        ended.unwrap();
        prop_assert!(came == file[received..]);
    }
}
