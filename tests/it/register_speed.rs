//! How long journal and register take for 10,000 calls (300 in a debug build): printed, so that the
//! measurement cannot rot. `cargo test --release --test it register_speed -- --nocapture`.
// Files have an age and work takes time: this is about the shell.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use telefonist::store::journal::{State as Holds, restore};
use telefonist::store::register::CallFilter;

use crate::register_scenario::*;

/// Debug builds take thirty times as long for each.
const CALLS: u32 = if cfg!(debug_assertions) { 300 } else { 10_000 };

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    let took: Duration = begin.elapsed();
    let each = took.as_secs_f64() * 1e6 / f64::from(CALLS);
    println!("{what}: {each:.1} µs per call of 10 events ({took:.0?} for {CALLS})");
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
    assert!(progress.events > u64::from(CALLS) * 10);
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
