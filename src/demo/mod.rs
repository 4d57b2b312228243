//! `telefonist demo`: the real server with the sample company, a simulated trunk and simulated
//! softphones over real sockets, and a show of what the policy does.
//!
//! ```text
//!   company (folder) ─► stage: Server ◄── UDP ── phones, trunk
//!                                │
//!   script ─► play ──────────────┤ register, journal
//!                                ▼
//!   roster ─► expected ─────► verdict ─► story, table, JSON
//! ```
//! `phone` and `trunk` use the wire like anybody else; `expected` reads the paper and the tables
//! and asks neither the policy engine nor the server. This room starts the server and knows `server`,
//! `store` and `config`; nobody knows this room but the command line.
// The shell: sockets, the clock, locks that no call waits for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod company;
mod expected;
mod phone;
mod play;
mod roster;
mod script;
mod stage;
mod story;
mod table;
mod trunk;
mod verdict;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval};

use crate::server::StartError;
use crate::store::register::{CallFilter, CallStory, Register};
use company::{Day, Folder};
use roster::Roster;
use script::Scene;
use stage::{Act, Stage};
pub use verdict::{OfferReport, Report, StepReport};

/// The register has every call by then.
const REGISTER_MAX: Duration = Duration::from_secs(10);
/// It is looked at this often until it has.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// More calls than any show has.
const CALLS_MAX: u32 = 10_000;
/// The speed unless another is asked for.
pub const SPEED: u32 = 10;
/// Beyond this, a second of the policy is shorter than a phone needs to answer.
pub const SPEED_MAX: u32 = 20;

/// What to show.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// End after the calls, instead of serving on.
    pub once: bool,
    /// One JSON document instead of stories and a table.
    pub json: bool,
    /// Order of the scenes, and who calls.
    pub seed: u64,
    /// Where data go; a temporary folder, which is taken away in the end, unless given.
    pub data: Option<PathBuf>,
    /// The policy's times are divided by this; 1 to [`SPEED_MAX`].
    pub speed: u32,
    /// The text of another policy to be played. What is expected stays the paper's.
    pub policy: Option<String>,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { once: false, json: false, seed: 1, data: None, speed: SPEED, policy: None }
    }
}

/// Why there is no show.
#[derive(Debug)]
pub enum DemoError {
    /// The folder cannot be used.
    Folder(PathBuf, String),
    /// No socket, no thread.
    Socket(std::io::Error),
    /// The server does not start.
    Server(StartError),
    /// The show cannot go on.
    Stuck(String),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Socket(error) => write!(f, "no socket for phones and trunk: {error}"),
            Self::Server(error) => error.fmt(f),
            Self::Stuck(why) => write!(f, "the show cannot go on: {why}"),
        }
    }
}

impl std::error::Error for DemoError {}

/// The whole show in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Show {
    /// As asked for.
    pub seed: u64,
    /// As asked for.
    pub speed: u32,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// Every call went where the paper says.
    pub ok: bool,
    /// How many did not.
    pub wrong: usize,
    /// The calls in the order of their numbers.
    pub calls: Vec<Report>,
}

/// Plays the show and prints it: every call went where the paper says. Errors: there was no show.
pub fn run(options: &DemoOptions) -> Result<bool, DemoError> {
    Demo::prepare(options)?.run()
}

/// Plays the show once and gives its figures; prints nothing.
pub fn show(options: &DemoOptions) -> Result<Show, DemoError> {
    let quiet = DemoOptions { json: true, ..options.clone() };
    let mut demo = Demo::prepare(&quiet)?;
    let (show, stage) = demo.show()?;
    stage.server.stop();
    Ok(show)
}

struct Demo {
    options: DemoOptions,
    runtime: Runtime,
    folder: Folder,
    roster: Roster,
    day: Day,
    calls: u32,
}

