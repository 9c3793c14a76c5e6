//! An agency that counts something else than the office tells it so: the alarm is kept, told to the operator, and
//! takes nothing from what bets need.

use bolillero_server::audit::{repair_ledger, verify_ledger};
use bolillero_server::ledger::memory::MemoryDisk;

use crate::support::*;

fn mine() -> Vec<u8> {
    alarm(1, 3, &head(&[body(1, &[9])]))
}

/// A lane with an alarm in its first and in its third session, and one without.
fn with_alarms() -> Central {
    let mut central = Central::new(2);
    for epoch in 1..=3 {
        let mut client = central.session(1);
        client.send(&numbered(epoch, 1, &[7]));
        if epoch != 2 {
            client.send(&mine());
        }
        central.settle();
    }
    central.session(2);
    central
}

fn report(disk: &MemoryDisk) -> (String, String) {
    let verified = verify_ledger(disk).unwrap().unwrap();
    let (mut lines, mut json) = (Vec::new(), Vec::new());
    verified.report(&mut lines).unwrap();
    verified.report_json(&mut json).unwrap();
    (String::from_utf8(lines).unwrap(), String::from_utf8(json).unwrap())
}

#[test]
fn an_alarm_is_logged_as_a_warning_with_all_it_says() {
    let mut central = Central::new(1);
    let mut client = central.session(1);
    take_log_lines();
    client.send(&mine());
    let head = head(&[body(1, &[9])]);
    let line =
        format!("action: alarm | result: success | agencia: 1 | seq: 1 | bets: 3 | head: {head}");
    assert_eq!(take_log_lines(), [line]);
    client.send(&mine());
    assert!(take_log_lines()[0].ends_with("error: a session raises one alarm"));
}

#[test]
fn alarms_survive_a_restart_and_verify_tells_them() {
    let central = with_alarms().restart();
    let alarms = [1, 2].map(|agency| central.office.lane(agency).unwrap().alarms);
    assert_eq!(alarms, [2, 0]);
    let (lines, json) = report(&central.disk);
    assert!(lines.contains("\nalarms          2: "), "{lines}");
    let told = lines.lines().filter(|line| line.ends_with(", 2 alarms")).count();
    assert_eq!(told, 1, "{lines}");
    assert!(json.contains("\"alarms\":2"), "{json}");
    assert!(lines.ends_with("sound\n"), "{lines}");
    central.check_replay();
}

#[test]
fn a_ledger_without_alarms_is_reported_without_them() {
    let mut central = Central::new(2);
    central.session(1);
    let (lines, json) = report(&central.disk);
    assert!(!lines.to_lowercase().contains("alarm"), "{lines}");
    assert!(json.contains("\"alarms\":0"), "{json}");
}

#[test]
fn repair_keeps_alarms_and_what_is_drawn_does_not_depend_on_them() {
    let mut central = with_alarms();
    let mut client = central.session(1);
    client.send(&[session_ready(1, 3, 3), mine()].concat());
    central.settle();
    central.session(2).send(&session_ready(2, 0, 0));
    central.settle();
    let target = MemoryDisk::new();
    repair_ledger(&central.disk, Some(&target), None).unwrap();
    assert_eq!(report(&target).1.matches("\"alarms\":3").count(), 2, "in all, and of agency 1");
    let setup = Setup { segment_size: central.setup.segment_size, ..Setup::default() };
    let mut central = Central::open(setup, target).unwrap();
    let mut client = central.session(1);
    client.send(&ask(1));
    assert_eq!(client.replies(), [winners("#")]);
}

#[test]
fn an_alarm_leaves_the_reserve_alone() {
    let mut central = Central::with(Setup { agencies: 1, ..Setup::default() });
    let mut client = central.session(1);
    let room = central.disk.used();
    central.disk.limit_room(room, std::io::ErrorKind::StorageFull);
    let mut seq = 1;
    loop {
        client.send(&numbered(seq, 1, &[7]));
        central.prepare();
        central.commit();
        match client.replies().pop() {
            Some((12, _)) => seq += 1,
            refused => {
                assert!(refused.is_some_and(|reply| reply.1.starts_with("STORAGE")));
                break;
            }
        }
    }
    client.send(&mine());
    central.commit();
    let refused = client.replies().pop().unwrap();
    assert!(refused.1.starts_with("STORAGE#-#"), "{refused:?}");
    central.disk.free_room();
    central.prepare();
    client.send(&mine());
    central.commit();
    assert_eq!(client.replies(), [ack()], "one that was refused may be raised again");
    central.check_replay();
}
