//! The section of the room. Measures nothing.

use super::super::room::{RoomReport, SPEAKERS, WINDOW};
use super::beside::beside;
use super::table::Section;

pub(super) fn title(room: &RoomReport) -> String {
    format!("room of {} guests", room.guests)
}

pub(super) fn section(room: &RoomReport) -> Section {
    Section {
        title: title(room),
        lines: vec![
            format!(
                "Messages delivered: {SPEAKERS} guests speak, every message goes to all others, each \
                 of {} bytes and a write of its own; {WINDOW} of each speaker on their way.",
                room.message_bytes
            ),
            "Every guest checks that nothing is missing and nothing out of order. The reference \
             passes lines on, and reads nothing in them."
                .to_owned(),
        ],
        ..beside("room", "CPU s/M", &room.figures)
    }
}
