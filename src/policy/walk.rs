//! Every path of outcomes through a route: whoever of a step is gone, busy, does not answer or refuses, all of
//! them alike or any two of them differently.
//!
//! ```text
//! (step, who turned the caller away, who is gone) ── outcomes of its people ──► the step that follows (`course`)
//!                                                ╲─ answered: the path ends well
//! past the last step: the ending
//! ```
//! Nodes are remembered, so the work grows with the different nodes and not with the paths. Two people stand for
//! all of a step: more of them have no other outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::course::Stand;
use crate::domain::AgentId;

/// Different nodes of one route.
const NODES_MAX: usize = 5_000;
/// Steps of a route; of a longer one none is walked.
const PLACES_MAX: usize = 100;

/// What can come of a person who is to take a call, but that they take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Gone,
    Busy,
    NoAnswer,
    Refused,
}

const OUTCOMES: [Outcome; 4] = [Outcome::Gone, Outcome::Busy, Outcome::NoAnswer, Outcome::Refused];

impl Outcome {
    fn stand(self) -> Stand {
        match self {
            Self::Gone => Stand::Gone,
            Self::Busy => Stand::Here,
            Self::NoAnswer | Self::Refused => Stand::TurnedAway,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Busy => "busy",
            Self::NoAnswer => "no answer",
            Self::Refused => "refused",
        }
    }
}

/// A step as far as paths can tell steps apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// As the policy says it.
    pub(super) to: Arc<str>,
    /// Two of those who may ring.
    pub(super) people: Vec<AgentId>,
    /// They are there only if this person is gone (clause C1).
    pub(super) deputies_of: Option<AgentId>,
}

/// Which step follows this one, whose people hold the caller to the end of its `wait`, or do not.
pub(super) type Follow<'a> = &'a dyn Fn(Option<usize>, bool) -> usize;

/// What the walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// Ways through the route, answered ones included.
    pub(super) paths: u64,
    /// For each step: some path rings somebody there.
    pub(super) reached: Vec<bool>,
    /// The outcomes of a path that comes to a step again.
    pub(super) circle: Option<String>,
    /// The outcomes of a path to the ending.
    pub(super) to_the_end: Option<String>,
    /// The route has too many nodes: not all were walked.
    pub(super) cut: bool,
}

type Node = (usize, BTreeSet<AgentId>, BTreeSet<AgentId>);

struct Walk<'a> {
    places: &'a [Place],
    follow: Follow<'a>,
    known: BTreeMap<Node, u64>,
    path: Vec<String>,
    found: Walked,
}

/// Walks all paths.
pub(super) fn walk(places: &[Place], follow: Follow<'_>) -> Walked {
    let found = Walked { reached: vec![false; places.len()], ..Walked::default() };
    if places.len() > PLACES_MAX {
        return Walked { cut: true, ..found };
    }
    let mut walk = Walk { places, follow, known: BTreeMap::new(), path: Vec::new(), found };
    let first = follow(None, false);
    walk.found.paths = walk.from(first, &BTreeSet::new(), &BTreeSet::new());
    walk.found
}

impl Walk<'_> {
    /// Ways from here to an end.
    fn from(&mut self, step: usize, turned: &BTreeSet<AgentId>, gone: &BTreeSet<AgentId>) -> u64 {
        let places = self.places;
        let Some(place) = places.get(step) else {
            if self.found.to_the_end.is_none() {
                self.found.to_the_end = Some(self.path.join(", then "));
            }
            return 1;
        };
        // Only who is named again makes a difference.
        let (turned, gone) = (self.later(step, turned), self.later(step, gone));
        let node = (step, turned, gone);
        if let Some(paths) = self.known.get(&node) {
            return *paths;
        }
        if self.known.len() >= NODES_MAX {
            self.found.cut = true;
            return 0;
        }
        let (_, turned, gone) = &node;
        let is_there = |agent: &&AgentId| !turned.contains(agent) && !gone.contains(agent);
        let absent = place.deputies_of.is_none_or(|who| gone.contains(&who));
        let people: Vec<AgentId> =
            place.people.iter().filter(|_| absent).filter(is_there).copied().collect();
        let mut paths = u64::from(!people.is_empty());
        self.found.reached[step] |= !people.is_empty();
        for outcomes in combinations(people.len()) {
            let held = outcomes.iter().any(|outcome| outcome.stand().holds());
            let next = (self.follow)(Some(step), held);
            self.path.push(in_words(&place.to, &outcomes));
            if next <= step {
                let path = self.path.join(", then ");
                self.found.circle.get_or_insert(path);
            } else {
                let with = |set: &BTreeSet<AgentId>, stand: Stand| {
                    let pairs = people.iter().zip(&outcomes);
                    let more = pairs.filter(|(_, outcome)| outcome.stand() == stand);
                    set.iter().copied().chain(more.map(|(agent, _)| *agent)).collect()
                };
                let (turned, gone) = (with(turned, Stand::TurnedAway), with(gone, Stand::Gone));
                paths = paths.saturating_add(self.from(next, &turned, &gone));
            }
            self.path.pop();
        }
        self.known.insert(node, paths);
        paths
    }

    fn later(&self, step: usize, set: &BTreeSet<AgentId>) -> BTreeSet<AgentId> {
        let counts = |agent: &&AgentId| {
            let names =
                |place: &Place| place.people.contains(agent) || place.deputies_of == Some(**agent);
            self.places[step..].iter().any(names)
        };
        set.iter().filter(counts).copied().collect()
    }
}

