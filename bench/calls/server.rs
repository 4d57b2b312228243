//! The real server as a child process, and what the kernel says of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Error, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::company::Company;

/// A debug build on a busy machine has come up by then.
const START_MAX: Duration = Duration::from_secs(60);
/// The log is read this often until then.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// `USER_HZ` of every Linux that we run on.
const TICKS_PER_SECOND: u64 = 100;

/// A running server; killed when dropped.
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
    register: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// What the kernel gave for SO_RCVBUF.
    pub receive_buffer_bytes: u64,
}

/// CPU time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// In user mode, microseconds.
    pub user_us: u64,
    /// In the kernel, microseconds.
    pub system_us: u64,
}

impl Cpu {
    /// Of a process with all its threads.
    pub fn of(process: &str) -> Self {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |n: usize| fields.split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok());
        let us = |n| ticks(n).unwrap_or(0) * (1_000_000 / TICKS_PER_SECOND);
        Self { user_us: us(11), system_us: us(12) }
    }

    /// What was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user_us: self.user_us - earlier.user_us,
            system_us: self.system_us - earlier.system_us,
        }
    }

    /// Both.
    pub fn total_us(self) -> u64 {
        self.user_us + self.system_us
    }
}

/// What the register says of all calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Records.
    pub calls: u64,
    /// That are over.
    pub ended: u64,
    /// That were answered.
    pub answered: u64,
    /// With an explanation.
    pub explained: u64,
}

impl ServerProcess {
    /// Starts `program` and waits until it is ready.
    pub fn start(program: &Path, company: &Company) -> Result<Self> {
        let log = company.path().join("log");
        let child = Command::new(program)
            .arg("--config")
            .arg(company.config())
            .arg("--state")
            .arg(company.state())
            .arg("serve")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut server = Self {
            child,
            log,
            register: company.state().join("register.db"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            receive_buffer_bytes: 0,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                break;
            }
            if self.read_log()? {
                return Ok(());
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        Err(Error::other(format!("no server:\n{}", fs::read_to_string(&self.log)?)))
    }

    /// It is ready. What is to be known of it stands before that.
    fn read_log(&mut self) -> Result<bool> {
        for line in BufReader::new(File::open(&self.log)?).lines() {
            let line = line?;
            let word =
                |key: &str| line.split_once(key).and_then(|(_, rest)| rest.split(' ').next());
            if line.contains("listening: UDP") {
                self.address =
                    word("address=").and_then(|w| w.parse().ok()).unwrap_or(self.address);
                let bytes = word("receive_buffer_bytes=").and_then(|w| w.parse().ok());
                self.receive_buffer_bytes = bytes.unwrap_or(0);
            }
            if line.contains(" ready ") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Cpu {
        Cpu::of(&self.child.id().to_string())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory (PSS), bytes.
    pub fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()));
        let text = text.unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Waits until the register has `calls` ended calls, at most `at_most`; what it has.
    pub fn records(&self, calls: u64, at_most: Duration) -> Records {
        let until = Instant::now() + at_most;
        loop {
            // The file may be in the middle of being made.
            let records = count(&self.register).unwrap_or_default();
            if records.ended >= calls || Instant::now() > until {
                return records;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// What it wrote to its log that is no information: warnings, errors.
    pub fn complaints(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let is_bad = |line: &&str| [" WARN ", " ERROR "].iter().any(|word| line.contains(word));
        text.lines().filter(is_bad).map(str::to_owned).collect()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn count(register: &Path) -> rusqlite::Result<Records> {
    let db = Connection::open_with_flags(register, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT count(*), count(ended_at), count(answered_at), \
               (SELECT count(*) FROM explanations) FROM calls";
    db.query_row(sql, [], |row| {
        let count = |column| row.get::<usize, i64>(column).map(i64::unsigned_abs);
        Ok(Records {
            calls: count(0)?,
            ended: count(1)?,
            answered: count(2)?,
            explained: count(3)?,
        })
    })
}
