//! One connection after the other in blocking calls, under TLS where it is spoken. Knows nothing of
//! what is said.

use std::io::{self, Read, Write};
use std::net::TcpListener;

use bolillero_tls::rustls::{ServerConnection, StreamOwned};

use crate::link::Tls;

/// A connection, whatever is around it.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Has `serve` serve whoever comes.
pub(crate) fn run(
    listener: &TcpListener,
    tls: Option<&Tls>,
    mut serve: impl FnMut(&mut dyn Stream) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept()?;
        let Some(tls) = tls else {
            // Only this client is worse off for what goes wrong here.
            let _ = serve(&mut socket);
            continue;
        };
        // Tickets and an answer are two writes: the second must not wait until the first is taken.
        socket.set_nodelay(true)?;
        let mut tls = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
        tls.set_buffer_limit(None);
        let mut stream = StreamOwned::new(tls, socket);
        if serve(&mut stream).is_ok() {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}
