//! Watches all sockets of a server: lets newcomers in, tells slots what happened to their sockets,
//! looks at their deadlines, and ends them when the server stops. Reads and writes no connection
//! itself.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::accept::{Entrance, Newcomer};
use super::alarm::Alarm;
use super::hub::{Hub, Inbox, Runner};
use super::slot::{Outcome, Slot, log_panic};
use super::slots::{Purpose, Slots};
use super::{Limits, Listener, threads};
use crate::conn::{Causes, Connection, Scratch};
use crate::hint::hint;
use crate::lifecycle::{Lifecycle, Phase};
use crate::session::{Mailbox, Wake};
use crate::threads::NO_THREAD_HINT;

/// The thread that watches.
pub(super) struct Reactor {
    poll: Poll,
    hub: Arc<Hub>,
    stage: Stage,
    slots: Slots,
    /// Slots this thread owns, to be turned by it or brought to the workers together.
    ready: VecDeque<Arc<Slot>>,
    scratch: Scratch,
    /// Swapped with the hub's, so that neither is allocated anew.
    inbox: Inbox,
    swept: Instant,
    /// The last newcomer could not be taken in, and that was logged.
    admission_failed: bool,
}

enum Stage {
    Serving(Entrance),
    Draining { until: Instant },
    Aborting { until: Instant },
}

impl Reactor {
    pub(super) fn new(
        runner: Runner,
        listeners: Vec<Listener>,
        limits: Limits,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let entrance = Entrance::new(listeners, &limits)?;
        for (number, socket) in entrance.sockets().enumerate() {
            let token = Token(DOOR_FIRST + number);
            poll.registry().register(
                &mut SourceFd(&socket.as_raw_fd()),
                token,
                Interest::READABLE,
            )?;
        }
        let waker = Waker::new(poll.registry(), WAKE)?;
        let registry = poll.registry().try_clone()?;
        let now = Instant::now();
        Ok(Self {
            slots: Slots::default(),
            hub: Arc::new(Hub::new(runner, limits, Alarm::new(now), registry, waker)),
            poll,
            stage: Stage::Serving(entrance),
            ready: VecDeque::new(),
            scratch: Scratch::default(),
            inbox: Inbox::default(),
            swept: now,
            admission_failed: false,
        })
    }

