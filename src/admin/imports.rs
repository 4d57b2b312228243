//! `telefonist import`.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::json;

use super::args::{ImportArgs, ImportWhat};
use super::ask::tell_changed;
use super::context::Context;
use super::output::{Failure, Printed, one_line};
use crate::store::import::{ImportKind, ImportOptions, ImportReport, import, progress_bar};

/// Bad rows that a real import writes out for eyes; a dry run and JSON have them all.
const BAD_SHOWN_MAX: usize = 200;

pub(super) fn import_file(context: &Context, args: &ImportArgs) -> Result<ImportReport, Failure> {
    let config = context.config()?;
    let mut db = context.new_clients_db()?;
    let kind = match args.what {
        ImportWhat::Clients => ImportKind::Clients,
        ImportWhat::People => ImportKind::People,
        ImportWhat::Departments => ImportKind::Departments,
        ImportWhat::Absences => ImportKind::Absences,
    };
    // Without hours that can be read whatever departments say is taken, and said to be unchecked.
    let compiled = crate::server::compile(&context.config_dir);
    let unchecked = compiled.is_err() && matches!(kind, ImportKind::Departments);
    let calendars: Vec<_> =
        compiled.map_or_else(|_| Vec::new(), |c| c.calendars.keys().cloned().collect());
    let options = ImportOptions {
        actor: context.actor(),
        numbers: &config.settings.numbers,
        realm: &config.settings.realm,
        calendars: &calendars,
        today: context.today(),
        dry_run: args.dry_run,
        skip_bad: args.skip_bad,
        skip_unknown_columns: args.skip_unknown_columns,
    };
    let shows = std::io::stderr().is_terminal() && !context.json;
    let report = match shows {
        true => import(&mut db, kind, &args.file, options, &mut progress_bar(kind.as_str())),
        false => import(&mut db, kind, &args.file, options, &mut |_| {}),
    };
    let mut report = report?;
    if unchecked {
        let note = "calendars are not checked: the configuration has errors (telefonist check)";
        report.notes.push(note.to_owned());
    }
    Ok(report)
}

pub(super) fn import_text(report: &ImportReport, file: &Path, dry_run: bool) -> String {
    let mut out = String::new();
    let file = file.display();
    let shown = if dry_run { report.bad.len() } else { BAD_SHOWN_MAX };
    for row in report.bad.iter().take(shown) {
        out.push_str(&format!("{file}, line {}: {}\n", row.line, one_line(&row.reason)));
    }
    if report.bad.len() > shown {
        out.push_str(&format!("… and {} more\n", report.bad.len() - shown));
    }
    report.notes.iter().for_each(|note| out.push_str(&format!("{}\n", one_line(note))));
    for shared in &report.shared_numbers {
        out.push_str(&format!("several clients have {shared} (A1)\n"));
    }
    let done = match (report.written, dry_run) {
        (true, _) => "written",
        (false, true) => "nothing was written: a dry run",
        (false, false) => "nothing was written: mend the bad rows, or add --skip-bad",
    };
    let ImportReport { rows, added, changed, unchanged, bad, .. } = report;
    let (kind, bad) = (report.kind.as_str(), bad.len());
    out.push_str(&format!(
        "{kind}: {rows} rows, {added} new, {changed} changed, {unchanged} unchanged, {bad} bad; {done}\n"
    ));
    out
}

pub(super) fn import_command(context: &Context, args: &ImportArgs) -> Result<Printed, Failure> {
    let report = import_file(context, args)?;
    if report.written {
        let kind = report.kind.as_str();
        let file = args.file.display();
        let detail =
            format!("{kind} from {file}: {} new, {} changed", report.added, report.changed);
        tell_changed(context, "import", &detail);
    }
    let found = !report.bad.is_empty();
    let text = import_text(&report, &args.file, args.dry_run);
    Ok(Printed { found, ..Printed::new(text, json!(report)) })
}
