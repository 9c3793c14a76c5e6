//! One agency through all the lives of its server: what it sends, and what it was promised. Does not
//! know when a server dies.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bolillero_tls::rustls::ClientConfig;
use sha2::{Digest as _, Sha256};

use super::dice::Dice;
use super::events::Events;
use crate::certificates::{client_config, of_agency};
use crate::process::PATIENCE;
use crate::secured::secure;
use crate::wire::{Wire, batch_body, packet};

/// The most bets of a batch.
const BETS_MAX: u64 = 60;
/// The most batches in flight.
const WINDOW_MAX: u64 = 16;
/// How many answers an agency takes, at most, before it drops its connection and comes back.
const STAY_MAX: u64 = 120;

/// What an agency speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Numbered batches: what was in flight is sent again where the office does not have it.
    Sessions,
    /// Base operations: what was in flight is never sent again, it could be stored twice.
    Base,
}

/// Where its server is in one of its lives, and how it is reached.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) over_tls: bool,
}

/// A socket, or TLS over one.
type Line = Box<dyn ReadWrite>;

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

/// How far an agency is with its 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Finish {
    Unsaid,
    Said,
    Acknowledged,
}

pub(super) struct Lane {
    pub(super) agency: u32,
    pub(super) speaks: Speaks,
    dice: Dice,
    /// What its handshakes keep to, where there are any.
    config: Arc<ClientConfig>,
    /// Where the lane stands after each batch that was sent: `points[k]` after batch k.
    points: Vec<Point>,
    /// The numbers of the batches that were acknowledged.
    pub(super) acknowledged: Vec<u64>,
    /// The number of its last batch, once that is known.
    last: Option<u64>,
    pub(super) finish: Finish,
    /// Its winners, as an opcode 7 told them.
    pub(super) winners: Option<String>,
    epoch: u32,
    draw: Option<String>,
}

#[derive(Clone, Copy)]
struct Point {
    bets: u64,
    head: [u8; 32],
}

/// Whether there is more to do for an agency.
enum Left {
    Nothing,
    Something,
}

impl Lane {
    pub(super) fn new(agency: u32, speaks: Speaks, seed: u64) -> Self {
        Self {
            agency,
            speaks,
            dice: Dice::new(seed, agency),
            config: client_config(Some(&of_agency(agency))),
            points: vec![Point { bets: 0, head: [0; 32] }],
            acknowledged: Vec::new(),
            last: None,
            finish: Finish::Unsaid,
            winners: None,
            epoch: 0,
            draw: None,
        }
    }

    /// The data of an opcode 3 that is its batch `n`, the same whenever it is asked for.
    pub(super) fn body(&self, n: u64) -> String {
        let bets = 1 + Dice::new(n, self.agency).below(BETS_MAX);
        let first = u64::from(self.agency) * 1_000_000_000 + n * 100;
        batch_body(self.agency, first.try_into().unwrap(), bets.try_into().unwrap())
    }

    /// The number of the last batch that was sent.
    pub(super) fn sent(&self) -> u64 {
        self.points.len() as u64 - 1
    }

    /// From now on it means to finish, with at most `more` batches.
    pub(super) fn wind_up(&mut self, more: u64) {
        self.last = self.last.or(Some(self.sent() + more));
    }

    /// How many answers it is still to get: to its last batches, its 5 and its 6.
    pub(super) fn answers_left(&self) -> u64 {
        let answered = self.acknowledged.last().copied().unwrap_or(0);
        self.last.unwrap_or(answered).saturating_sub(answered) + 2
    }

    /// Works until it has nothing left to do, or its server dies.
    pub(super) fn live(&mut self, office: Place, events: &Events) {
        let _working = events.begin();
        loop {
            match self.converse(office, events) {
                Ok(Left::Nothing) => return,
                Ok(Left::Something) => {}
                Err(error) => {
                    let agency = self.agency;
                    assert!(events.is_over(), "agency {agency}: a living server cut it: {error}");
                    return;
                }
            }
        }
    }

    fn converse(&mut self, office: Place, events: &Events) -> io::Result<Left> {
        let stream = TcpStream::connect_timeout(&office.address, PATIENCE)?;
        let mut wire: Wire<Line> = match office.over_tls {
            true => Wire(Box::new(secure(stream, &self.config).0)),
            false => Wire(Box::new(Wire::over(stream).0)),
        };
        let window = 1 + self.dice.below(WINDOW_MAX);
        let (mut next, stay) = match self.speaks {
            Speaks::Sessions => (self.hello(&mut wire)?, 1 + self.dice.below(STAY_MAX)),
            // Nothing orders what it left in flight on one connection and what it sends on the next.
            Speaks::Base => (self.sent() + 1, u64::MAX),
        };
        let last = self.last.unwrap_or(u64::MAX);
        let mut answered = next - 1;
        let leaves_at = answered.saturating_add(stay);
        while answered < last {
            while next <= last && next - answered <= window {
                self.send_batch(&mut wire, next)?;
                next += 1;
            }
            answered += 1;
            self.take_answer(&mut wire, answered)?;
            events.change(|counts| counts.answers += 1);
            if answered == leaves_at {
                return Ok(Left::Something);
            }
        }
        self.finish(&mut wire, events)?;
        self.ask(&mut wire, events)?;
        Ok(Left::Nothing)
    }

