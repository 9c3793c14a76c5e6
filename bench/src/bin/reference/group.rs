//! Group commit in one thread: a round of readiness is one write, one sync, then all its answers.

use std::fs::File;
use std::io::{self, Write};

use crate::batch;
use crate::clients::Clients;

pub(crate) fn run(mut clients: Clients, mut file: File) -> io::Result<()> {
    let mut batches = Vec::new();
    let mut owed = Vec::new();
    loop {
        for index in clients.wait()? {
            owed.extend(clients.read(index, |packet| Ok(batch::take(packet, &mut batches)))?);
        }
        if !batches.is_empty() {
            file.write_all(&batches)?;
            file.sync_data()?;
            batches.clear();
        }
        for owed in owed.drain(..) {
            owed.pay();
        }
    }
}
