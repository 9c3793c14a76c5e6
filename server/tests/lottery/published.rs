//! The files with the results: what is in them, when they are there, and what a start makes of
//! those that it finds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bolillero_server::lottery::draw::{Alarm, DrawStep, Drawer};
use bolillero_server::lottery::published::{Published, PublishedDraw, PublishedError};
use bolillero_server::lottery::state::Draw;
use sha2::{Digest as _, Sha256};

use crate::support::*;

/// Far more than anything here takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
const OTHER_DRAW: &str = "fedcba9876543210";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files in a directory, without the directories in it.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    };
    entries.filter(|entry| entry.file_type().unwrap().is_file()).map(read).collect()
}

/// The directories in a directory, with their files.
fn aside(directory: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let directories = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    directories.map(|entry| (name(&entry), files(&entry.path()))).collect()
}

fn json(draw: &str, winners: usize) -> String {
    let digest = |winners: usize| sha256(&b"30007574#".repeat(winners));
    format!(
        "{{\n  \"draw\": \"{draw}\",\n  \"winning_number\": 7574,\n  \"winners\": {winners},\n  \"agencies\": [\n    \
         {{\"agency\": 1, \"winners\": {winners}, \"documents_sha256\": \"{}\"}},\n    \
         {{\"agency\": 2, \"winners\": 0, \"documents_sha256\": \"{}\"}}\n  ]\n}}\n",
        digest(winners),
        digest(0),
    )
}

/// All files of a draw in which so many bets of agency 1 won.
fn results_of(draw: &str, winners: usize) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([
        ("winners-agency-1.csv".to_owned(), "30007574\r\n".repeat(winners)),
        ("winners-agency-2.csv".to_owned(), String::new()),
        ("draw.json".to_owned(), json(draw, winners)),
    ]);
    add_sums(&mut files);
    files
}

fn add_sums(files: &mut BTreeMap<String, String>) {
    let names = ["winners-agency-1.csv", "winners-agency-2.csv", "draw.json"];
    let sums = names.map(|name| format!("{}  {name}\n", sha256(files[name].as_bytes())));
    files.insert("SHA256SUMS".to_owned(), sums.concat());
}

fn expected() -> BTreeMap<String, String> {
    results_of(DRAW, 3)
}

fn write_all(directory: &Path, files: &BTreeMap<String, String>) {
    for (name, content) in files {
        fs::write(directory.join(name), content).unwrap();
    }
}

fn setup(directory: &Path, winners_length_max: usize, publish_wait: Duration) -> Setup {
    let mut setup = Setup::default();
    setup.draw.published = Some(directory.to_owned());
    setup.draw.winners_length_max = winners_length_max;
    setup.draw.publish_wait = publish_wait;
    setup
}

/// An office whose agencies have brought their bets, and of which the second one has not finished.
fn collected(setup: Setup) -> Central {
    let mut central = Central::with(setup);
    central.connect().send(&[batch(1, &[7574, 1, 7574]), packet(1, bet(1, 7574))].concat());
    central.finish_all([1]);
    central
}

/// An office that has drawn and published in `directory`.
fn drawn(directory: &Path, winners_length_max: usize) -> Central {
    let mut central = collected(setup(directory, winners_length_max, Duration::ZERO));
    central.finish_all([2]);
    central
}

/// An office whose draw's record is durable: the next step of its drawer publishes.
fn recorded(setup: Setup) -> Central {
    let mut central = collected(setup);
    central.connect().send(&ready(2));
    central.commit();
    assert_eq!(central.draw(), DrawStep::Waiting);
    central.commit();
    central
}

/// The same office after it died and came back; what it finds published is right.
fn restart(central: Central) -> Central {
    let mut central = central.restart();
    central.publish();
    central
}

#[test]
fn the_results_are_written_whether_they_are_kept_in_memory_or_not() {
    for winners_length_max in [1000, 27, 26, 0] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/published");
        drawn(&path, winners_length_max);
        assert_eq!(files(&path), expected(), "{winners_length_max}");
    }
}

#[test]
fn what_is_missing_at_a_start_is_written_again_and_what_is_unfinished_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut central = drawn(directory.path(), 1000);
    for name in expected().keys() {
        fs::remove_file(directory.path().join(name)).unwrap();
        fs::write(directory.path().join(format!("~{name}.tmp")), "half").unwrap();
        central = restart(central);
        assert_eq!(files(directory.path()), expected(), "{name}");
    }
    fs::write(directory.path().join("~draw.json.tmp"), "half").unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    restart(central);
    assert_eq!(files(directory.path()), expected());
}

