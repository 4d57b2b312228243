//! What a decision is: facts in, plan and explanation out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::choice::Pick;
use super::reason::Reason;
use crate::domain::{AgentId, Client, Number, PersonId, QueueId, TrunkId};

/// How the client index answered (clause A1: never an error).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "index")]
pub enum IndexState {
    /// It follows the database.
    Fresh,
    /// The database is away since then; the index still serves.
    Stale {
        /// When the database was last read.
        since: Timestamp,
    },
    /// Nothing to look in: before the first load, after `index_stale_max`, or no answer in time.
    Unavailable {
        /// What a person should know.
        why: Arc<str>,
    },
}

/// Everything that a decision may depend on, and nothing else. The policy's hash and these give the
/// same decision for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Wall clock at arrival.
    pub at: Timestamp,
    /// Which trunk; absent for a call of our own people.
    pub trunk: Option<TrunkId>,
    /// The calling number as it came; empty if withheld.
    pub from_raw: Arc<str>,
    /// The calling number; `None` if withheld or malformed.
    pub from: Option<Number>,
    /// The called user part as it came.
    pub to_raw: Arc<str>,
    /// The called number, if it is one.
    pub to: Option<Number>,
    /// The client found (clause A1's choice if several).
    pub client: Option<Arc<Client>>,
    /// Other clients with this number.
    pub others: Vec<Arc<Client>>,
    /// How the index answered.
    pub index: IndexState,
}

/// Clause C7: why a person cannot be offered a call now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "presence")]
pub enum Presence {
    /// May be offered a call.
    #[default]
    Free,
    /// The caller may wait.
    Busy {
        /// `on a call`, `being offered a call`, `wrap-up`, …
        why: Reason,
    },
    /// Skipped at once.
    Gone {
        /// `absent (leave to 2026-03-04)`, `closed`, `logged out`, `no phone`, `paused`, `no answer`, …
        why: Reason,
    },
    /// Nobody was asked: `explain` without a running server.
    Unknown,
}

impl Presence {
    fn is_free(&self) -> bool {
        *self == Self::Free
    }
}

/// One person of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Whom to ring.
    pub person: PersonId,
    /// The place on the board.
    pub agent: AgentId,
    /// For whom this person stands in (clause C1). Left out of JSON if for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in_for: Option<PersonId>,
    /// As it was when the decision was made. Left out of JSON if free.
    #[serde(default, skip_serializing_if = "Presence::is_free")]
    pub presence: Presence,
    /// The hours of this person's department are closed now (clause C2). Left out of JSON if open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// People of a step who are counted instead of named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    /// May be offered a call.
    pub free: u32,
    /// A caller may wait for them.
    pub busy: u32,
    /// Not there, or their department is closed.
    pub gone: u32,
    /// Nobody was asked.
    pub unknown: u32,
}

impl Crowd {
    /// Each with their presence, and whether their department is closed.
    fn of(people: impl Iterator<Item = (Presence, bool)>) -> Self {
        let mut crowd = Self::default();
        for (presence, closed) in people {
            let count = match presence {
                _ if closed => &mut crowd.gone,
                Presence::Free => &mut crowd.free,
                Presence::Busy { .. } => &mut crowd.busy,
                Presence::Gone { .. } => &mut crowd.gone,
                Presence::Unknown => &mut crowd.unknown,
            };
            *count += 1;
        }
        crowd
    }

    fn counts(&self) -> [(u32, &'static str); 4] {
        [
            (self.free, "free"),
            (self.busy, "busy"),
            (self.gone, "gone"),
            (self.unknown, "presence unknown"),
        ]
    }

    /// How many they are.
    pub fn count(&self) -> u32 {
        self.counts().iter().map(|(count, _)| count).sum()
    }
}

/// `3 others: 2 free, 1 gone`.
impl std::fmt::Display for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (counts, all) = (self.counts(), self.count());
        let words = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = words.map(|(count, what)| format!("{count} {what}")).collect();
        write!(f, "{all} others: {}", words.join(", "))
    }
}

/// An explanation names at most so many people of a step; more are counted. What a person reads does not
/// grow with the group, and neither does what each of its calls costs.
pub const NAMED_MAX: usize = 24;

/// One of those whose phones a step may ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The place on the board.
    pub agent: AgentId,
    /// The hours of this person's department are closed (clause C2). Left out of JSON if open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// Absent, at a closed position or without a phone of ours. Left out of JSON if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

impl Member {
    /// Who is closed or away stays so for the call's lifetime, until people, hours or orders change.
    pub fn may_come_free(&self) -> bool {
        !self.closed && !self.away
    }
}

