//! `export` and `verify`: what they write, beside a running server, and on damage. What `repair` saves
//! of a ledger stands in `repairing.rs`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use bolillero_protocol::bet::Number;
use bolillero_protocol::message::DrawId;
use bolillero_server::ledger::disk::Directory;
use bolillero_server::ledger::record::{Kind, Record};
use bolillero_server::ledger::rewrite::Rewriter;
use bolillero_server::lottery::event::{open_body, open_record};
use bolillero_server::lottery::state::Terms;
use bolillero_server::server::LEDGER_DIRECTORY;
use tempfile::{TempDir, tempdir};

use crate::office::{Office, export, server_program, verify};
use crate::process::{Ended, PATIENCE, Process};
use crate::wire::{ACK, batch, batch_rows, packet};

pub(crate) fn audit(command: &str, data_dir: &Path, options: &[&str]) -> Command {
    let mut program = server_program();
    program.arg(command).arg("--data-dir").arg(data_dir).args(options);
    program
}

/// A data directory in which three agencies stored batches in turn, in more than one segment.
pub(crate) fn stored() -> (TempDir, String) {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--segment-size", "128KiB"]);
    let mut wire = office.connect();
    let begin = Instant::now();
    let mut lanes = [String::new(), String::new(), String::new()];
    for n in 0..12 {
        for (agency, lane) in (1..).zip(&mut lanes) {
            let first = 30_000_000 + n * 1000;
            wire.send(&batch(agency, first, 500));
            // Refused while the next segment is being allocated: sent again.
            while wire.packet().0 == 4 {
                assert!(begin.elapsed() < PATIENCE, "there is no room");
                wire.send(&batch(agency, first, 500));
            }
            *lane += &batch_rows(agency, first, 500);
        }
    }
    office.stop();
    assert!(directory.path().join("ledger/00000003.log").exists());
    (directory, lanes.concat())
}

#[test]
fn rows_come_lane_by_lane_to_stdout_or_into_a_file() {
    let (directory, expected) = stored();
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), expected);
    let file = directory.path().join("rows.csv");
    for before in [None, Some("an older export, longer or not"), Some("")] {
        if let Some(text) = before {
            fs::write(&file, text).unwrap();
        }
        let ended = Process::start(audit("export", directory.path(), &["--output", path(&file)]));
        let ended = ended.end();
        assert_eq!((ended.code, ended.lines.len(), ended.stderr.as_str()), (Some(0), 0, ""));
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
    assert_eq!(names(directory.path()), ["LOCK", "ledger", "rows.csv"]);
}

#[test]
fn fields_are_quoted_only_where_they_must_be() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    let mut wire = office.connect();
    for (name, _) in QUOTED {
        wire.exchange(&packet(1, &format!("1#{name}#Paz#007#1990-01-01#0042#")), &ACK);
    }
    office.stop();
    let row = |(_, quoted): &(&str, &str)| format!("1,{quoted},Paz,007,1990-01-01,0042\r\n");
    let expected: String = QUOTED.iter().map(row).collect();
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), expected);
}

const QUOTED: [(&str, &str); 5] = [
    ("Ana María", "Ana María"),
    ("Ana, la", "\"Ana, la\""),
    ("Ana \"Nita\"", "\"Ana \"\"Nita\"\"\""),
    ("Ana's; -1", "Ana's; -1"),
    ("@0 Ñandú", "@0 Ñandú"),
];

/// A name, and how an export for spreadsheets has it. All kinds stand beside the function itself.
const HARMLESS: [(&str, &str); 6] = [
    ("=1+1", "'=1+1"),
    ("-2+3, cmd", "\"'-2+3, cmd\""),
    ("Ana;@x", "Ana;'@x"),
    ("Ana \"+1\"", "\"Ana \"\"+1\"\"\""),
    ("\"+1\"", "\"\"\"'+1\"\"\""),
    ("D'Elia-Paz", "D'Elia-Paz"),
];

#[test]
fn an_export_for_spreadsheets_has_no_cell_that_is_executed_and_the_exact_one_has_what_was_bet() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &[]);
    let mut wire = office.connect();
    for (name, _) in HARMLESS {
        wire.exchange(&packet(1, &format!("1#{name}#@Paz#007#1990-01-01#0042#")), &ACK);
    }
    office.stop();
    let row = |name: &str, last: &str| format!("1,{name},{last},007,1990-01-01,0042\r\n");
    let file = directory.path().join("rows.csv");
    let options = ["--for-spreadsheets", "--output", path(&file)];
    let output = audit("export", directory.path(), &["--for-spreadsheets"]).output().unwrap();
    let ended = Process::start(audit("export", directory.path(), &options)).end();
    assert_eq!((output.status.code(), ended.code), (Some(0), Some(0)), "{ended:?}");
    let expected: String = HARMLESS.iter().map(|(_, name)| row(name, "'@Paz")).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);

    let exact = export(directory.path());
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(&*exact);
    let names: Vec<_> = rows.records().map(|row| row.unwrap()[1].to_owned()).collect();
    assert_eq!(names, HARMLESS.map(|(name, _)| name));
}

