//! A session behind TLS, its peer, and an inside that notes what it is given.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bolillero_server::session::{Flow, Input, Mail, Mailbox, Peer, Service, Session, Wait, Wake};
use bolillero_server::tls::Secured;
use bolillero_tls::rustls::pki_types::ServerName;
use bolillero_tls::rustls::{ClientConfig, ClientConnection};
use bolillero_tls::server::{Admission, ServerTls};

use crate::certificates::{self, CERTIFICATES, of_agency, valid, write_server_files};

pub(crate) const HANDSHAKE: Duration = Duration::from_millis(1234);

/// What a session inside was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    Bytes(Vec<u8>),
    News,
    Stop,
    Drained,
    Deadline,
    Eof,
}

/// What the sessions of a service were given, and whom they were opened for.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) given: Vec<Given>,
    pub(crate) opened: Vec<Option<u32>>,
    pub(crate) wait: Option<Wait>,
}

type Answer = dyn Fn(&Given, &mut Vec<u8>) -> Flow + Send + Sync;

struct Noting {
    notes: Arc<Mutex<Notes>>,
    answer: Arc<Answer>,
}

impl Service for Noting {
    fn name(&self) -> &'static str {
        "noting"
    }

    fn open(&self, peer: Peer, _: Mailbox) -> Box<dyn Session> {
        self.notes.lock().unwrap().opened.push(peer.agency);
        Box::new(Self { notes: Arc::clone(&self.notes), answer: Arc::clone(&self.answer) })
    }

    fn busy(&self) -> &[u8] {
        b"busy"
    }
}

impl Session for Noting {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        let given = match input {
            Input::Bytes(bytes) => Given::Bytes(bytes.to_vec()),
            Input::Mail(Mail::News) => Given::News,
            Input::Mail(Mail::Shutdown) => Given::Stop,
            Input::Drained => Given::Drained,
            Input::Deadline => Given::Deadline,
            Input::Eof => Given::Eof,
        };
        let flow = (self.answer)(&given, out);
        self.notes.lock().unwrap().given.push(given);
        flow
    }

    fn wait(&self) -> Option<Wait> {
        self.notes.lock().unwrap().wait
    }
}

static SERVER: LazyLock<ServerTls> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    ServerTls::load(&write_server_files(directory.path())).unwrap()
});

/// What a client is set up with: the certificate of `agency`, which is 7, of `nobody`, or none.
pub(crate) fn client_config(certificate: Option<&str>) -> Arc<ClientConfig> {
    let shown = certificate.map(|name| match name {
        "agency" => of_agency(7),
        _ => CERTIFICATES.authority.client(name, &[], valid()).unwrap(),
    });
    certificates::client_config(shown.as_ref())
}

/// Both sides of a connection.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) notes: Arc<Mutex<Notes>>,
    session: Box<dyn Session>,
    /// What the server's side has said and has not left.
    pub(crate) out: Vec<u8>,
}

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

impl Pair {
    /// A client without a certificate, of a service that lets in anyone.
    pub(crate) fn new(
        answer: impl Fn(&Given, &mut Vec<u8>) -> Flow + Send + Sync + 'static,
    ) -> Self {
        Self::with(Admission::Anyone, client_config(None), answer)
    }

    pub(crate) fn with(
        admission: Admission,
        client: Arc<ClientConfig>,
        answer: impl Fn(&Given, &mut Vec<u8>) -> Flow + Send + Sync + 'static,
    ) -> Self {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let service = Noting { notes: Arc::clone(&notes), answer: Arc::new(answer) };
        let secured = Secured::new(Arc::new(service), &SERVER, admission, HANDSHAKE).unwrap();
        let session =
            secured.open(Peer::at(([127, 0, 0, 1], 1).into()), Mailbox::new(Arc::new(NoWake)));
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let client = ClientConnection::new(client, name).unwrap();
        Self { client, notes, session, out: Vec::new() }
    }

    /// With the handshake done.
    pub(crate) fn connected(
        answer: impl Fn(&Given, &mut Vec<u8>) -> Flow + Send + Sync + 'static,
    ) -> Self {
        let mut pair = Self::new(answer);
        pair.shake_hands();
        pair
    }

    /// Goes to and fro until the client has nothing more to say.
    pub(crate) fn shake_hands(&mut self) {
        loop {
            let records = self.records();
            if records.is_empty() {
                break;
            }
            assert_eq!(self.hand_in(Input::Bytes(&records)), Flow::Continue);
            self.deliver();
        }
        assert!(!self.client.is_handshaking());
    }

    pub(crate) fn hand_in(&mut self, input: Input<'_>) -> Flow {
        self.session.handle(input, &mut self.out)
    }

    pub(crate) fn wait(&self) -> Option<Wait> {
        self.session.wait()
    }

    /// The client says this; returns the records of it, and of whatever it had to say before.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.client.writer().write_all(bytes).unwrap();
        self.records()
    }

    pub(crate) fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Has the client take what the server said; returns what that was, in clear.
    pub(crate) fn deliver(&mut self) -> Vec<u8> {
        let out = std::mem::take(&mut self.out);
        self.take(&out)
    }

    pub(crate) fn take(&mut self, mut records: &[u8]) -> Vec<u8> {
        let mut clear = Vec::new();
        while !records.is_empty() {
            self.client.read_tls(&mut records).unwrap();
            self.client.process_new_packets().unwrap();
            // Nothing more for now is an error to this reader, and so is an end without a word.
            let _ = self.client.reader().read_to_end(&mut clear);
        }
        clear
    }

    pub(crate) fn given(&self) -> Vec<Given> {
        std::mem::take(&mut self.notes.lock().unwrap().given)
    }
}

/// The records that `bytes` consist of, by their lengths (RFC 8446, section 5.1).
pub(crate) fn split_records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        let (record, rest) = bytes.split_at(5 + length);
        records.push(record);
        bytes = rest;
    }
    records
}

pub(crate) fn bytes(text: &str) -> Given {
    Given::Bytes(text.as_bytes().to_vec())
}