    /// Serves until the life was asked to stop and everybody has left or the time for that is over.
    pub(super) fn run(mut self, life: &Lifecycle) -> io::Result<()> {
        let hub = Arc::downgrade(&self.hub);
        life.on_stop(move || {
            if let Some(hub) = hub.upgrade() {
                hub.stop();
            }
        });
        let mut events = Events::with_capacity(EVENTS_PER_ROUND_MAX);
        loop {
            let now = Instant::now();
            self.proceed(now, life);
            self.admit(now);
            self.collect();
            if self.is_done(now) {
                break;
            }
            self.wait(&mut events)?;
            for event in &events {
                self.react(event);
            }
            self.turn_ready();
            self.sweep();
        }
        if let (true, Some(workers)) = (self.slots.is_empty(), self.hub.workers()) {
            workers.join();
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now = Instant::now();
        let timeout = self.next(now).map(|at| at.saturating_duration_since(now));
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// When there is something to do though nothing happens.
    fn next(&self, now: Instant) -> Option<Instant> {
        let ready = (!self.ready.is_empty()).then_some(now);
        let sweep = self.hub.alarm.next().map(|at| at.max(self.swept + SWEEP_PAUSE));
        let stage = match &self.stage {
            Stage::Serving(entrance) => {
                let addresses = self.hub.addresses();
                entrance.next(self.room(), self.room_for_farewells(), &addresses, now)
            }
            Stage::Draining { until } | Stage::Aborting { until } => Some(*until),
        };
        [ready, sweep, stage].into_iter().flatten().min()
    }

    fn react(&mut self, event: &Event) {
        match (event.token(), &mut self.stage) {
            (WAKE, _) => {}
            (Token(number), Stage::Serving(entrance)) if number >= DOOR_FIRST => {
                entrance.knocked(number - DOOR_FIRST);
            }
            (token, _) => {
                if let Some(slot) = self.slots.get(token) {
                    let slot = Arc::clone(slot);
                    self.due(slot, causes(event));
                }
            }
        }
    }

    /// As [`Slot::due`], without the way around through the hub where the turn is this thread's
    /// anyway.
    fn due(&mut self, slot: Arc<Slot>, causes: Causes) {
        if slot.schedule.due(causes) {
            self.hand_over(slot);
        }
    }

    fn hand_over(&mut self, slot: Arc<Slot>) {
        match self.hub.runner {
            Runner::Reactor | Runner::Pool(_) => self.ready.push_back(slot),
            Runner::Threads => self.hub.hand_over(slot),
        }
    }

    /// One turn for each that is ready now. Who becomes ready meanwhile comes after the next look
    /// at the sockets. Under `pool` workers are called for what is left when that takes longer than
    /// it takes to wake somebody.
    fn turn_ready(&mut self) {
        let begin = Instant::now();
        for turned in 0..self.ready.len() {
            if turned > 0
                && let Some(workers) = self.hub.workers()
                && begin.elapsed() > ALONE_TIME_MAX
            {
                return workers.take(self.ready.drain(..), &self.hub);
            }
            let Some(slot) = self.ready.pop_front() else { return };
            match slot.run(&self.hub, &mut self.scratch) {
                Outcome::Rest => {}
                Outcome::Again => self.ready.push_back(slot),
                Outcome::Closed => self.remove(slot.token),
            }
        }
    }

    /// Tells those whose deadline is over.
    fn sweep(&mut self) {
        let now = Instant::now();
        let due = self.hub.alarm.next().is_some_and(|next| next <= now);
        if !due || now < self.swept + SWEEP_PAUSE {
            return;
        }
        self.swept = now;
        let hub = Arc::clone(&self.hub);
        let mut sweep = hub.alarm.sweep(now);
        let over = self.slots.iter().filter(|slot| sweep.is_over(&slot.deadline));
        for slot in over.cloned().collect::<Vec<_>>() {
            self.due(slot, Causes::DEADLINE);
        }
    }

    /// Takes what other threads left for this one.
    fn collect(&mut self) {
        let awaits_closed = match &self.stage {
            Stage::Serving(entrance) => entrance.is_waited_at(),
            Stage::Draining { .. } | Stage::Aborting { .. } => true,
        };
        let mut inbox = std::mem::take(&mut self.inbox);
        self.hub.collect(&mut inbox, awaits_closed);
        self.ready.extend(inbox.ready.drain(..));
        for token in inbox.closed.drain(..) {
            self.remove(token);
        }
        self.inbox = inbox;
    }

    fn remove(&mut self, token: Token) {
        self.slots.remove(token);
        self.hub.addresses().leave(token);
        if let Stage::Serving(entrance) = &mut self.stage {
            entrance.left();
        }
    }

    fn room(&self) -> usize {
        self.hub.limits.connections_max.saturating_sub(self.slots.served())
    }

    fn room_for_farewells(&self) -> usize {
        self.hub.limits.newcomers_max.saturating_sub(self.slots.farewells())
    }

    /// Lets newcomers in while there is room, and sends those away that waited long enough.
    fn admit(&mut self, now: Instant) {
        let (room, farewells) = (self.room(), self.room_for_farewells());
        let Stage::Serving(entrance) = &mut self.stage else { return };
        entrance.gather(room, now);
        while let Some(newcomer) = self.welcome() {
            self.open(newcomer, now);
        }
        let Stage::Serving(entrance) = &mut self.stage else { return };
        for newcomer in entrance.turn_away(farewells, now) {
            self.dismiss(newcomer);
        }
    }

    /// The next to be let in. One at a time: each takes a place of its address.
    fn welcome(&mut self) -> Option<Newcomer> {
        let has_room = self.room() > 0;
        match &mut self.stage {
            Stage::Serving(entrance) if has_room => entrance.welcome(&self.hub.addresses()),
            _ => None,
        }
    }

    fn open(&mut self, newcomer: Newcomer, now: Instant) {
        let Newcomer { stream, peer, service, .. } = newcomer;
        let Some(slot) = self.make_slot(Purpose::Serving) else { return };
        self.hub.addresses().enter(slot.token, peer.address.ip());
        let mailbox = Mailbox::new(Arc::clone(&slot) as Arc<dyn Wake>);
        let open = || Connection::open(stream, peer, service.open(peer, mailbox), now);
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(connection) => self.install(slot, connection),
            Err(panic) => {
                log_panic(peer, &*panic);
                self.remove(slot.token);
            }
        }
    }

    fn dismiss(&mut self, newcomer: Newcomer) {
        let Newcomer { stream, peer, service, .. } = newcomer;
        let ip = peer.address.ip();
        log::debug!("action: accept | result: in_progress | ip: {ip} | busy: true");
        if let Some(slot) = self.make_slot(Purpose::Farewell) {
            // It has something to write from the beginning.
            let _ = slot.schedule.due(Causes::WRITABLE);
            self.install(slot, Connection::farewell(stream, peer, service.busy()));
        }
    }

    fn make_slot(&mut self, purpose: Purpose) -> Option<Arc<Slot>> {
        let bell = match self.hub.runner {
            Runner::Threads => threads::bell().map(Some),
            Runner::Pool(_) | Runner::Reactor => Ok(None),
        };
        match bell {
            Ok(bell) => Some(self.slots.insert(purpose, |token| Slot::new(token, bell, &self.hub))),
            Err(error) => {
                self.log_admission_failure(&error);
                None
            }
        }
    }

    /// Starts a connection in a slot whose turn this thread owns.
    fn install(&mut self, slot: Arc<Slot>, connection: Connection) {
        let token = slot.token;
        let started = match self.hub.runner {
            Runner::Threads => threads::spawn(Arc::clone(&self.hub), slot, connection),
            Runner::Pool(_) | Runner::Reactor => self.watch(slot, connection),
        };
        match started {
            Ok(()) => self.admission_failed = false,
            Err(error) => {
                self.log_admission_failure(&error);
                self.remove(token);
            }
        }
    }

    /// Says why newcomers are closed at once: the first, not each. Whoever comes without end must not
    /// fill the log.
    fn log_admission_failure(&mut self, error: &io::Error) {
        if std::mem::replace(&mut self.admission_failed, true) {
            return;
        }
        let is_thread = matches!(self.hub.runner, Runner::Threads);
        let hint =
            hint(error).or(is_thread.then_some(NO_THREAD_HINT)).unwrap_or("newcomers are closed");
        log::warn!("action: accept | result: fail | reason: {error} | hint: {hint}");
    }

    fn watch(&mut self, slot: Arc<Slot>, connection: Connection) -> io::Result<()> {
        let socket = connection.as_fd().as_raw_fd();
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&socket), slot.token, Interest::READABLE)?;
        // Whether it is before the next sweep does not matter: this thread looks before it sleeps.
        let _ = self.hub.alarm.set(&slot.deadline, connection.deadline());
        slot.put(connection);
        if !slot.schedule.rest() {
            self.hand_over(slot);
        }
        Ok(())
    }

    /// Moves on when the server stops, and when the time for what that takes is over.
    fn proceed(&mut self, now: Instant, life: &Lifecycle) {
        match self.stage {
            Stage::Serving(_) if self.hub.is_stopping() => {
                life.enter(Phase::Draining);
                let until = now + self.hub.limits.drain_time_max;
                let stage = std::mem::replace(&mut self.stage, Stage::Draining { until });
                if let Stage::Serving(entrance) = stage {
                    for newcomer in entrance.close() {
                        self.dismiss(newcomer);
                    }
                }
                self.tell_all(Causes::SHUTDOWN);
            }
            Stage::Draining { until } if until <= now => {
                let left = self.slots.len();
                log::warn!("action: drain | result: fail | connections: {left}");
                self.stage = Stage::Aborting { until: now + ABORT_TIME_MAX };
                self.tell_all(Causes::ABORT);
            }
            Stage::Serving(_) | Stage::Draining { .. } | Stage::Aborting { .. } => {}
        }
        if let Stage::Draining { until } = &mut self.stage
            && life.is_abandoned()
        {
            *until = (*until).min(now + ABANDONED_TIME_MAX);
        }
    }

    fn tell_all(&mut self, causes: Causes) {
        for slot in self.slots.iter().cloned().collect::<Vec<_>>() {
            self.due(slot, causes);
        }
    }

    fn is_done(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Serving(_) => false,
            Stage::Draining { .. } => self.slots.is_empty(),
            Stage::Aborting { until } => self.slots.is_empty() || until <= now,
        }
    }
}

