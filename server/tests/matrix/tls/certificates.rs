//! Whose certificates are good, and for what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bolillero_server::driver::{AddressLimits, Limits};
use bolillero_server::echo::Echo;
use bolillero_server::session::{Flow, Input, Mailbox, Peer, Service, Session};
use bolillero_tls::authority::{Authority, Issued, Validity};
use bolillero_tls::files::certificates;
use bolillero_tls::identity::describe;
use bolillero_tls::rustls::{AlertDescription, HandshakeKind};
use bolillero_tls::server::Admission;
use tempfile::tempdir;

use super::{VERSIONS, alert, of_version};
use crate::certificates::{CERTIFICATES, client_config, of_agency, valid, write_identity};
use crate::client::{Client, socket_from};
use crate::harness::{Cell, NEVER, PATIENCE, Server, secure};
use crate::log_lines::{note_log_lines, was_logged};
use crate::sessions::On;
use crate::text::{BROUGHT, Office, RESULTS_1, RESULTS_2};
use crate::{each_address, limits};

/// Tells whoever says something which agency its certificate names. Counts its sessions.
#[derive(Default)]
struct WhoAmI {
    n_sessions: Arc<AtomicUsize>,
}

impl Service for WhoAmI {
    fn name(&self) -> &'static str {
        "who_am_i"
    }

    fn open(&self, peer: Peer, _: Mailbox) -> Box<dyn Session> {
        self.n_sessions.fetch_add(1, Ordering::Relaxed);
        Box::new(On(move |input: Input<'_>, out: &mut Vec<u8>| {
            let Input::Bytes(_) = input else { return Flow::Close };
            out.extend_from_slice(format!("{:?}\n", peer.agency).as_bytes());
            Flow::Continue
        }))
    }

    fn busy(&self) -> &[u8] {
        b""
    }
}

fn start(cell: Cell, admission: Admission) -> (Server, Arc<AtomicUsize>) {
    let service = WhoAmI::default();
    let n_sessions = Arc::clone(&service.n_sessions);
    let service = secure(Arc::new(service), admission, NEVER);
    (Server::serve(cell, service, limits()), n_sessions)
}

/// Certificates that are not good, with what their owner is told and what is logged.
fn bad() -> Vec<(Issued, AlertDescription, &'static str)> {
    let (mine, of_1) = (&CERTIFICATES.authority, "bolillero://agency/1".to_owned());
    let client = |uris: &[String]| mine.client("somebody", uris, valid()).unwrap();
    let now = SystemTime::now();
    let [hour, day] = [1, 24].map(Duration::from_hours);
    let expired = Validity { from: now - day, until: now - hour };
    let future = Validity { from: now + hour, until: now + day };
    let (foreign, _) = Authority::generate(valid()).unwrap();
    vec![
        (mine.agency(1, expired).unwrap(), AlertDescription::CertificateExpired, "has expired"),
        (mine.agency(1, future).unwrap(), AlertDescription::CertificateExpired, "not valid yet"),
        (foreign.agency(1, valid()).unwrap(), AlertDescription::UnknownCA, "not signed by"),
        (
            CERTIFICATES.server.clone(),
            AlertDescription::UnsupportedCertificate,
            "not for this side",
        ),
        (client(&[]), AlertDescription::CertificateUnknown, "it has no URI"),
        (client(&[of_1.clone(), of_1]), AlertDescription::CertificateUnknown, "it has 2 URIs"),
        (
            client(&["https://agency/1".to_owned()]),
            AlertDescription::CertificateUnknown,
            "https://agency/1",
        ),
    ]
}

pub(crate) fn a_certificate_that_is_not_good_is_refused_in_the_handshake(cell: Cell) {
    note_log_lines();
    let (server, n_sessions) = start(cell, Admission::Agency);
    let good = client_config(Some(&of_agency(1)));
    let mut witness = Client::secured(socket_from(1, server.address), &good);
    for (issued, expect, reason) in bad() {
        for version in VERSIONS {
            let config = of_version(version, Some(&issued));
            let mut client = Client::secured(socket_from(1, server.address), &config);
            assert_eq!(alert(&mut client), expect, "{reason}");
        }
        let which = described(&issued);
        let line = ["action: check_certificate | result: fail", &which, reason];
        assert!(was_logged(&line), "{line:?}");
        witness.send(b"?");
        witness.expect(b"Some(1)\n");
    }
    let config = client_config(None);
    let mut client = Client::secured(socket_from(1, server.address), &config);
    assert_eq!(alert(&mut client), AlertDescription::CertificateRequired);
    let refused = "action: tls_handshake | result: fail | service: who_am_i";
    assert!(was_logged(&[refused, "no certificate was shown"]));
    assert_eq!(n_sessions.load(Ordering::Relaxed), 1, "the witness only");
}

