//! One write per round of readiness, without a sync: what a file costs where nothing must be durable.

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
        file.write_all(&batches)?;
        batches.clear();
        for owed in owed.drain(..) {
            owed.pay();
        }
    }
}
