//! One bet from each client.

use crate::deployment::{Deployment, export};
use crate::lines::{count, field};

#[test]
fn every_client_has_its_one_bet_stored() {
    for clients in [1, 3, 5] {
        let deployment = Deployment::new("single", clients);
        deployment.up(&[]);
        let ran = deployment.finish();
        let exported = String::from_utf8(export()).unwrap();
        let mut rows: Vec<&str> = exported.lines().collect();
        rows.sort_unstable();
        assert_eq!(rows.len(), clients, "{exported}");
        assert_eq!(rows[0], "1,Santiago Lionel,Lorca,30904465,1999-03-17,7574");
        for (client, row) in ran.clients.iter().zip(rows) {
            let fields: Vec<&str> = row.split(',').collect();
            let sent =
                |line: &&String| line.contains("action: apuesta_enviada | result: success | ");
            let [sent] = *client.iter().filter(sent).collect::<Vec<_>>() else {
                panic!("{client:?}")
            };
            assert_eq!([field(sent, "dni"), field(sent, "numero")], [fields[3], fields[5]]);
            let stored = format!("dni: {} | numero: {}", fields[3], fields[5]);
            let stored = format!("action: apuesta_almacenada | result: success | {stored}");
            assert_eq!(count(&ran.server, &stored), 1, "{stored}");
        }
    }
}