/// What the log calls a certificate.
fn described(issued: &Issued) -> String {
    let directory = tempdir().unwrap();
    let files = write_identity(directory.path(), "it", issued);
    describe(&certificates(&files.cert).unwrap()[0])
}

pub(crate) fn one_that_names_no_agency_is_good_where_none_is_needed(cell: Cell) {
    let (server, _) = start(cell, Admission::Certified);
    let nameless = CERTIFICATES.authority.client("operator", &[], valid()).unwrap();
    for (issued, told) in [(nameless, "None\n"), (of_agency(2), "Some(2)\n")] {
        let config = client_config(Some(&issued));
        let mut client = Client::secured(socket_from(1, server.address), &config);
        client.send(b"?");
        client.expect(told.as_bytes());
    }
}

pub(crate) fn a_certificate_holds_for_a_handshake_that_is_resumed(cell: Cell) {
    let (server, _) = start(cell, Admission::Agency);
    let of = |agency, version| (agency, of_version(version, Some(&of_agency(agency))));
    let configs = VERSIONS.map(|version| [of(1, version), of(2, version)]);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        for (agency, config) in configs.as_flattened() {
            let mut client = Client::secured(socket_from(1, server.address), config);
            client.send(b"?");
            client.expect(format!("Some({agency})\n").as_bytes());
            assert_eq!(client.tls().with(|connection| connection.handshake_kind()), Some(kind));
        }
    }
}

/// A client offers what it was given under the same address, also at another port.
pub(crate) fn what_one_service_gave_to_come_again_with_opens_no_other(cell: Cell) {
    let [(anyone, _), (certified, _), (agency, n_sessions)] =
        [Admission::Anyone, Admission::Certified, Admission::Agency]
            .map(|admission| start(cell, admission));
    let operator = CERTIFICATES.authority.client("operator", &[], valid()).unwrap();
    for (first, shown, expect) in [
        (&anyone, None, AlertDescription::CertificateRequired),
        (&certified, Some(&operator), AlertDescription::CertificateUnknown),
    ] {
        let config = client_config(shown);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = Client::secured(socket_from(1, first.address), &config);
            client.send(b"?");
            client.expect(b"None\n");
            assert_eq!(client.tls().with(|connection| connection.handshake_kind()), Some(kind));
        }
        let mut client = Client::secured(socket_from(1, agency.address), &config);
        assert_eq!(alert(&mut client), expect);
    }
    assert_eq!(n_sessions.load(Ordering::Relaxed), 0);
}

/// All that is brought for agency 2 would win.
pub(crate) fn an_agency_speaks_for_no_other(cell: Cell) {
    let office = Office::certified(cell);
    let (mut first, mut second) = (office.packets_of(1), office.packets_of(2));
    let refused = "the certificate is agency 1's, this is for agency 2";
    for (opcode, data) in [
        (1, "2#Ana#Paz#30000001#1990-01-01#7574#"),
        (3, "1#@0#2#Ana#Paz#30000001#1990-01-01#7574#"),
        (5, "2#"),
        (6, "2#"),
    ] {
        first.exchange_packet(opcode, data, (4, refused));
    }
    first.exchange_packet(1, "1#Leo#Paz#30000002#1990-01-01#7574#", (2, ""));
    assert_eq!(office.told_as(1, BROUGHT_FOR_2), "ERROR\n");
    assert_eq!(office.told_as(1, RESULTS_2), "ERROR\n");
    assert_eq!(office.told_as(1, BROUGHT), "1\n");
    // One that was refused may still open the session of its own agency.
    let refused = format!("REFUSED#-#{refused}#");
    first.exchange_packet(9, "1#2#", (4, &refused));
    first.send_packet(9, "1#1#");
    assert_eq!(first.packet().0, 10);
    first.exchange_packet(5, "2#0#0#", (4, OTHER_AGENCY));
    second.exchange_packet(5, "2#", (2, ""));
    assert_eq!(office.told_as(1, RESULTS_1), "30000002,30007574\n");
    assert_eq!(office.told_as(2, RESULTS_2), "NOWINNERS\n");
    assert_eq!(office.told_as(2, RESULTS_1), "ERROR\n");
}

