//! `telefonist check`: everything that can be said about a configuration before it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::ask::Line;
use super::context::Context;
use super::output::{Failure, Printed, table_within};
use crate::config::{load, read, render};
use crate::domain::{ClientType, DirectoryRows, LockAfter, NumberFormat, Orders};
use crate::policy::{self, Problem, Proven, Severity};
use crate::server::{Ask, ProblemLine, compile, files, problems, proofs};
use crate::store::import::{BadRow, ImportOptions, ImportReport, import_folder};
use crate::store::{ClientsDb, Dangling, StoreError, did_you_mean};

/// Where people and clients were taken from.
pub(super) struct People {
    pub(super) rows: DirectoryRows,
    from: String,
    shared_numbers: Vec<String>,
    client_types: Vec<(ClientType, i64)>,
    dangling: Vec<Dangling>,
    /// Rows of tables that an import would refuse.
    bad: Vec<Problem>,
}

/// Clients named as examples of one problem.
const EXAMPLES: u32 = 3;

pub(super) fn check(context: &Context, folder: Option<PathBuf>) -> Result<Printed, Failure> {
    let config_dir = folder.unwrap_or_else(|| context.config_dir.clone());
    let mut notes = Vec::new();
    let mut looked_at = None;
    let found = match people(context, &config_dir) {
        Ok(Some(people)) => {
            notes.push(format!("people and clients: {}", people.from));
            let shared = people.shared_numbers.iter();
            notes.extend(shared.map(|s| format!("several clients have {s} (A1)")));
            let strangers = unknown_types(&config_dir, &people.client_types);
            let dangling = people.dangling.iter().map(dangling).collect();
            let line = Line::if_running(&context.folder_of(&config_dir).socket());
            let orders = line.and_then(orders).unwrap_or_else(|why| {
                let why = why.reason();
                notes.push(format!("orders of supervisors are not in the proof (B8): {why}"));
                Orders::default()
            });
            if !orders.is_empty() {
                let count = orders.iter().count();
                notes.push(format!(
                    "orders of supervisors in force, in the proof too: {count} (B8)"
                ));
            }
            let proven = proofs(&config_dir, people.rows.clone(), orders.clone(), context.at);
            notes.extend(proven.as_ref().map(proven_in_words));
            looked_at = proven.as_ref().map(|p| {
                let (rules, callers, intervals) = (p.rules, p.callers, p.intervals);
                json!({ "rules": rules, "callers": callers, "intervals": intervals, "paths": p.paths })
            });
            let found = proven.map(|proven| proven.problems).unwrap_or_default();
            let named = problems(&config_dir, people.rows, orders);
            [people.bad, named, found, strangers, dangling].concat()
        }
        Ok(None) => {
            let note = "people: none known yet; import them, or name the state folder (--state)";
            notes.push(note.to_string());
            without_people(&config_dir)
        }
        Err(error) => {
            let message = format!("people and clients are not checked: {error}");
            let unread = Problem::of_directory(Severity::Error, message, None);
            [without_people(&config_dir), vec![unread]].concat()
        }
    };
    let mut printed = printed(&config_dir, &found, &notes);
    printed.json["proof"] = looked_at.into();
    Ok(printed)
}

/// What supervisors have ordered of the server that runs, if one does.
fn orders(line: Option<Line>) -> Result<Orders, Failure> {
    let Some(mut line) = line else { return Ok(Orders::default()) };
    let mut answer = line.ask(&Ask::Plans)?;
    let mut orders = answer["orders"].take();
    for order in orders.as_array_mut().into_iter().flatten() {
        order.as_object_mut().and_then(|fields| fields.remove("gone"));
    }
    serde_json::from_value(orders)
        .map_err(|why| Failure::Refused(format!("the server's answer is none: {why}")))
}

fn proven_in_words(proven: &Proven) -> String {
    let Proven { rules, callers, intervals, paths, .. } = proven;
    let paths = match paths {
        Some(paths) => paths.to_string(),
        None => format!("more than {}", u64::MAX - 1),
    };
    format!(
        "proof: {rules} rules, {callers} kinds of callers, {intervals} kinds of intervals, {paths} paths of \
         outcomes were walked"
    )
}

