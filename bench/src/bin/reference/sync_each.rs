//! A write and a sync per batch. The answers of one read leave together, after the last sync.

use std::fs::File;
use std::io::{self, Write};

use crate::batch;
use crate::clients::Clients;

pub(crate) fn run(mut clients: Clients, mut file: File) -> io::Result<()> {
    let mut batch = Vec::new();
    loop {
        for index in clients.wait()? {
            let owed = clients.read(index, |packet| {
                let accepted = batch::take(packet, &mut batch);
                if !batch.is_empty() {
                    file.write_all(&batch)?;
                    file.sync_data()?;
                    batch.clear();
                }
                Ok(accepted)
            })?;
            if let Some(owed) = owed {
                owed.pay();
            }
        }
    }
}
