//! The echo server and its clients.

use crate::deployment::Deployment;
use crate::lines::count;

#[test]
fn every_client_gets_back_what_it_says() {
    for (clients, amount) in [(1, 5), (3, 2), (5, 3)] {
        let deployment = Deployment::new("echo", clients);
        deployment.configure_clients(12345, "INFO", 100, (amount, "50ms"));
        deployment.up(&[]);
        let ran = deployment.finish();
        let messages = amount as usize;
        ran.assert_each_client_says(&[
            ("action: receive_message | result: success | client_id: ", messages),
            ("action: loop_finished | result: success | client_id: ", 1),
        ]);
        for (client, id) in ran.clients.iter().zip(1..) {
            for k in 1..=amount {
                let message = format!("| msg: [CLIENT {id}] Message N°{k}");
                assert_eq!(client.iter().filter(|line| line.ends_with(&message)).count(), 1);
                assert_eq!(ran.server.iter().filter(|line| line.ends_with(&message)).count(), 1);
            }
            let last = format!("action: loop_finished | result: success | client_id: {id}");
            assert!(client.last().unwrap().ends_with(&last), "{client:#?}");
        }
        let accepted = "action: accept_connections | result: success | ip: ";
        assert_eq!(count(&ran.server, accepted), clients * messages);
    }
}
