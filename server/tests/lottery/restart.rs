//! An office that died in any phase goes on where its ledger says it was.

use bolillero_server::ledger::memory::MemoryDisk;
use bolillero_server::lottery::draw::DrawStep;
use bolillero_server::lottery::state::Draw;

use crate::support::*;

/// Three agencies have bets, one of each wins; these have finished.
fn with_finished(agencies: &[u32]) -> Central {
    let mut central = Central::new(3);
    let mut client = central.connect();
    for agency in 1..=3 {
        client.send(&batch(agency, &[agency, 7574]));
    }
    for agency in agencies {
        client.send(&ready(*agency));
    }
    central.commit();
    central
}

fn check_winners(central: &mut Central) {
    let mut base = central.connect();
    base.send(&[ask(1), ask(2), ask(3)].concat());
    let mut sessions = [1, 2, 3].map(|agency| central.session(agency));
    for (agency, session) in (1..).zip(&mut sessions) {
        session.send(&ask(agency));
        assert_eq!(session.replies(), [winners("30007574#")]);
    }
    assert_eq!(base.replies(), vec![winners("30007574#"); 3]);
    central.commit();
    assert_eq!(central.stored().1, 1);
    central.check_replay();
}

#[test]
fn who_had_finished_has_finished_and_the_others_finish() {
    let mut central = with_finished(&[1, 3]).restart();
    assert_eq!(central.office.draw(), Draw::Open);
    let mut client = central.connect();
    client.send(&[batch(1, &[9]), ready(3), ask(1), ready(2)].concat());
    assert_eq!(client.replies(), [(4, "agency 1 has finished".to_owned()), ack(), busy()]);
    central.settle();
    assert_eq!(client.replies(), [ack()]);
    check_winners(&mut central);
}

#[test]
fn a_mark_that_was_not_durable_is_asked_for_again() {
    let central = with_finished(&[1, 2]);
    let mut client = central.connect();
    client.send(&ready(3));
    assert_eq!(central.office.draw(), Draw::Drawing);
    let mut central = central.restart();
    assert_eq!(central.office.draw(), Draw::Open);
    central.finish_all([3]);
    check_winners(&mut central);
}

#[test]
fn a_draw_that_was_due_is_done_before_anybody_is_served() {
    for steps in 0..2 {
        let mut central = with_finished(&[1, 2, 3]);
        for _ in 0..steps {
            // The winners are found and their record is queued, and lost.
            assert_eq!(central.draw(), DrawStep::Waiting);
        }
        assert_eq!(central.stored().1, 0);
        let mut central = central.restart();
        assert_eq!(central.office.draw(), Draw::Drawn);
        check_winners(&mut central);
    }
}

#[test]
fn a_draw_that_was_done_is_not_done_again() {
    let mut central = with_finished(&[1, 2, 3]);
    central.draw();
    central.commit();
    // Durable, and nobody was told.
    for _ in 0..3 {
        central = central.restart();
        assert_eq!(central.office.draw(), Draw::Drawn);
        assert!(!central.logged().contains(&"action: sorteo | result: success".to_owned()));
        check_winners(&mut central);
    }
}

#[test]
fn bets_that_do_not_give_the_recorded_winners_are_damage() {
    let mut central = with_finished(&[1, 2, 3]);
    central.settle();
    let recorded = central.office.winners().unwrap().digests();
    let disk = MemoryDisk::with_files(&with_finished(&[1, 2, 3]).disk.durable_files());
    let central = Central::open(Setup { agencies: 3, ..Setup::default() }, disk).unwrap();
    let mut drawer = bolillero_server::lottery::draw::Drawer::new(
        central.office.clone(),
        std::sync::Arc::new(central.disk.clone()),
        central.setup.draw.clone(),
    );
    drawer.resume(&recorded).unwrap();
    let mut wrong = recorded;
    wrong[1].winners += 1;
    let error = drawer.resume(&wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "looking for the winners: 00000001.log is damaged at offset 0: its bets do not give the winners that its draw recorded"
    );
}