#[test]
fn a_start_that_finds_all_results_writes_none() {
    let directory = tempfile::tempdir().unwrap();
    let central = drawn(directory.path(), 1000);
    let written =
        |name: &str| fs::metadata(directory.path().join(name)).unwrap().modified().unwrap();
    let before: Vec<_> = expected().keys().map(|name| written(name)).collect();
    fs::write(directory.path().join("~draw.json.tmp"), "half").unwrap();
    restart(central);
    let after: Vec<_> = expected().keys().map(|name| written(name)).collect();
    assert_eq!((after, files(directory.path())), (before, expected()));
}

#[test]
fn results_that_cannot_be_written_hold_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("published");
    fs::write(&path, "a file where a directory should be").unwrap();
    take_log_lines();
    let mut central = collected(setup(&path, 0, PATIENCE));
    central.finish_all([2]);
    let lines = take_log_lines();
    assert!(lines[0].starts_with("action: publish | result: fail | error: creating "), "{lines:?}");
    let mut client = central.connect();
    client.send(&[ask(1), ask(2)].concat());
    let text = "too many winners to send: they are in winners-agency-1.csv";
    assert_eq!(client.replies(), [(4, text.to_owned()), winners("#")]);
    fs::remove_file(&path).unwrap();
    restart(central);
    assert_eq!(files(&path), expected());
}

/// Files that are no files are not opened: a FIFO would never open.
#[test]
fn what_is_no_regular_file_is_replaced_by_one() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = tempfile::tempdir().unwrap();
    let mut central = drawn(directory.path(), 1000);
    for name in expected().keys() {
        let path = directory.path().join(name);
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        central = restart(central);
        assert_eq!(files(directory.path()), expected(), "{name}");
    }
}

#[test]
fn files_are_there_before_anybody_is_told_and_checksums_come_last() {
    let directory = tempfile::tempdir().unwrap();
    let mut central = recorded(setup(directory.path(), 1000, PATIENCE));
    let mut waiting = central.session(1);
    waiting.send(&ask(1));
    while central.office.winners().is_none() {
        assert_eq!(waiting.replies(), []);
        assert_eq!(central.draw(), DrawStep::Publishing);
    }
    let mut before_the_sync = expected();
    before_the_sync.remove("SHA256SUMS");
    assert_eq!(files(directory.path()), before_the_sync);
    assert_eq!(waiting.replies(), [winners(&"30007574#".repeat(3))]);
    central.publish();
    assert_eq!(files(directory.path()), expected());
}

#[test]
fn files_that_take_long_hold_the_winners_back_for_the_given_time_and_no_longer() {
    let directory = tempfile::tempdir().unwrap();
    let mut central = recorded(setup(directory.path(), 1000, Duration::from_millis(20)));
    assert_eq!(central.draw(), DrawStep::Publishing);
    let mut waiting = central.connect();
    // No further step is taken: the time alone tells the winners.
    let begun = Instant::now();
    while central.office.winners().is_none() {
        assert!(begun.elapsed() < PATIENCE, "the winners are held back");
        std::thread::yield_now();
    }
    waiting.send(&ask(1));
    assert_eq!(waiting.replies(), [winners(&"30007574#".repeat(3))]);
    assert_eq!(files(directory.path()), BTreeMap::new());
    central.publish();
    assert_eq!(files(directory.path()), expected());
}

#[test]
fn without_a_time_to_wait_everybody_is_told_before_the_first_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut central = recorded(setup(directory.path(), 1000, Duration::ZERO));
    assert_eq!(central.draw(), DrawStep::Publishing);
    assert!(central.office.winners().is_some());
    assert_eq!(files(directory.path()), BTreeMap::new());
}

