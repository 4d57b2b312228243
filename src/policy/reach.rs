//! Can every rule be reached, and does every call find one?
//!
//! Conditions ask about few things with few distinguishable values each: the *space* is their finite
//! product. A condition is a *block* in it (a set of values per dimension). Rules take their blocks away
//! from the whole in order:
//!
//! ```text
//! rest = everything a call can be
//! for each condition:  rest ∩ block = ∅  → never reached: earlier rules took it all
//!                      rest := rest ∖ block        (at most one block per dimension is left)
//! rest ≠ ∅ at the end  → a call that no rule fits; any of its points is the example
//! ```
//! What cannot be together is never in `rest`: a caller who is no known client has no type, VIP level,
//! debt or department; of opening hours only those combinations count that the calendars really have.

mod dormant;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::Date;

use super::calendars::Calendars;
use super::condition::Test;
use super::fields::Reader;
use super::numbers::{Dialled, Numbers, Pattern, witnesses};
use super::rule::Rules;
use super::{Context, Rule};
use crate::domain::{DepartmentId, Vip};

/// More blocks than this, and the check says that it gave up.
const BLOCKS_MAX: usize = 20_000;

/// Years whose calendars are looked at: every weekday for every date, leap years included.
const YEARS: std::ops::Range<i16> = 2024..2036;

/// Notes every rule that is never reached and a call that no rule fits. What a setting switches off hides
/// nothing, and is told if nobody would reach it when it is switched on.
pub(super) fn check(
    rules: &Rules,
    context: &Context<'_>,
    calendars: &Calendars,
    reader: &mut Reader<'_>,
) {
    let space = Space::of(&rules.rules, context, calendars, &[], &[]);
    let mut rest = space.everything();
    let mut taken: Vec<(usize, Block)> = Vec::new();
    for (index, rule) in rules.rules.iter().enumerate() {
        for condition in rule.when.iter().filter(|c| !c.is_off()) {
            let wanted = space.of_tests(&condition.tests);
            if !rest.iter().any(|r| r.meets(&wanted)) {
                let message = never(rule, &wanted, &taken, &rules.rules, &space, reader);
                let hint = "move it up, narrow those before it, or remove it".to_owned();
                reader.error(condition.span.clone(), message, Some(hint));
            }
            rest = rest.into_iter().flat_map(|r| r.minus(&wanted)).collect();
            taken.push((index, wanted));
            if rest.len() > BLOCKS_MAX {
                let message = "the conditions are too many to be checked for gaps and shadows";
                reader.warn(rule.span.clone(), message, None);
                return;
            }
        }
    }
    dormant::check(&rules.rules, &space, reader);
    if let (Some(gap), true, Some(last)) = (rest.first(), rules.complete, rules.rules.last()) {
        let message = format!("no rule fits this call: {}", space.example(gap));
        let hint = "end with a rule without `when` (B4: everybody else, to the operators)";
        reader.error(last.span.clone(), message, Some(hint.to_owned()));
    }
}

/// One kind of caller whom a rule takes, as far as the rule's route can tell callers apart.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The department of the called number.
    pub(super) called: Option<DepartmentId>,
    /// The caller's region.
    pub(super) region: Option<Arc<str>>,
    /// The department responsible for the client, where a rule insists on one.
    pub(super) department: Option<DepartmentId>,
    /// A client: it may have a region that only the directory knows.
    pub(super) known: bool,
    /// One of them: type, VIP level, debt, department, numbers.
    words: String,
}

impl Caller {
    /// One of them, with a manager or without: all that has to be known to try it.
    pub(super) fn in_words(&self, managed: bool) -> String {
        let manager = match (self.known, managed) {
            (true, true) => ", with a manager who is nobody else in the route",
            (true, false) => ", no manager",
            (false, _) => "",
        };
        format!("{}{manager}", self.words)
    }
}

