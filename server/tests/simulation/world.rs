//! Everything there is in a run: a server on its disk, connections, agencies, and the model of what they were promised.
//! A scheduler that knows nothing but chance picks what is done next; everything that can be done may be. First
//! things also fail ([`crate::faults`]); then they do not, and everybody must come to an end.

use bolillero_server::failure::Failure;
use bolillero_server::ledger::committer::Step;

use crate::agency::{Agency, Verdict};
use crate::chance::Chance;
use crate::events::Events;
use crate::line::{Dialect, Line};
use crate::machine::{Machine, Setup};
use crate::model::{Asked, Input, Model, WINNING_NUMBER};
use crate::stored::Stored;
use crate::wire::{body, packets};

/// How many steps of a run may be faulty.
const FAULTY_STEPS_MAX: usize = 6000;
/// How many steps everybody has to come to an end once nothing fails any more. Several times what it takes.
const CALM_STEPS_MAX: usize = 40_000;
/// How seldom the clock goes on to the next time that somebody waits for, though something else can be done.
const TIME_PASSES_ONE_IN: usize = 100;
const GETS_BYTES: &str = "gets bytes";

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) events: Events,
    pub(crate) machine: Machine,
    pub(crate) lines: Vec<Line>,
    pub(crate) agencies: Vec<Agency>,
    pub(crate) model: Model,
    /// What is on disk, as of the last group.
    pub(crate) stored: Stored,
    /// Things may still fail.
    pub(crate) is_faulty: bool,
    lines_made: usize,
}

