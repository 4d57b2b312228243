//! The documented policy as code: raw configuration → checked [`Policy`] → [`decide`], pure.
//!
//! ```text
//! policy.toml ──┐ fields (spans, all problems at once)
//! calendars ────┤──► settings · called numbers · rules ──► reach (shadowed? a gap?) ──► Policy
//! directory ────┘                                     └──► check (names, roles, deputies)
//! Policy + Directory + time ──► prove (is anybody left, whoever is away?)
//! Policy + Directory + Facts + presence ──► decide ──► Decision { Plan, Explanation }
//! ```
//! Owns the language of `config/policy.toml` and `config/calendars.toml`. Knows no SIP, no board, no
//! clock and no files: texts, time and presence are handed in.

mod calendars;
mod check;
mod choice;
mod clauses;
mod condition;
mod course;
mod decide;
mod display;
mod emergency;
mod fields;
mod grounds;
mod help;
mod moved;
mod numbers;
mod options;
mod plan;
mod problem;
mod proof;
mod reach;
mod reason;
mod resolve;
mod rule;
mod seen;
mod target;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use calendars::{calendars, calendars_as_read};
pub use check::{check_directory, lacking_calendars};
pub use choice::{Pick, TOGETHER_MAX};
pub use clauses::{ClauseLine, clauses, unknown_clauses};
pub use course::{Stand, following};
pub use decide::{decide, steps_again};
pub use emergency::Emergency;
pub use fields::{At, Fields, Reader, UNSHOWN, Value, Words, parse_duration, unshown};
pub use grounds::Grounds;
pub use help::Help;
pub use moved::{MoveTo, moved_step};
pub use options::{DebtorFirst, PolicySettings, VipDebtor};
pub use plan::{
    Candidate, Decision, Ending, Explanation, FactShown, Facts, IndexState, Member, Plan, Presence,
    RuleTried, Step, StepShown,
};
pub use problem::{Problem, Severity, Source, did_you_mean};
pub use proof::Proven;
pub use reason::Reason;

use calendars::Calendars;
use numbers::{Dialled, Numbers};
use rule::{Rule, Rules};

use jiff::Timestamp;

use crate::domain::{
    DepartmentId, Directory, Number, NumberFormat, PersonId, Role, Settings, TrunkId,
};

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
    source: Source,
    calendars_text: Arc<str>,
    settings: PolicySettings,
    called: Numbers<DepartmentId>,
    regions: Numbers<Arc<str>>,
    rules: Vec<Rule>,
    /// The order in which a role's people are offered calls, where a step lists them.
    lists: BTreeMap<Role, Vec<PersonId>>,
    emergencies: Vec<Emergency>,
    /// For each rule, whom it may take; and whether that is everybody whom it may take.
    callers: (Vec<Vec<reach::Caller>>, bool),
    helps: Vec<Help>,
    /// What works and is probably not as meant.
    pub warnings: Vec<Problem>,
}

impl Policy {
    /// Texts → policy, names checked against `directory` too. Errors: everything that is wrong,
    /// warnings included: the calendars, the policy's text in its order, then the directory.
    pub fn compile(
        sources: &Sources<'_>,
        directory: &Directory,
        names: &Names,
    ) -> Result<Policy, Vec<Problem>> {
        let (mut policy, mut problems) = Self::read_all(sources, names);
        problems.extend(policy.check(directory));
        problems.sort_by_key(|p| (p.line == 0, p.file.as_ref() == sources.policy.0, p.span.start));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        policy.warnings = problems;
        Ok(policy)
    }

    /// Texts → policy without a directory: for a start before anybody was imported. What is then
    /// missing is what [`Policy::check`] lists.
    pub fn read(sources: &Sources<'_>, names: &Names) -> Result<Policy, Vec<Problem>> {
        let (mut policy, problems) = Self::read_all(sources, names);
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        policy.warnings = problems;
        Ok(policy)
    }

    /// What the policy names and `directory` does not have, and what is wrong with the directory
    /// itself. Called whenever the directory changes; running on is always possible.
    pub fn check(&self, directory: &Directory) -> Vec<Problem> {
        let mut problems = check::names(self, directory);
        problems.extend(check_directory(directory));
        problems
    }

    /// What can happen to callers of each rule from `at` on, for a year: nobody left to take a call or
    /// to own its promise, however few are away; a role without anybody in an open hour; a step that no
    /// path of outcomes reaches, or a path that comes back. Warnings, each with a caller, a time and who is
    /// away: facts about people refuse nothing. Bounded work.
    pub fn prove(&self, directory: &Directory, at: Timestamp) -> Proven {
        proof::prove(self, directory, at)
    }

    /// SHA-256 of the texts, the first 32 hexadecimal digits.
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    /// The text that it was compiled from, to be kept under its hash.
    pub fn text(&self) -> &Arc<str> {
        self.source.text()
    }

    /// The text of the calendars that it was compiled with.
    pub fn calendars_text(&self) -> &Arc<str> {
        &self.calendars_text
    }

    /// Which pattern of the called numbers, and which of the callers' regions, a number fits: numbers that fit
    /// the same ones are decided alike.
    pub fn number_kind(
        &self,
        raw: &str,
        number: Option<&Number>,
    ) -> (Option<String>, Option<String>) {
        let dialled = Dialled::new(number, raw);
        let called = self.called.find(dialled).map(|(pattern, _)| pattern.to_string());
        (called, self.regions.find(dialled).map(|(pattern, _)| pattern.to_string()))
    }

