//! The call register, promised callbacks and the journal's events: on the files, server or not.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::args::{CallbackAction, CallsArgs, EventsArgs};
use super::ask::Line;
use super::context::Context;
use super::live;
use super::output::{Failure, Printed, say, warn};
use crate::server::{Ask, StateFolder};
use crate::store::callbacks::Callback;
use crate::store::journal::{Begin, Follower, Journal, Source};
use crate::store::register::{
    CALLS_LISTED, CallFilter, Projector, Register, callbacks_table, calls_table, story_text,
};
use crate::switch::{Event, What};

/// Events are looked for this often.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// A filter or a program gets so many calls unless it asks for more: years of a busy company.
const CALLS_MAX: u32 = 1_000_000;
/// Events taken at once.
const EVENTS_PER_STEP: usize = 1_000;

pub(super) fn calls(context: &Context, args: &CallsArgs) -> Result<Printed, Failure> {
    if args.live {
        return live::live_calls(context);
    }
    let outcome = match &args.outcome {
        None => None,
        Some(word) => {
            let parsed = serde_json::from_value(Value::String(word.clone()));
            Some(parsed.map_err(|_| Failure::Usage(format!("`{word}` is no outcome")))?)
        }
    };
    let mut filter = CallFilter {
        since: args.since.as_deref().map(|t| context.instant(t)).transpose()?,
        until: args.until.as_deref().map(|t| context.instant(t)).transpose()?,
        number: args.number.clone(),
        client: args.client.clone(),
        outcome,
        limit: None,
    };
    let is_plain = !context.json && filter == CallFilter::default();
    let usual = if is_plain { CALLS_LISTED } else { CALLS_MAX };
    let limit = args.limit.unwrap_or(usual);
    // One more tells whether there are more.
    filter.limit = Some(limit.saturating_add(1));
    let mut calls = register(context)?.calls(&filter)?;
    let beyond = calls.len().saturating_sub(limit as usize);
    calls.drain(..beyond);
    let cut = (beyond > 0).then(|| format!("the last {limit} calls of more: --limit N"));
    let shown = calls_table(&calls, &TimeZone::system());
    Ok(Printed::new(shown, json!(calls)).warning(cut))
}

pub(super) fn show(context: &Context, call: &str) -> Result<Printed, Failure> {
    let register = register(context)?;
    let key = register.find_call(call)?;
    let story = register.show(key)?;
    let story = story.ok_or_else(|| Failure::Refused(format!("no call {key}")))?;
    Ok(Printed::new(story_text(&story, &TimeZone::system()), json!(story)))
}

pub(super) fn callbacks(
    context: &Context,
    action: Option<CallbackAction>,
) -> Result<Printed, Failure> {
    match action.unwrap_or(CallbackAction::List { all: false }) {
        CallbackAction::List { all } => {
            let list = register(context)?.callbacks(!all)?;
            Ok(Printed::new(callbacks_table(&list, &TimeZone::system()), json!(list)))
        }
        CallbackAction::Done { callback, note } => {
            change(context, &callback, |c| c.done(context.at, &note, &context.by))
        }
        CallbackAction::Retry { callback, note } => {
            change(context, &callback, |c| c.tried(context.at, &note, &context.by))
        }
    }
}

/// Checks a change against the register, then writes it into the journal: the server's, or our own
/// if none runs.
fn change(
    context: &Context,
    callback: &str,
    event: impl Fn(&Callback) -> Result<Event, crate::store::StoreError>,
) -> Result<Printed, Failure> {
    let found = register(context)?.callback(callback)?;
    let event = event(&found)?;
    let What::Callback { call, change, .. } = event.what.clone() else {
        return Err(Failure::Refused("this is no change of a callback".to_string()));
    };
    match Line::open(context) {
        Some(mut line) => {
            line.ask(&Ask::Callback { call, change })?;
        }
        None => write_alone(&context.folder(), &event)?,
    }
    let id = found.id;
    Ok(Printed::new(
        format!("callback {id}: written down"),
        json!({ "callback": id, "call": call }),
    ))
}

fn write_alone(folder: &StateFolder, event: &Event) -> Result<(), Failure> {
    let refused = |e: &dyn std::fmt::Display| Failure::Refused(e.to_string());
    let journal = Journal::open(&folder.journal(), event.at).map_err(|e| refused(&e))?;
    let mut writer = journal.writer(Source::Shell, event.at, &[]);
    writer.append(std::slice::from_ref(event));
    if let Some(why) = writer.health().failing {
        return Err(Failure::Refused(format!("the journal cannot be written: {why}")));
    }
    Projector::new(&folder.register_db(), &folder.journal()).catch_up()?;
    Ok(())
}

pub(super) fn events(context: &Context, args: &EventsArgs) -> Result<Printed, Failure> {
    let begin = match (&args.since, args.follow) {
        (Some(since), _) => Begin::At(context.instant(since)?),
        (None, true) => Begin::Now,
        (None, false) => Begin::Oldest,
    };
    if !context.folder().root().exists() {
        return Err(never_ran(context.folder().root()));
    }
    let journal = context.folder().journal();
    let refused = |e| Failure::Refused(format!("{}: {e}", journal.display()));
    let mut follower = Follower::new(&journal, begin).map_err(refused)?;
    loop {
        let found = follower.step(EVENTS_PER_STEP)?;
        let last = found.is_empty();
        for event in found {
            if !say(&format!("{}\n", event.json))? {
                return Ok(Printed::said());
            }
        }
        if last && !args.follow {
            return Ok(Printed::said());
        }
        if last {
            std::thread::park_timeout(FOLLOW_EVERY);
        }
    }
}

/// The register, with what the journal says beyond it: a server may not run, or not have come to it.
pub(super) fn register(context: &Context) -> Result<Register, Failure> {
    let folder = context.folder();
    let mut behind = None;
    if folder.journal().exists() {
        // Where we may not write, the register as it is must do.
        let done = Projector::new(&folder.register_db(), &folder.journal()).catch_up();
        behind = done.err().map(|e| format!("the register is behind the journal: {e}"));
    }
    for why in told_behind(context).unwrap_or_else(|| behind.into_iter().collect()) {
        warn(&format!("the newest calls are not shown: {why}"));
    }
    let file = folder.register_db();
    if std::fs::metadata(&file).is_err_and(|e| e.kind() == ErrorKind::NotFound) {
        return Err(never_ran(&file));
    }
    Ok(Register::read(&file)?)
}

/// Why the server says that the register lacks calls. `None`: nobody answers.
fn told_behind(context: &Context) -> Option<Vec<String>> {
    let mut status = Line::open(context)?.ask(&Ask::Status).ok()?;
    serde_json::from_value(status["register_behind"].take()).ok()
}

fn never_ran(missing: &Path) -> Failure {
    let missing = missing.display();
    Failure::Refused(format!(
        "{missing}: not there; no server has run in this folder (--state DIR)"
    ))
}
