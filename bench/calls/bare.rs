//! A bare thread that is woken by a datagram and sends one: what the machine itself takes, beside the
//! server and in the same seconds. A claim about the server is the difference.

use std::io::Result;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::stamp;

/// One datagram so often.
const EVERY: Duration = Duration::from_millis(5);
const LISTEN_MAX: Duration = Duration::from_millis(100);

/// Measures until it is ended.
pub struct Bare {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Duration>>>,
}

impl Bare {
    /// Begins.
    pub fn begin() -> Result<Self> {
        let (near, far) = (socket()?, socket()?);
        near.connect(far.local_addr()?)?;
        far.connect(near.local_addr()?)?;
        stamp::enable(&near)?;
        let over = Arc::new(AtomicBool::new(false));
        let (ends, echoes) = (over.clone(), over.clone());
        let echo = thread::Builder::new().name("bare-echo".into()).spawn(move || {
            let mut buffer = [0; 1_500];
            while !echoes.load(Ordering::Relaxed) {
                if let Ok(len) = far.recv(&mut buffer) {
                    let _ = far.send(&buffer[..len]);
                }
            }
            Vec::new()
        })?;
        let ask = thread::Builder::new().name("bare-ask".into()).spawn(move || {
            let (mut spans, mut buffer) = (Vec::new(), [0; 1_500]);
            while !ends.load(Ordering::Relaxed) {
                let sent = Instant::now();
                let _ = near.send(&[b'x'; 700]);
                if let Ok((_, received)) = stamp::receive(&near, &mut buffer) {
                    spans.push(received.saturating_duration_since(sent));
                }
                thread::park_timeout(EVERY);
            }
            spans
        })?;
        Ok(Self { over, threads: vec![ask, echo] })
    }

    /// From the send to the kernel's stamp of the answer.
    pub fn end(self) -> Vec<Duration> {
        self.over.store(true, Ordering::Relaxed);
        // A panic there has been printed.
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    }
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(LISTEN_MAX))?;
    Ok(socket)
}
