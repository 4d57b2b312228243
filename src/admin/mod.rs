//! The command line: `telefonist serve|check|explain|…`.
//!
//! What concerns running calls is asked of the server over its control socket; what concerns the files
//! is done on the files, whether a server runs or not. Each command has `--json`; exit codes are 0
//! (ok), 1 (a problem was found, a command was refused), 2 (wrong usage, or the server cannot start).
//! Every change says who made it: the system's user.
//!
//! Owns texts and tables for eyes. Decides nothing: policy, store and server do.
// The shell: the wall clock, the terminal.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod args;
mod ask;
mod backup;
mod calls;
mod check;
mod clients;
mod context;
mod explain;
mod imports;
mod live;
mod orders;
mod output;
mod people;
mod recorder;
mod rehearse;
mod replay;
mod serve;
mod tar;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use context::Context;
use output::{Failure, Printed};

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    let context = Context::new(&arguments.common);
    let done = run(&context, arguments.command);
    match done {
        Ok(printed) => printed.print(context.json),
        Err(failure) => failure.print(context.json),
    }
}

/// Help and version, or what is wrong with the arguments: as JSON if that was asked for.
fn not_understood(error: &clap::Error) -> ExitCode {
    let as_json = std::env::args_os().any(|argument| argument == "--json");
    if as_json && error.use_stderr() {
        let text = error.render().to_string();
        return Failure::Usage(text.trim_start_matches("error: ").trim_end().into()).print(true);
    }
    // Nobody is left to hear that the output is gone.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn run(context: &Context, command: Command) -> Result<Printed, Failure> {
    match command {
        Command::Serve => serve::serve(context),
        Command::Demo(args) => rehearse::demo(context, args),
        Command::Check { folder, clauses: true } => check::matrix(context, folder),
        Command::Check { folder, clauses: false } => check::check(context, folder),
        Command::Explain(args) => explain::explain(context, &args),
        Command::Replay(args) => replay::replay(context, &args),
        Command::Reload => live::reload(context),
        Command::Import(args) => imports::import_command(context, &args),
        Command::Status => live::status(context),
        Command::Agents { watch } => live::agents(context, watch),
        Command::Queues { watch } => live::queues(context, watch),
        Command::Calls(args) => calls::calls(context, &args),
        Command::Show { call } => calls::show(context, &call),
        Command::Callbacks { action } => calls::callbacks(context, action),
        Command::Events(args) => calls::events(context, &args),
        Command::Login { person } => live::login(context, person),
        Command::Logout { person } => live::logout(context, person),
        Command::Pause { person, reason } => live::pause(context, person, reason),
        Command::Resume { person } => live::resume(context, person),
        Command::Release { person } => live::release(context, person),
        Command::Agent { action } => orders::agent(context, action),
        Command::Queue { action } => orders::queue(context, action),
        Command::Call { action } => orders::call(context, action),
        Command::Plan { action } => orders::plan(context, action),
        Command::Hangup { call } => live::hangup(context, &call),
        Command::Absence { action } => people::absence(context, action),
        Command::Client { action } => clients::client(context, action),
        Command::People { action } => people::people(context, action),
        Command::Recorder { action } => recorder::recorder(context, action),
        Command::Backup { file } => backup::backup(context, &file),
    }
}
