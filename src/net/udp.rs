//! The receive task of one UDP socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;

use super::Wire;
use super::admit::Answer;
use crate::domain::{Flow, Transport};
use crate::sip::{Message, ParseError};
use crate::telemetry::one;

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams taken before other tasks have a turn.
const BURST_MAX: usize = 64;

/// Receives until the runtime ends.
pub(super) async fn receive(wire: Arc<Wire>, listener: u16, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Err(error) = socket.readable().await {
            tracing::error!(listener, %error, "this socket receives nothing more");
            return;
        }
        let mut full = true;
        for _ in 0..BURST_MAX {
            match socket.try_recv_from(&mut buffer) {
                Ok((len, source)) => datagram(&wire, listener, &socket, &buffer[..len], source),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    full = false;
                    break;
                }
                // A peer's ICMP; the socket itself is well.
                Err(error) => tracing::debug!(listener, %error, "receive"),
            }
        }
        // With nothing left, waiting lets the others in; yielding would only ask the kernel once more.
        if full {
            tokio::task::yield_now().await;
        }
    }
}

fn datagram(wire: &Wire, listener: u16, socket: &UdpSocket, bytes: &[u8], source: SocketAddr) {
    let flow = Flow { transport: Transport::Udp, listener, remote: source, connection: 0 };
    // RFC 5626 §3.5.1 and older habits: line ends or zeros keep a NAT open and want no answer.
    if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return one(&wire.dispatch.metrics.keep_alives, "udp");
    }
    let received = wire.dispatch.clock.now();
    let message = match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => message,
        Err(error) => {
            let too_long = matches!(error, ParseError::TooManyHeaders | ParseError::TooLong);
            wire.dispatch.garbage(flow, error);
            let head = too_long.then(|| Message::beginning(bytes)).flatten();
            let answer = head.and_then(|head| wire.dispatch.answer(&head, flow, 513, None));
            return answer.into_iter().for_each(|answer| reply(wire, socket, &answer));
        }
    };
    if let Some(answer) = wire.dispatch.admit(message, flow, received) {
        reply(wire, socket, &answer);
    }
}

fn reply(wire: &Wire, socket: &UdpSocket, answer: &Answer) {
    if let Err(error) = socket.try_send_to(&answer.bytes, answer.flow.remote) {
        one(&wire.dispatch.metrics.send_failed, "udp_error");
        tracing::debug!(flow = %answer.flow, %error, "a stateless answer could not be sent");
    }
}
