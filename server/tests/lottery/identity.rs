//! Who shows the certificate of an agency speaks for that one only, in every dialect.

use crate::support::*;

const FOREIGN: &str = "the certificate is agency 1's, this is for agency 2";

/// The lines that tell of a foreign claim, by their counts.
fn claims() -> Vec<String> {
    let lines = take_log_lines().into_iter();
    let told = lines.filter(|line| line.starts_with("action: check_identity | result: fail"));
    told.map(|line| line.rsplit_once("certificate: ").unwrap().1.to_owned()).collect()
}

#[test]
fn a_request_for_another_agency_is_refused_and_counted_and_nothing_is_stored() {
    for (name, request, refusal) in [
        ("bet", packet(1, bet(2, 7574)), (4, FOREIGN.to_owned())),
        ("batch", batch(2, &[1, 2]), (4, FOREIGN.to_owned())),
        ("ready", ready(2), (4, FOREIGN.to_owned())),
        ("ask", ask(2), (4, FOREIGN.to_owned())),
        ("hello", hello(2), (4, format!("REFUSED#-#{FOREIGN}#"))),
    ] {
        let mut central = Central::new(2);
        let mut client = central.connect_certified(1);
        take_log_lines();
        for count in 1..=2 {
            client.send(&request);
            assert_eq!(client.replies(), std::slice::from_ref(&refusal), "{name}");
            let told = format!("agency 1 | claimed: agency 2 | count: {count}");
            assert_eq!(claims(), [told], "{name}");
        }
        assert!(!client.is_closed(), "{name}");
        central.settle();
        assert_eq!(central.stored().0, [Vec::<Vec<u8>>::new(), vec![]], "{name}");
        assert!(!central.office.lane(2).unwrap().finished, "{name}");
        // For its own it may go on.
        client.send(&batch(1, &[7]));
        central.settle();
        assert_eq!(client.replies(), [ack()], "{name}");
    }
}

#[test]
fn a_certified_session_works_as_any_other() {
    let mut central = Central::new(1);
    let mut client = central.connect_certified(1);
    let bodies = [body(1, &[7574])];
    client.send(&[hello(1), numbered(1, 1, &[7574]), session_ready(1, 1, 1), ask(1)].concat());
    central.settle();
    assert_eq!(
        client.replies(),
        [welcome(1, &[], false), receipt(&bodies), ack(), winners("30007574#")]
    );
    assert_eq!(claims(), Vec::<String>::new());
}

#[test]
fn the_text_dialect_is_held_to_it_as_well() {
    let bets = |agency| frames(["BET", &text(agency, &[1]), "FINISH"]);
    let results = |agency: u32| frames(["RESULTS", &agency.to_string()]);
    let mut central = Central::new(2);
    take_log_lines();
    for (request, line) in
        [(bets(2), "ERROR\n"), (results(2), "ERROR\n"), (bets(1), "1\n"), (results(1), "")]
    {
        let mut client = central.connect_text_certified(1);
        client.send(&request);
        central.settle();
        assert_eq!((client.read(), client.is_closed()), (line.as_bytes().to_vec(), true));
    }
    assert_eq!(claims().len(), 2);
    let (lanes, _) = central.stored();
    assert_eq!((lanes[0].len(), lanes[1].len()), (1, 0));
}
