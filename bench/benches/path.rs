//! The steps that a bet goes through, each alone, beside what this machine's memory does in the same run. Opens no socket.
//!
//! ```text
//! client  build      rows -> bodies of batches          server  decode     stream -> packets
//!         hash       body -> head, as the server                validate   body -> a batch, or why not
//!                                                               encode     records -> a group
//! draw    scan       bodies -> the bets on a number             seal       a group's checksums
//! ```
//! Input is generated, and where `BOLILLERO_DATASET` names a directory with `agency-1.csv`, also that
//! file. Look at `fastest`: whatever else the machine does only ever adds time.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use bolillero::batches::{Batches, Limits};
use bolillero::generate::{self, Plan};
use bolillero::source::Source;
use bolillero_protocol::bet::{Batch, BatchBuilder, Bets, BetsOn, Number};
use bolillero_protocol::chain::{BodyHash, Head};
use bolillero_protocol::message::Request;
use bolillero_protocol::tlv::{CLIENT_PACKET_SIZE_MAX, Decoder, REQUEST_LENGTH_MAX_DEFAULT, Rules};
use bolillero_server::ledger::record::{Kind, Record};
use bolillero_server::ledger::segment::{begin_group, seal_group};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

/// How much a connection reads at once.
const READ_SIZE: usize = 64 << 10;
const AGENCIES: u32 = 5;
/// As many as the largest file that agencies are known to send.
const GENERATED: Plan = Plan { agencies: AGENCIES, bets: 27_000, seed: 7574 };
/// Larger than any cache.
const SUMMED_SIZE: usize = 256 << 20;
const COPIED_SIZE: usize = 64 << 20;

fn main() {
    divan::main();
}

/// Where batches come from.
#[derive(Clone, Copy)]
enum Input {
    Generated,
    Dataset,
}

impl Input {
    fn available() -> Vec<Self> {
        if dataset().is_some() {
            vec![Self::Dataset, Self::Generated]
        } else {
            vec![Self::Generated]
        }
    }

    fn bodies(self) -> &'static Bodies {
        static GENERATED_BODIES: LazyLock<Bodies> = LazyLock::new(|| {
            let mut rows = Vec::new();
            let written = generate::write_bets(&GENERATED, 1, &mut rows, &mut |_| ());
            written.expect("writing to a vector does not fail");
            Bodies::cut(&rows)
        });
        static DATASET_BODIES: LazyLock<Bodies> = LazyLock::new(|| {
            let path = dataset().expect("only asked for where it is set");
            let rows =
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Bodies::cut(&rows)
        });
        match self {
            Self::Generated => &GENERATED_BODIES,
            Self::Dataset => &DATASET_BODIES,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generated => "generated",
            Self::Dataset => "dataset",
        })
    }
}

fn dataset() -> Option<PathBuf> {
    let directory = std::env::var_os("BOLILLERO_DATASET").filter(|set| !set.is_empty())?;
    Some(PathBuf::from(directory).join(generate::file_name(1)))
}

/// A file of bets as an agency sends it: cut into batches that fill their packets.
struct Bodies {
    bodies: Vec<Vec<u8>>,
    bets: u64,
}

impl Bodies {
    fn cut(rows: &[u8]) -> Self {
        let batches = Batches::new(Source::new(rows, "rows", 1), Limits::default());
        let batches: Vec<_> = batches.map(|batch| batch.expect("a row is a bet")).collect();
        let bets = batches.iter().map(|batch| u64::from(batch.bets)).sum();
        Self { bodies: batches.into_iter().map(|batch| batch.body).collect(), bets }
    }

    fn bytes(&self) -> BytesCount {
        BytesCount::new(self.bodies.iter().map(Vec::len).sum::<usize>())
    }

    fn items(&self) -> ItemsCount {
        ItemsCount::new(self.bets)
    }

    fn stream(&self) -> Vec<u8> {
        let mut stream = Vec::new();
        for (seq, body) in (1..).zip(&self.bodies) {
            Request::NumberedBatch { seq, body }.encode(&mut stream);
        }
        stream
    }

    fn group(&self, group: &mut Vec<u8>) {
        begin_group(group);
        for (seq, body) in (1..).zip(&self.bodies) {
            Record { kind: Kind::Batch, agency: 1, epoch: 1, seq, n: 1, body }.encode(group);
        }
    }
}

