//! One connection that speaks TLS. Knows no socket, no clock, and nothing of what it carries.
//!
//! What the session inside says in answer to one input leaves as one run of records: what it says as
//! one piece of up to 16 KiB is one record. Behind a mistake in the TLS itself nothing more is read.

use std::sync::Arc;
use std::time::Duration;

use bolillero_protocol::log_line;
use bolillero_tls::explain::explain;
use bolillero_tls::identity::agency_of;
use bolillero_tls::rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use bolillero_tls::rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use bolillero_tls::rustls::{ContentType, Error, HandshakeKind};

use super::inside::Inside;
use crate::session::{Flow, Input, Mail, Mailbox, Peer, Service, Session, Wait};

/// Who comes, and to which service.
pub(super) struct Newcomer {
    pub(super) service: Arc<dyn Service>,
    pub(super) peer: Peer,
    pub(super) mailbox: Mailbox,
}

pub(super) struct TlsSession {
    tls: UnbufferedServerConnection,
    newcomer: Newcomer,
    handshake_time_max: Duration,
    /// A byte has come.
    begun: bool,
    records: Records,
    inside: Inside,
    /// What the session inside has said and is no record yet.
    said: Vec<u8>,
}

/// Bytes of the peer that were not looked at, or are not whole: less than a record, or records with
/// less than a message of a handshake.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    taken: usize,
}

impl Session for TlsSession {
    fn handle(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Flow {
        let done = match input {
            Input::Bytes(bytes) => self.take(bytes, out),
            input => self.tell(input, out),
        };
        match done {
            Ok(flow) => flow,
            Err(error) => {
                self.log_failure(&explain(&error));
                self.append_alert(out);
                Flow::Close
            }
        }
    }

    fn wait(&self) -> Option<Wait> {
        let handshake = Wait { id: HANDSHAKE, time_max: self.handshake_time_max };
        if self.inside.is_open() { self.inside.wait() } else { Some(handshake) }
    }
}

impl TlsSession {
    pub(super) fn new(
        tls: UnbufferedServerConnection,
        newcomer: Newcomer,
        handshake_time_max: Duration,
    ) -> Self {
        Self {
            tls,
            newcomer,
            handshake_time_max,
            begun: false,
            records: Records::default(),
            inside: Inside::default(),
            said: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Flow, Error> {
        if !std::mem::replace(&mut self.begun, true) && !begins_handshake(bytes) {
            // Its first bytes may be all that ever come. Clients of ours understand the alert.
            self.log_failure("what came is not TLS, and this port takes nothing else");
            out.extend_from_slice(&NOT_TLS);
            return Ok(Flow::Close);
        }
        self.records.add(bytes);
        self.proceed(out)?;
        self.records.fit();
        if self.records.len() > UNTAKEN_BYTES_MAX {
            self.log_failure("it sends a message in too many pieces");
            return Ok(Flow::Close);
        }
        Ok(self.inside.flow())
    }

    /// What is no bytes is the session's inside. Who has not shaken hands is not waited for.
    fn tell(&mut self, input: Input<'_>, out: &mut Vec<u8>) -> Result<Flow, Error> {
        if !self.inside.is_open() {
            if matches!(input, Input::Deadline) {
                self.log_failure("it took too long");
            }
            return Ok(match input {
                Input::Mail(Mail::News) | Input::Drained | Input::Bytes(_) => Flow::Continue,
                Input::Mail(Mail::Shutdown) | Input::Deadline | Input::Eof => Flow::Close,
            });
        }
        let inside = &mut self.inside;
        speak(&mut self.said, out, |out| match input {
            Input::Eof => inside.end(out),
            input => inside.tell(input, out),
        });
        if !self.said.is_empty() || inside.flow() == Flow::Close {
            self.proceed(out)?;
        }
        Ok(self.inside.flow())
    }

    /// Takes all whole records, opens the session when it is time, and makes records of what it says.
    fn proceed(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            let Self { tls, records, inside, said, .. } = self;
            let UnbufferedStatus { mut discard, state, .. } =
                tls.process_tls_records(records.left());
            let mut is_done = false;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        speak(said, out, |out| inside.take(record.payload, out));
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => encode(&mut data, out)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => speak(said, out, |out| inside.end(out)),
                ConnectionState::WriteTraffic(traffic) => {
                    write(traffic, said, inside.flow(), out)?;
                    is_done = true;
                }
                _ => is_done = true,
            }
            records.remove(discard);
            if !self.inside.is_open() && !self.tls.is_handshaking() {
                self.open(out);
            } else if is_done {
                return Ok(());
            }
        }
    }

    /// The handshake is done.
    fn open(&mut self, out: &mut Vec<u8>) {
        let Newcomer { service, peer, mailbox } = &self.newcomer;
        let certificate = self.tls.peer_certificates().and_then(<[_]>::first);
        let agency = certificate.and_then(|certificate| agency_of(certificate).ok());
        log::debug!(
            "action: tls_handshake | result: success | service: {} | ip: {} | resumed: {}",
            service.name(),
            peer.address.ip(),
            self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
        );
        let inside = &mut self.inside;
        if let Some(agency) = agency.filter(|&agency| !mailbox.count_for_agency(agency)) {
            let ip = peer.address.ip();
            log::debug!(
                "action: accept | result: in_progress | ip: {ip} | agency: {agency} | busy: true"
            );
            let busy = service.busy();
            return speak(&mut self.said, out, |out| inside.refuse(busy, out));
        }
        let session = service.open(Peer { agency, ..*peer }, mailbox.clone());
        speak(&mut self.said, out, |out| inside.open(session, out));
    }

