//! How a server behaves towards its peers, written once and run under each driver, over TLS and
//! without it.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

mod harness;
mod client;
mod secure;
mod log_lines;
mod sessions;
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../../../protocol/tests/vectors/mod.rs"]
mod vectors;

mod ending;
mod fencing;
mod reading;
mod room;
mod text;
mod waking;
mod files;
mod room_service;
mod tls;

use self::tls::{certificates as identities, handshakes, records, room as room_records};

use bolillero_server::driver::{AddressLimits, Limits};

/// A test of each behaviour for each driver, with TLS and without; of some only with TLS.
macro_rules! matrix {
    (everywhere { $($everywhere:tt)* } over_tls { $($over_tls:tt)* }) => {
        matrix! { @cell pool Pool false $($everywhere)* }
        matrix! { @cell events Events false $($everywhere)* }
        matrix! { @cell threads Threads false $($everywhere)* }
        matrix! { @cell pool_tls Pool true $($everywhere)* $($over_tls)* }
        matrix! { @cell events_tls Events true $($everywhere)* $($over_tls)* }
        matrix! { @cell threads_tls Threads true $($everywhere)* $($over_tls)* }
    };
    (@cell $cell:ident $driver:ident $tls:literal $($file:ident: $($behaviour:ident)*;)*) => {
        mod $cell {
            use crate::harness::Cell;
            use bolillero_server::driver::Driver;
            $($(
                #[test]
                fn $behaviour() {
                    crate::$file::$behaviour(Cell { driver: Driver::$driver, tls: $tls });
                }
            )*)*
        }
    };
}

matrix! {
    everywhere {
        reading:
            a_request_cut_into_single_bytes_is_answered
            pipelined_requests_are_answered_in_order
            a_peer_that_sends_no_more_gets_its_answers
            large_answers_to_a_slow_reader_are_held_one_at_a_time
            two_peers_that_never_pause_do_not_hold_both_workers;
        room:
            idle_connections_do_not_keep_others_from_being_served
            a_newcomer_without_room_is_told_so
            a_newcomer_gets_the_room_of_one_that_leaves
            accepting_goes_on_when_somebody_leaves
            an_address_with_all_its_connections_is_told_so_and_others_get_in
            a_place_of_an_address_is_free_again_however_its_connection_ended
            this_machine_itself_has_as_many_connections_as_there_are;
        waking:
            every_wake_from_another_thread_arrives
            of_many_wakes_at_once_the_last_arrives
            a_mailbox_that_is_kept_keeps_no_session
            a_trickling_byte_does_not_postpone_a_deadline
            a_silent_peer_is_told_when_its_time_is_over
            a_deadline_runs_anew_for_each_wait;
        ending:
            the_last_answer_survives_a_peer_that_keeps_sending
            output_that_is_not_read_ends_the_connection
            a_panicking_session_closes_only_itself
            a_stop_closes_the_silent_and_finishes_what_is_owed
            a_stop_does_not_wait_for_ever;
        fencing:
            a_session_that_waits_or_is_silent_is_told_of_a_newer_one_and_closed
            one_that_sends_without_end_is_told_of_a_newer_one
            of_many_hellos_at_once_the_newest_works_and_all_others_end;
        text:
            both_dialects_share_one_draw
            frames_cut_into_single_bytes_are_counted
            far_more_batches_than_may_be_unsynced_are_counted_in_one_line
            long_lists_leave_in_turn_to_readers_of_both_dialects
            an_error_survives_a_peer_that_keeps_sending
            a_peer_of_text_that_sends_no_more_is_still_counted
            a_newcomer_of_text_without_room_is_closed_without_a_byte
            a_stop_waits_for_a_count_that_is_owed_and_closes_the_silent;
        files:
            every_file_command_is_answered_as_its_vector_says
            file_commands_in_single_bytes_or_in_one_go_are_answered_in_order
            slices_stream_to_a_reader_that_is_slow
            a_file_that_is_cut_short_while_it_is_sent_ends_the_connection
            a_command_of_megabytes_is_answered_as_a_short_one
            those_who_wait_for_a_blocked_disk_stop_nobody_else
            a_stop_answers_the_file_commands_that_had_arrived;
        room_service:
            guests_hear_each_other
            messages_are_passed_on_as_their_vectors_say
            time_gives_a_guest_more_to_say
            a_guest_that_does_not_read_stops_nobody
            a_stop_closes_the_room_at_once;
    }
    over_tls {
        handshakes:
            silent_handshakes_stop_nobody_and_end_at_their_deadline
            what_is_no_handshake_is_answered_by_an_alert_at_once
            a_handshake_with_a_lottery_without_tls_is_a_corrupt_packet
            clients_of_either_version_are_served
            a_client_that_comes_again_shakes_hands_faster
            a_stop_cuts_handshakes_and_says_its_end_to_those_who_are_owed;
        records:
            records_cut_into_single_bytes_are_read
            requests_and_records_need_not_have_the_same_bounds
            a_bad_record_ends_its_connection_with_an_alert
            whoever_ends_without_saying_so_gets_the_answers_to_what_was_whole
            whoever_says_its_end_still_gets_its_answers
            keys_may_change_in_the_middle_of_a_request;
        room_records:
            each_object_is_a_record_of_its_own
            an_object_of_1024_bytes_is_passed_on_in_one_record_and_one_more_is_refused
            each_refusal_is_a_record_of_its_own
            a_place_is_free_at_once_however_its_guest_left
            of_a_crowd_at_once_as_many_enter_as_there_are_places;
        identities:
            a_certificate_that_is_not_good_is_refused_in_the_handshake
            one_that_names_no_agency_is_good_where_none_is_needed
            a_certificate_holds_for_a_handshake_that_is_resumed
            what_one_service_gave_to_come_again_with_opens_no_other
            an_agency_speaks_for_no_other
            agencies_of_one_address_leave_its_places_to_others
            agencies_of_one_address_that_come_at_once_all_get_in
            an_agency_with_all_its_connections_is_told_that_the_office_is_busy;
    }
}

pub(crate) fn limits() -> Limits {
    Limits { workers: 2, ..Limits::default() }
}

/// So many connections for each address. All addresses of a test are this machine's own.
pub(crate) fn each_address(max: usize) -> AddressLimits {
    AddressLimits { max: Some(max), count_loopback: true, ..AddressLimits::default() }
}
