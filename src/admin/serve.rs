//! `telefonist serve`.

use std::panic;
use std::path::Path;

use serde_json::Value;

use super::context::Context;
use super::output::{Failure, Printed};
use crate::config::{LogFormat, read, render};
use crate::server::{Server, StartOptions, compile, warn_of};
use crate::telemetry;

pub(super) fn serve(context: &Context) -> Result<Printed, Failure> {
    let compiled = compile(&context.config_dir)
        .map_err(|problems| Failure::Start(render(&problems, |file| read(Path::new(file)).ok())))?;
    let shell = &compiled.config.shell;
    telemetry::start(shell.log_format == LogFormat::Json, &shell.log_level);
    tell_of_panics();
    without_huge_pages();
    for problem in &compiled.config.warnings {
        tracing::warn!(%problem, "configuration");
    }
    warn_of(&compiled.policy.warnings, "the policy is probably not what is meant");
    let options = StartOptions {
        config_dir: context.config_dir.clone(),
        state_dir: context.state.clone(),
        wall_ahead: jiff::SignedDuration::ZERO,
    };
    Server::start_compiled(options, compiled)?.run()?;
    Ok(Printed::new("", Value::Null))
}

/// The first touch of a huge page clears two megabytes while a caller waits, for a process that grows
/// a little with each call.
fn without_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory comes in huge pages where the system likes it");
    }
}

/// A panic's place belongs into the log, in its format.
fn tell_of_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("?").to_string();
        let why = info.payload_as_str().unwrap_or("?");
        tracing::error!(thread, place, why, "panic");
    }));
}
