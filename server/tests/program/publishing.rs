//! The published results beside the server's life: when they are there, who waits for them, and
//! what a start makes of results that are not those of its ledger.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::office::{Office, assert_healthy_log, client_program, count, field, listens, serve};
use crate::process::{Ended, Process};
use crate::shutdown::{DRAWN, WINNER, write_ledger_of_a_due_draw};
use crate::wire::{ACK, NO_WINNERS, packet};

const PUBLISHED: &str = "action: publish | result: success";
const SUPERSEDED: &str = "action: supersede | result: success";

/// The files in a directory, without the directories in it.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    };
    files.map(read).collect()
}

/// Holds that all results are there, with their checksums; returns what they are.
fn whole_results(data_dir: &Path, agencies: usize) -> BTreeMap<String, String> {
    let files = files(&data_dir.join("published"));
    let sums: Vec<&str> = files["SHA256SUMS"].lines().collect();
    assert_eq!((sums.len(), files.len()), (agencies + 1, agencies + 2));
    for line in sums {
        let (sum, name) = line.split_once("  ").unwrap();
        let digest = Sha256::digest(&files[name]);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, sum, "{name}");
    }
    files
}

fn copy_ledger(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn start(data_dir: &Path, options: &[&str]) -> Office {
    Office::start(data_dir, &[&["--agencies", "2"], options].concat())
}

/// Agency 1 brings a winner and both finish; returns the log of the server.
fn draw(office: Office, document: u32) -> Ended {
    let mut wire = office.connect();
    let bet = format!("1#Ana#Paz#{document}#1990-01-01#7574#");
    wire.send(&[packet(1, &bet), packet(5, "1#")].concat());
    wire.expect(&[ACK, ACK].concat());
    wire.exchange(&packet(5, "2#"), &ACK);
    wire.exchange(&packet(6, "1#"), &packet(7, &format!("{document}#")));
    office.stop()
}

#[test]
fn after_the_ledger_is_removed_the_results_of_its_draw_are_moved_aside() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path();
    draw(start(data_dir, &[]), 30_000_001);
    let before = whole_results(data_dir, 2);
    fs::remove_dir_all(data_dir.join("ledger")).unwrap();
    let mut office = start(data_dir, &["--files", "127.0.0.1:0"]);
    listens(&mut office.process, "files");
    let published = data_dir.join("published");
    assert_eq!(files(&published), BTreeMap::new(), "results of another draw are served");
    let ended = draw(office, 30_000_002);
    let said = ended.lines.iter().find(|line| line.contains(SUPERSEDED)).unwrap();
    assert!(said.contains("WARNING"), "{said}");
    let other = field(said, "published");
    assert!(before["draw.json"].contains(other), "{said}");
    assert_eq!(files(Path::new(field(said, "kept_in"))), before);
    let after = whole_results(data_dir, 2);
    assert!(after["draw.json"].contains(field(said, "draw")), "{said}");
    assert_eq!(after["winners-agency-1.csv"], "30000002\r\n");
    assert_healthy_log(&ended.lines);
}

