//! `telefonist demo`.

use std::path::Path;

use super::args::DemoArgs;
use super::context::Context;
use super::output::{Failure, Printed};
use crate::config::read;
use crate::demo::{DemoOptions, run};
use crate::telemetry;

pub(super) fn demo(context: &Context, args: DemoArgs) -> Result<Printed, Failure> {
    // What the demonstration says stands for the log; only what is wrong is logged.
    telemetry::start(false, "error");
    let options = DemoOptions {
        once: args.once,
        json: context.json,
        seed: args.seed,
        data: args.data,
        speed: args.speed,
        policy: args.policy.as_deref().map(policy).transpose()?,
    };
    let right = run(&options).map_err(|error| Failure::Start(error.to_string()))?;
    Ok(Printed { found: !right, ..Printed::said() })
}

fn policy(file: &Path) -> Result<String, Failure> {
    read(file).map_err(|problem| Failure::Start(problem.to_string()))
}