impl Demo {
    fn prepare(options: &DemoOptions) -> Result<Self, DemoError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("demo")
            .enable_all()
            .build()
            .map_err(DemoError::Socket)?;
        let mut options = options.clone();
        options.speed = options.speed.clamp(1, SPEED_MAX);
        Ok(Self {
            folder: Folder::make(options.data.as_deref())?,
            options,
            runtime,
            roster: Roster::shipped(),
            day: Day::after(Timestamp::now()),
            calls: 0,
        })
    }

    fn run(mut self) -> Result<bool, DemoError> {
        let leaving = self.runtime.spawn(leave_when_told(self.folder.temporary()));
        let (show, stage) = self.show()?;
        if self.options.json {
            let text = serde_json::to_string_pretty(&show);
            story::say(&text.map_err(|e| DemoError::Stuck(e.to_string()))?);
        } else {
            story::say(&format!("\n{}", table::table(&show.calls)));
        }
        if self.options.once {
            stage.server.stop();
        } else {
            leaving.abort();
            self.serve(&stage)?;
        }
        Ok(show.ok)
    }

    fn show(&mut self) -> Result<(Show, Arc<Stage>), DemoError> {
        let begun = Instant::now();
        let (seed, speed) = (self.options.seed, self.options.speed);
        let plot = script::write(&self.roster, seed);
        self.say(&format!(
            "Telefonist plays a day at a sample company, over real SIP on loopback. Times of the \
             policy are divided by {speed} (--speed). Seed {seed}.\nData: {}",
            self.folder.root().display()
        ));
        let (mut calls, night) = self.act("night", &plot.night)?;
        night.server.stop();
        let (by_day, stage) = self.act("day", &plot.day)?;
        calls.extend(by_day);
        let wrong = calls.iter().filter(|c| !c.ok).count();
        let took_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        Ok((Show { seed, speed, took_ms, ok: wrong == 0, wrong, calls }, stage))
    }

    fn act(
        &mut self,
        name: &str,
        scenes: &[Scene],
    ) -> Result<(Vec<Report>, Arc<Stage>), DemoError> {
        let closed = name == "night";
        let ahead = if closed { self.day.night } else { self.day.office };
        let (speed, policy) = (self.options.speed, self.options.policy.as_deref());
        let act = Act { name, ahead, closed, speed, policy, talks: !self.options.json };
        let stage = Arc::new(Stage::open(&self.runtime, &self.folder, &self.roster, act)?);
        let at = Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX);
        let at = company::berlin(at).strftime("%A %F %H:%M").to_string();
        self.say(&format!("\nThe clock says {at}; the server listens at {}.", stage.address));
        let telling = self.telling(&stage)?;
        let mut all = Vec::new();
        for scene in scenes {
            self.say(&format!("\n── {} ──", scene.title));
            let first = self.calls + 1;
            let played = self.runtime.block_on(play::play(&stage, scene, first, speed))?;
            self.calls += played.len() as u32;
            if let Some(telling) = &telling {
                self.runtime.block_on(telling.caught_up());
            }
            all.push((scene, played));
        }
        let total = all.iter().map(|(_, played)| played.len()).sum();
        let stories = self.runtime.block_on(stories(&stage, total))?;
        let judge = |(scene, played): &(&Scene, Vec<play::Played>)| {
            verdict::judge(&self.roster, (scene, closed), played, &stories)
        };
        Ok((all.iter().flat_map(judge).collect(), stage))
    }

    fn telling(&self, stage: &Stage) -> Result<Option<story::Telling>, DemoError> {
        if self.options.json {
            return Ok(None);
        }
        let journal = stage.server.folder().journal();
        let failed = |e: std::io::Error| DemoError::Folder(journal.clone(), e.to_string());
        let teller = story::Teller::new(&journal).map_err(failed)?;
        let _context = self.runtime.enter();
        Ok(Some(teller.tell()))
    }

    /// Until Ctrl-C. Simulated operators go home, so that one's own phone is theirs; times are as the
    /// policy writes them, so that a person can pick up.
    fn serve(&self, stage: &Stage) -> Result<(), DemoError> {
        let operators = vec!["nina.adler", "olga.reim", "pavel.horn"];
        let scene = Scene {
            title: "open house",
            gone: operators,
            moods: Vec::new(),
            two_phones: Vec::new(),
            calls: Vec::new(),
        };
        self.runtime.block_on(stage.set(&scene))?;
        let addresses = (stage.address, stage.trunk.local());
        self.folder.furnish("day", addresses, 1, self.options.policy.as_deref())?;
        let problems = stage.server.reload("demo").err().unwrap_or_default();
        if let Some(problem) = problems.first() {
            return Err(DemoError::Stuck(problem.to_string()));
        }
        let text = table::settings(stage);
        if self.options.json {
            eprintln!("{text}");
        } else {
            story::say(&text);
        }
        stage.server.run().map_err(DemoError::Socket)
    }

    fn say(&self, text: &str) {
        if !self.options.json {
            story::say(text);
        }
    }
}

/// Ctrl-C or SIGTERM while the show plays: it ends at once, and its temporary folder goes with it.
async fn leave_when_told(temporary: Option<PathBuf>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    let number = tokio::select! {
        told = ctrl_c() => if told.is_ok() { 2 } else { return },
        _ = terminate.recv() => 15,
    };
    if let Some(folder) = temporary {
        // The system empties it one day.
        let _ = std::fs::remove_dir_all(folder);
    }
    // As a shell says that a signal ended a program.
    std::process::exit(128 + number);
}

/// What the register has, once it has `total` calls of the trunk and all of them are over.
async fn stories(stage: &Stage, total: usize) -> Result<Vec<CallStory>, DemoError> {
    let stuck = |e: String| DemoError::Stuck(e);
    let until = Instant::now() + REGISTER_MAX;
    let mut look = interval(LOOK_EVERY);
    loop {
        look.tick().await;
        // The file is made by the server's thread in its own time.
        let complete = Register::read(&stage.server.folder().register_db()).and_then(|register| {
            let filter = CallFilter { limit: Some(CALLS_MAX), ..CallFilter::default() };
            let rows = register.calls(&filter)?;
            let over = rows.iter().filter(|r| r.trunk.is_some() && r.ended_at.is_some());
            let stories: Result<Vec<_>, _> = over.map(|r| register.show(r.call)).collect();
            Ok(stories?.into_iter().flatten().collect::<Vec<_>>())
        });
        match complete {
            Ok(stories) if stories.len() >= total || Instant::now() > until => return Ok(stories),
            Err(error) if Instant::now() > until => return Err(stuck(error.to_string())),
            Ok(_) | Err(_) => {}
        }
    }
}
