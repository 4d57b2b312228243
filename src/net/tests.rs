//! Real sockets on loopback; a thread stands in for the worker.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket as StdUdp};
use std::time::{Duration, Instant};

use super::*;
use crate::sip::Message;
use crate::telemetry::Metrics;
use crate::worker::{Clock, Inbox, Outlet};

const LONG: Duration = Duration::from_secs(20);

const SETTINGS: NetSettings = NetSettings {
    receive_buffer_bytes: 65_536,
    inbox_len_max: 4,
    connections_max: 8,
    connections_per_source_max: 3,
    connection_queue_max: 16,
    idle_timeout: Duration::from_secs(30),
    header_timeout: Duration::from_millis(200),
    connect_timeout: Duration::from_secs(2),
};

struct Stage {
    net: Net,
    metrics: Arc<Metrics>,
    outlet: Outlet,
    seen: VecDeque<Input>,
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (inbox, outlet) = Inbox::new(SETTINGS.inbox_len_max);
        inbox.belongs_to(std::thread::current());
        let metrics = Arc::new(Metrics::new());
        let dispatch = Dispatch {
            inboxes: vec![Arc::new(inbox)],
            route: Box::new(|_| ShardId(0)),
            clock: Clock::start(),
            metrics: metrics.clone(),
            key: [7; 16],
        };
        let net = Net::new(dispatch, SETTINGS, runtime.handle().clone());
        net.open(&[listener(Transport::Udp), listener(Transport::Tcp)], &[]).expect("free ports");
        Self { net, metrics, outlet, seen: VecDeque::new(), _runtime: runtime }
    }

    fn address(&self, transport: Transport) -> SocketAddr {
        let all = self.net.listeners();
        all.iter().find(|l| l.transport == transport).expect("both are open").bind
    }

    fn input(&mut self) -> Input {
        let until = Instant::now() + LONG;
        while self.seen.is_empty() {
            assert!(Instant::now() < until, "nothing came");
            self.outlet.take(64, &mut self.seen);
            if self.seen.is_empty() {
                self.outlet.sleep(LONG);
            }
        }
        self.seen.pop_front().expect("just looked")
    }

    fn packet(&mut self) -> (Flow, Message) {
        match self.input() {
            Input::Packet { flow, message, .. } => (flow, message),
            other => panic!("not a packet: {other:?}"),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address(Transport::Tcp)).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a time");
        stream
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|l| l == line)
    }
}

fn listener(transport: Transport) -> Listener {
    let bind = "127.0.0.1:0".parse().expect("a literal");
    Listener { transport, bind, advertise: "127.0.0.1:0".into() }
}

fn phone() -> StdUdp {
    let socket = StdUdp::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(LONG)).expect("a time");
    socket
}

