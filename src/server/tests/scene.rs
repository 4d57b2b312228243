//! A small company behind a server in this process, its trunk and its phones on two sockets.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::SignedDuration;

use crate::domain::NumberFormat;
use crate::server::{Server, StartOptions};
use crate::sip::digest::{Asked, Challenge, Login};
use crate::sip::{Builder, Header, Message, Method};
use crate::store::import::{ImportOptions, import_folder};
use crate::store::{Actor, ClientsDb};

const PATIENCE: Duration = Duration::from_secs(20);
pub const DOMAIN: &str = "tele.test";
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 4000 RTP/AVP 8\r\n";

const CONFIG: &str = r#"
[server]
domains = ["tele.test"]
country = "DE"
workers = 2
[[listen]]
bind = "127.0.0.1:0"
transports = ["udp"]
[[trunk]]
name = "pbx"
from = ["127.0.0.3"]
calls_max = 6
[timers]
wrap_up = "0s"
[callback]
notify = "off"
[admin]
http = "off"
"#;

const POLICY: &str = r#"
[settings]
default_department = "support"
callback_owner = "person op1"
[[rule]]
name = "everybody"
clause = "B4"
route = [{ to = "role operator", ring = "60s", wait = "90s" }, { to = "callback" }]
"#;

/// An emergency plan of the policy.
const PLAN: &str = r#"
[[emergency]]
name = "rush"
clause = "B8"
moves = [{ close_position = "op2" }, { close_position = "op3" }]
"#;

const CALENDARS: &str = "[always]\nzone = \"UTC\"\n[always.week]\nmon-sun = \"00:00-24:00\"\n";

/// One socket that speaks as several parties.
pub struct Peer {
    socket: UdpSocket,
    heard: std::cell::RefCell<Vec<Message>>,
    branches: std::cell::Cell<u32>,
}

impl Peer {
    fn new(host: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((host, 0)).expect("a loopback address");
        socket.connect(server).expect("loopback");
        Self { socket, heard: Default::default(), branches: Default::default() }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    pub fn send(&self, draft: Builder) -> Message {
        let bytes = draft.finish();
        self.socket.send(&bytes).expect("loopback");
        Message::parse(bytes).expect("ours")
    }

    /// The first message, heard before or later, that `is` wants.
    pub fn hears(&self, what: &str, is: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.heard.borrow().iter().position(&is);
            if let Some(found) = found {
                return self.heard.borrow_mut().remove(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} is not heard, but {:#?}", self.heard.borrow());
            self.socket.set_read_timeout(Some(left)).expect("a time");
            let mut bytes = vec![0; 65_536];
            if let Ok(len) = self.socket.recv(&mut bytes) {
                let bytes = Bytes::copy_from_slice(&bytes[..len]);
                self.heard.borrow_mut().push(Message::parse(bytes).expect("what we send is SIP"));
            }
        }
    }

    pub fn answer(&self, to: &Message, status: u16) -> Message {
        self.hears(&format!("{status}"), |m| {
            m.status() == status && m.call_id() == to.call_id() && m.cseq() == to.cseq()
        })
    }

    pub fn request(&self, method: Method, call_id: &str) -> Message {
        self.hears(&format!("{method} in {call_id}"), |m| {
            m.is_request() && *m.method() == method && m.call_id() == call_id
        })
    }

    /// Begins a request; From, To, Call-ID and CSeq are the caller's business.
    pub fn draft(&self, method: &Method, uri: &str) -> Builder {
        self.branches.set(self.branches.get() + 1);
        let (at, n) = (self.address(), self.branches.get());
        Builder::request(method, uri)
            .header(
                Header::Via,
                format_args!("SIP/2.0/UDP {at};branch=z9hG4bK{n}p{};rport", at.port()),
            )
            .header(Header::MaxForwards, 70)
            .header(Header::Contact, format_args!("<sip:{at}>"))
    }

    pub fn reply(&self, request: &Message, status: u16, body: &str) {
        let reply = Builder::reply(request, status, Some("callee"))
            .header(Header::Contact, format_args!("<sip:phone@{}>", self.address()));
        self.send(match body {
            "" => reply,
            body => reply.body("application/sdp", body.as_bytes()),
        });
    }
}

/// See the module.
pub struct Scene {
    pub server: Arc<Server>,
    pub trunk: Peer,
    pub phones: Peer,
    folder: tempfile::TempDir,
}

impl Scene {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, state) = (folder.path().join("config"), folder.path().join("state"));
        for made in [&config, &state] {
            std::fs::create_dir_all(made).expect("a folder");
        }
        let files = [("telefonist", CONFIG), ("policy", POLICY), ("calendars", CALENDARS)];
        for (name, text) in files {
            std::fs::write(config.join(format!("{name}.toml")), text).expect("written");
        }
        std::fs::write(config.join("policy.toml"), format!("{POLICY}{PLAN}")).expect("written");
        people(folder.path(), &state);
        let options = StartOptions {
            config_dir: config,
            state_dir: Some(state),
            wall_ahead: SignedDuration::ZERO,
        };
        let server = Server::start(options).unwrap_or_else(|e| panic!("{e}"));
        let address = server.listeners()[0].bind;
        let (trunk, phones) = (Peer::new("127.0.0.3", address), Peer::new("127.0.0.2", address));
        Self { server, trunk, phones, folder }
    }

