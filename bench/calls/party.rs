//! What phones and trunk share: a socket that speaks with the server, one thread that listens, one
//! that acts when it is time, and the state between them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use telefonist::sip::Message;

use super::stamp;

/// RFC 3261 T1 and T2.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// The listener looks this often whether it is over.
const LISTEN_MAX: Duration = Duration::from_millis(50);
/// What the listener put off is looked for this often.
pub const WAIT_MAX: Duration = Duration::from_millis(1);
/// Asked for; the driver must not be what loses messages.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// What is done with messages and with time.
pub trait Party: Send + 'static {
    /// A message came; the kernel had it at `now`.
    fn hear(&mut self, line: &Line, message: &Message, now: Instant);
    /// What is due is done; when to ask again.
    fn act(&mut self, line: &Line, now: Instant) -> Instant;
}

/// A socket that speaks with the server.
pub struct Line {
    socket: UdpSocket,
    /// Our end.
    pub local: SocketAddr,
    /// The server's.
    pub server: SocketAddr,
}

impl Line {
    /// A free port of `host`.
    pub fn open(host: Ipv4Addr, server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((host, 0))?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.connect(server)?;
        stamp::enable(&socket)?;
        socket.set_read_timeout(Some(LISTEN_MAX))?;
        Ok(Self { local: socket.local_addr()?, socket, server })
    }

    /// Sends. What the system does not take is repeated like what the net loses.
    pub fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send(bytes);
    }

    /// The next message, if one comes soon.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<(Message, Instant)>> {
        match stamp::receive(&self.socket, buffer) {
            Ok((len, at)) => {
                let message = Message::parse(Bytes::copy_from_slice(&buffer[..len]));
                Ok(message.ok().map(|message| (message, at)))
            }
            Err(e) if is_passing(e.kind()) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(kind, WouldBlock | TimedOut | Interrupted | ConnectionRefused)
}

/// A party at work.
pub struct Working<P> {
    party: Arc<Mutex<P>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<P: Party> Working<P> {
    /// Begins.
    pub fn begin(name: &str, party: P, line: Line) -> Result<Self> {
        let (party, line) = (Arc::new(Mutex::new(party)), Arc::new(line));
        let over = Arc::new(AtomicBool::new(false));
        let listen = {
            let (party, line, over) = (party.clone(), line.clone(), over.clone());
            move || listen(&party, &line, &over)
        };
        let act = {
            let (party, line, over) = (party.clone(), line, over.clone());
            move || act(&party, &line, &over)
        };
        let threads = vec![
            thread::Builder::new().name(format!("{name}-ear")).spawn(listen)?,
            thread::Builder::new().name(format!("{name}-clock")).spawn(act)?,
        ];
        Ok(Self { party, over, threads })
    }

    /// The state between the threads.
    pub fn party(&self) -> MutexGuard<'_, P> {
        lock(&self.party)
    }
}

impl<P> Drop for Working<P> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

fn listen<P: Party>(party: &Mutex<P>, line: &Line, over: &AtomicBool) {
    let mut buffer = vec![0; 65_535];
    while !over.load(Ordering::Relaxed) {
        match line.receive(&mut buffer) {
            Ok(Some((message, at))) => lock(party).hear(line, &message, at),
            Ok(None) => {}
            Err(error) => return eprintln!("{}: {error}", line.local),
        }
    }
}

fn act<P: Party>(party: &Mutex<P>, line: &Line, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let due = lock(party).act(line, Instant::now());
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be done later, and about which call.
pub struct Later<D> {
    heap: BinaryHeap<Reverse<(Instant, u32, D)>>,
}

impl<D: Ord> Default for Later<D> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<D: Ord> Later<D> {
    /// Remembers it.
    pub fn put(&mut self, at: Instant, call: u32, deed: D) {
        self.heap.push(Reverse((at, call, deed)));
    }

    /// What is due.
    pub fn take(&mut self, now: Instant) -> Option<(u32, D)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, call, deed))| (call, deed))
    }

    /// When something is due.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}

/// The gap before repetition number `times` (from 0): doubling, for INVITE without bound (timers A, E).
pub fn gap(times: u32, is_invite: bool) -> Duration {
    let gap = T1 * 2_u32.saturating_pow(times.min(10));
    if is_invite { gap } else { gap.min(T2) }
}
