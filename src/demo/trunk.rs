//! A simulated PBX trunk: one UDP socket, any number of callers at once.
//!
//! ```text
//!  INVITE ─► Calling ─1xx─► Waiting ─2xx─► Talking ─BYE─► over
//!                │ ≥ 300: ACK, over     │ patience over: CANCEL, 487
//! ```
//! Each caller is a task ([`Trunk::place`]) that knows what it saw on the wire and nothing else: who
//! answered is read from the `s=` of the answer's session description. Knows `sip` and sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::wire::{Endpoint, Repeat, ack_refusal, session, session_owner};
use crate::sip::sdp::Direction;
use crate::sip::{Builder, Header, Message, Method};

/// How a caller calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its Call-ID.
    pub call_id: String,
    /// The calling number as this trunk writes it; `None` withholds it (RFC 3325 §9.3).
    pub from: Option<String>,
    /// The called number.
    pub to: String,
    /// Hangs up if nobody has answered by then.
    pub patience: Option<Duration>,
    /// Hangs up so long after the answer.
    pub talk: Duration,
    /// Holds the call and takes it back while talking.
    pub hold: bool,
}

/// How far a call is, as its caller sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing was heard.
    #[default]
    Calling,
    /// It rings, or waits.
    Waiting,
    /// Somebody speaks.
    Talking,
    /// Over.
    Over,
}

/// What a caller saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The final status; `None` if there was none.
    pub status: Option<u16>,
    /// The Reason header of a refusal.
    pub reason: Option<String>,
    /// Who answered: the session's name.
    pub answered_by: Option<String>,
    /// From the INVITE to the first ring.
    pub rang_after: Option<Duration>,
    /// From the INVITE to the answer.
    pub answered_after: Option<Duration>,
    /// The other side hung up.
    pub was_hung_up: bool,
    /// Hold and retrieval were both answered with 200; `None` if not tried.
    pub held: Option<bool>,
}

type Lines = Arc<Mutex<BTreeMap<String, mpsc::UnboundedSender<Message>>>>;

/// The trunk.
#[derive(Clone, Debug)]
pub struct Trunk {
    end: Arc<Endpoint>,
    lines: Lines,
}

impl Trunk {
    /// Begins to listen at `end`.
    pub fn open(end: Endpoint) -> Self {
        let trunk = Self { end: Arc::new(end), lines: Lines::default() };
        tokio::spawn(trunk.clone().listen());
        trunk
    }

    /// Where it is.
    pub fn local(&self) -> SocketAddr {
        self.end.local()
    }

    async fn listen(self) {
        while let Ok(message) = self.end.receive().await {
            let line = lock(&self.lines).get(message.call_id()).cloned();
            match line {
                // The caller may end in this moment; then nobody needs the message.
                Some(line) => drop(line.send(message)),
                None if !message.is_request() || message.method() == &Method::Ack => {}
                None => {
                    let known = message.method() == &Method::Options && message.to_tag().is_none();
                    self.end.send(&reply(&message, if known { 200 } else { 481 }));
                }
            }
        }
    }

    /// Makes a call and lives through it. `progress` tells others how far it is.
    pub async fn place(&self, caller: Caller, progress: watch::Sender<Progress>) -> Seen {
        let (line, messages) = mpsc::unbounded_channel();
        lock(&self.lines).insert(caller.call_id.clone(), line);
        let call_id = caller.call_id.clone();
        let begun = Instant::now();
        let mut live = Live {
            end: self.end.clone(),
            invite: None,
            remote: None,
            sequence: 1,
            version: 1,
            repeat: None,
            until: caller.patience.map(|p| begun + p),
            cancelled: false,
            begun,
            stage: Stage::Ringing,
            caller,
            progress,
            seen: Seen::default(),
        };
        live.run(messages).await;
        lock(&self.lines).remove(&call_id);
        live.progress.send_replace(Progress::Over);
        live.seen
    }
}

/// What the call is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ringing,
    Talking,
    /// A re-INVITE with this direction is out.
    Describing(Direction),
    Leaving,
    Over,
}

