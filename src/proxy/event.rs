//! What the proxy tells the switch about calls, and what it asks it about ways.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::cookie::End;
use super::dialogs::ProxiedDialog;
use crate::domain::{CallKey, Flow};
use crate::sip::Uri;

/// The way to an end of a proxied dialog *now*. The second argument is the URI of the next hop by RFC 3261
/// §16.6 step 7 (first Route, else Request-URI). The switch answers with the flow of a binding, with an
/// address of a trunk, or, for a peer that is neither, with [`same_host`]; `None`: it cannot be reached.
/// It must never answer with an address only because the URI says it: that would make us a relay.
pub type Reach<'a> = &'a dyn Fn(&End, &str) -> Option<Flow>;

/// The way that `end` was known by, to the port that the next hop names if that is on the same host and
/// over datagrams (a peer may send from one port and listen on another).
pub fn same_host(end: &End, next_hop: &str) -> Flow {
    let uri = Uri::parse(next_hop).ok();
    let named = uri.and_then(|uri| uri.socket_addr(5060));
    let is_near = |named: &SocketAddr| named.ip() == end.flow.remote.ip().to_canonical();
    match named.filter(is_near) {
        Some(named) if !end.flow.transport.is_reliable() => Flow { remote: named, ..end.flow },
        _ => end.flow,
    }
}

/// One of the two ends of a proxied dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who sent the INVITE.
    Caller,
    /// Who answered it.
    Callee,
}

impl Side {
    /// The one opposite.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// The story of a proxied INVITE that has a call key. `Started` comes first, `Failed` or `Ended` last, each
/// exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyEvent {
    /// Sent on to its first targets.
    Started {
        /// Which call.
        call: CallKey,
    },
    /// The first 180 to 199 of any target.
    Ringing {
        /// Which call.
        call: CallKey,
        /// As it said.
        status: u16,
    },
    /// The first 2xx.
    Answered {
        /// Which call.
        call: CallKey,
        /// For probing, hanging up and the journal.
        dialog: Box<ProxiedDialog>,
    },
    /// Its last dialog ended.
    Ended {
        /// Which call.
        call: CallKey,
        /// Who sent BYE; `None`: we did.
        by: Option<Side>,
    },
    /// No target answered it.
    Failed {
        /// Which call.
        call: CallKey,
        /// What the caller was told.
        status: u16,
        /// The caller cancelled.
        cancelled: bool,
    },
}

impl ProxyEvent {
    /// Which call.
    pub fn call(&self) -> CallKey {
        match self {
            ProxyEvent::Started { call }
            | ProxyEvent::Ringing { call, .. }
            | ProxyEvent::Answered { call, .. }
            | ProxyEvent::Ended { call, .. }
            | ProxyEvent::Failed { call, .. } => *call,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Transport;

    #[test]
    fn another_port_of_the_same_host_is_followed_another_host_is_not() {
        let remote = "192.0.2.1:40000".parse().unwrap();
        let flow = Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 };
        let end = End { flow, party: None };
        let to = |uri| same_host(&end, uri).remote.to_string();
        assert_eq!(to("sip:x@192.0.2.1"), "192.0.2.1:5060");
        assert_eq!(to("sip:x@192.0.2.1:5080;lr"), "192.0.2.1:5080");
        for uri in ["sip:x@192.0.2.2:5080", "sip:x@example.com", "tel:+7", "", "x"] {
            assert_eq!(to(uri), "192.0.2.1:40000", "{uri}");
        }
        let tcp = Flow { transport: Transport::Tcp, connection: 3, ..flow };
        assert_eq!(same_host(&End { flow: tcp, party: None }, "sip:x@192.0.2.1"), tcp);
    }
}
