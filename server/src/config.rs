//! What the options, the environment and the file mean, checked before a socket or a ledger is
//! opened. Every error names the value and where it came from.
//!
//! Flag > environment > file > default. `SERVER_IP` is the name clients know the server by, not an
//! address to bind: it is not looked at.

mod address;
mod connections;
mod files;
mod room;
mod sources;
mod tls;
mod units;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bolillero_fs::Access;
use bolillero_protocol::bet::{AGENCIES_MAX, Number};
use bolillero_protocol::text;
use bolillero_protocol::tlv::REQUEST_LENGTH_MAX;
use bolillero_protocol::words::counted;

pub use self::address::{PORT_DEFAULT, TEXT_PORT_DEFAULT};
pub use self::connections::{BACKLOG_DEFAULT, Connections, PEER_TIMEOUT_MAX, WORKERS_MAX};
pub use self::files::{FILE_READERS_MAX, FileService, FilesConfig, LISTING_SIZE_MAX};
pub use self::room::{
    ROOM_BURST_MAX, ROOM_CAPACITY_MAX, ROOM_HISTORY_MAX, ROOM_QUEUE_MAX, RoomService,
};
pub use self::sources::CONFIG_FILE_DEFAULT;
use self::sources::Sources;
pub use self::tls::Tls;
pub use self::units::{TIME_MAX, TIMEOUT_MIN};
use self::units::{deadline_flag, size_flag, time_flag};
use crate::args::{EchoArgs, HealthArgs, OpenService, ServeArgs};
use crate::echo::Echo;
use crate::ledger::Sizes;
use crate::ledger::committer::Pace;
use crate::lottery::live::SESSIONS_PER_AGENCY_MAX_MIN;
use crate::lottery::pieces::{PIECE_MEMORY, PieceSettings};
use crate::lottery::session::SessionLimits;
use crate::lottery::winners::readers_default;

/// The most readers that can be asked for.
pub const READERS_MAX: usize = 64;

/// All that a central office is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to listen for the text dialect, if that is spoken.
    pub listen_text: Option<SocketAddr>,
    /// The files that are served beside the lottery, if any are.
    pub files: Option<FileService>,
    /// The room where operators talk, if there is one.
    pub room: Option<RoomService>,
    /// Services that let in who shows no certificate, also where one is asked for.
    pub tls_anyone: Vec<OpenService>,
    /// How connections are held, and what is logged.
    pub connections: Connections,
    /// Where the ledger is.
    pub data_dir: PathBuf,
    /// Where results are published.
    pub published: PathBuf,
    /// Who on this machine may read them there.
    pub published_access: Access,
    /// How many agencies the draw has.
    pub agencies: u32,
    /// The number that wins.
    pub winning_number: Number,
    /// The limits of the lottery's sessions.
    pub session: SessionLimits,
    /// How much of the winners may be unsent.
    pub pieces: PieceSettings,
    /// Sessions of an agency that may be open at a time.
    pub sessions_per_agency_max: usize,
    /// Bytes in which the last batches of all lanes are remembered.
    pub remembered_bytes_max: u64,
    /// Bytes queued for the ledger.
    pub ledger_queue_bytes_max: usize,
    /// Bytes of a ledger file.
    pub segment_size: u64,
    /// How long the committer waits for what.
    pub pace: Pace,
    /// Threads that read the ledger for the winners.
    pub readers: usize,
    /// How long the draw's answers wait after its log line.
    pub announce_delay: Duration,
    /// The longest time that the draw's answers wait for the published files.
    pub publish_wait: Duration,
    /// Whether published results that contradict the ledger are moved aside; else they refuse the start.
    pub ignore_published: bool,
}

