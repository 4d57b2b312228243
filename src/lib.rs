#![doc = include_str!("ARCHITECTURE.md")]

pub mod call;
pub mod domain;
pub mod policy;
pub mod sip;
#[cfg(feature = "shell")]
pub mod store;
pub mod switch;
