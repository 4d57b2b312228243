//! A peer that says what no SIP stack would say: bare sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::scene::PATIENCE;

/// A UDP socket at `from`, talking to `to`.
pub struct Wire {
    socket: UdpSocket,
}

impl Wire {
    /// Any free port at `from`.
    pub fn udp(from: IpAddr, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(SocketAddr::new(from, 0)).expect("a loopback address");
        socket.connect(to).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self { socket }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Says it once.
    pub fn send(&self, bytes: &[u8]) {
        self.socket.send(bytes).expect("loopback");
    }

    /// The next message; `None` after `at_most`.
    pub fn next(&self, at_most: Duration) -> Option<String> {
        let mut bytes = vec![0; 65_536];
        self.socket.set_read_timeout(Some(at_most)).expect("a time");
        let len = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }

    /// Sends `request` until a final answer comes; its status and text.
    pub fn ask(&self, request: &str) -> (u16, String) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.send(request.as_bytes());
            while let Some(answer) = self.next(Duration::from_millis(500)) {
                match status(&answer) {
                    Some(status) if status >= 200 => return (status, answer),
                    _ => {}
                }
            }
        }
        panic!("no answer to {request}");
    }
}

/// The status of a response.
pub fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// A connection that says anything.
pub struct Stream {
    stream: TcpStream,
}

impl Stream {
    /// Connects.
    pub fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("the server listens");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self { stream }
    }

    /// Whether all of it was taken.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Everything that comes until the server closes; panics if it does not.
    pub fn until_closed(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            // What we said was not read to its end: the kernel resets.
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            Err(e) => panic!("the server keeps the connection: {e}"),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes first.
    pub fn first(&mut self) -> String {
        let mut bytes = vec![0; 65_536];
        let len = self.stream.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }
}

/// OPTIONS to the server; `n` makes it a new one.
pub fn options(to: SocketAddr, via: &str, n: u32) -> String {
    request("OPTIONS", &format!("sip:{to}"), via, n, "", "")
}

/// A request with the headers that each needs, and `more`.
pub fn request(method: &str, uri: &str, via: &str, n: u32, more: &str, body: &str) -> String {
    let (len, id) = (body.len(), via.replace([' ', ':'], "-"));
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bKw{n};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x{n}@elsewhere.test>;tag=f{n}\r\nTo: <{uri}>\r\n\
         Call-ID: wire-{n}-{id}\r\nCSeq: 1 {method}\r\nContact: <sip:x@127.0.0.4>\r\n{more}\
         Content-Length: {len}\r\n\r\n{body}",
    )
}
