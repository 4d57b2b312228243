//! Rules that a setting switches off and that nobody would reach if it switched them on.
//!
//! Each combination of the settings that rules ask for is a world with its own rules; what is off in the
//! file's own world must be reached in one of the others.

use std::collections::{BTreeMap, BTreeSet};

use super::super::condition::{Condition, Test};
use super::super::fields::Reader;
use super::super::rule::Rule;
use super::{BLOCKS_MAX, Block, Space, never};

/// Combinations of settings that are looked at.
const WORLDS_MAX: usize = 64;

/// Warns of each condition that is off and that no combination of settings lets anybody reach.
pub(super) fn check(rules: &[Rule], space: &Space, reader: &mut Reader<'_>) {
    let conditions = || rules.iter().flat_map(|rule| &rule.when);
    let mut waiting: BTreeSet<usize> =
        conditions().filter(|c| c.is_off()).map(|c| c.span.start).collect();
    if waiting.is_empty() {
        return;
    }
    let mut why: BTreeMap<usize, String> = BTreeMap::new();
    for world in worlds(conditions()) {
        if !try_world(rules, space, &world, (&mut waiting, &mut why), reader) {
            return;
        }
    }
    for condition in conditions().filter(|c| waiting.contains(&c.span.start)) {
        let Some(why) = why.remove(&condition.span.start) else { continue };
        let message = format!("{why}, also with the setting that switches it on");
        let hint = "move it up, narrow those before it, or remove it".to_owned();
        reader.warn(condition.span.clone(), message, Some(hint));
    }
}

/// Takes out of `waiting` what is reached in this world, and notes why the rest is not. False: too much.
fn try_world(
    rules: &[Rule],
    space: &Space,
    world: &[&str],
    (waiting, why): (&mut BTreeSet<usize>, &mut BTreeMap<usize, String>),
    reader: &Reader<'_>,
) -> bool {
    let mut rest = space.everything();
    let mut taken: Vec<(usize, Block)> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for condition in rule.when.iter().filter(|c| is_on(c, world)) {
            let wanted = space.of_tests(&condition.tests);
            let place = condition.span.start;
            if rest.iter().any(|r| r.meets(&wanted)) {
                waiting.remove(&place);
            } else if waiting.contains(&place) && !why.contains_key(&place) {
                why.insert(place, never(rule, &wanted, &taken, rules, space, reader));
            }
            rest = rest.into_iter().flat_map(|r| r.minus(&wanted)).collect();
            taken.push((index, wanted));
            if rest.len() > BLOCKS_MAX {
                return false;
            }
        }
    }
    true
}

fn is_on(condition: &Condition, world: &[&str]) -> bool {
    condition.tests.iter().all(|test| match test {
        Test::Setting { text, .. } => world.contains(&text.as_str()),
        _ => true,
    })
}

/// Every combination of values of the settings asked for.
fn worlds<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Vec<Vec<&'a str>> {
    let asked: BTreeSet<&Vec<String>> = conditions
        .flat_map(|condition| &condition.tests)
        .filter_map(|test| match test {
            Test::Setting { values, .. } => Some(values),
            _ => None,
        })
        .collect();
    let mut worlds = vec![Vec::new()];
    for values in asked {
        let with = |world: &Vec<&'a str>| -> Vec<Vec<&'a str>> {
            values.iter().map(|value| [world.as_slice(), &[value.as_str()]].concat()).collect()
        };
        worlds = worlds.iter().flat_map(with).take(WORLDS_MAX).collect();
    }
    worlds
}
