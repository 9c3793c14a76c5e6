//! A connection per request: each thread accepts one, reads one packet, answers, closes, and takes
//! the next. Validates and stores nothing, and trusts its clients to send at once.

use std::io;
use std::net::TcpListener;
use std::thread;

use crate::blocking::{self, Stream};
use crate::link::Tls;
use crate::packets::{ACK, Cut, PACKET_SIZE_MAX, REFUSAL, cut};

pub(crate) fn run(listener: &TcpListener, tls: Option<&Tls>, threads: usize) -> io::Result<()> {
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| accept(listener, tls));
        }
        accept(listener, tls)
    })
}

fn accept(listener: &TcpListener, tls: Option<&Tls>) -> io::Result<()> {
    let mut buffer = vec![0; PACKET_SIZE_MAX];
    blocking::run(listener, tls, |stream| serve(stream, &mut buffer))
}

fn serve(stream: &mut dyn Stream, buffer: &mut [u8]) -> io::Result<()> {
    let mut end = 0;
    let answer = loop {
        let length = stream.read(&mut buffer[end..])?;
        if length == 0 {
            return Ok(());
        }
        end += length;
        match cut(&mut &buffer[..end]) {
            Cut::Partial => {}
            Cut::Whole(packet) if packet.is_request() => break &ACK[..],
            Cut::Whole(_) | Cut::TooLong => break REFUSAL,
        }
    };
    stream.write_all(answer)
}

/// Of accepts: enough for clients and handshakes to keep some processors busy.
pub(crate) const THREADS: usize = 8;
