//! The core as one state machine per worker.

mod io;

pub use crate::call::{
    AgentChange, CallbackChange, ClientRef, Direction, Event, OfferResult, Outcome, Party, What,
};
pub use io::{Addressee, Command, Identified, Input, Mail, Output, Promise, Refusal};
