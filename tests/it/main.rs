//! The integration tests: one binary, a module for each subject.

mod bridge;
#[cfg(feature = "shell")]
mod register_journal;
#[cfg(feature = "shell")]
mod register_kill;
#[cfg(feature = "shell")]
mod register_projection;
#[cfg(feature = "shell")]
mod register_reading;
#[cfg(feature = "shell")]
mod register_scenario;
#[cfg(feature = "shell")]
mod register_speed;
mod torture;
