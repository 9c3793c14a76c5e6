//! Any interleaving of clients, cuts, losses and restarts, against the [`model`](crate::model) of the lanes.
//!
//! The model is told each request when the session takes it, and says what the answer has to be. At every moment what
//! a client has read is a beginning of what the model promised it; what it has read is on disk; and the disk
//! adds up to what the office believes.

use std::collections::VecDeque;

use bolillero_server::lottery::state::Draw;
use proptest::prelude::*;

use crate::model::{AGENCIES, Model, Promise};
use crate::support::*;

const CLIENTS_MAX: usize = 5;
const CASES: u32 = 1500;

/// What may happen next. A client is one of those there are, by its place.
#[derive(Debug, Clone)]
enum Action {
    Connect {
        agency: u32,
        says_hello: bool,
    },
    Request {
        client: usize,
        ask: Ask,
        /// Of the other agency.
        strays: bool,
    },
    /// Has a client's next bytes reach the office, so many of them.
    Deliver {
        client: usize,
        bytes: usize,
    },
    Lose {
        client: usize,
    },
    Commit,
    Draw,
    Restart,
}

/// What a client asks, in the form of its kind: a base client, or one that said HELLO.
#[derive(Debug, Clone)]
enum Ask {
    /// In a session, `back` before the lane's next batch, or after it where that is negative.
    Put {
        numbers: Vec<u32>,
        back: i64,
    },
    /// What the lane has stored there, again.
    Repeat {
        back: i64,
    },
    Ready {
        right: bool,
    },
    Winners,
    Hello,
    /// In the form of the other kind.
    OutOfPlace {
        numbers: Vec<u32>,
    },
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let number = prop_oneof![Just(7574_u32), 0..9999_u32];
    let numbers = prop::collection::vec(number, 1..4);
    let back = prop_oneof![15 => Just(0_i64), 1 => -1..4_i64];
    prop_oneof![
        20 => (numbers.clone(), back).prop_map(|(numbers, back)| Ask::Put { numbers, back }),
        1 => Just(Ask::Put { numbers: Vec::new(), back: 0 }),
        5 => (1..4_i64).prop_map(|back| Ask::Repeat { back }),
        3 => prop::bool::weighted(0.8).prop_map(|right| Ask::Ready { right }),
        2 => Just(Ask::Winners),
        1 => Just(Ask::Hello),
        1 => numbers.prop_map(|numbers| Ask::OutOfPlace { numbers }),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    let client = 0..CLIENTS_MAX;
    let bytes = prop_oneof![1..8_usize, 8..200_usize, Just(usize::MAX)];
    prop_oneof![
        8 => (1..=AGENCIES, prop::bool::weighted(0.6))
            .prop_map(|(agency, says_hello)| Action::Connect { agency, says_hello }),
        40 => (client.clone(), any_ask(), prop::bool::weighted(0.03))
            .prop_map(|(client, ask, strays)| Action::Request { client, ask, strays }),
        30 => (client.clone(), bytes).prop_map(|(client, bytes)| Action::Deliver { client, bytes }),
        2 => client.prop_map(|client| Action::Lose { client }),
        10 => Just(Action::Commit),
        5 => Just(Action::Draw),
        1 => Just(Action::Restart),
    ]
}

/// A request on its way: its bytes, and what the model is to be told when they are taken.
#[derive(Debug, Clone)]
enum Sent {
    Hello(u32),
    Base(u32, String),
    Numbered(u32, u64, String),
    Ready(u32),
    SessionReady(u32, (u64, u64)),
    Winners(u32),
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Hello(agency) => hello(*agency),
            Self::Base(_, body) => packet(3, body),
            Self::Numbered(_, seq, body) => packet(11, format!("{seq}#{body}")),
            Self::Ready(agency) => ready(*agency),
            Self::SessionReady(agency, (last_seq, bets)) => {
                session_ready(*agency, *last_seq, *bets)
            }
            Self::Winners(agency) => ask(*agency),
        }
    }

    fn numbered_of(&self, of: u32) -> Option<String> {
        match self {
            Self::Numbered(agency, _, body) if *agency == of => Some(body.clone()),
            _ => None,
        }
    }
}

struct Peer {
    client: Client,
    agency: u32,
    says_hello: bool,
    /// Sent and not delivered: whole packets, of which the first may have lost its front.
    way: VecDeque<(Vec<u8>, Sent)>,
    session: Option<(u32, u32)>,
    /// A newer session works its lane: what arrives from now on is not answered.
    is_fenced: bool,
    promised: VecDeque<Promise>,
}

