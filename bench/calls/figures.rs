//! What a run gave, for eyes and for programs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use super::server::{Cpu, Records};

/// A span's distribution, microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: usize,
    /// Half are shorter.
    pub p50_us: u64,
    /// 99 of 100 are.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Spread {
    /// Of these.
    pub fn of(mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        let at = |part: usize| {
            let place = (spans.len() * part / 100).min(spans.len().saturating_sub(1));
            spans.get(place).map_or(0, |span| span.as_micros() as u64)
        };
        Self { count: spans.len(), p50_us: at(50), p99_us: at(99), max_us: at(100) }
    }
}

/// One run at one rate, or with so many callers.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Calls a second that were asked for; 0: as fast as agents come free.
    pub rate: u32,
    /// Calls that began.
    pub calls: u32,
    /// That ended as they should.
    pub done: u32,
    /// Final statuses of the others; 0: no answer.
    pub failed: String,
    /// Calls a second that the driver began.
    pub offered_per_second: f64,
    /// INVITE of the trunk → INVITE at a phone.
    pub ring: Spread,
    /// An agent's BYE → the next caller's INVITE at that phone.
    pub next: Spread,
    /// A bare thread in the same seconds: woken by a datagram, it sends one.
    pub bare: Spread,
    /// The server's CPU time, all threads, until the register had everything.
    pub cpu_us_per_call: u64,
    /// Its part in user mode.
    pub cpu_user_us_per_call: u64,
    /// The driver's own, both sides.
    pub driver_us_per_call: u64,
    /// Messages that the driver sent once more.
    pub repeated: u32,
    /// Messages that came once more.
    pub heard_again: u32,
    /// Records in the register that belong to this run, and how many of them are complete.
    pub records: u64,
    /// Answered according to the register.
    pub answered: u64,
    /// The server's memory (PSS) afterwards, bytes.
    pub memory_bytes: u64,
}

impl Figures {
    /// The server kept up: nothing failed, next to nothing was sent twice, first rings came before
    /// anybody would repeat an INVITE (T1), the driver kept its rate.
    pub fn held(&self) -> bool {
        let few = self.calls / 100;
        let soon = self.rate == 0 || self.ring.p99_us < 500_000;
        let kept_pace = self.rate == 0 || self.offered_per_second >= f64::from(self.rate) * 0.97;
        let whole = self.done == self.calls && self.records == u64::from(self.calls);
        whole && soon && kept_pace && self.repeated <= few
    }

    /// CPU of the server and of the driver.
    pub fn set_cpu(&mut self, server: Cpu, driver: Cpu) {
        let each = |us: u64| us / u64::from(self.calls.max(1));
        self.cpu_us_per_call = each(server.total_us());
        self.cpu_user_us_per_call = each(server.user_us);
        self.driver_us_per_call = each(driver.total_us());
    }

    /// What the register got.
    pub fn set_records(&mut self, before: Records, after: Records) {
        self.records = after.ended.min(after.explained) - before.ended;
        self.answered = after.answered - before.answered;
    }

    /// One line for eyes.
    pub fn line(&self) -> String {
        let spread = if self.rate == 0 { self.next } else { self.ring };
        let ms = |us: u64| us as f64 / 1_000.0;
        format!(
            "{:>6} {:>7} {:>7} {:>8.1} {:>5} {:>5} {:>8.2} {:>8.2} {:>8.2} {:>6.2} {:>6.2} {:>6} {:>5} {:>6} {:>7} {:>6.1} {}",
            self.rate,
            self.calls,
            self.done,
            self.offered_per_second,
            self.repeated,
            self.heard_again,
            ms(spread.p50_us),
            ms(spread.p99_us),
            ms(spread.max_us),
            ms(self.bare.p50_us),
            ms(self.bare.p99_us),
            self.cpu_us_per_call,
            self.cpu_user_us_per_call,
            self.driver_us_per_call,
            self.records,
            self.memory_bytes as f64 / f64::from(1 << 20),
            if self.held() { "held".to_owned() } else { format!("NOT held {}", self.failed) },
        )
    }
}

/// The line above [`Figures::line`].
pub fn heading(queue: bool) -> String {
    let what = if queue { "agent free → next caller's INVITE" } else { "INVITE → first ring" };
    format!(
        "{:>51}{what}, ms\n{:>6} {:>7} {:>7} {:>8} {:>5} {:>5} {:>8} {:>8} {:>8} {:>13} {:>6} {:>5} {:>6} {:>7} {:>6}",
        "",
        "rate",
        "calls",
        "done",
        "offered",
        "sent²",
        "got²",
        "p50",
        "p99",
        "max",
        "bare p50 p99",
        "CPU µs",
        "user",
        "driver",
        "records",
        "MiB"
    )
}

/// The machine in a line.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let built = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{model}, {cores} cores, Linux {}, {built} build of {}", kernel.trim(), revision())
}

fn revision() -> String {
    let done = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = done.map(|d| String::from_utf8_lossy(&d.stdout).trim().to_owned());
    text.ok().filter(|t| !t.is_empty()).unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
}