/// For each rule one of each kind of caller that comes to it; and whether that is all of them.
pub(super) fn callers(
    rules: &Rules,
    context: &Context<'_>,
    calendars: &Calendars,
    called: &Numbers<DepartmentId>,
    regions: &Numbers<Arc<str>>,
) -> (Vec<Vec<Caller>>, bool) {
    let numbers: Vec<Pattern> = called.patterns().cloned().collect();
    let names: Vec<Arc<str>> = regions.values().map(|r| r.value.clone()).collect();
    let space = Space::of(&rules.rules, context, calendars, &numbers, &names);
    let origins: Vec<Pattern> = regions.patterns().cloned().collect();
    let origins = witnesses(&origins);
    let from = |region: &str| {
        let of_region = origins.iter().find(|n| place(regions, n).is_some_and(|r| **r == *region));
        of_region.map_or(ANY_NUMBER, String::as_str)
    };
    let of_called: Vec<Option<DepartmentId>> =
        space.called.iter().map(|number| place(called, number).cloned()).collect();
    let mut rest = space.everything();
    let mut found = Vec::new();
    let mut complete = true;
    for rule in &rules.rules {
        let mut kinds = BTreeMap::new();
        for condition in rule.when.iter().filter(|c| !c.is_off()) {
            let wanted = space.of_tests(&condition.tests);
            let mut meeting = rest.iter().filter(|r| r.meets(&wanted));
            for block in meeting.by_ref().take(BLOCKS_LOOKED_AT_MAX) {
                space.kinds(&block.and(&wanted), &of_called, &from, &mut kinds);
            }
            complete &= meeting.next().is_none();
            rest = rest.into_iter().flat_map(|r| r.minus(&wanted)).collect();
            if rest.len() > BLOCKS_MAX {
                return (found, false);
            }
        }
        complete &= kinds.len() < KINDS_MAX;
        found.push(kinds.into_values().collect());
    }
    (found, complete)
}

/// From the numbers that are kept free for fiction.
const ANY_NUMBER: &str = "+12125550199";

/// Blocks of one condition in which kinds of callers are looked for.
const BLOCKS_LOOKED_AT_MAX: usize = 1_000;

/// Kinds of callers of one rule that are told apart.
const KINDS_MAX: usize = 500;

type Kinds = BTreeMap<(Option<DepartmentId>, Option<Arc<str>>, Option<DepartmentId>), Caller>;

fn place<'a, T>(numbers: &'a Numbers<T>, number: &str) -> Option<&'a T> {
    numbers.find(Dialled { e164: Some(number), raw: number }).map(|(_, value)| value)
}