struct World {
    central: Option<Central>,
    model: Model,
    /// The model as it was when the ledger was last synced whole.
    durable: Model,
    peers: Vec<Peer>,
}

impl World {
    fn new() -> Self {
        let central =
            Central::with(Setup { agencies: AGENCIES, segment_size: 16 << 10, ..Setup::default() });
        let (model, durable) = (Model::new(), Model::new());
        Self { central: Some(central), model, durable, peers: Vec::new() }
    }

    fn central(&mut self) -> &mut Central {
        self.central.as_mut().unwrap()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { agency, says_hello } if self.peers.len() < CLIENTS_MAX => {
                let client = self.central().connect();
                let (mut way, promised) = (VecDeque::new(), VecDeque::new());
                if says_hello {
                    way.push_back((hello(agency), Sent::Hello(agency)));
                }
                let (session, is_fenced) = (None, false);
                self.peers.push(Peer {
                    client,
                    agency,
                    says_hello,
                    way,
                    session,
                    is_fenced,
                    promised,
                });
            }
            Action::Request { client, ask, strays } if client < self.peers.len() => {
                let sent = self.write(client, ask, strays);
                self.peers[client].way.push_back((sent.bytes(), sent));
            }
            Action::Deliver { client, bytes } if client < self.peers.len() => {
                self.deliver(client, bytes);
            }
            Action::Lose { client } if client < self.peers.len() => {
                self.peers.swap_remove(client);
            }
            Action::Connect { .. }
            | Action::Request { .. }
            | Action::Deliver { .. }
            | Action::Lose { .. } => {}
            Action::Commit => self.commit(),
            Action::Draw => {
                let _ = self.central().draw();
            }
            Action::Restart => self.restart(),
        }
        self.read_all();
    }

    /// What a client writes that knows what the office knows, and what is on its way there.
    fn write(&mut self, client: usize, ask: Ask, strays: bool) -> Sent {
        let peer = &self.peers[client];
        let agency = if strays { AGENCIES + 1 - peer.agency } else { peer.agency };
        let mut bodies = self.model.lanes[agency as usize - 1].bodies.clone();
        bodies.extend(peer.way.iter().filter_map(|(_, sent)| sent.numbered_of(agency)));
        let next = bodies.len() as u64 + 1;
        let numbered =
            |back: i64, body| Sent::Numbered(agency, next.saturating_add_signed(-back), body);
        match ask {
            Ask::OutOfPlace { numbers } if peer.says_hello => {
                Sent::Base(agency, body(agency, &numbers))
            }
            Ask::OutOfPlace { numbers } => numbered(0, body(agency, &numbers)),
            Ask::Put { numbers, back } if peer.says_hello => numbered(back, body(agency, &numbers)),
            Ask::Put { numbers, .. } => Sent::Base(agency, body(agency, &numbers)),
            Ask::Repeat { back } => {
                let stored = bodies.len().checked_sub(usize::try_from(back).unwrap());
                match stored.and_then(|index| bodies.get(index)) {
                    Some(body) => numbered(back, body.clone()),
                    None => Sent::Winners(agency),
                }
            }
            Ask::Ready { right } if peer.says_hello => {
                let last_seq = bodies.len() as u64 + u64::from(!right);
                Sent::SessionReady(agency, (last_seq, bets_in(&bodies)))
            }
            Ask::Ready { .. } => Sent::Ready(agency),
            Ask::Winners => Sent::Winners(agency),
            Ask::Hello => Sent::Hello(agency),
        }
    }

    /// Has bytes arrive. The model is told of each packet that is whole with them.
    fn deliver(&mut self, client: usize, mut count: usize) {
        let peer = &mut self.peers[client];
        let mut arrived = Vec::new();
        while let Some((bytes, sent)) = peer.way.front_mut() {
            let size = count.min(bytes.len());
            arrived.extend(bytes.drain(..size));
            count -= size;
            if !bytes.is_empty() {
                break;
            }
            let (model, session) = (&mut self.model, &mut peer.session);
            if peer.is_fenced {
                peer.way.pop_front();
                continue;
            }
            let promise = match sent.clone() {
                Sent::Hello(agency) => model.hello(session, agency),
                Sent::Base(agency, body) => model.base(*session, agency, &body),
                Sent::Numbered(agency, seq, body) => model.numbered(*session, agency, seq, &body),
                Sent::Ready(agency) => model.ready(*session, agency),
                Sent::SessionReady(agency, totals) => model.session_ready(*session, agency, totals),
                Sent::Winners(agency) => model.ask(*session, agency),
            };
            peer.promised.push_back(promise);
            peer.way.pop_front();
        }
        peer.client.send(&arrived);
        assert!(!peer.client.is_held(), "fewer than 64 are owed");
        for peer in &mut self.peers {
            let newest = |(agency, epoch)| epoch == self.model.lanes[agency as usize - 1].epoch;
            peer.is_fenced = !peer.session.is_none_or(newest);
        }
    }

    fn commit(&mut self) {
        let central = self.central();
        central.prepare();
        while central.commit() == bolillero_server::ledger::committer::Step::Committed {}
        central.check_replay();
        self.durable = self.model.clone();
        self.check_stored();
    }

    fn restart(&mut self) {
        self.peers.clear();
        self.central = self.central.take().map(Central::restart);
        self.model = self.durable.clone();
        self.central().commit();
        self.central().check_replay();
        self.check_stored();
    }

    /// Every batch that the model believes durable is in the ledger, once, in order, and nothing else is.
    fn check_stored(&mut self) {
        let (stored, draws) = self.central().stored();
        for (lane, stored) in self.durable.lanes.iter().zip(stored) {
            assert!(stored.iter().eq(lane.bodies.iter().map(String::as_bytes)));
        }
        assert!(draws <= 1);
        let all = self.durable.lanes.iter().all(|lane| lane.finished);
        assert_eq!(self.central().office.draw() != Draw::Open, all);
    }

    /// Has every client read what there is, and holds it to what it was promised and to what is on disk.
    fn read_all(&mut self) {
        let announced = self.central().office.winners().is_some();
        let all_durable = self.durable.lanes.iter().all(|lane| lane.finished);
        assert!(!announced || all_durable);
        for peer in &mut self.peers {
            for reply in peer.client.replies() {
                if reply == fenced() {
                    // What is left of its promises waits for the draw, or stands behind what does.
                    let ack = Promise::This(ack());
                    let waits =
                        |next: &Promise| *next == ack || matches!(next, Promise::Winners { .. });
                    assert!(peer.promised.front().is_none_or(waits), "{:?}", peer.promised);
                    let (agency, epoch) = peer.session.unwrap();
                    let newest = self.durable.lanes[agency as usize - 1].epoch;
                    assert!(peer.client.is_closed() && newest > epoch, "{newest}, not {epoch}");
                    peer.promised.clear();
                    continue;
                }
                let promise = peer.promised.pop_front().expect("nothing more was asked");
                match promise {
                    Promise::This(expected) => assert_eq!(reply, expected),
                    Promise::Refusal(code) => {
                        assert!(reply.0 == 4 && reply.1.starts_with(code), "{reply:?}, not {code}");
                    }
                    Promise::Winners { in_session: false, .. } if !announced => {
                        assert_eq!(reply, busy());
                    }
                    Promise::Winners { agency, .. } => {
                        assert!(announced);
                        assert_eq!(reply, self.durable.winners(agency));
                    }
                }
                if let (12, data) = &reply {
                    let (agency, _) = peer.session.unwrap();
                    let seq: usize = data.split('#').next().unwrap().parse().unwrap();
                    let durable = &self.durable.lanes[agency as usize - 1].bodies;
                    assert_eq!(reply, receipt(&durable[..seq]), "acknowledged, and not on disk");
                }
            }
        }
    }

    /// Has all that was sent arrive and be done: then nobody is owed anything but winners that will not come yet.
    fn settle(&mut self) {
        for client in 0..self.peers.len() {
            self.act(Action::Deliver { client, bytes: usize::MAX });
        }
        for _ in 0..4 {
            self.act(Action::Commit);
            self.act(Action::Draw);
        }
        let drawn = self.central().office.winners().is_some();
        for peer in &self.peers {
            assert_eq!(peer.client.is_closed(), peer.is_fenced);
            let waits =
                matches!(peer.promised.front(), Some(Promise::Winners { in_session: true, .. }));
            assert!(peer.promised.is_empty() || waits && !drawn, "{:?}", peer.promised);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_office_and_its_ledger_agree_with_the_model(
        actions in prop::collection::vec(any_action(), 1..300)
    ) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.settle();
        world.restart();
    }
}
