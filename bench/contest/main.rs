//! The lock-free board against other designs of a distributor, in one process and one run, alternated.
//!
//! ```text
//!   threads that own calls ── enter, hang up ──►  board · mutex · writer · rings · dashmap
//!                          ◄── an agent is bound ─   (designs/, one face)
//! ```
//! `cargo bench --bench contest` measures everything and draws the curves;
//! `-- --only stall` (threads, waiting, agents, stall, instructions) a part. Load nothing else meanwhile.
//! `cargo test` runs each case for a moment and judges that nobody is bound twice, never time.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod cases;
mod designs;
mod drive;
mod plot;
mod stall;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Parser;

use cases::{Section, Titled};
use designs::Design;
use drive::{Case, Figures};
use plot::Picture;
use stall::Victim;
use table::Row;

/// Measures designs of a distributor against each other.
#[derive(Clone, Debug, Parser)]
#[command(name = "contest")]
struct Options {
    /// Parts to measure, all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Each design so often, in turn
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// One round of one design, milliseconds
    #[arg(long, default_value_t = 300)]
    span_ms: u64,
    /// Where curves and figures are put
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/contest"))]
    out: PathBuf,
    /// Only this many steps of one design, for counting instructions
    #[arg(long, hide = true, num_args = 3, value_names = ["DESIGN", "CASE", "ROUNDS"])]
    count: Option<Vec<String>>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

type Value = fn(&Row) -> f64;
type Run = fn(&Case) -> Figures;
type Count = fn(&Case, u64) -> u64;

/// The contestants.
fn contestants() -> [(&'static str, Run, Count); 5] {
    fn of<D: Design>() -> (&'static str, Run, Count) {
        (D::NAME, drive::run::<D>, drive::count::<D>)
    }
    [
        of::<designs::board::Ours>(),
        of::<designs::mutex::OneMutex>(),
        of::<designs::inboxes::Inboxes>(),
        of::<designs::rings::Rings>(),
        of::<designs::maps::Maps>(),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options::parse();
    if let Some(count) = &options.count {
        return count_once(count);
    }
    if !options.bench {
        // Small: a test, which ends when each design has bound some.
        (options.rounds, options.span_ms) = (1, 0);
    }
    std::fs::create_dir_all(&options.out)?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    println!("{cores} cores, {} rounds of {} ms, medians", options.rounds, options.span_ms);
    let mut all = Vec::new();
    for section in Section::all().filter(|s| options.only.is_empty() || options.only.contains(s)) {
        if section == Section::Instructions {
            if options.bench {
                print!("{}", instructions()?);
            }
            continue;
        }
        let rows = measure(&options, section, cores);
        print!("{}", table::text(&rows));
        if options.bench {
            draw(&options, section, &rows)?;
        }
        all.extend(rows);
    }
    let still = all.iter().find(|row| row.per_second[0] < 1.0);
    assert!(still.is_none(), "stood still: {still:?}");
    std::fs::write(options.out.join("contest.csv"), table::csv(&all))?;
    Ok(())
}

fn measure(options: &Options, section: Section, cores: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for Titled { title, x, mut case } in cases::of(section, cores, !options.bench) {
        if section != Section::Stall || !options.bench {
            case.span = Duration::from_millis(options.span_ms);
        }
        let rounds = if section == Section::Stall { options.rounds.min(3) } else { options.rounds };
        let mut figures: Vec<(&'static str, Vec<Figures>)> = Vec::new();
        for _ in 0..rounds {
            for (name, run, _) in contestants() {
                // Only one of them has a writer to be stopped.
                if case.stalls == Some(Victim::Writer) && name != "writer" {
                    continue;
                }
                let found = run(&case);
                match figures.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, rounds)) => rounds.push(found),
                    None => figures.push((name, vec![found])),
                }
            }
        }
        rows.extend(figures.iter().map(|(name, rounds)| Row::of(&title, x, name, rounds)));
    }
    rows
}

fn draw(options: &Options, section: Section, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let (rate, p99): (Value, Value) = (|r| r.per_second[0], |r| r.bound[1] as f64 / 1e3);
    for group in cases::curves(section) {
        let rows: Vec<Row> = rows.iter().filter(|r| r.case.starts_with(group)).cloned().collect();
        for (kind, y, value) in [("rate", "agents bound a second", rate), ("p99", "p99, µs", p99)]
        {
            let name = format!("{}-{kind}.svg", group.trim().replace([' ', ','], "-"));
            let picture = Picture { title: group, x: section.x(), y, value };
            plot::draw(&options.out.join(name), &picture, &rows)?;
        }
    }
    Ok(())
}

/// Instructions of one assignment: the difference of two runs of ourselves under valgrind.
fn instructions() -> Result<String, Box<dyn Error>> {
    let mut out = "\ninstructions of one assignment, one thread (callgrind)\n".to_owned();
    for Titled { title, .. } in cases::of(Section::Instructions, 1, false) {
        out.push_str(&format!("  {title:<34}"));
        for (name, ..) in contestants().iter().filter(|(name, ..)| *name != "writer") {
            let [few, many] = [2_000_u64, 6_000].map(|rounds| collected(name, &title, rounds));
            let (Some(few), Some(many)) = (few?, many?) else {
                return Ok("\ninstructions: valgrind is not installed\n".into());
            };
            out.push_str(&format!("{name} {:>7}   ", many.saturating_sub(few) / 4_000));
        }
        out.push('\n');
    }
    Ok(out)
}

fn collected(name: &str, title: &str, rounds: u64) -> Result<Option<u64>, Box<dyn Error>> {
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--count", name, title, &rounds.to_string()])
        .output();
    let Ok(done) = done else { return Ok(None) };
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let line = said.lines().find_map(|line| line.split("Collected :").nth(1));
    Ok(Some(line.ok_or(said.clone())?.trim().parse()?))
}

fn count_once(count: &[String]) -> Result<(), Box<dyn Error>> {
    let [name, title, rounds] = count else { return Err("three values".into()) };
    let of = contestants().into_iter().find(|(n, ..)| n == name).ok_or("no such design")?;
    let mut cases = cases::of(Section::Instructions, 1, false).into_iter();
    let case = cases.find(|c| c.title == *title).ok_or("no such case")?;
    of.2(&case.case, rounds.parse()?);
    Ok(())
}
