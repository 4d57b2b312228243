//! A company of any size in a folder of its own: the shipped policy and people, many operators, many
//! clients, open around the clock. Nothing of the server is switched off.

use std::fmt::Write as _;
use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use telefonist::domain::NumberFormat;
use telefonist::store::import::{ImportOptions, import_folder};
use telefonist::store::{Actor, ClientsDb};
use tempfile::TempDir;

/// The address of record's host, and the realm of the passwords.
pub const DOMAIN: &str = "telefonist.example";
/// Where the trunk lives, any port.
pub const TRUNK: &str = "127.0.0.3";
/// Whom the callers dial: the number of sales support.
pub const DIALLED: &str = "+493023125950";

const SERVER_FILE: &str = include_str!("../../config/telefonist.toml");
const FILES: [(&str, &str); 3] = [
    ("policy.toml", include_str!("../../config/policy.toml")),
    ("departments.csv", include_str!("../../config/departments.csv")),
    ("absences.csv", include_str!("../../config/absences.csv")),
];
const CALENDARS: &str = include_str!("../../config/calendars.toml");
const PEOPLE: &str = include_str!("../../config/people.csv");

/// Listening, the trunk and bounds as a bench needs them; the rest is the shipped file.
const OVERRIDES: &str = r#"
listen = [{ bind = "127.0.0.1:0", transports = ["udp"] }]
[[trunk]]
name = "bench"
trusted = true
from = ["127.0.0.3"]
calls_max = 100000
calls_per_second_max = 10000
[timers]
wrap_up = "0s"
[limits]
calls_max = 1000000
transactions_max = 1000000
queue_len_max = 65000
agents_max = 4000
[admin]
http = "off"
"#;

/// The folder; gone when dropped.
pub struct Company {
    folder: TempDir,
}

impl Company {
    /// `operators` people with phones and `clients` who call.
    pub fn found(operators: usize, clients: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let company = Self { folder };
        fs::create_dir_all(company.config())?;
        fs::create_dir_all(company.state())?;
        let write = |name: &str, text: &str| fs::write(company.config().join(name), text);
        FILES.iter().try_for_each(|(name, text)| write(name, text))?;
        write("telefonist.toml", &server_file()?)?;
        write("calendars.toml", &always_open()?)?;
        write("people.csv", &people(operators))?;
        write("clients.csv", &callers(clients))?;
        company.import()?;
        Ok(company)
    }

    /// Configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// State.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn import(&self) -> Result<()> {
        let mut db = ClientsDb::open(&self.state().join("clients.db")).map_err(Error::other)?;
        let now = Timestamp::now();
        let numbers = NumberFormat::of("DE");
        let options = ImportOptions {
            actor: Actor { by: "bench", at: now },
            numbers: &numbers,
            realm: DOMAIN,
            calendars: &[],
            today: now.to_zoned(TimeZone::UTC).date(),
            dry_run: false,
            skip_bad: false,
            skip_unknown_columns: false,
        };
        let reports = import_folder(&mut db, &self.config(), options, &mut |_| {});
        let reports = reports.map_err(Error::other)?;
        match reports.iter().find(|report| !report.written) {
            Some(bad) => Err(Error::other(format!("{}: {:?}", bad.kind.as_str(), bad.bad))),
            None => Ok(()),
        }
    }
}

/// The short name, and the user part, of an operator.
pub fn operator(number: usize) -> String {
    format!("op{number}")
}

/// The password of an operator's phone.
pub fn password(number: usize) -> String {
    format!("pw-{number}")
}

/// The number that a client calls from.
pub fn caller(client: usize) -> String {
    format!("+44207{client:07}")
}

/// Which client calls from a number.
pub fn client_of(number: &str) -> Option<usize> {
    number.strip_prefix("+44207")?.parse().ok()
}

fn server_file() -> Result<String> {
    let mut file: toml::Table = SERVER_FILE.parse().map_err(Error::other)?;
    let overrides: toml::Table = OVERRIDES.parse().map_err(Error::other)?;
    file.extend(overrides);
    Ok(file.to_string())
}

/// The shipped calendars without closing times: a bench runs at any hour.
fn always_open() -> Result<String> {
    let mut calendars: toml::Table = CALENDARS.parse().map_err(Error::other)?;
    let week: toml::Table = "mon-sun = \"00:00-24:00\"".parse().map_err(Error::other)?;
    for (_, calendar) in &mut calendars {
        let Some(calendar) = calendar.as_table_mut() else { continue };
        calendar.remove("days");
        calendar.insert("week".to_owned(), week.clone().into());
    }
    Ok(calendars.to_string())
}

fn people(operators: usize) -> String {
    let mut text = PEOPLE.trim_end().to_owned();
    text.push('\n');
    for number in 0..operators {
        let (id, password) = (operator(number), password(number));
        let _ = writeln!(text, "{id},Operator {number},operator,sales_support,{id},,,{password},");
    }
    text
}

/// Clients without a manager who have ordered: rule B4, any operator.
fn callers(clients: usize) -> String {
    let mut text = "code,name,type,numbers,department,region,balance,last_order\n".to_owned();
    for client in 0..clients {
        let number = caller(client);
        let _ = writeln!(
            text,
            "B{client},Corner Shop {client},retail,{number},retail,Centre,{client}.50,today-7"
        );
    }
    text
}