/// Which clause is carried out where, and what proves it.
pub(super) fn matrix(context: &Context, folder: Option<PathBuf>) -> Result<Printed, Failure> {
    let folder = folder.unwrap_or_else(|| context.config_dir.clone());
    let compiled = compile(&folder)?;
    let named = compiled.policy.clauses_named();
    let texts = files(&folder).map(|file| {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned());
        (name.unwrap_or_default(), read(&file).unwrap_or_default())
    });
    let texts: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    // Who misses calls is never locked.
    let never = compiled.config.settings.lock_after == LockAfter::Never;
    let off: &[&str] = if never { &["C4"] } else { &[] };
    let lines = policy::clauses(&texts, &named, off);
    let mut rows = Vec::new();
    for line in &lines {
        let state = if line.covered { "covered" } else { "not yet" };
        let places = if line.covered { line.places.as_slice() } else { &[] };
        let tests = if line.covered { line.tests } else { &[] };
        for n in 0..places.len().max(tests.len()).max(1) {
            let cell = |text: &str| if n == 0 { text.to_owned() } else { String::new() };
            let place = places.get(n).cloned().unwrap_or_default();
            let test = tests.get(n).copied().unwrap_or_default().to_owned();
            rows.push(vec![cell(line.clause), cell(line.title), cell(state), place, test]);
        }
    }
    let text = table_within(
        usize::MAX,
        &["clause", "what", "state", "in the configuration", "proven by"],
        &rows,
    );
    let json = json!({ "clauses": lines });
    let everywhere = [named, compiled.policy.clauses_off()].concat();
    Ok(Printed::new(text, json).warning(policy::unknown_clauses(&everywhere)))
}

/// Clients of a type that the policy does not name go to the operators, whatever they are.
fn unknown_types(config_dir: &Path, types: &[(ClientType, i64)]) -> Vec<Problem> {
    let Ok(compiled) = compile(config_dir) else { return Vec::new() };
    let known = &compiled.policy.settings().client_types;
    let strangers = types.iter().filter(|(name, _)| !known.contains(name));
    let problem = |(name, count): &(ClientType, i64)| {
        let guess = did_you_mean(name.as_str(), known.iter().map(ClientType::as_str));
        let name = name.as_str();
        let message = format!("{count} clients have the type `{name}`, which no rule can name");
        let hint = format!("mend them, or add it to client_types in [settings]{guess}");
        Problem::of_directory(Severity::Warning, message, Some(hint))
    };
    strangers.map(problem).collect()
}

/// A client's manager or department that is not there: the call goes another way than the card says.
fn dangling(found: &Dangling) -> Problem {
    let what = found.what;
    let first: Vec<String> =
        found.first.iter().map(|(client, name)| format!("{client} (`{name}`)")).collect();
    let more = if found.clients as usize > first.len() { ", …" } else { "" };
    let (count, first) = (found.clients, first.join(", "));
    let message = format!("{count} clients have a {what} that is not there: {first}{more}");
    let hint = match what {
        "manager" => "they count as clients without one; see `telefonist client assign`",
        _ => "import the department, or mend the clients",
    };
    Problem::of_directory(Severity::Warning, message, Some(hint.into()))
}

fn without_people(config_dir: &Path) -> Vec<Problem> {
    match compile(config_dir) {
        Ok(compiled) => [compiled.config.warnings, compiled.policy.warnings.clone()].concat(),
        Err(found) => found,
    }
}

/// From the state folder's database; without one from the tables beside the configuration.
pub(super) fn people(context: &Context, config_dir: &Path) -> Result<Option<People>, StoreError> {
    // While `telefonist.toml` is broken, people's numbers and passwords are not what is looked at.
    let settings = load(config_dir).ok().map(|config| config.settings.clone());
    let realm = settings.as_ref().map_or("", |s| &s.realm);
    let other = NumberFormat::of("DE");
    let file = context.folder_of(config_dir).clients_db();
    let read = |db: &ClientsDb, from: String, bad| -> Result<Option<People>, StoreError> {
        let rows = db.directory_rows(realm, context.today())?;
        let shared = db.shared_numbers()?.iter().map(ToString::to_string).collect();
        let client_types = db.client_types()?;
        let dangling = db.dangling(EXAMPLES)?;
        Ok(Some(People { rows, from, shared_numbers: shared, client_types, dangling, bad }))
    };
    if file.exists() {
        let db = ClientsDb::open_read_only(&file)?;
        return read(&db, file.display().to_string(), Vec::new());
    }
    if !config_dir.join("people.csv").exists() {
        return Ok(None);
    }
    let mut db = ClientsDb::open(Path::new(":memory:"))?;
    let options = ImportOptions {
        actor: context.actor(),
        numbers: settings.as_ref().map_or(&other, |s| &s.numbers),
        realm,
        calendars: &[],
        today: context.today(),
        dry_run: false,
        skip_bad: true,
        skip_unknown_columns: true,
    };
    let reports = import_folder(&mut db, config_dir, options, &mut |_| {})?;
    let bad = reports.iter().flat_map(|report| bad_rows(config_dir, report)).collect();
    read(&db, format!("the tables in {}", config_dir.display()), bad)
}

