//! The sections of what TLS costs. Measures nothing.

use super::super::cost::TlsCost;
use super::super::figure::Figure;
use super::super::handshakes::CLIENTS;
use super::super::marks;
use super::beside::beside;
use super::sections::told;
use super::significant;
use super::table::Section;

/// What it costs in a row. `work` is what processor time is told for.
pub(super) fn section(row: &str, work: &str, costs: &[TlsCost]) -> Option<Section> {
    (!costs.is_empty()).then(|| Section {
        title: format!("{row}: what TLS costs"),
        lines: vec![
            "Keeps: throughput under TLS, of that without. Kept: what ours keeps, of what the \
             reference keeps in the same round."
                .to_owned(),
            format!("Adds: processor time of the server for a {work}, under TLS less without."),
        ],
        heads: vec![
            "server",
            "keeps",
            "reference keeps",
            "kept",
            "mark (must / good / superb)",
            "adds CPU s",
            "reference adds",
            "ratio",
            "mark (must / good / superb)",
        ],
        rows: costs.iter().map(cells).collect(),
        notes: Vec::new(),
    })
}

/// Connections a second that shake hands.
pub(super) fn handshakes(figures: &[Figure]) -> Option<Section> {
    (!figures.is_empty()).then(|| Section {
        title: "handshakes".to_owned(),
        lines: vec![format!(
            "A connection: connect, handshake, a question of 7 bytes, an answer of 5, close. \
             {CLIENTS} clients at once, each a thread; the reference accepts in as many. \
             TLS 1.3; resumed: by a ticket of the connection before."
        )],
        ..beside("begin", "CPU s/M", figures)
    })
}

fn cells(cost: &TlsCost) -> Vec<String> {
    let added = cost.added_ratio;
    vec![
        cost.server.clone(),
        format!("{:.2}", cost.ours.median),
        format!("{:.2}", cost.reference.median),
        format!("{:.2}", cost.kept.median),
        told(Some(marks::TLS_KEPT), cost.kept.median),
        significant(cost.added_seconds),
        significant(cost.reference_added_seconds),
        added.map_or("-".to_owned(), |added| format!("{added:.2}")),
        added.map(|added| marks::TLS_ADDED.told(added)).unwrap_or_default(),
    ]
}
