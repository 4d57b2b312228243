//! What follows what in a plan (clauses B10, C7): for the calls that carry a plan out, and for the proof
//! that walks every path. Pure; knows neither board nor calls.

use crate::domain::AgentId;

/// How a person of a step stands to one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Free, rung or busy: the caller may wait for them.
    Here,
    /// Skipped at once.
    Gone,
    /// Refused this caller, or let them ring: not offered them again at once.
    TurnedAway,
}

impl Stand {
    /// A step goes on while it holds somebody of whom this is true, and to the end of its `wait`.
    pub fn holds(self) -> bool {
        self == Self::Here
    }
}

/// The step that follows; `None` for the first. A number past the last step: the plan is over.
pub fn following(step: Option<usize>) -> usize {
    step.map_or(0, |step| step + 1)
}

/// Who was named by a step of their own: they keep the call there and get no second wait (B10).
#[derive(Debug, Default)]
pub struct Named(Vec<(AgentId, usize)>);

impl Named {
    /// The earlier step that names them, if there is one.
    pub fn earlier(&self, agent: AgentId) -> Option<usize> {
        self.0.iter().find(|(named, _)| *named == agent).map(|(_, step)| *step)
    }

    /// The earlier queues let go of the call (`only`): whoever stood in them may be named again.
    pub fn let_go(&mut self) {
        self.0.clear();
    }

    /// This step names them no more, of whom that is true.
    pub fn forget(&mut self, step: usize, which: impl Fn(AgentId) -> bool) {
        self.0.retain(|(agent, named)| *named != step || !which(*agent));
    }

    /// This step names them.
    pub fn add(&mut self, agent: AgentId, step: usize) {
        self.0.push((agent, step));
    }
}
