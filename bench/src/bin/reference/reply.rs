//! A fixed reply to every line, one connection after the other, in blocking calls. Looks nothing
//! up.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

pub(crate) fn run(listener: &TcpListener, reply: &[u8]) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept()?;
        // Only this client is worse off for what goes wrong here.
        let _ = serve(socket, reply);
    }
}

fn serve(mut socket: TcpStream, reply: &[u8]) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = [0; BUFFER_SIZE];
    loop {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        socket.write_all(&replies(&buffer[..length], reply))?;
    }
}

/// What some bytes of a client are answered: a reply for each line that ends in them.
pub(crate) fn replies(bytes: &[u8], reply: &[u8]) -> Vec<u8> {
    reply.repeat(memchr::memchr_iter(b'\n', bytes).count())
}

/// What is read at once.
pub(crate) const BUFFER_SIZE: usize = 4 << 10;
