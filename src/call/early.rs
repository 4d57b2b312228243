//! BYE before the answer (RFC 3261 §15): a caller may end the early dialog that our provisional response
//! made, and means by it what CANCEL means (§15.1.2: the INVITE is answered 487).

use crate::sip::Message;

use super::{Calls, Env, Outcome, Party};

impl Calls {
    /// `true`: the request named a call that nobody has answered yet, and that call is over. Looks at every
    /// call: for senders that are known.
    pub fn given_up_by(&mut self, env: &mut Env<'_>, bye: &Message) -> bool {
        let named = self.calls.values().find(|call| {
            let incoming = call.incoming.as_ref().filter(|_| call.caller_leg.is_none());
            incoming.is_some_and(|i| {
                i.request.call_id() == bye.call_id()
                    && bye.to_tag() == Some(&*i.tag)
                    && i.request.from_tag() == bye.from_tag()
            })
        });
        let Some(key) = named.map(|call| call.key) else { return false };
        self.with(key, |calls, call| {
            let (by, outcome) = (Party::Caller, Outcome::Abandoned);
            calls.end(env, call, by, outcome, Some(487), "the caller hung up before the answer");
        });
        true
    }
}
