//! The simulated softphones of all operators, behind one socket: each registers with digest, rings,
//! answers, and hangs up if told to.

use std::collections::HashMap;
use std::io::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use telefonist::sip::digest::{Asked, Challenge, Login};
use telefonist::sip::{Builder, Header, Message, Method};

use super::company::{DOMAIN, client_of, operator, password};
use super::party::{Later, Line, Party, WAIT_MAX, gap};
use super::trunk::Starts;

/// Nobody answers any more: 64·T1.
const REPEATS_MAX: u32 = 10;
/// Challenges that a phone answers before it gives up.
const CHALLENGES_MAX: u32 = 6;
/// A message of a registration is sent so often.
const TRIES_MAX: u32 = 100;
/// Repetitions are looked for this often.
const REPEAT_LOOK: Duration = Duration::from_millis(50);
const SDP: &str = "v=0\r\no=phone 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n\
                   m=audio 49180 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
                   a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    HangUp,
    Answer(u32),
    Bye(u32),
}

struct Leg {
    agent: usize,
    /// The 200, until the ACK comes.
    answer: Option<Bytes>,
    /// Our BYE: built when the call is answered, sent when the owner hangs up.
    bye: Option<Bytes>,
    /// The BYE is out and has no answer yet.
    leaving: bool,
}

/// See the module.
pub struct Phones {
    agents: usize,
    starts: Arc<Starts>,
    /// The agent hangs up so long after the ACK; `None`: the caller does.
    talk: Option<Duration>,
    legs: Vec<Leg>,
    by_call: HashMap<String, u32>,
    /// When the agent hung up, until the next INVITE.
    freed: Vec<Option<Instant>>,
    later: Later<Deed>,
    /// From the caller's INVITE to the first phone's.
    pub rings: Vec<Duration>,
    /// From an agent's BYE to the next INVITE at that phone.
    pub waits: Vec<Duration>,
    /// Requests that came once more, and answers that we had to repeat.
    pub repeated: u32,
}

impl Phones {
    /// Nobody is registered.
    pub fn new(agents: usize, starts: Arc<Starts>) -> Self {
        Self {
            agents,
            starts,
            talk: None,
            legs: Vec::new(),
            by_call: HashMap::new(),
            freed: vec![None; agents],
            later: Later::default(),
            rings: Vec::new(),
            waits: Vec::new(),
            repeated: 0,
        }
    }

    /// A new measurement.
    pub fn begin(&mut self, talk: Option<Duration>) {
        self.talk = talk;
        self.repeated = 0;
        self.rings.clear();
        self.waits.clear();
        self.freed.fill(None);
    }

    /// Registers everybody, one after the other. Errors: somebody is refused.
    pub fn register(&self, line: &Line) -> Result<()> {
        (0..self.agents).try_for_each(|agent| {
            let mut answer = ask(line, agent, 1, None)?;
            // A nonce may be stale already: the answer brings another.
            for cseq in 2..CHALLENGES_MAX {
                if answer.status() != 401 {
                    break;
                }
                answer = ask(line, agent, cseq, Some(&answer))?;
            }
            match answer.status() {
                200 => Ok(()),
                status => Err(Error::other(format!("{}: REGISTER got {status}", operator(agent)))),
            }
        })
    }

    fn invited(&mut self, line: &Line, invite: &Message, now: Instant) {
        if let Some(&leg) = self.by_call.get(invite.call_id()) {
            self.repeated += 1;
            self.legs[leg as usize].answer.iter().for_each(|answer| line.send(answer));
            return;
        }
        let user = invite.uri().strip_prefix("sip:op").and_then(|rest| rest.split('@').next());
        let agent = user.and_then(|user| user.parse::<usize>().ok());
        let Some(agent) = agent.filter(|agent| *agent < self.agents) else {
            return line.send(&Builder::reply(invite, 404, Some("none")).finish());
        };
        let caller = invite.from().and_then(|from| client_of(user_of(from.uri)));
        self.rings.extend(caller.and_then(|client| self.starts.since(client, now)));
        self.waits.extend(self.freed[agent].take().map(|at| now.saturating_duration_since(at)));
        let leg = self.legs.len() as u32;
        let tag = format!("p{leg}");
        let contact = format!("<sip:{}@{}>", operator(agent), line.local);
        let reply =
            |status| Builder::reply(invite, status, Some(&tag)).header(Header::Contact, &contact);
        line.send(&reply(180).finish());
        let answer = reply(200).body("application/sdp", SDP.as_bytes()).finish();
        line.send(&answer);
        let bye = self.talk.and_then(|_| bye(line, invite, &tag));
        self.by_call.insert(invite.call_id().to_owned(), leg);
        self.legs.push(Leg { agent, answer: Some(answer), bye, leaving: false });
        self.later.put(now + gap(0, false), leg, Deed::Answer(0));
    }

    fn acknowledged(&mut self, message: &Message, now: Instant) {
        let Some(&leg) = self.by_call.get(message.call_id()) else { return };
        let first = self.legs[leg as usize].answer.take().is_some();
        if let Some(talk) = self.talk.filter(|_| first) {
            self.later.put(now + scattered(talk, leg), leg, Deed::HangUp);
        }
    }

