//! Repair of every kind of damage: what is written is sound, keeps what can be proved whole, and tells
//! every loss.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use bolillero_server::audit::{Given, Repaired, repair_ledger, verify_ledger};
use bolillero_server::failure::Failure;
use bolillero_server::ledger::memory::{Done, Files, MemoryDisk};
use bolillero_server::ledger::record::Kind;

use crate::drawn::{AGENCIES, batch, drawn, places, script, segments, terms, write};
use crate::life::{Event, finish, hello, read, without_last_group};

fn given() -> Given {
    Given { agencies: AGENCIES, winning_number: terms().winning_number }
}

/// What each agency has stored, and whether it is ready.
type Lanes = BTreeMap<u32, (Vec<Vec<u8>>, bool)>;

fn lanes(disk: &MemoryDisk) -> Lanes {
    let mut lanes = Lanes::new();
    for event in read(disk).unwrap().0 {
        let lane = lanes.entry(event.agency).or_default();
        match event.kind {
            Kind::Batch => lane.0.push(event.body),
            Kind::Finish => lane.1 = true,
            _ => {}
        }
    }
    lanes.remove(&0);
    lanes
}

fn repair(files: &Files) -> Result<(Repaired, MemoryDisk), Failure> {
    repair_with(files, None)
}

fn repair_with(files: &Files, given: Option<Given>) -> Result<(Repaired, MemoryDisk), Failure> {
    let (source, target) = (MemoryDisk::with_files(files), MemoryDisk::new());
    let repaired = repair_ledger(&source, Some(&target), given)?;
    assert_eq!(source.files(), *files, "the damaged ledger is not touched");
    let told = repair_ledger(&source, None, given)?;
    assert_eq!(report(&told), report(&repaired), "told and done are the same");
    Ok((repaired, MemoryDisk::with_files(&target.durable_files())))
}

