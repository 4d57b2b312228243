//! Calls: where a plan meets dialogs. Legs, offers, bridging, endings, and what is written of them.

mod event;

pub use event::{
    AgentChange, CallbackChange, ClientRef, Direction, Event, OfferResult, Outcome, Party, What,
};
