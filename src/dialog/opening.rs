//! The request that may make a dialog, as its sender keeps it (RFC 3261 §12.1.2).

use crate::sip::{Builder, Header, Method};

use super::state::{CSEQ_MAX, tagged};

/// What the calling side knows before the peer has answered.
///
/// One INVITE may make several dialogs, one for each To tag that answers (§12.1.2); all begin here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Call-ID, ours.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// From, as name-addr text without a tag.
    pub local: String,
    /// To, as name-addr text.
    pub remote: String,
    /// Request-URI.
    pub uri: String,
    /// Our Contact, as name-addr text.
    pub contact: String,
    /// Route header values, nearest hop first: a binding's Path (RFC 3327), an outbound proxy.
    pub route: Vec<String>,
    /// CSeq of the last request sent.
    pub cseq: u32,
}

impl Opening {
    /// The request: its Contact in an INVITE, no Via. `cseq` as it stands, so that the first one
    /// sent has the number set by whoever made the opening.
    pub fn request(&self, method: &Method) -> Builder {
        let draft = Builder::request(method, &self.uri).header(Header::MaxForwards, 70);
        let draft =
            self.route.iter().fold(draft, |draft, route| draft.header(Header::Route, route));
        let draft = draft
            .header(Header::From, tagged(&self.local, &self.local_tag))
            .header(Header::To, &self.remote)
            .header(Header::CallId, &self.call_id)
            .header(Header::CSeq, format_args!("{} {method}", self.cseq));
        match method {
            Method::Invite => draft.header(Header::Contact, &self.contact),
            _ => draft,
        }
    }

    /// The next attempt, with credentials or another offer: CSeq one higher (§8.1.3.5, §22.2).
    pub fn next_attempt(&mut self) {
        self.cseq = self.cseq.saturating_add(1).min(CSEQ_MAX);
    }
}
