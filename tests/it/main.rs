//! The integration tests: one binary, a module for each subject.

mod bridge;
#[cfg(feature = "shell")]
mod cli_check;
#[cfg(feature = "shell")]
mod cli_disk;
#[cfg(feature = "shell")]
mod cli_files;
#[cfg(feature = "shell")]
mod cli_net;
#[cfg(feature = "shell")]
mod cli_orders;
#[cfg(feature = "shell")]
mod cli_output;
#[cfg(feature = "shell")]
mod cli_policy;
#[cfg(feature = "shell")]
mod cli_recorder;
#[cfg(feature = "shell")]
mod cli_replay;
#[cfg(feature = "shell")]
mod cli_scene;
#[cfg(feature = "shell")]
mod cli_serve;
#[cfg(feature = "shell")]
mod demo;
mod policy_cases;
mod policy_hostile;
mod policy_names;
#[cfg(feature = "shell")]
mod policy_sample;
#[cfg(feature = "shell")]
mod readme;
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
#[cfg(feature = "shell")]
mod store_commands;
#[cfg(feature = "shell")]
mod store_follow;
#[cfg(feature = "shell")]
mod store_import;
#[cfg(feature = "shell")]
mod store_many;
#[cfg(feature = "shell")]
mod store_sample;
#[cfg(feature = "shell")]
mod store_scene;
mod tidy;
mod torture;
#[cfg(feature = "shell")]
mod xlsx;
