//! `telefonist.toml` → [`Config`], or the full list of problems, each with its place and a hint.
//!
//! Owns the table of keys ([`KEYS`]), the reading of the file and the printing of problems. Policy and
//! calendars have files and a compiler of their own (`policy`); this room only prints their problems.
//! Knows nothing of running calls: what a reload does with a new `Config` is `admin`'s.
//!
//! Addresses that a name or a network card gives (trunk names, `advertise`) are looked up here, at
//! start and at each reload, never while a call waits.
// The shell: names are resolved and cards asked here.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod accounts;
mod advertise;
mod convert;
mod core_tables;
mod keys;
mod listeners;
mod reader;
mod render;
mod shell_tables;
mod trunks;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use accounts::{account, group_id};
pub use keys::{ABSENT, KEYS, Key, reference};
pub use render::render;
pub use shell_tables::{CallbackNotify, LogFormat, NetSettings, RecorderSettings, ShellSettings};

use crate::domain::{DirectoryLimits, Settings};
use crate::policy::{Problem, Severity};

/// The file's name in the configuration folder.
pub const FILE_NAME: &str = "telefonist.toml";

/// Larger files are refused: nobody wrote that by hand.
const FILE_LEN_MAX: u64 = 4 << 20;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For the core.
    pub settings: Arc<Settings>,
    /// For the rooms around it.
    pub shell: Arc<ShellSettings>,
    /// Sizes of the board; fixed at start.
    pub directory_limits: DirectoryLimits,
    /// By listener: a missing address is a warning, not an end.
    pub optional_listeners: Vec<bool>,
    /// What works and is probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads `telefonist.toml` in `folder`. Errors: every problem of the file, warnings included.
pub fn load(folder: &Path) -> Result<Config, Vec<Problem>> {
    let path = folder.join(FILE_NAME);
    let text = read(&path).map_err(|problem| vec![problem])?;
    parse(&path.display().to_string(), &text)
}

/// One configuration file as text. Errors: a problem without a place that says what to do.
pub fn read(path: &Path) -> Result<String, Problem> {
    let problem = |(line, column), message: String, hint: &str| Problem {
        file: path.display().to_string().into(),
        line,
        column,
        span: 0..0,
        severity: Severity::Error,
        message,
        hint: Some(hint.to_string()),
    };
    let bytes = bytes(path).map_err(|error| {
        let hint = "name the folder with --config DIR; a sample lies in config/";
        problem((1, 1), format!("cannot be read: {error}"), hint)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&error.as_bytes()[..good]);
        let last = good.rsplit('\n').next().unwrap_or_default();
        let place = (good.matches('\n').count() as u32 + 1, last.chars().count() as u32 + 1);
        problem(place, "this is not UTF-8".to_string(), "save the file as UTF-8")
    })
}

/// A plain file's bytes, if they are not too many: neither a pipe nor a device holds anybody up.
pub fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() {
        return Err(std::io::Error::other("no plain file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(std::io::Error::other(format!("longer than {FILE_LEN_MAX} bytes")));
    }
    Ok(bytes)
}

/// `server.state` of the file in `folder`, whatever else is wrong there: nobody must look for calls in
/// another folder because of a trunk's name.
pub fn state_of(folder: &Path) -> Option<PathBuf> {
    let text = read(&folder.join(FILE_NAME)).ok()?;
    let (table, _) = toml::de::DeTable::parse_recoverable(&text);
    let server = table.get_ref().get("server")?.get_ref().as_table()?;
    let state = server.get("state")?.get_ref().as_str()?.trim();
    Some(PathBuf::from(state)).filter(|state| !state.as_os_str().is_empty())
}

/// From a text; `file` is what problems say.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Problem>> {
    let problems = reader::Problems::new(file, text);
    let config = compile(text, &problems);
    let list = problems.into_list();
    match config {
        Some(mut config) if list.iter().all(|p| p.severity != Severity::Error) => {
            config.warnings = list;
            Ok(config)
        }
        _ => Err(list),
    }
}

fn compile(text: &str, problems: &reader::Problems) -> Option<Config> {
    let mut document = reader::Document::parse(text, problems);
    let server = core_tables::server(&mut document);
    let listeners = listeners::all(&mut document, problems);
    let trunks = trunks::all(&mut document, server.numbers.as_ref(), problems);
    let core = core_tables::rest(&mut document);
    let shell = shell_tables::all(&mut document, &server);
    server.check_outbound(&trunks, problems);
    let settings = Settings {
        domains: server.domains?,
        realm: server.realm?,
        digests: server.digests?,
        md5_only_agents: server.md5_only_agents,
        numbers: server.numbers?,
        listeners: listeners.iter().map(|l| l.listener.clone()).collect(),
        trunks,
        outbound_trunk: server.outbound_trunk,
        lock_after: core.lock_after,
        star_codes: core.star_codes,
        login_on_register: core.login_on_register,
        limits: core.limits,
        timers: core.timers,
    };
    Some(Config {
        settings: Arc::new(settings),
        shell: Arc::new(shell),
        directory_limits: core.directory_limits,
        optional_listeners: listeners.iter().map(|l| l.optional).collect(),
        warnings: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
