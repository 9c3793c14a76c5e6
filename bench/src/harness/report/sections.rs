//! Which sections a report has, and what stands in their tables.

use super::super::draw::DrawReport;
use super::super::marks::{self, Marks};
use super::super::rows::{Channel, FILES, FILES_TLS, Grows};
use super::super::timed::{RowReport, ServerReport};
use super::table::Section;
use super::{Report, files, milliseconds, room, significant, tls, with_unit};

pub(super) const MIB: f64 = (1 << 20) as f64;
const KIB: f64 = 1024.0;
/// How many kinds of system calls are named.
const CALLS_NAMED: usize = 6;

pub(super) fn of(report: &Report) -> Vec<Section> {
    let mut sections = vec![head(report)];
    for row in report.rows.iter().filter(|row| row.scale.is_none()) {
        sections.push(speed(row));
        sections.extend(tls::section(&row.name, "million bets", &row.tls));
    }
    for grows in [Grows::Agencies, Grows::Bets] {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.scale == Some(grows)).collect();
        if !rows.is_empty() {
            sections.push(scale(grows, &rows));
        }
    }
    sections.extend(report.draw.as_ref().map(draw));
    if !report.idle.is_empty() {
        sections.push(idle(report));
    }
    for (name, files) in [(FILES, &report.files), (FILES_TLS, &report.files_tls)] {
        if let Some(files) = files {
            sections.push(files::section(name, files));
            sections.extend(tls::section(name, "gigabyte", &files.tls));
        }
    }
    sections.extend(tls::handshakes(&report.handshakes));
    for room in &report.room {
        sections.push(room::section(room));
        sections.extend(tls::section(&room::title(room), "million messages", &room.tls));
    }
    sections
}

fn head(report: &Report) -> Section {
    let version = &report.version;
    let commit = version.commit.as_deref().unwrap_or("no commit known");
    let rounds = match report.rounds {
        1 => "one round".to_owned(),
        rounds => format!("{rounds} rounds"),
    };
    Section {
        title: format!("{}, {commit}", version.server),
        lines: vec![
            format!("{}; {:.0} GiB", report.machine_line(), report.machine.memory_bytes as f64 / MIB / KIB),
            format!("{}, {rounds}, {:.0} s in all", version.date, report.seconds),
            "Medians; ratios are medians of each round's ratio to the reference of the row.".to_owned(),
            "Ours runs with its defaults and logs at level info into a pipe that is read.".to_owned(),
            "Load generator and server share the cores; references are spoken to in the base dialect.".to_owned(),
        ],
        ..Section::default()
    }
}

fn speed(row: &RowReport) -> Section {
    let mut heads =
        vec!["server", row.work.unit(), "min", "max", "ratio", "mark (must / good / superb)"];
    heads.extend(["CPU s/M bets", "CPU ratio", "p50 ms", "p99 ms", "MB/s", "switches/batch"]);
    heads.extend(["calls/batch", "RSS MiB"]);
    Section {
        title: row.name.clone(),
        lines: vec![format!("{}; ratios to {}", row.work.conditions(), row.reference), syncs(row)],
        heads,
        rows: row.servers.iter().map(speed_cells).collect(),
        notes: calls(row).into_iter().chain(row.notes.iter().cloned()).collect(),
    }
}

fn speed_cells(server: &ServerReport) -> Vec<String> {
    let throughput = server.throughput;
    let calls = server.calls_per_batch.as_ref().map(|calls| significant(calls.total()));
    vec![
        server.name.clone(),
        with_unit(throughput.median),
        with_unit(throughput.min),
        with_unit(throughput.max),
        format!("{:.2}", server.ratio.median),
        told(server.marks, server.ratio.median),
        significant(server.cpu_seconds_per_million),
        format!("{:.2}", server.cpu_ratio),
        milliseconds(server.latency_p50_us.median),
        milliseconds(server.latency_p99_us.median),
        significant(server.megabytes_per_second),
        server.switches_per_batch.map_or("-".to_owned(), significant),
        calls.unwrap_or("-".to_owned()),
        significant(server.memory_max_bytes / MIB),
    ]
}

pub(super) fn told(marks: Option<Marks>, figure: f64) -> String {
    marks.map(|marks| marks.told(figure)).unwrap_or_default()
}

/// How fast the disk was over the row, without any server.
fn syncs(row: &RowReport) -> String {
    let range = |figure: fn(&ServerReport) -> f64| {
        let figures = row.servers.iter().map(figure);
        let (low, high) = figures
            .fold((f64::MAX, 0_f64), |(low, high), figure| (low.min(figure), high.max(figure)));
        format!("{low:.0} to {high:.0} us")
    };
    let append = range(|server| server.sync_append_us);
    let filled = range(|server| server.sync_filled_us);
    format!(
        "the disk alone, 8 kB and fdatasync, before the runs: appended {append}, over zeros {filled}"
    )
}

