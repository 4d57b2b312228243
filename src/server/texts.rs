//! The three files of the configuration folder, read and compiled together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{self, Config};
use crate::domain::{Calendar, Directory, DirectoryLimits, DirectoryRows, Orders};
use crate::policy::{self, Names, Policy, Problem, Proven, Sources};

/// The policy's file in the configuration folder.
pub const POLICY_FILE: &str = "policy.toml";
/// The calendars' file in the configuration folder.
pub const CALENDARS_FILE: &str = "calendars.toml";

/// Everything that the configuration folder says, compiled.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// `telefonist.toml`.
    pub config: Config,
    /// `policy.toml`, names not yet checked against people.
    pub policy: Arc<Policy>,
    /// `calendars.toml`.
    pub calendars: BTreeMap<Arc<str>, Arc<Calendar>>,
}

/// The files that [`compile`] reads.
pub fn files(folder: &Path) -> [PathBuf; 3] {
    [config::FILE_NAME, POLICY_FILE, CALENDARS_FILE].map(|name| folder.join(name))
}

/// Compiles the configuration in `folder`. Errors: all problems of all files, warnings included.
pub fn compile(folder: &Path) -> Result<Compiled, Vec<Problem>> {
    let [_, policy_file, calendars_file] = files(folder);
    let mut problems = Vec::new();
    let config = keep(config::load(folder), &mut problems);
    let policy_text = keep(config::read(&policy_file).map_err(|p| vec![p]), &mut problems);
    let calendars_text = keep(config::read(&calendars_file).map_err(|p| vec![p]), &mut problems);
    let names = config.as_ref().map_or_else(any_names, |c| Names::of(&c.settings));
    let compiled = policy_text.zip(calendars_text).and_then(|(policy_text, calendars_text)| {
        let (policy_name, calendars_name) = (shown(&policy_file), shown(&calendars_file));
        let sources = Sources {
            policy: (&policy_name, &policy_text),
            calendars: (&calendars_name, &calendars_text),
        };
        let policy = keep(Policy::read(&sources, &names), &mut problems)?;
        // The policy has told their problems.
        let calendars = policy::calendars(&calendars_name, &calendars_text).unwrap_or_default();
        Some((policy, calendars))
    });
    match (config, compiled) {
        (Some(config), Some((policy, calendars))) if problems.is_empty() => {
            Ok(Compiled { config, policy: Arc::new(policy), calendars })
        }
        _ => Err(problems),
    }
}

/// Every problem of the configuration in `folder`, of its names in `rows` under these orders of supervisors
/// (clause B8) and of `rows` themselves, although some of the texts cannot be compiled: for whoever mends them all at once.
pub fn problems(folder: &Path, rows: DirectoryRows, orders: Orders) -> Vec<Problem> {
    let [_, policy_file, calendars_file] = files(folder);
    let (config, mut problems) = match config::load(folder) {
        Ok(config) => (Some(config.clone()), config.warnings),
        Err(found) => (None, found),
    };
    let policy_text = keep(config::read(&policy_file).map_err(|p| vec![p]), &mut problems);
    let calendars_text = keep(config::read(&calendars_file).map_err(|p| vec![p]), &mut problems);
    let (Some(policy_text), Some(calendars_text)) = (policy_text, calendars_text) else {
        return problems;
    };
    let (policy_name, calendars_name) = (shown(&policy_file), shown(&calendars_file));
    let sources = Sources {
        policy: (&policy_name, &policy_text),
        calendars: (&calendars_name, &calendars_text),
    };
    let names = config.as_ref().map_or_else(any_names, |c| Names::of(&c.settings));
    let calendars = policy::calendars_as_read(&calendars_name, &calendars_text);
    let limits = config.map_or(DIRECTORY_LIMITS_MAX, |c| c.directory_limits);
    let rows = DirectoryRows { calendars, ..rows };
    let found = match Directory::build_with(None, rows, orders, limits) {
        Ok(directory) => Policy::compile(&sources, &directory, &names),
        Err(lines) => {
            let problem = |l| Problem::of_directory(policy::Severity::Error, l, None);
            let of_people = lines.into_iter().map(problem);
            match Policy::read(&sources, &names) {
                Ok(policy) => Err(policy.warnings.into_iter().chain(of_people).collect()),
                Err(found) => Err(found.into_iter().chain(of_people).collect()),
            }
        }
    };
    problems.extend(found.map_or_else(|found| found, |policy| policy.warnings));
    problems
}

/// What can happen to callers from `at` on with these people under these orders of supervisors: see
/// [`Policy::prove`]. Nothing if the configuration cannot be compiled, or `rows` make no directory.
pub fn proofs(folder: &Path, rows: DirectoryRows, orders: Orders, at: Timestamp) -> Option<Proven> {
    let compiled = compile(folder).ok()?;
    let directory = ordered_directory(None, rows, orders, &compiled);
    directory.map(|directory| compiled.policy.prove(&directory, at)).ok()
}

/// The directory of `rows` under these calendars and limits. Errors: as problems of the directory.
pub fn directory(
    previous: Option<&Directory>,
    rows: DirectoryRows,
    compiled: &Compiled,
) -> Result<Directory, Vec<Problem>> {
    let orders = previous.map(|p| p.orders().clone()).unwrap_or_default();
    ordered_directory(previous, rows, orders, compiled)
}

/// The same under these orders of supervisors (clause B8).
pub(super) fn ordered_directory(
    previous: Option<&Directory>,
    rows: DirectoryRows,
    orders: Orders,
    compiled: &Compiled,
) -> Result<Directory, Vec<Problem>> {
    let rows = DirectoryRows { calendars: compiled.calendars.clone(), ..rows };
    let built = Directory::build_with(previous, rows, orders, compiled.config.directory_limits);
    built.map_err(|lines| {
        let problem = |l| Problem::of_directory(policy::Severity::Error, l, None);
        lines.into_iter().map(problem).collect()
    })
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// While `telefonist.toml` is broken, nobody is one too many.
const DIRECTORY_LIMITS_MAX: DirectoryLimits =
    DirectoryLimits { agents_max: 4_000, groups_max: 1_000 };

/// While `telefonist.toml` is broken, the policy is still read for its own problems.
fn any_names() -> Names {
    Names { trunks: Vec::new(), numbers: crate::domain::NumberFormat::of("DE") }
}
