//! A room, its guests, and what their connections would keep. Knows no socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bolillero_server::room::{Room, RoomLimits};
use bolillero_server::session::{
    Flow, Input, Mail, Mailbox, Peer, Service as _, Session, Wait, Wake,
};

use crate::log_lines::note_log_lines;

pub(crate) const FULL: &str = r#"{"sender_id": "Server", "status": 500, "content": "server_full"}"#;

pub(crate) fn room(limits: RoomLimits) -> Room {
    note_log_lines();
    Room::new(limits)
}

/// A room with the default limits but for its capacity.
pub(crate) fn room_for(capacity: usize) -> Room {
    room(RoomLimits { capacity, ..RoomLimits::default() })
}

/// A room and this many guests in it, who have read that they are.
pub(crate) fn room_with<const N: usize>() -> (Room, [Guest; N]) {
    let room = room_for(N);
    let guests = std::array::from_fn(|_| Guest::entered(&room));
    (room, guests)
}

/// An object of the server's own. The content is JSON.
pub(crate) fn says(status: u64, content: &str) -> String {
    from(r#""Server""#, status, content)
}

/// An object. Sender and content are JSON.
pub(crate) fn from(sender: &str, status: u64, content: &str) -> String {
    format!(r#"{{"sender_id": {sender}, "status": {status}, "content": {content}}}"#)
}

/// A session, and what its connection would keep.
pub(crate) struct Guest {
    session: Option<Box<dyn Session>>,
    wakes: Arc<Wakes>,
    wakes_seen: usize,
    /// What the peer has sent and the session has not taken, because it holds.
    unread: Vec<u8>,
    held: bool,
    /// What the socket has not taken yet.
    out: Vec<u8>,
}

impl Guest {
    pub(crate) fn new(room: &Room) -> Self {
        let wakes = Arc::new(Wakes::default());
        let peer = Peer::at(([127, 0, 0, 1], 1).into());
        let session = Some(room.open(peer, Mailbox::new(wakes.clone())));
        Self { session, wakes, wakes_seen: 0, unread: Vec::new(), held: false, out: Vec::new() }
    }

    /// One that has read that it is in.
    pub(crate) fn entered(room: &Room) -> Self {
        let mut guest = Self::new(room);
        let first = guest.read();
        assert!(first.len() == 1 && first[0].contains(r#""status": 200"#), "{first:?}");
        guest
    }

    /// Gives itself a name, and reads all there is.
    pub(crate) fn name(&mut self, name: &str) {
        self.send(from("null", 210, &format!("\"{name}\"")));
        self.read();
    }

    /// Sends bytes, and reads nothing.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.unread.extend_from_slice(bytes.as_ref());
        self.turn();
    }

    /// Sends a message. The content is JSON.
    pub(crate) fn say(&mut self, content: &str) {
        self.send(from("null", 200, content));
    }

    /// Reads all there is. Each write is one object with its line feed.
    pub(crate) fn read(&mut self) -> Vec<String> {
        let mut objects = Vec::new();
        loop {
            self.turn();
            if self.out.is_empty() {
                return objects;
            }
            let write = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
            assert!(write.len() <= 1024, "{} bytes in one write", write.len());
            assert_eq!(write.find('\n'), Some(write.len() - 1), "one object, one write: {write}");
            objects.push(write.trim_end().to_owned());
            if self.held {
                self.hand_in(Input::Drained);
            }
        }
    }

    /// Sends bytes, and reads what comes.
    pub(crate) fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.send(bytes);
        self.read()
    }

    pub(crate) fn half_close(&mut self) {
        self.hand_in(Input::Eof);
    }

    pub(crate) fn stop(&mut self) {
        self.hand_in(Input::Mail(Mail::Shutdown));
    }

    pub(crate) fn time_out(&mut self) {
        self.hand_in(Input::Deadline);
    }

    /// The connection is gone, and the session with it.
    pub(crate) fn vanish(&mut self) {
        self.session = None;
    }

    pub(crate) fn wait(&self) -> Option<Wait> {
        self.session.as_ref().unwrap().wait()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.session.is_none()
    }

    /// News first, then bytes.
    fn turn(&mut self) {
        loop {
            let wakes = self.wakes.0.load(Ordering::Relaxed);
            if wakes > self.wakes_seen {
                self.wakes_seen = wakes;
                self.hand_in(Input::Mail(Mail::News));
            } else if !self.held && !self.unread.is_empty() {
                let bytes = std::mem::take(&mut self.unread);
                self.hand_in(Input::Bytes(&bytes));
            } else {
                return;
            }
        }
    }

    fn hand_in(&mut self, input: Input<'_>) {
        let Some(session) = &mut self.session else { return };
        let releases = matches!(input, Input::Mail(_) | Input::Drained);
        match session.handle(input, &mut self.out) {
            Flow::Continue => self.held &= !releases,
            Flow::Hold => self.held = true,
            Flow::Close => (self.session, self.held) = (None, false),
        }
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
