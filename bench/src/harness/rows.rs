//! What is measured: the rows, their work and who takes part. Runs nothing.

use serde::Serialize;

use super::args::Bench;

/// The rows that can be asked for.
pub(crate) const ROW_NAMES: [&str; 15] = [
    "5x1",
    "5x16",
    "50x1",
    "500x1",
    "per-request",
    "5x1-tls",
    "5x16-tls",
    "per-request-tls",
    "scale",
    DRAW,
    IDLE,
    FILES,
    FILES_TLS,
    HANDSHAKES,
    ROOM,
];
/// 10 million bets once: the draw, a restart, memory, reading the ledger.
pub(crate) const DRAW: &str = "draw-restart-memory";
/// The memory that idle connections take.
pub(crate) const IDLE: &str = "idle";
/// Files over HFTP: their bytes, and their sizes.
pub(crate) const FILES: &str = "files";
/// A file over HFTP, with and without TLS.
pub(crate) const FILES_TLS: &str = "files-tls";
/// Connections that shake hands.
pub(crate) const HANDSHAKES: &str = "handshakes";
/// What guests of the room say to each other.
pub(crate) const ROOM: &str = "room";

/// A batch's packet is at most so long, header included.
pub(crate) const BATCH_BYTES: u32 = 8000;
const SMALL_BATCH_BYTES: u32 = 500;
/// It has at least so many bets then.
const SMALL_BATCH_BETS: u64 = 6;
/// Above so many agencies a thread for each is not measured.
const THREADS_AGENCIES_MAX: u32 = 100;

/// Servers that do the same work in turns.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) work: Work,
    pub(crate) servers: Vec<Server>,
    /// What ratios are to.
    pub(crate) reference: Reference,
    pub(crate) rounds: u32,
    /// Whether system calls are counted, in runs of their own.
    pub(crate) traced: bool,
    /// Where it is a point of the row `scale`: what grows there.
    pub(crate) scale: Option<Grows>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grows {
    Agencies,
    Bets,
}

/// What the load generator is asked to do.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Work {
    pub(crate) agencies: u32,
    pub(crate) window: u32,
    pub(crate) bets: u64,
    pub(crate) batch_bytes: u32,
    pub(crate) connection_per_request: bool,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Reference(Reference, Channel),
    Ours(Driver, Dialect, Channel),
}

/// What is around the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    Plain,
    Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    Null,
    Append,
    SyncEach,
    Group,
    Pipe,
    Accept,
    Accepts,
    Stream,
    Reply,
    Replies,
    Room,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Pool,
    Events,
    Threads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Session,
    Base,
}

impl Server {
    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::Reference(reference, _) => reference.name().to_owned(),
            Self::Ours(driver, Dialect::Session, _) => format!("ours {}", driver.name()),
            Self::Ours(driver, Dialect::Base, _) => format!("ours {} base", driver.name()),
        };
        self.channel().add_to(&name)
    }

    /// References speak nothing else.
    pub(crate) fn speaks_base(self) -> bool {
        !matches!(self, Self::Ours(_, Dialect::Session, _))
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours(..))
    }

    pub(crate) fn channel(self) -> Channel {
        let (Self::Reference(_, channel) | Self::Ours(_, _, channel)) = self;
        channel
    }

    /// The same server over another channel.
    pub(crate) fn over(self, channel: Channel) -> Self {
        match self {
            Self::Reference(reference, _) => Self::Reference(reference, channel),
            Self::Ours(driver, dialect, _) => Self::Ours(driver, dialect, channel),
        }
    }
}

impl Channel {
    pub(crate) const BOTH: [Self; 2] = [Self::Plain, Self::Tls];

    /// The name of a server that is spoken to like this.
    pub(crate) fn add_to(self, server: &str) -> String {
        match self {
            Self::Plain => server.to_owned(),
            Self::Tls => format!("{server} TLS"),
        }
    }
}

