//! What the server says about itself: log lines, Prometheus' text, `/health` and `/ready`.
//!
//! Knows no socket of SIP and no call: the other rooms of the shell count here. Numbers and names of
//! people appear in log lines at DEBUG only, and never in a metric.
// The shell: a clock for rates, a lock that no call waits for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod http;
mod logs;
mod metrics;

pub use http::{Probe, serve};
pub use logs::{RateLimit, start, write_held};
pub use metrics::{Kind, Metrics, WorkerLabel, one};