#[test]
fn an_answer_that_names_a_file_waits_until_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut central = recorded(setup(directory.path(), 26, Duration::ZERO));
    assert_eq!(central.draw(), DrawStep::Publishing);
    let (mut base, mut session) = (central.connect(), central.session(1));
    let mut text = central.connect_text();
    base.send(&[ask(2), ask(1), ask(2)].concat());
    session.send(&ask(1));
    text.send(&frames(["RESULTS", "1"]));
    assert_eq!(base.replies(), [winners("#")], "a list that can be sent waits for no file");
    let named = directory.path().join("winners-agency-1.csv");
    while !named.exists() {
        assert_eq!((base.replies(), session.replies(), text.read()), (vec![], vec![], vec![]));
        assert_eq!(central.draw(), DrawStep::Publishing);
    }
    assert!(!directory.path().join("winners-agency-2.csv").exists(), "the named come first");
    let named = "too many winners to send: they are in winners-agency-1.csv";
    assert_eq!(base.replies(), [(4, named.to_owned()), winners("#")]);
    assert_eq!(session.replies(), [(4, format!("REFUSED#-#{named}#"))]);
    assert_eq!(text.read(), b"ERROR\n");
    // Whoever asks from now on waits for nothing.
    base.send(&ask(1));
    assert_eq!(base.replies(), [(4, named.to_owned())]);
    central.publish();
    assert_eq!(files(directory.path()), expected());
}

#[test]
fn publishing_that_ends_at_any_step_is_finished_by_the_next_start() {
    for winners_length_max in [1000, 0] {
        for steps in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let mut central = recorded(setup(directory.path(), winners_length_max, PATIENCE));
            for _ in 0..steps {
                central.draw();
            }
            let found = files(directory.path());
            let is_whole = found.contains_key("SHA256SUMS");
            assert!(!is_whole || found == expected(), "{steps}: {found:?}");
            let central = restart(central);
            assert_eq!(files(directory.path()), expected(), "{steps}");
            assert_eq!(aside(directory.path()), BTreeMap::new(), "{steps}");
            assert!(central.office.winners().is_some());
        }
    }
}

/// Where a file beside the checksums is replaced, they are not there meanwhile: with them results
/// are whole.
#[test]
fn checksums_are_gone_while_a_file_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let central = drawn(directory.path(), 1000);
    fs::write(directory.path().join("winners-agency-1.csv"), "30007574\r\n1\r\n").unwrap();
    let mut central = central.restart();
    assert!(central.office.winners().is_some(), "what was published before holds nobody");
    let mut seen = 0;
    loop {
        let found = files(directory.path());
        let was_replaced = found["winners-agency-1.csv"] == expected()["winners-agency-1.csv"];
        if was_replaced && !found.contains_key("SHA256SUMS") {
            seen += 1;
        }
        assert!(!was_replaced || !found.contains_key("SHA256SUMS") || found == expected());
        if central.draw() == DrawStep::Done {
            break;
        }
    }
    assert!(seen > 0);
    assert_eq!(files(directory.path()), expected());
}

#[test]
fn a_stop_leaves_many_files_to_the_next_start_and_finishes_few() {
    for (agencies, is_finished) in [(2, true), (1000, false)] {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = setup(directory.path(), 1000, Duration::ZERO);
        (setup.agencies, setup.segment_size) = (agencies, 256 << 10);
        let mut central = Central::with(setup);
        let mut client = central.connect();
        for agency in 1..=agencies {
            client.send(&ready(agency));
            client.replies();
            if agency % 50 == 0 {
                central.commit();
            }
        }
        central.commit();
        assert_eq!(central.draw(), DrawStep::Waiting);
        central.commit();
        take_log_lines();
        central.run_stopped_drawer();
        let found = files(directory.path());
        assert_eq!(found.contains_key("SHA256SUMS"), is_finished, "{agencies}");
        let finished = take_log_lines();
        let line = if is_finished { "result: success" } else { "result: in_progress" };
        assert!(finished.iter().any(|said| said.contains(line)), "{finished:?}");
        assert!(is_finished || found.len() < 10, "{} files after a stop", found.len());
        let central = restart(central);
        assert_eq!(files(directory.path()).len(), agencies as usize + 2);
        drop(central);
    }
}

#[test]
fn files_of_this_draw_that_are_not_its_results_are_written_anew() {
    let half = json(DRAW, 3)[..100].to_owned();
    let rows: [(&str, &str); 7] = [
        ("winners-agency-1.csv", "30007574\r\n30007574\r\n"),
        ("winners-agency-1.csv", "30007574\r\n30007574\r\n30007574\n"),
        ("winners-agency-1.csv", "30007574#30007574#30007574#"),
        ("winners-agency-2.csv", "30007574\r\n"),
        ("draw.json", &half),
        ("draw.json", &json(DRAW, 1)),
        ("SHA256SUMS", ""),
    ];
    for winners_length_max in [1000, 0] {
        for (name, content) in rows {
            let directory = tempfile::tempdir().unwrap();
            let central = drawn(directory.path(), winners_length_max);
            fs::write(directory.path().join(name), content).unwrap();
            take_log_lines();
            restart(central);
            assert_eq!(files(directory.path()), expected(), "{name}: {content}");
            assert_eq!(aside(directory.path()), BTreeMap::new());
            assert_eq!(take_log_lines(), ["action: publish | result: success"]);
        }
    }
}

