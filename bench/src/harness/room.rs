//! What guests of the room say to each other, beside a bare loop that passes lines on: messages
//! delivered in a second. Says what is measured.

mod guests;

use anyhow::Context as _;
use serde::Serialize;

use self::guests::Guests;
use super::args::Bench;
use super::cost::TlsCost;
use super::disk::Disk;
use super::figure::{Figure, MILLION, Sample, in_turns};
use super::marks;
use super::report::with_unit;
use super::rows::{Channel, Reference};
use super::run::{self, Running};
use super::side::{BOTH, Side, Subject};
use super::{idle, progress};

/// Guests, and how often each speaker speaks: at most as often as may be said at once.
const ROOMS: [(usize, u64); 2] = [(3, 9_500), (300, 700)];
/// Guests who speak, the first to come; all read.
pub(crate) const SPEAKERS: usize = 3;
/// Messages of a speaker on their way, that not everybody has.
pub(crate) const WINDOW: u64 = 64;
/// What a guest may say at once, and what may wait for one: nobody is held up by either.
const BURST: &str = "10000";
const QUEUE: &str = "65536";

/// What one size of room found.
#[derive(Debug, Serialize)]
pub(crate) struct RoomReport {
    pub(crate) guests: usize,
    pub(crate) message_bytes: usize,
    pub(crate) figures: Vec<Figure>,
    pub(crate) tls: Vec<TlsCost>,
}

/// Every server in every round, in turns.
pub(crate) fn measure(bench: &Bench, disk: &mut Disk) -> anyhow::Result<Vec<RoomReport>> {
    idle::raise_descriptors()?;
    let rooms = ROOMS.map(|(guests, messages)| {
        let (work, messages) = (format!("{guests} guests"), bench.amount(messages));
        let samples = in_turns(bench.rounds, BOTH.len(), |turn| {
            let side = BOTH[turn];
            let sample = run(bench, disk, side, guests, messages);
            let name = side.name(Reference::Room);
            let sample = sample.with_context(|| format!("{work}, {name}"))?;
            let speed = with_unit(sample.per_second);
            progress(&format!("room {work:<10} {name:<16} {speed:>12}/s"));
            Ok(sample)
        })?;
        let subject = Subject { work, reference: Reference::Room, unit: "/s" };
        Ok(RoomReport {
            guests,
            message_bytes: guests::MESSAGE_BYTES,
            figures: subject.figures(&BOTH, &samples, |_| Some(marks::ROOM)),
            tls: subject.costs(&BOTH, &samples),
        })
    });
    rooms.into_iter().collect()
}

fn run(
    bench: &Bench,
    disk: &mut Disk,
    side: Side,
    n_guests: usize,
    messages: u64,
) -> anyhow::Result<Sample> {
    let running = start(bench, disk, side, n_guests)?;
    let speakers = SPEAKERS.min(n_guests);
    let mut guests = Guests::enter(bench, &running.address, side.channel(), n_guests, speakers)?;
    let delivered = messages * (speakers * (n_guests - 1)) as u64;
    let sample = Sample::of(&running, (delivered, MILLION), || guests.talk(messages, WINDOW))?;
    drop(guests);
    if side.is_ours() {
        running.stop()?;
    }
    disk.clear()?;
    Ok(sample)
}

fn start(bench: &Bench, disk: &mut Disk, side: Side, guests: usize) -> anyhow::Result<Running> {
    let (directory, _) = disk.settle()?;
    match side {
        Side::Reference(channel) => {
            let kind = (Reference::Room, channel);
            run::start_reference(bench, kind, &directory.join("none"))
        }
        Side::Ours(driver, channel) => {
            let mut command = run::serve(bench, &directory);
            command.args(["--driver", driver.name(), "--room", "127.0.0.1:0"]);
            command.args(["--room-capacity", &guests.to_string()]);
            command.args(["--room-burst", BURST, "--room-queue", QUEUE]);
            match channel {
                Channel::Plain => drop(command.arg("--room-plaintext")),
                Channel::Tls => run::add_tls(bench, channel, &mut command),
            }
            run::listen_ours(command, "room")
        }
    }
}
