//! I18: one event costs only what it touches: what one message sets off does not grow with what is there.

use super::*;

/// A message may end an offer on several phones, take the next step, free an agent and ring for the next
/// caller: each of these is a few lines and a few messages.
const OUTPUTS_MAX: usize = 48;

pub struct Cost;

impl Check for Cost {
    fn name(&self) -> &'static str {
        "I18"
    }

    fn turned(&mut self, _: &Sim, shard: usize, kind: Kind, outputs: usize) -> Found {
        let judged = kind == Kind::Packet;
        must(!judged || outputs <= OUTPUTS_MAX, || {
            format!("worker {shard}: {outputs} outputs of one message")
        })
    }
}
