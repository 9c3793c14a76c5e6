//! Death at any moment: a child server under several agencies is killed, started again on what it
//! left, and killed again; of its lives every other is over TLS. What the agencies were promised is the only judge. It is about the death
//! of a process; what the page cache had not written yet is not lost here.
//!
//! A tale is the life of one data directory: some servers that die, and one that ends in order. The
//! seed tells when they die in terms of what happens: after so many answers, at a log line, and then
//! at most so many microseconds later if nothing else happens before. That time moves the death
//! between two events; nothing that is asserted depends on it. A seed gives the plan, and not how the
//! kernel schedules two programs: the same seed dies a little elsewhere each time.
//!
//! `ROUNDS=n` deaths instead of 30, `SEED=n` begins with the tale of that seed.

mod dice;
mod events;
mod lane;
mod oracle;

use std::env;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use crate::office::{Office, count, serve, verify};
use crate::process::{Ended, PATIENCE, Process};
use crate::secured::server_options;
use dice::Dice;
use events::Events;
use lane::{Lane, Place, Speaks};
use oracle::Stored;

/// What `lane` gives every body of eight bets and more.
const WINNING_NUMBER: &str = "7";
const AGENCIES: [Speaks; 4] = [Speaks::Sessions, Speaks::Base, Speaks::Sessions, Speaks::Sessions];
const DRAWN: &str = "action: sorteo | result: success";
const ROUNDS_DEFAULT: u64 = 30;
/// How often a server dies in a tale, while agencies store, and from when on they finish.
const STORING: u64 = 4;
const FINISHING: u64 = 4;
/// The most answers before a death while agencies store.
const ANSWERS_MAX: u64 = 200;
/// The longest time between an event and the death that it is followed by.
const AFTER_MAX: Duration = Duration::from_millis(2);

#[test]
fn what_was_acknowledged_is_there_once_whenever_the_server_is_killed() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("SEED").unwrap_or(1);
    let rounds = number("ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let tales = rounds.div_ceil(STORING + FINISHING);
    let mut deaths = Deaths::default();
    for seed in seed..seed + tales {
        let replay = Replay(seed);
        let mut tale = Tale::begin(seed, &mut deaths);
        tale.tell();
        tale.end();
        drop(replay);
    }
    eprintln!("{deaths:?}");
}

/// How often what was met.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "it is printed")]
struct Deaths {
    before_listening: u64,
    while_storing: u64,
    while_finishing: u64,
    /// Draws that a server died over and the next one did before it listened.
    draws_at_a_start: usize,
    /// Deaths between a new segment's name and its first group.
    at_a_new_segment: usize,
    batches: usize,
    /// Stored batches of which no answer was received.
    unanswered: usize,
    segments: u32,
}

/// Tells how to see a failure again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("to replay this: make crash SEED={} ROUNDS=1", self.0);
        }
    }
}

/// When a server dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// After so many answers.
    Answers(u64),
    /// After the last 5 is on disk and in the log, with the draw to be done.
    Due,
    /// After the draw is, with the agencies to be told.
    Drawn,
}

struct Tale<'a> {
    deaths: &'a mut Deaths,
    dice: Dice,
    directory: TempDir,
    /// Where the server's certificate is.
    certificates: TempDir,
    /// Whether the server that was started last is reached over TLS.
    over_tls: bool,
    lanes: Vec<Lane>,
    stored: Stored,
    /// How long the last start took from its first line to listening.
    start_time: Duration,
    /// How often the draw was logged.
    draws_logged: usize,
}

impl<'a> Tale<'a> {
    fn begin(seed: u64, deaths: &'a mut Deaths) -> Self {
        let directory = tempdir().unwrap();
        Self {
            deaths,
            dice: Dice::new(seed, 0),
            lanes: (1..).zip(AGENCIES).map(|(id, speaks)| Lane::new(id, speaks, seed)).collect(),
            stored: Stored::read(directory.path(), AGENCIES.len()),
            directory,
            certificates: tempdir().unwrap(),
            over_tls: false,
            start_time: Duration::from_millis(5),
            draws_logged: 0,
        }
    }

    fn tell(&mut self) {
        for round in 0..STORING + FINISHING {
            let finishes = round >= STORING;
            if self.dice.one_in(4) {
                self.die_at_the_start();
                self.deaths.before_listening += 1;
                continue;
            }
            if finishes {
                self.lanes.iter_mut().for_each(|lane| lane.wind_up(self.dice.below(8)));
                self.deaths.while_finishing += 1;
            } else {
                self.deaths.while_storing += 1;
            }
            let moment = self.moment(finishes);
            self.die_at(moment);
        }
    }

    fn moment(&mut self, finishes: bool) -> Moment {
        if !finishes {
            return Moment::Answers(1 + self.dice.below(ANSWERS_MAX));
        }
        if self.stored.draws == 0 && self.dice.one_in(2) {
            return *self.dice.choose(&[Moment::Due, Moment::Drawn]);
        }
        // Up to all that they may still be owed, each a 5 and a 6 among it.
        let most: u64 = self.lanes.iter().map(Lane::answers_left).sum();
        Moment::Answers(self.dice.below(most + 1))
    }

