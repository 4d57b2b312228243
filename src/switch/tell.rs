//! Plain texts to a person's phones (RFC 3428): a promised callback, a supervisor's order.
//!
//! Each phone is sent a text once. One that says that it takes none (405, 415, 501) is left alone until it
//! registers anew, by another Call-ID than that of its refreshes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::domain::{Moment, PersonId};
use crate::registrar::{Binding, Location};
use crate::sip::{Builder, Header, Method};
use crate::transaction::ClientTx;

use super::{Switch, Topic};

/// A phone: its user, its binding's key.
type Phone = (Arc<str>, Arc<str>);

/// What phones made of our texts.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Under way; as many as the transactions.
    asked: BTreeMap<ClientTx, (Phone, Arc<str>)>,
    /// Phones that take no texts, with the Call-ID of the registration in which they said so.
    deaf: BTreeMap<Phone, Arc<str>>,
}

/// So many texts about promised callbacks wait for somebody without a phone; of more the oldest are only
/// counted, and the count is told.
const UNTOLD_PROMISES_MAX: usize = 50;

/// So many texts about supervisors' orders wait; of more the oldest are forgotten.
const UNTOLD_ORDERS_MAX: usize = 50;

/// What waits for a person without a phone, oldest first. No topic takes another's room.
#[derive(Clone, Debug, Default)]
pub(super) struct Untold {
    promises: VecDeque<Arc<str>>,
    more_promises: u32,
    orders: VecDeque<Arc<str>>,
    more_orders: u32,
}

impl Untold {
    /// Errors: the bound that made the oldest text of the same topic go; once, however many go after it.
    pub fn push(&mut self, topic: Topic, text: Arc<str>) -> Result<(), &'static str> {
        let (texts, more, max, bound) = match topic {
            Topic::Promise => {
                let (texts, more) = (&mut self.promises, &mut self.more_promises);
                (texts, more, UNTOLD_PROMISES_MAX, "untold_promises_max")
            }
            Topic::Order => {
                let (texts, more) = (&mut self.orders, &mut self.more_orders);
                (texts, more, UNTOLD_ORDERS_MAX, "untold_orders_max")
            }
        };
        texts.push_back(text);
        if texts.len() <= max {
            return Ok(());
        }
        texts.pop_front();
        *more = more.saturating_add(1);
        if *more == 1 { Err(bound) } else { Ok(()) }
    }

    /// Promises first: should there be no room to send all, they are sent.
    pub fn into_texts(self) -> impl Iterator<Item = Arc<str>> {
        let more = (self.more_promises > 0).then(|| {
            let count = self.more_promises;
            format!("{count} more callbacks were promised before these: `telefonist callbacks` lists them")
        });
        more.map(Arc::from).into_iter().chain(self.promises).chain(self.orders)
    }
}

impl Told {
    fn takes_texts(&self, binding: &Binding) -> bool {
        self.deaf.get(&phone(binding)) != Some(&binding.call_id)
    }

    /// The outcome of a text; `None` is silence.
    pub fn answered(&mut self, tx: ClientTx, status: Option<u16>, location: &Location) {
        if status.is_some_and(|status| status < 200) {
            return;
        }
        let Some((phone, call_id)) = self.asked.remove(&tx) else { return };
        if !matches!(status, Some(200..=299)) {
            tracing::info!(?status, "a phone did not take a text");
            tracing::debug!(user = %phone.0, "this phone");
        }
        if matches!(status, Some(405 | 415 | 501)) {
            // So that there are never more than phones.
            let stays =
                |phone: &Phone| location.bindings(&phone.0).iter().any(|b| b.key == phone.1);
            self.deaf.retain(|phone, _| stays(phone));
            self.deaf.insert(phone, call_id);
        }
    }
}

fn phone(binding: &Binding) -> Phone {
    (binding.aor.clone(), binding.key.clone())
}

impl Switch {
    /// To all phones of a person that take texts.
    pub(super) fn tell(&mut self, now: Moment, to: &PersonId, text: &str) {
        let agent = self.core.directory.agent(to);
        let person = agent.and_then(|a| self.core.directory.person(a)).cloned();
        let Some(user) = person.and_then(|p| p.sip_user.clone()) else { return };
        let domain = self.core.settings.domains.first().cloned().unwrap_or_default();
        for binding in self.core.shared.location.bindings(&user) {
            if !self.told.takes_texts(&binding) {
                continue;
            }
            let call_id = self.core.mint.call_id(u16::from(self.core.shard.0));
            let local = self.core.mint.tag();
            let mut draft = Builder::request(&Method::Message, &binding.contact)
                .header(Header::MaxForwards, 70)
                .header(Header::From, format_args!("<sip:telefonist@{domain}>;tag={local}"))
                .header(Header::To, format_args!("<sip:{user}@{domain}>"))
                .header(Header::CallId, call_id)
                .header(Header::CSeq, "1 MESSAGE");
            for hop in &binding.path {
                draft = draft.header(Header::Route, hop);
            }
            let draft = draft.body("text/plain", text.as_bytes());
            match self.core.tx.request(now, draft, Method::Message, binding.flow) {
                Ok(tx) => {
                    let asked = (phone(&binding), binding.call_id.clone());
                    self.told.asked.insert(tx, asked);
                }
                Err(_) => {
                    tracing::warn!("transactions_max is reached: a MESSAGE could not be sent");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_too_much_waits_to_be_told_is_said_once_until_it_was_told() {
        for (topic, max, bound) in [
            (Topic::Promise, UNTOLD_PROMISES_MAX, "untold_promises_max"),
            (Topic::Order, UNTOLD_ORDERS_MAX, "untold_orders_max"),
        ] {
            let mut untold = Untold::default();
            for _ in 0..2 {
                let pushed = (0..max + 30).map(|n| untold.push(topic, n.to_string().into()));
                let full: Vec<_> =
                    pushed.enumerate().filter_map(|(n, r)| Some((n, r.err()?))).collect();
                assert_eq!(full, [(max, bound)]);
                let texts: Vec<_> = std::mem::take(&mut untold).into_texts().collect();
                assert_eq!(texts.last().map(AsRef::as_ref), Some((max + 29).to_string().as_str()));
            }
        }
    }
}
