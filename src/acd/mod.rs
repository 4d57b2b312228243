//! The distributor: which waiting call goes to which agent.
//!
//! What all shards share is the [`Board`]: one word for each agent, one number for each queue and
//! shard; a bitmap of who may be idle is a hint in front of the words (`idle.rs`). What one shard owns is its [`Desk`]: its callers in line and the agents bound to them. The
//! protocol is "the agent in hand" (`hand.rs`); no operation takes a lock, and no operation spans two
//! shared words.
//!
//! ```text
//!   shard 0: Desk ──┐   show a head, take an agent, commit     ┌── Desk :shard 1
//!   callers in line ├──────────────► Board ◄───────────────────┤ callers in line
//!   tokens held   ──┘      words · heads · bells               └── tokens held
//! ```
//! # Progress
//!
//! | operation | class | why |
//! |---|---|---|
//! | [`Board`]'s readings, [`Board::set_counts`], [`Desk::position`], [`Desk::poll`] | wait-free | a bounded number of loads or stores |
//! | [`Desk::arriving`], [`Desk::arrived`], [`Desk::remove`] | wait-free | stores of one's own heads, one `fetch_sub` |
//! | [`Desk::set_flag`], [`Desk::back_off`], [`Board::close_help`] | wait-free but for the wakers | one `fetch_or` or swap |
//! | [`Desk::withdraw`] | wait-free, unless an assignment that nobody polled is undone | as `remove`; the undoing is a `release` |
//! | [`Desk::enter`], [`Desk::add`], [`Desk::move_to`], [`Desk::give_back`] | lock-free | a failed swap of an agent's word means that another operation on that agent was completed |
//! | [`Desk::answered`], [`Desk::release`], [`Desk::clear_flag`], [`Desk::end_wrap`], [`Desk::operator_release`], [`Desk::occupy`], [`Desk::vacate`], [`Desk::adopt_talking`], [`Desk::release_orphans`], [`Desk::turn`] | lock-free | the same |
//! | [`Board::set_roster`], [`Board::open_help`] | lock-free; one caller at a time for one agent, one queue | the same, agent by agent |
//! | an offer past a shard that does not run | non-blocking only by taking back | see below |
//!
//! Nothing is merely obstruction-free and nothing waits for another thread. A shard that does not run
//! serves nothing of its own; the agents in its hand are taken back by any other shard that has a
//! caller waiting, within [`HAND_LIMIT`] and two sweeps. Not covered: the allocator, the waker, and the
//! maps of one desk, whose cost grows with the logarithm of its callers.
//!
//! # How it is checked
//!
//! `model.rs`: every protocol step in loom, each model with a twin that must fail. `stop.rs`: a thread
//! stopped at each shared step of each operation. `conformity.rs`: the same answers as a sequential
//! matcher. `unsettled.rs`: what holds at every step with bells unanswered; no idle agent beside a
//! caller in the end. `fairness.rs`: the bound on the wait that a higher class can cause. `stress.rs`:
//! real threads, ten million operations and more.
//!
//! Knows no SIP, no plan, no client. Clauses: B1 (strategies), B7 (helpers), C4, C7.

mod agent;
mod atomic;
mod bell;
mod board;
mod desk;
mod hand;
mod idle;
mod key;
mod line;
mod order;
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
