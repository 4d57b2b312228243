//! The company of the demonstration: the shipped configuration and tables, in a folder of their own.
//!
//! Nothing is changed but where it listens, whom the trunk is known by, and how fast time goes: times
//! of the policy and of rests after calls are divided by the speed. The files are part of the program,
//! so that it can be shown anywhere.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, civil::Weekday, tz::TimeZone};

use super::DemoError;
use crate::domain::{BACKOFF_MIN, NumberFormat};
use crate::store::import::{ImportOptions, import_folder};
use crate::store::{Actor, ClientsDb};

/// The address of record's host, and the realm of the sample passwords.
pub const DOMAIN: &str = "telefonist.example";
/// Whose clocks count.
const ZONE: &str = "Europe/Berlin";
/// Marks a folder that a demonstration may empty.
const MARK: &str = ".telefonist-demo";

const FILES: [(&str, &str); 6] = [
    ("policy.toml", include_str!("../../config/policy.toml")),
    ("calendars.toml", include_str!("../../config/calendars.toml")),
    ("people.csv", include_str!("../../config/people.csv")),
    ("departments.csv", include_str!("../../config/departments.csv")),
    ("absences.csv", include_str!("../../config/absences.csv")),
    ("clients.csv", include_str!("../../config/clients.csv")),
];
const SERVER_FILE: &str = include_str!("../../config/telefonist.toml");

/// The text of a shipped table.
pub fn table(name: &str) -> &'static str {
    FILES.iter().find(|(file, _)| *file == name).map_or("", |(_, text)| text)
}

/// Where a demonstration lives.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    temporary: bool,
}

impl Folder {
    /// Makes `data`, or a folder of the system's for temporary files, which goes when this is dropped.
    /// What an earlier demonstration left in `data` is taken away. Errors: `data` holds something
    /// else, or the system's.
    pub fn make(data: Option<&Path>) -> Result<Self, DemoError> {
        let root = match data {
            Some(data) => data.to_owned(),
            None => std::env::temp_dir().join(format!("telefonist-demo-{}", std::process::id())),
        };
        let failed = |e: io::Error| DemoError::Folder(root.clone(), e.to_string());
        if !root.join(MARK).exists() {
            let foreign = fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some());
            if foreign {
                let why = "is not empty and no earlier demonstration's: name another folder";
                return Err(DemoError::Folder(root.clone(), why.to_owned()));
            }
        } else {
            fs::remove_dir_all(&root).map_err(failed)?;
        }
        fs::create_dir_all(&root).map_err(failed)?;
        fs::write(root.join(MARK), "made by `telefonist demo`\n").map_err(failed)?;
        Ok(Self { root, temporary: data.is_none() })
    }

    /// The folder, if it goes in the end.
    pub fn temporary(&self) -> Option<PathBuf> {
        self.temporary.then(|| self.root.clone())
    }

    /// Configuration of the act called `act`.
    pub fn config(&self, act: &str) -> PathBuf {
        self.root.join(act).join("config")
    }

    /// State of the act called `act`.
    pub fn state(&self, act: &str) -> PathBuf {
        self.root.join(act).join("state")
    }

    /// Writes the configuration for `act`. `policy` is played instead of the shipped one if given.
    pub fn furnish(
        &self,
        act: &str,
        (server, trunk): (SocketAddr, SocketAddr),
        speed: u32,
        policy: Option<&str>,
    ) -> Result<(), DemoError> {
        let config = self.config(act);
        let failed = |e: io::Error| DemoError::Folder(config.clone(), e.to_string());
        fs::create_dir_all(&config).map_err(failed)?;
        for (name, text) in FILES {
            let text = match (name, policy) {
                ("policy.toml", policy) => faster(policy.unwrap_or(text), speed),
                _ => text.to_owned(),
            };
            fs::write(config.join(name), text).map_err(failed)?;
        }
        let text = server_file(server, trunk, speed)?;
        fs::write(config.join("telefonist.toml"), text).map_err(failed)
    }

    /// Reads the sample company into the databases of `act`, as of `now`.
    pub fn fill(&self, act: &str, now: Timestamp) -> Result<(), DemoError> {
        let (config, state) = (self.config(act), self.state(act));
        let failed = |why: String| DemoError::Folder(state.clone(), why);
        fs::create_dir_all(&state).map_err(|e| failed(e.to_string()))?;
        let mut db =
            ClientsDb::open(&state.join("clients.db")).map_err(|e| failed(e.to_string()))?;
        let numbers = NumberFormat::of("DE");
        let options = ImportOptions {
            actor: Actor { by: "demo", at: now },
            numbers: &numbers,
            realm: DOMAIN,
            calendars: &[],
            today: berlin(now).date(),
            dry_run: false,
            skip_bad: false,
            skip_unknown_columns: false,
        };
        let reports = import_folder(&mut db, &config, options, &mut |_| {});
        let reports = reports.map_err(|e| failed(e.to_string()))?;
        match reports.iter().find(|r| !r.written) {
            Some(bad) => Err(failed(format!("{}: {:?}", bad.kind.as_str(), bad.bad))),
            None => Ok(()),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // The system empties it one day.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// `telefonist.toml` with loopback addresses, the simulated trunk and shorter rests.
fn server_file(server: SocketAddr, trunk: SocketAddr, speed: u32) -> Result<String, DemoError> {
    let broken = |e: String| DemoError::Folder("telefonist.toml".into(), e);
    let mut file: toml::Table =
        SERVER_FILE.parse().map_err(|e: toml::de::Error| broken(e.to_string()))?;
    let rest = |at_least: u32| format!("{}ms", (10_000 / speed).max(at_least));
    let added = format!(
        "listen = [{{ bind = \"{server}\" }}]\n\
         [[trunk]]\nname = \"pbx\"\ntrusted = true\nfrom = [\"{trunk}\"]\nto = \"udp:{trunk}\"\n\
         [[trunk]]\nname = \"your-pbx\"\nfrom = [\"127.0.0.2\"]\n\
         [timers]\nwrap_up = \"{0}\"\nrefuse_backoff = \"{1}\"\nbusy_backoff = \"{1}\"\n\
         [admin]\nhttp = \"off\"\n",
        rest(50),
        rest(BACKOFF_MIN.as_millis() as u32)
    );
    let added: toml::Table = added.parse().map_err(|e: toml::de::Error| broken(e.to_string()))?;
    file.extend(added);
    Ok(format!("# Made by `telefonist demo` from the shipped file.\n{file}"))
}

/// Every time in seconds (`"20s"`) divided by `speed`.
fn faster(text: &str, speed: u32) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let (before, after) = rest.split_at(start + 1);
        out.push_str(before);
        let word = after.split('"').next().unwrap_or_default();
        match word.strip_suffix('s').and_then(|n| n.parse::<u32>().ok()) {
            Some(seconds) => out.push_str(&format!("{}ms", seconds * 1_000 / speed.max(1))),
            None => out.push_str(word),
        }
        rest = &after[word.len()..];
        if let Some(closed) = rest.strip_prefix('"') {
            out.push('"');
            rest = closed;
        }
    }
    out.push_str(rest);
    out
}

