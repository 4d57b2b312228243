//! What the room's tests share.

use std::sync::Arc;

use jiff::Timestamp;

use super::Binding;
use crate::domain::{Flow, Transport};

/// A UDP binding that ends one hour after 1970 began.
pub(super) fn binding(aor: &str, contact: &str) -> Binding {
    Binding {
        aor: Arc::from(aor),
        key: Arc::from(contact),
        contact: Arc::from(contact),
        flow: udp("10.0.0.5:5060"),
        path: Vec::new(),
        q: super::Q_MAX,
        expires: Timestamp::from_second(3_600).expect("near"),
        instance: None,
        reg_id: None,
        user_agent: None,
        call_id: Arc::from("call-1"),
        cseq: 1,
        epoch: 1,
    }
}

/// A datagram flow over the first listener.
pub(super) fn udp(remote: &str) -> Flow {
    let remote = remote.parse().expect("a literal");
    Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 }
}
