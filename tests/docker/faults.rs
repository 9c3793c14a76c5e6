//! What breaks in the middle of the work. To be in the middle for sure, one agency is started later:
//! until it is there nothing is drawn, so none of the others can have ended.

use crate::deployment::{Deployment, export, follow, lines, signal};
use crate::engine::docker;
use crate::inputs::Inputs;
use crate::lines::{assert_form, count};
use crate::lottery::check_agencies;

const STORED: &str = "action: apuesta_recibida | result: success";
/// How many batches are stored, of one bet each, when something breaks.
const BATCHES_BEFORE: usize = 50;

fn lottery_without_the_last(inputs: &Inputs) -> Deployment {
    let deployment = Deployment::lottery(inputs, 1);
    deployment.up(&["server", "client1", "client2", "client3", "client4"]);
    deployment
}

#[test]
fn a_killed_server_that_is_started_again_has_lost_and_doubled_nothing() {
    let inputs = Inputs::find();
    let deployment = lottery_without_the_last(&inputs);
    for life in 1..=2 {
        let mut server = follow("server");
        let mut batches = 0;
        let enough = life * BATCHES_BEFORE;
        // Lines of every life are there; by the second all may be stored, and clients just wait.
        server.wait_until("batches", |line| {
            batches += usize::from(line.contains(STORED));
            batches == enough
        });
        let killed = signal("server", "KILL", server);
        assert_eq!(count(&killed.lines, "action: exit"), 0, "it had no time for that");
        docker(&["start", "server"]);
    }
    deployment.up(&["client5"]);
    let ran = deployment.finish();
    check_agencies(&ran, &inputs);
    for client in &ran.clients[..4] {
        assert!(count(client, "action: connect | result: success") > 1, "{client:#?}");
    }
    assert!(export() == inputs.exported(), "the ledger is not the files");
}

#[test]
fn an_agency_whose_network_is_cut_goes_on_when_it_is_mended() {
    let inputs = Inputs::find();
    let deployment = lottery_without_the_last(&inputs);
    follow("client1").wait_for("action: connect | result: success");
    docker(&["network", "disconnect", "tp0_testing_net", "client1"]);
    // The others do not wait for it.
    for client in &deployment.clients[1..4] {
        follow(client).wait_for("action: apuestas_enviadas");
    }
    docker(&["network", "connect", "tp0_testing_net", "client1"]);
    deployment.up(&["client5"]);
    let ran = deployment.finish();
    check_agencies(&ran, &inputs);
    assert!(export() == inputs.exported(), "the ledger is not the files");
}

#[test]
fn a_killed_agency_that_is_started_again_goes_on() {
    let inputs = Inputs::find();
    let deployment = lottery_without_the_last(&inputs);
    let mut client = follow("client1");
    client.wait_for("action: connect | result: success");
    signal("client1", "KILL", client);
    docker(&["start", "client1"]);
    deployment.up(&["client5"]);
    assert_eq!(deployment.exit_codes(&deployment.clients), [0; 5]);
    lines("server").iter().for_each(|line| assert_form(line));
    assert!(export() == inputs.exported(), "the ledger is not the files");
}