impl Reference {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Append => "append",
            Self::SyncEach => "sync-each",
            Self::Group => "group",
            Self::Pipe => "pipe",
            Self::Accept => "accept",
            Self::Accepts => "accepts",
            Self::Stream => "stream",
            Self::Reply => "reply",
            Self::Replies => "replies",
            Self::Room => "room",
        }
    }

    pub(crate) fn stores(self) -> bool {
        matches!(self, Self::Append | Self::SyncEach | Self::Group | Self::Pipe)
    }
}

impl Driver {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Events => "events",
            Self::Threads => "threads",
        }
    }
}

/// The rows of the speed of bets that were asked for.
pub(crate) fn timed(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for (agencies, window, reference, bets, bets_quick) in [
        (5, 1, Reference::Group, 1_500_000, 800_000),
        (5, 16, Reference::Pipe, 8_000_000, 4_000_000),
        (50, 1, Reference::Pipe, 5_000_000, 2_000_000),
        (500, 1, Reference::Pipe, 6_000_000, 3_000_000),
    ] {
        let bets = if bench.quick { bets_quick } else { bets };
        rows.push(batches(agencies, window, bets, reference));
    }
    rows.push(per_request(100_000));
    rows.push(under_tls(&batches(5, 1, bench.amount(1_500_000), Reference::Group)));
    rows.push(under_tls(&batches(5, 16, bench.amount(8_000_000), Reference::Pipe)));
    // A handshake takes long: one connection after the other would mostly wait.
    let handshakes = Row { reference: Reference::Accepts, ..per_request(bench.amount(40_000)) };
    rows.push(under_tls(&handshakes));
    for row in &mut rows {
        row.rounds = bench.rounds;
        // TLS asks the kernel for nothing more.
        row.traced = !bench.quick && !row.compares_channels();
    }
    rows.retain(|row| bench.takes(&row.name));
    if bench.takes("scale") {
        rows.extend(scale(bench));
    }
    rows
}

fn batches(agencies: u32, window: u32, bets: u64, reference: Reference) -> Row {
    let references = [
        Reference::Null,
        Reference::Append,
        Reference::SyncEach,
        Reference::Group,
        Reference::Pipe,
    ];
    let mut servers =
        references.map(|reference| Server::Reference(reference, Channel::Plain)).to_vec();
    servers.extend(ours(agencies, Dialect::Session));
    servers.push(Server::Ours(Driver::Pool, Dialect::Base, Channel::Plain));
    let batch_bytes = BATCH_BYTES;
    let work = Work { agencies, window, bets, batch_bytes, connection_per_request: false };
    let name = format!("{agencies}x{window}");
    Row { name, work, servers, reference, rounds: 1, traced: false, scale: None }
}

/// As deployed clients do: a connection for each request. They are fewer than half of the local ports:
/// with more, the search for a free one would be measured, and the kernel would forget them too slowly.
fn per_request(bets: u64) -> Row {
    let work = Work {
        agencies: 50,
        window: 1,
        bets,
        batch_bytes: SMALL_BATCH_BYTES,
        connection_per_request: true,
    };
    let references = [Reference::Accept, Reference::Group];
    let mut servers =
        references.map(|reference| Server::Reference(reference, Channel::Plain)).to_vec();
    servers.extend(ours(work.agencies, Dialect::Base));
    let name = "per-request".to_owned();
    let reference = Reference::Accept;
    Row { name, work, servers, reference, rounds: 1, traced: false, scale: None }
}

/// A row's reference and ours, each with and without TLS, side by side: their ratios are of one time.
fn under_tls(row: &Row) -> Row {
    let dialect = if row.work.connection_per_request { Dialect::Base } else { Dialect::Session };
    let mut servers = vec![Server::Reference(row.reference, Channel::Plain)];
    let drivers = [Driver::Pool, Driver::Events];
    servers.extend(drivers.map(|driver| Server::Ours(driver, dialect, Channel::Plain)));
    let servers =
        servers.into_iter().flat_map(|server| Channel::BOTH.map(|channel| server.over(channel)));
    Row { name: format!("{}-tls", row.name), servers: servers.collect(), ..row.clone() }
}

