//! The recorder of a real server: calls over sockets, `recorder save`, the file replayed by the library.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use telefonist::recorder::{Decision, Recorded, replay};
use telefonist::sip::digest::{Asked, Challenge, Login};
use telefonist::sip::{Builder, Header, Message, Method};

use super::cli_scene::{LONG, Scene};

const DOMAIN: &str = "telefonist.example";
const SDP: &str = "v=0\r\no=anna 1 1 IN IP4 127.0.0.1\r\ns=Anna Berg\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:anna-112\r\n";

/// One socket that speaks as the trunk, or as all phones.
struct Peer {
    socket: UdpSocket,
    heard: Vec<Message>,
    count: u32,
}

impl Peer {
    fn new(host: &str, scene: &Scene) -> Self {
        let socket = UdpSocket::bind((host, 0)).expect("loopback");
        socket.connect(scene.address()).expect("loopback");
        socket.set_read_timeout(Some(LONG)).expect("a time");
        Self { socket, heard: Vec::new(), count: 0 }
    }

    fn send(&self, draft: Builder) -> Message {
        let bytes = draft.finish();
        self.socket.send(&bytes).expect("loopback");
        Message::parse(bytes).expect("ours")
    }

    fn draft(&mut self, method: &Method, uri: &str) -> Builder {
        self.count += 1;
        let at = self.socket.local_addr().expect("bound");
        let branch = format!("z9hG4bK{}p{}", self.count, at.port());
        Builder::request(method, uri)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
    }

    fn hears(&mut self, what: &str, is: impl Fn(&Message) -> bool) -> Message {
        loop {
            if let Some(found) = self.heard.iter().position(&is) {
                return self.heard.remove(found);
            }
            let mut bytes = vec![0; 65_536];
            let len = self
                .socket
                .recv(&mut bytes)
                .unwrap_or_else(|e| panic!("{what}: {e}; heard {:#?}", self.heard));
            let bytes = Bytes::copy_from_slice(&bytes[..len]);
            self.heard.push(Message::parse(bytes).expect("SIP"));
        }
    }

    fn answer(&mut self, to: &Message, status: u16) -> Message {
        let (id, cseq) = (to.call_id().to_owned(), to.cseq().map(|(n, m)| (n, m.clone())));
        self.hears(&format!("{status}"), |m| {
            m.status() == status
                && m.call_id() == id
                && m.cseq().map(|(n, m)| (n, m.clone())) == cseq
        })
    }

    fn request(&mut self, method: Method) -> Message {
        self.hears(&method.to_string(), |m| m.is_request() && *m.method() == method)
    }

    fn reply(&self, request: &Message, status: u16, body: &str) {
        let at = self.socket.local_addr().expect("bound");
        let reply = Builder::reply(request, status, Some("callee"))
            .header(Header::Contact, format_args!("<sip:phone@{at}>"));
        self.send(if body.is_empty() {
            reply
        } else {
            reply.body("application/sdp", body.as_bytes())
        });
    }

    fn register(&mut self, user: &str, password: &str) {
        let uri = format!("sip:{DOMAIN}");
        let at = self.socket.local_addr().expect("bound");
        let mut proof = None;
        for cseq in 1..=2 {
            let draft = self.draft(&Method::Register, &uri);
            let draft = draft
                .header(Header::Contact, format_args!("\"Anna Berg\" <sip:{user}@{at}>"))
                .header(Header::From, format_args!("<sip:{user}@{DOMAIN}>;tag=r{user}"))
                .header(Header::To, format_args!("<sip:{user}@{DOMAIN}>"))
                .header(Header::CallId, format_args!("{password}@{user}"))
                .header(Header::UserAgent, "Phone/1.0 (Anna Berg's desk)")
                .header(Header::CSeq, format_args!("{cseq} REGISTER"));
            let asked = self.send(match proof.take() {
                Some(line) => draft.header(Header::Authorization, line),
                None => draft,
            });
            let heard = self.answer(&asked, if cseq == 1 { 401 } else { 200 });
            let Some(line) = heard.header(Header::WwwAuthenticate) else { continue };
            let (method, cnonce) = (&Method::Register, "anna-112");
            let asked = Asked { method, uri: &uri, body: b"", cnonce, count: 1 };
            proof = Challenge::parse(line).map(|c| c.answer(&Login { user, password }, &asked));
        }
    }

    /// A request within the dialog of `ok`.
    fn within(&mut self, ok: &Message, method: Method, cseq: u32) -> Message {
        let target = ok.contacts().next().expect("a Contact").uri.to_owned();
        let draft = self.draft(&method, &target).copy(ok, Header::From).copy(ok, Header::To);
        let draft = draft.copy(ok, Header::CallId);
        self.send(draft.header(Header::CSeq, format_args!("{cseq} {method}")))
    }
}

