//! Where a message came from and where one goes.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams; the transaction layer retransmits.
    Udp,
    /// A stream; the transport retransmits.
    Tcp,
}

impl Transport {
    /// Timers A, E and G are not wanted, and D, I, J, K are zero (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// As Via writes it.
    pub fn as_via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// As a URI's `transport` parameter writes it.
    pub fn as_param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// One path to one peer: a listener of ours and the peer's address, over one connection if it is a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// UDP or TCP.
    pub transport: Transport,
    /// Our listener, by its place in the configuration; gives Via's and Contact's address.
    pub listener: u16,
    /// The peer's socket address: the socket's, never a header's.
    pub remote: SocketAddr,
    /// The connection of a stream, unique while the server runs; 0 for datagrams, and for a stream
    /// that is yet to be connected.
    pub connection: u64,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_param(), self.remote)
    }
}