/// What an import of a table would refuse, each at its line.
fn bad_rows(config_dir: &Path, report: &ImportReport) -> Vec<Problem> {
    let file = config_dir.join(format!("{}.csv", report.kind.as_str()));
    let file: Arc<str> = file.display().to_string().into();
    let problem = |row: &BadRow| Problem {
        file: file.clone(),
        line: u32::try_from(row.line).unwrap_or(u32::MAX),
        column: 1,
        span: 0..0,
        severity: Severity::Error,
        message: row.reason.clone(),
        hint: None,
    };
    report.bad.iter().map(problem).collect()
}

fn printed(config_dir: &Path, problems: &[Problem], notes: &[String]) -> Printed {
    let errors = problems.iter().filter(|p| p.is_error()).count();
    let warnings = problems.len() - errors;
    let mut text = render(problems, |file| read(Path::new(file)).ok());
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    let folder = config_dir.display();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (of_errors, of_warnings) = (count(errors, "error"), count(warnings, "warning"));
    text.push_str(&format!("{folder}: {of_errors}, {of_warnings}\n"));
    let lines: Vec<ProblemLine> = problems.iter().map(ProblemLine::from).collect();
    let json = json!({ "errors": errors, "warnings": warnings, "problems": lines, "notes": notes });
    Printed { found: errors > 0, ..Printed::new(text, json) }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use super::*;

    /// What is said of the orders of a server whose socket does `does`.
    fn said_of(does: impl FnOnce(UnixStream) -> Option<UnixStream> + Send + 'static) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("control.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let server = std::thread::spawn(move || does(listener.accept().expect("asked").0));
        // An answer that comes is long there by then.
        let line = Line::within(&socket, Duration::from_millis(200)).expect("it listens");
        let said = match orders(Some(line)) {
            Ok(orders) => format!("{} orders", orders.iter().count()),
            Err(why) => why.reason().replace(&socket.display().to_string(), "HERE"),
        };
        drop(server.join().expect("it ends"));
        said
    }

    fn answers(text: &'static [u8]) -> String {
        said_of(move |mut stream| {
            stream.write_all(text).expect("it reads");
            Some(stream)
        })
    }

    #[test]
    fn paths_that_nobody_can_count_are_not_given_as_an_exact_number() {
        let said = |paths| proven_in_words(&Proven { paths, ..Proven::default() });
        assert!(said(Some(7)).contains(", 7 paths of outcomes"), "{}", said(Some(7)));
        let more = ", more than 18446744073709551614 paths of outcomes";
        assert!(said(None).contains(more), "{}", said(None));
    }

    #[test]
    fn a_server_that_gives_no_orders_is_told_with_the_reason() {
        assert_eq!(said_of(Some), "the server at HERE has not answered for 0.2 s");
        let gone = said_of(|stream| {
            BufReader::new(stream).read_line(&mut String::new()).expect("it asks");
            None
        });
        let why = "the server at HERE has gone: it closed the connection without an answer";
        assert_eq!(gone, why);
        let other = "what answers at HERE is no Telefonist of this version: ";
        for rubbish in [&b"220 mail.example ESMTP\r\n"[..], b"\xff\xfe\x00\n", b"\n", b"{}\n"] {
            let said = answers(rubbish);
            assert!(said.starts_with(other), "{said}");
        }
        let half = said_of(|mut stream| {
            BufReader::new(&stream).read_line(&mut String::new()).expect("it asks");
            stream.write_all(b"{\"ok\":").expect("it reads");
            None
        });
        assert_eq!(half, "the server at HERE has gone: it broke off in the middle of an answer");
        assert!(answers(b"{\"ok\":{}}\n").starts_with("the server's answer is none: "));
        assert_eq!(answers(b"{\"error\":\"not now\"}\n"), "not now");
        assert_eq!(answers(b"{\"ok\":{\"orders\":[]}}\n"), "0 orders");
    }
}
