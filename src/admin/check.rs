//! `telefonist check`: everything that can be said about a configuration before it runs.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::Context;
use super::output::{Failure, Printed};
use crate::config::{load, read, render};
use crate::domain::{DirectoryRows, NumberFormat};
use crate::policy::Problem;
use crate::server::{ProblemLine, compile, problems};
use crate::store::import::{ImportOptions, import_folder};
use crate::store::{ClientsDb, StoreError};

/// Where people and clients were taken from.
struct People {
    rows: DirectoryRows,
    from: String,
    shared_numbers: Vec<String>,
}

pub(super) fn check(context: &Context, folder: Option<PathBuf>) -> Result<Printed, Failure> {
    let config_dir = folder.unwrap_or_else(|| context.config_dir.clone());
    let mut notes = Vec::new();
    let found = match people(context, &config_dir) {
        Ok(Some(people)) => {
            notes.push(format!("people and clients: {}", people.from));
            let shared = people.shared_numbers.iter();
            notes.extend(shared.map(|s| format!("several clients have {s} (A1)")));
            problems(&config_dir, people.rows)
        }
        Ok(None) => {
            let note = "people: none known yet; import them, or name the state folder (--state)";
            notes.push(note.to_string());
            without_people(&config_dir)
        }
        Err(error) => {
            notes.push(format!("people and clients are not checked: {error}"));
            without_people(&config_dir)
        }
    };
    Ok(printed(&config_dir, &found, &notes))
}

fn without_people(config_dir: &Path) -> Vec<Problem> {
    match compile(config_dir) {
        Ok(compiled) => [compiled.config.warnings, compiled.policy.warnings.clone()].concat(),
        Err(found) => found,
    }
}

/// From the state folder's database; without one from the tables beside the configuration.
fn people(context: &Context, config_dir: &Path) -> Result<Option<People>, StoreError> {
    // While `telefonist.toml` is broken, people's numbers and passwords are not what is looked at.
    let settings = load(config_dir).ok().map(|config| config.settings.clone());
    let realm = settings.as_ref().map_or("", |s| &s.realm);
    let other = NumberFormat::of("DE");
    let file = context.folder_of(config_dir).clients_db();
    let read = |db: &ClientsDb, from: String| -> Result<Option<People>, StoreError> {
        let rows = db.directory_rows(realm, context.today())?;
        let shared = db.shared_numbers()?.iter().map(ToString::to_string).collect();
        Ok(Some(People { rows, from, shared_numbers: shared }))
    };
    if file.exists() {
        let db = ClientsDb::open_read_only(&file)?;
        return read(&db, file.display().to_string());
    }
    if !config_dir.join("people.csv").exists() {
        return Ok(None);
    }
    let mut db = ClientsDb::open(Path::new(":memory:"))?;
    let options = ImportOptions {
        actor: context.actor(),
        numbers: settings.as_ref().map_or(&other, |s| &s.numbers),
        realm,
        today: context.today(),
        dry_run: false,
        skip_bad: true,
        skip_unknown_columns: true,
    };
    import_folder(&mut db, config_dir, options, &mut |_| {})?;
    read(&db, format!("the tables in {}", config_dir.display()))
}

fn printed(config_dir: &Path, problems: &[Problem], notes: &[String]) -> Printed {
    let errors = problems.iter().filter(|p| p.is_error()).count();
    let warnings = problems.len() - errors;
    let mut text = render(problems, |file| read(Path::new(file)).ok());
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    let folder = config_dir.display();
    text.push_str(&format!("{folder}: {errors} errors, {warnings} warnings\n"));
    let lines: Vec<ProblemLine> = problems.iter().map(ProblemLine::from).collect();
    let json = json!({ "errors": errors, "warnings": warnings, "problems": lines, "notes": notes });
    Printed { text, json, found: errors > 0 }
}
