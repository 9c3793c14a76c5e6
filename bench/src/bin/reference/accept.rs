//! A connection per request, one after the other: accepts, reads one packet, answers, closes.
//! Validates and stores nothing, and trusts its clients to send at once.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::packets::{ACK, Cut, PACKET_SIZE_MAX, REFUSAL, cut};

pub(crate) fn run(listener: &TcpListener) -> io::Result<()> {
    let mut buffer = vec![0; PACKET_SIZE_MAX];
    loop {
        let (socket, _) = listener.accept()?;
        // Only this client is worse off for what goes wrong here.
        let _ = serve(socket, &mut buffer);
    }
}

fn serve(mut socket: TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut end = 0;
    let answer = loop {
        let length = socket.read(&mut buffer[end..])?;
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
    socket.write_all(answer)
}