fn options(transport: &str, n: u32, version: &str) -> String {
    format!(
        "OPTIONS sip:a@b.example SIP/{version}\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{n};rport\r\n\
         From: <sip:x@y.example>;tag=1\r\nTo: <sip:a@b.example>\r\nCall-ID: c{n}\r\nCSeq: {n} OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

fn heard(socket: &StdUdp) -> String {
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).expect("an answer");
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

fn read_until_closed(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is a way to close, too.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_datagram_reaches_its_worker_with_the_socket_s_source() {
    let mut stage = Stage::new();
    let phone = phone();
    let to = stage.address(Transport::Udp);
    phone.send_to(options("UDP", 1, "2.0").as_bytes(), to).expect("sent");
    let (flow, message) = stage.packet();
    assert_eq!(flow.remote, phone.local_addr().expect("bound"));
    assert_eq!((flow.transport, flow.connection), (Transport::Udp, 0));
    assert_eq!(message.call_id(), "c1");
    stage.net.send(ShardId(0), flow, Bytes::from_static(b"back"));
    assert_eq!(heard(&phone), "back");
}

#[test]
fn garbage_is_counted_and_the_next_message_is_served() {
    let mut stage = Stage::new();
    let phone = phone();
    let to = stage.address(Transport::Udp);
    let whole = options("UDP", 2, "2.0");
    for bytes in [&b"\xff\x00\x01garbage"[..], b"\r\n\r\n", b"\0\0\0\0", &whole.as_bytes()[..11]] {
        phone.send_to(bytes, to).expect("sent");
    }
    phone.send_to(whole.as_bytes(), to).expect("sent");
    assert_eq!(stage.packet().1.call_id(), "c2");
    assert!(stage.counted("telefonist_messages_refused_total{kind=\"garbage\"} 2"));
    assert!(stage.counted("telefonist_keep_alives_total{kind=\"udp\"} 2"));
}

#[test]
fn another_version_of_sip_is_answered_without_a_worker() {
    let stage = Stage::new();
    let phone = phone();
    let to = stage.address(Transport::Udp);
    phone.send_to(options("UDP", 3, "7.0").as_bytes(), to).expect("sent");
    let answer = heard(&phone);
    assert!(answer.starts_with("SIP/2.0 505 "), "{answer}");
    assert!(answer.contains(";tag="), "{answer}");
}

#[test]
fn a_full_worker_means_503_and_loses_nothing_that_it_took() {
    let mut stage = Stage::new();
    let phone = phone();
    let to = stage.address(Transport::Udp);
    for n in 0..5 {
        phone.send_to(options("UDP", n, "2.0").as_bytes(), to).expect("sent");
    }
    let answer = heard(&phone);
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    for n in 0..4 {
        assert_eq!(stage.packet().1.call_id(), format!("c{n}"));
    }
}

#[test]
fn a_stream_is_cut_into_messages_and_answers_keep_alives() {
    let mut stage = Stage::new();
    let mut stream = stage.connect();
    let two = format!("{}{}", options("TCP", 1, "2.0"), options("TCP", 2, "2.0"));
    let (head, tail) = two.split_at(two.len() - 40);
    stream.write_all(head.as_bytes()).expect("written");
    let (flow, first) = stage.packet();
    assert_eq!(first.call_id(), "c1");
    stream.write_all(tail.as_bytes()).expect("written");
    assert_eq!(stage.packet().1.call_id(), "c2");
    stream.write_all(b"\r\n\r\n").expect("written");
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).expect("a pong");
    assert_eq!(&pong, b"\r\n");
    stage.net.send(ShardId(0), flow, Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n"));
    let mut answer = [0; 18];
    stream.read_exact(&mut answer).expect("an answer");
    drop(stream);
    assert!(matches!(stage.input(), Input::FlowClosed { flow: closed } if closed == flow));
    stage.net.send(ShardId(0), flow, Bytes::from_static(b"late"));
    assert!(matches!(stage.input(), Input::SendFailed { flow: failed } if failed == flow));
}

#[test]
fn a_message_that_never_ends_closes_its_connection() {
    let mut stage = Stage::new();
    let mut slow = stage.connect();
    slow.write_all(b"INVITE sip:a@b.example SIP/2.0\r\n").expect("written");
    assert_eq!(read_until_closed(slow), "");
    assert!(matches!(stage.input(), Input::FlowClosed { .. }));
    let mut endless = stage.connect();
    let line = format!("X-Long: {}\r\n", "x".repeat(1_000));
    let mut wrote = endless.write_all(b"INVITE sip:a@b.example SIP/2.0\r\n");
    for _ in 0..200 {
        wrote = wrote.and_then(|()| endless.write_all(line.as_bytes()));
    }
    read_until_closed(endless);
    assert!(matches!(stage.input(), Input::FlowClosed { .. }));
    assert!(stage.counted("telefonist_connections_refused_total{kind=\"framing\"} 1"));
}

#[test]
fn a_lie_about_the_length_is_answered_and_closed() {
    let stage = Stage::new();
    let mut stream = stage.connect();
    let lie = options("TCP", 9, "2.0").replace("Content-Length: 0", "Content-Length: 999999999");
    stream.write_all(lie.as_bytes()).expect("written");
    let answer = read_until_closed(stream);
    assert!(answer.starts_with("SIP/2.0 4"), "{answer}");
}

#[test]
fn one_source_has_so_many_connections_and_no_more() {
    let stage = Stage::new();
    let kept: Vec<TcpStream> = (0..3).map(|_| stage.connect()).collect();
    assert_eq!(read_until_closed(stage.connect()), "");
    assert!(stage.counted("telefonist_connections_refused_total{kind=\"per_source\"} 1"));
    drop(kept);
}

#[test]
fn a_connection_of_ours_is_opened_once_and_used_again() {
    let mut stage = Stage::new();
    let peer = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let remote = peer.local_addr().expect("bound");
    let flow = Flow { transport: Transport::Tcp, listener: 1, remote, connection: 0 };
    stage.net.send(ShardId(0), flow, Bytes::from_static(b"one"));
    stage.net.send(ShardId(0), flow, Bytes::from_static(b"two"));
    let (mut stream, _) = peer.accept().expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a time");
    let mut both = [0; 6];
    stream.read_exact(&mut both).expect("both");
    assert_eq!(&both, b"onetwo");
    stream.write_all(options("TCP", 5, "2.0").as_bytes()).expect("written");
    let (back, _) = stage.packet();
    assert_eq!(back.remote, remote);
    assert_ne!(back.connection, 0);
}

#[test]
fn a_connection_that_cannot_be_opened_comes_back_as_a_failed_send() {
    let mut stage = Stage::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let remote = closed.local_addr().expect("bound");
    drop(closed);
    let flow = Flow { transport: Transport::Tcp, listener: 1, remote, connection: 0 };
    stage.net.send(ShardId(0), flow, Bytes::from_static(b"x"));
    assert!(matches!(stage.input(), Input::SendFailed { flow: failed } if failed == flow));
    assert_eq!(stage.net.connections(), 0);
}

#[test]
fn a_taken_port_is_named_with_its_setting() {
    let stage = Stage::new();
    let taken = Listener { bind: stage.address(Transport::Udp), ..listener(Transport::Udp) };
    let error =
        stage.net.open(std::slice::from_ref(&taken), &[true]).expect_err("taken").to_string();
    assert!(error.contains(&format!("UDP {}", taken.bind)), "{error}");
    assert!(error.contains("listen[].bind") && error.contains("ss -lunp"), "{error}");
}

#[test]
fn a_reload_opens_what_is_new_and_names_what_stays() {
    let stage = Stage::new();
    let udp = Listener { advertise: "sip.example:5060".into(), ..listener(Transport::Udp) };
    let v6 = Listener { bind: "[::1]:0".parse().expect("a literal"), ..listener(Transport::Udp) };
    let restart = stage.net.reopen(&[udp, v6], &[false, true]).expect("opened");
    assert_eq!(restart, ["listen: TCP 127.0.0.1:0 stays open"]);
    let all = stage.net.listeners();
    assert_eq!(all[0].advertise.as_ref(), "sip.example:5060");
    assert_eq!(all[1].transport, Transport::Tcp, "its place is its name in flows");
}