    /// A BYE, or the answer to ours.
    fn ended(&mut self, call_id: &str) {
        if let Some(leg) = self.by_call.remove(call_id) {
            let leg = &mut self.legs[leg as usize];
            (leg.answer, leg.bye, leg.leaving) = (None, None, false);
        }
    }

    fn hang_up(&mut self, line: &Line, number: u32, now: Instant) {
        let leg = &mut self.legs[number as usize];
        let Some(bye) = &leg.bye else { return };
        leg.leaving = true;
        self.freed[leg.agent] = Some(Instant::now());
        line.send(bye);
        self.later.put(now + gap(0, false), number, Deed::Bye(0));
    }

    fn repeat(&mut self, line: &Line, number: u32, deed: Deed, now: Instant) {
        let leg = &self.legs[number as usize];
        let (bytes, times) = match deed {
            Deed::Answer(times) => (leg.answer.as_ref(), times),
            Deed::Bye(times) => (leg.bye.as_ref().filter(|_| leg.leaving), times),
            Deed::HangUp => (None, 0),
        };
        let Some(bytes) = bytes.filter(|_| times < REPEATS_MAX) else { return };
        line.send(bytes);
        self.repeated += 1;
        let again = match deed {
            Deed::Answer(times) => Deed::Answer(times + 1),
            _ => Deed::Bye(times + 1),
        };
        self.later.put(now + gap(times + 1, false), number, again);
    }
}

impl Party for Phones {
    fn hear(&mut self, line: &Line, message: &Message, now: Instant) {
        if !message.is_request() {
            return self.ended(message.call_id());
        }
        match message.method() {
            Method::Invite => self.invited(line, message, now),
            Method::Ack => self.acknowledged(message, now),
            Method::Bye => {
                line.send(&Builder::reply(message, 200, None).finish());
                self.ended(message.call_id());
            }
            _ => line.send(&Builder::reply(message, 200, Some("p")).finish()),
        }
    }

    fn act(&mut self, line: &Line, now: Instant) -> Instant {
        while let Some((leg, deed)) = self.later.take(now) {
            match deed {
                Deed::HangUp => self.hang_up(line, leg, now),
                Deed::Answer(_) | Deed::Bye(_) => self.repeat(line, leg, deed, now),
            }
        }
        let rest = if self.talk.is_some() { WAIT_MAX } else { REPEAT_LOOK };
        self.later.next().map_or(now + rest, |due| due.clamp(now + WAIT_MAX, now + rest))
    }
}

/// Half to one and a half of it, evenly: people do not all hang up at once.
fn scattered(talk: Duration, leg: u32) -> Duration {
    let chance = leg.wrapping_mul(0x9e37_79b9);
    talk / 2 + talk.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

fn user_of(uri: &str) -> &str {
    let user = uri.strip_prefix("sip:").unwrap_or(uri);
    user.split('@').next().unwrap_or(user)
}

/// The phone's BYE for a call that came with `invite`.
fn bye(line: &Line, invite: &Message, tag: &str) -> Option<Bytes> {
    let target = invite.contacts().next()?.uri;
    let (local, to) = (line.local, invite.header(Header::To)?);
    Some(
        Builder::request(&Method::Bye, target)
            .header(Header::Via, format!("SIP/2.0/UDP {local};branch=z9hG4bKb{tag};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format!("{to};tag={tag}"))
            .header(Header::To, invite.header(Header::From)?)
            .copy(invite, Header::CallId)
            .header(Header::CSeq, "1 BYE")
            .finish(),
    )
}

/// One REGISTER with its answer.
fn ask(line: &Line, agent: usize, cseq: u32, challenged: Option<&Message>) -> Result<Message> {
    let (user, local) = (operator(agent), line.local);
    let (aor, uri) = (format!("sip:{user}@{DOMAIN}"), format!("sip:{DOMAIN}"));
    let mut request = Builder::request(&Method::Register, &uri)
        .header(Header::Via, format!("SIP/2.0/UDP {local};branch=z9hG4bKr{agent}-{cseq};rport"))
        .header(Header::MaxForwards, 70)
        .header(Header::From, format!("<{aor}>;tag={user}"))
        .header(Header::To, format!("<{aor}>"))
        .header(Header::CallId, format!("register-{agent}@bench"))
        .header(Header::CSeq, format!("{cseq} REGISTER"))
        .header(Header::Contact, format!("<sip:{user}@{local}>;expires=3600"));
    if let Some(challenged) = challenged {
        let asked = challenged.lines(Header::WwwAuthenticate).find_map(Challenge::parse);
        let asked = asked.ok_or_else(|| Error::other(format!("{user}: no challenge")))?;
        let login = Login { user: &user, password: &password(agent) };
        let method = &Method::Register;
        let question = Asked { method, uri: &uri, body: &[], cnonce: "bench", count: 1 };
        request = request.header(Header::Authorization, asked.answer(&login, &question));
    }
    let bytes = request.finish();
    let mut buffer = vec![0; 65_535];
    for _ in 0..TRIES_MAX {
        line.send(&bytes);
        if let Some((answer, _)) = line.receive(&mut buffer)?
            && answer.call_id().starts_with(&format!("register-{agent}@"))
            && answer.cseq().is_some_and(|(number, _)| number == cseq)
        {
            return Ok(answer);
        }
    }
    Err(Error::other(format!("{user}: no answer to REGISTER")))
}
