//! `when = { … }`: what a rule asks of a call. All tests of a condition must hold.
//!
//! A list of conditions is "any of these". Two tests (`vip_debtor`, `debtor_first`) ask a setting, so
//! that one file holds both ways and the setting chooses. Knows no routes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::fields::{At, Fields, Reader, Value};
use super::numbers::{Dialled, Pattern, patterns};
use super::options::{DEBTOR_FIRST, PolicySettings, VIP_DEBTOR, known_type};
use super::problem::did_you_mean;
use super::seen::Seen;
use super::{Context, Words};
use crate::domain::{ClientType, Debt, DepartmentId, Directory, TrunkId, Vip};

/// One question.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Clause A2.
    ClientType(Vec<ClientType>),
    /// Clause A2.
    Vip(Vec<Vip>),
    /// Clause A3.
    New(bool),
    /// Clauses A4, B3.
    Debtor(bool),
    /// Clause A1: a client was found.
    Identified(bool),
    /// Over which trunk the call came.
    Trunk(Vec<TrunkId>),
    /// Which number was called.
    Called(Vec<Pattern>),
    /// Where the caller is.
    Region(Vec<Arc<str>>),
    /// Which department is responsible for the client.
    Department(Vec<At<DepartmentId>>),
    /// Clause C2: a calendar is open, or closed.
    Hours { calendar: Arc<str>, open: bool },
    /// A setting has this value; `values`: all that it could have, in the same words.
    Setting { text: String, values: Vec<String>, holds: bool },
}

/// Tests that must all hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) tests: Vec<Test>,
    pub(super) span: Range<usize>,
}

impl Condition {
    /// Why it holds, or which test failed.
    pub(super) fn holds(&self, seen: &Seen<'_>, directory: &Directory) -> Result<String, String> {
        let mut why = Vec::new();
        for test in &self.tests {
            if !test.holds(seen, directory) {
                return Err(test.why_not(seen));
            }
            why.push(test.to_string());
        }
        if why.is_empty() { Ok("everybody else".to_owned()) } else { Ok(why.join(", ")) }
    }

    /// A setting switches it off.
    pub(super) fn is_off(&self) -> bool {
        self.tests.iter().any(|test| matches!(test, Test::Setting { holds: false, .. }))
    }

