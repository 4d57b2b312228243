//! A board word as clause C7 reads it.

use std::cell::RefCell;
use std::sync::Arc;

use crate::acd::{AgentState, AgentView, Flags};
use crate::policy::Presence;

/// Gone, busy or free, with the reason that people see.
pub fn presence(view: &AgentView) -> Presence {
    Words::default().presence(view)
}

/// The reasons of many people, each word made once.
#[derive(Default)]
pub(super) struct Words(RefCell<Vec<(&'static str, Arc<str>)>>);

impl Words {
    /// As [`presence`].
    pub(super) fn presence(&self, view: &AgentView) -> Presence {
        match (gone(view), busy(view)) {
            (Some(why), _) => Presence::Gone { why: self.word(why) },
            (None, Some(why)) => Presence::Busy { why: self.word(why) },
            (None, None) => Presence::Free,
        }
    }

    fn word(&self, why: &'static str) -> Arc<str> {
        let mut known = self.0.borrow_mut();
        if let Some((_, word)) = known.iter().find(|(text, _)| *text == why) {
            return word.clone();
        }
        let word: Arc<str> = why.into();
        known.push((why, word.clone()));
        word
    }
}

/// Why the agent is skipped at once; `None` if not.
pub fn gone(view: &AgentView) -> Option<&'static str> {
    let reasons = [
        (Flags::ABSENT, "absent"),
        (Flags::POSITION_CLOSED, "position closed"),
        (Flags::OFF_SHIFT, "department closed"),
        (Flags::LOGGED_OUT, "logged out"),
        (Flags::UNREACHABLE, "no phone registered"),
        (Flags::PAUSED, "not ready"),
        (Flags::NO_ANSWER, "did not answer the last call"),
    ];
    reasons.iter().find(|(flag, _)| view.flags.contains(*flag)).map(|(_, why)| *why)
}

fn busy(view: &AgentView) -> Option<&'static str> {
    match view.state {
        AgentState::Talking => Some("on a call"),
        AgentState::Offered | AgentState::Hand => Some("being offered a call"),
        AgentState::Wrap => Some("wrap-up"),
        AgentState::Free if view.flags.contains(Flags::BUSY_ELSEWHERE) => Some("on a call"),
        AgentState::Free if view.flags.contains(Flags::BACK_OFF) => Some("pausing after a refusal"),
        AgentState::Free => None,
    }
}
