//! The simulated trunk: INVITE, ACK, BYE, at a rate or with so many callers at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use telefonist::sip::{Builder, Header, Message, Method};

use super::company::{DIALLED, caller};
use super::party::{Later, Line, Party, WAIT_MAX, gap};

/// Nobody answers any more: 64·T1.
const REPEATS_MAX: u32 = 6;
const SDP: &str = "v=0\r\no=pbx 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\n\
                   m=audio 49170 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                   a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

/// How callers come and go.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Calls that begin in each second; 0: a new one whenever one ends.
    pub rate: u32,
    /// Callers at once, with rate 0.
    pub callers: u32,
    /// Calls in all.
    pub calls: u32,
    /// The caller hangs up so long after the ACK; `None`: the agent does.
    pub talk: Option<Duration>,
}

/// Callers come at this rate until so many are there as are wanted at once.
const FIRST_PER_SECOND: u32 = 400;

/// When each client called last, by number: nanoseconds since `epoch`.
pub struct Starts {
    epoch: Instant,
    at: Vec<AtomicU64>,
}

impl Starts {
    /// Nobody has called.
    pub fn new(clients: usize) -> Arc<Self> {
        let at = (0..clients).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { epoch: Instant::now(), at })
    }

    fn set(&self, client: usize, now: Instant) {
        let ns = now.duration_since(self.epoch).as_nanos() as u64;
        // Only a time stamp: whoever reads it has had a message through the kernel since.
        self.at[client].store(ns, Ordering::Release);
    }

    /// How long ago the client called. `None`: never, or the first ring has been seen.
    pub fn since(&self, client: usize, now: Instant) -> Option<Duration> {
        let ns = self.at.get(client)?.swap(0, Ordering::AcqRel);
        let at = self.epoch + Duration::from_nanos(ns);
        (ns > 0).then(|| now.saturating_duration_since(at))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Inviting,
    Proceeding,
    Talking,
    Leaving,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    HangUp,
    Repeat(Stage, u32),
}

struct Call {
    stage: Stage,
    /// The value of To with its tag, and where requests go.
    remote: Option<(String, String)>,
}

/// What came of the calls.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Begun.
    pub begun: u32,
    /// Ended as they should: answered, then BYE with its 200.
    pub done: u32,
    /// Ended otherwise, by final status; 0: no answer at all.
    pub failed: BTreeMap<u16, u32>,
    /// Messages that we sent once more.
    pub repeated: u32,
    /// Answers that came once more.
    pub heard_again: u32,
    /// From the first INVITE to the last.
    pub span: Duration,
}

impl Tally {
    /// Calls that are over.
    pub fn over(&self) -> u32 {
        self.done + self.failed.values().sum::<u32>()
    }
}

/// See the module.
pub struct Trunk {
    manner: Manner,
    starts: Arc<Starts>,
    clients: u32,
    /// Makes Call-IDs unlike those of an earlier trunk.
    word: String,
    calls: Vec<Call>,
    later: Later<Deed>,
    began: Option<Instant>,
    /// What came of it.
    pub tally: Tally,
}

impl Trunk {
    /// Nobody has called yet.
    pub fn new(manner: Manner, starts: Arc<Starts>, word: String) -> Self {
        Self {
            manner,
            clients: starts.at.len() as u32,
            starts,
            word,
            calls: Vec::new(),
            later: Later::default(),
            began: None,
            tally: Tally::default(),
        }
    }

    /// All calls are over.
    pub fn is_over(&self) -> bool {
        self.tally.over() >= self.manner.calls
    }

    /// How many calls should have begun by now, and when the next should.
    fn wanted(&self, now: Instant) -> (u32, Option<Instant>) {
        let Manner { rate, callers, calls, .. } = self.manner;
        let Some(began) = self.began else { return (1.min(calls), None) };
        if rate == 0 {
            // The first come one after the other, not all at once.
            let come = now.duration_since(began).as_secs_f64() * f64::from(FIRST_PER_SECOND);
            let at_once = callers.min(come as u32 + 1);
            let next = (at_once < callers).then(|| now + Duration::from_millis(1));
            return ((self.tally.over() + at_once).min(calls), next);
        }
        let due = (now.duration_since(began).as_secs_f64() * f64::from(rate)) as u32 + 1;
        let next = began + Duration::from_secs_f64(f64::from(due) / f64::from(rate));
        (due.min(calls), (due < calls).then_some(next))
    }

    fn call(&mut self, line: &Line, now: Instant) {
        let number = self.calls.len() as u32;
        self.began.get_or_insert(now);
        self.calls.push(Call { stage: Stage::Inviting, remote: None });
        self.tally.begun += 1;
        self.tally.span = now.duration_since(self.began.unwrap_or(now));
        self.later.put(now + gap(0, true), number, Deed::Repeat(Stage::Inviting, 0));
        let bytes = self.invite(line, number);
        self.starts.set((number % self.clients) as usize, Instant::now());
        line.send(&bytes);
    }

    fn invite(&self, line: &Line, number: u32) -> Vec<u8> {
        let (local, server) = (line.local, line.server);
        let from = caller((number % self.clients) as usize);
        let (word, length) = (&self.word, SDP.len());
        format!(
            "INVITE sip:{DIALLED}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{word}i{number};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{from}@{local}>;tag={word}{number}\r\n\
             To: <sip:{DIALLED}@{server}>\r\n\
             Call-ID: {word}-{number}@bench\r\n\
             CSeq: 1 INVITE\r\n\
             Contact: <sip:pbx@{local}>\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n\
             P-Asserted-Identity: <sip:{from}@{local}>\r\n\
             User-Agent: bench\r\n\
             Content-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{SDP}"
        )
        .into_bytes()
    }

