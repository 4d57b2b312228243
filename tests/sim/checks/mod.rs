//! The invariants of the architecture, a file each. What a simulator cannot judge stands here with what
//! proves it instead:
//!
//! | invariant | proven by |
//! |---|---|
//! | I9 the cost of an assignment does not grow with the waiting | `bench/board.rs`, run small by `cargo test` |
//! | I10 media never delays signalling | there is no media here yet: SDP passes, media is direct |
//! | I17 no path holds two locks | `tests/it/tidy.rs`: no lock below the shell line; the board has none |
//! | I18, "reading never slows routing" | snapshots behind `arc-swap`; the rest of I18 is `i18_cost` |
//! | I20, figures of the register | `tests/it/register_projection.rs`; order and lengths of queues are `i20_order` |

mod b07_help;
mod i01_one_agent;
mod i02_one_offer;
mod i03_reservations;
mod i04_dialogs;
mod i05_outlived;
mod i06_idle_beside_waiting;
mod i07_plans_end;
mod i08_owners;
mod i11_busy;
mod i12_timeouts;
mod i13_wrap_up;
mod i14_refusals;
mod i15_once;
mod i16_commit;
mod i18_cost;
mod i19_reload;
mod i20_order;
mod policy;

use std::collections::BTreeMap;

use super::world::*;

/// Nothing, or what is wrong.
pub type Found = Result<(), String>;

/// What a turn was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Wake,
    Packet,
    /// A policy came.
    Policy,
    Other,
}

impl Kind {
    pub fn of(input: &Input) -> Self {
        match input {
            Input::Wake => Kind::Wake,
            Input::Packet { .. } => Kind::Packet,
            Input::Policy(_) => Kind::Policy,
            _ => Kind::Other,
        }
    }
}

/// One invariant.
#[expect(unused_variables, reason = "each check looks at what it needs")]
pub trait Check {
    fn name(&self) -> &'static str;
    /// A worker writes a line; the book does not know it yet.
    fn event(&mut self, sim: &Sim, shard: usize, what: &What) -> Found {
        Ok(())
    }
    /// The book knows it.
    fn after(&mut self, sim: &Sim, shard: usize, what: &What) -> Found {
        Ok(())
    }
    /// A worker has made a turn, with so many outputs.
    fn turned(&mut self, sim: &Sim, shard: usize, kind: Kind, outputs: usize) -> Found {
        Ok(())
    }
    /// A phone has heard a request, and has done what it does then.
    fn heard(&mut self, sim: &Sim, at: SocketAddr, message: &Message) -> Found {
        Ok(())
    }
    /// Nothing is left to do at this instant.
    fn step(&mut self, sim: &Sim) -> Found {
        Ok(())
    }
    /// Everything must be over.
    fn over(&mut self, sim: &Sim) -> Found {
        Ok(())
    }
}

pub fn all() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(i01_one_agent::OneAgent),
        Box::new(i02_one_offer::OneOffer::default()),
        Box::new(i03_reservations::Reservations::default()),
        Box::new(i04_dialogs::Dialogs),
        Box::new(i05_outlived::Outlived),
        Box::new(i06_idle_beside_waiting::IdleBesideWaiting::default()),
        Box::new(i07_plans_end::PlansEnd),
        Box::new(i08_owners::Owners),
        Box::new(i11_busy::Busy::default()),
        Box::new(i12_timeouts::Timeouts),
        Box::new(i13_wrap_up::WrapUp),
        Box::new(i14_refusals::Refusals),
        Box::new(i15_once::Once),
        Box::new(i16_commit::Commit),
        Box::new(i18_cost::Cost),
        Box::new(i19_reload::Reload::default()),
        Box::new(i20_order::Order),
        Box::new(b07_help::GroupsHelp::default()),
        Box::new(policy::Paper::default()),
    ]
}

/// Messages or workers may be late, or phones gone.
pub fn is_rough(faults: &Faults) -> bool {
    use Fault::{Delay, Elsewhere, Kill, Loss, Panic, Reorder, Reset, Silent, Stall, Vanish};
    let rough = [Delay, Elsewhere, Kill, Loss, Panic, Reorder, Reset, Silent, Stall, Vanish];
    rough.iter().any(|fault| faults.contains(fault))
}

/// `what` unless it holds.
pub fn must(holds: bool, what: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(what()) }
}

/// How long each thing that should pass has lasted.
pub struct Lasting<K: Ord>(BTreeMap<K, Moment>);

impl<K: Ord> Default for Lasting<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Lasting<K> {
    /// Those of `now` that have lasted for longer than `most`.
    pub fn look(&mut self, now: Moment, seen: Vec<K>, most: Duration) -> Option<K> {
        let before = std::mem::take(&mut self.0);
        for key in seen {
            let since = before.get(&key).copied().unwrap_or(now);
            if now.since(since) > most {
                return Some(key);
            }
            self.0.insert(key, since);
        }
        None
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