    /// Opens a session, and holds what the office says of the lane against what it said before.
    /// Returns the number of the next batch.
    fn hello(&mut self, wire: &mut Wire<Line>) -> io::Result<u64> {
        let agency = self.agency;
        let draw = self.draw.as_ref().map(|draw| format!("{draw}#")).unwrap_or_default();
        wire.0.write_all(&packet(9, &format!("1#{agency}#{draw}")))?;
        let (opcode, welcome) = wire.try_packet()?;
        assert_eq!(opcode, 10, "agency {agency}: {welcome}");
        let items: Vec<&str> = welcome.split('#').collect();
        let [epoch, next, bets, head, finished, draw, ""] = items[..] else { panic!("{welcome}") };
        let (epoch, next) = (epoch.parse().unwrap(), next.parse::<u64>().unwrap());
        assert!(epoch > self.epoch, "agency {agency}: epoch {} came back: {welcome}", self.epoch);
        let promised = self.acknowledged.last().map_or(1, |seq| seq + 1);
        let expected = promised..=self.sent() + 1;
        assert!(expected.contains(&next), "agency {agency}: {welcome}, not {expected:?}");
        let point = self.points[usize::try_from(next).unwrap() - 1];
        assert_eq!((bets, head), (&*point.bets.to_string(), &*hex(&point.head)), "agency {agency}");
        match finished {
            "0" => assert_ne!(self.finish, Finish::Acknowledged, "agency {agency}: unfinished"),
            _ => assert_ne!(self.finish, Finish::Unsaid, "agency {agency}: it never finished"),
        }
        let known = self.draw.get_or_insert_with(|| draw.to_owned());
        assert_eq!(known, draw, "agency {agency}: another draw");
        self.epoch = epoch;
        Ok(next)
    }

    fn send_batch(&mut self, wire: &mut Wire<Line>, n: u64) -> io::Result<()> {
        let body = self.body(n);
        if n > self.sent() {
            self.points.push(self.points.last().unwrap().then(&body));
        }
        match self.speaks {
            Speaks::Sessions => wire.0.write_all(&packet(11, &format!("{n}#{body}"))),
            Speaks::Base => wire.0.write_all(&packet(3, &body)),
        }
    }

    fn take_answer(&mut self, wire: &mut Wire<Line>, n: u64) -> io::Result<()> {
        let answer = wire.try_packet()?;
        let expected = match self.speaks {
            Speaks::Base => (2, String::new()),
            Speaks::Sessions => {
                let Point { bets, head } = self.points[usize::try_from(n).unwrap()];
                (12, format!("{n}#{bets}#{}#", hex(&head)))
            }
        };
        assert_eq!(answer, expected, "agency {}, batch {n}", self.agency);
        self.acknowledged.push(n);
        Ok(())
    }

    /// Says 5, also when it was said before.
    fn finish(&mut self, wire: &mut Wire<Line>, events: &Events) -> io::Result<()> {
        let (agency, last, bets) = (self.agency, self.sent(), self.points.last().unwrap().bets);
        self.finish = self.finish.max(Finish::Said);
        let data = match self.speaks {
            Speaks::Sessions => format!("{agency}#{last}#{bets}#"),
            Speaks::Base => format!("{agency}#"),
        };
        wire.0.write_all(&packet(5, &data))?;
        assert_eq!(wire.try_packet()?, (2, String::new()), "agency {agency}: 5");
        self.finish = Finish::Acknowledged;
        events.change(|counts| counts.answers += 1);
        Ok(())
    }

    /// Asks for the winners: a session waits for them, who has none asks again once sessions know.
    fn ask(&mut self, wire: &mut Wire<Line>, events: &Events) -> io::Result<()> {
        let question = packet(6, &format!("{}#", self.agency));
        wire.0.write_all(&question)?;
        let mut answer = wire.try_packet()?;
        if self.speaks == Speaks::Base && answer == (8, String::new()) {
            assert!(self.winners.is_none(), "agency {}: the draw was done before", self.agency);
            assert!(events.wait(|counts| counts.told > 0, PATIENCE), "{events:?}");
            if events.is_over() {
                return Ok(());
            }
            wire.0.write_all(&question)?;
            answer = wire.try_packet()?;
        }
        let (opcode, winners) = answer;
        assert_eq!(opcode, 7, "agency {}: {winners}", self.agency);
        let known = self.winners.get_or_insert_with(|| winners.clone());
        assert_eq!(*known, winners, "agency {}: other winners", self.agency);
        events.change(|counts| {
            counts.answers += 1;
            counts.told += usize::from(self.speaks == Speaks::Sessions);
        });
        Ok(())
    }
}

impl Point {
    fn then(&self, body: &str) -> Self {
        let announced: u64 = body.split('#').next().unwrap().parse().unwrap();
        let chained = [self.head.as_slice(), &Sha256::digest(body)].concat();
        Self { bets: self.bets + announced, head: Sha256::digest(&chained).into() }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