/// How it goes with more agencies, and with more bets.
fn scale(bench: &Bench) -> impl Iterator<Item = Row> {
    let agencies =
        [(1, 1_000_000), (5, 2_000_000), (20, 3_000_000), (100, 3_000_000), (500, 3_000_000)];
    let depth_1 = agencies.map(|(agencies, bets)| (Grows::Agencies, agencies, 1, bets / 2));
    let depth_16 = agencies.map(|(agencies, bets)| (Grows::Agencies, agencies, 16, bets));
    let sizes = [100_000, 1_000_000, 10_000_000].map(|bets| (Grows::Bets, 5, 16, bets));
    // Three rounds show a line; the marks rest on the rows above.
    let rounds = bench.rounds.min(3);
    depth_1.into_iter().chain(depth_16).chain(sizes).map(move |(grows, agencies, window, bets)| {
        let mut row = batches(agencies, window, bets, Reference::Pipe);
        row.name = format!("scale {agencies}x{window}, {}", short_count(bets));
        row.servers = vec![Server::Reference(Reference::Pipe, Channel::Plain)];
        row.servers.extend(ours(agencies, Dialect::Session));
        row.rounds = rounds;
        row.scale = Some(grows);
        row
    })
}

fn ours(agencies: u32, dialect: Dialect) -> impl Iterator<Item = Server> {
    let drivers = [Driver::Pool, Driver::Events, Driver::Threads];
    let taken =
        move |driver: &Driver| *driver != Driver::Threads || agencies <= THREADS_AGENCIES_MAX;
    drivers
        .into_iter()
        .filter(taken)
        .map(move |driver| Server::Ours(driver, dialect, Channel::Plain))
}

/// `1 M`, `1.5 M`, `100 k`.
pub(crate) fn short_count(count: u64) -> String {
    match count {
        1_000_000.. => format!("{} M", count as f64 / 1e6),
        1_000.. => format!("{} k", count as f64 / 1e3),
        _ => count.to_string(),
    }
}

impl Row {
    /// Whether it shows what TLS costs.
    pub(crate) fn compares_channels(&self) -> bool {
        self.servers.iter().any(|server| server.channel() == Channel::Tls)
    }
}

impl Work {
    /// At most so many connections are opened one after the other.
    pub(crate) fn connections_max(&self) -> u64 {
        if self.connection_per_request { self.bets / SMALL_BATCH_BETS } else { 0 }
    }

    /// What the pictures say under their title.
    pub(crate) fn conditions(&self) -> String {
        let Self { agencies, window, batch_bytes, .. } = self;
        let bets = short_count(self.bets);
        let agency = if *agencies == 1 { "agency" } else { "agencies" };
        if self.connection_per_request {
            return format!(
                "{agencies} {agency}, a connection for each batch of at most {batch_bytes} bytes, {bets} bets"
            );
        }
        format!(
            "{agencies} {agency}, {window} batch{} in flight each, at most {batch_bytes} bytes a batch, {bets} bets",
            if *window == 1 { "" } else { "es" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_tls_everyone_takes_part_twice() {
        let row = under_tls(&batches(5, 1, 1, Reference::Group));
        let names: Vec<String> = row.servers.iter().map(|server| server.name()).collect();
        assert_eq!(row.name, "5x1-tls");
        assert_eq!(names[..4], ["group", "group TLS", "ours pool", "ours pool TLS"]);
        assert_eq!(names[4..], ["ours events", "ours events TLS"]);
        assert!(row.compares_channels() && !batches(5, 1, 1, Reference::Group).compares_channels());
    }
}
