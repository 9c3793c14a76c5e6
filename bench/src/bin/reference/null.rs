//! Reads packets and answers them. Validates and stores nothing.

use std::io;

use crate::clients::Clients;

pub(crate) fn run(mut clients: Clients) -> io::Result<()> {
    loop {
        for index in clients.wait()? {
            if let Some(owed) = clients.read(index, |packet| Ok(packet.is_request()))? {
                owed.pay();
            }
        }
    }
}
