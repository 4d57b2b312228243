//! Binding sockets, and what to say when that fails.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::config::NetSettings;
use crate::domain::{Listener, Transport};

/// Connections that the kernel holds until we take them.
const BACKLOG: i32 = 1024;

/// A listener that cannot be.
#[derive(Debug)]
pub struct BindError {
    what: Option<(Transport, SocketAddr)>,
    error: io::Error,
}

impl BindError {
    /// More listeners than a flow can name.
    pub(super) fn many() -> Self {
        Self { what: None, error: io::Error::other("too many listeners") }
    }

    /// The host does not have this address, or not this family of addresses.
    pub(super) fn is_missing_address(&self) -> bool {
        matches!(self.error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((transport, bind)) = self.what else { return write!(f, "{}", self.error) };
        let name = transport.as_via();
        write!(f, "cannot listen on {name} {bind} (`listen[].bind`): {}", self.error)?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => {
                let letter = if transport == Transport::Udp { 'u' } else { 't' };
                write!(f, "; `ss -l{letter}np` shows which program has port {}", bind.port())
            }
            io::ErrorKind::PermissionDenied => {
                write!(f, "; ports below 1024 need root or CAP_NET_BIND_SERVICE")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

/// A UDP socket, and the receive buffer that the kernel gave it, bytes.
pub(super) fn udp(
    listener: &Listener,
    settings: &NetSettings,
) -> Result<(UdpSocket, usize), BindError> {
    let bind = || {
        let socket = socket(listener.bind, Type::DGRAM, Protocol::UDP)?;
        socket.set_recv_buffer_size(settings.receive_buffer_bytes as usize)?;
        socket.bind(&listener.bind.into())?;
        let got = socket.recv_buffer_size()?;
        Ok((UdpSocket::from_std(socket.into())?, got))
    };
    bind().map_err(|error| BindError { what: Some((Transport::Udp, listener.bind)), error })
}

/// A TCP listener.
pub(super) fn tcp(listener: &Listener) -> Result<TcpListener, BindError> {
    let bind = || {
        let socket = socket(listener.bind, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_address(true)?;
        socket.bind(&listener.bind.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error| BindError { what: Some((Transport::Tcp, listener.bind)), error })
}

/// What a listener says of itself, now that its port is known.
pub(super) fn advertised(wanted: &Listener, got: SocketAddr) -> Arc<str> {
    match wanted.advertise.strip_suffix(":0") {
        Some(host) if wanted.bind.port() == 0 => format!("{host}:{}", got.port()).into(),
        _ => wanted.advertise.clone(),
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // A v4 source would come as a mapped address and match no trunk.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
