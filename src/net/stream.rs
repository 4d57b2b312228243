//! TCP: taking and opening connections, and the one task that each of them has.
//!
//! ```text
//!   accept ─┐                      ┌─ read: frame, admit, keep-alive ─┐
//!           ├─► place in the table ┤                                  ├─► FlowClosed to every worker,
//!   connect ┘   (bounded)          └─ write: the queue, in order ─────┘   SendFailed for what is left
//! ```
//! A message that was begun must be whole within `header_timeout`; a silent connection is closed after
//! `idle_timeout`; a peer that does not read fills its queue and is dropped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::Wire;
use super::connections::{Parcel, Queue, Refused, Unsent};
use crate::domain::{Flow, ShardId};
use crate::sip::{Framed, Framer};
use crate::switch::Input;
use crate::telemetry::one;

/// Read at once.
const READ_BYTES: usize = 16 * 1024;
/// A single line end is no message that was begun.
const LINE_END_BYTES: usize = 2;
/// Rest after an error of accept (no descriptors left).
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// A last answer must be written by then.
const LAST_WORD_MAX: Duration = Duration::from_secs(1);

/// Takes connections until the runtime ends.
pub(super) async fn accept(wire: Arc<Wire>, listener: u16, socket: TcpListener) {
    loop {
        let (stream, remote) = match socket.accept().await {
            Ok(taken) => taken,
            Err(error) => {
                if let Some(held_back) = wire.rare.pass("accept") {
                    tracing::warn!(listener, %error, held_back, "a connection could not be taken");
                }
                let _ = timeout(ACCEPT_REST, std::future::pending::<()>()).await;
                continue;
            }
        };
        match wire.connections.enter(listener, remote) {
            Ok((flow, queue)) => {
                wire.runtime.spawn(live(wire.clone(), flow, queue, stream));
            }
            Err(why) => refused(&wire, why),
        }
    }
}

fn refused(wire: &Wire, why: Refused) {
    let kind = match why {
        Refused::Total => "total",
        Refused::PerSource => "per_source",
    };
    one(&wire.dispatch.metrics.connections_refused, kind);
}

/// Into the queue of the flow's connection; a flow without one gets one.
pub(super) fn send(wire: &Arc<Wire>, from: ShardId, flow: Flow, bytes: Bytes) {
    let metrics = &wire.dispatch.metrics;
    match wire.connections.send(Parcel { from: Some(from), flow, bytes }) {
        Ok(()) => {}
        Err(Unsent::Gone(parcel)) if flow.connection == 0 => open(wire, from, parcel),
        Err(Unsent::Gone(_)) => {
            one(&metrics.send_failed, "tcp_gone");
            wire.dispatch.tell(from, Input::SendFailed { flow });
        }
        Err(Unsent::Slow) => {
            one(&metrics.send_failed, "tcp_queue_full");
            one(&metrics.connections_refused, "slow");
            wire.dispatch.tell(from, Input::SendFailed { flow });
        }
    }
}

fn open(wire: &Arc<Wire>, from: ShardId, parcel: Parcel) {
    let wanted = parcel.flow;
    let entered = wire.connections.enter(wanted.listener, wanted.remote);
    let sent = match entered {
        Ok((flow, queue)) => {
            let sent = wire.connections.send(parcel).is_ok();
            wire.runtime.spawn(connect(wire.clone(), flow, queue));
            sent
        }
        Err(why) => {
            refused(wire, why);
            false
        }
    };
    if !sent {
        wire.dispatch.tell(from, Input::SendFailed { flow: wanted });
    }
}

async fn connect(wire: Arc<Wire>, flow: Flow, queue: Queue) {
    match timeout(wire.settings.connect_timeout, dial(&wire, flow)).await {
        Ok(Ok(stream)) => live(wire, flow, queue, stream).await,
        outcome => {
            let error = match outcome {
                Ok(Err(error)) => error,
                _ => io::ErrorKind::TimedOut.into(),
            };
            tracing::debug!(%flow, %error, "could not connect");
            one(&wire.dispatch.metrics.send_failed, "connect");
            wire.connections.leave(flow.connection);
            give_back(&wire, queue);
        }
    }
}

async fn dial(wire: &Wire, flow: Flow) -> io::Result<TcpStream> {
    let socket = if flow.remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let ours = wire.bound.load().get(usize::from(flow.listener)).map(|b| b.listener.bind.ip());
    if let Some(ip) =
        ours.filter(|ip| !ip.is_unspecified() && ip.is_ipv4() == flow.remote.is_ipv4())
    {
        socket.bind((ip, 0).into())?;
    }
    socket.connect(flow.remote).await
}

