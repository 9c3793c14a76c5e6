//! Bets in, one draw, winners out.

use std::collections::BTreeMap;

use tempfile::tempdir;

use crate::deployment::{Deployment, Ran, export, generated, inspect};
use crate::engine::docker;
use crate::inputs::Inputs;
use crate::lines::{bets_received, count, field};

const STORED: &str = "action: apuesta_recibida | result: success";
const DRAWN: &str = "action: sorteo | result: success";

#[test]
fn every_agency_brings_all_its_bets_and_learns_its_winners() {
    for (agencies, batch_bets_max) in [(1, 100), (3, 73), (5, 17)] {
        let mut inputs = Inputs::find();
        inputs.files.truncate(agencies);
        inputs.is_dataset &= agencies == 5;
        let deployment = Deployment::lottery(&inputs, batch_bets_max);
        deployment.up(&[]);
        let ran = deployment.finish();
        check_agencies(&ran, &inputs);
        check_server(&ran.server, &inputs, batch_bets_max);
        assert!(export() == inputs.exported(), "the ledger is not the files");
    }
}

/// Every agency has told its bets, and its winners after that.
pub(crate) fn check_agencies(ran: &Ran, inputs: &Inputs) {
    ran.assert_each_client_says(&[
        ("action: apuestas_enviadas | result: success", 1),
        ("action: consulta_ganadores | result: success", 1),
        ("action: stop | result: success", 1),
    ]);
    let told = |name: &str| -> Vec<u64> {
        let values =
            ran.clients.iter().flatten().filter(|line| line.contains(&format!("| {name}: ")));
        values.map(|line| field(line, name).parse().unwrap()).collect()
    };
    assert_eq!(told("cant_ganadores"), inputs.winners());
    assert_eq!(told("cantidad").iter().sum::<u64>(), inputs.bets());
    for (client, id) in ran.clients.iter().zip(1..) {
        let first =
            format!("action: config | result: success | client_id: {id} | server_address: ");
        assert!(client[0].contains(&first), "{}", client[0]);
        assert!(client.last().unwrap().ends_with("action: stop | result: success"));
    }
}

/// Every batch is full but the last of each agency, and the draw is behind them all.
fn check_server(lines: &[String], inputs: &Inputs, batch_bets_max: u64) {
    assert_eq!(bets_received(lines), inputs.bets());
    let mut found = BTreeMap::new();
    for line in lines.iter().filter(|line| line.contains(STORED)) {
        *found.entry(field(line, "cantidad").parse().unwrap()).or_default() += 1;
    }
    let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
    for bets in inputs.bets_of_each() {
        *expected.entry(batch_bets_max).or_default() += bets / batch_bets_max;
        *expected.entry(bets % batch_bets_max).or_default() += 1;
    }
    expected.retain(|bets, batches| *bets > 0 && *batches > 0);
    assert_eq!(found, expected, "how many batches have so many bets");
    assert_eq!(count(lines, "action: agencia_lista | result: success"), inputs.files.len());
    assert_eq!(count(lines, DRAWN), 1);
    let drawn = lines.iter().position(|line| line.contains(DRAWN)).unwrap();
    let behind = &lines[drawn..];
    assert_eq!((count(behind, STORED), count(behind, "agencia_lista")), (0, 0));
}

#[test]
fn what_is_configured_in_the_mounted_files_holds_without_a_build() {
    for (level, other_level) in [("DEBUG", "INFO"), ("WARNING", "ERROR")] {
        let deployment = Deployment::lottery(&Inputs::find(), 61);
        deployment.configure_server(23456, level);
        deployment.configure_clients(23456, other_level, 61, (7, "250ms"));
        deployment.up(&[]);
        let ran = deployment.finish();
        if level == "WARNING" {
            assert!(ran.server.is_empty() && ran.clients.iter().flatten().next().is_none());
            continue;
        }
        let config = "action: config | result: success | port: 23456 | listen_backlog: 5 | logging_level: DEBUG";
        assert!(ran.server[0].ends_with(config), "{}", ran.server[0]);
        assert!(ran.server.iter().any(|line| line.contains(" DEBUG    action: ")));
        check_server(&ran.server, &Inputs::find(), 61);
        for (client, id) in ran.clients.iter().zip(1..) {
            let config = format!(
                "action: config | result: success | client_id: {id} | server_address: server:23456 \
                 | loop_amount: 7 | loop_period: 250ms | log_level: INFO"
            );
            assert!(client[0].contains(&config), "{}", client[0]);
        }
    }
}

#[test]
fn fifty_agencies_are_served_at_once() {
    let directory = tempdir().unwrap();
    let inputs = generated(50, 400, directory.path());
    let deployment = Deployment::lottery(&inputs, 50);
    deployment.up(&[]);
    let ran = deployment.finish();
    check_agencies(&ran, &inputs);
    check_server(&ran.server, &inputs, 50);
    assert!(export() == inputs.exported(), "the ledger is not the files");
}

#[test]
fn the_containers_are_confined() {
    let deployment = Deployment::lottery(&Inputs::find(), 100);
    deployment.up(&["server"]);
    deployment.up(&["client1"]);
    for container in ["server", "client1"] {
        let host =
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}";
        assert_eq!(inspect(container, host), "true [ALL] [no-new-privileges:true]");
        let user = docker(&["top", container, "-o", "pid,uid"]);
        assert_eq!(user.split_whitespace().last(), Some("10001"), "{container}: {user}");
        assert_eq!(inspect(container, "{{json .HostConfig.PortBindings}}"), "{}");
    }
}