/// One step of a route, as a call goes by it; the explanation names its people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// As the policy says it: `manager`, `role key_account_manager`.
    pub to: Arc<str>,
    /// The clause that gives the step; the rule's if it names none.
    pub clause: Arc<str>,
    /// Whose phones may ring; may be empty (then `note` says why).
    pub people: Arc<[Member]>,
    /// Of all their names, if an explanation does not name them all. Left out of JSON if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Arc<str>>,
    /// For whom they stand in (clause C1). Left out of JSON if for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in_for: Option<PersonId>,
    /// Where the call stands: people's own queues, or one group's.
    pub queues: Vec<QueueId>,
    /// How long one offer rings.
    pub ring: Duration,
    /// How long the call stands here before the next step begins.
    pub wait: Duration,
    /// Earlier queues let go of the call when this step begins.
    pub only: bool,
    /// Whom of several idle people it is offered first. Left out of JSON if to the longest idle.
    #[serde(default, skip_serializing_if = "Pick::is_default")]
    pub order: Pick,
    /// How many people ring at once. Left out of JSON if one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub together: u8,
    /// Who was skipped for good and why: `manager anna.berg has left`, `deputies: none named`.
    pub note: Option<Arc<str>>,
}

/// One step of a route, as an explanation shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepShown {
    /// As [`Step::to`].
    pub to: Arc<str>,
    /// As [`Step::clause`].
    pub clause: Arc<str>,
    /// Whose phones may ring, `NAMED_MAX` at most.
    pub people: Vec<Candidate>,
    /// More of them, who are only counted. Left out of JSON if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Crowd>,
    /// As [`Step::fingerprint`]; absent in old records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Arc<str>>,
    /// As [`Step::queues`].
    pub queues: Vec<QueueId>,
    /// As [`Step::ring`].
    pub ring: Duration,
    /// As [`Step::wait`].
    pub wait: Duration,
    /// As [`Step::only`].
    pub only: bool,
    /// As [`Step::order`].
    #[serde(default, skip_serializing_if = "Pick::is_default")]
    pub order: Pick,
    /// As [`Step::together`].
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub together: u8,
    /// As [`Step::note`].
    pub note: Option<Arc<str>>,
}

fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_one(count: &u8) -> bool {
    *count == 1
}

impl StepShown {
    /// A step with its people as they are now.
    pub(super) fn of(
        step: &Step,
        presence: impl Fn(&Member) -> Presence,
        name: impl Fn(AgentId) -> PersonId,
    ) -> Self {
        let named = step.people.len().min(NAMED_MAX);
        let (people, rest) = step.people.split_at(named);
        let candidate = |member: &Member| Candidate {
            person: name(member.agent),
            agent: member.agent,
            stands_in_for: step.stands_in_for.clone(),
            presence: presence(member),
            closed: member.closed,
        };
        let counted = |member: &Member| (presence(member), member.closed);
        Self {
            to: step.to.clone(),
            clause: step.clause.clone(),
            people: people.iter().map(candidate).collect(),
            others: (!rest.is_empty()).then(|| Crowd::of(rest.iter().map(counted))),
            fingerprint: step.fingerprint.clone(),
            queues: step.queues.clone(),
            ring: step.ring,
            wait: step.wait,
            only: step.only,
            order: step.order.clone(),
            together: step.together,
            note: step.note.clone(),
        }
    }

    /// Whom of several people it is offered first, and how many ring at once; `None` where that needs
    /// no word.
    pub fn choice_in_words(&self) -> Option<String> {
        let order = match self.queues.len() == 1 && self.people.len() > 1 {
            true => Some(self.order.to_string()),
            false => None,
        };
        let together = (self.together > 1).then(|| format!("{} ring at once", self.together));
        let words: Vec<String> = order.into_iter().chain(together).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// Where a route ends when nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ending")]
pub enum Ending {
    /// A callback is promised; the promise has an owner.
    Callback {
        /// Client's manager → head → default (clause B's last resort). Never absent in a checked policy.
        owner: Option<PersonId>,
    },
    /// Every step is closed: the out-of-hours answer, which promises a callback as well (clause C2).
    OutOfHours {
        /// Who owns the promise.
        owner: Option<PersonId>,
        /// Whose hours: the first step's department.
        department: Option<Arc<str>>,
        /// When it opens again.
        opens: Option<Timestamp>,
        /// The same by the department's clock, in words. Absent in old records.
        #[serde(default)]
        opens_local: Option<Arc<str>>,
    },
    /// Straight through to another trunk or peer (`route = "pass"`).
    Pass {
        /// The trunk that takes it.
        trunk: TrunkId,
    },
    /// Refused by the policy itself, with this SIP status.
    Refuse {
        /// 403, 480, 486, 603.
        status: u16,
    },
}

/// What to do with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// In order; they add up (clause C7).
    pub steps: Vec<Step>,
    /// When the last step is over, or at once if there is none.
    pub ending: Ending,
    /// The call's head start in every queue.
    pub credit: Duration,
    /// What the phone shows as display name.
    pub display: Arc<str>,
}

/// One fact as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactShown {
    /// `caller`, `client`, `type`, `manager`, `debt`, …
    pub name: Arc<str>,
    /// Its value in words.
    pub value: Arc<str>,
    /// How old it is, seconds; absent for what the call itself carries.
    pub age_s: Option<i64>,
}

