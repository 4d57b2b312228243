//! A board word as clause C7 reads it.

use crate::acd::{AgentState, AgentView, Flags};
use crate::policy::Presence;

/// Gone, busy or free, with the reason that people see.
pub fn presence(view: &AgentView) -> Presence {
    match (gone(view), busy(view)) {
        (Some(why), _) => Presence::Gone { why: why.into() },
        (None, Some(why)) => Presence::Busy { why: why.into() },
        (None, None) => Presence::Free,
    }
}

/// Why the agent is skipped at once; `None` if not.
pub fn gone(view: &AgentView) -> Option<&'static str> {
    if !view.is_gone() {
        return None;
    }
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
