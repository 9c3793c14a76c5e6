//! Group commit in two threads: the loop reads, validates and answers while the committer writes all
//! that has gathered and syncs once. With large groups this costs less CPU than a committer that
//! answers itself.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use mio::Waker;

use crate::batch;
use crate::client::Owed;
use crate::clients::Clients;

/// Batches, and who is owed an answer once they are durable.
#[derive(Default)]
struct Group {
    batches: Vec<u8>,
    owed: Vec<Owed>,
}

/// What the committer takes next.
#[derive(Default)]
struct Gathering {
    group: Mutex<Group>,
    changed: Condvar,
}

/// Ends with the first failure of either thread.
pub(crate) fn run(clients: Clients, file: File) -> anyhow::Result<()> {
    let gathering = Arc::new(Gathering::default());
    let (durable, payable) = mpsc::channel();
    let waker = clients.waker()?;
    let (failed, failure) = mpsc::channel();
    let (committer_failed, gathered) = (failed.clone(), Arc::clone(&gathering));
    thread::spawn(move || committer_failed.send(commit(&gathered, file, &durable, &waker)));
    thread::spawn(move || failed.send(serve(clients, &gathering, &payable)));
    Ok(failure.recv()??)
}

fn serve(
    mut clients: Clients,
    gathering: &Gathering,
    payable: &mpsc::Receiver<Vec<Owed>>,
) -> io::Result<()> {
    let mut batches = Vec::new();
    loop {
        let ready = clients.wait()?;
        for owed in payable.try_iter().flatten() {
            owed.pay();
        }
        for index in ready {
            let owed = clients.read(index, |packet| Ok(batch::take(packet, &mut batches)))?;
            if let Some(owed) = owed {
                gathering.add(&batches, owed);
                batches.clear();
            }
        }
    }
}

fn commit(
    gathering: &Gathering,
    mut file: File,
    durable: &mpsc::Sender<Vec<Owed>>,
    waker: &Waker,
) -> io::Result<()> {
    let mut group = Group::default();
    loop {
        gathering.take(&mut group);
        if !group.batches.is_empty() {
            file.write_all(&group.batches)?;
            file.sync_data()?;
            group.batches.clear();
        }
        durable.send(mem::take(&mut group.owed)).map_err(io::Error::other)?;
        waker.wake()?;
    }
}

impl Gathering {
    /// Waits where the committer is far behind.
    fn add(&self, batches: &[u8], owed: Owed) {
        let is_full = |group: &mut Group| group.batches.len() >= GATHERED_MAX;
        let group = self.changed.wait_while(self.lock(), is_full);
        let mut group = group.unwrap_or_else(PoisonError::into_inner);
        group.batches.extend_from_slice(batches);
        group.owed.push(owed);
        if group.owed.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// Waits for something, and takes the whole. The empty group that is given is filled next.
    fn take(&self, taken: &mut Group) {
        let is_empty = |group: &mut Group| group.owed.is_empty();
        let group = self.changed.wait_while(self.lock(), is_empty);
        mem::swap(taken, &mut *group.unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const GATHERED_MAX: usize = 16 << 20;