#[test]
fn a_ledger_restored_from_before_the_published_draw_is_refused_or_gone_on_with_knowingly() {
    let directory = tempdir().unwrap();
    let (data_dir, copy) = (&directory.path().join("data"), &directory.path().join("copy"));
    let ledger = data_dir.join("ledger");
    let office = start(data_dir, &[]);
    office.connect().exchange(&packet(5, "2#"), &ACK);
    office.stop();
    copy_ledger(&ledger, copy);
    draw(start(data_dir, &[]), 30_000_001);
    let before = whole_results(data_dir, 2);

    fs::remove_dir_all(&ledger).unwrap();
    copy_ledger(copy, &ledger);
    let ended = Process::start(serve(data_dir, &["--agencies", "2"])).end();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for said in ["draw.json", "Put the newest copy of the ledger back", "--ignore-published"] {
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
    assert_eq!(count(&ended.lines, "action: listen"), 0, "{ended:?}");
    assert_eq!(whole_results(data_dir, 2), before, "a refused start changed what is published");

    let ended = draw(start(data_dir, &["--ignore-published"]), 30_000_002);
    let said = ended.lines.iter().find(|line| line.contains(SUPERSEDED)).unwrap();
    assert_eq!(field(said, "published"), field(said, "draw"));
    assert_eq!(files(Path::new(field(said, "kept_in"))), before);
    let after = whole_results(data_dir, 2);
    assert_eq!(after["winners-agency-1.csv"], "30000002\r\n");
    // Nothing contradicts the ledger any more.
    let ended = start(data_dir, &[]).stop();
    assert_eq!(count(&ended.lines, SUPERSEDED), 0, "{ended:?}");
    assert_eq!(whole_results(data_dir, 2), after);
}

/// The draw is due in the copy: it is done again, and has other winners than those that were
/// published.
#[test]
fn a_draw_that_is_done_again_with_other_winners_ends_with_4_and_replaces_nothing() {
    let directory = tempdir().unwrap();
    write_ledger_of_a_due_draw(directory.path(), 2);
    let options = ["--agencies", "2"];
    Office::start(directory.path(), &options).stop();
    let published = directory.path().join("published");
    let same = whole_results(directory.path(), 2);
    let ledger = directory.path().join("ledger");
    let start_again = || {
        fs::remove_dir_all(&ledger).unwrap();
        write_ledger_of_a_due_draw(directory.path(), 2);
    };
    start_again();
    fs::remove_file(published.join("winners-agency-2.csv")).unwrap();
    Office::start(directory.path(), &options).stop();
    assert_eq!(whole_results(directory.path(), 2), same, "what was missing is written");

    start_again();
    let other = same["draw.json"].replace("\"winners\": 1", "\"winners\": 2");
    fs::write(published.join("draw.json"), &other).unwrap();
    let found = files(&published);
    for _ in 0..2 {
        let ended = Process::start(serve(directory.path(), &options)).end();
        assert_eq!((ended.code, count(&ended.lines, DRAWN)), (Some(4), 0), "{ended:?}");
        assert!(ended.stderr.contains("--ignore-published"), "{ended:?}");
        assert_eq!(files(&published), found);
    }
    Office::start(directory.path(), &["--agencies", "2", "--ignore-published"]).stop();
    assert_eq!(whole_results(directory.path(), 2), same);
}

#[test]
fn an_agency_that_ended_finds_the_results_published() {
    for _ in 0..5 {
        let directory = tempdir().unwrap();
        let bets = directory.path().join("bets.csv");
        fs::write(&bets, "Ana,Paz,30000001,1990-01-01,7574\n").unwrap();
        let options = ["--agencies", "1", "--files", "127.0.0.1:0"];
        let mut office = Office::start(&directory.path().join("data"), &options);
        let address = listens(&mut office.process, "files").to_string();
        let server = office.address.to_string();
        let mut agency = client_program();
        agency.args(["agency", "--id", "1", "--server", &server, "--bets"]).arg(&bets);
        let mut cat = client_program();
        cat.args(["files", "cat", &address, "draw.json"]);
        let agency = agency.output().unwrap();
        let cat = cat.output().unwrap();
        assert!(agency.status.success(), "{agency:?}");
        assert!(cat.status.success(), "{cat:?}");
        let json = String::from_utf8(cat.stdout).unwrap();
        assert!(json.contains("\n  \"winners\": 1,\n"), "{json}");
        office.stop();
    }
}

/// So many that publishing takes far longer than a start.
const MANY: u32 = 10_000;

#[test]
fn many_results_are_published_beside_serving_and_a_stop_does_not_wait_for_them() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path();
    write_ledger_of_a_due_draw(data_dir, MANY);
    let agencies = MANY.to_string();
    let options = ["--agencies", &agencies, "--segment-size", "8MiB", "--publish-wait", "0s"];
    // The first server draws, and is killed while it publishes.
    let office = Office::start(data_dir, &options);
    office.connect().exchange(&packet(6, "1#"), &packet(7, WINNER));
    let ended = office.process.kill();
    assert_eq!(count(&ended.lines, DRAWN), 1, "{ended:?}");
    // The second one goes on, and is told to stop at once.
    let office = Office::start(data_dir, &[&options[..], &["--drain-timeout", "1s"]].concat());
    assert_eq!(count(office.process.seen(), PUBLISHED), 0, "it listens only afterwards");
    office.process.signal(Signal::TERM);
    let begun = Instant::now();
    let ended = office.process.end();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_healthy_log(&ended.lines);
    // The third one finishes, and serves meanwhile.
    let mut office = Office::start(data_dir, &options);
    office.connect().exchange(&packet(6, &format!("{MANY}#")), &NO_WINNERS);
    office.process.wait_for(PUBLISHED);
    office.stop();
    let results = whole_results(data_dir, MANY as usize);
    assert_eq!(results["winners-agency-1.csv"], WINNER.replace('#', "\r\n"));
}