#[test]
fn what_spreadsheets_do_is_told_where_an_export_is_asked_for() {
    let output = server_program().args(["export", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for said in ["= + - @", "--for-spreadsheets", "execute"] {
        assert!(help.contains(said), "{said}: {help}");
    }
}

#[test]
fn a_reader_that_wants_the_first_rows_only_is_no_failure() {
    let (directory, expected) = stored();
    let mut command = audit("export", directory.path(), &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    assert!(expected.starts_with(&first));
}

#[test]
fn half_an_export_never_has_the_name_of_a_whole_one() {
    let (directory, _) = stored();
    let segment = directory.path().join("ledger/00000002.log");
    damage(&segment, b"#Ana#");
    let file = directory.path().join("rows.csv");
    fs::write(&file, "an older export").unwrap();
    let ended = Process::start(audit("export", directory.path(), &["--output", path(&file)])).end();
    assert_damage(&ended, "00000002.log");
    assert_eq!(fs::read_to_string(&file).unwrap(), "an older export");
    assert_eq!(names(directory.path()), ["LOCK", "ledger", "rows.csv"]);
    // A device cannot be replaced, and must not be.
    let ended = Process::start(audit("export", directory.path(), &["--output", "/dev/null"])).end();
    assert_damage(&ended, "00000002.log");
    assert!(!File::open("/dev/null").unwrap().metadata().unwrap().is_file());
}

#[test]
fn verify_names_file_and_offset_of_damage() {
    for segment in ["00000001.log", "00000003.log"] {
        let (directory, _) = stored();
        verify(directory.path());
        damage(&directory.path().join("ledger").join(segment), b"#Ana#");
        let ended = Process::start(audit("verify", directory.path(), &[])).end();
        assert_damage(&ended, segment);
        assert_eq!(ended.lines.len(), 0, "{ended:?}");
    }
}

#[test]
fn verify_tells_a_program_what_it_tells_a_person() {
    let (directory, _) = stored();
    let last = json(directory.path())["last_group"].clone();
    let file = last["file"].as_str().unwrap();
    let end = last["end"].as_u64().unwrap();
    let segment = directory.path().join("ledger").join(file);
    File::options().write(true).open(segment).unwrap().write_at(b"torn!", end).unwrap();
    let told = json(directory.path());
    assert_eq!(told["in_progress"], serde_json::json!({ "file": file, "offset": end }));
    assert!(verify(directory.path()).contains(&format!("in progress     from offset {end} on: ")));
    Office::start(directory.path(), &["--segment-size", "128KiB"]).stop();

    let (told, said) = (json(directory.path()), verify(directory.path()));
    let kept_in = told["cut"][0]["kept_in"].as_str().unwrap();
    assert!(directory.path().join("ledger").join(kept_in).exists(), "{told}");
    let cut = serde_json::json!([
        { "file": file, "offset": end, "bytes": 5, "kept_in": kept_in }
    ]);
    let fields = [
        ("sound", true.into(), "sound".to_owned()),
        ("winning_number", 7574.into(), "winning number  7574".to_owned()),
        ("agencies", 5.into(), "agencies        5, 0 ready".to_owned()),
        ("bets", 18_000.into(), "bets            18000 in 36 batches".to_owned()),
        ("batches", 36.into(), String::new()),
        ("sessions", 0.into(), "sessions        0".to_owned()),
        ("drawn", "open".into(), "drawn           no (Open)".to_owned()),
        ("winners", serde_json::Value::Null, String::new()),
        ("cut", cut, format!("cut             5 bytes from offset {end} of {file} on")),
    ];
    for (name, value, line) in fields {
        assert_eq!(told[name], value, "{name}");
        assert!(said.lines().any(|said| said.starts_with(&line)), "{line}\n{said}");
    }
    check_lanes(&told, &said);
}

fn check_lanes(told: &serde_json::Value, said: &str) {
    for (index, agency) in (1..=3).enumerate() {
        let lane = &told["lanes"][index];
        let head = lane["head"].as_str().unwrap();
        let line = format!(
            "agency {agency}        6000 bets in 12 batches, 0 sessions, open, head {head}"
        );
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
        assert_eq!(lane["agency"], agency);
        assert_eq!((&lane["bets"], &lane["batches"]), (&6000.into(), &12.into()));
        assert_eq!((&lane["epoch"], &lane["ready"]), (&0.into(), &false.into()));
    }
    assert_eq!(told["lanes"].as_array().unwrap().len(), 3);
}

fn json(data_dir: &Path) -> serde_json::Value {
    let ended = Process::start(audit("verify", data_dir, &["--json"])).end();
    assert_eq!((ended.code, ended.lines.len()), (Some(0), 1), "{ended:?}");
    serde_json::from_str(&ended.lines[0]).unwrap()
}

#[test]
fn a_directory_without_a_ledger_is_named() {
    let directory = tempdir().unwrap();
    fs::create_dir(directory.path().join("empty")).unwrap();
    let cases =
        ["verify", "export", "repair"].map(|command| [(command, "empty"), (command, "missing")]);
    for (command, data_dir) in cases.concat() {
        let data_dir = directory.path().join(data_dir);
        let ended = Process::start(audit(command, &data_dir, &[])).end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(path(&data_dir)), "{ended:?}");
        assert!(ended.stderr.contains("no ledger"), "{ended:?}");
    }
    assert!(!directory.path().join("missing").exists());
}

#[test]
fn both_work_beside_a_server_that_is_storing() {
    let directory = tempdir().unwrap();
    let office = Office::start(directory.path(), &["--segment-size", "16MiB"]);
    let mut wire = office.connect();
    let mut expected = String::new();
    for n in 0..10 {
        let first = 30_000_000 + n * 1000;
        wire.exchange(&batch(1, first, 10), &ACK);
        expected += &batch_rows(1, first, 10);
        // More is on its way while it reads; all that was acknowledged before is there.
        let more: Vec<u8> = (1..40).flat_map(|k| batch(2, first + k * 10, 10)).collect();
        wire.send(&more);
        let exported = String::from_utf8(export(directory.path())).unwrap();
        assert!(exported.starts_with(&expected), "{exported}");
        assert!(exported[expected.len()..].lines().all(|row| row.starts_with("2,")));
        verify(directory.path());
        wire.expect(&ACK.repeat(39));
    }
    office.stop();
}

/// Changes one bit of the second byte of what is searched.
pub(crate) fn damage(segment: &Path, searched: &[u8]) {
    let mut text = fs::read(segment).unwrap();
    let place = text.windows(searched.len()).position(|window| window == searched).unwrap();
    text[place + 1] ^= 1;
    fs::write(segment, text).unwrap();
}

#[track_caller]
fn assert_damage(ended: &Ended, segment: &str) {
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let said = &ended.stderr;
    assert!(said.contains(segment) && said.contains("damaged at offset "), "{said}");
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Today's rules hold for what comes in, not for what is there.
#[test]
fn numbers_that_an_earlier_build_took_are_verified_exported_and_drawn() {
    let directory = tempdir().unwrap();
    let terms = Terms {
        agencies: 1,
        winning_number: Number::new(7574).unwrap(),
        draw: DrawId(*b"the draw"),
    };
    let [id, number] = ["1", "7574"].map(|digits| format!("{digits:0>40}"));
    let body = format!("1#@0#{id}#Ana#Paz#30000001#1990-01-01#{number}#");
    let batch =
        Record { kind: Kind::Batch, agency: 1, epoch: 0, seq: 1, n: 1, body: body.as_bytes() };
    let disk = Directory::create(directory.path().join(LEDGER_DIRECTORY)).unwrap();
    let mut ledger = Rewriter::new(&disk, terms.draw, 1 << 20);
    let finish = Record { kind: Kind::Finish, n: 0, body: b"", ..batch };
    for record in [open_record(&terms, &open_body(&terms)), batch, finish] {
        ledger.add(&record).unwrap();
        ledger.end_group().unwrap();
    }
    ledger.finish().unwrap();
    assert!(verify(directory.path()).contains("bets            1 in 1 batch\n"));
    let row = format!("1,Ana,Paz,30000001,1990-01-01,{number}\r\n");
    assert_eq!(String::from_utf8(export(directory.path())).unwrap(), row);

    let office = Office::start(directory.path(), &["--agencies", "1"]);
    office.connect().exchange(&packet(6, "1#"), &packet(7, "30000001#"));
    office.stop();
    assert!(verify(directory.path()).contains("drawn           1 winner\n"));
}
