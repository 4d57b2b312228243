//! Everything else that a recording holds, without people's data: events, clients, people, settings, texts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use super::message::{addresses, instance, message, session, tag, uri};
use super::pseudonym::Pseudonyms;
use crate::domain::{
    AbsenceKind, Client, Directory, DirectoryRecord, Flow, Orders, PersonId, Settings,
    TrunkIdentity,
};
use crate::sip::Message;
use crate::switch::{AgentChange, AgentNote, ClientRef, Command, Event, Mail, What};

/// Bytes of one message; what cannot be read is only counted.
pub(super) fn bytes(names: &mut Pseudonyms, raw: &bytes::Bytes, peer: IpAddr) -> String {
    match Message::parse(raw.clone()) {
        Ok(read) => message(names, &read, peer),
        Err(_) => "x".repeat(raw.len()),
    }
}

pub(super) fn client(names: &mut Pseudonyms, client: &Client) -> Client {
    Client {
        name: format!("client {}", client.id.0).into(),
        numbers: client.numbers.iter().map(|number| names.number(number)).collect(),
        manager: client.manager.as_ref().map(|person| names.person(person)),
        notes: "".into(),
        ..client.clone()
    }
}

fn client_ref(client: &Option<ClientRef>) -> Option<ClientRef> {
    let other = |c: &ClientRef| ClientRef { id: c.id, name: format!("client {}", c.id.0).into() };
    client.as_ref().map(other)
}

pub(super) fn settings(names: &mut Pseudonyms, settings: &Settings) -> Settings {
    let trunk = |names: &mut Pseudonyms, trunk: &crate::domain::Trunk| {
        let identity = match &trunk.identity {
            TrunkIdentity::Digest(real) => TrunkIdentity::Digest(names.credentials(real)),
            other => other.clone(),
        };
        Arc::new(crate::domain::Trunk { identity, ..trunk.clone() })
    };
    let trunks = settings.trunks.iter().map(|one| trunk(names, one)).collect();
    Settings { trunks, ..settings.clone() }
}

/// Errors: in words; supervisors' orders that have no text.
pub(super) fn directory(
    names: &mut Pseudonyms,
    directory: &Directory,
) -> Result<DirectoryRecord, String> {
    let mut record = directory.record();
    for (_, person) in &mut record.people {
        *person = names.people(person);
    }
    for department in &mut record.departments {
        department.name = department.id.as_str().into();
        department.head = department.head.as_ref().map(|person| names.person(person));
        let deputy = department.deputy_head.as_ref();
        department.deputy_head = deputy.map(|person| names.person(person));
    }
    for absence in &mut record.absences {
        absence.person = names.person(&absence.person);
        absence.deputy = absence.deputy.as_ref().map(|person| names.person(person));
        absence.kind = AbsenceKind::Other;
        absence.by = "x".into();
    }
    let broken = |e| format!("supervisors' orders cannot be written: {e}");
    record.orders = orders(names, &record.orders).map_err(broken)?;
    Ok(record)
}

fn orders(names: &mut Pseudonyms, orders: &Orders) -> serde_json::Result<Orders> {
    let mut value = serde_json::to_value(orders)?;
    walk(&mut value, &mut |key, text| match key {
        "person" | "by" | "taken_back" => names.person(&PersonId::new(text)).as_str().to_owned(),
        _ => text.to_owned(),
    });
    serde_json::from_value(value)
}

/// Every text of a JSON value, with its key, becomes another.
fn walk(value: &mut Value, other: &mut dyn FnMut(&str, &str) -> String) {
    fn go(key: &str, value: &mut Value, other: &mut dyn FnMut(&str, &str) -> String) {
        match value {
            Value::String(text) => *text = other(key, text),
            Value::Array(items) => items.iter_mut().for_each(|item| go(key, item, other)),
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(key, value)| go(key, value, other));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    go("", value, other);
}

/// A policy's or the calendars' text: comments gone, people by their pseudonyms.
pub(super) fn policy(names: &mut Pseudonyms, text: &str) -> Result<String, String> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    fn go(names: &Pseudonyms, key: &str, value: &mut toml::Value) {
        match value {
            toml::Value::String(text) if key == "name" => *text = names.free(text),
            toml::Value::String(text) => *text = names.labelled(text),
            toml::Value::Array(items) => items.iter_mut().for_each(|item| go(names, key, item)),
            toml::Value::Table(table) => {
                table.iter_mut().for_each(|(key, item)| go(names, key, item));
            }
            _ => {}
        }
    }
    table.iter_mut().for_each(|(key, value)| go(names, key, value));
    toml::to_string(&table).map_err(|e| e.to_string())
}

pub(super) fn command(names: &mut Pseudonyms, command: &Command) -> Command {
    let mut command = command.clone();
    match &mut command {
        Command::Login { person }
        | Command::Logout { person }
        | Command::Resume { person }
        | Command::Release { person } => *person = names.person(person),
        Command::Pause { person, reason } => {
            *person = names.person(person);
            *reason = "x".into();
        }
        Command::MoveCall { to, supervisor, .. } => {
            *to = names.labelled(to).into();
            *supervisor = names.person(supervisor);
        }
        Command::Explain { from, to, found, .. } => {
            *from = names.user(from);
            *to = to.as_ref().map(|to| names.user(to));
            *found = None;
        }
        Command::Status
        | Command::Agents
        | Command::Queues
        | Command::Calls
        | Command::Hangup { .. } => {}
    }
    command
}

