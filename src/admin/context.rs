//! Where files lie, who is asking, what time it is.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::args::Common;
use super::output::Failure;
use crate::config::{self, Config};
use crate::policy::parse_duration;
use crate::server::{StateFolder, user_name};
use crate::store::{Actor, ClientsDb};

/// What all commands share.
pub(super) struct Context {
    /// The configuration's folder.
    pub(super) config_dir: PathBuf,
    /// `--state`.
    pub(super) state: Option<PathBuf>,
    /// `--json`.
    pub(super) json: bool,
    /// The system's user.
    pub(super) by: String,
    /// Now.
    pub(super) at: Timestamp,
}

impl Context {
    pub(super) fn new(common: &Common) -> Self {
        Self {
            config_dir: common.config.clone().unwrap_or_else(usual_config),
            state: common.state.clone(),
            json: common.json,
            by: whoami(),
            at: Timestamp::now(),
        }
    }

    /// The state folder: `--state`, else the file's, else the usual one.
    pub(super) fn folder(&self) -> StateFolder {
        self.folder_of(&self.config_dir)
    }

    /// The state folder that goes with another configuration.
    pub(super) fn folder_of(&self, config_dir: &Path) -> StateFolder {
        let named = self.state.clone().or_else(|| config::state_of(config_dir));
        StateFolder::at(&named.unwrap_or_else(StateFolder::usual))
    }

    /// `telefonist.toml`.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        config::load(&self.config_dir).map_err(Failure::from)
    }

    /// Clients and people, to be looked at: also where nothing may be written.
    pub(super) fn clients_to_read(&self) -> Result<ClientsDb, Failure> {
        Ok(ClientsDb::open_read_only(&self.clients_file()?)?)
    }

    /// Clients and people, to be changed.
    pub(super) fn clients_db(&self) -> Result<ClientsDb, Failure> {
        Ok(ClientsDb::open(&self.clients_file()?)?)
    }

    /// Their file, which is there.
    pub(super) fn clients_file(&self) -> Result<PathBuf, Failure> {
        let file = self.folder().clients_db();
        // A mistyped folder, or a file that somebody emptied, must not become an empty company.
        let what = match std::fs::metadata(&file) {
            Err(e) if e.kind() == ErrorKind::NotFound => "not there",
            Ok(meta) if meta.len() == 0 => "empty",
            _ => return Ok(file),
        };
        let next = "import people and clients first, or name the state folder (--state DIR)";
        Err(Failure::Refused(format!("{}: {what}; {next}", file.display())))
    }

    /// The same, made if it is not there.
    pub(super) fn new_clients_db(&self) -> Result<ClientsDb, Failure> {
        let folder = self.folder();
        folder.create().map_err(|e| {
            Failure::Refused(format!("{}: {e} (--state DIR)", folder.root().display()))
        })?;
        Ok(ClientsDb::open(&folder.clients_db())?)
    }

    /// Who does it, and when.
    pub(super) fn actor(&self) -> Actor<'_> {
        Actor { by: &self.by, at: self.at }
    }

    /// Today, here.
    pub(super) fn today(&self) -> Date {
        self.here().date()
    }

    /// `2h` and `3d` ago, a day's begin, a local time, or a time with its offset.
    pub(super) fn instant(&self, text: &str) -> Result<Timestamp, Failure> {
        let text = text.trim();
        if let Some(ago) = parse_duration(text) {
            let at = self.at.checked_sub(ago);
            return at.map_err(|_| Failure::Usage(format!("`{text}` is too long ago")));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at);
        }
        let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(Into::into));
        let zoned = local.ok().and_then(|local| local.to_zoned(TimeZone::system()).ok());
        zoned.map(|z| z.timestamp()).ok_or_else(|| {
            let known = "2h, 3d, 2026-03-02, 2026-03-02T09:00, 2026-03-02T09:00+01:00";
            Failure::Usage(format!("`{text}` is no time; write {known}"))
        })
    }

    /// `2026-03-02`, `today`, `yesterday`, `tomorrow`.
    pub(super) fn day(&self, text: &str) -> Result<Date, Failure> {
        let today = self.today();
        let named = match text.trim() {
            "today" => Ok(today),
            "yesterday" => today.yesterday(),
            "tomorrow" => today.tomorrow(),
            day => day.parse::<Date>(),
        };
        named.map_err(|_| Failure::Usage(format!("`{text}` is no day; write 2026-03-02")))
    }

    fn here(&self) -> Zoned {
        self.at.to_zoned(TimeZone::system())
    }
}

fn usual_config() -> PathBuf {
    let local = Path::new("config");
    if local.join(config::FILE_NAME).exists() {
        return local.to_owned();
    }
    let given = std::env::var_os("CONFIGURATION_DIRECTORY").filter(|v| !v.is_empty());
    given.map_or_else(|| PathBuf::from("/etc/telefonist"), PathBuf::from)
}

/// The owner of this process; `$USER` where the system does not say.
fn whoami() -> String {
    match std::fs::metadata("/proc/self") {
        Ok(me) => user_name(me.uid()),
        Err(_) => std::env::var("USER").unwrap_or_else(|_| "unknown".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_written_in_several_ways() {
        let context = Context {
            config_dir: PathBuf::new(),
            state: None,
            json: false,
            by: "test".into(),
            at: "2026-03-02T12:00:00Z".parse().expect("a literal"),
        };
        let at = |text: &str| context.instant(text).ok().map(|t| t.to_string());
        assert_eq!(at("2h").as_deref(), Some("2026-03-02T10:00:00Z"));
        assert_eq!(at("2026-03-02T09:00+01:00").as_deref(), Some("2026-03-02T08:00:00Z"));
        assert!(at("2026-03-01").is_some() && at("2026-03-01T10:30").is_some());
        assert_eq!(at("noon"), None);
        assert!(context.day("2026-13-01").is_err() && context.day("today").is_ok());
    }
}