/// All of one kind, and each pair of kinds. Nobody there: one way on.
fn combinations(people: usize) -> Vec<Vec<Outcome>> {
    match people {
        0 => vec![Vec::new()],
        1 => OUTCOMES.map(|outcome| vec![outcome]).to_vec(),
        _ => {
            let pairs = (0..OUTCOMES.len()).flat_map(|one| {
                (one..OUTCOMES.len()).map(move |two| vec![OUTCOMES[one], OUTCOMES[two]])
            });
            pairs.collect()
        }
    }
}

fn in_words(to: &str, outcomes: &[Outcome]) -> String {
    match outcomes {
        [] => format!("{to}: nobody"),
        [one] => format!("{to}: {}", one.in_words()),
        [one, two, ..] if one == two => format!("{to}: all {}", one.in_words()),
        [one, two, ..] => format!("{to}: {} and {}", one.in_words(), two.in_words()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::course::following;
    use super::*;

    fn place(to: &str, people: &[u16]) -> Place {
        let people = people.iter().map(|n| AgentId(*n)).collect();
        Place { to: to.into(), people, deputies_of: None }
    }

    fn real(step: Option<usize>, _: bool) -> usize {
        following(step)
    }

    #[test]
    fn every_combination_of_outcomes_is_walked_and_counted() {
        let one = walk(&[place("one", &[1])], &real);
        assert_eq!((one.paths, one.reached.as_slice()), (1 + 4, [true].as_slice()));
        let two = walk(&[place("two", &[1, 2])], &real);
        assert_eq!(two.paths, 1 + 10, "all of a kind, each pair, answered");
        let both = walk(&[place("one", &[1]), place("two", &[2, 3])], &real);
        assert_eq!(both.paths, 1 + 4 * (1 + 10));
        let path = "one: gone, then two: all gone";
        assert_eq!((both.circle, both.to_the_end.as_deref()), (None, Some(path)));
        let none = walk(&[place("none", &[])], &real);
        assert_eq!((none.paths, none.reached), (1, vec![false]));
    }

    #[test]
    fn who_refused_in_one_step_is_not_rung_in_the_next_and_deputies_only_for_who_is_gone() {
        // Refused or no answer in the first: the group has one left; gone or busy: two, or one.
        let walked = walk(&[place("one", &[1]), place("group", &[1, 2])], &real);
        let (two, one) = (1 + 10, 1 + 4);
        assert_eq!(walked.paths, 1 + two + 3 * one, "{walked:?}");
        let deputies = Place { deputies_of: Some(AgentId(1)), ..place("deputies", &[7]) };
        let walked = walk(&[place("one", &[1]), deputies.clone()], &real);
        assert_eq!(walked.paths, 1 + one + 3, "gone: the deputy; else nobody");
        let walked = walk(&[place("another", &[2]), deputies], &real);
        assert_eq!(walked.reached, [true, false], "nothing says that they are gone");
    }

    #[test]
    fn a_course_that_goes_back_is_a_circle_with_its_path() {
        let back = |step: Option<usize>, held: bool| match (step, held) {
            (Some(1), true) => 0,
            _ => following(step),
        };
        let places = [place("one", &[1]), place("two", &[2])];
        let circle = walk(&places, &back).circle;
        assert_eq!(circle.as_deref(), Some("one: gone, then two: busy"));
        let stays = |step: Option<usize>, _: bool| step.unwrap_or(0);
        assert_eq!(walk(&places, &stays).circle.as_deref(), Some("one: gone"));
    }

    #[test]
    fn a_course_that_leaves_a_step_out_never_reaches_it() {
        let over = |step: Option<usize>, _: bool| if step == Some(0) { 2 } else { following(step) };
        let places = [place("one", &[1]), place("two", &[2]), place("three", &[3])];
        assert_eq!(walk(&places, &over).reached, [true, false, true]);
    }

    #[test]
    fn a_route_of_very_many_nodes_is_cut_and_says_so() {
        let all: Vec<u16> = (0..40).collect();
        let mut places: Vec<Place> = all.iter().map(|n| place("one", &[*n])).collect();
        places.push(place("everybody", &all));
        assert!(walk(&places, &real).cut);
        let endless: Vec<Place> = (0..5_000).map(|_| place("one", &[1])).collect();
        assert!(walk(&endless, &real).cut, "and takes no stack");
    }
}
