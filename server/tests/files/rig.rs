//! A session of the file service, what its connection would keep, and the files it serves. Knows no
//! socket.

use std::cell::RefCell;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Once};
use std::time::Duration;

use bolillero_server::files::directory::{Directory, Folder};
use bolillero_server::files::{Files, FilesLimits};
use bolillero_server::session::{
    Flow, Input, Mail, Mailbox, Peer, Service as _, Session, Wait, Wake,
};
use tempfile::TempDir;

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The files of the golden vectors.
pub(crate) const FILES: [(&str, &[u8]); 3] =
    [("hello.txt", b"hello, world!"), ("empty.bin", b""), ("Z_9-a.tar.gz", b"\xff\xfe\x00\r\n")];

/// A directory with these files.
pub(crate) fn directory(files: &[(&str, &[u8])]) -> (TempDir, Directory) {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), files);
    let directory = Directory::create(place.path()).unwrap();
    (place, directory)
}

pub(crate) fn write(path: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        std::fs::write(path.join(name), content).unwrap();
    }
}

pub(crate) fn service(folder: impl Folder + 'static) -> Files {
    service_with(folder, FilesLimits::default())
}

pub(crate) fn service_with(folder: impl Folder + 'static, limits: FilesLimits) -> Files {
    note_log_lines();
    Files::new(Arc::new(folder), limits).unwrap()
}

/// A session, and what its connection would keep.
pub(crate) struct Client {
    session: Option<Box<dyn Session>>,
    wakes: Receiver<()>,
    /// What the peer has sent and the session has not taken, because it holds.
    unread: Vec<u8>,
    held: bool,
    out: Vec<u8>,
    /// The most output there was.
    pub(crate) out_max: usize,
}

impl Client {
    pub(crate) fn new(files: &Files) -> Self {
        let (sender, wakes) = mpsc::channel();
        let peer = Peer::at(([127, 0, 0, 1], 1).into());
        let session = Some(files.open(peer, Mailbox::new(Arc::new(Bell(sender)))));
        Self { session, wakes, unread: Vec::new(), held: false, out: Vec::new(), out_max: 0 }
    }

    /// Sends bytes. The session takes them unless it holds.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.unread.extend_from_slice(bytes.as_ref());
        self.turn();
    }

    /// Reads all that is there without a reader; the session may hold for more.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            self.turn();
            if self.out.is_empty() {
                return read;
            }
            read.extend(self.read_once());
        }
    }

    /// Reads what is in the output now.
    pub(crate) fn read_once(&mut self) -> Vec<u8> {
        let read = std::mem::take(&mut self.out);
        if self.held && !read.is_empty() {
            self.hand_in(Input::Drained);
        }
        read
    }

    /// Reads until nothing is owed any more.
    pub(crate) fn read_all(&mut self) -> Vec<u8> {
        let mut read = self.read();
        while self.held && self.session.is_some() {
            self.await_wake();
            read.extend(self.read());
        }
        read
    }

    pub(crate) fn exchange(&mut self, command: impl AsRef<[u8]>) -> String {
        self.send(command);
        String::from_utf8_lossy(&self.read_all()).into_owned()
    }

    /// Waits until there is output, if a reader has to bring it.
    pub(crate) fn await_output(&mut self) {
        while self.out.is_empty() {
            self.await_wake();
        }
    }

    /// Waits until a reader wakes the session, and tells it.
    fn await_wake(&mut self) {
        self.wakes.recv_timeout(PATIENCE).expect("nobody wakes the session");
        self.hand_in(Input::Mail(Mail::News));
    }

    /// Tells it of news that there are not.
    pub(crate) fn wake(&mut self) {
        self.hand_in(Input::Mail(Mail::News));
    }

    /// Ends the peer's sending.
    pub(crate) fn half_close(&mut self) {
        self.hand_in(Input::Eof);
    }

    /// Has the session told that the server stops.
    pub(crate) fn stop(&mut self) {
        self.hand_in(Input::Mail(Mail::Shutdown));
    }

    pub(crate) fn time_out(&mut self) {
        self.hand_in(Input::Deadline);
    }

    pub(crate) fn wait(&self) -> Option<Wait> {
        self.session.as_ref().unwrap().wait()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.session.is_none()
    }

    fn turn(&mut self) {
        while let Ok(()) = self.wakes.try_recv() {
            self.hand_in(Input::Mail(Mail::News));
        }
        if !self.held && !self.unread.is_empty() {
            let bytes = std::mem::take(&mut self.unread);
            // As much as a connection reads at once.
            let (first, rest) = bytes.split_at(bytes.len().min(64 << 10));
            self.unread = rest.to_vec();
            self.hand_in(Input::Bytes(first));
            self.turn();
        }
    }

    fn hand_in(&mut self, input: Input<'_>) {
        let Some(session) = &mut self.session else { return };
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, &mut self.out) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            Flow::Close => self.session = None,
        }
        self.out_max = self.out_max.max(self.out.len());
    }
}

struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(&self) {
        // The client may be gone.
        let _ = self.0.send(());
    }
}

/// The lines that this thread has logged since it was last asked, with their levels.
pub(crate) fn take_log_lines() -> Vec<String> {
    LINES.with(|lines| std::mem::take(&mut *lines.borrow_mut()))
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl log::Log for ThreadLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}", record.level(), record.args());
        LINES.with(|lines| lines.borrow_mut().push(line));
    }

    fn flush(&self) {}
}

fn note_log_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&ThreadLog).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
}