fn causes(event: &Event) -> Causes {
    let broken = event.is_error() || event.is_write_closed();
    let mut causes = Causes::NONE;
    if event.is_readable() || event.is_read_closed() || broken {
        causes = causes.and(Causes::READABLE);
    }
    if event.is_read_closed() || broken {
        causes = causes.and(Causes::ENDED);
    }
    if event.is_writable() || broken {
        causes = causes.and(Causes::WRITABLE);
    }
    if broken {
        causes = causes.and(Causes::BROKEN);
    }
    causes
}

/// What another thread wakes the reactor with.
const WAKE: Token = Token(usize::MAX);
/// Tokens below are slots, tokens from here on doors.
const DOOR_FIRST: usize = usize::MAX / 2;
/// How many events one look at the sockets brings.
const EVENTS_PER_ROUND_MAX: usize = 1024;
/// How long the reactor turns connections before it calls workers for the others.
const ALONE_TIME_MAX: Duration = Duration::from_micros(100);
/// How long deadlines are not looked at again: what a sweep over many connections may cost. A
/// deadline can be told that much late.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
/// How long connections have to be told of the end when what they are owed can never leave.
const ABANDONED_TIME_MAX: Duration = Duration::from_millis(250);
/// How long workers have to drop what they hold after the drain time. Only a session that does not
/// return takes it.
const ABORT_TIME_MAX: Duration = Duration::from_secs(1);
