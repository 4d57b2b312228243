//! What is asked of the running server: status, agents, queues, people's states, hanging up.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;

use super::ask::{Line, ask, nobody, switch};
use super::context::Context;
use super::output::{Failure, Printed, cell, place, plain, say, table};
use crate::domain::{CallKey, PersonId, Standing};
use crate::server::Ask;
use crate::switch::Command;

/// The live screens are drawn again this often.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Home, and clear what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) fn status(context: &Context) -> Result<Printed, Failure> {
    let status = ask(context, &Ask::Status)?;
    let mut out = String::new();
    let fields = [
        ("version", "version"),
        ("running since", "started_at"),
        ("configuration", "config"),
        ("state", "state"),
        ("listening", "listening"),
        ("draining", "draining"),
        ("policy", "policy"),
        ("people", "people"),
        ("calls", "calls"),
        ("waiting", "waiting"),
        ("talking", "talking"),
        ("phones", "bindings"),
        ("connections", "connections"),
    ];
    for (title, field) in fields {
        out.push_str(&format!("{title:<15}{}\n", cell(&status, field)));
    }
    let clients = &status["clients"];
    let (count, index) = (cell(clients, "clients"), cell(clients, "index"));
    out.push_str(&format!("{:<15}{count} ({index})\n", "clients"));
    for ailment in status["ailments"].as_array().into_iter().flatten() {
        out.push_str(&format!("{}\n", ailment.as_str().unwrap_or_default()));
    }
    for trunk in status["trunks"].as_array().into_iter().flatten() {
        let (name, health) = (cell(trunk, "trunk"), cell(trunk, "health"));
        out.push_str(&format!("{:<15}{name}: {health}\n", "trunk"));
    }
    for order in status["orders"].as_array().into_iter().flatten() {
        out.push_str(&format!("{:<15}{}\n", "ordered", order_text(order)));
    }
    out.push_str(&refused(&status["refused"]));
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        out.push_str(&format!("{}\n", alarm.as_str().unwrap_or_default()));
    }
    for problem in status["problems"].as_array().into_iter().flatten() {
        out.push_str(&format!("{}\n", problem.as_str().unwrap_or_default()));
    }
    Ok(Printed::new(out, status))
}

/// A supervisor's order in force (clause B8).
pub(super) fn order_text(order: &Value) -> String {
    let mut order = order.clone();
    let gone = order.as_object_mut().and_then(|fields| fields.remove("gone"));
    let standing = serde_json::from_value::<Standing>(order.clone());
    let text = standing.map_or_else(|_| order.to_string(), |standing| standing.to_string());
    match gone {
        Some(Value::String(command)) => format!(
            "{text}: not in the directory any more; `telefonist {command} --by PERSON` takes this back"
        ),
        Some(_) => format!("{text}: not in the directory any more"),
        None => text,
    }
}

/// The last reload, if it was refused.
fn refused(refused: &Value) -> String {
    let Some(problems) = refused["problems"].as_array() else { return String::new() };
    let (by, at) = (cell(refused, "by"), cell(refused, "at"));
    let mut out = format!("refused        the configuration of {at} ({by}); the old one goes on\n");
    for p in problems {
        let number = |field: &str| p[field].as_u64().unwrap_or_default();
        let place = place(&cell(p, "file"), number("line"), number("column"));
        let (severity, message) = (cell(p, "severity"), cell(p, "message"));
        out.push_str(&format!("  {place}: {severity}: {message}\n"));
    }
    out
}

pub(super) fn reload(context: &Context) -> Result<Printed, Failure> {
    let done = ask(context, &Ask::Reload)?;
    let changed = done["changed"] == true;
    let mut out = format!(
        "reloaded: {}; policy {}\n",
        if changed { "changes count from now on" } else { "nothing is other than before" },
        cell(&done, "policy")
    );
    for name in done["restart"].as_array().into_iter().flatten() {
        out.push_str(&format!("needs a restart: {}\n", name.as_str().unwrap_or_default()));
    }
    for warning in done["warnings"].as_array().into_iter().flatten() {
        out.push_str(&format!("{}\n", warning.as_str().unwrap_or_default()));
    }
    Ok(Printed::new(out, done))
}

pub(super) fn agents(context: &Context, watch: bool) -> Result<Printed, Failure> {
    screen(context, watch, &Command::Agents, agents_table)
}