impl Config {
    /// Finds out what was meant. `environment` gives the value of a variable.
    ///
    /// # Errors
    /// The first value that means nothing, and where it came from.
    pub fn new(
        args: &ServeArgs,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let sources = Sources::open(args.connections.config.as_deref(), &environment)?;
        let connections = Connections::new(&args.connections, args.agencies, &sources)?;
        let config = Self {
            listen: address::listen(args.listen.as_deref(), &sources)?,
            listen_text: address::listen_text(args.listen_text.as_deref())?,
            files: FileService::beside(args)?,
            room: RoomService::beside(&args.room, connections.tls.is_some())?,
            tls_anyone: args.tls_anyone.clone(),
            data_dir: args.data_dir.clone(),
            published: files::published(args),
            published_access: files::published_access(args),
            agencies: args.agencies,
            winning_number: Number::new(args.winning_number).with_context(|| {
                format!("--winning-number {}: not 0 to 9999", args.winning_number)
            })?,
            session: session_limits(args, connections.limits.output_bytes_max)?,
            pieces: pieces(args)?,
            sessions_per_agency_max: sessions_per_agency_max(args)?,
            remembered_bytes_max: size_flag("remembered-max", &args.remembered_max)?,
            ledger_queue_bytes_max: size_flag("ledger-queue", &args.ledger_queue)?,
            segment_size: size_flag("segment-size", &args.segment_size)?,
            pace: Pace {
                mark_delay: time_flag("mark-delay", &args.mark_delay)?,
                linger_time_max: time_flag("linger-max", &args.linger_max)?,
            },
            readers: readers(args)?,
            announce_delay: time_flag("announce-delay", &args.announce_delay)?,
            publish_wait: time_flag("publish-wait", &args.publish_wait)?,
            ignore_published: args.ignore_published,
            connections,
        };
        config.check(args)?;
        Ok(config)
    }

    /// The sizes that decide about room in the ledger.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            segment: self.segment_size,
            batch_body_max: self.batch_body_max(),
            agencies: self.agencies,
        }
    }

    /// The longest body of a batch, in bytes, that is sent in any of the dialects spoken.
    fn batch_body_max(&self) -> u64 {
        let text_max = self.listen_text.map_or(0, |_| text::BODY_LENGTH_MAX as u64);
        text_max.max(self.session.packet_length_max.into())
    }

    fn check(&self, args: &ServeArgs) -> anyhow::Result<()> {
        ensure!(self.agencies <= AGENCIES_MAX, "--agencies {}: not 0 to 65535", self.agencies);
        let segment_size_min = self.sizes().segment_size_min();
        ensure!(
            self.segment_size >= segment_size_min,
            "--segment-size {}: at least {segment_size_min} bytes are needed for {} and batches of {} bytes (--max-packet, --listen-text)",
            args.segment_size,
            counted(args.agencies, "agency"),
            self.batch_body_max(),
        );
        ensure!(self.ledger_queue_bytes_max > 0, "--ledger-queue 0: nothing could be stored");
        Ok(())
    }
}

/// All that an echo server is told.
#[derive(Debug, Clone)]
pub struct EchoConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How connections are held, and what is logged.
    pub connections: Connections,
    /// The limits of a line.
    pub echo: Echo,
}

impl EchoConfig {
    /// As [`Config::new`].
    ///
    /// # Errors
    /// The first value that means nothing, and where it came from.
    pub fn new(
        args: &EchoArgs,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let sources = Sources::open(args.connections.config.as_deref(), &environment)?;
        let line_bytes_max = size_flag("max-line", &args.max_line)?;
        ensure!(line_bytes_max > 0, "--max-line 0: no line could be answered");
        Ok(Self {
            listen: address::listen(args.listen.as_deref(), &sources)?,
            connections: Connections::new(&args.connections, 0, &sources)?,
            echo: Echo {
                line_bytes_max,
                line_time_max: deadline_flag("line-timeout", &args.line_timeout)?,
            },
        })
    }
}

/// Where a server on this machine is asked how it is.
#[derive(Debug, Clone, Copy)]
pub struct HealthConfig {
    /// Where it is reached.
    pub address: SocketAddr,
    /// How long it may take.
    pub time_max: Duration,
}

impl HealthConfig {
    /// As [`Config::new`].
    ///
    /// # Errors
    /// The first value that means nothing, and where it came from.
    pub fn new(
        args: &HealthArgs,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let sources = Sources::open(args.config.as_deref(), &environment)?;
        let address = address::listen(args.listen.as_deref(), &sources)?;
        let time_max = deadline_flag("timeout", &args.timeout)?;
        Ok(Self { address: address::reachable(address), time_max })
    }
}

