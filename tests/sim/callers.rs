//! Who takes part in the simulation: callers and phones. Each speaks SIP by itself, with its own
//! retransmissions, and keeps to RFC 3261 except where its plan says otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use telefonist::domain::Moment;
use telefonist::sip::{Builder, Header, Message, Method};

use super::sim::Rng;
use super::world::{ANSWER, DOMAIN, OFFER};

/// What an actor wants.
#[derive(Debug)]
pub enum Wish {
    /// Send once.
    Send(Bytes),
    /// Send, and again until `Stop` with the same name.
    Insist(String, Bytes),
    Stop(String),
    /// Call `due` with this name after the time.
    After(Duration, String),
}

type Wishes = Vec<Wish>;

/// What a phone does with an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Answer {
        after_ms: u64,
    },
    Refuse {
        after_ms: u64,
        status: u16,
        rings: bool,
    },
    RingFor,
    /// Answers although CANCEL came.
    AnswerCancelled,
    Silent,
    TryingOnly,
}

impl Plan {
    pub fn draw(rng: &mut Rng, faults: bool) -> Plan {
        if !faults {
            return Plan::Answer { after_ms: 500 + rng.below(3_000) };
        }
        let after_ms = rng.below(25_000);
        let statuses = [486, 603, 480, 404, 488, 503, 302, 500, 600, 408, 410, 403];
        let status = statuses[rng.below(statuses.len() as u64) as usize];
        match rng.below(20) {
            0..=9 => Plan::Answer { after_ms: after_ms / 3 },
            10..=13 => Plan::Refuse { after_ms: after_ms / 5, status, rings: rng.chance(50) },
            14..=15 => Plan::RingFor,
            16..=17 => Plan::AnswerCancelled,
            18 => Plan::Silent,
            _ => Plan::TryingOnly,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Ringing,
    Answered,
    Over,
}

/// A call as a phone sees it.
#[derive(Debug)]
pub struct Incoming {
    pub invite: Message,
    pub plan: Plan,
    pub stage: Stage,
    pub cancelled: bool,
    cseq: u32,
}

/// A phone, or the trunk's side of calls that go out.
#[derive(Debug)]
pub struct Phone {
    pub user: &'static str,
    pub at: SocketAddr,
    pub alive: bool,
    /// An INVITE to the phone that it was before may still be sent again for 64·T1.
    pub since: Option<Moment>,
    pub calls: BTreeMap<String, Incoming>,
    answers: BTreeMap<(String, String), Bytes>,
    count: u32,
}

fn branch_of(message: &Message) -> String {
    let via = message.top_via();
    via.and_then(|v| v.branch().map(str::to_owned)).unwrap_or_default()
}

fn name_of(message: &Message) -> (String, String) {
    let method = message.cseq().map_or_else(String::new, |(_, m)| m.to_string());
    (branch_of(message), method)
}

impl Phone {
    pub fn new(user: &'static str, at: SocketAddr) -> Self {
        let (calls, answers) = (BTreeMap::new(), BTreeMap::new());
        Self { user, at, alive: true, since: None, calls, answers, count: 0 }
    }

    /// Calls that this phone rings for, or is in.
    pub fn believes_in(&self) -> Vec<&str> {
        let quiet = |c: &Incoming| matches!(c.plan, Plan::Silent | Plan::TryingOnly);
        let live = |c: &Incoming| match c.stage {
            Stage::Ringing => !quiet(c),
            Stage::Answered => true,
            Stage::Over => false,
        };
        self.calls.iter().filter(|(_, c)| live(c)).map(|(id, _)| id.as_str()).collect()
    }

    /// Calls that this phone shows; one that it answers after CANCEL has a BYE on its way.
    pub fn engaged(&self) -> usize {
        let busy = |c: &&Incoming| match c.stage {
            Stage::Ringing => !c.cancelled && !matches!(c.plan, Plan::Silent | Plan::TryingOnly),
            Stage::Answered => !c.cancelled,
            Stage::Over => false,
        };
        self.calls.values().filter(busy).count()
    }

    fn tag(&self) -> String {
        format!("ph{}", self.at.port())
    }

    fn reply(&mut self, request: &Message, status: u16, body: &str) -> Bytes {
        let tag = self.tag();
        let tag = (status > 100).then_some(tag.as_str());
        let mut reply = Builder::reply(request, status, tag);
        if status < 300 && status > 100 {
            reply = reply.header(Header::Contact, format_args!("<sip:{}@{}>", "p", self.at));
        }
        let bytes = match body {
            "" => reply.finish(),
            body => reply.body("application/sdp", body.as_bytes()).finish(),
        };
        self.answers.insert(name_of(request), bytes.clone());
        bytes
    }

    /// A request came.
    pub fn hears(&mut self, request: &Message, rng: &mut Rng, faults: bool) -> Wishes {
        let call_id = request.call_id().to_owned();
        if *request.method() == Method::Ack {
            let stops = [format!("ok-{}-{call_id}", self.at), format!("no-{}", branch_of(request))];
            return stops.into_iter().map(Wish::Stop).collect();
        }
        if let Some(bytes) = self.answers.get(&name_of(request)) {
            return vec![Wish::Send(bytes.clone())];
        }
        match request.method() {
            Method::Invite if request.to_tag().is_none() => {
                self.offered(request, Plan::draw(rng, faults))
            }
            Method::Cancel => self.cancelled(request),
            Method::Bye => {
                let known = self.calls.get_mut(&call_id).filter(|c| c.stage == Stage::Answered);
                let status = if let Some(call) = known {
                    call.stage = Stage::Over;
                    200
                } else {
                    481
                };
                let stop = Wish::Stop(format!("ok-{}-{call_id}", self.at));
                vec![stop, Wish::Send(self.reply(request, status, ""))]
            }
            Method::Message => vec![Wish::Send(self.reply(request, 200, ""))],
            method => {
                let knows = |c: &Incoming| c.stage == Stage::Answered;
                let known = self.calls.get(&call_id).is_some_and(knows);
                if !known && request.to_tag().is_some() {
                    return vec![Wish::Send(self.reply(request, 481, ""))];
                }
                let invite = *method == Method::Invite;
                let refuses = faults && invite && rng.chance(20);
                if refuses {
                    let bytes = self.reply(request, 488, "");
                    return vec![Wish::Insist(format!("no-{}", branch_of(request)), bytes)];
                }
                let body = if invite || *method == Method::Update { ANSWER } else { "" };
                let bytes = self.reply(request, 200, body);
                match invite {
                    true => vec![Wish::Insist(format!("ok-{}-{call_id}", self.at), bytes)],
                    false => vec![Wish::Send(bytes)],
                }
            }
        }
    }

    fn offered(&mut self, invite: &Message, plan: Plan) -> Wishes {
        let call_id = invite.call_id().to_owned();
        let known = Incoming {
            invite: invite.clone(),
            plan,
            stage: Stage::Ringing,
            cancelled: false,
            cseq: 0,
        };
        self.calls.insert(call_id.clone(), known);
        let (rings, later) = match plan {
            Plan::Silent => return Vec::new(),
            Plan::TryingOnly => return vec![Wish::Send(self.reply(invite, 100, ""))],
            Plan::Answer { after_ms } => (true, Some(after_ms)),
            Plan::Refuse { after_ms, rings, .. } => (rings, Some(after_ms)),
            Plan::RingFor | Plan::AnswerCancelled => (true, None),
        };
        let mut wishes = Vec::new();
        if rings {
            wishes.push(Wish::Send(self.reply(invite, 180, "")));
        } else {
            wishes.push(Wish::Send(self.reply(invite, 100, "")));
        }
        if let Some(ms) = later {
            wishes.push(Wish::After(Duration::from_millis(ms), call_id));
        } else {
            // Networks do not let anything ring for longer.
            let expires = invite.number(Header::Expires).unwrap_or(180);
            wishes.push(Wish::After(Duration::from_secs(u64::from(expires)), call_id));
        }
        wishes
    }

    fn cancelled(&mut self, request: &Message) -> Wishes {
        let call_id = request.call_id().to_owned();
        let mut wishes = vec![Wish::Send(self.reply(request, 200, ""))];
        let Some(call) = self.calls.get_mut(&call_id) else { return wishes };
        if call.stage != Stage::Ringing || call.plan == Plan::Silent {
            return wishes;
        }
        call.cancelled = true;
        if call.plan == Plan::AnswerCancelled {
            wishes.extend(self.answer(&call_id));
        } else {
            call.stage = Stage::Over;
            let invite = call.invite.clone();
            let bytes = self.reply(&invite, 487, "");
            wishes.push(Wish::Insist(format!("no-{}", branch_of(&invite)), bytes));
        }
        wishes
    }

    fn answer(&mut self, call_id: &str) -> Wishes {
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        call.stage = Stage::Answered;
        let invite = call.invite.clone();
        let body = if invite.body().is_empty() { OFFER } else { ANSWER };
        let bytes = self.reply(&invite, 200, body);
        vec![Wish::Insist(format!("ok-{}-{call_id}", self.at), bytes)]
    }

    /// The time of a ringing call has come.
    pub fn due(&mut self, call_id: &str, rng: &mut Rng) -> Wishes {
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        match (call.stage, call.plan) {
            (Stage::Ringing, Plan::Answer { .. }) => {
                let mut wishes = self.answer(call_id);
                let talk = Duration::from_millis(2_000 + rng.below(90_000));
                wishes.push(Wish::After(talk, call_id.to_owned()));
                wishes
            }
            (Stage::Ringing, Plan::Refuse { status, .. }) => {
                call.stage = Stage::Over;
                let invite = call.invite.clone();
                let bytes = self.reply(&invite, status, "");
                vec![Wish::Insist(format!("no-{}", branch_of(&invite)), bytes)]
            }
            // §13.2.1: the invitation has expired.
            (Stage::Ringing, Plan::RingFor | Plan::AnswerCancelled) => {
                call.stage = Stage::Over;
                let invite = call.invite.clone();
                let bytes = self.reply(&invite, 487, "");
                vec![Wish::Insist(format!("no-{}", branch_of(&invite)), bytes)]
            }
            (Stage::Answered, _) => self.hang_up(call_id),
            _ => Vec::new(),
        }
    }

    fn hang_up(&mut self, call_id: &str) -> Wishes {
        let (tag, at) = (self.tag(), self.at);
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        call.stage = Stage::Over;
        call.cseq += 1;
        self.count += 1;
        let branch = format!("z9hG4bKph{}x{}", at.port(), self.count);
        let invite = &call.invite;
        let Some(contact) = invite.contacts().next().map(|c| c.uri.to_owned()) else {
            return Vec::new();
        };
        let to = invite.header(Header::To).unwrap_or_default().to_owned();
        let draft = Builder::request(&Method::Bye, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("{to};tag={tag}"))
            .header(Header::To, invite.header(Header::From).unwrap_or_default())
            .header(Header::CallId, call_id)
            .header(Header::CSeq, format_args!("{} BYE", call.cseq));
        vec![
            Wish::Stop(format!("ok-{at}-{call_id}")),
            Wish::Insist(format!("rq-{branch}"), draft.finish()),
        ]
    }
}

/// Somebody who calls over the trunk.
#[derive(Debug)]
pub struct Caller {
    pub call_id: String,
    pub at: SocketAddr,
    invite: Message,
    pub stage: CallerStage,
    provisional: bool,
    wants_cancel: bool,
    ok: Option<Message>,
    answers: BTreeMap<(String, String), Bytes>,
    acknowledges: bool,
    holds: bool,
    first: u32,
    cseq: u32,
    talk: Duration,
}

/// Answers a challenge for a user, a method and a URI.
pub type Answer<'a> = &'a dyn Fn(&str, &Method, &str) -> Option<String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerStage {
    Calling,
    Talking,
    Over,
}

impl Caller {
    pub fn new(at: SocketAddr, number: &str, count: u32, rng: &mut Rng, faults: bool) -> Self {
        let call_id = format!("sim{count}x{}", rng.below(1_000_000));
        let late = rng.chance(15);
        let draft = Builder::request(&Method::Invite, &format!("sip:100@{DOMAIN}"))
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch=z9hG4bKc{call_id};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("<sip:{number}@pbx>;tag=t{call_id}"))
            .header(Header::To, format_args!("<sip:100@{DOMAIN}>"))
            .header(Header::CallId, &call_id)
            .header(Header::CSeq, "1 INVITE")
            .header(Header::Contact, format_args!("<sip:{at}>"));
        let draft = if late { draft } else { draft.body("application/sdp", OFFER.as_bytes()) };
        Self {
            call_id,
            at,
            invite: Message::parse(draft.finish()).expect("a caller's INVITE can be read"),
            stage: CallerStage::Calling,
            provisional: false,
            wants_cancel: false,
            ok: None,
            answers: BTreeMap::new(),
            acknowledges: !(faults && rng.chance(4)),
            holds: rng.chance(30),
            first: 1,
            cseq: 1,
            talk: Duration::from_millis(1_000 + rng.below(60_000)),
        }
    }

    /// One of our people dials `number`.
    pub fn person(at: SocketAddr, user: &str, number: &str, count: u32, rng: &mut Rng) -> Self {
        let mut caller = Self::new(at, user, count, rng, false);
        let text = String::from_utf8_lossy(caller.invite.raw()).into_owned();
        let text = text.replace(&format!("{user}@pbx"), &format!("{user}@{DOMAIN}"));
        let text = text.replace(&format!("sip:100@{DOMAIN}"), &format!("sip:{number}@{DOMAIN}"));
        caller.invite = Message::parse(text.into()).expect("a person's INVITE can be read");
        caller
    }

    /// The same INVITE again, with the answer to a challenge.
    pub fn proves(&mut self, challenge: &Message, answer: Answer<'_>) -> Wishes {
        let mut wishes = vec![
            Wish::Stop(format!("rq-{}", branch_of(&self.invite))),
            Wish::Send(self.simple(&Method::Ack, Some(challenge))),
        ];
        let line = challenge.header(Header::ProxyAuthenticate).unwrap_or_default();
        let Some(line) =
            answer(line, &Method::Invite, self.invite.uri()).filter(|_| self.first == 1)
        else {
            self.stage = CallerStage::Over;
            return wishes;
        };
        (self.first, self.cseq) = (2, 2);
        let text = String::from_utf8_lossy(self.invite.raw()).into_owned();
        let text = text.replace("CSeq: 1 INVITE", "CSeq: 2 INVITE").replace("bK", "bKa");
        let proof = format!("Proxy-Authorization: {line}\r\nMax-Forwards");
        let text = text.replacen("Max-Forwards", &proof, 1);
        self.invite = Message::parse(text.into()).expect("the second INVITE can be read");
        let name = format!("rq-{}", branch_of(&self.invite));
        wishes.push(Wish::Insist(name, self.invite.raw().clone()));
        wishes
    }

    /// Timer B, or the phone is dead: nobody ever answered this request.
    pub fn unheard(&mut self, name: &str) {
        let is_invite = name.strip_prefix("rq-") == Some(branch_of(&self.invite).as_str());
        if is_invite && self.stage == CallerStage::Calling && !self.provisional {
            self.stage = CallerStage::Over;
        }
    }

    pub fn begin(&mut self, patience: Duration) -> Wishes {
        let name = format!("rq-z9hG4bKc{}", self.call_id);
        vec![
            Wish::Insist(name, self.invite.raw().clone()),
            Wish::After(patience, format!("patience {}", self.call_id)),
        ]
    }

    fn in_dialog(&self, method: &Method, cseq: u32, body: &str) -> (String, Bytes) {
        let branch = format!("z9hG4bKd{}{method}{cseq}", self.call_id);
        let bytes = self.branched(&branch, method, cseq, body);
        (format!("rq-{branch}"), bytes)
    }

    fn branched(&self, branch: &str, method: &Method, cseq: u32, body: &str) -> Bytes {
        let ok = self.ok.as_ref().expect("a dialog");
        let contact = ok.contacts().next().map_or("sip:lost", |c| c.uri).to_owned();
        let draft = Builder::request(method, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {};branch={branch};rport", self.at))
            .header(Header::MaxForwards, 70)
            .copy(ok, Header::From)
            .copy(ok, Header::To)
            .copy(ok, Header::CallId)
            .header(Header::CSeq, format_args!("{cseq} {method}"))
            .header(Header::Contact, format_args!("<sip:{}>", self.at));
        match body {
            "" => draft.finish(),
            body => draft.body("application/sdp", body.as_bytes()).finish(),
        }
    }

    fn simple(&self, method: &Method, to: Option<&Message>) -> Bytes {
        let to = to.unwrap_or(&self.invite);
        Builder::request(method, self.invite.uri())
            .copy(&self.invite, Header::Via)
            .header(Header::MaxForwards, 70)
            .copy(&self.invite, Header::From)
            .copy(to, Header::To)
            .copy(&self.invite, Header::CallId)
            .header(Header::CSeq, format_args!("{} {method}", self.first))
            .finish()
    }

    /// Nobody has answered for too long, or enough was said.
    pub fn gives_up(&mut self) -> Wishes {
        match self.stage {
            CallerStage::Calling if self.provisional => {
                let cancel = self.simple(&Method::Cancel, None);
                vec![Wish::Insist(format!("cn-{}", self.call_id), cancel)]
            }
            CallerStage::Calling => {
                self.wants_cancel = true;
                Vec::new()
            }
            CallerStage::Talking => {
                self.stage = CallerStage::Over;
                self.cseq += 1;
                let (name, bytes) = self.in_dialog(&Method::Bye, self.cseq, "");
                vec![Wish::Insist(name, bytes)]
            }
            CallerStage::Over => Vec::new(),
        }
    }

    pub fn lapses(&mut self) {
        if self.stage == CallerStage::Calling {
            self.stage = CallerStage::Over;
        }
    }

    /// Puts the other on hold, if this caller does such things.
    pub fn holds(&mut self) -> Wishes {
        if self.stage != CallerStage::Talking || !self.holds {
            return Vec::new();
        }
        self.cseq += 1;
        let hold = OFFER.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
        let (name, bytes) = self.in_dialog(&Method::Invite, self.cseq, &hold);
        vec![Wish::Insist(name, bytes)]
    }

    pub fn hears_answer(&mut self, response: &Message) -> Wishes {
        let status = response.status();
        let Some((cseq, method)) = response.cseq() else { return Vec::new() };
        let stop = match method {
            Method::Cancel => Wish::Stop(format!("cn-{}", self.call_id)),
            _ => Wish::Stop(format!("rq-{}", branch_of(response))),
        };
        if *method != Method::Invite {
            let mut wishes = if status >= 200 { vec![stop] } else { Vec::new() };
            if *method == Method::Cancel {
                // §9.1: who hears no final answer for 64·T1 after CANCEL considers it cancelled.
                wishes
                    .push(Wish::After(Duration::from_secs(32), format!("lapse {}", self.call_id)));
            }
            return wishes;
        }
        let first = cseq == self.first;
        match status {
            100..=199 => {
                let wanted = first && self.wants_cancel;
                self.provisional |= first;
                self.wants_cancel &= !first;
                let mut wishes = vec![stop];
                if wanted {
                    wishes.extend(self.gives_up());
                }
                wishes
            }
            200..=299 => self.accepted(response, first, cseq, stop),
            _ if first => {
                self.stage = CallerStage::Over;
                let ack = self.simple(&Method::Ack, Some(response));
                vec![stop, Wish::Stop(format!("cn-{}", self.call_id)), Wish::Send(ack)]
            }
            // The ACK of a failure has its INVITE's branch.
            _ => {
                vec![stop, Wish::Send(self.branched(&branch_of(response), &Method::Ack, cseq, ""))]
            }
        }
    }

    fn accepted(&mut self, response: &Message, first: bool, cseq: u32, stop: Wish) -> Wishes {
        let mut wishes = vec![stop, Wish::Stop(format!("cn-{}", self.call_id))];
        if first && self.ok.is_none() {
            self.ok = Some(response.clone());
            self.stage = CallerStage::Talking;
            let id = &self.call_id;
            wishes.push(Wish::After(self.talk / 2, format!("hold {id}")));
            wishes.push(Wish::After(self.talk, format!("patience {id}")));
        }
        if self.acknowledges || !first {
            let body = if first && self.invite.body().is_empty() { ANSWER } else { "" };
            let (_, bytes) = self.in_dialog(&Method::Ack, cseq, body);
            wishes.push(Wish::Send(bytes));
        }
        wishes
    }

    pub fn hears_request(&mut self, request: &Message) -> Wishes {
        let talks = self.stage == CallerStage::Talking;
        if *request.method() == Method::Ack {
            return vec![Wish::Stop(format!("ok-{}-{}", self.at, self.call_id))];
        }
        let name = name_of(request);
        if let Some(bytes) = self.answers.get(&name) {
            return vec![Wish::Send(bytes.clone())];
        }
        let status = if self.ok.is_some() && talks { 200 } else { 481 };
        if *request.method() == Method::Bye {
            self.stage = CallerStage::Over;
        }
        let bytes = Builder::reply(request, status, None).finish();
        self.answers.insert(name, bytes.clone());
        vec![Wish::Send(bytes)]
    }
}