    /// `when` of a rule; absent: everybody. `None` after noting what is wrong.
    pub(super) fn read_all(
        value: Option<Value<'_>>,
        rule: Range<usize>,
        context: &Context<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Vec<Condition>> {
        let Some(value) = value else {
            return Some(vec![Condition { tests: Vec::new(), span: rule }]);
        };
        if value.get_ref().is_array() {
            let tables = reader.tables(value, "`when`");
            let all = value.get_ref().as_array().map_or(0, |list| list.len());
            if all == 0 {
                reader.error(value.span(), "this list is empty: the rule would never match", None);
            }
            let read: Vec<_> = tables
                .into_iter()
                .filter_map(|fields| Self::read(fields, context, reader))
                .collect();
            return (all > 0 && read.len() == all).then_some(read);
        }
        let fields = reader.table(value, "`when`")?;
        Self::read(fields, context, reader).map(|condition| vec![condition])
    }

    fn read(
        mut fields: Fields<'_>,
        context: &Context<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Condition> {
        let span = fields.span.clone();
        let mut tests = Vec::new();
        let mut good = true;
        for (name, read) in TESTS {
            let Some(value) = fields.optional(name) else { continue };
            match read(value, context, reader) {
                Some(found) => tests.extend(found),
                None => good = false,
            }
        }
        let before = reader.error_count();
        fields.finish(reader);
        (good && reader.error_count() == before).then_some(Condition { tests, span })
    }
}

impl Test {
    fn holds(&self, seen: &Seen<'_>, directory: &Directory) -> bool {
        let client = seen.client;
        match self {
            Test::ClientType(types) => client.is_some_and(|c| types.contains(&c.client_type)),
            Test::Vip(levels) => levels.contains(&client.map_or(Vip::None, |c| c.vip)),
            Test::New(wanted) => seen.new == *wanted,
            Test::Debtor(wanted) => seen.debtor == *wanted,
            Test::Identified(wanted) => client.is_some() == *wanted,
            Test::Trunk(trunks) => seen.facts.trunk.as_ref().is_some_and(|t| trunks.contains(t)),
            Test::Called(patterns) => {
                let called = Dialled::new(seen.facts.to.as_ref(), &seen.facts.to_raw);
                patterns.iter().any(|p| p.fits(called))
            }
            Test::Region(regions) => seen.region.as_ref().is_some_and(|r| regions.contains(r)),
            Test::Department(departments) => {
                let responsible = client.and_then(|c| c.department.as_ref());
                responsible.is_some_and(|r| departments.iter().any(|d| d.value == *r))
            }
            Test::Hours { calendar, open } => {
                // A calendar that the directory lost is open: better ring than turn away.
                let hours = directory.calendar(calendar);
                hours.is_none_or(|hours| hours.is_open(seen.facts.at)) == *open
            }
            Test::Setting { holds, .. } => *holds,
        }
    }

    /// Which fact stands against the test.
    fn why_not(&self, seen: &Seen<'_>) -> String {
        let client = seen.client;
        match self {
            Test::ClientType(types) => match client {
                Some(client) => {
                    format!("client_type is {}, not {}", client.client_type.as_str(), Or(types))
                }
                None => "no client is known".to_owned(),
            },
            Test::Vip(levels) => {
                format!(
                    "vip is {}, not {}",
                    client.map_or(Vip::None, |c| c.vip).as_str(),
                    Or(levels)
                )
            }
            Test::New(true) => "not new".to_owned(),
            Test::New(false) => "new".to_owned(),
            Test::Debtor(true) if seen.debt != Debt::Clear => {
                format!("the debt is {} old: not used", Words(seen.age))
            }
            Test::Debtor(true) => "owes nothing that is due".to_owned(),
            Test::Debtor(false) => "owes money".to_owned(),
            Test::Identified(true) => "not identified".to_owned(),
            Test::Identified(false) => "identified".to_owned(),
            Test::Trunk(trunks) => match &seen.facts.trunk {
                Some(trunk) => format!("trunk is {trunk}, not {}", Or(trunks)),
                None => format!("it came from one of our people, not over {}", Or(trunks)),
            },
            Test::Called(patterns) => {
                format!("{} was called, not {}", seen.facts.to_raw, Or(patterns))
            }
            Test::Region(regions) => {
                let region = seen.region.as_deref().unwrap_or("not known");
                format!("region is {region}, not {}", Or(regions))
            }
            Test::Department(departments) => {
                let department = client.and_then(|c| c.department.as_ref());
                let department = department.map_or("not known", |d| d.as_str());
                format!("department is {department}, not {}", Or(departments))
            }
            Test::Hours { calendar, open } => {
                format!("{calendar} is {}", if *open { "closed" } else { "open" })
            }
            Test::Setting { text, .. } => format!("the setting is not {text}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::ClientType(types) => write!(f, "client_type is {}", Or(types)),
            Test::Vip(levels) => write!(f, "vip is {}", Or(levels)),
            Test::New(true) => f.write_str("new"),
            Test::New(false) => f.write_str("not new"),
            Test::Debtor(true) => f.write_str("owes money"),
            Test::Debtor(false) => f.write_str("owes nothing that is due"),
            Test::Identified(true) => f.write_str("identified"),
            Test::Identified(false) => f.write_str("not identified"),
            Test::Trunk(trunks) => write!(f, "trunk is {}", Or(trunks)),
            Test::Called(patterns) => write!(f, "{} was called", Or(patterns)),
            Test::Region(regions) => write!(f, "region is {}", Or(regions)),
            Test::Department(departments) => write!(f, "department is {}", Or(departments)),
            Test::Hours { calendar, open: true } => write!(f, "{calendar} is open"),
            Test::Hours { calendar, open: false } => write!(f, "{calendar} is closed"),
            Test::Setting { text, .. } => write!(f, "{text} (setting)"),
        }
    }
}

/// A list as words: `key`, `key or retail`.
struct Or<'a, T>(&'a [T]);

impl<T: Word> fmt::Display for Or<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { " or " } else { "" })?;
            f.write_str(&item.word())?;
        }
        Ok(())
    }
}

trait Word {
    fn word(&self) -> String;
}

