//! Events as records of the ledger, and back. The one place that knows both.

use bolillero_protocol::bet::{AGENCIES_MAX, Number, bets_announced};
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::{ChainAlarm, DrawId};
use byteorder::{BigEndian, ByteOrder};

use super::state::{Event, REMEMBERED_BYTES_MAX_DEFAULT, State, Terms};
use super::winners::Digest;
use crate::ledger::record::{Kind, Record};
use crate::ledger::recovery::ReplayError;

/// Draw id and winning number.
const OPEN_BODY_SIZE: usize = 10;
/// The count of an agency's winners and the hash of their documents.
const DIGEST_SIZE: usize = 8 + 32;

/// The bets and the head that an agency counts.
const ALARM_BODY_SIZE: usize = 8 + 32;

/// A record of an event. `body` is that of a batch, or of an alarm ([`alarm_body`]); no other event
/// takes one.
#[must_use]
pub fn record_of<'a>(event: &Event, body: &'a [u8]) -> Record<'a> {
    let none = Record { kind: Kind::Open, agency: 0, epoch: 0, seq: 0, n: 0, body };
    match *event {
        Event::Hello { agency, epoch } => Record { kind: Kind::Hello, agency, epoch, ..none },
        Event::Batch { agency, epoch, seq, bets, .. } => {
            Record { kind: Kind::Batch, agency, epoch, seq, n: bets, body }
        }
        Event::Finish { agency, epoch, seq } => {
            Record { kind: Kind::Finish, agency, epoch, seq, ..none }
        }
        Event::Alarm { agency, epoch, alarm } => {
            Record { kind: Kind::Alarm, agency, epoch, seq: alarm.seq, n: 0, body }
        }
        Event::Drawn => Record { kind: Kind::Draw, ..none },
    }
}

/// The body of an alarm's record.
#[must_use]
pub fn alarm_body(alarm: &ChainAlarm) -> [u8; ALARM_BODY_SIZE] {
    let mut body = [0; ALARM_BODY_SIZE];
    BigEndian::write_u64(&mut body[..8], alarm.bets);
    body[8..].copy_from_slice(&alarm.head.0);
    body
}

/// The body of a ledger's first record.
#[must_use]
pub fn open_body(terms: &Terms) -> [u8; OPEN_BODY_SIZE] {
    let mut body = [0; OPEN_BODY_SIZE];
    body[..8].copy_from_slice(&terms.draw.0);
    BigEndian::write_u16(&mut body[8..], terms.winning_number.value());
    body
}

/// A ledger's first record.
#[must_use]
pub fn open_record<'a>(terms: &Terms, body: &'a [u8]) -> Record<'a> {
    Record { kind: Kind::Open, agency: 0, epoch: 0, seq: 0, n: terms.agencies, body }
}

/// The body of the draw's record: the winning number, and for each agency how many won and the
/// hash of their documents.
#[must_use]
pub fn draw_body(winning_number: Number, digests: &[Digest]) -> Vec<u8> {
    let mut body = Vec::with_capacity(2 + DIGEST_SIZE * digests.len());
    body.extend_from_slice(&winning_number.value().to_be_bytes());
    for digest in digests {
        body.extend_from_slice(&digest.winners.to_be_bytes());
        body.extend_from_slice(&digest.documents_sha256);
    }
    body
}

/// What the records of a ledger add up to.
#[derive(Debug)]
pub struct Replayed {
    /// See [`State::new`].
    remembered_bytes_max: u64,
    /// The state, once the first record was read.
    pub state: Option<State>,
    /// What the draw's record says of each agency, once there is one.
    pub digests: Option<Vec<Digest>>,
}

impl Default for Replayed {
    fn default() -> Self {
        Self::remembering(REMEMBERED_BYTES_MAX_DEFAULT)
    }
}

impl Replayed {
    /// Nothing yet. Lanes will remember batches in so many bytes, see [`State::new`].
    #[must_use]
    pub fn remembering(bytes_max: u64) -> Self {
        Self { remembered_bytes_max: bytes_max, state: None, digests: None }
    }

    /// Takes the next record. Looks at shape and continuity, never at today's rules of validity.
    ///
    /// # Errors
    /// [`ReplayError::Damaged`] when the record cannot stand here.
    pub fn take(&mut self, record: &Record<'_>) -> Result<(), ReplayError> {
        let Some(state) = &mut self.state else {
            self.state = Some(State::new(read_terms(record)?, self.remembered_bytes_max));
            return Ok(());
        };
        let event = read_event(record)?;
        if event == Event::Drawn {
            self.digests = Some(read_digests(record, state.terms())?);
        }
        state.apply(event).map_err(|error| ReplayError::Damaged(error.to_string()))
    }
}

fn read_terms(record: &Record<'_>) -> Result<Terms, ReplayError> {
    let body: &[u8; OPEN_BODY_SIZE] = match record.kind {
        Kind::Open => {
            record.body.try_into().map_err(|_| damaged("the open record is malformed"))?
        }
        _ => return Err(damaged("the first record does not open a draw")),
    };
    let mut draw = [0; 8];
    draw.copy_from_slice(&body[..8]);
    let winning_number = Number::new(BigEndian::read_u16(&body[8..]))
        .ok_or_else(|| damaged("the winning number is over 9999"))?;
    if record.n > AGENCIES_MAX {
        return Err(damaged("the open record has more agencies than a draw can have"));
    }
    Ok(Terms { agencies: record.n, winning_number, draw: DrawId(draw) })
}

fn read_event(record: &Record<'_>) -> Result<Event, ReplayError> {
    let Record { agency, epoch, seq, n, body, .. } = *record;
    match record.kind {
        Kind::Open => Err(damaged("a second record opens a draw")),
        Kind::Hello => Ok(Event::Hello { agency, epoch }),
        Kind::Batch => {
            if bets_announced(body) != Some(n) {
                return Err(damaged("a batch does not hold what its record says"));
            }
            Ok(Event::Batch { agency, epoch, seq, bets: n, hash: BodyHash::of(body) })
        }
        Kind::Finish => Ok(Event::Finish { agency, epoch, seq }),
        Kind::Alarm => {
            let malformed = || damaged("an alarm does not hold bets and a head");
            let body: &[u8; ALARM_BODY_SIZE] = body.try_into().map_err(|_| malformed())?;
            let (bets, head) = body.split_at(8);
            let head = Head(head.try_into().map_err(|_| malformed())?);
            let alarm = ChainAlarm { seq, bets: BigEndian::read_u64(bets), head };
            Ok(Event::Alarm { agency, epoch, alarm })
        }
        Kind::Draw => Ok(Event::Drawn),
    }
}

fn read_digests(record: &Record<'_>, terms: Terms) -> Result<Vec<Digest>, ReplayError> {
    let malformed = || damaged("the draw record is malformed");
    let (number, digests) = record.body.split_at_checked(2).ok_or_else(malformed)?;
    if BigEndian::read_u16(number) != terms.winning_number.value()
        || digests.len() != DIGEST_SIZE * terms.agencies as usize
    {
        return Err(malformed());
    }
    Ok(digests.chunks_exact(DIGEST_SIZE).map(read_digest).collect())
}

fn read_digest(bytes: &[u8]) -> Digest {
    let mut documents_sha256 = [0; 32];
    documents_sha256.copy_from_slice(&bytes[8..DIGEST_SIZE]);
    Digest { winners: BigEndian::read_u64(&bytes[..8]), documents_sha256 }
}

fn damaged(what: &str) -> ReplayError {
    ReplayError::Damaged(what.to_owned())
}
