//! A file, whole, to whoever says anything: plain reads and writes, one connection after the other.
//! Knows no slice and no name.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::TcpListener;

use crate::blocking::{self, Stream};
use crate::link::Tls;

pub(crate) fn run(listener: &TcpListener, tls: Option<&Tls>, mut file: File) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_SIZE];
    blocking::run(listener, tls, |stream| serve(stream, &mut file, &mut buffer))
}

fn serve(stream: &mut dyn Stream, file: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    if stream.read(buffer)? == 0 {
        return Ok(());
    }
    file.rewind()?;
    loop {
        let length = file.read(buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

/// What it reads and writes at once; 64 KiB were slower, 1 MiB no faster.
const PIECE_SIZE: usize = 256 << 10;
