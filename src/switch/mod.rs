//! The core as one state machine per worker.
mod event;
pub use event::{AgentChange, ClientRef, Direction, Event, OfferResult, Outcome, Party, What};