const BROUGHT_FOR_2: &[u8] =
    b"\x00\x03BET\x00\x232,Ana,Paz,30007574,1990-01-01,7574;\x00\x06FINISH";
const OTHER_AGENCY: &str = "REFUSED#-#the id is another than this session's#";

/// Behind one NAT are agencies without number, and an operator.
pub(crate) fn agencies_of_one_address_leave_its_places_to_others(cell: Cell) {
    let service = secure(Arc::new(WhoAmI::default()), Admission::Certified, NEVER);
    let busy_time = Duration::from_millis(50);
    let limits = Limits { addresses: each_address(1), busy_time, ..limits() };
    let server = Server::serve(cell, service, limits);
    let connect = |issued: &Issued| {
        Client::secured(socket_from(2, server.address), &client_config(Some(issued)))
    };
    let told = |client: &mut Client, expected: &str| {
        client.send(b"?");
        client.expect(expected.as_bytes());
    };
    let mut inside = Vec::new();
    for agency in 1..=3 {
        let mut client = connect(&of_agency(agency));
        told(&mut client, &format!("Some({agency})\n"));
        inside.push(client);
    }
    let nameless = CERTIFICATES.authority.client("operator", &[], valid()).unwrap();
    let mut operator = connect(&nameless);
    told(&mut operator, "None\n");
    // Now the place of the address is taken.
    connect(&of_agency(4)).expect_turned_away(b"");
    told(&mut operator, "None\n");
    for (mut client, agency) in inside.into_iter().zip(1..) {
        told(&mut client, &format!("Some({agency})\n"));
    }
}

/// Each waits until the one before it has shaken hands, on whatever thread that is.
pub(crate) fn agencies_of_one_address_that_come_at_once_all_get_in(cell: Cell) {
    let service = secure(Arc::new(Echo::default()), Admission::Agency, NEVER);
    let limits = Limits { addresses: each_address(1), busy_time: 2 * PATIENCE, ..limits() };
    let server = Server::serve(cell, service, limits);
    let configs = [1, 2, 3, 4, 5].map(|agency| client_config(Some(&of_agency(agency))));
    let inside = configs.map(|config| Client::secured(socket_from(2, server.address), &config));
    thread::scope(|scope| {
        // One that waits does not read, so each reads for itself.
        for mut client in inside {
            scope.spawn(move || {
                client.exchange(b"inside\n");
                client.exchange(b"still inside\n");
            });
        }
    });
}

pub(crate) fn an_agency_with_all_its_connections_is_told_that_the_office_is_busy(cell: Cell) {
    let service = secure(Arc::new(Echo::default()), Admission::Agency, NEVER);
    // On this machine, which has places without number, and the agency has not.
    let addresses = AddressLimits { max: Some(2), ..AddressLimits::default() };
    let server = Server::serve(cell, service, Limits { addresses, ..limits() });
    let configs = [1, 2].map(|agency| client_config(Some(&of_agency(agency))));
    let connect = |agency: usize, last: u8| {
        Client::secured(socket_from(last, server.address), &configs[agency - 1])
    };
    let mut inside = [connect(1, 1), connect(1, 2), connect(2, 1), connect(2, 2)];
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
    for _ in 0..3 {
        assert_eq!(connect(1, 3).rest(), b"busy\n");
    }
    for client in &mut inside {
        client.exchange(b"inside\n");
    }
    let [first, second, ..] = inside;
    drop(first);
    // The end of one and the coming of the next are told by two sockets, in any order.
    let begin = Instant::now();
    loop {
        let mut next = connect(1, 3);
        next.shake_hands().unwrap();
        next.end();
        if next.rest().is_empty() {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "there is no place again");
    }
    drop(second);
}
