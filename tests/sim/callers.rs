//! Who calls. A caller speaks SIP with retransmissions of its own, and keeps to RFC 3261 except where the
//! faults say otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use telefonist::sip::{Builder, Header, Message, Method};

use super::company::{ANSWER, DOMAIN, OFFER};
use super::options::Rng;

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

pub type Wishes = Vec<Wish>;

pub fn branch_of(message: &Message) -> String {
    let via = message.top_via();
    via.and_then(|v| v.branch().map(str::to_owned)).unwrap_or_default()
}

pub fn name_of(message: &Message) -> (String, String) {
    let method = message.cseq().map_or_else(String::new, |(_, m)| m.to_string());
    (branch_of(message), method)
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
    pub fn new(
        at: SocketAddr,
        (number, called): (&str, &str),
        count: u32,
        rng: &mut Rng,
        rude: bool,
    ) -> Self {
        let call_id = format!("sim{count}x{}", rng.below(1_000_000));
        let late = rng.chance(15);
        let draft = Builder::request(&Method::Invite, &format!("sip:{called}@{DOMAIN}"))
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch=z9hG4bKc{call_id};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("<sip:{number}@pbx>;tag=t{call_id}"))
            .header(Header::To, format_args!("<sip:{called}@{DOMAIN}>"))
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
            acknowledges: !(rng.chance(4) && rude),
            holds: rng.chance(30) && rude,
            first: 1,
            cseq: 1,
            talk: Duration::from_millis(1_000 + rng.below(60_000)),
        }
    }

    /// One of our people dials `number`.
    pub fn person(at: SocketAddr, user: &str, number: &str, count: u32, rng: &mut Rng) -> Self {
        let mut caller = Self::new(at, (user, number), count, rng, false);
        let text = String::from_utf8_lossy(caller.invite.raw()).into_owned();
        let text = text.replace(&format!("{user}@pbx"), &format!("{user}@{DOMAIN}"));
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