/// As builds before the total of winners wrote it.
fn earlier_form() -> BTreeMap<String, String> {
    let mut earlier = expected();
    let json = earlier.get_mut("draw.json").unwrap();
    *json = json.replace("  \"winners\": 3,\n  \"agencies\"", "  \"agencies\"");
    add_sums(&mut earlier);
    earlier
}

#[test]
fn results_in_the_form_of_an_earlier_build_are_written_anew_without_a_word() {
    let earlier = earlier_form();
    assert_ne!(earlier["draw.json"], expected()["draw.json"]);
    let directory = tempfile::tempdir().unwrap();
    let central = drawn(directory.path(), 1000);
    write_all(directory.path(), &earlier);
    take_log_lines();
    restart(central);
    assert_eq!(files(directory.path()), expected());
    assert_eq!(take_log_lines(), ["action: publish | result: success"]);
}

/// How far the draw can be according to the ledger.
const STATES: [Draw; 3] = [Draw::Open, Draw::Drawing, Draw::Drawn];

/// An office in this state, which has published nothing.
fn office_at(draw: Draw, setup: Setup) -> Central {
    let mut central = collected(setup);
    if draw != Draw::Open {
        central.connect().send(&ready(2));
        central.commit();
    }
    if draw == Draw::Drawn {
        assert_eq!(central.draw(), DrawStep::Waiting);
        central.commit();
    }
    assert_eq!(central.office.draw(), draw);
    central
}

#[test]
fn results_of_another_draw_are_moved_aside_whatever_the_ledger_says() {
    for draw in STATES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut other = results_of(OTHER_DRAW, 2);
        other.insert("winners-agency-9.csv".to_owned(), "1\r\n".to_owned());
        let central = office_at(draw, setup(path, 1000, Duration::ZERO));
        write_all(path, &other);
        fs::write(path.join("notes.txt"), "of the operator").unwrap();
        fs::create_dir(path.join(format!("superseded-{OTHER_DRAW}-1"))).unwrap();
        take_log_lines();
        let central = restart(central);
        let lines = take_log_lines();
        let kept_in = format!("superseded-{OTHER_DRAW}-2");
        let line = format!(
            "action: supersede | result: success | draw: {DRAW} | published: {OTHER_DRAW} | files: 5 | kept_in: {}",
            path.join(&kept_in).display()
        );
        assert!(lines.contains(&line), "{draw:?}: {lines:?}");
        assert_eq!(aside(path)[&kept_in], other, "{draw:?}");
        let mut now = if draw == Draw::Open { BTreeMap::new() } else { expected() };
        now.insert("notes.txt".to_owned(), "of the operator".to_owned());
        assert_eq!(files(path), now, "{draw:?}");
        // They are moved once.
        restart(central);
        assert_eq!(aside(path).len(), 2, "{draw:?}");
    }
}

#[test]
fn results_that_name_no_draw_are_moved_aside_unless_the_draw_is_done() {
    for (draw, is_moved) in STATES.into_iter().zip([true, true, false]) {
        for json in [None, Some("{\"draw\": 1}"), Some("somebody else's")] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path();
            let central = office_at(draw, setup(path, 1000, Duration::ZERO));
            let mut found = results_of(OTHER_DRAW, 2);
            match json {
                Some(json) => found.insert("draw.json".to_owned(), json.to_owned()),
                None => found.remove("draw.json"),
            };
            write_all(path, &found);
            restart(central);
            let kept = aside(path).remove("superseded-unknown-1");
            assert_eq!(kept, is_moved.then_some(found), "{draw:?}, {json:?}");
            let now = if draw == Draw::Open { BTreeMap::new() } else { expected() };
            assert_eq!(files(path), now, "{draw:?}, {json:?}");
        }
    }
}

#[test]
fn winners_of_agencies_that_the_draw_does_not_have_are_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let central = drawn(directory.path(), 1000);
    fs::write(directory.path().join("winners-agency-3.csv"), "1\r\n").unwrap();
    restart(central);
    let kept = BTreeMap::from([("winners-agency-3.csv".to_owned(), "1\r\n".to_owned())]);
    assert_eq!(aside(directory.path()), [("superseded-unknown-1".to_owned(), kept)].into());
    assert_eq!(files(directory.path()), expected());
}

