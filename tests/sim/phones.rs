//! Phones, and the trunk's side of calls that go out. Each speaks SIP by itself, with its own
//! retransmissions, and keeps to RFC 3261 except where its plan says otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use telefonist::domain::{Moment, Transport};
use telefonist::sip::{Builder, Header, Message, Method};

use super::callers::{Wish, Wishes, branch_of, name_of};
use super::company::{ANSWER, OFFER};
use super::options::{Fault, Faults, Rng};

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
    /// Two answers, as of two phones behind one address.
    Twice {
        after_ms: u64,
    },
    /// Answers although CANCEL came.
    AnswerCancelled,
    Silent,
    TryingOnly,
}

impl Plan {
    pub fn draw(rng: &mut Rng, faults: &Faults) -> Plan {
        let after_ms = rng.below(25_000);
        let statuses = [486, 603, 480, 404, 488, 503, 302, 500, 600, 408, 410, 403];
        let (status, rings, die) = (*rng.one(&statuses), rng.chance(50), rng.below(20));
        let has = |fault: Fault| faults.contains(&fault);
        match die {
            10..=13 if has(Fault::Refuse) => Plan::Refuse { after_ms: after_ms / 5, status, rings },
            14..=15 if has(Fault::Silent) => Plan::RingFor,
            16 if has(Fault::Late) => Plan::AnswerCancelled,
            17 if has(Fault::Twice) => Plan::Twice { after_ms: after_ms / 5 },
            18 if has(Fault::Silent) => Plan::Silent,
            19 if has(Fault::Silent) => Plan::TryingOnly,
            _ if faults.is_empty() => Plan::Answer { after_ms: 500 + after_ms / 10 },
            _ => Plan::Answer { after_ms: after_ms / 3 },
        }
    }