    fn serve(&mut self) -> Process {
        let driver = self.dice.choose(&["pool", "events", "threads"]);
        let mark_delay = self.dice.choose(&["10ms", "100ms"]);
        // A segment is full after a few batches, or a few dozen: it is changed often.
        let segment_size = self.dice.choose(&["8KiB", "32KiB"]);
        let delay = self.dice.choose(&["0s", "2ms"]);
        let options = [
            ["--agencies", "4"],
            ["--winning-number", WINNING_NUMBER],
            ["--max-packet", "4KiB"],
            ["--segment-size", segment_size],
            ["--driver", driver],
            ["--mark-delay", mark_delay],
            ["--announce-delay", delay],
        ];
        let mut command = serve(self.directory.path(), &options.concat());
        self.over_tls = self.dice.one_in(2);
        if self.over_tls {
            command.args(server_options(self.certificates.path()));
        }
        Process::start(command)
    }

    fn die_at_the_start(&mut self) {
        let mut process = self.serve();
        process.wait_for("action: config");
        let time = self.below(self.start_time * 2);
        process.comes_within("action: listen", time);
        let ended = process.kill();
        self.check(&ended);
    }

    fn die_at(&mut self, moment: Moment) {
        let mut office = self.start();
        let place = Place { address: office.address, over_tls: self.over_tls };
        let after = self.below(AFTER_MAX);
        let events = Events::new(self.lanes.len());
        let (lanes, events) = (&mut self.lanes, &events);
        let ended = thread::scope(|scope| {
            for lane in lanes {
                scope.spawn(move || lane.live(place, events));
            }
            await_moment(moment, after, &mut office, events);
            events.change(|counts| counts.over = true);
            office.process.kill()
        });
        self.check(&ended);
    }

    fn start(&mut self) -> Office {
        let mut process = self.serve();
        process.wait_for("action: config");
        let begin = Instant::now();
        let office = Office::listening(process);
        self.start_time = begin.elapsed();
        office
    }

    fn below(&mut self, time: Duration) -> Duration {
        let micros = u64::try_from(time.as_micros()).unwrap();
        Duration::from_micros(self.dice.below(micros.max(1)))
    }

    /// Nobody runs: looks whether all that was promised is kept.
    fn check(&mut self, ended: &Ended) {
        let stored = Stored::read(self.directory.path(), self.lanes.len());
        stored.check(&self.stored, &self.lanes);
        self.stored = stored;
        self.deaths.at_a_new_segment += usize::from(self.stored.ends_empty);
        let drawn = ended.lines.iter().position(|line| line.contains(DRAWN));
        let listens = ended.lines.iter().position(|line| line.contains("action: listen"));
        self.draws_logged += usize::from(drawn.is_some());
        self.deaths.draws_at_a_start +=
            usize::from(drawn.is_some() && (listens.is_none() || drawn < listens));
        assert!(self.draws_logged <= self.stored.draws, "a draw that is not there was logged");
        // What was in flight on a connection that its agency left may come after the next hello.
        let failed = |line: &&String| line.contains("fail") && !line.contains("works this lane");
        assert_eq!(ended.lines.iter().find(failed), None);
        assert_eq!(ended.stderr, "");
    }

    /// A last server, under which all agencies end their work.
    fn end(mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.wind_up(0));
        let office = self.start();
        let place = Place { address: office.address, over_tls: self.over_tls };
        let events = Events::new(self.lanes.len());
        thread::scope(|scope| {
            for lane in &mut self.lanes {
                scope.spawn(|| lane.live(place, &events));
            }
        });
        let ended = office.stop();
        self.check(&ended);
        let report = verify(self.directory.path());
        assert!(report.contains("agencies        4, 4 ready"), "{report}");
        for lane in &self.lanes {
            let told = lane.winners.as_ref().expect("every agency was told its winners");
            assert_eq!(*told, self.published(lane.agency));
        }
        let answered: usize = self.lanes.iter().map(|lane| lane.acknowledged.len()).sum();
        self.deaths.batches += self.stored.batches();
        self.deaths.unanswered += self.stored.batches() - answered;
        self.deaths.segments += self.stored.segments;
    }

    /// The published winners of an agency, as an opcode 7 has them.
    fn published(&self, agency: u32) -> String {
        let name = format!("published/winners-agency-{agency}.csv");
        let text = fs::read_to_string(self.directory.path().join(name)).unwrap();
        let told: String = text.lines().map(|document| format!("{document}#")).collect();
        if told.is_empty() { "#".to_owned() } else { told }
    }
}

fn await_moment(moment: Moment, after: Duration, office: &mut Office, events: &Events) {
    match moment {
        Moment::Answers(answers) => {
            assert!(events.wait(|counts| counts.answers >= answers, PATIENCE), "{events:?}");
            // Until the next answer, or that time has passed.
            events.wait(|counts| counts.answers > answers, after);
        }
        Moment::Due => {
            let finished: usize = office.recovered("finished").parse().unwrap();
            for _ in finished..AGENCIES.len() {
                office.process.wait_for("action: agencia_lista | result: success");
            }
            office.process.comes_within(DRAWN, after / 10);
        }
        Moment::Drawn => {
            // A draw that was due at the start is done before anybody is served.
            if count(office.process.seen(), DRAWN) == 0 {
                office.process.wait_for(DRAWN);
            }
            office.process.comes_within("action: publish", after);
        }
    }
}
