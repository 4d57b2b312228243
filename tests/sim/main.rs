//! The deterministic simulator: real switches on one board, real bytes, virtual time, everything drawn from
//! a seed. Three phases: safety (faults on), liveness (faults off, all must come to rest in bounded
//! time), emptiness (all tables zero). Each seed runs twice and must leave the same trace.
//!
//! ```text
//! cargo test --test sim                                             fixed seeds
//! SIM_SEED=7 SIM_CALLS=500 SIM_FAULTS=loss,kill cargo test --test sim -- chosen
//! SIM_SEEDS=100 cargo test --test sim                               so many more of each kind
//! ```
//! `SIM_REPLAY=FILE cargo test --test sim -- replay --nocapture` feeds a recording of a server to the switches
//! and tells what becomes of it (see `recorded`). `SIM_FAULTS` is `all`, `none` or names (see `options`); `SIM_TROUBLES=n` stops after n troubles;
//! `SIM_SHOWN=n` shows more of the trace. `SIM_MUTANTS=all cargo test --test sim -- mutants` shows that the
//! checks bite (see `mutants`).

mod book;
mod callers;
mod checks;
#[path = "../it/bridge/company.rs"]
mod company;
mod mutants;
mod network;
mod office;
mod options;
mod phones;
#[cfg(feature = "shell")]
mod recorded;
mod reference;
mod shrink;
mod troubles;
mod world;

use options::{Fault, Options, all_but};
use shrink::prove;

/// So many seeds of one kind, and `SIM_SEEDS` more.
fn seeds(from: u64, count: u64, calls: u32, faults: impl IntoIterator<Item = Fault> + Clone) {
    let more = std::env::var("SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in from..from + count + more {
        prove(&Options::new(seed, calls, faults.clone()));
    }
}

#[test]
fn calls_on_a_good_network_keep_the_invariants() {
    seeds(1_000, 2, 60, []);
}

#[test]
fn callers_and_phones_without_manners_on_a_good_network() {
    use Fault::{Dial, HangUp, Late, Pause, Policy, Refuse, Twice};
    seeds(7_000, 1, 60, [Dial, HangUp, Late, Pause, Policy, Refuse, Twice]);
}

#[test]
fn people_phones_and_policies_change_at_every_point() {
    let network = [Fault::Loss, Fault::Copies, Fault::Reorder, Fault::Delay, Fault::Reset];
    let machine = [Fault::Kill, Fault::Panic, Fault::Stall, Fault::Timers, Fault::Orders];
    seeds(2_000, 2, 60, all_but(&[&network[..], &machine].concat()));
}

#[test]
fn a_network_that_loses_repeats_delays_and_breaks() {
    seeds(
        3_000,
        3,
        60,
        all_but(&[Fault::Kill, Fault::Panic, Fault::Stall, Fault::Timers, Fault::Orders]),
    );
}

#[test]
fn workers_stand_still_and_the_client_database_fails() {
    let faults = [Fault::Stall, Fault::Database, Fault::HangUp, Fault::Refuse, Fault::Dial];
    seeds(4_000, 2, 60, faults);
}

#[cfg(feature = "shell")]
#[test]
fn the_process_is_killed_and_workers_panic_again_and_again() {
    seeds(5_000, 2, 60, all_but(&[Fault::Timers, Fault::Orders]));
}

#[test]
fn supervisors_give_orders_on_a_good_network() {
    use Fault::{Dial, HangUp, Orders, Pause, Refuse, Roster};
    seeds(8_000, 1, 60, [Orders]);
    for seed in [8_100, 8_107] {
        seeds(seed, 1, 60, [Dial, HangUp, Orders, Pause, Refuse, Roster]);
    }
}

#[test]
fn supervisors_give_orders_in_the_middle_of_everything() {
    seeds(8_200, 1, 60, all_but(&[Fault::Timers]));
}

#[test]
fn ten_thousand_timers_at_one_instant() {
    seeds(6_000, 1, 20, [Fault::Timers]);
}

/// What the environment asks for; nothing if it asks for nothing.
#[test]
fn chosen() {
    let of = |name: &str| std::env::var(name).ok();
    let options = Options::from_environment(&of).unwrap_or_else(|wrong| panic!("{wrong}"));
    if let Some(options) = options {
        prove(&options);
    }
}