    /// When something comes of it by itself.
    fn after_ms(self) -> Option<u64> {
        match self {
            Plan::Answer { after_ms } | Plan::Twice { after_ms } => Some(after_ms),
            Plan::Refuse { after_ms, .. } => Some(after_ms),
            Plan::RingFor | Plan::AnswerCancelled | Plan::Silent | Plan::TryingOnly => None,
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
    /// Our tag, and that of a second answer that was not taken back yet.
    tag: String,
    pub twin: Option<String>,
    cseq: u32,
}

/// A phone, or the trunk's side of calls that go out.
#[derive(Debug)]
pub struct Phone {
    pub user: &'static str,
    pub at: SocketAddr,
    pub transport: Transport,
    pub alive: bool,
    /// An INVITE to the phone that it was before may still be sent again for 64·T1.
    pub since: Option<Moment>,
    pub calls: BTreeMap<String, Incoming>,
    answers: BTreeMap<(String, String), Bytes>,
    count: u32,
}

impl Phone {
    pub fn new(user: &'static str, at: SocketAddr, transport: Transport) -> Self {
        let (calls, answers) = (BTreeMap::new(), BTreeMap::new());
        Self { user, at, transport, alive: true, since: None, calls, answers, count: 0 }
    }

    /// As a Contact says it.
    pub fn contact(&self) -> String {
        match self.transport {
            Transport::Udp => format!("<sip:p@{}>", self.at),
            _ => format!("<sip:p@{};transport=tcp>", self.at),
        }
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

    /// Only a second answer of that call still stands.
    pub fn is_twin(&self, call_id: &str) -> bool {
        self.calls.get(call_id).is_some_and(|call| call.tag != self.tag())
    }

    /// Calls that this phone shows; one that it answers after CANCEL, or a second time, has a BYE on its way.
    pub fn engaged(&self) -> usize {
        let own = self.tag();
        let busy = |c: &&Incoming| match c.stage {
            Stage::Ringing => !c.cancelled && !matches!(c.plan, Plan::Silent | Plan::TryingOnly),
            Stage::Answered => !c.cancelled && c.tag == own,
            Stage::Over => false,
        };
        self.calls.values().filter(busy).count()
    }

    fn tag(&self) -> String {
        format!("ph{}", self.at.port())
    }

    fn reply(&mut self, request: &Message, status: u16, body: &str) -> Bytes {
        let tag = self.tag();
        self.reply_as(&tag, request, status, body)
    }

    fn reply_as(&mut self, tag: &str, request: &Message, status: u16, body: &str) -> Bytes {
        let tag = (status > 100).then_some(tag);
        let mut reply = Builder::reply(request, status, tag);
        if status < 300 && status > 100 {
            reply = reply.header(Header::Contact, self.contact());
        }
        let bytes = match body {
            "" => reply.finish(),
            body => reply.body("application/sdp", body.as_bytes()).finish(),
        };
        self.answers.insert(name_of(request), bytes.clone());
        bytes
    }

    /// A request came.
    pub fn hears(&mut self, request: &Message, rng: &mut Rng, faults: &Faults) -> Wishes {
        let call_id = request.call_id().to_owned();
        if *request.method() == Method::Ack {
            let tag = request.to_tag().unwrap_or_default();
            let stops = [self.accepted(&call_id, tag), format!("no-{}", branch_of(request))];
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
            Method::Bye => self.ends(request),
            Method::Message => vec![Wish::Send(self.reply(request, 200, ""))],
            method => {
                let knows = |c: &Incoming| c.stage == Stage::Answered;
                let known = self.calls.get(&call_id).is_some_and(knows);
                if !known && request.to_tag().is_some() {
                    return vec![Wish::Send(self.reply(request, 481, ""))];
                }
                let invite = *method == Method::Invite;
                let refuses = faults.contains(&Fault::Refuse) && invite && rng.chance(20);
                if refuses {
                    let bytes = self.reply(request, 488, "");
                    return vec![Wish::Insist(format!("no-{}", branch_of(request)), bytes)];
                }
                let body = if invite || *method == Method::Update { ANSWER } else { "" };
                let bytes = self.reply(request, 200, body);
                match invite {
                    true => vec![Wish::Insist(self.accepted(&call_id, &self.tag()), bytes)],
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
            tag: self.tag(),
            twin: None,
            cseq: 0,
        };
        self.calls.insert(call_id.clone(), known);
        let (rings, later) = match plan {
            Plan::Silent => return Vec::new(),
            Plan::TryingOnly => return vec![Wish::Send(self.reply(invite, 100, ""))],
            Plan::Refuse { rings, .. } => (rings, plan.after_ms()),
            _ => (true, plan.after_ms()),
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

    /// The name under which a 200 is repeated until its ACK.
    fn accepted(&self, call_id: &str, tag: &str) -> String {
        format!("ok-{}-{call_id}-{tag}", self.at)
    }

    fn ends(&mut self, request: &Message) -> Wishes {
        let call_id = request.call_id().to_owned();
        let tag = request.to_tag().unwrap_or_default().to_owned();
        let known = self.calls.get_mut(&call_id).filter(|c| c.stage == Stage::Answered);
        let status = match known {
            Some(call) if call.twin.as_ref() == Some(&tag) => {
                call.twin = None;
                200
            }
            Some(call) if call.tag == tag => {
                match call.twin.take() {
                    Some(twin) => call.tag = twin,
                    None => call.stage = Stage::Over,
                }
                200
            }
            _ => 481,
        };
        let stop = Wish::Stop(self.accepted(&call_id, &tag));
        vec![stop, Wish::Send(self.reply_as(&tag, request, status, ""))]
    }

    fn answer(&mut self, call_id: &str) -> Wishes {
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        call.stage = Stage::Answered;
        let twice = matches!(call.plan, Plan::Twice { .. }).then(|| format!("{}tw", call.tag));
        call.twin = twice.clone();
        let (invite, tag) = (call.invite.clone(), call.tag.clone());
        let body = if invite.body().is_empty() { OFFER } else { ANSWER };
        let tags = [Some(tag), twice].into_iter().flatten();
        let answers = tags.map(|tag| {
            let bytes = self.reply_as(&tag, &invite, 200, body);
            Wish::Insist(self.accepted(call_id, &tag), bytes)
        });
        answers.collect()
    }

    /// The time of a ringing call has come.
    pub fn due(&mut self, call_id: &str, rng: &mut Rng) -> Wishes {
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        match (call.stage, call.plan) {
            (Stage::Ringing, Plan::Answer { .. } | Plan::Twice { .. }) => {
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
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        let tag = call.tag.clone();
        match call.twin.take() {
            // The other answer's dialog, if there is one, is the server's to end.
            Some(twin) => call.tag = twin,
            None => call.stage = Stage::Over,
        }
        self.bye(call_id, &tag)
    }

    /// No ACK came for a 200 that was sent for 64·T1: the session ends (RFC 3261 §13.3.1.4).
    pub fn unheard(&mut self, name: &str) -> Wishes {
        let of = |call_id: &str, tag: &str| self.accepted(call_id, tag) == name;
        let mut answered = self.calls.iter().filter(|(_, c)| c.stage == Stage::Answered);
        let found = answered.find_map(|(id, call)| match &call.twin {
            Some(twin) if of(id, twin) => Some((id.clone(), Some(twin.clone()))),
            _ => of(id, &call.tag).then(|| (id.clone(), None)),
        });
        match found {
            Some((call_id, Some(twin))) => {
                self.calls.entry(call_id.clone()).and_modify(|call| call.twin = None);
                self.bye(&call_id, &twin)
            }
            Some((call_id, None)) => self.hang_up(&call_id),
            None => Vec::new(),
        }
    }

    fn bye(&mut self, call_id: &str, tag: &str) -> Wishes {
        let (at, via) = (self.at, self.transport);
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        call.cseq += 1;
        self.count += 1;
        let branch = format!("z9hG4bKph{}x{}", at.port(), self.count);
        let invite = &call.invite;
        let Some(contact) = invite.contacts().next().map(|c| c.uri.to_owned()) else {
            return Vec::new();
        };
        let to = invite.header(Header::To).unwrap_or_default().to_owned();
        let draft = Builder::request(&Method::Bye, &contact)
            .header(Header::Via, format_args!("SIP/2.0/{} {at};branch={branch};rport", token(via)))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("{to};tag={tag}"))
            .header(Header::To, invite.header(Header::From).unwrap_or_default())
            .header(Header::CallId, call_id)
            .header(Header::CSeq, format_args!("{} BYE", call.cseq));
        vec![
            Wish::Stop(format!("ok-{at}-{call_id}-{tag}")),
            Wish::Insist(format!("rq-{branch}"), draft.finish()),
        ]
    }
}

/// As a Via says it.
pub fn token(transport: Transport) -> &'static str {
    if transport == Transport::Udp { "UDP" } else { "TCP" }
}
