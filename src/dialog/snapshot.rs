//! A dialog as the journal keeps it, to be taken up again after a restart.

use serde::{Deserialize, Serialize};

use super::state::{CSEQ_MAX, Dialog};

/// How far our CSeq jumps at a restart: more requests than the journal may have missed since the
/// snapshot was written. The peer sees a gap, which §12.2.2 allows, never a repetition.
pub const CSEQ_GAP: u32 = 100;

/// Everything that RFC 3261 §12 calls a dialog's state. Fields are [`Dialog`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag.
    pub remote_tag: String,
    /// Our name-addr.
    pub local: String,
    /// The peer's.
    pub remote: String,
    /// CSeq of our last request at the time.
    pub local_seq: u32,
    /// CSeq of the peer's last request at the time.
    pub remote_seq: Option<u32>,
    /// Route header values.
    pub route_set: Vec<String>,
    /// The peer's Contact.
    pub remote_target: String,
    /// Our Contact.
    pub contact: String,
    /// We made the Call-ID.
    pub owns_call_id: bool,
    /// A 2xx has been sent or received.
    pub is_confirmed: bool,
}

impl Dialog {
    /// For the journal.
    pub fn snapshot(&self) -> Snapshot {
        let dialog = self.clone();
        Snapshot {
            call_id: dialog.call_id,
            local_tag: dialog.local_tag,
            remote_tag: dialog.remote_tag,
            local: dialog.local,
            remote: dialog.remote,
            local_seq: dialog.local_seq,
            remote_seq: dialog.remote_seq,
            route_set: dialog.route_set,
            remote_target: dialog.remote_target,
            contact: dialog.contact,
            owns_call_id: dialog.owns_call_id,
            is_confirmed: dialog.is_confirmed,
        }
    }

    /// From the journal: our next request has the snapshot's CSeq plus [`CSEQ_GAP`].
    pub fn restore(snapshot: Snapshot) -> Dialog {
        Dialog {
            call_id: snapshot.call_id,
            local_tag: snapshot.local_tag,
            remote_tag: snapshot.remote_tag,
            local: snapshot.local,
            remote: snapshot.remote,
            local_seq: snapshot.local_seq.saturating_add(CSEQ_GAP - 1).min(CSEQ_MAX),
            remote_seq: snapshot.remote_seq,
            route_set: snapshot.route_set,
            remote_target: snapshot.remote_target,
            contact: snapshot.contact,
            owns_call_id: snapshot.owns_call_id,
            is_confirmed: snapshot.is_confirmed,
        }
    }
}