struct Live {
    end: Arc<Endpoint>,
    caller: Caller,
    /// The INVITE sent last.
    invite: Option<Message>,
    /// The other side: To line with its tag, remote target, routes.
    remote: Option<(String, String, Vec<String>)>,
    sequence: u32,
    version: u32,
    repeat: Option<Repeat>,
    /// Patience, or the end of talking.
    until: Option<Instant>,
    cancelled: bool,
    begun: Instant,
    stage: Stage,
    progress: watch::Sender<Progress>,
    seen: Seen,
}

impl Live {
    async fn run(&mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        self.send_invite(Direction::SendRecv);
        while self.stage != Stage::Over {
            let repeat = self.repeat.as_ref().map(Repeat::due);
            let due = self.until.into_iter().chain(repeat).min();
            // A ringing call ends by the server's hand, whatever happens.
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            match timeout_at(due, messages.recv()).await {
                Ok(Some(message)) if message.is_request() => self.request(&message),
                Ok(Some(message)) => self.response(&message),
                Ok(None) => return,
                Err(_) => self.due(Instant::now()),
            }
        }
    }

    fn due(&mut self, now: Instant) {
        if let Some(repeat) = &mut self.repeat {
            if repeat.is_over(now) {
                self.stage = Stage::Over;
                return;
            }
            if let Some(bytes) = repeat.again(now) {
                self.end.send(&bytes);
            }
        }
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            match self.stage {
                Stage::Ringing => self.give_up(),
                Stage::Talking | Stage::Describing(_) => self.hang_up(),
                Stage::Leaving | Stage::Over => {}
            }
        }
    }

    fn response(&mut self, response: &Message) {
        let current = response.cseq().is_some_and(|(n, _)| n == self.sequence);
        match (response.method(), response.status()) {
            (Method::Invite, 100) => self.repeat = None,
            (Method::Invite, 101..=199) if current => {
                self.repeat = None;
                self.seen.rang_after.get_or_insert(self.begun.elapsed());
                self.progress.send_if_modified(|p| {
                    let first = *p < Progress::Waiting;
                    *p = (*p).max(Progress::Waiting);
                    first
                });
                if self.cancelled {
                    self.send_cancel();
                }
            }
            (Method::Invite, 200..=299) => self.accepted(response, current),
            (Method::Invite, 300..) if current => self.refused(response),
            (Method::Bye, 200..) if current => self.stage = Stage::Over,
            (Method::Cancel, 200..) if self.stage == Stage::Ringing => self.repeat = None,
            _ => {}
        }
    }

    fn accepted(&mut self, response: &Message, current: bool) {
        let target = response.contacts().next().map_or("", |c| c.uri).to_owned();
        let to = response.header(Header::To).unwrap_or_default().to_owned();
        let mut routes: Vec<String> =
            response.values(Header::RecordRoute).map(str::to_owned).collect();
        routes.reverse();
        self.remote = Some((to, target, routes));
        let number = response.cseq().map_or(1, |(n, _)| n);
        if let Some(ack) = self.in_dialog(&Method::Ack, number) {
            self.end.send(&ack.finish());
        }
        // A 200 that came again only wants its ACK again.
        if !current {
            return;
        }
        match self.stage {
            Stage::Ringing => self.talk(response),
            Stage::Describing(Direction::SendOnly) => {
                self.repeat = None;
                self.send_invite(Direction::SendRecv);
                self.stage = Stage::Describing(Direction::SendRecv);
            }
            Stage::Describing(_) => {
                self.repeat = None;
                self.seen.held = Some(true);
                self.stage = Stage::Talking;
            }
            Stage::Talking | Stage::Leaving | Stage::Over => {}
        }
    }

    fn talk(&mut self, response: &Message) {
        self.repeat = None;
        self.seen.status = Some(response.status());
        self.seen.answered_by = session_owner(&response.body());
        self.seen.answered_after = Some(self.begun.elapsed());
        self.stage = Stage::Talking;
        self.progress.send_replace(Progress::Talking);
        self.until = Some(Instant::now() + self.caller.talk);
        if self.cancelled {
            // CANCEL and 200 crossed (§9.1): the call is up, and is ended as one.
            self.hang_up();
        } else if self.caller.hold {
            self.seen.held = Some(false);
            self.send_invite(Direction::SendOnly);
            self.stage = Stage::Describing(Direction::SendOnly);
        }
    }

    fn refused(&mut self, response: &Message) {
        if let Some(invite) = &self.invite {
            self.end.send(&ack_refusal(invite, response));
        }
        self.repeat = None;
        match self.stage {
            Stage::Ringing => {
                self.seen.status = Some(response.status());
                self.seen.reason = response.header(Header::Reason).map(str::to_owned);
                self.stage = Stage::Over;
            }
            Stage::Describing(_) => self.stage = Stage::Talking,
            Stage::Talking | Stage::Leaving | Stage::Over => {}
        }
    }

    fn request(&mut self, request: &Message) {
        match request.method() {
            Method::Bye => {
                self.end.send(&reply(request, 200));
                self.seen.was_hung_up = self.stage != Stage::Leaving;
                self.stage = Stage::Over;
            }
            Method::Ack => {}
            Method::Options | Method::Info | Method::Update => self.end.send(&reply(request, 200)),
            _ => self.end.send(&reply(request, 405)),
        }
    }

    fn give_up(&mut self) {
        self.cancelled = true;
        // §9.1: only after a provisional answer.
        if self.repeat.is_none() {
            self.send_cancel();
        }
    }

    fn send_cancel(&mut self) {
        let Some(invite) = &self.invite else { return };
        let bytes = Builder::request(&Method::Cancel, invite.uri())
            .header(Header::Via, invite.header(Header::Via).unwrap_or_default())
            .header(Header::MaxForwards, 70)
            .copy(invite, Header::From)
            .copy(invite, Header::To)
            .copy(invite, Header::CallId)
            .header(Header::CSeq, format!("{} CANCEL", self.sequence))
            .finish();
        self.send(bytes);
    }

    fn hang_up(&mut self) {
        self.sequence += 1;
        self.stage = Stage::Leaving;
        if let Some(bye) = self.in_dialog(&Method::Bye, self.sequence) {
            self.send(bye.finish());
        }
    }

    fn send(&mut self, bytes: Bytes) {
        self.end.send(&bytes);
        self.repeat = Some(Repeat::other(bytes, Instant::now()));
    }

    fn send_invite(&mut self, direction: Direction) {
        let request = match self.remote {
            None => self.first_invite(),
            Some(_) => {
                self.sequence += 1;
                self.version += 1;
                let Some(request) = self.in_dialog(&Method::Invite, self.sequence) else { return };
                request
            }
        };
        let at = self.end.local();
        let bytes = request
            .header(Header::Contact, format!("<sip:trunk@{at}>"))
            .header(Header::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE")
            .body("application/sdp", &session("caller", at, self.version, direction))
            .finish();
        self.invite = Message::parse(bytes.clone()).ok();
        self.end.send(&bytes);
        self.repeat = Some(Repeat::invite(bytes, Instant::now()));
    }

    fn first_invite(&self) -> Builder {
        let at = self.end.local();
        let request = Builder::request(&Method::Invite, &self.request_uri())
            .header(Header::Via, self.end.via(&self.end.token()))
            .header(Header::MaxForwards, 70)
            .header(Header::From, self.from(at))
            .header(Header::To, format!("<{}>", self.request_uri()))
            .header(Header::CallId, &self.caller.call_id)
            .header(Header::CSeq, format!("{} INVITE", self.sequence));
        match &self.caller.from {
            Some(_) => request,
            None => request.header(Header::Privacy, "id"),
        }
    }

    fn in_dialog(&self, method: &Method, number: u32) -> Option<Builder> {
        let (to, target, routes) = self.remote.as_ref()?;
        let mut request =
            Builder::request(method, target).header(Header::Via, self.end.via(&self.end.token()));
        for route in routes {
            request = request.header(Header::Route, route);
        }
        let from = self.from(self.end.local());
        Some(
            request
                .header(Header::MaxForwards, 70)
                .header(Header::From, from)
                .header(Header::To, to)
                .header(Header::CallId, &self.caller.call_id)
                .header(Header::CSeq, format!("{number} {}", method.as_str())),
        )
    }

    fn request_uri(&self) -> String {
        format!("sip:{}@{}", self.caller.to, self.end.server())
    }

    fn from(&self, at: SocketAddr) -> String {
        let tag = format!("t{}", self.caller.call_id);
        match &self.caller.from {
            Some(number) => format!("<sip:{number}@{at}>;tag={tag}"),
            None => format!("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag={tag}"),
        }
    }
}

fn reply(request: &Message, status: u16) -> Bytes {
    Builder::reply(request, status, Some("trunk")).finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