/// An event of the journal; `None` for one that a replay has no use for.
pub(super) fn event(names: &mut Pseudonyms, event: &Event) -> Option<Event> {
    let mut what = event.what.clone();
    match &mut what {
        What::CallArrived { caller, from_raw, from, to, sip_call_id, .. } => {
            *caller = caller.as_ref().map(|person| names.person(person));
            *from_raw = names.user(from_raw);
            *from = from.as_ref().map(|number| names.number(number));
            *to = names.user(to);
            *sip_call_id = names.call_id(sip_call_id);
        }
        What::Routed { client, rule, explanation, grounds, .. } => {
            *client = client_ref(client);
            *rule = names.free(rule).into();
            (*explanation, *grounds) = (None, None);
        }
        What::StepBegan { to, why, .. } => {
            *to = names.labelled(to).into();
            *why = "".into();
        }
        What::Offered { agent, stands_in_for, why, .. } => {
            *agent = names.person(agent);
            *stands_in_for = stands_in_for.as_ref().map(|person| names.person(person));
            *why = None;
        }
        What::Answered { agent, .. } => {
            *agent = agent.as_ref().map(|person| names.person(person));
        }
        What::Promised { number, client, owner, why, .. } => {
            *number = number.as_ref().map(|number| names.number(number));
            *client = client_ref(client);
            *owner = owner.as_ref().map(|person| names.person(person));
            *why = "".into();
        }
        What::CallEnded { reason, .. } => *reason = "".into(),
        What::Dialog { state, .. } => {
            let mut value = (**state).clone();
            leg(names, &mut value);
            *state = Arc::new(value);
        }
        What::Bound { aor, binding } => {
            *aor = names.user(aor);
            leg(names, binding);
        }
        What::Unbound { aor, binding, .. } => {
            *aor = names.user(aor);
            *binding = key(names, binding).into();
        }
        What::Agent { person, change, by } => {
            *person = names.person(person);
            *by = "x".into();
            if let AgentChange::Paused { reason } = change {
                *reason = "x".into();
            }
        }
        What::Ringing { .. } | What::OfferEnded { .. } => {}
        // Texts of requests that a restart would close, and what only the shell writes.
        What::Unanswered { .. }
        | What::ServerStarted { .. }
        | What::Changed { .. }
        | What::Ordered { .. }
        | What::PolicyAccepted { .. }
        | What::DirectoryTaken { .. }
        | What::Callback { .. }
        | What::Checkpoint { .. } => return None,
    }
    Some(Event { at: event.at, what })
}

/// A leg's snapshot, or a binding.
fn leg(names: &mut Pseudonyms, value: &mut Value) {
    walk(value, &mut |name, text| match name {
        "aor" => names.user(text).to_string(),
        "person" => names.person(&PersonId::new(text)).as_str().to_owned(),
        "key" => key(names, text),
        "call_id" => names.call_id(text).to_string(),
        "local_tag" | "remote_tag" => tag(names, text),
        // Of a flow.
        "remote" if text.parse::<SocketAddr>().is_ok() => text.to_owned(),
        "contact" | "local" | "remote" | "remote_target" | "route_set" | "path" => {
            addresses(names, text)
        }
        "last" => session(text),
        "transport" | "expires" => text.to_owned(),
        "user_agent" => String::new(),
        "instance" => instance(names, text),
        _ => "x".to_owned(),
    });
}

/// A binding's key: an instance, perhaps with the number of a registration, or the contact as first
/// registered.
fn key(names: &mut Pseudonyms, text: &str) -> String {
    // Where two phones say that they are one, the contact stands behind it.
    if let Some((wanted, contact)) = text.split_once(' ') {
        return format!("{} {}", key(names, wanted), uri(names, contact));
    }
    if text.starts_with("sip:") || text.starts_with("sips:") {
        return uri(names, text);
    }
    match text.rsplit_once('#') {
        Some((phone, number)) => format!("{}#{number}", instance(names, phone)),
        None => instance(names, text),
    }
}

/// The address that a message came from, or went to.
pub(super) fn peer(flow: &Flow) -> IpAddr {
    flow.remote.ip()
}

pub(super) fn mail(names: &mut Pseudonyms, mail: Mail) -> Mail {
    match mail {
        Mail::Bindings { aor } => Mail::Bindings { aor: names.user(&aor) },
        Mail::Agent { agent, note: AgentNote::Unreachable { binding, epoch } } => {
            let binding = key(names, &binding).into();
            Mail::Agent { agent, note: AgentNote::Unreachable { binding, epoch } }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Order;
    use crate::recorder::Secrets;

    #[test]
    fn whoever_gave_an_order_or_took_it_back_is_not_named() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let closes = |who: &str| Order::ClosePosition { person: who.into() };
        let plan = [closes("anna"), closes("boris")];
        let real = Orders::default().with_plan(&"rush".into(), &plan, (&"nina".into(), at));
        let opens = Order::OpenPosition { person: "anna".into() };
        let real = real.and_then(|real| real.with(opens, (&"olga".into(), at))).expect("new");
        let secrets = Secrets { shards: 1, hash: [1; 16], nonce: [1; 32] };
        let mut names = Pseudonyms::new([1; 32], secrets.clone(), secrets);
        let shown = orders(&mut names, &real).expect("orders");
        let text = serde_json::to_string(&shown).expect("text");
        for who in ["anna", "boris", "nina", "olga"] {
            assert!(format!("{real:?}").contains(who) && !text.contains(who), "{who}: {text}");
        }
        assert_eq!(shown.iter().count(), real.iter().count());
    }
}
