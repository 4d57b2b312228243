//! Calls through the real server, as fast as it can: a child process with the shipped policy, register,
//! journal, explanations and log as they are shipped; N simulated softphones; a simulated trunk.
//!
//! ```text
//!   trunk ── INVITE ──► server ── INVITE ──► phone        latency: INVITE sent → INVITE at a phone
//!         ◄─ 180, 200 ─        ◄─ 180, 200 ─              CPU: utime + stime of the child, all threads
//!         ── ACK, BYE ►        ── ACK, BYE ─►             until the register has every record
//! ```
//! Latencies end with the kernel's stamp of the server's datagram; beside them stands what a bare thread
//! takes that is woken and sends one, in the same seconds.
//! `cargo bench --bench calls -- --rate 500,1000 --seconds 10 --agents 200` measures; with `--callers`
//! more people call than there are agents, and what is measured is how soon a free agent rings again.
//! `cargo test` runs it small and judges counts, never time.
// A driver of its own threads and clock; nothing of it is in the server.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod bare;
mod company;
mod figures;
mod party;
mod phones;
mod server;
mod stamp;
mod trunk;

use std::io::{Error, Result};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use bare::Bare;
use company::{Company, TRUNK};
use figures::{Figures, Spread, heading, machine};
use party::{Line, Working};
use phones::Phones;
use server::{Cpu, Records, ServerProcess};
use trunk::{Manner, Starts, Trunk};

/// Where phones live, any port.
const PHONES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What has not ended so long after the last call began has failed.
const LINGER_MAX: Duration = Duration::from_secs(20);
/// The register is complete by then.
const REGISTER_MAX: Duration = Duration::from_secs(60);
/// The end is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Measures calls through a server of its own.
#[derive(Clone, Debug, Parser)]
#[command(name = "calls")]
struct Options {
    /// Calls a second; several with commas are a ramp, which ends where the server does not hold
    #[arg(long, value_delimiter = ',', default_value = "500")]
    rate: Vec<u32>,
    /// How long calls begin at each rate
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Softphones, one an operator
    #[arg(long, default_value_t = 200)]
    agents: usize,
    /// From the caller's ACK to the BYE, milliseconds
    #[arg(long, default_value_t = 20)]
    talk_ms: u64,
    /// Callers at once, more than agents: measures agent free → next caller's INVITE
    #[arg(long)]
    callers: Option<u32>,
    /// Calls in all, with --callers
    #[arg(long, default_value_t = 5_000)]
    calls: u32,
    /// Clients in the database, who call in turn
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Measures everything so often
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Before the first measurement, seconds at its rate
    #[arg(long, default_value_t = 1)]
    warm_seconds: u32,
    /// Another build of the server, to be compared
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_telefonist"))]
    server: PathBuf,
    /// One JSON document
    #[arg(long)]
    json: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// The server with its phones.
struct Stage {
    // Before the folder: phones and server end first.
    phones: Working<Phones>,
    server: ServerProcess,
    _company: Company,
    options: Options,
    starts: std::sync::Arc<Starts>,
    trunks: u32,
    calls: u64,
}

impl Stage {
    fn open(options: &Options) -> Result<Self> {
        let company = Company::found(options.agents, options.clients)?;
        let server = ServerProcess::start(&options.server, &company)?;
        let starts = Starts::new(options.clients);
        let options = options.clone();
        let line = Line::open(PHONES, server.address)?;
        let phones = Phones::new(options.agents, starts.clone());
        phones.register(&line)?;
        let phones = Working::begin("phones", phones, line)?;
        Ok(Self { phones, server, _company: company, options, starts, trunks: 0, calls: 0 })
    }

    /// One measurement.
    fn measure(&mut self, manner: Manner) -> Result<Figures> {
        let talk = (manner.rate == 0).then(|| Duration::from_millis(self.options.talk_ms));
        self.phones.party().begin(talk);
        let before = self.server.records(self.calls, REGISTER_MAX);
        let (server, driver) = (self.server.cpu(), Cpu::of("self"));
        let bare = Bare::begin()?;
        let tally = self.call(manner)?;
        let bare = Spread::of(bare.end());
        self.calls += u64::from(tally.begun);
        let records = self.server.records(self.calls, REGISTER_MAX);
        let (server, driver) = (self.server.cpu().since(server), Cpu::of("self").since(driver));
        let mut phones = self.phones.party();
        // Before everybody was there, agents were free and nobody waited.
        let early = (manner.callers as usize).min(phones.waits.len());
        phones.waits.drain(..early);
        let mut figures = Figures {
            rate: manner.rate,
            calls: tally.begun,
            done: tally.done,
            failed: format!("{:?}", tally.failed),
            offered_per_second: f64::from(tally.begun - 1) / tally.span.as_secs_f64().max(1e-6),
            ring: Spread::of(std::mem::take(&mut phones.rings)),
            next: Spread::of(std::mem::take(&mut phones.waits)),
            bare,
            cpu_us_per_call: 0,
            cpu_user_us_per_call: 0,
            driver_us_per_call: 0,
            repeated: tally.repeated + phones.repeated,
            heard_again: tally.heard_again,
            records: 0,
            answered: 0,
            memory_bytes: self.server.memory(),
        };
        drop(phones);
        figures.set_cpu(server, driver);
        figures.set_records(before, records);
        Ok(figures)
    }