/// A call from `from` that is answered by whoever's phone rings, and ended by the caller.
fn call(trunk: &mut Peer, phones: &mut Peer, from: &str, n: u32) {
    let uri = format!("sip:100@{DOMAIN}");
    let draft = trunk.draft(&Method::Invite, &uri);
    let at = trunk.socket.local_addr().expect("bound");
    let draft = draft
        .header(Header::Contact, format_args!("<sip:{from}@{at}>"))
        .header(Header::From, format_args!("\"Northgate Food Halls\" <sip:{from}@{at}>;tag=c{n}"))
        .header(Header::To, format_args!("<{uri}>"))
        .header(Header::CallId, format_args!("call-of-{from}-{n}"))
        .header(Header::Subject, "the order of Northgate Food Halls")
        .named("X-Client", from)
        .header(Header::CSeq, "1 INVITE");
    let invite = trunk.send(draft.body("application/sdp", SDP.as_bytes()));
    let rings = phones.request(Method::Invite);
    phones.reply(&rings, 180, "");
    phones.reply(&rings, 200, SDP);
    let ok = trunk.answer(&invite, 200);
    trunk.within(&ok, Method::Ack, 1);
    let bye = trunk.within(&ok, Method::Bye, 2);
    trunk.answer(&bye, 200);
    let bye = phones.request(Method::Bye);
    phones.reply(&bye, 200, "");
}

/// Everything in the sample company's files that names somebody.
fn secrets() -> BTreeSet<String> {
    let read = |name: &str| {
        let file = format!("{}/config/{name}.csv", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(file).expect("shipped")
    };
    let mut secrets = BTreeSet::new();
    for line in read("people").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        secrets.extend([0, 1, 6, 7].map(|n| fields[n].to_owned()));
        secrets.extend(fields[1].split(' ').map(str::to_owned));
    }
    for line in read("clients").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        secrets.insert(fields[1].to_owned());
        for number in fields[3].split(';') {
            let digits: String = number.chars().filter(char::is_ascii_digit).collect();
            // In any spelling: without the country.
            secrets.extend(digits.get(2..).map(str::to_owned));
        }
    }
    // "Lang" is a part of no name only.
    secrets.retain(|secret| secret.len() > 4);
    secrets
}

/// Whatever the time is.
fn always_open(scene: &Scene) {
    let file = scene.config().join("calendars.toml");
    let text = std::fs::read_to_string(&file).expect("shipped");
    let names = text.lines().filter(|line| line.starts_with('[') && !line.contains('.'));
    let names = names.map(|line| line.trim_matches(['[', ']']));
    let open = |name: &str| {
        let week = "week]\nmon-sun = \"00:00-24:00\"";
        format!("[{name}]\nzone = \"Europe/Berlin\"\n[{name}.{week}\n")
    };
    std::fs::write(&file, names.map(open).collect::<String>()).expect("written");
}

fn of_call<'a>(decisions: &'a [Decision], call: &str) -> Vec<&'a str> {
    decisions.iter().filter(|d| &*d.call == call).map(|d| &*d.what).collect()
}

#[test]
fn calls_of_a_real_server_are_replayed_from_a_file_that_names_nobody() {
    let scene = Scene::with_company();
    scene.edit("telefonist.toml", "# wrap_up = \"10s\"", "wrap_up = \"0s\"");
    always_open(&scene);
    let server = scene.serve();
    let (mut trunk, mut phones) = (Peer::new("127.0.0.1", &scene), Peer::new("127.0.0.2", &scene));
    let people = [("111", "vera"), ("112", "anna"), ("113", "boris"), ("154", "pavel")];
    for (user, name) in people.into_iter().chain([("172", "fritz")]) {
        phones.register(user, &format!("{name}-{user}"));
    }
    let callers = ["+442079460001", "00442079460013", "+442079460002"];
    for (n, from) in (1..).zip(callers) {
        call(&mut trunk, &mut phones, from, n);
    }
    let file = scene.path("fault.jsonl").display().to_string();
    let said = scene.json(&["recorder", "save", &file]);
    assert!(said["inputs"].as_u64().is_some_and(|inputs| inputs > 20), "{said}");
    let (code, why) = scene.fails(&["recorder", "save", &file]);
    assert_eq!((code, why.contains("exists")), (1, true), "never written over: {why}");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(server);

    let text = std::fs::read_to_string(&file).expect("text");
    for secret in secrets() {
        assert!(!text.contains(&secret), "{secret}");
    }
    let recorded = Recorded::read(&text).unwrap_or_else(|damaged| panic!("{damaged}"));
    let done = replay(&recorded, &mut |_| {}, &|_| {});
    assert_eq!(done, replay(&recorded, &mut |_| {}, &|_| {}), "twice the same");
    let differences = done.differences();
    assert!(differences.is_empty(), "{differences:#?}");
    let calls: BTreeSet<_> = done.now.iter().map(|d| d.call.to_string()).collect();
    assert_eq!(calls.len(), callers.len());
    for call in &calls {
        let decided = of_call(&done.now, call);
        assert!(decided.iter().any(|what| what.starts_with("answered by")), "{decided:?}");
        assert!(decided.last().is_some_and(|what| what.contains("Answered by Caller")));
    }
}

#[test]
fn a_recorder_that_is_off_keeps_nothing_and_says_so() {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "# bytes_max = 8388608", "bytes_max = 0");
    let _server = scene.serve();
    let file = scene.path("fault.jsonl");
    let (code, why) = scene.fails(&["recorder", "save", &file.display().to_string()]);
    assert_eq!((code, why.contains("recorder.bytes_max")), (1, true), "{why}");
    assert!(!file.exists(), "nothing is left of it");
}

#[test]
fn without_a_server_there_is_nothing_to_save() {
    let scene = Scene::new();
    let file = scene.path("fault.jsonl");
    let (code, why) = scene.fails(&["recorder", "save", &file.display().to_string()]);
    assert_eq!((code, why.contains("no server answers")), (1, true), "{why}");
    assert!(!file.exists());
}