/// One rule as it was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTried {
    /// Its name.
    pub rule: Arc<str>,
    /// Its clause.
    pub clause: Arc<str>,
    /// It took the call.
    pub matched: bool,
    /// Which condition decided: `client_type is retail, not key`.
    pub why: Arc<str>,
}

/// Why a call goes where it goes. Stored with every call; printed by `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was known.
    pub facts: Vec<FactShown>,
    /// Every rule up to the one that matched.
    pub rules: Vec<RuleTried>,
    /// The plan with everybody's presence and each skip's reason.
    pub steps: Vec<StepShown>,
    /// How it ends.
    pub ending: Ending,
    /// Anything else that a person should know: `balance is 3 d old: not used (B3)`.
    pub notes: Vec<Arc<str>>,
}

impl Explanation {
    /// It says what was recorded. Records of before the fingerprints say nothing of whom they only count.
    pub fn is_as_recorded(&self, recorded: &Explanation) -> bool {
        let mut recorded = recorded.clone();
        for (old, new) in recorded.steps.iter_mut().zip(&self.steps) {
            old.fingerprint = old.fingerprint.take().or_else(|| new.fingerprint.clone());
        }
        *self == recorded
    }
}

/// The answer to `decide`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The rule that matched.
    pub rule: Arc<str>,
    /// Its clause.
    pub clause: Arc<str>,
    /// Hash of the policy's text.
    pub policy: Arc<str>,
    /// What to do.
    pub plan: Plan,
    /// Why.
    pub explanation: Explanation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_names_some_of_a_large_group_and_counts_the_others() {
        let member = |n| Member { agent: AgentId(n), closed: n == 60, away: false };
        let step = |count: u16| Step {
            to: "role operator".into(),
            clause: "B4".into(),
            people: (0..count).map(member).collect(),
            fingerprint: None,
            stands_in_for: None,
            queues: Vec::new(),
            ring: Duration::ZERO,
            wait: Duration::ZERO,
            order: Pick::default(),
            together: 1,
            only: false,
            note: None,
        };
        let presence = |member: &Member| match member.agent.0 % 3 {
            0 => Presence::Free,
            1 => Presence::Busy { why: "on a call".into() },
            _ => Presence::Gone { why: "paused".into() },
        };
        let shown = |count| {
            StepShown::of(&step(count), presence, |agent| format!("op{}", agent.0).as_str().into())
        };
        let few = shown(NAMED_MAX as u16);
        assert_eq!((few.people.len(), few.others), (NAMED_MAX, None));
        let many = shown(84);
        assert_eq!(many.people, few.people);
        let others = many.others.expect("60 are not named").to_string();
        assert_eq!(others, "60 others: 19 free, 20 busy, 21 gone");
    }

    #[test]
    fn a_candidate_says_in_json_only_what_is_out_of_the_ordinary_and_older_records_are_read() {
        let usual = Candidate {
            person: "anna".into(),
            agent: AgentId(1),
            stands_in_for: None,
            presence: Presence::Free,
            closed: false,
        };
        let presence = Presence::Busy { why: "on a call".into() };
        let stands_in_for = Some("boris".into());
        let odd = Candidate { stands_in_for, presence, closed: true, ..usual.clone() };
        let json = |candidate| serde_json::to_string(candidate).expect("plain data");
        assert_eq!(json(&usual), r#"{"person":"anna","agent":1}"#);
        for candidate in [&usual, &odd] {
            assert_eq!(
                serde_json::from_str::<Candidate>(&json(candidate)).ok().as_ref(),
                Some(candidate)
            );
        }
        let older = r#"{"person":"anna","agent":1,"stands_in_for":null,
                        "presence":{"presence":"free"},"closed":false}"#;
        assert_eq!(serde_json::from_str::<Candidate>(older).ok(), Some(usual));
    }
}
