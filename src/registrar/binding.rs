//! One binding: an address of record reached at one contact (RFC 3261 §10.3), and how bindings change.
//!
//! A binding is immutable: a refresh makes a new one under the same key with a higher epoch. So whoever
//! holds an old one (a dialog, a late timer, another shard's report) can be told from the present.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::Flow;

/// The highest preference, `q=1.0`; what a contact without `q` has.
pub const Q_MAX: u16 = 1_000;

/// An address of record at one contact. As JSON it is what the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// User part of the address of record, unescaped.
    pub aor: Arc<str>,
    /// Names the binding within its address of record, for its whole life: the instance and reg-id
    /// (RFC 5626 §6), the instance alone, or the contact as first registered. A phone that comes back
    /// with the same instance has the same key.
    pub key: Arc<str>,
    /// The contact URI exactly as registered (GRUU and other parameters included).
    pub contact: Arc<str>,
    /// The way to it: over datagrams the contact's address; behind a NAT or a path the socket that the
    /// REGISTER came from; over a stream the connection itself.
    pub flow: Flow,
    /// RFC 3327: Route values, brackets included, for every request to the contact, first hop first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Arc<str>>,
    /// Preference in thousandths, `0..=1000`.
    pub q: u16,
    /// When it ends unless refreshed.
    pub expires: Timestamp,
    /// `+sip.instance` without quotes, `<urn:uuid:…>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Arc<str>>,
    /// `reg-id` (RFC 5626), from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reg_id: Option<u32>,
    /// What the phone says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Arc<str>>,
    /// Call-ID of the last REGISTER for it.
    pub call_id: Arc<str>,
    /// CSeq number of the last REGISTER for it; orders those of one Call-ID.
    pub cseq: u32,
    /// Higher at every change; unique within the home shard, across restarts too.
    pub epoch: u64,
}

impl Binding {
    /// Whole seconds left at `wall`, rounded up; 0 once it is over.
    pub fn seconds_left(&self, wall: Timestamp) -> u32 {
        let micros = self.expires.as_microsecond().saturating_sub(wall.as_microsecond()).max(0);
        u32::try_from((micros + 999_999) / 1_000_000).unwrap_or(u32::MAX)
    }
}

/// Why a binding went. `Display` writes the journal's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Not refreshed in time.
    Expired,
    /// The phone, or an admin, removed it.
    Removed,
    /// The connection that led to it closed.
    FlowClosed,
    /// Nothing answers there.
    Unreachable,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Expired => "expired",
            Why::Removed => "removed",
            Why::FlowClosed => "flow closed",
            Why::Unreachable => "unreachable",
        })
    }
}

/// What the journal is told, and whoever follows the presence of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A binding came, or was refreshed under the same key.
    Bound(Arc<Binding>),
    /// A binding went.
    Unbound {
        /// The binding as it was.
        binding: Arc<Binding>,
        /// Why.
        why: Why,
    },
}

impl Change {
    /// User part of the address of record.
    pub fn aor(&self) -> &Arc<str> {
        match self {
            Change::Bound(binding) | Change::Unbound { binding, .. } => &binding.aor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::tests::binding;

    #[test]
    fn a_binding_survives_the_journal() {
        let mut kept = binding("anna", "sip:anna@10.0.0.5:5060;gr=urn:uuid:1");
        kept.path = vec![Arc::from("<sip:edge;lr>")];
        kept.instance = Some(Arc::from("<urn:uuid:1>"));
        kept.reg_id = Some(1);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Binding>(&text).unwrap(), kept);
    }

    #[test]
    fn seconds_left_are_rounded_up_and_never_negative() {
        let kept = binding("anna", "sip:anna@10.0.0.5");
        let before = |micros| {
            Timestamp::from_microsecond(kept.expires.as_microsecond() - micros).expect("near")
        };
        assert_eq!(kept.seconds_left(before(1)), 1);
        assert_eq!(kept.seconds_left(before(2_000_000)), 2);
        assert_eq!(kept.seconds_left(before(-5)), 0);
    }
}
