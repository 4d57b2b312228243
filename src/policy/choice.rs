//! Whom of several idle people a step offers a call first, and how many at once.
//!
//! ```text
//! order = "longest idle" | "round robin" | "fewest calls" | "least talk time"
//!       | "skill" (with level = 3) | ["ole.a", "ida.b"]
//! together = 3
//! ```
//! Knows no board: what an order means there is the distributor's.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::fields::{At, Fields, Reader, Value};
use super::rule::Rule;
use super::target::Target;
use crate::domain::{PersonId, Role};

/// The most phones' owners who ring for one call at once.
pub const TOGETHER_MAX: u8 = 16;

/// The highest skill level.
const LEVEL_MAX: i64 = 100;

/// Whom of several idle people a call is offered first. Among equals whoever is idle for longest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Idle for longest.
    #[default]
    LongestIdle,
    /// Offered a call longest ago.
    RoundRobin,
    /// Fewest calls answered since midnight.
    FewestCalls,
    /// Least time talked since midnight.
    LeastTalk,
    /// This level or more; then the nearest below.
    Skill(u8),
    /// In this order; who is not in it after them.
    Listed(Vec<PersonId>),
}

impl Pick {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pick::LongestIdle => f.write_str("longest idle first"),
            Pick::RoundRobin => f.write_str("round robin"),
            Pick::FewestCalls => f.write_str("fewest calls today first"),
            Pick::LeastTalk => f.write_str("least talk time today first"),
            Pick::Skill(level) => {
                write!(f, "skill level {level} or more first, then the nearest below")
            }
            Pick::Listed(people) => {
                let names: Vec<&str> = people.iter().map(PersonId::as_str).collect();
                write!(f, "in this order: {}", names.join(", "))
            }
        }
    }
}

/// What a step says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) pick: Pick,
    /// Where the names of a list stand.
    pub(super) listed: Vec<At<PersonId>>,
    pub(super) together: u8,
}

impl Choice {
    /// Reads `order`, `level` and `together` of a step to `target`; what is wrong is noted.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        target: Option<&Target>,
        reader: &mut Reader<'_>,
    ) -> Self {
        let (order, level) = (fields.optional("order"), fields.optional("level"));
        let together = fields.optional("together");
        let spans = [order, together].map(|value| value.map(|v| v.span()));
        let mut choice = Self { together: 1, ..Self::default() };
        if let Some(value) = order {
            choice.read_order(value, level, reader);
        } else if let Some(level) = level {
            let hint = "add order = \"skill\"".to_owned();
            reader.error(level.span(), "only a step in order of skill has a level", Some(hint));
        }
        let bounds = 1..=i64::from(TOGETHER_MAX);
        if let Some(count) = together.and_then(|value| reader.integer(value, bounds)) {
            choice.together = u8::try_from(*count).unwrap_or(1);
        }
        if let Some(target @ (Target::One(_) | Target::Deputies(_))) = target {
            for (span, what) in spans.into_iter().zip(["there is no order", "nobody rings beside"])
            {
                let message = format!("`{target}` is one person at a time: {what}");
                span.into_iter().for_each(|span| reader.error(span, message.clone(), None));
            }
        }
        choice
    }

    fn read_order(&mut self, value: Value<'_>, level: Option<Value<'_>>, reader: &mut Reader<'_>) {
        if !matches!(value.get_ref(), DeValue::Array(_)) {
            return self.read_word(value, level, reader);
        }
        self.read_list(value, reader);
        if let Some(level) = level {
            reader.error(level.span(), "only a step in order of skill has a level", None);
        }
    }

    fn read_word(&mut self, value: Value<'_>, level: Option<Value<'_>>, reader: &mut Reader<'_>) {
        #[derive(Clone, Copy, PartialEq)]
        enum Word {
            LongestIdle,
            RoundRobin,
            FewestCalls,
            LeastTalk,
            Skill,
        }
        let words = [
            ("longest idle", Word::LongestIdle),
            ("round robin", Word::RoundRobin),
            ("fewest calls", Word::FewestCalls),
            ("least talk time", Word::LeastTalk),
            ("skill", Word::Skill),
        ];
        let Some(word) = reader.choice(value, &words) else { return };
        self.pick = match (*word, level) {
            (Word::Skill, Some(level)) => match reader.integer(level, 1..=LEVEL_MAX) {
                Some(level) => Pick::Skill(u8::try_from(*level).unwrap_or(1)),
                None => return,
            },
            (Word::Skill, None) => {
                let hint = "add level = 3, or what is wanted".to_owned();
                return reader.error(word.span, "how skilled is not said", Some(hint));
            }
            (_, Some(level)) => {
                let hint = "say order = \"skill\"".to_owned();
                let message = "only a step in order of skill has a level";
                return reader.error(level.span(), message, Some(hint));
            }
            (Word::LongestIdle, None) => Pick::LongestIdle,
            (Word::RoundRobin, None) => Pick::RoundRobin,
            (Word::FewestCalls, None) => Pick::FewestCalls,
            (Word::LeastTalk, None) => Pick::LeastTalk,
        };
    }

    fn read_list(&mut self, value: Value<'_>, reader: &mut Reader<'_>) {
        let names = reader.texts(value).unwrap_or_default();
        for name in names {
            let name = name.map(|name| PersonId::new(&name));
            if self.listed.iter().any(|known| known.value == name.value) {
                reader.error(name.span, format!("`{}` is in this order already", name.value), None);
            } else {
                self.listed.push(name);
            }
        }
        self.pick = Pick::Listed(self.listed.iter().map(|name| name.value.clone()).collect());
    }
}

/// The list of each role: the board keeps one order for a group, whatever route its callers came by.
pub(super) fn lists(rules: &[Rule], reader: &mut Reader<'_>) -> BTreeMap<Role, Vec<PersonId>> {
    let mut lists: BTreeMap<Role, (Vec<PersonId>, Range<usize>)> = BTreeMap::new();
    for step in rules.iter().flat_map(|rule| &rule.steps) {
        let (Pick::Listed(people), Target::Role(role, _)) = (&step.choice.pick, &step.to) else {
            continue;
        };
        let (known, span) =
            lists.entry(role.value.clone()).or_insert_with(|| (people.clone(), step.span.clone()));
        if known != people {
            let (line, _) = reader.source().position(span.start);
            let message = format!("line {line} gives another order of `{role}`");
            let hint =
                "one list for each role: the callers of all routes wait in one queue".to_owned();
            reader.error(step.span.clone(), message, Some(hint));
        }
    }
    lists.into_iter().map(|(role, (people, _))| (role, people)).collect()
}
