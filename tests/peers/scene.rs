//! The company of these tests: a folder with configuration and people, and the running server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use telefonist::domain::NumberFormat;
use telefonist::store::import::{ImportOptions, import_folder};
use telefonist::store::register::{CallFilter, CallRow, CallStory, Register};
use telefonist::store::{Actor, ClientsDb};
use tempfile::TempDir;

use crate::program::Program;

/// What ought to take a moment may take so long on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The company's domain, and the digest realm.
pub const DOMAIN: &str = "tele.test";
/// Where the server listens, where phones, trunk and strangers live.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
/// Phones.
pub const PHONES: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// The trunk's address, any port.
pub const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// A PBX in front, the same trunk.
pub const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));
/// A second trunk, which takes calls out.
pub const CARRIER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
/// Nobody whom the server knows.
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));

/// Scenes at once: peers need a processor too.
const SCENES_MAX: u16 = 3;

/// The operators' SIP accounts, with passwords `pw-201` …; people `op1` ….
pub const OPERATORS: [&str; 10] =
    ["201", "202", "203", "204", "205", "206", "207", "208", "209", "210"];
/// ACME's manager `mia`.
pub const MANAGER: &str = "301";

const POLICY: &str = r#"
[settings]
client_types       = ["key", "retail"]
default_department = "support"
callback_owner     = "person hans"

[[rule]]
name   = "key client"
clause = "B2"
when   = { client_type = "key" }
route  = [
  { to = "manager",       ring = "2s", wait = "4s" },
  { to = "role operator", ring = "2s", wait = "20s" },
  { to = "callback" },
]

[[rule]]
name   = "everybody else"
clause = "B4"
route  = [
  { to = "role operator", ring = "2s", wait = "60s" },
  { to = "callback" },
]
"#;

const CALENDARS: &str = "[always]\nzone = \"UTC\"\n[always.week]\nmon-sun = \"00:00-24:00\"\n";

const DEPARTMENTS: &str =
    "id,name,head,deputy_head,calendar,regions\nsupport,Support,hans,,always,\n";

const CLIENTS: &str = "code,name,type,numbers,manager,department\n\
                       K1,ACME,key,+49 30 23125 0011,mia,support\n";

/// How a scene differs from the usual.
#[derive(Clone, Copy, Debug)]
pub struct Company<'a> {
    /// Lines of `[server]`.
    pub server: &'a str,
    /// Lines at the end of `telefonist.toml`.
    pub more: &'a str,
    /// `policy.toml`.
    pub policy: &'a str,
    /// Every step's `ring`.
    pub ring: &'a str,
    /// `timers.wrap_up`.
    pub wrap_up: &'a str,
}

impl Default for Company<'_> {
    fn default() -> Self {
        Self { server: "", more: "", policy: POLICY, ring: "2s", wrap_up: "0s" }
    }
}

/// One server with its folder.
pub struct Scene {
    // Before the folder: the server ends first.
    server: Option<Program>,
    folder: TempDir,
    /// UDP and TCP.
    pub address: SocketAddr,
    _place: Place,
}

impl Scene {
    /// A server with the usual company.
    pub fn start() -> Self {
        Self::of(Company::default())
    }

    /// A server with this company.
    pub fn of(company: Company<'_>) -> Self {
        let place = Place::take();
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::new(SERVER, free_port());
        let mut scene = Self { server: None, folder, address, _place: place };
        scene.configure(company);
        scene.people();
        scene.run();
        scene
    }

