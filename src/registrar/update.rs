//! RFC 3261 §10.3 steps 6 and 7 as a pure function: bindings and wishes in, bindings and changes out.
//!
//! Which binding a contact means: the one of the same instance and reg-id (RFC 5626 §6), else the one with
//! an equal URI (§19.1.4), else the one of the same instance from before the phone was started again
//! (another Call-ID, §10.2): its old address would only ring into the void until it expires.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::binding::{Binding, Change, Why};
use super::refusal::Refusal;
use super::wish::{Contact, Contacts, Wish};
use crate::domain::Flow;
use crate::sip::Uri;

/// What a successful REGISTER makes of an entry.
#[derive(Debug)]
pub(super) struct Updated {
    pub bindings: Vec<Arc<Binding>>,
    pub changes: Vec<Change>,
}

/// What goes into a binding beside the wish.
pub(super) struct Circumstances {
    pub wall: Timestamp,
    pub flow: Flow,
    /// Nothing stands between the phone and us: its Via names the address that it sent from.
    pub direct: bool,
    pub bindings_max: usize,
}

/// `present`: the entry's bindings, none of them expired. `epoch` gives a fresh one at each call.
/// Errors leave nothing changed.
pub(super) fn update(
    present: &[Arc<Binding>],
    wish: &Wish,
    around: &Circumstances,
    mut epoch: impl FnMut() -> u64,
) -> Result<Updated, Refusal> {
    let mut next = Updated { bindings: present.to_vec(), changes: Vec::new() };
    match &wish.contacts {
        Contacts::Tell => {}
        Contacts::RemoveAll => {
            present.iter().try_for_each(|binding| wish.may_change(binding))?;
            next.bindings.clear();
            next.changes = present.iter().map(unbound).collect();
        }
        Contacts::Update(contacts) => {
            for contact in contacts {
                next.apply(present, wish, contact, around, &mut epoch)?;
            }
        }
    }
    Ok(next)
}

impl Updated {
    fn apply(
        &mut self,
        present: &[Arc<Binding>],
        wish: &Wish,
        contact: &Contact,
        around: &Circumstances,
        epoch: &mut impl FnMut() -> u64,
    ) -> Result<(), Refusal> {
        let place = find(&self.bindings, wish, contact);
        if let Some(place) = place {
            let old = &self.bindings[place];
            let is_from_before = present.iter().any(|b| Arc::ptr_eq(b, old));
            if is_from_before {
                wish.may_change(old)?;
            }
        }
        if contact.expires.is_zero() {
            if let Some(place) = place {
                let old = self.bindings.remove(place);
                self.changes.push(unbound(&old));
            }
            return Ok(());
        }
        if place.is_none() && self.bindings.len() >= around.bindings_max {
            return Err(Refusal::TooMany(self.next_end(around.wall)));
        }
        let key = match place {
            Some(place) => self.bindings[place].key.clone(),
            None => self.fresh_key(contact),
        };
        let binding = Arc::new(wish.binding(contact, key, around, epoch()));
        self.changes.push(Change::Bound(binding.clone()));
        match place {
            Some(place) => self.bindings[place] = binding,
            None => self.bindings.push(binding),
        }
        Ok(())
    }

    fn fresh_key(&self, contact: &Contact) -> Arc<str> {
        let wanted = match (&contact.instance, contact.reg_id) {
            (Some(instance), Some(reg_id)) => Arc::from(format!("{instance}#{reg_id}")),
            (Some(instance), None) => instance.clone(),
            (None, _) => contact.uri.clone(),
        };
        let is_taken = self.bindings.iter().any(|b| b.key == wanted);
        if is_taken { Arc::from(format!("{wanted} {}", contact.uri)) } else { wanted }
    }

    fn next_end(&self, wall: Timestamp) -> u32 {
        self.bindings.iter().map(|b| b.seconds_left(wall)).min().unwrap_or(0).max(1)
    }
}

impl Wish {
    /// The CSeq rule: of two REGISTERs with one Call-ID only the later counts.
    fn may_change(&self, binding: &Binding) -> Result<(), Refusal> {
        let is_older = binding.call_id == self.call_id && self.cseq <= binding.cseq;
        if is_older { Err(Refusal::OutOfOrder) } else { Ok(()) }
    }

    /// Over a stream, through a path or a NAT: where the REGISTER came from. Else the contact is the
    /// location (§10): a phone may send from another port than it listens on, or register another one.
    fn way_to(&self, contact: &Contact, around: &Circumstances) -> Flow {
        let flow = around.flow;
        let uri = Uri::parse(&contact.uri).ok().filter(|uri| uri.is_sip() && !uri.is_secure());
        let plain = uri.filter(|uri| {
            uri.param("transport").is_none_or(|t| t.eq_ignore_ascii_case("udp"))
                && uri.param("maddr").is_none()
        });
        let there = plain.and_then(|uri| uri.socket_addr(5060)).filter(|there| {
            there.is_ipv4() == flow.remote.is_ipv4()
                && (is_public(there.ip()) || !is_public(flow.remote.ip()))
                && !there.ip().is_unspecified()
                && !there.ip().is_multicast()
        });
        match there {
            Some(remote)
                if around.direct && self.path.is_empty() && !flow.transport.is_reliable() =>
            {
                Flow { remote, ..flow }
            }
            _ => flow,
        }
    }

    fn binding(
        &self,
        contact: &Contact,
        key: Arc<str>,
        around: &Circumstances,
        epoch: u64,
    ) -> Binding {
        Binding {
            aor: self.aor.clone(),
            key,
            contact: contact.uri.clone(),
            flow: self.way_to(contact, around),
            path: self.path.clone(),
            q: contact.q,
            expires: after(around.wall, contact.expires),
            instance: contact.instance.clone(),
            reg_id: contact.reg_id,
            user_agent: self.user_agent.clone(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            epoch,
        }
    }
}

/// No address of a private network (RFC 1918, RFC 6598, RFC 4193), of this link or of this host.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

fn find(bindings: &[Arc<Binding>], wish: &Wish, contact: &Contact) -> Option<usize> {
    let same_instance = |b: &Binding| contact.instance.is_some() && b.instance == contact.instance;
    if contact.instance.is_some() && contact.reg_id.is_some() {
        return bindings.iter().position(|b| same_instance(b) && b.reg_id == contact.reg_id);
    }
    let uri = Uri::parse(&contact.uri).ok();
    let same_uri = |b: &Binding| {
        let other = Uri::parse(&b.contact).ok();
        b.contact == contact.uri || uri.zip(other).is_some_and(|(a, b)| a.equals(&b))
    };
    let restarted =
        |b: &Binding| same_instance(b) && b.reg_id.is_none() && b.call_id != wish.call_id;
    let by_uri = bindings.iter().position(|b| same_uri(b));
    by_uri.or_else(|| bindings.iter().position(|b| restarted(b)))
}

fn unbound(binding: &Arc<Binding>) -> Change {
    Change::Unbound { binding: binding.clone(), why: Why::Removed }
}

fn after(wall: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    wall.checked_add(span).unwrap_or(Timestamp::MAX)
}