/// What can be done next. A line is one of those there are, by its place.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Deliver(usize),
    News(usize),
    Flush(usize),
    Receive(usize),
    TimeOut(usize),
    Connect(usize),
    Act(usize),
    Commit,
    Prepare,
    Draw,
    Mark,
    Save,
    Start,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let agencies = 1 + chance.below(5);
        let count = u32::try_from(agencies).unwrap();
        let setup = Setup::new(count, &mut chance);
        let inputs = (1..=count).map(|agency| input(agency, &mut chance)).collect();
        let agencies = (1..=count).map(|number| Agency::new(number, &mut chance)).collect();
        Self {
            chance,
            events: Events::default(),
            machine: Machine::new(setup),
            lines: Vec::new(),
            agencies,
            model: Model::new(inputs),
            stored: Stored::default(),
            is_faulty: true,
            lines_made: 0,
        }
    }

    /// Lives through a while in which things fail, and on to the end.
    pub(crate) fn run(&mut self) {
        let faulty = self.chance.below(FAULTY_STEPS_MAX);
        let one_in = 20 + self.chance.below(200);
        for _ in 0..faulty {
            if self.chance.below(one_in) == 0 {
                self.fail_something();
            } else {
                self.step();
            }
        }
        self.calm();
        for _ in 0..CALM_STEPS_MAX {
            if self.is_ended() {
                return self.check_end();
            }
            self.step();
        }
        panic!("not at the end after {CALM_STEPS_MAX} steps without a fault");
    }

    fn is_ended(&self) -> bool {
        let running = self.machine.running.as_ref();
        let agencies_done = self.agencies.iter().all(|agency| agency.is_done);
        agencies_done
            && self.lines.is_empty()
            && running.is_some_and(|running| running.is_committed)
    }

    fn check_end(&mut self) {
        self.look();
        self.model.check_end();
        self.events.note(format_args!("everybody has come to the end"));
    }

    fn step(&mut self) {
        self.events.now += 1;
        let choices = self.choices();
        let weights: usize = choices.iter().map(|(weight, _)| weight).sum();
        if weights == 0 {
            return self.pass_time();
        }
        if self.chance.below(TIME_PASSES_ONE_IN) == 0 {
            return self.pass_time();
        }
        let mut at = self.chance.below(weights);
        for (weight, choice) in choices {
            if at < weight {
                return self.act(choice);
            }
            at -= weight;
        }
    }

    /// All that can be done now, with how likely it is.
    fn choices(&self) -> Vec<(usize, Choice)> {
        let now = self.events.now;
        let mut choices = Vec::new();
        for (place, line) in self.lines.iter().enumerate() {
            let can = [
                (line.is_overdue(now), 20, Choice::TimeOut(place)),
                (line.can_deliver(now), 6, Choice::Deliver(place)),
                (line.has_news(), 6, Choice::News(place)),
                (line.can_flush(), 6, Choice::Flush(place)),
                (line.is_over() || !line.back.is_empty(), 6, Choice::Receive(place)),
            ];
            choices.extend(can.into_iter().filter(|can| can.0).map(|can| (can.1, can.2)));
        }
        let Some(running) = &self.machine.running else {
            choices.push((2, Choice::Start));
            return choices;
        };
        for (place, agency) in self.agencies.iter().enumerate() {
            if agency.wants(&self.model.inputs[place], now) {
                choices.push((6, Choice::Act(place)));
            } else if agency.line.is_none() && !agency.is_done && now >= agency.rests_until {
                choices.push((3, Choice::Connect(place)));
            }
        }
        let can = [
            (!running.is_committed, 5, Choice::Commit),
            (running.can_prepare(now), 3, Choice::Prepare),
            (running.can_draw(now), 4, Choice::Draw),
            (running.is_committed && !running.is_marked, 1, Choice::Mark),
            (!running.is_committed, 1, Choice::Save),
        ];
        choices.extend(can.into_iter().filter(|can| can.0).map(|can| (can.1, can.2)));
        choices
    }

    fn act(&mut self, choice: Choice) {
        match choice {
            Choice::Deliver(place) => {
                let count = self.some_bytes();
                self.turn(place, GETS_BYTES, |line, now| line.deliver(count, now));
            }
            Choice::News(place) => self.turn(place, "gets news", Line::tell_news),
            Choice::Flush(place) => {
                let count = self.some_bytes();
                self.turn(place, "is flushed", |line, now| line.flush(count, now));
            }
            Choice::TimeOut(place) => self.turn(place, "is out of time", Line::time_out),
            Choice::Receive(place) => self.receive(place),
            Choice::Connect(place) => {
                let line = self.connect(place);
                self.agencies[place].connected(line);
            }
            Choice::Act(place) => self.send(place),
            Choice::Commit => self.commit(),
            Choice::Prepare => {
                let did = self.machine.running().prepare(self.events.now);
                self.events.note(format_args!("preparer: {did}"));
            }
            Choice::Draw => self.draw(),
            Choice::Mark => {
                self.events.note(format_args!("it is quiet"));
                self.machine.running().mark();
            }
            Choice::Save => {
                self.events.note(format_args!("it saves which group is durable"));
                self.machine.running().save_last_group();
            }
            Choice::Start => self.start(),
        }
    }

    /// Mostly few, often all.
    fn some_bytes(&mut self) -> usize {
        match self.chance.below(3) {
            0 => usize::MAX,
            1 => 1 + self.chance.below(10),
            _ => 1 + self.chance.below(200),
        }
    }

    /// Until the next time that somebody waits for.
    fn pass_time(&mut self) {
        let now = self.events.now;
        let lines = self.lines.iter().filter_map(|line| line.timer(now));
        let agencies = self.agencies.iter().map(|agency| agency.rests_until);
        let running = self.machine.running.as_ref();
        let machine = running.and_then(|running| running.timer(now));
        let next = lines.chain(agencies).chain(machine).filter(|at| *at > now).min();
        let Some(next) = next else {
            // Beside something that can be done it is no time that is waited for.
            let can_act = !self.choices().is_empty() || self.is_ended();
            let waiting: Vec<_> = self.lines.iter().map(Line::describe).collect();
            assert!(can_act, "everybody waits for what does not come: {waiting:#?}");
            return;
        };
        self.events.now = next;
    }

    pub(crate) fn connect(&mut self, place: usize) -> usize {
        let running = self.machine.running.as_ref().expect("the server runs");
        let number = self.lines_made;
        self.lines_made += 1;
        let output_max = self.machine.setup.limits.output_bytes_max;
        let dialect = self.agencies[place].dialect();
        let session = running.connect(dialect);
        let line = Line::new(number, place, dialect, session, output_max, self.events.now);
        self.lines.push(line);
        self.events.note(format_args!("line {number}: agency {} connects", place + 1));
        number
    }

    fn send(&mut self, place: usize) {
        let agency = &mut self.agencies[place];
        let requests = agency.act(&self.model.inputs[place], &mut self.chance);
        let own = agency.line.expect("it has a connection");
        let is_last = requests
            .iter()
            .any(|request| matches!(request.asked, Asked::Ready | Asked::TextFinish));
        for request in requests {
            let number = if request.is_stray { self.connect(place) } else { own };
            let line = self.lines.iter_mut().find(|line| line.number == number).unwrap();
            line.send(request.asked, &request.bytes);
            (line.is_old, line.is_ended) = (request.is_stray, request.is_stray);
            self.events.note(format_args!("line {number}: is sent {:?}", request.asked));
        }
        if is_last && self.is_faulty && self.chance.below(4) == 0 {
            let place = self.lines.iter().position(|line| line.number == own);
            self.leave_line(place.expect("it has just sent on it"));
        }
    }

    /// Has a session told something; what it says to that is held to the model at once.
    pub(crate) fn turn(
        &mut self,
        place: usize,
        what: &str,
        tell: impl FnOnce(&mut Line, u64) -> Vec<u8>,
    ) {
        let line = &mut self.lines[place];
        self.events.note(format_args!("line {}: {what}", line.number));
        let agency = u32::try_from(line.agency + 1).unwrap();
        let running = self.machine.running.as_ref();
        let queued = running.and_then(|running| running.office.lane(agency));
        let epoch_queued = queued.map_or(0, |lane| lane.epoch);
        line.know_newest(self.model.newest_epoch(line.agency), epoch_queued);
        let said = tell(line, self.events.now);
        match line.dialect {
            Dialect::Packets => self.judge_packets(place, &said),
            Dialect::Text => self.judge_line(place, &said, what),
        }
        if let Some(running) = &mut self.machine.running {
            running.was_asked();
        }
    }

    fn judge_packets(&mut self, place: usize, said: &[u8]) {
        let line = &mut self.lines[place];
        for reply in packets(&line.take_whole(said)) {
            let shown: String = reply.1.chars().take(24).collect();
            self.events.note(format_args!("line {}: answers {} {shown}", line.number, reply.0));
            if reply.0 == 0 {
                assert!(!line.is_served(), "it says that it closes, and does not");
                continue;
            }
            if reply.1.starts_with("FENCED") {
                line.end_fenced();
                self.model.judge_fence(&self.stored, line.agency, &line.known);
                continue;
            }
            let asked = line.next_asked();
            line.known.may_lack_room = self.machine.room_may_lack;
            self.model.judge(&self.stored, line.agency, &mut line.known, asked, &reply);
        }
    }

    /// One line at most, and then the end. An end without one says something only where it answers what was sent.
    fn judge_line(&mut self, place: usize, said: &[u8], what: &str) {
        let line = &mut self.lines[place];
        line.begun.extend_from_slice(said);
        if line.is_served() && !line.begun.is_empty() {
            assert_eq!(line.asked_in_text(), Asked::TextWinners, "a line, and no end");
            return;
        }
        let said = std::mem::take(&mut line.begun);
        let answers = !line.is_served() && what == GETS_BYTES && line.is_awaited();
        if said.is_empty() && !answers {
            return;
        }
        let (text, room) = (String::from_utf8_lossy(&said), self.machine.room_may_lack);
        self.events.note(format_args!("line {}: ends with {text:?}", line.number));
        let asked = (line.asked_in_text(), line.brought);
        self.model.judge_line(&self.stored, line.agency, room, asked, &text);
    }

    /// Its client reads; nobody reads what an old line brings.
    fn receive(&mut self, place: usize) {
        let count = self.some_bytes();
        let (line, now) = (&mut self.lines[place], self.events.now);
        let (bytes, agency) = (line.take_back(count), &mut self.agencies[line.agency]);
        let rests_until = now + self.chance.below(300) as u64;
        if line.is_old || agency.line != Some(line.number) {
            if line.is_over() {
                self.lines.swap_remove(place);
            }
            return;
        }
        let verdict = agency.receive(&bytes, now);
        if agency.is_done {
            (line.is_old, line.is_ended, agency.line) = (true, true, None);
            self.events.note(format_args!("agency {} has its winners", agency.number));
        } else if verdict == Verdict::Leave || line.is_over() {
            agency.lost(rests_until);
            (line.is_old, line.is_ended) = (true, true);
            self.events.note(format_args!("agency {} leaves line {}", agency.number, line.number));
        }
    }

    pub(crate) fn commit(&mut self) {
        let committed = self.machine.running().commit();
        self.events.note(format_args!("committer: {:?}", in_words(&committed)));
        match committed {
            Ok(Step::Committed) => self.look(),
            Ok(Step::Idle) => {
                let sessions_max = self.machine.setup.sessions_per_agency_max;
                let office = &self.machine.running().office;
                self.model.compare_office(&self.stored, office, sessions_max);
                self.check_fenced_are_told();
            }
            Err(failure) => self.died(&failure),
        }
    }

    /// All that was asked is on disk: a session whose lane a newer one works has ended, or has news of it.
    fn check_fenced_are_told(&self) {
        for line in &self.lines {
            let epoch = self.stored.lanes[line.agency].epoch;
            assert!(!line.lacks_news_of(epoch), "it waits for ever: {}", line.describe());
        }
    }

    fn draw(&mut self) {
        let now = self.events.now;
        let step = self.machine.running().draw(now);
        self.events.note(format_args!("drawer: {:?}", in_words(&step)));
        if let Err(failure) = step {
            self.died(&failure);
        }
    }

    /// The server ended by itself: only a disk that may fail is a reason.
    pub(crate) fn died(&mut self, failure: &Failure) {
        let is_of_disk = match failure {
            Failure::Disk(_) => true,
            // A call that fails as if there were no room may be a read, of which no real disk says so.
            Failure::Setup(_) => failure.to_string().starts_with("reading "),
            _ => false,
        };
        assert!(is_of_disk && self.machine.disk_may_fail, "it ended without a reason: {failure}");
        self.lose_server();
    }

    /// Holds what is on disk to the model.
    pub(crate) fn look(&mut self) {
        self.stored = self.machine.stored();
        self.model.compare(&self.stored);
    }
}

/// What an agency sends: few bets, of which some win.
fn input(agency: u32, chance: &mut Chance) -> Input {
    let batches_max = [5, 60][chance.below(2)];
    let batches = 1 + chance.below(batches_max);
    let bodies = (0..=batches).map(|_| {
        let bets = 1 + chance.below(4);
        let numbers = (0..bets).map(|_| match chance.below(5) {
            0 => u32::from(WINNING_NUMBER),
            _ => u32::try_from(chance.below(10_000)).unwrap(),
        });
        body(agency, &numbers.collect::<Vec<_>>())
    });
    Input::new(bodies.collect())
}

/// What a step did, with a failure's message alone: with `RUST_BACKTRACE` its debug format has the stack, which
/// differs between two runs of one seed.
fn in_words<T>(step: &Result<T, Failure>) -> Result<&T, String> {
    step.as_ref().map_err(ToString::to_string)
}