    /// `[settings]`.
    pub fn settings(&self) -> &PolicySettings {
        &self.settings
    }

    /// Name and clause of every rule, in order.
    pub fn rules(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.rules.iter().map(|rule| (&rule.name, &rule.clause))
    }

    /// The place of `person` in the list of `role`; who is not in it comes after all who are.
    pub fn rank(&self, role: &Role, person: &PersonId) -> u16 {
        let place = self.lists.get(role).and_then(|list| list.iter().position(|p| p == person));
        place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX)
    }

    /// Its emergency plans, in order (clause B8).
    pub fn emergencies(&self) -> impl Iterator<Item = &Emergency> {
        self.emergencies.iter()
    }

    /// Every place in force that names a clause: the clause, its line, what stands there.
    pub fn clauses_named(&self) -> Vec<(String, u32, String)> {
        let line = |span: &std::ops::Range<usize>| self.source.position(span.start).0;
        let mut named = self.named_by_rules(|rule| !rule.is_off());
        named.extend(self.emergencies.iter().map(|plan| {
            let what = format!("emergency plan {}", plan.name);
            (plan.clause.to_string(), line(&plan.span), what)
        }));
        named.extend(self.helps.iter().map(|help| {
            (help.clause.to_string(), line(&help.span), format!("help for {}", help.group))
        }));
        named
    }

    /// The places of rules that the settings switch off: they carry no clause out.
    pub fn clauses_off(&self) -> Vec<(String, u32, String)> {
        self.named_by_rules(Rule::is_off)
    }

    fn named_by_rules(&self, wanted: impl Fn(&Rule) -> bool) -> Vec<(String, u32, String)> {
        let line = |span: &std::ops::Range<usize>| self.source.position(span.start).0;
        let mut named = Vec::new();
        for rule in self.rules.iter().filter(|rule| wanted(rule)) {
            named.push((rule.clause.to_string(), line(&rule.span), format!("rule {}", rule.name)));
            let own = rule.steps.iter().filter(|step| step.clause != rule.clause);
            named.extend(own.map(|step| {
                let what = format!("step {} of {}", step.to, rule.name);
                (step.clause.to_string(), line(&step.span), what)
            }));
        }
        named
    }

    /// Who helps whom, in order (clause B7).
    pub fn helps(&self) -> impl Iterator<Item = &Help> {
        self.helps.iter()
    }

    fn source(&self) -> &Source {
        &self.source
    }

    /// As much of a policy as can be read, with everything that is wrong with the texts.
    fn read_all(sources: &Sources<'_>, names: &Names) -> (Policy, Vec<Problem>) {
        let (file, text) = sources.calendars;
        let (calendars, mut problems) = calendars::read(&Source::new(file, text));
        let source = Source::new(sources.policy.0, sources.policy.1);
        let (mut reader, table) = Reader::parse(&source);
        let mut fields = Fields::new(table.get_ref(), table.span(), "the policy");
        let settings = PolicySettings::read(fields.optional("settings"), &mut reader);
        let context = Context { settings: &settings, names, calendars: &calendars };
        let called = fields.optional("called");
        let called = called.map(|v| reader.tables(v, "[[called]]")).unwrap_or_default();
        let format = &names.numbers;
        let called = Numbers::read(called, "department", DepartmentId::new, format, &mut reader);
        let regions = fields.optional("caller_region");
        let regions = regions.map(|v| reader.tables(v, "[[caller_region]]")).unwrap_or_default();
        let regions = Numbers::read(regions, "region", |r| Arc::from(r), format, &mut reader);
        let rules = Rules::read(fields.optional("rule"), &context, &mut reader);
        let lists = choice::lists(&rules.rules, &mut reader);
        let emergencies = Emergency::read_all(fields.optional("emergency"), &mut reader);
        let helps = Help::read_all(fields.optional("help"), &mut reader);
        fields.finish(&mut reader);
        reach::check(&rules, &context, &calendars, &mut reader);
        let callers = reach::callers(&rules, &context, &calendars, &called, &regions);
        problems.extend(reader.into_problems());
        let complete = rules.complete;
        let policy = Policy {
            hash: hash(sources),
            calendars_text: Arc::from(text),
            settings,
            called,
            regions,
            rules: rules.rules,
            lists,
            emergencies,
            callers,
            helps,
            warnings: Vec::new(),
            source,
        };
        if complete {
            problems.extend(clauses::only_where_it_is_off(&policy));
        }
        (policy, problems)
    }
}

fn hash(sources: &Sources<'_>) -> Arc<str> {
    let mut hasher = Sha256::new();
    hasher.update(sources.policy.1.as_bytes());
    hasher.update([0]);
    hasher.update(sources.calendars.1.as_bytes());
    let digest = hasher.finalize();
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Arc::from(digits)
}

/// What rules may name while they are read.
struct Context<'a> {
    settings: &'a PolicySettings,
    names: &'a Names,
    calendars: &'a Calendars,
}

impl Context<'_> {
    /// A trunk by name; its absence is noted.
    fn trunk(&self, name: &At<String>, reader: &mut Reader<'_>) -> Option<TrunkId> {
        let found = self.names.trunks.iter().find(|(trunk, _)| trunk.as_str() == name.value);
        if found.is_none() {
            let known = self.names.trunks.iter().map(|(trunk, _)| trunk.as_str());
            let hint = did_you_mean(name, known);
            reader.error(name.span.clone(), format!("no trunk is called `{name}`"), hint);
        }
        found.map(|(trunk, _)| trunk.clone())
    }
}

#[cfg(test)]
mod tests;
