//! Sockets: UDP and TCP listeners, connections, and the way of a message to its worker.
//!
//! ```text
//!   UDP socket ── task: parse ┐
//!                             ├─► judge ─► shard ─► that worker's inbox      full: 503, counted
//!   TCP listener ─ connection ┘       └─ 400, 505 …: answered here
//!
//!   a worker's thread ─► Net::send ─► try_send_to │ a connection's bounded queue ─► its task
//! ```
//! Owns sockets and connections; gives each connection a number for ever. Knows no transaction and no
//! call: it parses, asks `route` for the shard, and passes on. Nothing a peer sends is held without a
//! bound: framing, connections, queues and time-outs are the settings' (`[net]`).
// The shell: sockets, tasks, one lock around the table of connections, never held across an await.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod admit;
mod bind;
mod connections;
mod stream;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;

pub use admit::{Dispatch, Route};
pub use bind::BindError;

use crate::config::NetSettings;
use crate::domain::{Flow, Listener, ShardId, Transport};
use crate::switch::Input;
use crate::telemetry::{RateLimit, one};
use connections::Connections;

/// All sockets of the server.
#[derive(Clone)]
pub struct Net {
    wire: Arc<Wire>,
}

struct Wire {
    dispatch: Dispatch,
    bound: ArcSwap<Vec<Bound>>,
    connections: Connections,
    settings: NetSettings,
    runtime: Handle,
    rare: RateLimit,
}

/// A listener as it stands.
#[derive(Clone)]
struct Bound {
    /// As the configuration says it: found again by it at a reload.
    wanted: Listener,
    /// With the port that the kernel gave.
    listener: Listener,
    /// For UDP.
    socket: Option<Arc<UdpSocket>>,
}

impl Net {
    /// Nothing is listened on yet. `runtime` carries all tasks.
    pub fn new(dispatch: Dispatch, settings: NetSettings, runtime: Handle) -> Self {
        let bound = ArcSwap::from_pointee(Vec::new());
        let connections = Connections::new(settings);
        let rare = RateLimit::new(std::time::Duration::from_secs(60));
        Self { wire: Arc::new(Wire { dispatch, bound, connections, settings, runtime, rare }) }
    }

    /// Binds `wanted` and begins to receive. An `optional` address that the host does not have is
    /// left out. Errors: the first that cannot be bound, with its setting; those before it stay.
    pub fn open(&self, wanted: &[Listener], optional: &[bool]) -> Result<(), BindError> {
        for (i, listener) in wanted.iter().enumerate() {
            match self.open_one(listener) {
                Ok(()) => {}
                Err(error) if optional.get(i) == Some(&true) && error.is_missing_address() => {
                    tracing::warn!(%error, "an optional address is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is listened on, by `Flow::listener`: addresses with the ports that the kernel gave.
    pub fn listeners(&self) -> Vec<Listener> {
        self.wire.bound.load().iter().map(|b| b.listener.clone()).collect()
    }

    /// A reload: what is new is bound, `advertise` follows, what is gone goes on until a restart.
    /// Gives what needs that restart, in words. Errors: something new cannot be bound; the rest stays
    /// as it was.
    pub fn reopen(&self, wanted: &[Listener], optional: &[bool]) -> Result<Vec<String>, BindError> {
        let known = self.wire.bound.load_full();
        let is_new = |w: &Listener| !known.iter().any(|b| is_same(&b.wanted, w));
        let flags = optional.iter().copied().chain(std::iter::repeat(false));
        let fresh = wanted.iter().cloned().zip(flags).filter(|(w, _)| is_new(w));
        let (listeners, flags): (Vec<_>, Vec<_>) = fresh.unzip();
        self.open(&listeners, &flags)?;
        let mut restart = Vec::new();
        let mut bound = self.wire.bound.load_full().to_vec();
        for entry in &mut bound {
            if let Some(wanted) = wanted.iter().find(|w| is_same(&entry.wanted, w)) {
                entry.listener.advertise = bind::advertised(wanted, entry.listener.bind);
            } else {
                let Listener { transport, bind, .. } = &entry.wanted;
                restart.push(format!("listen: {} {bind} stays open", transport.as_via()));
            }
        }
        self.wire.bound.store(Arc::new(bound));
        Ok(restart)
    }

    /// Sends for the worker `from`; never waits. What fails comes back as `Input::SendFailed`.
    pub fn send(&self, from: ShardId, flow: Flow, bytes: Bytes) {
        tracing::trace!(%flow, message = %String::from_utf8_lossy(&bytes), "sent");
        match flow.transport {
            Transport::Udp => self.send_datagram(from, flow, &bytes),
            Transport::Tcp => stream::send(&self.wire, from, flow, bytes),
        }
    }

    /// TCP connections that are open.
    pub fn connections(&self) -> usize {
        self.wire.connections.len()
    }

    fn open_one(&self, wanted: &Listener) -> Result<(), BindError> {
        let _context = self.wire.runtime.enter();
        let index = u16::try_from(self.wire.bound.load().len()).map_err(|_| BindError::many())?;
        match wanted.transport {
            Transport::Udp => {
                let (socket, buffer) = bind::udp(wanted, &self.wire.settings)?;
                let socket = Arc::new(socket);
                let bind = self.add(wanted, socket.local_addr().ok(), Some(socket.clone()));
                self.wire.dispatch.metrics.receive_buffer(buffer);
                tracing::info!(address = %bind, receive_buffer_bytes = buffer, "listening: UDP");
                self.wire.runtime.spawn(udp::receive(self.wire.clone(), index, socket));
            }
            Transport::Tcp => {
                let socket = bind::tcp(wanted)?;
                let bind = self.add(wanted, socket.local_addr().ok(), None);
                tracing::info!(address = %bind, "listening: TCP");
                self.wire.runtime.spawn(stream::accept(self.wire.clone(), index, socket));
            }
        }
        Ok(())
    }

    fn add(
        &self,
        wanted: &Listener,
        got: Option<SocketAddr>,
        socket: Option<Arc<UdpSocket>>,
    ) -> SocketAddr {
        let bind = got.unwrap_or(wanted.bind);
        let advertise = bind::advertised(wanted, bind);
        let listener = Listener { transport: wanted.transport, bind, advertise };
        let mut bound = self.wire.bound.load_full().to_vec();
        bound.push(Bound { wanted: wanted.clone(), listener, socket });
        self.wire.bound.store(Arc::new(bound));
        bind
    }

    fn send_datagram(&self, from: ShardId, flow: Flow, bytes: &[u8]) {
        let bound = self.wire.bound.load();
        let socket = bound.get(usize::from(flow.listener)).and_then(|b| b.socket.as_ref());
        let sent = match socket {
            Some(socket) => socket.try_send_to(bytes, flow.remote),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        };
        let metrics = &self.wire.dispatch.metrics;
        match sent {
            Ok(_) => {}
            // As if lost on the way: the transaction sends again.
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                one(&metrics.send_failed, "udp_would_block");
            }
            Err(error) => {
                one(&metrics.send_failed, "udp_error");
                tracing::debug!(%flow, %error, "a datagram could not be sent");
                self.wire.dispatch.tell(from, Input::SendFailed { flow });
            }
        }
    }
}

fn is_same(a: &Listener, b: &Listener) -> bool {
    a.transport == b.transport && a.bind == b.bind
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Net({:?})", self.listeners())
    }
}

#[cfg(test)]
mod tests;
