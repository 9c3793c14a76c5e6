//! A directory that is served, one that is fetched to, and a relay between them that breaks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use bolillero_protocol::chain::Hex;
use bolillero_server::driver::{self, Driver, Limits, Listener};
use bolillero_server::files::directory::Directory;
use bolillero_server::files::{Files, FilesLimits};
use bolillero_server::lifecycle::Lifecycle;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::files;
use crate::setting::{TIME_MAX, finish};
use crate::shelf::{Shelf, Visit};

/// A directory that is served as it really is, and an empty one to fetch to.
pub(crate) struct Place {
    address: SocketAddr,
    served: TempDir,
    fetched: TempDir,
    life: Lifecycle,
    ended: Mutex<Receiver<()>>,
}

impl Place {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let (served, fetched) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = Directory::create(served.path()).unwrap();
        let service = Files::new(Arc::new(directory), FilesLimits::default());
        let service = Arc::new(service.unwrap());
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (life, (end, ended)) = (Lifecycle::new(), channel());
        let its_life = life.clone();
        thread::spawn(move || {
            let listeners = vec![Listener { socket, service }];
            let prepared = driver::prepare(Driver::Pool, listeners, &Limits::default()).unwrap();
            prepared.run(&its_life).unwrap();
            end.send(())
        });
        let place = Self { address, served, fetched, life, ended: Mutex::new(ended) };
        files.iter().for_each(|(name, content)| place.put(name, content));
        place
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    /// Has the server have this file, instead of what it had by that name.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let new = self.served.path().join("~new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.served.path().join(name)).unwrap();
    }

    /// Has a file of the server be longer, without a byte written.
    pub(crate) fn grow(&self, name: &str, size: u64) {
        let file = fs::OpenOptions::new().write(true).open(self.served.path().join(name));
        file.unwrap().set_len(size).unwrap();
    }

    /// The directory that files are fetched to.
    pub(crate) fn folder(&self) -> &Path {
        self.fetched.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// What was fetched.
    pub(crate) fn here(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn listed(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Fetches to the folder, from the server itself.
    pub(crate) fn get(&self, options: &[&str]) -> Output {
        self.get_from(&self.server(), options)
    }

    pub(crate) fn get_from(&self, server: &str, options: &[&str]) -> Output {
        let mut command = files("get", server, options);
        command.arg("--output").arg(self.folder());
        finish(command)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.life.stop();
        if !thread::panicking() {
            self.ended.lock().unwrap().recv_timeout(TIME_MAX).unwrap();
        }
    }
}

/// Serves what a shelf answers.
pub(crate) fn serve(shelf: Shelf) -> SocketAddr {
    serve_shared(Arc::new(Mutex::new(shelf)))
}

/// The same of a shelf that is looked into, or changed.
pub(crate) fn serve_shared(shelf: Arc<Mutex<Shelf>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The threads end with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, shelf) = (stream.unwrap(), Arc::clone(&shelf));
            thread::spawn(move || {
                let (mut visit, mut bytes) = (Visit::new(), [0; 4096]);
                while let Ok(size @ 1..) = stream.read(&mut bytes) {
                    let mut out = Vec::new();
                    shelf.lock().unwrap().receive(&mut visit, &bytes[..size], &mut out);
                    if stream.write_all(&out).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An address that nobody listens at.
pub(crate) fn unheard_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What becomes of a connection.
pub(crate) enum Course {
    /// It ends behind so many bytes of the server.
    Cut(u64),
    /// Behind so many bytes of the server no more come. That is told, and the connection stays.
    Stall(u64, Sender<()>),
    /// This is said instead of what the server says, and it ends.
    Say(&'static [u8]),
}

/// Carries bytes to a server and back; of each connection another thing becomes. Those behind the
/// last course are carried to their end.
pub(crate) struct Relay {
    address: SocketAddr,
    carried: Arc<AtomicU64>,
}

impl Relay {
    pub(crate) fn new(server: SocketAddr, courses: Vec<Course>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let carried = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&carried);
        thread::spawn(move || {
            let mut courses = courses.into_iter();
            for client in listener.incoming() {
                let (client, course) = (client.unwrap(), courses.next());
                let count = Arc::clone(&count);
                thread::spawn(move || carry(client, server, course, &count));
            }
        });
        Self { address, carried }
    }

    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    /// Bytes of the server that were carried so far.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }
}

fn carry(mut client: TcpStream, server: SocketAddr, course: Option<Course>, carried: &AtomicU64) {
    if let Some(Course::Say(said)) = course {
        client.write_all(said).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        // Until the client is gone.
        let _ = client.read_to_end(&mut Vec::new());
        return;
    }
    let mut server = TcpStream::connect(server).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut left = match course {
        Some(Course::Cut(bytes) | Course::Stall(bytes, _)) => bytes,
        _ => u64::MAX,
    };
    let mut bytes = [0; 4096];
    while left > 0 {
        let room = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Ok(size @ 1..) = server.read(&mut bytes[..room]) else { break };
        if client.write_all(&bytes[..size]).is_err() {
            break;
        }
        left -= size as u64;
        carried.fetch_add(size as u64, Ordering::SeqCst);
    }
    if let Some(Course::Stall(_, told)) = course {
        let _ = told.send(());
        let _ = client.read_to_end(&mut Vec::new());
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// A line of `SHA256SUMS`.
pub(crate) fn sum_line(content: &[u8], name: &str) -> String {
    format!("{}  {name}\n", Hex(&Sha256::digest(content)))
}
