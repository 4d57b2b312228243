//! What a decision rested on, as the journal keeps it: `decide` can be replayed exactly, for ever.
//! The policy's text and the directory are kept once, by their hashes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::{Decision, Facts, Presence};
use super::{Policy, decide};
use crate::domain::{AgentId, Directory};

/// Everything but the policy's and the directory's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// The bare facts: number, client's row as it was used, time, the index's state.
    pub facts: Facts,
    /// Everybody who was asked for and not free, as they were, by place.
    #[serde(with = "runs")]
    pub presence: Vec<(AgentId, Presence)>,
    /// Hash of the directory.
    pub directory: Arc<str>,
}

impl Grounds {
    /// Decides, and remembers on what.
    pub fn decide(
        policy: &Policy,
        directory: &Directory,
        facts: Facts,
        presence: &dyn Fn(AgentId) -> Presence,
    ) -> (Decision, Grounds) {
        let asked: RefCell<Vec<Option<Presence>>> = RefCell::default();
        let decision = decide(policy, directory, &facts, &|agent| {
            // One answer for each person, though they may be asked for in several steps.
            let mut asked = asked.borrow_mut();
            let len = asked.len().max(agent.index() + 1);
            asked.resize(len, None);
            asked[agent.index()].get_or_insert_with(|| presence(agent)).clone()
        });
        let asked = (0..).map(AgentId).zip(asked.into_inner());
        let presence = asked.filter_map(|(agent, presence)| Some((agent, presence?)));
        let presence = presence.filter(|(_, presence)| *presence != Presence::Free).collect();
        (decision, Grounds { facts, presence, directory: directory.hash().clone() })
    }

    /// How this person was, if the decision asked.
    pub fn presence(&self, agent: AgentId) -> Presence {
        let known = self.presence.binary_search_by_key(&agent, |(asked, _)| *asked);
        known.map_or(Presence::Free, |place| self.presence[place].1.clone())
    }

    /// The same decision again, under the policy and the directory that the hashes name.
    pub fn replay(&self, policy: &Policy, directory: &Directory) -> Decision {
        decide(policy, directory, &self.facts, &|agent| self.presence(agent))
    }
}

/// `[[{"presence":"busy","why":"on a call"},[3,[7,19]]], …]`: who is alike stands together, neighbours as a span, so
/// that a large group takes little room. Older records have `[[3,{"presence":"busy", …}], …]`.
mod runs {
    use super::*;
    use serde::{Deserializer, Serializer};

    #[derive(Clone, Copy, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Run {
        One(u16),
        Span(u16, u16),
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Alike(Presence, Vec<Run>),
        Older(AgentId, Presence),
    }

    pub(super) fn serialize<S: Serializer>(
        people: &[(AgentId, Presence)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut alike: Vec<(&Presence, Vec<Run>)> = Vec::new();
        for (AgentId(agent), presence) in people {
            let place = alike.iter().position(|(known, _)| *known == presence);
            let place = place.unwrap_or_else(|| {
                alike.push((presence, Vec::new()));
                alike.len() - 1
            });
            let runs = &mut alike[place].1;
            match runs.last_mut() {
                Some(Run::One(last)) if last.checked_add(1) == Some(*agent) => {
                    *runs.last_mut().expect("just seen") = Run::Span(*agent - 1, *agent);
                }
                Some(Run::Span(_, last)) if last.checked_add(1) == Some(*agent) => *last = *agent,
                _ => runs.push(Run::One(*agent)),
            }
        }
        alike.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(AgentId, Presence)>, D::Error> {
        let mut people = BTreeMap::new();
        for entry in Vec::<Entry>::deserialize(from)? {
            match entry {
                Entry::Older(agent, presence) => {
                    people.insert(agent, presence);
                }
                Entry::Alike(presence, runs) => {
                    for run in runs {
                        let (first, last) = match run {
                            Run::One(one) => (one, one),
                            Run::Span(first, last) => (first, last),
                        };
                        people.extend((first..=last).map(|a| (AgentId(a), presence.clone())));
                    }
                }
            }
        }
        Ok(people.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(why: &'static str) -> Presence {
        Presence::Busy { why: why.into() }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Kept(#[serde(with = "runs")] Vec<(AgentId, Presence)>);

    #[test]
    fn who_is_alike_stands_together_and_is_read_as_it_was() {
        let mut people: Vec<_> = (5..905).map(|a| (AgentId(a), busy("on a call"))).collect();
        people[3].1 = Presence::Gone { why: "paused".into() };
        people[899].0 = AgentId(u16::MAX);
        let kept = Kept(people);
        let json = serde_json::to_string(&kept).expect("plain data");
        let alike = r#"[[{"presence":"busy","why":"on a call"},[[5,7],[9,903],65535]]"#;
        assert_eq!(json, format!(r#"{alike},[{{"presence":"gone","why":"paused"}},[8]]]"#));
        assert_eq!(serde_json::from_str::<Kept>(&json).expect("as written"), kept);
    }

    #[test]
    fn older_records_are_read() {
        let old = r#"[[7,{"presence":"busy","why":"wrap-up"}],[9,{"presence":"unknown"}]]"#;
        let read: Kept = serde_json::from_str(old).expect("the older form");
        let expected = vec![(AgentId(7), busy("wrap-up")), (AgentId(9), Presence::Unknown)];
        assert_eq!(read, Kept(expected));
    }
}
