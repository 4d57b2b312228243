//! The core as one state machine per worker.

pub use crate::call::{
    AgentChange, ClientRef, Direction, Event, OfferResult, Outcome, Party, What,
};