/// What a start on this state makes of what is published.
fn examine(
    central: &Central,
    directory: &Path,
    ignored: bool,
) -> Result<Option<PublishedDraw>, PublishedError> {
    let recorded = central.office.winners().map(|winners| winners.digests());
    let published = Published { directory, ignored };
    published.examine(&central.office.terms(), central.office.draw(), recorded.as_deref())
}

fn drawer(central: &Central, directory: &Path, ignored: bool) -> Drawer {
    let mut settings = central.setup.draw.clone();
    settings.published = Some(directory.to_owned());
    settings.ignore_published = ignored;
    Drawer::new(central.office.clone(), std::sync::Arc::new(central.disk.clone()), settings)
}

#[test]
fn a_ledger_that_is_not_done_with_a_published_draw_is_refused_unless_that_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let central = office_at(Draw::Open, Setup::default());
    for published in [expected(), results_of(DRAW, 1), earlier_form()] {
        write_all(path, &published);
        let error = examine(&central, path, false).unwrap_err();
        let PublishedError::Contradiction(said) = error else { panic!("{error}") };
        let json = format!("{}/draw.json: draw {DRAW} ", path.display());
        assert!(said.starts_with(&json) && said.contains("--ignore-published"), "{said}");
        assert_eq!((files(path), aside(path).len()), (published.clone(), 0));
    }
    assert_eq!(examine(&central, path, true).unwrap(), None);
    let kept = [(format!("superseded-{DRAW}-1"), earlier_form())];
    assert_eq!((files(path), aside(path)), (BTreeMap::new(), kept.into()));
}

#[test]
fn a_draw_that_is_done_again_has_the_results_that_were_published_or_is_refused() {
    for (published, ignored, is_refused) in [
        (expected(), false, false),
        (earlier_form(), false, false),
        (results_of(DRAW, 2), false, true),
        (results_of(DRAW, 2), true, false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut central = office_at(Draw::Drawing, Setup::default());
        write_all(path, &published);
        let mut drawer = drawer(&central, path, ignored);
        drawer.examine_published(Draw::Drawing, None).unwrap();
        assert_eq!(files(path), published);
        let stepped = drawer.step(&Alarm::default());
        if is_refused {
            let error = stepped.unwrap_err().to_string();
            assert!(error.contains("--ignore-published"), "{error}");
            central.commit();
            assert_eq!(central.stored().1, 0, "nothing is recorded");
            assert_eq!(files(path), published, "nothing is replaced");
            continue;
        }
        assert_eq!(stepped.unwrap(), DrawStep::Waiting);
        central.commit();
        while drawer.step(&Alarm::default()).unwrap() != DrawStep::Done {}
        assert_eq!(files(path), expected());
        let kept: Vec<_> = aside(path).into_values().collect();
        assert_eq!(kept, if ignored { vec![published] } else { vec![] });
    }
}

#[test]
fn results_that_contradict_the_record_are_refused_where_their_checksums_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let central = drawn(&directory.path().join("own"), 1000);
    let contradicting = results_of(DRAW, 2);
    write_all(path, &contradicting);
    let error = examine(&central, path, false).unwrap_err();
    assert!(matches!(error, PublishedError::Contradiction(_)), "{error}");
    assert_eq!(files(path), contradicting);
    assert_eq!(examine(&central, path, true).unwrap(), None);
    assert_eq!(files(path), BTreeMap::new());
    // One byte is cut: nobody published that. The publisher writes it anew.
    write_all(path, &contradicting);
    fs::write(path.join("winners-agency-1.csv"), "30007574\r\n30007574\r").unwrap();
    assert_eq!(examine(&central, path, false).unwrap(), None);
}

#[test]
fn results_of_another_draw_that_cannot_be_moved_end_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("published");
    fs::create_dir(&path).unwrap();
    write_all(&path, &results_of(OTHER_DRAW, 1));
    let central = office_at(Draw::Open, Setup::default());
    // Root may write all the same.
    let read_only = fs::Permissions::from_mode(0o500);
    fs::set_permissions(&path, read_only).unwrap();
    let examined = examine(&central, &path, false);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    match examined {
        Err(PublishedError::Stuck { .. }) => {
            assert_eq!(files(&path), results_of(OTHER_DRAW, 1));
        }
        Ok(None) => assert!(rustix::process::geteuid().is_root()),
        examined => panic!("{examined:?}"),
    }
}