pub(super) fn queues(context: &Context, watch: bool) -> Result<Printed, Failure> {
    screen(context, watch, &Command::Queues, queues_table)
}

/// Once, or again and again until the server or the reader goes.
fn screen(
    context: &Context,
    watch: bool,
    command: &Command,
    text: fn(&Value) -> String,
) -> Result<Printed, Failure> {
    let mut line = Line::open(context).ok_or_else(|| nobody(context))?;
    let ask = Ask::Switch { command: command.clone() };
    // A file or a pipe gets one table after the other.
    let clears = std::io::stdout().is_terminal();
    loop {
        let value = line.ask(&ask)?;
        if !watch {
            return Ok(Printed::new(text(&value), value));
        }
        let shown = match context.json {
            true => format!("{value}\n"),
            false if clears => format!("{CLEAR}{}", plain(&text(&value))),
            false => format!("{}\n", plain(&text(&value))),
        };
        if !say(&shown)? {
            return Ok(Printed::said());
        }
        std::thread::park_timeout(WATCH_EVERY);
    }
}

fn agents_table(agents: &Value) -> String {
    let head = ["person", "state", "since", "reason", "phones", "waiting", "moved by", "name"];
    let rows: Vec<Vec<String>> = agents
        .as_array()
        .into_iter()
        .flatten()
        .map(|agent| {
            let reason = match cell(agent, "pause_reason") {
                pause if pause.is_empty() => cell(agent, "reason"),
                pause => pause,
            };
            vec![
                cell(agent, "person"),
                cell(agent, "state"),
                agent["since_s"].as_u64().map(span).unwrap_or_default(),
                reason,
                cell(agent, "phones"),
                cell(agent, "waiting_for"),
                cell(agent, "moved_by"),
                cell(agent, "name"),
            ]
        })
        .collect();
    table(&head, &rows)
}

fn queues_table(queues: &Value) -> String {
    let fields = ["queue", "kind", "waiting", "free", "busy", "gone", "closed_by"];
    let rows: Vec<Vec<String>> = queues
        .as_array()
        .into_iter()
        .flatten()
        .map(|queue| fields.iter().map(|field| cell(queue, field)).collect())
        .collect();
    table(&fields, &rows)
}

pub(super) fn live_calls(context: &Context) -> Result<Printed, Failure> {
    let calls = switch(context, Command::Calls)?;
    let fields = ["call", "phase", "from", "to", "client", "clause", "step", "agent", "age_s"];
    let rows: Vec<Vec<String>> = calls
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| fields.iter().map(|field| cell(call, field)).collect())
        .collect();
    Ok(Printed::new(table(&fields, &rows), calls))
}

pub(super) fn login(context: &Context, person: String) -> Result<Printed, Failure> {
    agent(context, Command::Login { person: PersonId::new(&person) })
}

pub(super) fn logout(context: &Context, person: String) -> Result<Printed, Failure> {
    agent(context, Command::Logout { person: PersonId::new(&person) })
}

pub(super) fn pause(context: &Context, person: String, reason: String) -> Result<Printed, Failure> {
    agent(context, Command::Pause { person: PersonId::new(&person), reason: reason.into() })
}

pub(super) fn resume(context: &Context, person: String) -> Result<Printed, Failure> {
    agent(context, Command::Resume { person: PersonId::new(&person) })
}

pub(super) fn release(context: &Context, person: String) -> Result<Printed, Failure> {
    agent(context, Command::Release { person: PersonId::new(&person) })
}

fn agent(context: &Context, command: Command) -> Result<Printed, Failure> {
    let agent = switch(context, command)?;
    let (who, state, reason) =
        (cell(&agent, "person"), cell(&agent, "state"), cell(&agent, "reason"));
    let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
    Ok(Printed::new(format!("{who}: {state}{reason}"), agent))
}

pub(super) fn hangup(context: &Context, call: &str) -> Result<Printed, Failure> {
    let call = call_key(call)?;
    let done = switch(context, Command::Hangup { call })?;
    Ok(Printed::new(format!("{call}: ended"), done))
}

pub(super) fn call_key(call: &str) -> Result<CallKey, Failure> {
    CallKey::parse(call).ok_or_else(|| {
        Failure::Usage(format!(
            "`{call}` is no call: its name has 16 hexadecimal digits, see `telefonist calls --live`"
        ))
    })
}

fn span(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