    /// ACK or BYE in the dialog.
    fn in_dialog(&self, line: &Line, number: u32, method: &str, cseq: u32) -> Option<Vec<u8>> {
        let (to, target) = self.calls[number as usize].remote.as_ref()?;
        let (local, word) = (line.local, &self.word);
        let from = caller((number % self.clients) as usize);
        let text = format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{word}{method}{number};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{from}@{local}>;tag={word}{number}\r\n\
             To: {to}\r\n\
             Call-ID: {word}-{number}@bench\r\n\
             CSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        Some(text.into_bytes())
    }

    fn hang_up(&mut self, line: &Line, number: u32, now: Instant) {
        self.calls[number as usize].stage = Stage::Leaving;
        if let Some(bye) = self.in_dialog(line, number, "BYE", 2) {
            line.send(&bye);
        }
        self.later.put(now + gap(0, false), number, Deed::Repeat(Stage::Leaving, 0));
    }

    fn repeat(&mut self, line: &Line, number: u32, (stage, times): (Stage, u32), now: Instant) {
        if self.calls[number as usize].stage != stage {
            return;
        }
        if times >= REPEATS_MAX {
            return self.end(number, Err(0));
        }
        self.tally.repeated += 1;
        let is_invite = stage == Stage::Inviting;
        let bytes = match is_invite {
            true => Some(self.invite(line, number)),
            false => self.in_dialog(line, number, "BYE", 2),
        };
        bytes.iter().for_each(|bytes| line.send(bytes));
        let at = now + gap(times + 1, is_invite);
        self.later.put(at, number, Deed::Repeat(stage, times + 1));
    }

    fn end(&mut self, number: u32, how: Result<(), u16>) {
        let call = &mut self.calls[number as usize];
        if call.stage == Stage::Over {
            return;
        }
        call.stage = Stage::Over;
        match how {
            Ok(()) => self.tally.done += 1,
            Err(status) => *self.tally.failed.entry(status).or_default() += 1,
        }
    }

    fn number_of(&self, message: &Message) -> Option<u32> {
        let rest = message.call_id().strip_prefix(self.word.as_str())?.strip_prefix('-')?;
        let number = rest.split('@').next()?.parse().ok()?;
        ((number as usize) < self.calls.len()).then_some(number)
    }

    fn answered(&mut self, line: &Line, number: u32, message: &Message, now: Instant) {
        let stage = self.calls[number as usize].stage;
        if stage >= Stage::Talking {
            self.tally.heard_again += 1;
        } else {
            let to = message.header(Header::To).unwrap_or_default().to_owned();
            let target = message.contacts().next().map(|c| c.uri.to_owned()).unwrap_or_default();
            let call = &mut self.calls[number as usize];
            call.remote = Some((to, target));
            call.stage = Stage::Talking;
        }
        if let Some(ack) = self.in_dialog(line, number, "ACK", 1) {
            line.send(&ack);
        }
        match self.manner.talk {
            Some(talk) if stage < Stage::Talking && talk.is_zero() => {
                self.hang_up(line, number, now);
            }
            Some(talk) if stage < Stage::Talking => {
                self.later.put(now + talk, number, Deed::HangUp)
            }
            _ => {}
        }
    }

    /// The ACK of a refusal: the INVITE's own transaction.
    fn refused(&mut self, line: &Line, number: u32, message: &Message) {
        let invite = Message::parse(self.invite(line, number).into());
        if let Ok(invite) = invite {
            let ack = Builder::request(&Method::Ack, invite.uri())
                .header(Header::Via, invite.header(Header::Via).unwrap_or_default())
                .header(Header::MaxForwards, 70)
                .copy(&invite, Header::From)
                .copy(message, Header::To)
                .copy(&invite, Header::CallId)
                .header(Header::CSeq, "1 ACK")
                .finish();
            line.send(&ack);
        }
        self.end(number, Err(message.status()));
    }
}

impl Party for Trunk {
    fn hear(&mut self, line: &Line, message: &Message, now: Instant) {
        let number = self.number_of(message);
        if message.is_request() {
            line.send(&Builder::reply(message, 200, None).finish());
            if let (Some(number), Method::Bye) = (number, message.method()) {
                self.end(number, Ok(()));
            }
            return;
        }
        let Some(number) = number else { return };
        let is_invite = message.cseq().is_some_and(|(_, method)| *method == Method::Invite);
        match (message.status(), is_invite) {
            (100..=199, true) => {
                let call = &mut self.calls[number as usize];
                call.stage = call.stage.max(Stage::Proceeding);
            }
            (100..=199, false) => {}
            (200..=299, true) => self.answered(line, number, message, now),
            (_, true) => self.refused(line, number, message),
            // The other side hung up at the same time: 481 is as good.
            (_, false) => self.end(number, Ok(())),
        }
    }

    fn act(&mut self, line: &Line, now: Instant) -> Instant {
        let (wanted, next) = self.wanted(now);
        while self.tally.begun < wanted {
            self.call(line, now);
        }
        while let Some((number, deed)) = self.later.take(now) {
            match deed {
                Deed::HangUp if self.calls[number as usize].stage == Stage::Talking => {
                    self.hang_up(line, number, now);
                }
                Deed::HangUp => {}
                Deed::Repeat(stage, times) => self.repeat(line, number, (stage, times), now),
            }
        }
        let due = next.into_iter().chain(self.later.next()).min();
        due.map_or(now + WAIT_MAX, |due| due.min(now + WAIT_MAX))
    }
}
