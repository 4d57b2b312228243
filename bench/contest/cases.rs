//! What is measured.

use std::time::Duration;

use clap::ValueEnum;

use crate::designs::World;
use crate::drive::{Case, Mix, slots};
use crate::stall::Victim;

/// A part of the contest; each varies one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Threads.
    Threads,
    /// Callers who wait.
    Waiting,
    /// People.
    Agents,
    /// One thread is stopped again and again.
    Stall,
    /// Instructions instead of time.
    Instructions,
}

impl Section {
    /// Each.
    pub fn all() -> impl Iterator<Item = Section> {
        Self::value_variants().iter().copied()
    }

    /// What is varied.
    pub fn x(self) -> &'static str {
        match self {
            Section::Threads => "threads",
            Section::Waiting => "callers waiting",
            _ => "agents",
        }
    }
}

/// A case with its title and the value of what is varied.
pub struct Titled {
    /// For the table.
    pub title: String,
    /// For the plot.
    pub x: usize,
    /// What is run.
    pub case: Case,
}

/// Those of one group are one picture: what their titles begin with.
pub fn curves(section: Section) -> &'static [&'static str] {
    match section {
        Section::Threads => &[
            "own callers",
            "one hot manager",
            "one hot group",
            "group with hang-ups",
            "idle group",
        ],
        Section::Waiting => &["waiting callers"],
        Section::Agents => &["agents beside a backlog", "agents idle"],
        Section::Stall | Section::Instructions => &[],
    }
}

const GROUP: usize = 500;

fn titled(title: &str, x: usize, unit: &str, case: Case) -> Titled {
    Titled { title: format!("{title}, {x} {unit}"), x, case }
}

fn case(threads: usize, agents: usize, mix: Mix, waiting: usize) -> Case {
    let world = World {
        threads,
        agents,
        grouped: agents.min(GROUP),
        calls_max: slots(threads, agents, waiting),
    };
    Case {
        world,
        mix,
        waiting,
        hang_ups: 0,
        stalls: None,
        first_owns: usize::MAX,
        pace: Duration::ZERO,
        span: Duration::ZERO,
    }
}

/// The cases of a section; `small` for a test.
pub fn of(section: Section, cores: usize, small: bool) -> Vec<Titled> {
    let bound = if small { 1_000 } else { usize::MAX };
    match section {
        Section::Threads => {
            let mut cases = Vec::new();
            let steps = [1, cores, 2 * cores, 4 * cores];
            let steps: Vec<usize> = if small { vec![2] } else { steps.into() };
            for threads in steps {
                let people = 1_000.min(bound);
                let own = case(threads, people, Mix::Own, 1_000);
                let group = case(threads, people, Mix::Group, 1_000);
                let hang_ups = Case { hang_ups: 20, ..group };
                let manager = case(threads, people, Mix::Manager, 1_000);
                let idle = case(threads, people, Mix::Group, 0);
                for (title, case) in [
                    ("own callers", own),
                    ("one hot manager", manager),
                    ("one hot group", group),
                    ("group with hang-ups", hang_ups),
                    ("idle group", idle),
                ] {
                    cases.push(titled(title, threads, "threads", case));
                }
            }
            cases.sort_by_key(|c| c.title.split(',').next().map(str::to_owned));
            cases
        }
        Section::Waiting => [1, 10, 100, 1_000, 10_000, 100_000]
            .into_iter()
            .filter(|waiting| *waiting <= bound)
            .map(|waiting| {
                let case = case(cores, 1_000, Mix::Group, waiting);
                titled("waiting callers", waiting, "in the group's line", case)
            })
            .collect(),
        Section::Agents => {
            let people = [10, 100, 1_000, 10_000].into_iter().filter(|people| *people <= bound);
            let busy = people.clone().map(|people| {
                titled(
                    "agents beside a backlog",
                    people,
                    "people",
                    case(cores, people, Mix::Own, 1_000),
                )
            });
            let idle = people.map(|people| {
                titled("agents idle", people, "people", everybody_idle(cores, people))
            });
            busy.chain(idle).collect()
        }
        Section::Stall => stalls(cores, small),
        Section::Instructions => {
            let of = |title: &str, case| Titled { title: title.to_owned(), x: 0, case };
            vec![
                of("100 people, 1,000 waiting", case(1, 100, Mix::Group, 1_000)),
                of("100 people, 10,000 waiting", case(1, 100, Mix::Group, 10_000)),
                of("500 people, 1,000 waiting", case(1, 500, Mix::Group, 1_000)),
                of("own callers of 500 people", case(1, 500, Mix::Own, 1_000)),
                of("100 people idle", case(1, 100, Mix::Group, 0)),
                of("500 people idle", case(1, 500, Mix::Group, 0)),
            ]
        }
    }
}

/// All of them in the group, however many.
fn everybody_idle(cores: usize, people: usize) -> Case {
    let case = case(cores, people, Mix::Group, 0);
    Case { world: World { grouped: people, ..case.world }, ..case }
}

fn stalls(cores: usize, small: bool) -> Vec<Titled> {
    let threads = cores.max(2);
    let span = Duration::from_secs(if small { 0 } else { 7 });
    // No more than a call in ten microseconds: a hundred times what a large company has.
    let pace = Duration::from_micros(10);
    let backlog = Case { span, pace, ..case(threads, 200, Mix::Group, 1_000) };
    let idle = Case { span, pace, ..case(threads, 200, Mix::Group, 0) };
    let few = Case { first_owns: 50, ..backlog };
    // Nearly always in the middle of an operation when it is stopped.
    let hurried = Case { pace: Duration::ZERO, ..few };
    let of_thread = [
        ("a backlog half its own", backlog),
        ("a backlog of others", few),
        ("a backlog of others, at full speed", hurried),
        ("idle agents", idle),
    ];
    let of_writer = [("a backlog", backlog), ("idle agents", idle)];
    let mut cases = Vec::new();
    for (victim, who, places) in [
        (Victim::First, "a thread", &of_thread[..]),
        (Victim::Writer, "the writer", &of_writer[..]),
    ] {
        for (beside, case) in places {
            let title = format!("{who} stopped for 1 s beside {beside}");
            cases.push(Titled { title, x: 0, case: Case { stalls: Some(victim), ..*case } });
        }
    }
    cases
}
