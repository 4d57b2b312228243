//! How long journal and register take for 10,000 calls (300 in a debug build): printed, so that the
//! measurement cannot rot. `cargo test --release --test it register_speed -- --nocapture`.
// Files have an age and work takes time: this is about the shell.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::time::Instant;

use telefonist::store::journal::{State as Holds, restore};
use telefonist::store::register::CallFilter;

use crate::register_scenario::*;

/// Debug builds take thirty times as long for each.
const CALLS: u32 = if cfg!(debug_assertions) { 300 } else { 10_000 };

/// CPU time of this thread, nanoseconds: what others do on the machine must not count.
fn cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (wall, cpu) = (Instant::now(), cpu_ns());
    let done = work();
    let each = |ns: f64| ns / 1e3 / f64::from(CALLS);
    let (wall, cpu) = (each(wall.elapsed().as_nanos() as f64), each((cpu_ns() - cpu) as f64));
    println!("{what}: {cpu:.1} µs of CPU per call of 10 events ({wall:.1} µs by the clock)");
    done
}

#[test]
fn thousands_of_calls_are_written_restored_and_projected() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    let calls: Vec<_> = (0..CALLS).map(|n| whole_call(key(n), i64::from(n) * 10)).collect();
    timed("written, a turn for each event", || {
        calls.iter().flatten().for_each(|e| writer.append(std::slice::from_ref(e)));
    });
    let mut holds = Holds::default();
    timed("kept for checkpoints", || calls.iter().flatten().for_each(|e| holds.apply(e)));
    let restored = timed("restored", || restore(&state.journal()).expect("restored"));
    assert!(restored.state.calls.is_empty() && restored.lines >= u64::from(CALLS) * 10);
    let mut projector = state.projector();
    let progress = timed("projected in batches", || projector.catch_up().expect("projected"));
    assert!(progress.lines > u64::from(CALLS) * 10 && progress.events > u64::from(CALLS) * 8);
    let register = state.project();
    let rows = timed("listed", || {
        let filter = CallFilter { limit: Some(CALLS), ..CallFilter::default() };
        register.calls(&filter).expect("calls")
    });
    assert_eq!(rows.len(), CALLS as usize);
    timed("100 listed by number, of so many", || {
        let number = Some("+4930231250".into());
        register.calls(&CallFilter { number, ..CallFilter::default() }).expect("calls")
    });
}
