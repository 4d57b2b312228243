//! `telefonist absence` and `telefonist people`.

use std::io::{BufRead, IsTerminal};
use std::process::Command as Process;

use serde_json::json;

use super::args::{AbsenceAction, PeopleAction};
use super::ask::tell_changed;
use super::context::Context;
use super::output::{Failure, Printed, table};
use crate::domain::{Absence, PersonId, Role};
use crate::store::{ABSENCE_KINDS, NewAbsence, WhichAbsence, credentials, kind_name, kind_named};

pub(super) fn absence(context: &Context, action: AbsenceAction) -> Result<Printed, Failure> {
    let mut db = match action {
        AbsenceAction::List { .. } => context.clients_to_read()?,
        _ => context.clients_db()?,
    };
    match action {
        AbsenceAction::Add { person, from, to, kind, deputy } => {
            let kind = kind_named(&kind).ok_or_else(|| {
                let known: Vec<&str> = ABSENCE_KINDS.iter().map(|(_, name)| *name).collect();
                Failure::Usage(format!("`{kind}` is none of {}", known.join(", ")))
            })?;
            let new = NewAbsence {
                person: PersonId::new(&person),
                kind,
                from: context.day(&from)?,
                to: context.day(&to)?,
                deputy: deputy.as_deref().map(PersonId::new),
            };
            let absence = db.add_absence(context.actor(), &new)?;
            changed(context, "entered", &absence)
        }
        AbsenceAction::End { which, on } => {
            let which = match which.parse() {
                Ok(id) => WhichAbsence::Id(id),
                Err(_) => WhichAbsence::Of(PersonId::new(&which)),
            };
            let on = context.day(on.as_deref().unwrap_or("yesterday"))?;
            let absence = db.end_absence(context.actor(), &which, on)?;
            changed(context, "ended", &absence)
        }
        AbsenceAction::List { all } => {
            let since = (!all).then(|| context.today());
            let list = db.absences(since)?;
            let rows: Vec<Vec<String>> = list.iter().map(row).collect();
            let head = ["id", "person", "kind", "from", "to", "deputy", "by"];
            Ok(Printed::new(table(&head, &rows), json!(list)))
        }
    }
}

fn changed(context: &Context, what: &str, absence: &Absence) -> Result<Printed, Failure> {
    let Absence { id, person, from, to, .. } = absence;
    let deputy = absence.deputy.as_ref().map(|d| format!(", deputy {d}")).unwrap_or_default();
    let text = format!("absence {id} {what}: {person}, {from} to {to}{deputy}");
    tell_changed(context, "absence", &text);
    Ok(Printed::new(text, json!(absence)))
}

fn row(absence: &Absence) -> Vec<String> {
    vec![
        absence.id.to_string(),
        absence.person.to_string(),
        kind_name(absence.kind).to_string(),
        absence.from.to_string(),
        absence.to.to_string(),
        absence.deputy.as_ref().map(ToString::to_string).unwrap_or_default(),
        absence.by.to_string(),
    ]
}

pub(super) fn people(context: &Context, action: PeopleAction) -> Result<Printed, Failure> {
    let realm = context.config()?.settings.realm.clone();
    match action {
        PeopleAction::List => list(context, &realm),
        PeopleAction::Passwd { trunk: Some(user), .. } => {
            let kept = credentials(&user, &realm, &secret(&user)?);
            let text = format!(
                "user = \"{user}\"\nha1_md5 = \"{}\"\nha1_sha256 = \"{}\"",
                kept.ha1_md5, kept.ha1_sha256
            );
            let json = json!({
                "user": user, "ha1_md5": kept.ha1_md5, "ha1_sha256": kept.ha1_sha256,
            });
            Ok(Printed::new(text, json))
        }
        PeopleAction::Passwd { person, trunk: None } => {
            let person = PersonId::new(person.as_deref().unwrap_or_default());
            let mut db = context.clients_db()?;
            let secret = secret(person.as_str())?;
            db.set_password(context.actor(), &person, &realm, &secret)?;
            let text = format!("the phone of {person} has a new password");
            tell_changed(context, "password", &text);
            Ok(Printed::new(text, json!({ "person": person })))
        }
    }
}

fn list(context: &Context, realm: &str) -> Result<Printed, Failure> {
    let rows = context.clients_to_read()?.directory_rows(realm, context.today())?;
    let cells: Vec<Vec<String>> = rows
        .people
        .iter()
        .map(|person| {
            let shown = |role: &Role| match person.levels.get(role) {
                Some(level) => format!("{role}={level}"),
                None => role.to_string(),
            };
            let roles: Vec<String> = person.roles.iter().map(shown).collect();
            let text = |value: Option<&str>| value.unwrap_or_default().to_string();
            vec![
                person.id.to_string(),
                person.name.to_string(),
                text(person.department.as_ref().map(|d| d.as_str())),
                roles.join(", "),
                text(person.sip_user.as_deref()),
                if person.credentials.is_some() { "yes" } else { "no" }.to_string(),
            ]
        })
        .collect();
    let head = ["person", "name", "department", "roles", "sip user", "password"];
    Ok(Printed::new(table(&head, &cells), json!(rows.people)))
}

/// A line of standard input; a terminal does not show it.
fn secret(whose: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let hidden = stdin.is_terminal();
    if hidden {
        eprint!("password of {whose}: ");
        echo(false);
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if hidden {
        echo(true);
        eprintln!();
    }
    read?;
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::Usage("the password is read from standard input".to_string()));
    }
    Ok(secret.to_string())
}

fn echo(on: bool) {
    // Without stty the password is seen, and still taken.
    let _ = Process::new("stty").arg(if on { "echo" } else { "-echo" }).status();
}