/// Puts what each pass over the bodies takes into bets and bytes per second.
fn each_pass<T>(
    bencher: Bencher<'_, '_>,
    input: Input,
    pass: impl Fn(&'static Bodies) -> T + Sync,
) {
    let bodies = input.bodies();
    bencher.counter(bodies.bytes()).counter(bodies.items()).bench(|| pass(bodies));
}

#[divan::bench(args = Input::available())]
fn build(bencher: Bencher<'_, '_>, input: Input) {
    let bodies = input.bodies();
    let bets: Vec<_> = bodies
        .bodies
        .iter()
        .flat_map(|body| Bets::read(body).expect("a batch is a list"))
        .map(|bet| bet.expect("a batch is whole"))
        .collect();
    each_pass(bencher, input, |_| {
        let mut builder = BatchBuilder::default();
        for bet in &bets {
            if !builder.push_within(bet, CLIENT_PACKET_SIZE_MAX) {
                black_box(builder.take());
            }
        }
        builder.take()
    });
}

#[divan::bench(args = Input::available())]
fn decode(bencher: Bencher<'_, '_>, input: Input) {
    let stream = input.bodies().stream();
    let rules = Rules { accepts: |_| true, length_max: REQUEST_LENGTH_MAX_DEFAULT, streamed: None };
    each_pass(bencher, input, |_| {
        let mut decoder = Decoder::new(rules);
        for mut read in stream.chunks(READ_SIZE) {
            while let (taken, Some(packet)) = decoder.next(read).expect("it was encoded") {
                black_box(packet);
                read = &read[taken..];
            }
        }
    });
}

#[divan::bench(args = Input::available())]
fn validate(bencher: Bencher<'_, '_>, input: Input) {
    each_pass(bencher, input, |bodies| {
        for body in &bodies.bodies {
            black_box(Batch::validate(body, AGENCIES)).expect("its bets were checked");
        }
    });
}

#[divan::bench(args = Input::available())]
fn hash(bencher: Bencher<'_, '_>, input: Input) {
    each_pass(bencher, input, |bodies| {
        bodies.bodies.iter().fold(Head::EMPTY, |head, body| head.then(BodyHash::of(body)))
    });
}

#[divan::bench(args = Input::available())]
fn encode(bencher: Bencher<'_, '_>, input: Input) {
    let mut group = Vec::new();
    input.bodies().group(&mut group);
    let bodies = input.bodies();
    bencher.counter(bodies.bytes()).counter(bodies.items()).bench_local(|| {
        group.clear();
        bodies.group(&mut group);
        black_box(group.len())
    });
}

#[divan::bench(args = Input::available())]
fn seal(bencher: Bencher<'_, '_>, input: Input) {
    let mut group = Vec::new();
    let bodies = input.bodies();
    bodies.group(&mut group);
    let size = group.len();
    bencher.counter(bodies.bytes()).counter(bodies.items()).bench_local(|| {
        group.truncate(size);
        seal_group(&mut group, 1);
        black_box(group.len())
    });
}

#[divan::bench(args = Input::available())]
fn scan(bencher: Bencher<'_, '_>, input: Input) {
    let winning = BetsOn::new(Number::new(7574).expect("a number that can be bet on"));
    each_pass(bencher, input, |bodies| {
        let mut winners = 0;
        for body in &bodies.bodies {
            winning.for_each(body, |_| winners += 1).expect("a batch is whole");
        }
        winners
    });
}

/// What the other figures are to be seen beside.
mod memory {
    use super::*;

    #[divan::bench(sample_count = 20)]
    fn sum(bencher: Bencher<'_, '_>) {
        let words = vec![1_u64; SUMMED_SIZE / 8];
        bencher
            .counter(BytesCount::new(SUMMED_SIZE))
            .bench(|| black_box(&words).iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
    }

    #[divan::bench(sample_count = 20)]
    fn copy(bencher: Bencher<'_, '_>) {
        let from = vec![1_u8; COPIED_SIZE];
        let mut to = vec![2_u8; COPIED_SIZE];
        bencher.counter(BytesCount::new(COPIED_SIZE)).bench_local(|| {
            to.copy_from_slice(black_box(&from));
            black_box(to.last().copied())
        });
    }
}