    /// Everything of this scene lies here.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    fn configure(&self, company: Company<'_>) {
        let Company { server, more, policy, ring, wrap_up } = company;
        let config = self.config();
        std::fs::create_dir_all(&config).expect("a folder");
        let text = format!(
            "[server]\ndomains = [\"{DOMAIN}\"]\ncountry = \"DE\"\nworkers = 2\n{server}\
             [[listen]]\nbind = \"{}\"\n\
             [[trunk]]\nname = \"pbx\"\nfrom = [\"{TRUNK}\", \"{PBX}\"]\n\
             [timers]\nwrap_up = \"{wrap_up}\"\nrefuse_backoff = \"1s\"\nbusy_backoff = \"1s\"\n\
             [callback]\nnotify = \"off\"\n[admin]\nhttp = \"off\"\n{more}",
            self.address
        );
        let write = |name: &str, text: &str| {
            std::fs::write(config.join(name), text).expect("the folder is ours")
        };
        write("telefonist.toml", &text);
        write("policy.toml", &policy.replace("ring = \"2s\"", &format!("ring = \"{ring}\"")));
        write("calendars.toml", CALENDARS);
    }

    fn people(&self) {
        std::fs::create_dir_all(self.state()).expect("a folder");
        let files = [("people", &*people()), ("departments", DEPARTMENTS), ("clients", CLIENTS)];
        for (name, text) in files {
            let file = self.path().join(format!("{name}.csv"));
            std::fs::write(file, text).expect("the folder is ours");
        }
        let numbers = NumberFormat::of("DE");
        let now = Timestamp::now();
        let options = ImportOptions {
            actor: Actor { by: "test", at: now },
            numbers: &numbers,
            realm: DOMAIN,
            calendars: &[],
            today: now.to_zoned(jiff::tz::TimeZone::UTC).date(),
            dry_run: false,
            skip_bad: false,
            skip_unknown_columns: false,
        };
        let mut db = ClientsDb::open(&self.state().join("clients.db")).expect("clients.db");
        let reports = import_folder(&mut db, self.path(), options, &mut |_| {});
        for report in reports.expect("the files are ours") {
            assert!(report.bad.is_empty(), "{report:?}");
        }
    }

    /// Starts the server on what lies in the folder.
    pub fn run(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telefonist"));
        command.arg("--config").arg(self.config()).arg("--state").arg(self.state()).arg("serve");
        let mut server = Program::start("telefonist", &mut command);
        server.wait_for("ready", PATIENCE);
        self.server = Some(server);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Runs the program's own command line; its JSON.
    pub fn ask(&self, arguments: &[&str]) -> serde_json::Value {
        let done = Command::new(env!("CARGO_BIN_EXE_telefonist"))
            .arg("--config")
            .arg(self.config())
            .arg("--state")
            .arg(self.state())
            .arg("--json")
            .args(arguments)
            .output()
            .expect("our own program");
        let (out, err) = (&done.stdout, String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(out).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {err}"))
    }

    /// What `found` finds, looked for again with each line of the server's log and four times a second.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            if Instant::now() > end {
                let calls = self.stories();
                panic!("not seen: {what}\n{calls:#?}");
            }
            let server = self.server.as_mut().expect("it runs");
            server.wait_until(Duration::from_millis(50), |_| true);
        }
    }

    /// Waits until `accounts` have as many bindings as given.
    pub fn until_bound(&mut self, bindings: u64) {
        let what = format!("{bindings} bindings");
        self.until(&what, |s| (s.ask(&["status"])["bindings"] == bindings).then_some(()));
    }

    /// All calls with their stories, in the order of arrival.
    pub fn stories(&self) -> Vec<CallStory> {
        let Ok(register) = Register::read(&self.state().join("register.db")) else {
            return Vec::new();
        };
        let filter = CallFilter { limit: Some(1_000), ..CallFilter::default() };
        let calls: Vec<CallRow> = register.calls(&filter).unwrap_or_default();
        calls.iter().filter_map(|c| register.show(c.call).ok().flatten()).collect()
    }

    /// Waits until `count` calls are in the register and over.
    pub fn ended(&mut self, count: usize) -> Vec<CallStory> {
        self.until(&format!("{count} calls that are over"), |scene| {
            let stories = scene.stories();
            let over = stories.iter().filter(|s| s.call.ended_at.is_some()).count();
            assert!(stories.len() <= count, "too many calls: {stories:#?}");
            (over == count).then_some(stories)
        })
    }

    /// The one call of this scene, over.
    pub fn story(&mut self) -> CallStory {
        self.ended(1).remove(0)
    }
}

fn people() -> String {
    let mut text = "id,name,roles,department,sip_user,supervisor,password\n\
                    hans,Hans Head,head,support,101,,pw-101\n\
                    mia,Mia Key,key_account_manager,support,301,hans,pw-301\n"
        .to_owned();
    for (n, user) in (1..).zip(OPERATORS) {
        text += &format!("op{n},Operator {n},operator,support,{user},hans,pw-{user}\n");
    }
    text
}

/// Ports below the kernel's ephemeral ones, each given once in this process.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A port, and the one after it, that nobody has on any of our addresses.
pub fn free_port() -> u16 {
    // Test processes at once begin at different places.
    let begin = 20_000 + (std::process::id() % 200) as u16 * 60;
    loop {
        let port = 20_000 + (begin - 20_000 + NEXT_PORT.fetch_add(2, Ordering::Relaxed)) % 12_000;
        let is_free = |port: u16| {
            let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            UdpSocket::bind(any).is_ok() && TcpListener::bind(any).is_ok()
        };
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
}

static SCENES: Mutex<u16> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

/// One of the places for scenes.
struct Place;

impl Place {
    fn take() -> Self {
        let taken = SCENES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            LEFT.wait_while(taken, |n| *n >= SCENES_MAX).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *SCENES.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        LEFT.notify_one();
    }
}
