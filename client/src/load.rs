//! Loads an empty office with bets of many agencies at once, checks every answer, tells the speed.
//! One thread, since the server has to live beside it; all that can be made before the clock starts
//! is.
//!
//! ```text
//! plan     what each agency sends and has to hear      latency  how long answers take
//! lanes    batches, a connection for each agency       report   what was measured
//! singles  batches, a connection for each              fault    what was wrong
//! questions  hello, ready, winners
//! drive    brings either to its connections            sockets  the only ones here
//! ```

use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

use crate::config::LoadConfig;
use crate::progress;

mod plan;

mod lanes;
mod questions;
mod singles;

mod drive;
mod fault;
mod sockets;

mod latency;
mod report;

pub use plan::{Dialect, Plan};

use drive::{check_silence, drive};
use fault::Fault;
use lanes::Lanes;
use latency::Latency;
use plan::Script;
use questions::{Question, Questions};
use report::{Handshakes, Report};
use singles::Singles;
use sockets::Sockets;

/// The first and the longest pause before an agency without a session asks for winners again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Sends what `config` asks for, and writes the report to stdout.
///
/// # Errors
/// The first answer that was wrong or did not come, by agency and batch; a server that cannot be
/// reached.
pub fn run(config: &LoadConfig) -> anyhow::Result<()> {
    let scripts = prepare(&config.plan);
    let sockets = Sockets::new(&config.server, config.tls.as_ref())?;
    let mut load = Load { config, scripts: &scripts, sockets };
    load.connect()?;
    announce(config, "sending")?;
    let sending = load.send()?;
    announce(config, "sent")?;
    let draw = if config.leave_open { None } else { Some(load.draw()?) };
    let handshakes = load.sockets.handshakes();
    let report = report(config, &scripts, &sending, draw.as_ref(), handshakes);
    let mut out = io::stdout().lock();
    let written =
        if config.json { report.write_json(&mut out) } else { report.write_text(&mut out) };
    written.and_then(|()| out.flush()).context("writing the report")
}

fn prepare(plan: &Plan) -> Vec<Script> {
    let bar = progress::bets(plan.bets);
    let scripts = plan.scripts(&mut |bets| bar.inc(bets));
    bar.finish_and_clear();
    scripts
}

/// Tells a harness where the load is, and waits until it may go on: a line, or the end of stdin.
fn announce(config: &LoadConfig, phase: &str) -> anyhow::Result<()> {
    if !config.phases {
        return Ok(());
    }
    writeln!(io::stderr(), "phase: {phase}").context("telling the phase")?;
    io::stdin().read_line(&mut String::new()).context("waiting for a line on stdin")?;
    Ok(())
}

struct Load<'a> {
    config: &'a LoadConfig,
    scripts: &'a [Script],
    sockets: Sockets,
}

/// The timed part.
struct Sending {
    time: Duration,
    cpu_seconds: f64,
    latency: Latency,
}

struct Draw {
    finish: Duration,
    draw: Duration,
}

impl Load<'_> {
    fn connect(&mut self) -> anyhow::Result<()> {
        let Plan { dialect, .. } = self.config.plan;
        if dialect != Dialect::ConnectionPerRequest {
            let connected = self.sockets.connect_all(self.scripts.len());
            connected.with_context(|| format!("connecting to {}", self.config.server))?;
        }
        if dialect == Dialect::Session {
            self.ask(Question::Hello)?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<Sending, Fault> {
        let LoadConfig { window, timeout, .. } = *self.config;
        let one_by_one = self.config.plan.dialect == Dialect::ConnectionPerRequest;
        let mut singles = Singles::new(if one_by_one { self.scripts } else { &[] }, window);
        let mut lanes = Lanes::new(if one_by_one { &[] } else { self.scripts }, window);
        let (start, cpu_start) = (Instant::now(), cpu_seconds());
        // Whichever has nothing to send is done at once.
        drive(&mut self.sockets, &mut singles, timeout)?;
        drive(&mut self.sockets, &mut lanes, timeout)?;
        let (time, cpu_seconds) = (start.elapsed(), cpu_seconds() - cpu_start);
        check_silence(&mut self.sockets, &mut lanes)?;
        let latency = if one_by_one { singles.into_latency() } else { lanes.into_latency() };
        Ok(Sending { time, cpu_seconds, latency })
    }

    fn draw(&mut self) -> Result<Draw, Fault> {
        let start = Instant::now();
        let last_ready = self.ask(Question::Ready)?;
        let finish = start.elapsed();
        self.ask(Question::Winners)?;
        Ok(Draw { finish, draw: last_ready.elapsed() })
    }

    /// Asks for every agency, until all are answered; returns when the last request was sent.
    fn ask(&mut self, question: Question) -> Result<Instant, Fault> {
        let LoadConfig { plan, timeout, .. } = self.config;
        let mut questions = Questions::new(question, plan.dialect, self.scripts);
        let (start, (mut pause, longest)) = (Instant::now(), PAUSES);
        loop {
            drive(&mut self.sockets, &mut questions, *timeout)?;
            if !questions.ask_again() {
                break;
            }
            if start.elapsed() > *timeout {
                return Err(drive::stalled(&questions, *timeout));
            }
            thread::sleep(pause);
            pause = longest.min(pause * 2);
        }
        check_silence(&mut self.sockets, &mut questions)?;
        Ok(questions.last_sent())
    }
}

/// What this process has taken of the processors so far.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).map_or(0.0, |time| time.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^52")]
fn report(
    config: &LoadConfig,
    scripts: &[Script],
    sending: &Sending,
    draw: Option<&Draw>,
    handshakes: Option<Handshakes>,
) -> Report {
    let batches: u64 = scripts.iter().map(|script| script.packets.len() as u64).sum();
    let bytes: u64 = scripts.iter().map(|script| script.packets.bytes.len() as u64).sum();
    let winners = |script: &Script| script.winners.iter().filter(|&&byte| byte == b'#').count();
    let Plan { dialect, agencies, bets, .. } = config.plan;
    let seconds = sending.time.as_secs_f64();
    let per_second = |count: u64| count as f64 / seconds;
    Report {
        dialect,
        agencies,
        window: config.window,
        bets,
        batches,
        bytes,
        seconds,
        bets_per_second: per_second(bets),
        batches_per_second: per_second(batches),
        megabytes_per_second: per_second(bytes) / 1e6,
        connections_per_second: (dialect == Dialect::ConnectionPerRequest)
            .then(|| per_second(batches)),
        handshakes,
        latency_us: sending.latency.percentiles(),
        client_cpu_seconds: sending.cpu_seconds,
        finish_seconds: draw.map(|draw| draw.finish.as_secs_f64()),
        draw_seconds: draw.map(|draw| draw.draw.as_secs_f64()),
        winners: draw.map(|_| scripts.iter().map(|script| winners(script) as u64).sum()),
    }
}