/// When the demonstration plays: the next Tuesday that is no holiday, 10:00; before that, at 04:30 of
/// the same day, when every department is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// How far 10:00 is ahead.
    pub office: SignedDuration,
    /// How far 04:30 is ahead.
    pub night: SignedDuration,
}

impl Day {
    /// Seen from `now`.
    pub fn after(now: Timestamp) -> Self {
        let holidays = [(1, 1), (1, 2), (2, 23), (12, 24), (12, 25), (12, 26)];
        let mut date = berlin(now).date();
        loop {
            date = date.checked_add(1.day()).unwrap_or(date);
            let closed = holidays.contains(&(date.month(), date.day()));
            if date.weekday() == Weekday::Tuesday && !closed {
                break;
            }
        }
        let zone = berlin(now).time_zone().clone();
        let ahead = |hour, minute| {
            let at = date.at(hour, minute, 0, 0).to_zoned(zone.clone());
            at.map_or(SignedDuration::ZERO, |at| at.timestamp().duration_since(now))
        };
        Self { office: ahead(10, 0), night: ahead(4, 30) }
    }
}

/// `at` as the company's clocks show it.
pub fn berlin(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::get(ZONE).unwrap_or(TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_policy_are_divided_and_nothing_else() {
        let text = "ring = \"20s\" # \"x\"\nage = \"1d\"\nname = \"2 s\"\nkey = \"60s\"";
        let fast = "ring = \"2000ms\" # \"x\"\nage = \"1d\"\nname = \"2 s\"\nkey = \"6000ms\"";
        assert_eq!(faster(text, 10), fast);
        assert_eq!(faster("say \"open", 10), "say \"open");
    }

    #[test]
    fn the_day_is_a_tuesday_that_is_no_holiday() {
        // Two Tuesdays in a row are holidays then: 26 December and 2 January.
        let now: Timestamp = "2028-12-20T12:00:00Z".parse().expect("a literal");
        let day = Day::after(now);
        let at = berlin(now.checked_add(day.office).expect("in range"));
        assert_eq!(at.strftime("%F %H:%M").to_string(), "2029-01-09 10:00");
        assert_eq!(day.office - day.night, SignedDuration::from_mins(330));
    }

    #[test]
    fn the_shipped_files_compile_with_the_demonstrations_changes() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = Folder::make(Some(&temp.path().join("demo"))).expect("made");
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        folder.furnish("day", (at(5070), at(5080)), 10, None).expect("written");
        let compiled = crate::server::compile(&folder.config("day")).expect("compiles");
        let trunk = &compiled.config.settings.trunks[0];
        assert_eq!(trunk.target.as_ref().and_then(|t| t.address), Some(at(5080)));
        assert!(Folder::make(Some(temp.path())).is_err(), "somebody else's folder");
        assert!(Folder::make(Some(&temp.path().join("demo"))).is_ok(), "an earlier one's");
    }
}