fn readers(args: &ServeArgs) -> anyhow::Result<usize> {
    let readers = args.readers.unwrap_or_else(readers_default);
    ensure!((1..=READERS_MAX).contains(&readers), "--readers {readers}: not 1 to {READERS_MAX}");
    Ok(readers)
}

fn sessions_per_agency_max(args: &ServeArgs) -> anyhow::Result<usize> {
    let sessions_max = args.max_sessions_per_agency;
    ensure!(
        sessions_max >= SESSIONS_PER_AGENCY_MAX_MIN,
        "--max-sessions-per-agency {sessions_max}: at least {SESSIONS_PER_AGENCY_MAX_MIN}, the \
         newest and the one that it replaces"
    );
    Ok(sessions_max)
}

fn session_limits(args: &ServeArgs, output_bytes_max: usize) -> anyhow::Result<SessionLimits> {
    let packet_length_max: u32 = size_flag("max-packet", &args.max_packet)?;
    ensure!(
        (1..=REQUEST_LENGTH_MAX).contains(&packet_length_max),
        "--max-packet {}: not 1 byte to 1MiB",
        args.max_packet
    );
    ensure!(args.max_unanswered > 0, "--max-unanswered 0: nothing could be asked");
    Ok(SessionLimits {
        packet_length_max,
        packet_time_max: deadline_flag("packet-timeout", &args.packet_timeout)?,
        idle_time_max: deadline_flag("idle-timeout", &args.idle_timeout)?,
        unanswered_max: args.max_unanswered,
        output_bytes_max,
    })
}

