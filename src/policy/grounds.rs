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
    /// Everybody who was asked for and not free, as they were: most people of a large group are.
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
        let asked = RefCell::new(BTreeMap::new());
        let decision = decide(policy, directory, &facts, &|agent| {
            // One answer for each person, though they may be asked for in several steps.
            asked.borrow_mut().entry(agent).or_insert_with(|| presence(agent)).clone()
        });
        let asked = asked.into_inner().into_iter();
        let presence = asked.filter(|(_, presence)| *presence != Presence::Free).collect();
        (decision, Grounds { facts, presence, directory: directory.hash().clone() })
    }

    /// The same decision again, under the policy and the directory that the hashes name.
    pub fn replay(&self, policy: &Policy, directory: &Directory) -> Decision {
        decide(policy, directory, &self.facts, &|agent| {
            let known = self.presence.iter().find(|(asked, _)| *asked == agent);
            known.map_or(Presence::Free, |(_, presence)| presence.clone())
        })
    }
}
