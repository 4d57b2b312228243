//! Runs a seed twice, and makes a failing one as small as it can be: fewer calls, fewer faults, a shorter
//! script of troubles.

#![expect(clippy::disallowed_types, reason = "the speed is told in real seconds")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::options::Options;
use super::world::{Failure, Sim};

/// Runs that a shrinker may take.
const TRIES_MAX: u32 = 120;

/// The trace's digest and how many calls came; or what went wrong.
pub fn run(options: &Options) -> Result<(u64, u32), String> {
    let ended = catch_unwind(AssertUnwindSafe(|| Sim::new(options).run()));
    ended.map_err(|cause| match cause.downcast::<Failure>() {
        Ok(failure) => failure.0,
        Err(other) => {
            let text = other.downcast_ref::<String>().cloned();
            let text = text.or_else(|| other.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            format!("the core panics: {}", text.unwrap_or_default())
        }
    })
}

/// Twice, with one trace. Panics with everything that is needed to see it again.
pub fn prove(options: &Options) {
    let began = Instant::now();
    let first = run(options);
    let spent = began.elapsed().as_secs_f64();
    if is_quick() {
        return first
            .map(drop)
            .unwrap_or_else(|what| panic!("{what}\n\nAgain: {}", options.command()));
    }
    let again = run(options);
    match (first, again) {
        (Ok((first, calls)), Ok((again, _))) => {
            assert!(first == again, "the same seed leaves two traces: {}", options.command());
            println!("{}: {calls} calls, {:.0}/s", options.command(), f64::from(calls) / spent);
        }
        (Err(first), _) => report(options, &first),
        (Ok(_), Err(again)) => {
            panic!("fails only at the second run: {}\n{again}", options.command())
        }
    }
}

/// `SIM_QUICK=1`: once, and nothing is shrunk.
fn is_quick() -> bool {
    std::env::var("SIM_QUICK").is_ok_and(|asked| asked == "1")
}

fn report(options: &Options, what: &str) -> ! {
    let same = |again: &str| kind(again) == kind(what);
    let smallest = shrink(options, &|options| run(options).is_err_and(|again| same(&again)));
    let last = run(&smallest).err().unwrap_or_default();
    panic!(
        "{what}\n\n{options:?}\nAgain: {}\n\nThe smallest that fails:\n{last}\nAgain: {}",
        options.command(),
        smallest.command()
    );
}

/// Which check failed: another fault found on the way is not a smaller form of this one.
fn kind(failure: &str) -> &str {
    let last = failure.lines().last().unwrap_or_default();
    let what = last.split_once("): ").map_or(last, |(_, what)| what);
    what.split(':').next().unwrap_or_default()
}

/// The smallest options near `options` for which `fails` holds; it holds for `options`.
fn shrink(options: &Options, fails: &dyn Fn(&Options) -> bool) -> Options {
    let tries = std::cell::Cell::new(0);
    let fails = |options: &Options| {
        tries.set(tries.get() + 1);
        tries.get() <= TRIES_MAX && fails(options)
    };
    let mut best = options.clone();
    let known = best.troubles.min(4_096);
    if (Options { troubles: known, ..best.clone() }) != best {
        let bounded = Options { troubles: known, ..best.clone() };
        best = if fails(&bounded) { bounded } else { best };
    }
    loop {
        let before = best.clone();
        best.calls = least(best.calls, &|calls| fails(&Options { calls, ..best.clone() }));
        best.troubles =
            least(best.troubles, &|troubles| fails(&Options { troubles, ..best.clone() }));
        for fault in best.faults.clone() {
            let mut fewer = best.clone();
            fewer.faults.remove(&fault);
            if fails(&fewer) {
                best = fewer;
            }
        }
        if best == before || tries.get() > TRIES_MAX {
            return best;
        }
    }
}

/// The smallest number that fails, if failures were in order; a failing one in any case.
fn least(most: u32, fails: &dyn Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if fails(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

#[test]
fn a_failing_run_is_cut_down_to_what_it_needs() {
    use super::options::{Fault, all_but};
    let options = Options::new(1, 500, all_but(&[]));
    let fails = |o: &Options| o.calls >= 17 && o.troubles >= 5 && o.faults.contains(&Fault::Kill);
    let smallest = shrink(&options, &fails);
    let expected = Options { troubles: 5, ..Options::new(1, 17, [Fault::Kill]) };
    assert_eq!(smallest, expected);
}
