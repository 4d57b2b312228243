//! The distributor: which waiting call goes to which agent.
//!
//! What all shards share is the [`Board`]: one word for each agent, one number for each queue and
//! shard. What one shard owns is its [`Desk`]: its callers in line and the agents bound to them. The
//! protocol is "the agent in hand" (`hand.rs`); no operation takes a lock, and no operation spans two
//! shared words.
//!
//! ```text
//!   shard 0: Desk ──┐   show a head, take an agent, commit     ┌── Desk :shard 1
//!   callers in line ├──────────────► Board ◄───────────────────┤ callers in line
//!   tokens held   ──┘      words · heads · bells               └── tokens held
//! ```
//! Progress, by operation. *Wait-free*: showing a head, withdrawing, setting a flag, ringing, reading.
//! *Lock-free*: taking, placing, committing, releasing an agent, clearing a flag, a change of roster: a
//! retry means that somebody else got on. *Neither*: a shard that does not run serves nothing of its
//! own; the agents in its hand are taken back by any other shard that has a caller waiting, within
//! [`HAND_LIMIT`] and two sweeps. Not covered: the allocator and the waker.
//!
//! Knows no SIP, no plan, no client. Clauses: B1 (strategies), B7 (helpers), C4, C7.

mod agent;
mod atomic;
mod bell;
mod board;
mod desk;
mod hand;
mod key;
mod line;
mod roster;
mod strategy;
mod sweep;
mod weak;
mod word;

pub use board::{AgentView, Board, BoardLimits, CREDIT_MAX, QueueView, SHARDS_MAX, Tallies, Wake};
pub use desk::{Ask, Assignment, Desk, QueueFull, RING_MAX};
pub use hand::After;
pub use roster::{GROUPS_MAX, RosterError, Serve};
pub use strategy::{Counts, Strategy};
pub use sweep::{HAND_LIMIT, SWEEP_EVERY};
pub use word::{AgentState, Flags, Token};

#[cfg(all(test, not(loom)))]
mod choices;
#[cfg(all(test, not(loom)))]
mod conformity;
#[cfg(all(test, not(loom)))]
mod fairness;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod reference;
#[cfg(all(test, not(loom)))]
mod stop;
#[cfg(all(test, not(loom)))]
mod stress;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod unsettled;
