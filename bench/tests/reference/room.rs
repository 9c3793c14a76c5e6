//! The room: what one says, all others hear.

use std::io::{BufRead, BufReader, Read, Write};

use super::support::Reference;
use super::tls::Secured;

const N_GUESTS: usize = 5;
const N_LINES: usize = 200;

#[test]
fn every_line_reaches_all_others_once_and_in_order() {
    let reference = Reference::start("room");
    let guests = (0..N_GUESTS).map(|_| reference.connect()).collect();
    talk(guests);
}

#[test]
fn every_line_reaches_all_others_under_tls() {
    let secured = Secured::start("room");
    let guests = (0..N_GUESTS).map(|_| secured.connect()).collect();
    talk(guests);
}

fn talk<S: Read + Write>(guests: Vec<S>) {
    let mut guests: Vec<_> = guests.into_iter().map(BufReader::new).collect();
    for (index, guest) in guests.iter_mut().enumerate() {
        let number = index + 1;
        let greeting =
            format!("{{\"sender_id\": \"Server\", \"status\": 200, \"content\": {number}}}\n");
        assert_eq!(line(guest), greeting);
    }
    for speaker in [0, N_GUESTS - 1] {
        let said: String = (0..N_LINES).map(|index| format!("{speaker} says {index}\n")).collect();
        for piece in said.as_bytes().chunks(17) {
            guests[speaker].get_mut().write_all(piece).unwrap();
        }
        for (index, guest) in guests.iter_mut().enumerate() {
            if index != speaker {
                let heard: String = (0..N_LINES).map(|_| line(guest)).collect();
                assert_eq!(heard, said, "guest {index}");
            }
        }
    }
}

fn line(guest: &mut impl BufRead) -> String {
    let mut line = String::new();
    guest.read_line(&mut line).unwrap();
    line
}