    /// The policy without its emergency plan, taken over.
    pub fn delete_the_plan(&self) {
        let file = self.folder.path().join("config/policy.toml");
        std::fs::write(file, POLICY).expect("written");
        self.server.reload("test").expect("a good policy");
    }

    /// Registers a phone; all of them live on one socket.
    pub fn register(&self, user: &str) {
        let uri = format!("sip:{DOMAIN}");
        let draft = |cseq: u32| {
            self.phones
                .draft(&Method::Register, &uri)
                .set(Header::Contact, format_args!("<sip:{user}@{}>", self.phones.address()))
                .header(Header::From, format_args!("<sip:{user}@{DOMAIN}>;tag=r{user}"))
                .header(Header::To, format_args!("<sip:{user}@{DOMAIN}>"))
                .header(Header::CallId, format_args!("register-{user}"))
                .header(Header::CSeq, format_args!("{cseq} REGISTER"))
        };
        let asked = self.phones.send(draft(1));
        let challenged = self.phones.answer(&asked, 401);
        let line = challenged.header(Header::WwwAuthenticate).expect("a challenge");
        let (method, cnonce) = (&Method::Register, "c");
        let asked = Asked { method, uri: &uri, body: b"", cnonce, count: 1 };
        let login = Login { user, password: "secret" };
        let answer = Challenge::parse(line).expect("digest").answer(&login, &asked);
        let asked = self.phones.send(draft(2).header(Header::Authorization, answer));
        self.phones.answer(&asked, 200);
    }

    /// A call from the trunk.
    pub fn invite(&self, call_id: &str) -> Message {
        let uri = format!("sip:100@{DOMAIN}");
        let draft = self
            .trunk
            .draft(&Method::Invite, &uri)
            .header(Header::From, format_args!("<sip:03023125001@pbx>;tag=f{call_id}"))
            .header(Header::To, format_args!("<{uri}>"))
            .header(Header::CallId, call_id)
            .header(Header::CSeq, "1 INVITE");
        self.trunk.send(draft.body("application/sdp", SDP.as_bytes()))
    }

    /// The phone's INVITE of the call that has just come.
    pub fn rings(&self) -> Message {
        let is_new = |m: &Message| m.is_request() && *m.method() == Method::Invite;
        let offered = self.phones.hears("an INVITE", is_new);
        self.phones.reply(&offered, 180, "");
        offered
    }

    /// A request of the trunk's within the dialog of `ok`.
    pub fn within(&self, ok: &Message, method: Method, cseq: u32) -> Message {
        let target = ok.contacts().next().expect("a Contact").uri.to_owned();
        let draft = self.trunk.draft(&method, &target).copy(ok, Header::From).copy(ok, Header::To);
        let draft = draft.copy(ok, Header::CallId);
        self.trunk.send(draft.header(Header::CSeq, format_args!("{cseq} {method}")))
    }

    /// The whole of a call's beginning; our 200 and the phone's INVITE.
    pub fn talking(&self, call_id: &str) -> (Message, Message) {
        let invite = self.invite(call_id);
        let offered = self.rings();
        self.phones.reply(&offered, 200, SDP);
        let ok = self.trunk.answer(&invite, 200);
        self.within(&ok, Method::Ack, 1);
        // It waits until the switch has seen the ACK: an OPTIONS comes behind it.
        let asked = self.within(&ok, Method::Options, 2);
        self.trunk.answer(&asked, 200);
        (ok, offered)
    }
}

fn people(folder: &Path, state: &Path) {
    let mut text = "id,name,roles,department,sip_user,supervisor,password\n".to_owned();
    for n in 1..=5 {
        // Above op1, who leads, stands op5, and above that op4.
        let superior = ["op5", "op1", "op1", "", "op4"][n - 1];
        text += &format!("op{n},Operator {n},operator,support,20{n},{superior},secret\n");
    }
    let departments = "id,name,head,deputy_head,calendar,regions\nsupport,Support,op1,,always,\n";
    for (name, text) in [("people", &*text), ("departments", departments)] {
        std::fs::write(folder.join(format!("{name}.csv")), text).expect("written");
    }
    let now = jiff::Timestamp::now();
    let options = ImportOptions {
        actor: Actor { by: "test", at: now },
        numbers: &NumberFormat::of("DE"),
        realm: DOMAIN,
        calendars: &[],
        today: now.to_zoned(jiff::tz::TimeZone::UTC).date(),
        dry_run: false,
        skip_bad: false,
        skip_unknown_columns: false,
    };
    let mut db = ClientsDb::open(&state.join("clients.db")).expect("clients.db");
    for report in import_folder(&mut db, folder, options, &mut |_| {}).expect("the files are ours")
    {
        assert!(report.bad.is_empty(), "{report:?}");
    }
}
