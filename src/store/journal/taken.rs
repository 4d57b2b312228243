//! The journal's state in the switch's words: what a worker that begins takes up again.

use super::state::{OpenCall, State};
use crate::call::{Before, Survivor};
use crate::switch::{Cut, Journalled, Party, What};

impl State {
    /// For `Switch::restore`. `streams_kept`: only a worker began anew, its connections are up.
    pub fn journalled(&self, streams_kept: bool) -> Journalled {
        let mut journalled = Journalled { streams_kept, ..Journalled::default() };
        for (key, call) in &self.calls {
            match survivor(call) {
                Some(survivor) => journalled.survivors.push(survivor),
                None => {
                    let (caller, phones) = call.unanswered();
                    let call_id = call.sip_call_id().into();
                    journalled.cut.push(Cut { call: *key, call_id, caller, phones });
                }
            }
        }
        for event in self.bindings.values() {
            if let What::Bound { binding, .. } = &event.what {
                journalled.bindings.push(binding.clone());
            }
        }
        for (person, agent) in &self.agents {
            for event in agent.events(person) {
                if let What::Agent { change, .. } = event.what {
                    journalled.agents.push((person.clone(), change));
                }
            }
        }
        journalled
    }
}

impl OpenCall {
    /// The caller's Call-ID, which leads the call to its worker.
    pub fn sip_call_id(&self) -> &str {
        match &self.arrived.what {
            What::CallArrived { sip_call_id, .. } => sip_call_id,
            _ => "",
        }
    }
}

fn survivor(call: &OpenCall) -> Option<Survivor> {
    call.answer()?;
    let What::CallArrived { call: key, direction, trunk, from_raw, to, .. } = &call.arrived.what
    else {
        return None;
    };
    let (client, rule) = match call.routed.as_ref().map(|e| &e.what) {
        Some(What::Routed { client, rule, clause, .. }) => {
            (client.clone(), Some((rule.clone(), clause.clone())))
        }
        _ => (None, None),
    };
    let step = call.story.iter().rev().find_map(|event| match &event.what {
        What::StepBegan { to, .. } => Some(to.clone()),
        _ => None,
    });
    Some(Survivor {
        call: *key,
        direction: *direction,
        trunk: trunk.clone(),
        from_raw: from_raw.clone(),
        to_raw: to.clone(),
        before: Before { arrived: call.arrived.at, client, rule, step },
        caller: call.dialog(Party::Caller)?.clone(),
        callee: call.dialog(Party::Callee)?.clone(),
    })
}