fn calls(row: &RowReport) -> Vec<String> {
    let told = row.servers.iter().filter_map(|server| {
        let calls = server.calls_per_batch.as_ref()?;
        Some(format!("calls/batch of {}: {}", server.name, calls.told(CALLS_NAMED)))
    });
    told.collect()
}

fn scale(grows: Grows, rows: &[&RowReport]) -> Section {
    let servers = rows.iter().flat_map(|row| {
        row.servers.iter().map(|server| {
            let shape = format!("{}x{}", row.work.agencies, row.work.window);
            let bets = with_unit(row.work.bets as f64);
            let mut cells = vec![server.name.clone(), shape, bets];
            cells.extend([
                with_unit(server.throughput.median),
                format!("{:.2}", server.ratio.median),
                significant(server.cpu_seconds_per_million),
                milliseconds(server.latency_p50_us.median),
                milliseconds(server.latency_p99_us.median),
                significant(server.memory_max_bytes / MIB),
            ]);
            cells
        })
    });
    let of = match grows {
        Grows::Agencies => "agencies",
        Grows::Bets => "bets",
    };
    Section {
        title: format!("scale: more {of}"),
        lines: vec!["Ratios to pipe; a shape is agencies x batches in flight of each.".to_owned()],
        heads: vec![
            "server",
            "shape",
            "bets",
            "bets/s",
            "ratio",
            "CPU s/M bets",
            "p50 ms",
            "p99 ms",
            "RSS MiB",
        ],
        rows: servers.collect(),
        notes: rows.iter().flat_map(|row| notes_of_point(row)).collect(),
    }
}

fn notes_of_point(row: &RowReport) -> impl Iterator<Item = String> {
    row.notes.iter().map(|note| format!("{}: {note}", row.name))
}

fn draw(draw: &DrawReport) -> Section {
    let (drawing, restart) = (draw.draw_seconds, draw.restart_seconds);
    let seconds = |figure: f64| format!("{figure:.3} s");
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MIB);
    let stored = draw.stored.max as f64 / MIB;
    let megabytes_per_second = |seconds: f64| draw.ledger_bytes as f64 / 1e6 / seconds;
    let rows = [
        ("draw", seconds(drawing.median), marks::DRAW_SECONDS.told(drawing.median)),
        (
            "restart, draw found again",
            seconds(restart.median),
            marks::RESTART_SECONDS.told(restart.median),
        ),
        ("resident, all stored", mebibytes(draw.stored.now), String::new()),
        (
            "resident at most, all stored",
            mebibytes(draw.stored.max),
            marks::STORED_MIB.told(stored),
        ),
        ("resident at most, after the draw", mebibytes(draw.drawn.max), String::new()),
        ("resident at most, after a restart", mebibytes(draw.restarted.max), String::new()),
        ("verify", seconds(draw.verify_seconds), String::new()),
        ("export to a file", seconds(draw.export_seconds), String::new()),
        ("one read of the files", seconds(draw.read_seconds), String::new()),
    ];
    Section {
        title: format!("draw, restart, memory: {} bets", with_unit(draw.load.bets as f64)),
        lines: vec![format!(
            "driver pool; stored at {} bets/s; the ledger's files are {}, read at {:.0} MB/s; draws {} to {}, restarts {} to {}",
            with_unit(draw.load.bets_per_second),
            mebibytes(draw.ledger_bytes),
            megabytes_per_second(draw.read_seconds),
            seconds(drawing.min),
            seconds(drawing.max),
            seconds(restart.min),
            seconds(restart.max),
        )],
        heads: vec!["what", "figure", "mark (must / good / superb)"],
        rows: rows.map(|(what, figure, mark)| vec![what.to_owned(), figure, mark]).to_vec(),
        notes: Vec::new(),
    }
}

fn idle(report: &Report) -> Section {
    let rows = report.idle.iter().map(|idle| {
        let marks = match idle.channel {
            Channel::Plain => marks::IDLE_KIB,
            Channel::Tls => marks::IDLE_TLS_KIB,
        };
        let kibibytes = idle.bytes_per_connection().map(|bytes| bytes / KIB);
        vec![
            idle.server(),
            idle.connections.to_string(),
            kibibytes.map_or("too few descriptors".to_owned(), significant),
            kibibytes.map_or(String::new(), |kibibytes| marks.told(kibibytes)),
            idle.after.map_or("-".to_owned(), |after| significant(after.now as f64 / MIB)),
        ]
    });
    Section {
        title: "idle connections".to_owned(),
        lines: vec![
            "Each has asked once; resident memory of the server, not of the kernel.".to_owned(),
        ],
        heads: vec!["server", "connections", "KiB each", "mark (must / good / superb)", "RSS MiB"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}