impl Word for ClientType {
    fn word(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Word for Vip {
    fn word(&self) -> String {
        self.as_str().to_owned()
    }
}

impl<T: fmt::Display> Word for At<T> {
    fn word(&self) -> String {
        self.to_string()
    }
}

macro_rules! words_as_shown {
    ($($name:ty),+) => { $(impl Word for $name {
        fn word(&self) -> String {
            self.to_string()
        }
    })+ };
}

words_as_shown!(TrunkId, Pattern, Arc<str>);

type ReadTest = fn(Value<'_>, &Context<'_>, &mut Reader<'_>) -> Option<Vec<Test>>;

/// Every key of `when`.
const TESTS: [(&str, ReadTest); 13] = [
    ("client_type", client_type),
    ("vip", vip),
    ("new", |v, _, r| flag(v, r, Test::New)),
    ("debtor", |v, _, r| flag(v, r, Test::Debtor)),
    ("identified", |v, _, r| flag(v, r, Test::Identified)),
    ("trunk", trunk),
    ("called", |v, c, r| {
        let patterns = patterns(v, &c.names.numbers, r)?;
        Some(vec![Test::Called(patterns.into_iter().map(|p| p.value).collect())])
    }),
    ("region", |v, _, r| {
        let regions = r.texts(v)?.into_iter().map(|t| Arc::from(t.value)).collect();
        Some(vec![Test::Region(regions)])
    }),
    ("department", |v, _, r| {
        let names = r.texts(v)?.into_iter().map(|t| t.map(|t| DepartmentId::new(&t))).collect();
        Some(vec![Test::Department(names)])
    }),
    ("open", |v, c, r| hours(v, c, r, true)),
    ("closed", |v, c, r| hours(v, c, r, false)),
    ("vip_debtor", |v, c, r| setting(v, r, "vip_debtor", &VIP_DEBTOR, |s| s.vip_debtor, c)),
    ("debtor_first", |v, c, r| setting(v, r, "debtor.first", &DEBTOR_FIRST, |s| s.debtor_first, c)),
];

fn flag(value: Value<'_>, reader: &mut Reader<'_>, test: fn(bool) -> Test) -> Option<Vec<Test>> {
    reader.boolean(value).map(|yes| vec![test(*yes)])
}

fn client_type(
    value: Value<'_>,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
) -> Option<Vec<Test>> {
    let names = reader.texts(value)?;
    let known = &context.settings.client_types;
    let types: Vec<_> = names.iter().filter_map(|name| known_type(known, name, reader)).collect();
    (types.len() == names.len()).then(|| vec![Test::ClientType(types)])
}

/// `true`, `false`, or levels by name.
fn vip(value: Value<'_>, _: &Context<'_>, reader: &mut Reader<'_>) -> Option<Vec<Test>> {
    if let Some(yes) = value.get_ref().as_bool() {
        let levels = if yes { vec![Vip::Local, Vip::Branch] } else { vec![Vip::None] };
        return Some(vec![Test::Vip(levels)]);
    }
    let names = reader.texts(value)?;
    let known = [Vip::None, Vip::Local, Vip::Branch];
    let mut levels = Vec::new();
    for name in &names {
        match known.iter().find(|level| level.as_str() == name.value) {
            Some(level) => levels.push(*level),
            None => {
                let hint = did_you_mean(name, known.map(Vip::as_str));
                reader.error(name.span.clone(), format!("`{name}` is no VIP level"), hint);
            }
        }
    }
    (levels.len() == names.len()).then(|| vec![Test::Vip(levels)])
}

fn trunk(value: Value<'_>, context: &Context<'_>, reader: &mut Reader<'_>) -> Option<Vec<Test>> {
    let names = reader.texts(value)?;
    let trunks: Vec<_> = names.iter().filter_map(|name| context.trunk(name, reader)).collect();
    (trunks.len() == names.len()).then(|| vec![Test::Trunk(trunks)])
}

/// All calendars of a list must be open, or all closed.
fn hours(
    value: Value<'_>,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    open: bool,
) -> Option<Vec<Test>> {
    let names = reader.texts(value)?;
    let mut tests = Vec::new();
    for name in &names {
        if context.calendars.contains_key(name.as_str()) {
            tests.push(Test::Hours { calendar: Arc::from(name.as_str()), open });
        } else {
            let hint = did_you_mean(name, context.calendars.keys().map(|k| k.as_ref()));
            reader.error(name.span.clone(), format!("no calendar is called `{name}`"), hint);
        }
    }
    (tests.len() == names.len()).then_some(tests)
}

fn setting<T: Copy + PartialEq>(
    value: Value<'_>,
    reader: &mut Reader<'_>,
    name: &str,
    known: &[(&str, T)],
    current: fn(&PolicySettings) -> T,
    context: &Context<'_>,
) -> Option<Vec<Test>> {
    let wanted = reader.choice(value, known)?;
    let word = value.get_ref().as_str().unwrap_or_default();
    let holds = current(context.settings) == *wanted;
    let values = known.iter().map(|(word, _)| format!("{name} = {word}")).collect();
    Some(vec![Test::Setting { text: format!("{name} = {word}"), values, holds }])
}