fn report(repaired: &Repaired) -> String {
    let mut out = Vec::new();
    repaired.report(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Holds that what was written is sound, and that whatever it lacks of `whole` is told.
#[track_caller]
fn check(files: &Files, whole: &Lanes, what: &str) {
    let repaired = repair_with(files, Some(given()));
    let (repaired, disk) = repaired.unwrap_or_else(|failure| panic!("{what}: {failure}"));
    verify_ledger(&disk).unwrap_or_else(|failure| panic!("{what}: {failure}"));
    let (kept, said) = (lanes(&disk), report(&repaired));
    for (agency, (batches, ready)) in whole {
        let (kept, still_ready) = kept.get(agency).cloned().unwrap_or_default();
        assert!(batches.starts_with(&kept), "{what}: agency {agency} is no prefix");
        let lost = (kept.len(), still_ready) != (batches.len(), *ready);
        let line = said.lines().find(|line| line.starts_with(&format!("agency {agency} ")));
        let is_told = line.is_none_or(|line| line.contains("cut behind batch"));
        assert!(is_told || !lost, "{what}: agency {agency} lost something\n{said}");
        assert!(!lost || !repaired.is_lossless(), "{what}\n{said}");
    }
}

/// The ledger with a byte flipped in each of these groups, numbered from 1.
fn damaged(files: &Files, groups: &[usize]) -> Files {
    let (places, mut files) = (places(files), files.clone());
    for group in groups {
        let (file, start, end) = &places[group - 1];
        files.get_mut(file).unwrap()[start.midpoint(*end)] ^= 1;
    }
    files
}

#[test]
fn a_sound_ledger_is_kept_whole() {
    let files = drawn();
    let (repaired, disk) = repair(&files).unwrap();
    assert!(repaired.is_lossless());
    assert_eq!(disk.files(), files, "to the byte");
}

#[test]
fn a_flip_of_any_byte_gives_a_sound_ledger_and_every_loss_is_told() {
    let mut files = drawn();
    let whole = lanes(&MemoryDisk::with_files(&files));
    for name in segments(&files) {
        for at in 0..files[&name].len() {
            files.get_mut(&name).unwrap()[at] ^= 0x41;
            check(&files, &whole, &format!("{name} at {at}"));
            files.get_mut(&name).unwrap()[at] ^= 0x41;
        }
    }
}

#[test]
fn a_cut_of_any_segment_at_any_byte_is_told() {
    let files = drawn();
    let whole = lanes(&MemoryDisk::with_files(&files));
    for name in segments(&files) {
        for length in 0..files[&name].len() {
            let mut cut = files.clone();
            cut.get_mut(&name).unwrap().truncate(length);
            check(&cut, &whole, &format!("{name} cut at {length}"));
            cut.get_mut(&name).unwrap().resize(files[&name].len(), 0);
            check(&cut, &whole, &format!("{name} zeroed from {length} on"));
        }
    }
}

/// The lanes of a ledger in which nobody has finished, and no other segment follows the damage.
#[test]
fn groups_that_are_missing_at_the_end_are_named_and_no_open_lane_is_called_whole() {
    let files = write(&script()[..9]);
    let places = places(&files);
    let whole = lanes(&MemoryDisk::with_files(&files));
    let (last, _, end) = places.last().unwrap().clone();
    let groups = places.len();
    for from in (36..end).step_by(3) {
        let mut zeroed = files.clone();
        zeroed.get_mut(&last).unwrap()[from..].fill(0);
        let kept = places.iter().filter(|(file, _, end)| *file < last || *end <= from).count();
        let what = format!("zeroed from {from} on, {kept} of {groups} groups left");
        // The last four bytes of a mark are zeros.
        if kept == groups || from >= end - 4 {
            continue;
        }
        check(&zeroed, &whole, &what);
        let (repaired, _) = repair(&zeroed).unwrap();
        let said = report(&repaired);
        let missing = match groups - kept {
            1 => format!("missing         group {groups}\n"),
            _ => format!("missing         groups {} to {groups}\n", kept + 1),
        };
        assert!(said.contains(&missing), "{what}: {missing}{said}");
        assert!(
            !said.contains(", whole") && !said.contains("a server that died"),
            "{what}\n{said}"
        );
        assert_eq!(repaired.judge().err().map(|failure| failure.exit_code()), Some(4), "{what}");
    }
}

#[test]
fn where_nothing_says_how_far_a_ledger_went_no_open_lane_is_called_whole() {
    let files = without_last_group(write(&script()[..9]));
    let (repaired, disk) = repair(&files).unwrap();
    let said = report(&repaired);
    assert!(said.contains("end             unknown: without last-group.bin"), "{said}");
    assert!(said.contains("open, whole as far as the ledger reaches\n"), "{said}");
    assert!(!said.contains("whole, open"), "{said}");
    assert!(repaired.is_lossless(), "what an earlier version wrote is no loss\n{said}");
    let torn = damaged(&files, &[places(&files).len()]);
    let said = report(&repair(&torn).unwrap().0);
    assert!(said.contains("and nothing behind it: as a server that died leaves it"), "{said}");
    // From now on it is known.
    assert_eq!(disk.files(), write(&script()[..9]));
}

#[test]
fn a_file_that_no_longer_says_how_far_a_ledger_went_is_told_and_made_anew() {
    let sound = write(&script()[..9]);
    let mut foreign = sound.clone();
    let bytes = foreign.get_mut("last-group.bin").unwrap();
    for slot in [0, 4096] {
        bytes[slot + 12] ^= 1;
        let crc = crc32c(&bytes[slot..slot + 28]);
        bytes[slot + 28..slot + 32].copy_from_slice(&crc);
    }
    let mut unreadable = sound.clone();
    unreadable.get_mut("last-group.bin").unwrap().fill(0);
    for (files, why) in [(foreign, "files of two ledgers"), (unreadable, "neither of its two")] {
        let (repaired, disk) = repair(&files).unwrap();
        let said = report(&repaired);
        assert!(said.contains("unreadable      last-group.bin: ") && said.contains(why), "{said}");
        assert!(said.contains("missing         groups from 11 on, if there were any\n"), "{said}");
        assert!(!said.contains(", whole"), "{said}");
        assert!(!repaired.is_lossless());
        assert_eq!(disk.files(), sound, "nothing of it was lost, which nobody can know");
    }
}

#[test]
fn a_cut_of_the_last_segment_keeps_every_whole_group() {
    let files = drawn();
    let places = places(&files);
    for length in 36..files["00000003.log"].len() {
        let mut cut = files.clone();
        cut.get_mut("00000003.log").unwrap().truncate(length);
        let (_, disk) = repair(&cut).unwrap();
        let whole = places
            .iter()
            .filter(|(file, _, end)| file < &"00000003.log".to_owned() || *end <= length);
        let records = script().into_iter().take(whole.count()).flatten();
        assert_eq!(read(&disk).unwrap().0, records.collect::<Vec<_>>(), "cut at {length}");
    }
}

#[test]
fn a_segment_that_is_missing_costs_each_lane_what_was_in_it_and_behind() {
    let files = drawn();
    let whole = lanes(&MemoryDisk::with_files(&files));
    for name in ["00000001.log", "00000002.log"] {
        let mut files = files.clone();
        files.remove(name);
        check(&files, &whole, name);
        let said = report(&repair_with(&files, Some(given())).unwrap().0);
        assert!(said.contains(&format!("unreadable      {name}: missing\n")), "{said}");
    }
}

#[test]
fn segments_with_each_others_names_are_put_in_order() {
    let files = drawn();
    let mut swapped = files.clone();
    swapped.insert("00000001.log".to_owned(), files["00000002.log"].clone());
    swapped.insert("00000002.log".to_owned(), files["00000001.log"].clone());
    let (repaired, disk) = repair(&swapped).unwrap();
    assert!(repaired.is_lossless(), "{}", report(&repaired));
    assert_eq!(disk.files(), files);
}

/// The numbers of the groups of [`script`].
const OPEN: usize = 1;
const HELLO_3: usize = 4;
const BATCHES_1_AND_2_SEQ_2: usize = 7;
const BATCH_3_SEQ_4: usize = 12;
const FINISH_3: usize = 15;
const DRAW: usize = 16;
const MARK: usize = 17;

/// What is damaged, whether nothing is lost by it, and what is said.
const LOSSES: [(&[usize], bool, &[&str]); 7] = [
    (&[MARK], true, &["20 bytes: no whole group\n", "missing         group 17\n"]),
    (
        &[HELLO_3],
        true,
        &[
            "missing         group 4\n",
            "1 opening written anew",
            "agency 3        4 bets in 4 batches, whole, ready",
        ],
    ),
    (
        &[BATCHES_1_AND_2_SEQ_2],
        false,
        &[
            "missing         group 7\n",
            "kept            6 bets in 6 batches\n",
            "agency 1        1 bet in 1 batch, cut behind batch 1. Lost: batch 2 \
                 unreadable; of batches 3 to 4 2 readable, but behind a gap (2 bets, 122 bytes); \
                 that it was ready\n",
            "agency 2        1 bet in 1 batch, cut behind batch 1. ",
            "agency 3        4 bets in 4 batches, whole, ready\n",
            "draw            DROPPED",
            "then            start each agency",
        ],
    ),
    (
        &[BATCH_3_SEQ_4],
        false,
        &[
            "agency 1        4 bets in 4 batches, whole, ready\n",
            "agency 3        3 bets in 3 batches, cut behind batch 3. Lost: batch 4 \
                 unreadable; that it was ready\n",
        ],
    ),
    (
        &[FINISH_3],
        false,
        &[
            "agency 3        4 bets in 4 batches, MAY be cut behind batch 4",
            "draw            DROPPED",
        ],
    ),
    (&[DRAW], true, &["draw            no record of it; the next start does it"]),
    (
        &[BATCH_3_SEQ_4, DRAW],
        false,
        &[
            "missing         group 12\n",
            "missing         group 16\n",
            "agency 3        3 bets in 3",
        ],
    ),
];

#[test]
fn each_lane_loses_only_what_is_behind_its_own_gap() {
    let files = drawn();
    for (groups, lossless, parts) in LOSSES {
        let (repaired, disk) = repair(&damaged(&files, groups)).unwrap();
        let said = report(&repaired);
        for part in parts {
            assert!(said.contains(part), "{groups:?}: no {part:?} in\n{said}");
        }
        assert_eq!(repaired.is_lossless(), lossless, "{groups:?}\n{said}");
        let code = repaired.judge().err().map(|failure| failure.exit_code());
        assert_eq!(code, (!lossless).then_some(4));
        verify_ledger(&disk).unwrap();
    }
}

#[test]
fn a_damaged_mark_between_groups_loses_nothing() {
    let mut groups = script();
    groups.truncate(9);
    groups.insert(6, Vec::new());
    let (repaired, disk) = repair(&damaged(&write(&groups), &[7])).unwrap();
    let said = report(&repaired);
    assert!(said.contains("missing         group 7: marks, which hold nothing\n"), "{said}");
    assert!(repaired.is_lossless(), "{said}");
    assert_eq!(read(&disk).unwrap().0, groups.concat());
}

#[test]
fn a_later_session_alone_proves_no_lane_whole() {
    let groups = &script()[..6];
    let batch_or_not = [batch(1, 2)].to_vec();
    let groups = [groups, &[batch_or_not, vec![hello(1, 2)], vec![batch(2, 2)]]].concat();
    let (repaired, disk) = repair(&damaged(&write(&groups), &[7])).unwrap();
    let said = report(&repaired);
    assert!(said.contains("agency 1        1 bet in 1 batch, MAY be cut behind batch 1"), "{said}");
    assert!(said.contains("agency 2        2 bets in 2 batches, whole, open"), "{said}");
    assert!(!repaired.is_lossless());
    assert_eq!(lanes(&disk)[&1].0.len(), 1);
}

#[test]
fn what_cannot_follow_is_cut_though_no_group_is_missing() {
    let no_bets = Event { body: b"1#@0#1#".to_vec(), ..batch(1, 2) };
    for wrong in [batch(1, 3), no_bets, finish(1, 2), Event { n: 2, ..batch(1, 2) }] {
        let groups = [&script()[..6], &[vec![wrong], vec![batch(1, 4), batch(2, 2)]]].concat();
        let (repaired, disk) = repair(&write(&groups)).unwrap();
        let said = report(&repaired);
        assert!(said.contains("agency 1        1 bet in 1 batch, cut behind batch 1"), "{said}");
        assert!(said.contains("agency 2        2 bets in 2 batches, whole, open"), "{said}");
        assert!(!repaired.is_lossless(), "{said}");
        assert_eq!(lanes(&disk)[&1].0.len(), 1);
    }
}

#[test]
fn a_draw_whose_winners_do_not_follow_is_dropped() {
    let mut groups = script();
    groups.last_mut().unwrap()[0].body[9] ^= 1;
    let files = write(&groups);
    verify_ledger(&MemoryDisk::with_files(&files)).err().unwrap();
    let (repaired, disk) = repair(&files).unwrap();
    assert!(report(&repaired).contains("draw            DROPPED"));
    assert!(!repaired.is_lossless());
    groups.pop();
    assert_eq!(read(&disk).unwrap().0, groups.concat());
}

#[test]
fn the_terms_are_asked_for_where_the_first_group_is_lost() {
    let files = damaged(&drawn(), &[OPEN]);
    let refused = repair(&files).err().unwrap();
    assert_eq!(refused.exit_code(), 4);
    assert!(refused.to_string().contains("--agencies and --winning-number"), "{refused}");
    let (repaired, disk) = repair_with(&files, Some(given())).unwrap();
    assert!(repaired.is_lossless(), "{}", report(&repaired));
    assert_eq!(disk.files(), drawn());
    let other = Given { agencies: 4, ..given() };
    let refused = repair_with(&drawn(), Some(other)).err().unwrap();
    assert_eq!(refused.exit_code(), 1);
}

#[test]
fn a_segment_of_another_draw_is_no_part_of_it() {
    let mut files = drawn();
    files.get_mut("00000002.log").unwrap()[24..32].copy_from_slice(b"an other");
    let crc = crc32c(&files["00000002.log"][..32]);
    files.get_mut("00000002.log").unwrap()[32..36].copy_from_slice(&crc);
    let said = report(&repair(&files).unwrap().0);
    assert!(said.contains("00000002.log from offset 0"), "{said}");
    assert!(said.contains("it is of draw 616e206f74686572, not of "), "{said}");
}

#[test]
fn a_newer_format_and_a_failing_disk_are_no_damage() {
    let mut files = drawn();
    files.get_mut("00000003.log").unwrap()[11] = 3;
    let crc = crc32c(&files["00000003.log"][..32]);
    files.get_mut("00000003.log").unwrap()[32..36].copy_from_slice(&crc);
    assert_eq!(repair(&files).err().unwrap().exit_code(), 1);

    let source = MemoryDisk::with_files(&drawn());
    repair_ledger(&source, None, None).unwrap();
    for n in 0..source.calls().len() {
        let source = MemoryDisk::with_files(&drawn());
        source.fail_call(n, ErrorKind::Other, Done::Nothing);
        let failure = repair_ledger(&source, None, None).err().unwrap();
        assert_eq!(failure.exit_code(), 5, "call {n}: {failure}");
    }
}

#[test]
fn a_failing_write_is_told_whichever_it_is() {
    let source = MemoryDisk::with_files(&drawn());
    let target = MemoryDisk::new();
    repair_ledger(&source, Some(&target), None).unwrap();
    for n in 0..target.calls().len() {
        let target = MemoryDisk::new();
        target.fail_call(n, ErrorKind::StorageFull, Done::Nothing);
        let failure = repair_ledger(&source, Some(&target), None).err();
        assert!(failure.is_some(), "call {n}: {:?}", target.calls()[n]);
    }
}

fn crc32c(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).to_be_bytes()
}
