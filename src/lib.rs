#![doc = include_str!("ARCHITECTURE.md")]

pub mod call;
#[cfg(feature = "shell")]
pub mod config;
pub mod domain;
pub mod policy;
pub mod registrar;
pub mod sip;
#[cfg(feature = "shell")]
pub mod store;
pub mod switch;
#[cfg(feature = "shell")]
pub mod telemetry;
pub mod transaction;
#[cfg(feature = "shell")]
pub mod worker;
