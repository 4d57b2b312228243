//! What is counted, and its Prometheus text. No label ever names a call, a number or a person.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::switch::{Event, What};

/// One word that tells apart what is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    kind: Cow<'static, str>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WorkerLabel {
    worker: u8,
}

/// All counters of the process; cheap to clone through an `Arc`.
pub struct Metrics {
    registry: Registry,
    /// Messages taken from sockets: `udp`, `tcp`.
    pub messages: Family<Kind, Counter>,
    /// Messages not taken on: `garbage`, `rejected`, `inbox_full`, `too_large`.
    pub refused: Family<Kind, Counter>,
    /// Sends that failed: `udp_would_block`, `udp_error`, `tcp_queue_full`, `tcp_gone`, `connect`.
    pub send_failed: Family<Kind, Counter>,
    /// Keep-alives answered or swallowed: `udp`, `tcp`.
    pub keep_alives: Family<Kind, Counter>,
    /// TCP connections open now.
    pub connections: Gauge,
    /// TCP connections not taken, or ended by us: `total`, `per_source`, `idle`, `slow`, `framing`.
    pub connections_refused: Family<Kind, Counter>,
    /// Turns of the workers.
    pub turns: Family<WorkerLabel, Counter>,
    /// How long a turn took, seconds: from its first input to its last output.
    pub turn_seconds: Histogram,
    /// Workers that panicked and were built anew.
    pub panics: Counter,
    /// Calls that came: `inbound`, `outbound`, `internal`, `pass`.
    pub calls: Family<Kind, Counter>,
    /// Calls that ended, by outcome.
    pub calls_ended: Family<Kind, Counter>,
    /// Offers that ended, by result.
    pub offers: Family<Kind, Counter>,
    /// Callbacks promised.
    pub promises: Counter,
    /// Promises whose owner could not be told.
    pub promises_untold: Counter,
    /// Journal lines that wait for the disk, by worker.
    pub journal_backlog: Family<WorkerLabel, Gauge>,
    /// Age of the client index, seconds; 0 while it follows, -1 before the first reading.
    pub index_age_seconds: Gauge,
    /// Reloads: `done`, `refused`.
    pub reloads: Family<Kind, Counter>,
    /// What the proof of the policy finds wrong with the people of today.
    pub policy_alarms: Gauge,
    /// SO_RCVBUF as the kernel gave it, bytes: the smallest of all sockets.
    pub receive_buffer_bytes: Gauge,
}

impl Metrics {
    /// All at zero, registered under `telefonist_…`.
    pub fn new() -> Self {
        let buckets = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("telefonist"),
            messages: Family::default(),
            refused: Family::default(),
            send_failed: Family::default(),
            keep_alives: Family::default(),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            turns: Family::default(),
            turn_seconds: Histogram::new(buckets),
            panics: Counter::default(),
            calls: Family::default(),
            calls_ended: Family::default(),
            offers: Family::default(),
            promises: Counter::default(),
            promises_untold: Counter::default(),
            journal_backlog: Family::default(),
            index_age_seconds: Gauge::default(),
            reloads: Family::default(),
            policy_alarms: Gauge::default(),
            receive_buffer_bytes: Gauge::default(),
        };
        metrics.register_wire();
        metrics.register_work();
        metrics
    }

    fn register_wire(&mut self) {
        let r = &mut self.registry;
        r.register("messages", "SIP messages taken from sockets", self.messages.clone());
        r.register("messages_refused", "SIP messages not taken on", self.refused.clone());
        r.register("send_failed", "Messages that could not be sent", self.send_failed.clone());
        r.register("keep_alives", "CRLF keep-alives", self.keep_alives.clone());
        r.register("connections", "TCP connections open", self.connections.clone());
        let ended = self.connections_refused.clone();
        r.register("connections_refused", "TCP connections refused or ended by us", ended);
        let buffer = self.receive_buffer_bytes.clone();
        r.register("receive_buffer_bytes", "Smallest SO_RCVBUF got", buffer);
    }

    fn register_work(&mut self) {
        let r = &mut self.registry;
        r.register("turns", "Turns of the workers", self.turns.clone());
        r.register("turn_seconds", "Length of a turn", self.turn_seconds.clone());
        r.register("panics", "Workers built anew after a panic", self.panics.clone());
        r.register("calls", "Calls that came", self.calls.clone());
        r.register("calls_ended", "Calls that ended, by outcome", self.calls_ended.clone());
        r.register("offers", "Offers that ended, by result", self.offers.clone());
        r.register("promises", "Callbacks promised", self.promises.clone());
        let untold = self.promises_untold.clone();
        r.register("promises_untold", "Promises whose owner could not be told", untold);
        let backlog = self.journal_backlog.clone();
        r.register("journal_backlog_lines", "Journal lines that wait for the disk", backlog);
        let age = self.index_age_seconds.clone();
        r.register("index_age_seconds", "Age of the client index", age);
        r.register("reloads", "Reloads", self.reloads.clone());
        let alarms = self.policy_alarms.clone();
        r.register("policy_alarms", "Failures of the policy with the people of today", alarms);
    }

    /// Counts what the journal says.
    pub fn count(&self, events: &[Event]) {
        for event in events {
            match &event.what {
                What::CallArrived { direction, .. } => one(&self.calls, word(direction)),
                What::CallEnded { outcome, .. } => one(&self.calls_ended, word(outcome)),
                What::OfferEnded { result, .. } => one(&self.offers, word(result)),
                What::Promised { .. } => {
                    self.promises.inc();
                }
                _ => {}
            }
        }
    }

    /// One turn of `worker` that took so long.
    pub fn turn(&self, worker: u8, seconds: f64) {
        self.turns.get_or_create(&WorkerLabel { worker }).inc();
        self.turn_seconds.observe(seconds);
    }

    /// Journal lines of `worker` that wait for the disk.
    pub fn backlog(&self, worker: u8, lines: usize) {
        let lines = i64::try_from(lines).unwrap_or(i64::MAX);
        self.journal_backlog.get_or_create(&WorkerLabel { worker }).set(lines);
    }

    /// A UDP socket got this receive buffer, bytes.
    pub fn receive_buffer(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let known = self.receive_buffer_bytes.get();
        self.receive_buffer_bytes.set(if known == 0 { bytes } else { known.min(bytes) });
    }

    /// Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// One more of `kind`.
pub fn one(family: &Family<Kind, Counter>, kind: impl Into<Cow<'static, str>>) {
    family.get_or_create(&Kind { kind: kind.into() }).inc();
}

/// The word that the journal uses.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_every_counter_with_the_prefix() {
        let metrics = Metrics::new();
        one(&metrics.refused, "garbage");
        metrics.turn(1, 0.002);
        let text = metrics.text();
        assert!(text.contains("telefonist_messages_refused_total{kind=\"garbage\"} 1"), "{text}");
        assert!(text.contains("telefonist_turns_total{worker=\"1\"} 1"), "{text}");
        assert!(text.contains("telefonist_turn_seconds_bucket"), "{text}");
    }
}
