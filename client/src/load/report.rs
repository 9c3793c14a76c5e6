//! What a load has measured: for a person, or as JSON.

use std::io::{self, Write};

use serde::Serialize;

use bolillero_protocol::words::counted;

use crate::connect::Records;
use crate::load::latency::Percentiles;
use crate::load::plan::Dialect;

/// What was sent, and how long it took. The names are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) dialect: Dialect,
    pub(super) agencies: u32,
    pub(super) window: usize,
    pub(super) bets: u64,
    pub(super) batches: u64,
    /// Of the batches' packets.
    pub(super) bytes: u64,
    /// From the first batch's sending to the last one's answer.
    pub(super) seconds: f64,
    pub(super) bets_per_second: f64,
    pub(super) batches_per_second: f64,
    pub(super) megabytes_per_second: f64,
    pub(super) connections_per_second: Option<f64>,
    /// Of TLS, where it was spoken, on all connections of the run.
    pub(super) handshakes: Option<Handshakes>,
    pub(super) latency_us: Percentiles,
    /// Of this program, in those seconds.
    pub(super) client_cpu_seconds: f64,
    /// From the first agency's ready to the last one's acknowledgement.
    pub(super) finish_seconds: Option<f64>,
    /// From the last agency's ready to the last one's winners.
    pub(super) draw_seconds: Option<f64>,
    pub(super) winners: Option<u64>,
}

/// How many handshakes were held.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Handshakes {
    /// With certificates.
    pub(super) full: u64,
    /// With what an earlier one had left.
    pub(super) resumed: u64,
}

impl Handshakes {
    /// One more is done.
    pub(super) fn note(&mut self, records: &Records) {
        *(if records.is_resumed() { &mut self.resumed } else { &mut self.full }) += 1;
    }
}

impl Report {
    /// Writes one line of JSON.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// Writes lines for a person.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { agencies, window, bets, batches, seconds, .. } = self;
        let mut line = |name: &str, text: String| writeln!(out, "{name:<13} {text}");
        let dialect = match self.dialect {
            Dialect::Session => "sessions",
            Dialect::Base => "opcodes 1 to 8",
            Dialect::ConnectionPerRequest => "opcodes 1 to 8, a connection for each request",
        };
        line("load", format!("{}, window {window}, {dialect}", counted(*agencies, "agency")))?;
        let [bets, batches] = [counted(*bets, "bet"), counted(*batches, "batch")];
        line("sent", format!("{bets} in {batches}, {} bytes", self.bytes))?;
        line(
            "time",
            format!("{seconds:.3} s, {:.3} s CPU of this client", self.client_cpu_seconds),
        )?;
        let (bets, batches) = (self.bets_per_second, self.batches_per_second);
        let megabytes = self.megabytes_per_second;
        line("speed", format!("{bets:.0} bets/s, {batches:.0} batches/s, {megabytes:.1} MB/s"))?;
        if let Some(connections) = self.connections_per_second {
            line("connections", format!("{connections:.0} /s"))?;
        }
        if let Some(Handshakes { full, resumed }) = self.handshakes {
            line("handshakes", format!("{full} full, {resumed} resumed"))?;
        }
        let Percentiles { p50, p99, p999, max } = self.latency_us;
        let latency =
            format!("p50 {p50:.0} µs, p99 {p99:.0} µs, p99.9 {p999:.0} µs, max {max:.0} µs");
        line("answers after", latency)?;
        if let (Some(finish), Some(draw)) = (self.finish_seconds, self.draw_seconds) {
            line("finish", format!("{finish:.3} s until all agencies were done"))?;
            line("draw", format!("{draw:.3} s until all winners were told"))?;
        }
        line("verified", self.verified())
    }

    fn verified(&self) -> String {
        let answers = match self.dialect {
            Dialect::Session => "receipts with their heads",
            Dialect::Base | Dialect::ConnectionPerRequest => "acknowledgements",
        };
        let batches = self.batches;
        match self.winners {
            Some(winners) => {
                format!("{batches} {answers}, {} of all agencies", counted(winners, "winner"))
            }
            None => format!("{batches} {answers}; the agencies are left open"),
        }
    }
}