fn pieces(args: &ServeArgs) -> anyhow::Result<PieceSettings> {
    let bytes: usize = size_flag("winners-unsent-max", &args.winners_unsent_max)?;
    let pieces_max = NonZeroUsize::new(bytes / PIECE_MEMORY).with_context(|| {
        format!("--winners-unsent-max {}: at least 64KiB, one piece", args.winners_unsent_max)
    })?;
    Ok(PieceSettings { pieces_max, ..PieceSettings::default() })
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use clap::Parser as _;
    use log::LevelFilter;

    use super::*;
    use crate::args::{Cli, Command, OpenService};

    /// What is meant by options, environment and file. No file: none was named, and none is there.
    fn config(
        options: &str,
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("config.ini");
        let typed = format!("bolillero-server serve {options}");
        let mut typed: Vec<&str> = typed.split_whitespace().collect();
        if let Some(text) = file {
            std::fs::write(&path, text)?;
            typed.extend(["--config", path.to_str().expect("a temporary directory")]);
        }
        let Command::Serve(args) = Cli::try_parse_from(typed)?.command else { bail!("not serve") };
        let find = |name: &str| environment.iter().find(|(key, _)| *key == name);
        Config::new(&args, |name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    const FILE: &str = "[DEFAULT]\nSERVER_PORT = 1001\nSERVER_IP = server\n\
        SERVER_LISTEN_BACKLOG = 11\nLOGGING_LEVEL = WARNING\nSOMETHING_ELSE = x";
    const ENVIRONMENT: &[(&str, &str)] =
        &[("SERVER_PORT", "1002"), ("SERVER_LISTEN_BACKLOG", "12"), ("LOGGING_LEVEL", "error")];
    const FLAGS: &str = "--listen 127.0.0.1:1003 --backlog 13 --log-level Debug";

    #[test]
    fn a_flag_is_before_the_environment_before_the_file_before_the_default() {
        let rows = [
            ("", &[][..], None, 12345, 1024, "INFO"),
            ("", &[], Some(FILE), 1001, 11, "WARNING"),
            ("", ENVIRONMENT, None, 1002, 12, "ERROR"),
            ("", ENVIRONMENT, Some(FILE), 1002, 12, "ERROR"),
            (FLAGS, ENVIRONMENT, Some(FILE), 1003, 13, "DEBUG"),
            (FLAGS, &[], None, 1003, 13, "DEBUG"),
            // Each value has its own source.
            ("--backlog 13", &ENVIRONMENT[..1], Some(FILE), 1002, 13, "WARNING"),
        ];
        for (options, environment, file, port, backlog, level) in rows {
            let config = config(options, environment, file).unwrap();
            let found = (
                config.listen.port(),
                config.connections.backlog,
                config.connections.log_level_name,
            );
            assert_eq!(found, (port, backlog, level), "{options:?} {environment:?} {file:?}");
        }
    }

    #[test]
    fn a_file_is_taken_as_deployments_have_it() {
        let rows = [
            ("[DEFAULT]\nSERVER_PORT = 7\n", 7),
            ("[DEFAULT]\nSERVER_PORT = 7", 7),
            ("[DEFAULT]\r\nSERVER_PORT=7\r\n", 7),
            ("SERVER_PORT = 7\n", 7),
            ("# a comment\n[DEFAULT]\n; another\nSERVER_PORT: 7\n", 7),
            ("[DEFAULT]\nSERVER_PORT = 0\n", 0),
            ("[OTHER]\nSERVER_PORT = 7\n", PORT_DEFAULT),
            ("[DEFAULT]\nUNKNOWN = 7\n", PORT_DEFAULT),
            ("", PORT_DEFAULT),
        ];
        for (file, port) in rows {
            assert_eq!(config("", &[], Some(file)).unwrap().listen.port(), port, "{file:?}");
        }
    }

    #[test]
    fn addresses_are_host_or_host_and_port() {
        let rows = [
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1", "127.0.0.1:1002"),
            ("0.0.0.0", "0.0.0.0:1002"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:1002"),
            ("::1", "[::1]:1002"),
            ("::", "[::]:1002"),
        ];
        for (typed, meant) in rows {
            let config = config(&format!("--listen {typed}"), &ENVIRONMENT[..1], None).unwrap();
            assert_eq!(config.listen.to_string(), meant, "{typed}");
        }
        let localhost = config("--listen localhost:9", &[], None).unwrap().listen;
        assert!(localhost.ip().is_loopback() && localhost.port() == 9, "{localhost}");
    }

    #[test]
    fn the_text_dialect_is_spoken_where_it_is_asked_for_and_its_frames_fit_the_ledger() {
        for (typed, meant, batch_body_max) in [
            ("", None, 65_536),
            ("--listen-text 127.0.0.1", Some("127.0.0.1:12346"), text::BODY_LENGTH_MAX as u64),
            ("--listen-text ::1", Some("[::1]:12346"), text::BODY_LENGTH_MAX as u64),
            ("--listen-text 0.0.0.0:7 --max-packet 1MiB", Some("0.0.0.0:7"), 1 << 20),
        ] {
            let config = config(typed, ENVIRONMENT, None).unwrap();
            assert_eq!(config.listen_text.map(|at| at.to_string()).as_deref(), meant, "{typed}");
            assert_eq!(config.sizes().batch_body_max, batch_body_max, "{typed}");
        }
    }

    #[test]
    fn a_room_is_opened_over_tls_or_where_that_is_asked_for_without() {
        for (typed, meant, capacity) in [
            ("", None, 0),
            ("--room-plaintext", None, 0),
            ("--room 127.0.0.1 --room-plaintext", Some("127.0.0.1:5001"), 3),
            ("--room [::1]:7 --room-plaintext --room-capacity 300", Some("[::1]:7"), 300),
        ] {
            let room = config(typed, ENVIRONMENT, None).unwrap().room;
            assert_eq!(room.map(|room| room.listen.to_string()).as_deref(), meant, "{typed}");
            assert_eq!(room.map_or(0, |room| room.limits.capacity), capacity, "{typed}");
        }
        let error = config("--room 127.0.0.1", &[], None).unwrap_err().to_string();
        assert!(error.contains("--tls-cert") && error.contains("--room-plaintext"), "{error}");

        let directory = tempfile::tempdir().unwrap();
        let tls = tls_options(directory.path());
        for (typed, plaintext) in
            [("--room 127.0.0.1", false), ("--room ::1 --room-plaintext", true)]
        {
            let config = config(&format!("{typed} {tls}"), &[], None).unwrap();
            assert_eq!(config.room.map(|room| room.plaintext), Some(plaintext), "{typed}");
            assert!(config.connections.tls.is_some() && config.tls_anyone.is_empty());
        }
    }

    #[test]
    fn services_are_open_to_anyone_where_that_is_asked_for_beside_an_authority() {
        let directory = tempfile::tempdir().unwrap();
        let tls = tls_options(directory.path());
        let config = |more: &str| config(&format!("{tls} {more}"), &[], None);
        // Any certificate does for this.
        let ca = tls.split_whitespace().nth(1).unwrap();
        let ca = format!("--tls-client-ca {ca}");
        for (typed, meant) in [
            ("--tls-anyone files", &[OpenService::Files][..]),
            ("--tls-anyone room,files", &[OpenService::Room, OpenService::Files]),
        ] {
            assert_eq!(config(&format!("{ca} {typed}")).unwrap().tls_anyone, meant);
            assert!(config(typed).unwrap_err().to_string().contains("--tls-client-ca"));
        }
    }

    /// The options of a server with a certificate of its own, in files in `directory`.
    fn tls_options(directory: &std::path::Path) -> String {
        use bolillero_tls::authority::{Authority, Validity};
        let (_, issued) = Authority::generate(Validity::of(Duration::from_hours(1))).unwrap();
        let [cert, key] = [("cert", issued.cert), ("key", issued.key)].map(|(name, text)| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.into_os_string().into_string().unwrap()
        });
        format!("--tls-cert {cert} --tls-key {key}")
    }

    #[test]
    fn levels_are_taken_in_any_case() {
        let rows = [
            ("debug", LevelFilter::Debug, "DEBUG"),
            ("Info", LevelFilter::Info, "INFO"),
            ("WARNING", LevelFilter::Warn, "WARNING"),
            ("warn", LevelFilter::Warn, "WARNING"),
            ("error", LevelFilter::Error, "ERROR"),
            ("cRITICAL", LevelFilter::Error, "CRITICAL"),
        ];
        for (typed, level, name) in rows {
            let config = config("", &[("LOGGING_LEVEL", typed)], None).unwrap();
            assert_eq!(
                (config.connections.log_level, config.connections.log_level_name),
                (level, name)
            );
        }
    }

    #[test]
    fn what_means_nothing_is_told_with_its_name_its_value_and_its_source() {
        let in_file = |line: &str| format!("[DEFAULT]\n{line}\n");
        for (key, value) in [
            ("SERVER_PORT", "65536"),
            ("SERVER_PORT", "-1"),
            ("SERVER_PORT", "http"),
            ("SERVER_LISTEN_BACKLOG", "0"),
            ("SERVER_LISTEN_BACKLOG", "65536"),
            ("SERVER_LISTEN_BACKLOG", "many"),
            ("LOGGING_LEVEL", "loud"),
        ] {
            let named = format!("{key} = {value:?} in ");
            let error = config("", &[(key, value)], Some(FILE)).unwrap_err();
            assert!(format!("{error:#}").starts_with(&format!("{named}the environment: not ")));
            let file = in_file(&format!("{key} = {value}"));
            let error = format!("{:#}", config("", &[], Some(&file)).unwrap_err());
            assert!(error.starts_with(&named), "{error}");
            assert!(error.contains("config.ini: not "), "{error}");
        }
        let error = config("--config /nowhere/config.ini", &[], None).unwrap_err();
        assert!(error.to_string().starts_with("reading /nowhere/config.ini: "), "{error}");
    }

    #[test]
    fn a_flag_that_means_nothing_is_told_with_its_value() {
        for (flag, values) in [
            ("--listen", &["127.0.0.1:65536", "127.0.0.1:", ":80", "[::1]80", "[::1]:x"][..]),
            ("--listen-text", &["127.0.0.1:65536", "127.0.0.1:", ":80"]),
            ("--room", &["127.0.0.1:5001", "127.0.0.1"]),
            ("--room-capacity", &["0", "10001"]),
            ("--room-history", &["10001"]),
            ("--room-queue", &["0", "65537"]),
            ("--room-burst", &["0", "10001"]),
            ("--room-refill", &["0s", "x"]),
            ("--room-object-timeout", &["9ms", "x"]),
            ("--files", &["127.0.0.1:65536", ":80"]),
            ("--agencies", &["65536"]),
            ("--winning-number", &["10000", "65535"]),
            ("--workers", &["0", "1025"]),
            ("--max-connections", &["0"]),
            ("--max-connections-per-address", &["0"]),
            ("--ipv6-prefix-length", &["0", "129", "255"]),
            ("--max-packet", &["0", "1025KiB", "2MiB", "x", "1kb", "64 K", ""]),
            ("--max-output", &["0", "x"]),
            ("--max-unanswered", &["0"]),
            ("--winners-unsent-max", &["0", "65535", "x"]),
            ("--ledger-queue", &["0", "x", "99999999999999999999", "99999999999GiB"]),
            ("--segment-size", &["0", "64KiB", "x"]),
            ("--backlog", &["0", "65536"]),
            ("--packet-timeout", &["0s", "9ms", "60", "x", "300000000000years"]),
            ("--idle-timeout", &["0s", "x", "367days"]),
            ("--output-timeout", &["0s", "x"]),
            ("--peer-timeout", &["0s", "x", "13h"]),
            ("--drain-timeout", &["x", "5"]),
            ("--busy-delay", &["x"]),
            ("--mark-delay", &["x"]),
            ("--linger-max", &["x", "1"]),
            ("--readers", &["0", "65"]),
            ("--announce-delay", &["x", "1e9s"]),
            ("--publish-wait", &["x", "2"]),
            ("--log-level", &["loud", "5"]),
            ("--tls-handshake-timeout", &["0s", "9ms", "5", "x"]),
        ] {
            for value in values {
                let error = Config::new(&typed(flag, value), |_| None).unwrap_err();
                let error = format!("{error:#}");
                assert!(error.starts_with(&format!("{flag} {value}: ")), "{flag} {value}: {error}");
            }
        }
    }

    fn typed(flag: &str, value: &str) -> ServeArgs {
        let typed = ["bolillero-server", "serve", flag, value];
        let Command::Serve(args) = Cli::parse_from(typed).command else { panic!("not serve") };
        *args
    }

    #[test]
    fn an_address_has_most_connections_and_what_its_agencies_need_unless_told_otherwise() {
        for (typed, per_address, prefix) in [
            ("", 9_375, 64),
            ("--max-connections 7", 7, 64),
            ("--max-connections 12", 10, 64),
            ("--max-connections 7 --max-connections-per-address 3", 3, 64),
            ("--max-connections-per-address 3 --ipv6-prefix-length 1", 3, 1),
            ("--agencies 4800 --ipv6-prefix-length 128", 9_600, 128),
            ("--agencies 65535", 10_000, 64),
            // Nobody knows who comes.
            ("--agencies 0", 9_375, 64),
            ("--agencies 0 --max-connections 101", 51, 64),
        ] {
            let limits = config(typed, &[], None).unwrap().connections.limits;
            let addresses = limits.addresses;
            assert_eq!(addresses.each_max(limits.connections_max), per_address, "{typed}");
            assert_eq!(addresses.ipv6_prefix_length, prefix, "{typed}");
            assert!(!addresses.count_loopback);
        }
    }

    #[test]
    fn the_default_limits_of_files_are_those_of_the_service() {
        let typed = config("--files 127.0.0.1:0", &[], None).unwrap().files.unwrap().limits;
        assert_eq!(format!("{typed:?}"), format!("{:?}", crate::files::FilesLimits::default()));
    }

    #[test]
    fn sizes_and_times_have_units() {
        let typed = "--max-packet 8KiB --segment-size 2MiB --ledger-queue 1GiB --max-output 100 \
            --winners-unsent-max 1MiB \
            --idle-timeout 10m --drain-timeout 0s --packet-timeout 250ms --peer-timeout 12h";
        let config = config(typed, &[], None).unwrap();
        assert_eq!(config.session.packet_length_max, 8 << 10);
        assert_eq!(config.segment_size, 2 << 20);
        assert_eq!(config.ledger_queue_bytes_max, 1 << 30);
        assert_eq!(config.pieces.pieces_max.get(), 16);
        assert_eq!(
            (config.session.output_bytes_max, config.connections.limits.output_bytes_max),
            (100, 100)
        );
        assert_eq!(config.session.idle_time_max, Duration::from_mins(10));
        assert_eq!(config.connections.limits.drain_time_max, Duration::ZERO);
        assert_eq!(config.session.packet_time_max, Duration::from_millis(250));
        assert_eq!(config.connections.limits.peer_time_max, PEER_TIMEOUT_MAX);
    }
}