/// From the first byte to the last.
async fn live(wire: Arc<Wire>, flow: Flow, mut queue: Queue, stream: TcpStream) {
    wire.dispatch.metrics.connections.inc();
    // Small messages must not wait for each other; without it they are only later.
    let _ = stream.set_nodelay(true);
    let (reading, mut writing) = stream.into_split();
    let why = tokio::select! {
        why = read(&wire, flow, reading) => why,
        why = write(&wire, &mut queue, &mut writing) => why,
    };
    tracing::debug!(%flow, why, "closed");
    wire.connections.leave(flow.connection);
    if why == FRAMING {
        last_words(&mut queue, &mut writing).await;
    }
    wire.dispatch.metrics.connections.dec();
    wire.dispatch.tell_all(&Input::FlowClosed { flow });
    give_back(&wire, queue);
}

const FRAMING: &str = "framing";

async fn read(wire: &Wire, flow: Flow, mut stream: OwnedReadHalf) -> &'static str {
    let mut framer = Framer::new();
    let mut begun: Option<Instant> = None;
    loop {
        let idle = Instant::now() + wire.settings.idle_timeout;
        let until = begun.map_or(idle, |b| idle.min(b + wire.settings.header_timeout));
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        match timeout_at(until, stream.read_buf(&mut buffer)).await {
            Ok(Ok(0)) => return "the peer closed it",
            Ok(Ok(_)) => framer.push(buffer.freeze()),
            Ok(Err(_)) => return "broken",
            Err(_) => {
                one(&wire.dispatch.metrics.connections_refused, "idle");
                return if begun.is_some() { "a message came too slowly" } else { "idle" };
            }
        }
        match drain(wire, flow, &mut framer) {
            Err(why) => return why,
            Ok(_) if framer.buffered() <= LINE_END_BYTES => begun = None,
            // A whole message came, so the next was begun just now.
            Ok(true) => begun = Some(Instant::now()),
            Ok(false) => begun = begun.or_else(|| Some(Instant::now())),
        }
    }
}

/// Everything whole that came. `Ok(true)`: at least one message did.
fn drain(wire: &Wire, flow: Flow, framer: &mut Framer) -> Result<bool, &'static str> {
    let mut any = false;
    while let Some(framed) = framer.next() {
        let answer = match framed {
            Ok(Framed::KeepAlive) => {
                one(&wire.dispatch.metrics.keep_alives, "tcp");
                reply(wire, flow, Bytes::from_static(b"\r\n"));
                continue;
            }
            Ok(Framed::Message(message)) => {
                wire.dispatch.admit(message, flow, wire.dispatch.clock.now())
            }
            Err(error) => {
                one(&wire.dispatch.metrics.connections_refused, FRAMING);
                wire.dispatch.garbage(flow, format!("{:?}", error.fault));
                let head = error.head.as_ref();
                let answer = head.and_then(|h| wire.dispatch.answer(h, flow, error.status(), None));
                if let Some(answer) = answer {
                    reply(wire, flow, answer.bytes);
                }
                return Err(FRAMING);
            }
        };
        any = true;
        if let Some(answer) = answer {
            reply(wire, flow, answer.bytes);
        }
    }
    Ok(any)
}

fn reply(wire: &Wire, flow: Flow, bytes: Bytes) {
    // A peer that does not read its answers loses them.
    let _ = wire.connections.send(Parcel { from: None, flow, bytes });
}

async fn write(wire: &Wire, queue: &mut Queue, stream: &mut OwnedWriteHalf) -> &'static str {
    while let Some(parcel) = queue.recv().await {
        match timeout(wire.settings.header_timeout, stream.write_all(&parcel.bytes)).await {
            Ok(Ok(())) => {}
            _ => {
                one(&wire.dispatch.metrics.send_failed, "tcp_gone");
                fail(wire, &parcel);
                return "the peer does not read";
            }
        }
    }
    "given up: the peer does not read"
}

async fn last_words(queue: &mut Queue, stream: &mut OwnedWriteHalf) {
    let writing = async {
        while let Ok(parcel) = queue.try_recv() {
            if stream.write_all(&parcel.bytes).await.is_err() {
                return;
            }
        }
        // It is closed in any case.
        let _ = stream.shutdown().await;
    };
    let _ = timeout(LAST_WORD_MAX, writing).await;
}

/// What was not written: its sender hears of it.
fn give_back(wire: &Wire, mut queue: Queue) {
    queue.close();
    while let Ok(parcel) = queue.try_recv() {
        fail(wire, &parcel);
    }
}

fn fail(wire: &Wire, parcel: &Parcel) {
    if let Some(from) = parcel.from {
        wire.dispatch.tell(from, Input::SendFailed { flow: parcel.flow });
    }
}