fn never(
    rule: &Rule,
    wanted: &Block,
    taken: &[(usize, Block)],
    rules: &[Rule],
    space: &Space,
    reader: &Reader<'_>,
) -> String {
    if !space.everything().iter().any(|r| r.meets(wanted)) {
        return format!("`{}` is never reached: no call can be all of this at once", rule.name);
    }
    let meets = taken.iter().filter(|(_, block)| block.meets(wanted));
    let alone = meets.clone().find(|(_, block)| wanted.clone().minus(block).is_empty());
    let before: BTreeSet<usize> = match alone {
        Some((index, _)) => BTreeSet::from([*index]),
        None => meets.map(|(index, _)| *index).collect(),
    };
    let names = before.iter().map(|index| {
        let (line, _) = reader.source().position(rules[*index].span.start);
        format!("`{}` (line {line})", rules[*index].name)
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let take = if before.len() == 1 { "takes" } else { "together take" };
    format!("`{}` is never reached: {names} {take} all its calls", rule.name)
}

/// A set of a dimension's values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mask(Vec<u64>);

impl Mask {
    fn of(values: impl Iterator<Item = bool>) -> Self {
        let mut words = Vec::new();
        for (i, yes) in values.enumerate() {
            if i % 64 == 0 {
                words.push(0);
            }
            words[i / 64] |= u64::from(yes) << (i % 64);
        }
        Self(words)
    }

    fn and(&self, other: &Mask) -> Mask {
        Mask(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    fn without(&self, other: &Mask) -> Mask {
        Mask(self.0.iter().zip(&other.0).map(|(a, b)| a & !b).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn has(&self, value: usize) -> bool {
        self.0.get(value / 64).is_some_and(|word| word >> (value % 64) & 1 == 1)
    }

    fn values(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len() * 64).filter(|value| self.has(*value))
    }

    fn only(&self, value: usize) -> Mask {
        Mask::of((0..self.0.len() * 64).map(|i| i == value))
    }

    fn first(&self) -> usize {
        let word = self.0.iter().position(|word| *word != 0).unwrap_or(0);
        word * 64 + self.0.get(word).map_or(0, |w| w.trailing_zeros() as usize)
    }
}

/// A set of values in each dimension.
#[derive(Clone, Debug)]
struct Block(Vec<Mask>);

impl Block {
    fn and(&self, other: &Block) -> Block {
        Block(self.0.iter().zip(&other.0).map(|(a, b)| a.and(b)).collect())
    }

    fn meets(&self, other: &Block) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| !a.and(b).is_empty())
    }

    /// This without `other`: blocks that do not meet each other.
    fn minus(self, other: &Block) -> Vec<Block> {
        if !self.meets(other) {
            return vec![self];
        }
        let mut left = Vec::new();
        let mut inside = self;
        for i in 0..inside.0.len() {
            let outside = inside.0[i].without(&other.0[i]);
            let within = inside.0[i].and(&other.0[i]);
            if !outside.is_empty() {
                let mut piece = inside.clone();
                piece.0[i] = outside;
                left.push(piece);
            }
            inside.0[i] = within;
        }
        left
    }
}

/// Who calls, as far as clauses A1 and A3 tell callers apart.
const CALLERS: [(&str, bool, bool); 4] = [
    ("a known client", true, false),
    ("a new client who is in the database", true, true),
    ("a valid number that is in no list", false, true),
    ("a withheld number", false, false),
];

const VIPS: [Vip; 3] = [Vip::None, Vip::Local, Vip::Branch];

/// The values that the rules can tell apart.
struct Space {
    /// Types; then "another".
    types: Vec<String>,
    /// Trunks; then our own people.
    trunks: Vec<String>,
    /// A number for each class; the last fits no pattern.
    called: Vec<String>,
    /// Regions; then "another or none".
    regions: Vec<String>,
    /// Departments; then "another or none".
    departments: Vec<String>,
    /// Calendars that the rules ask, and which of them are open together.
    calendars: Vec<Arc<str>>,
    hours: Vec<Vec<bool>>,
}

const CALLER: usize = 0;
const TYPE: usize = 1;
const VIP: usize = 2;
const DEBT: usize = 3;
const TRUNK: usize = 4;
const CALLED: usize = 5;
const REGION: usize = 6;
const DEPARTMENT: usize = 7;
const HOURS: usize = 8;

impl Space {
    /// What `rules` ask about, and these numbers and regions.
    fn of(
        rules: &[Rule],
        context: &Context<'_>,
        calendars: &Calendars,
        numbers: &[Pattern],
        regions: &[Arc<str>],
    ) -> Self {
        let tests: Vec<&Test> = rules.iter().flat_map(|r| &r.when).flat_map(|c| &c.tests).collect();
        let mut patterns: Vec<Pattern> = numbers.to_vec();
        let mut regions: BTreeSet<String> = regions.iter().map(|r| r.to_string()).collect();
        let mut departments = BTreeSet::new();
        let mut asked = BTreeSet::new();
        for test in tests {
            match test {
                Test::Called(wanted) => patterns.extend(wanted.iter().cloned()),
                Test::Region(wanted) => regions.extend(wanted.iter().map(|r| r.to_string())),
                Test::Department(wanted) => {
                    departments.extend(wanted.iter().map(|d| d.to_string()));
                }
                Test::Hours { calendar, .. } => {
                    asked.insert(calendar.clone());
                }
                _ => {}
            }
        }
        patterns.sort();
        patterns.dedup();
        let calendars_asked: Vec<Arc<str>> = asked.into_iter().collect();
        let types = context.settings.client_types.iter().map(|t| t.as_str().to_owned());
        let other = || std::iter::once(String::new());
        Self {
            types: types.chain(other()).collect(),
            trunks: context
                .names
                .trunks
                .iter()
                .map(|(t, _)| t.to_string())
                .chain(other())
                .collect(),
            called: witnesses(&patterns),
            regions: regions.into_iter().chain(other()).collect(),
            departments: departments.into_iter().chain(other()).collect(),
            hours: hours_together(&calendars_asked, calendars),
            calendars: calendars_asked,
        }
    }

    /// Everything that a call can be.
    fn everything(&self) -> Vec<Block> {
        let mut client = self.any();
        client.0[CALLER] = Mask::of(CALLERS.iter().map(|(_, known, _)| *known));
        let mut stranger = self.any();
        stranger.0[CALLER] = Mask::of(CALLERS.iter().map(|(_, known, _)| !*known));
        stranger.0[TYPE] = last_of(self.types.len());
        stranger.0[VIP] = Mask::of(VIPS.iter().map(|v| *v == Vip::None));
        stranger.0[DEBT] = Mask::of([true, false].into_iter());
        stranger.0[DEPARTMENT] = last_of(self.departments.len());
        vec![client, stranger]
    }

    fn any(&self) -> Block {
        let full = |len: usize| Mask::of(std::iter::repeat_n(true, len));
        let lens = [
            CALLERS.len(),
            self.types.len(),
            VIPS.len(),
            2,
            self.trunks.len(),
            self.called.len(),
            self.regions.len(),
            self.departments.len(),
            self.hours.len(),
        ];
        Block(lens.into_iter().map(full).collect())
    }

    fn of_tests(&self, tests: &[Test]) -> Block {
        let mut wanted = self.any();
        for test in tests {
            let (dimension, mask) = match test {
                Test::ClientType(types) => {
                    (TYPE, among(&self.types, |t| types.iter().any(|w| w.as_str() == t)))
                }
                Test::Vip(levels) => (VIP, Mask::of(VIPS.iter().map(|v| levels.contains(v)))),
                Test::New(new) => (CALLER, Mask::of(CALLERS.iter().map(|(_, _, n)| n == new))),
                Test::Identified(known) => {
                    (CALLER, Mask::of(CALLERS.iter().map(|(_, k, _)| k == known)))
                }
                Test::Debtor(owes) => (DEBT, Mask::of([!*owes, *owes].into_iter())),
                Test::Trunk(trunks) => {
                    (TRUNK, among(&self.trunks, |t| trunks.iter().any(|w| w.as_str() == t)))
                }
                Test::Called(patterns) => (CALLED, among(&self.called, |n| fits_any(patterns, n))),
                Test::Region(regions) => {
                    (REGION, among(&self.regions, |r| regions.iter().any(|w| w.as_ref() == r)))
                }
                Test::Department(names) => (
                    DEPARTMENT,
                    among(&self.departments, |d| names.iter().any(|w| w.as_str() == d)),
                ),
                Test::Hours { calendar, open } => (HOURS, self.hours_mask(calendar, *open)),
                Test::Setting { .. } => continue,
            };
            wanted.0[dimension] = wanted.0[dimension].and(&mask);
        }
        wanted
    }

    fn hours_mask(&self, calendar: &Arc<str>, open: bool) -> Mask {
        let place = self.calendars.iter().position(|c| c == calendar);
        Mask::of(self.hours.iter().map(|h| place.is_none_or(|place| h[place] == open)))
    }

    /// Notes one caller of a box for every way in which routes tell its callers apart. A called
    /// number that has a department goes before the region (B1).
    fn kinds<'a>(
        &'a self,
        block: &Block,
        of_called: &[Option<DepartmentId>],
        from: &dyn Fn(&str) -> &'a str,
        kinds: &mut Kinds,
    ) {
        let known = CALLERS[block.0[CALLER].first()].1;
        let none = self.departments.len() - 1;
        // Whoever may have no department reaches the fewest people.
        let all = block.0[DEPARTMENT].values();
        let departments: Vec<usize> =
            if block.0[DEPARTMENT].has(none) { vec![none] } else { all.collect() };
        for number in block.0[CALLED].values() {
            let of_number = of_called[number].clone();
            let all = block.0[REGION].values();
            let regions: Vec<usize> =
                if of_number.is_some() { all.take(1).collect() } else { all.collect() };
            for (region, department) in
                regions.iter().flat_map(|r| departments.iter().map(move |d| (*r, *d)))
            {
                let named = |text: &String| (!text.is_empty()).then(|| text.clone());
                let place = named(&self.regions[region]).map(Arc::from);
                let own = named(&self.departments[department]).map(|d| DepartmentId::new(&d));
                let key = (of_number.clone(), place.clone(), own.clone());
                if kinds.contains_key(&key) || kinds.len() >= KINDS_MAX {
                    continue;
                }
                let mut one = block.clone();
                for (dimension, value) in
                    [(CALLED, number), (REGION, region), (DEPARTMENT, department)]
                {
                    one.0[dimension] = one.0[dimension].only(value);
                }
                let mut words = self.example(&one);
                // What no rule asks about makes a caller a certain one all the same.
                if known && self.departments.len() == 1 {
                    words.push_str(", no department responsible");
                }
                if self.called.len() == 1 {
                    words.push_str(", any called number");
                }
                if CALLERS[one.0[CALLER].first()].0 != CALLERS[3].0 {
                    words.push_str(&format!(", calling from {}", from(&self.regions[region])));
                }
                let (called, region, department) = key.clone();
                kinds.insert(key, Caller { called, region, department, known, words });
            }
        }
    }

    /// One call of a box in words: only what the rules ask about.
    fn example(&self, gap: &Block) -> String {
        let value = |dimension: usize| gap.0[dimension].first();
        let mut words = vec![CALLERS[value(CALLER)].0.to_owned()];
        let known = CALLERS[value(CALLER)].1;
        if known {
            let client_type = &self.types[value(TYPE)];
            let another = client_type.is_empty();
            let name = if another { "that the policy does not name" } else { client_type };
            words.push(format!("type {name}"));
            words.push(format!("VIP {}", VIPS[value(VIP)].as_str()));
            words.push(if value(DEBT) == 1 { "owes money" } else { "owes nothing" }.to_owned());
        }
        let mut name = |list: &[String], dimension: usize, word: &str, other: &str| {
            if list.len() > 1 {
                let text = &list[value(dimension)];
                words.push(format!("{word} {}", if text.is_empty() { other } else { text }));
            }
        };
        name(&self.called, CALLED, "called number", "none of those named");
        name(&self.regions, REGION, "region", "none of those named");
        name(&self.departments, DEPARTMENT, "department", "none of those named");
        if self.trunks[value(TRUNK)].is_empty() {
            words.push("from one of our people".to_owned());
        } else {
            words.push(format!("over trunk {}", self.trunks[value(TRUNK)]));
        }
        for (calendar, open) in self.calendars.iter().zip(&self.hours[value(HOURS)]) {
            words.push(format!("{calendar} {}", if *open { "open" } else { "closed" }));
        }
        words.join(", ")
    }
}

fn among(values: &[String], wanted: impl Fn(&str) -> bool) -> Mask {
    Mask::of(values.iter().map(|value| !value.is_empty() && wanted(value)))
}

fn last_of(len: usize) -> Mask {
    Mask::of((0..len).map(|i| i + 1 == len))
}

fn fits_any(patterns: &[Pattern], number: &str) -> bool {
    let dialled = Dialled { e164: Some(number), raw: number };
    patterns.iter().any(|pattern| pattern.fits(dialled))
}

/// Which of `asked` are open together at some instant: looked up at every edge of every one of them,
/// over a winter and a summer week and all special days of years enough for every weekday.
fn hours_together(asked: &[Arc<str>], calendars: &Calendars) -> Vec<Vec<bool>> {
    let asked: Vec<_> = asked.iter().filter_map(|name| calendars.get(name)).collect();
    let weeks = [Date::constant(2026, 1, 4), Date::constant(2026, 7, 5)].into_iter();
    let mut days: BTreeSet<Date> = weeks.flat_map(|day| around(day, 0..9)).collect();
    for calendar in &asked {
        let special = YEARS.flat_map(|year| calendar.special_days(year));
        days.extend(special.flat_map(|day| around(day, -1..2)));
    }
    let mut found = BTreeSet::new();
    for day in days {
        for edge in asked.iter().flat_map(|calendar| calendar.edges(day)) {
            let before = edge.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(edge);
            for at in [edge, before] {
                found.insert(asked.iter().map(|c| c.is_open(at)).collect::<Vec<bool>>());
            }
        }
    }
    if found.is_empty() {
        // No calendar asked, or none that ever changes.
        let noon = Date::constant(2026, 1, 5).at(12, 0, 0, 0).in_tz("UTC");
        let at = noon.map_or(jiff::Timestamp::UNIX_EPOCH, |noon| noon.timestamp());
        found.insert(asked.iter().map(|c| c.is_open(at)).collect());
    }
    found.into_iter().collect()
}

fn around(day: Date, offsets: std::ops::Range<i64>) -> impl Iterator<Item = Date> {
    offsets.filter_map(move |n| day.checked_add(jiff::Span::new().days(n)).ok())
}
