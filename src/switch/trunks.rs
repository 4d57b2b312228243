//! OPTIONS to trunks: who answers, who does not. Each trunk is asked by one switch.

use std::collections::BTreeMap;

use super::core::Core;
use crate::domain::{Moment, Trunk, TrunkId};
use crate::sip::{Builder, Header, Method};
use crate::transaction::ClientTx;

/// What is known of one trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Not asked yet.
    Unknown,
    /// Answered.
    Up,
    /// Did not answer, or refused.
    Down,
}

#[derive(Debug)]
struct Asked {
    health: Health,
    next: Moment,
    pending: Option<ClientTx>,
}

impl Asked {
    fn became(&mut self, id: &TrunkId, health: Health, status: Option<u16>) {
        if std::mem::replace(&mut self.health, health) == health {
            return;
        }
        match health {
            Health::Down => tracing::warn!(trunk = %id, ?status, "trunk does not answer"),
            _ => tracing::info!(trunk = %id, "trunk answers"),
        }
    }
}

/// The trunks that this switch asks.
#[derive(Debug, Default)]
pub(super) struct Trunks {
    asked: BTreeMap<TrunkId, Asked>,
}

impl Trunks {
    pub fn settings_changed(&mut self, now: Moment, core: &Core) {
        let mine = |index: usize| index % usize::from(core.shards.max(1)) == core.shard.index();
        let mut asked = BTreeMap::new();
        for (index, trunk) in core.settings.trunks.iter().enumerate() {
            if mine(index) && trunk.target.is_some() && !trunk.options_every.is_zero() {
                let fresh = Asked { health: Health::Unknown, next: now, pending: None };
                let mut known = self.asked.remove(&trunk.id).unwrap_or(fresh);
                if known.health != Health::Up {
                    // It may have an address now.
                    known.next = now;
                }
                asked.insert(trunk.id.clone(), known);
            }
        }
        self.asked = asked;
    }

    pub fn poll_timeout(&self) -> Moment {
        self.asked.values().map(|a| a.next).min().unwrap_or(Moment::NEVER)
    }

    pub fn timeout(&mut self, now: Moment, core: &mut Core) {
        for (id, asked) in self.asked.iter_mut().filter(|(_, a)| a.next <= now) {
            let trunk = core.settings.trunks.iter().find(|t| t.id == *id).cloned();
            let Some(trunk) = trunk else { continue };
            asked.next = now + trunk.options_every;
            if asked.pending.is_none() {
                asked.pending = ask(now, core, &trunk);
            }
            if asked.pending.is_none() {
                asked.became(id, Health::Down, None);
            }
        }
    }

    /// The outcome of a question; `None` is silence.
    pub fn answered(&mut self, tx: ClientTx, status: Option<u16>) {
        if status.is_some_and(|s| s < 200) {
            return;
        }
        let found = self.asked.iter_mut().find(|(_, a)| a.pending == Some(tx));
        let Some((id, asked)) = found else { return };
        asked.pending = None;
        // 4xx is an answer: something there speaks SIP. 503 says "not now".
        let health = match status {
            Some(status) if status < 500 => Health::Up,
            _ => Health::Down,
        };
        asked.became(id, health, status);
    }

    /// What is known.
    pub fn health(&self) -> impl Iterator<Item = (&TrunkId, Health)> {
        self.asked.iter().map(|(id, asked)| (id, asked.health))
    }
}

fn ask(now: Moment, core: &mut Core, trunk: &Trunk) -> Option<ClientTx> {
    let target = trunk.target.as_ref()?;
    let flow = core.settings.flow_to(target)?;
    let domain = core.settings.domains.first().cloned().unwrap_or_default();
    let tag = core.mint.tag();
    let draft = Builder::request(&Method::Options, &format!("sip:{}", target.host))
        .header(Header::MaxForwards, 70)
        .header(Header::From, format_args!("<sip:telefonist@{domain}>;tag={tag}"))
        .header(Header::To, format_args!("<sip:{}>", target.host))
        .header(Header::CallId, core.mint.call_id(u16::from(core.shard.0)))
        .header(Header::CSeq, "1 OPTIONS")
        .header(Header::Accept, "application/sdp");
    core.tx.request(now, draft, Method::Options, flow).ok()
}