    /// What the peer is told of a mistake in its TLS. As long as there is something to be sent rustls
    /// looks at no record: it must not see once more the one that it has refused.
    fn append_alert(&mut self, out: &mut Vec<u8>) {
        while self.tls.wants_write() {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(self.records.left());
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            if encode(&mut data, out).is_err() {
                return;
            }
        }
    }

    fn log_failure(&self, error: &str) {
        let action = if self.inside.is_open() { "receive_record" } else { "tls_handshake" };
        let Newcomer { service, peer, .. } = &self.newcomer;
        let (service, ip, error) = (service.name(), peer.address.ip(), log_line::value(error));
        log::warn!(
            "action: {action} | result: fail | service: {service} | ip: {ip} | error: {error}"
        );
    }
}

impl Records {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn left(&mut self) -> &mut [u8] {
        &mut self.bytes[self.taken..]
    }

    /// In the middle of a record a connection keeps about as much memory as it has bytes of it.
    fn fit(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = self.left().to_vec();
            self.taken = 0;
        }
    }

    /// Between records a connection keeps no memory.
    fn remove(&mut self, count: usize) {
        self.taken += count;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
    }
}

/// Whether a connection that begins with these bytes begins with a handshake.
fn begins_handshake(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|&first| first == u8::from(ContentType::Handshake))
}

/// Has something said behind what was `said` before it. Who says it sees, as without TLS, all that has
/// not left: limits on unwritten output count that.
fn speak(said: &mut Vec<u8>, out: &mut Vec<u8>, by: impl FnOnce(&mut Vec<u8>)) {
    if out.is_empty() {
        // Then the two can change places, and nothing is copied.
        std::mem::swap(said, out);
        by(out);
        std::mem::swap(said, out);
        return;
    }
    let sealed = out.len();
    out.append(said);
    by(out);
    said.extend_from_slice(&out[sealed..]);
    out.truncate(sealed);
}

/// Appends a message of a handshake, or an alert.
fn encode(
    data: &mut EncodeTlsData<'_, ServerConnectionData>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    append(out, 0, |room| {
        data.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(size) => Some(size.required_size),
            EncodeError::AlreadyEncoded => None,
        })
    })
}

/// Makes records of what is said, and of the end where it comes to that.
fn write(
    mut traffic: WriteTraffic<'_, ServerConnectionData>,
    said: &mut Vec<u8>,
    flow: Flow,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if !said.is_empty() {
        let room = said.len() + (said.len() / RECORD_PAYLOAD_MAX + 1) * RECORD_OVERHEAD;
        append(out, room, |room| traffic.encrypt(said, room).map_err(|error| room_for(&error)))?;
        // Between answers a connection keeps no memory.
        *said = Vec::new();
    }
    if flow == Flow::Close {
        append(out, 0, |room| traffic.queue_close_notify(room).map_err(|error| room_for(&error)))?;
    }
    Ok(())
}

/// Appends what `write` writes. It is given `room`, and then as much as it says that it needs.
fn append(
    out: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let start = out.len();
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => {
                out.truncate(start);
                return Err(Error::EncryptError);
            }
        }
    }
}

fn room_for(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// A fatal alert, unexpected_message, as it looks before anything is agreed on (RFC 8446, sections 5.1
/// and 6): what who does not speak TLS is told.
const NOT_TLS: [u8; 7] = [21, 3, 3, 0, 2, 2, 10];
/// The most bytes of records from which nothing can be taken. The longest message of a handshake that
/// rustls takes has half as many; the rest is what its pieces may cost.
const UNTAKEN_BYTES_MAX: usize = 128 << 10;
/// What a connection keeps of a buffer for records: about one record.
const KEPT_BYTES_MAX: usize = 2 * RECORD_PAYLOAD_MAX;
/// The wait for the handshake; those of sessions count from 0.
const HANDSHAKE: u64 = u64::MAX;
/// What a record carries at most.
const RECORD_PAYLOAD_MAX: usize = 16 << 10;
/// What a record is longer than its payload, in every suite of TLS 1.2 and 1.3 that rustls speaks.
const RECORD_OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_middle_of_a_record_a_connection_keeps_about_what_it_has_of_it() {
        let mut records = Records::default();
        records.add(&[1; 64 << 10]);
        records.remove((64 << 10) - 1000);
        records.fit();
        assert!(records.bytes.capacity() < 2000, "{} bytes", records.bytes.capacity());
        records.add(&[2; 1000]);
        assert_eq!(records.left(), [[1; 1000], [2; 1000]].concat());
        records.fit();
        records.remove(2000);
        assert_eq!((records.len(), records.bytes.capacity()), (0, 0));
    }
}