    fn call(&mut self, manner: Manner) -> Result<trunk::Tally> {
        let host = TRUNK.parse().map_err(Error::other)?;
        let line = Line::open(host, self.server.address)?;
        self.trunks += 1;
        let word = format!("b{}", self.trunks);
        let trunk = Working::begin("trunk", Trunk::new(manner, self.starts.clone(), word), line)?;
        let mut all_begun: Option<Instant> = None;
        loop {
            std::thread::park_timeout(LOOK_EVERY);
            let state = trunk.party();
            if state.tally.begun >= manner.calls {
                all_begun.get_or_insert_with(Instant::now);
            }
            let is_late = all_begun.is_some_and(|since| since.elapsed() > LINGER_MAX);
            if state.is_over() || is_late {
                return Ok(state.tally.clone());
            }
        }
    }

    /// All measurements that were asked for.
    fn run(&mut self, mut show: impl FnMut(&Figures)) -> Result<Vec<Figures>> {
        let options = self.options.clone();
        let first = options.rate.first().copied().unwrap_or(500);
        if options.warm_seconds > 0 {
            self.measure(at_rate(first, options.warm_seconds, options.talk_ms))?;
        }
        let mut all = Vec::new();
        for _ in 0..options.runs {
            let manners: Vec<Manner> = match options.callers {
                Some(callers) => vec![in_line(callers, options.calls)],
                None => {
                    let at = |rate: &u32| at_rate(*rate, options.seconds, options.talk_ms);
                    options.rate.iter().map(at).collect()
                }
            };
            for manner in manners {
                let figures = self.measure(manner)?;
                show(&figures);
                let held = figures.held();
                all.push(figures);
                if !held {
                    break;
                }
            }
        }
        Ok(all)
    }
}

fn at_rate(rate: u32, seconds: u32, talk_ms: u64) -> Manner {
    let talk = Some(Duration::from_millis(talk_ms));
    Manner { rate, callers: 0, calls: rate * seconds, talk }
}

fn in_line(callers: u32, calls: u32) -> Manner {
    Manner { rate: 0, callers, calls, talk: None }
}

fn measure(options: &Options) -> Result<()> {
    let mut stage = Stage::open(options)?;
    let settings = format!(
        "shipped policy, register, journal, explanations, log level info; wrap-up 0; {} agents, {} \
         clients; SO_RCVBUF {} bytes; talk {} ms",
        options.agents, options.clients, stage.server.receive_buffer_bytes, options.talk_ms
    );
    let command: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let command = format!("cargo bench --bench calls -- {}", command.join(" "));
    let is_json = options.json;
    if !is_json {
        println!("{}\n{command}\n{settings}; server process {}", machine(), stage.server.id());
        println!("{}", heading(options.callers.is_some()));
    }
    let all = stage.run(|figures| {
        if !is_json {
            println!("{}", figures.line());
        }
    })?;
    let held = all.iter().filter(|f| f.held()).map(|f| f.rate).max();
    let complaints = stage.server.complaints();
    if is_json {
        let document = serde_json::json!({
            "machine": machine(),
            "command": command,
            "settings": settings,
            "receive_buffer_bytes": stage.server.receive_buffer_bytes,
            "runs": all,
            "highest_rate_held": held,
            "complaints": complaints,
        });
        println!("{document:#}");
        return Ok(());
    }
    let mut cpu: Vec<u64> = all.iter().map(|f| f.cpu_us_per_call).collect();
    cpu.sort_unstable();
    if let (Some(min), Some(max)) = (cpu.first(), cpu.last()) {
        println!("CPU µs a call: {min} / {} / {max} (min / median / max)", cpu[cpu.len() / 2]);
    }
    if let (Some(rate), None) = (held, options.callers) {
        println!("highest rate that held: {rate} calls/s");
    }
    complaints.iter().take(5).for_each(|line| println!("the server says: {line}"));
    Ok(())
}

/// Counts only: a debug build on a busy machine is as right as it is slow.
fn small() -> Result<()> {
    let options = Options::parse_from(["calls", "--agents", "6", "--clients", "40"]);
    let mut stage = Stage::open(&options)?;
    let at_a_rate = stage.measure(at_rate(50, 1, 20))?;
    judge("at a rate", &at_a_rate)?;
    let waiting = stage.measure(in_line(18, 60))?;
    judge("waiting", &waiting)?;
    if waiting.next.count == 0 {
        return Err(Error::other("no freed agent was measured"));
    }
    let all = u64::from(at_a_rate.calls + waiting.calls);
    let records = stage.server.records(all, REGISTER_MAX);
    let expected = Records { calls: all, ended: all, answered: all, explained: all };
    if records != expected {
        return Err(Error::other(format!("the register has {records:?}, not {expected:?}")));
    }
    match stage.server.complaints() {
        bad if bad.is_empty() => Ok(()),
        bad => Err(Error::other(format!("the server complains: {bad:?}"))),
    }
}

fn judge(what: &str, figures: &Figures) -> Result<()> {
    let all_done = figures.done == figures.calls && figures.answered == u64::from(figures.calls);
    // One repetition a call may be the machine's fault.
    let storm = figures.repeated + figures.heard_again > figures.calls;
    let rang = figures.ring.count as u32 == figures.calls;
    if all_done && rang && !storm {
        return Ok(());
    }
    Err(Error::other(format!("{what}: {figures:?}")))
}

fn main() -> std::process::ExitCode {
    // Cargo says `--bench` when it is to be measured, and nothing when it is a test.
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let outcome = match is_measured {
        true => measure(&Options::parse()),
        false => small().inspect(|()| println!("calls: small run: ok")),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("calls: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
