//! A storm of right and wrong messages over one switch, drawn from seeds: nothing panics, and when it is
//! over nothing is left: no call, no transaction, no busy agent, no place of a trunk.

use std::time::Duration;

use bytes::Bytes;
use telefonist::sip::{Builder, Header, Message, Method};
use telefonist::switch::{Command, What};

use super::world::{ANSWER, DOMAIN, OFFER, TRUNK, World};
use super::{IDA, KAI, MIA, OLE, secs, world};

const STRANGER: &str = "198.51.100.66:5060";
const PEOPLE: [(&str, &str); 4] = [("mia", MIA), ("kai", KAI), ("ole", OLE), ("ida", IDA)];

/// What a damaged message gets in some place.
const BITS: [&str; 20] = [
    "\r\n",
    ";",
    ",",
    "\"",
    "<",
    ">",
    "%00",
    "%",
    "[::1]",
    "[",
    "4294967296",
    "-1",
    "sip:",
    "tel:+",
    "*",
    "=",
    "@",
    "\u{20ac}",
    ";tag=x",
    "\t ",
];

/// A generator of Lehmer's: the same storm for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        (self.0 >> 3) as usize % n
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// One seed's storm.
struct Storm {
    w: World,
    dice: Dice,
    /// What the trunk has sent and what it heard: what its next requests are made from.
    invites: Vec<Message>,
    answers: Vec<Message>,
    /// INVITEs that came to phones.
    offers: Vec<(&'static str, Message)>,
}

fn keep<T>(all: &mut Vec<T>, one: T) {
    if all.len() >= 24 {
        all.remove(0);
    }
    all.push(one);
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut w = world();
        w.key_client("+493023125001");
        let dice = Dice(seed * 7_919 + 1);
        let mut storm = Self { w, dice, invites: vec![], answers: vec![], offers: vec![] };
        PEOPLE.iter().for_each(|(user, at)| storm.w.register(user, at));
        storm
    }

    /// Sends it, in one case of three damaged, as far as the network room would let it through.
    fn send(&mut self, at: &str, bytes: Bytes) {
        let mut bytes = bytes.to_vec();
        if self.dice.below(3) == 0 {
            for _ in 0..=self.dice.below(3) {
                self.damage(&mut bytes);
            }
        }
        if let Ok(message) = Message::parse(Bytes::from(bytes))
            && message.judge().is_ok()
        {
            self.w.send(at, message.raw().clone());
        }
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.dice.below(bytes.len());
        match self.dice.below(6) {
            0 => bytes[at] ^= 1 << self.dice.below(7),
            1 => bytes.truncate(at.max(40)),
            2 => {
                let bit = self.dice.one(&BITS);
                bytes.splice(at..at, bit.bytes());
            }
            3 => {
                let until = (at + 1 + self.dice.below(12)).min(bytes.len());
                bytes.drain(at..until);
            }
            kind => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let mut lines: Vec<&str> = text.split("\r\n").collect();
                let line = self.dice.below(lines.len());
                if kind == 4 {
                    lines.insert(self.dice.below(lines.len()), lines[line]);
                } else if lines.len() > 2 {
                    lines.remove(line);
                }
                *bytes = lines.join("\r\n").into_bytes();
            }
        }
    }

    fn step(&mut self) {
        match self.dice.below(11) {
            0 | 1 => self.trunk_calls(),
            2 | 3 => self.trunk_goes_on(),
            4..=6 => self.phones_answer(),
            7 => self.phone_acts(),
            8 => self.stranger(),
            9 => self.everybody_is_back(),
            _ => {
                let spans = [1, 50, 400, 3_000, 9_000];
                let span = spans[self.dice.below(spans.len())];
                self.w.run(Duration::from_millis(span));
            }
        }
        self.trunk_hears();
    }

    fn trunk_calls(&mut self) {
        let number = self.dice.one(&["03023125001", "03023125777", "anonymous", "%2a11"]);
        let call_id = format!("storm-{}", self.dice.below(1 << 20));
        let branch = self.w.branch();
        let draft = Builder::request(&Method::Invite, &format!("sip:100@{DOMAIN}"))
            .header(Header::Via, format_args!("SIP/2.0/UDP {TRUNK};branch={branch};rport"))
            .header(Header::MaxForwards, self.dice.below(71))
            .header(Header::From, format_args!("<sip:{number}@pbx>;tag=t{call_id}"))
            .header(Header::To, format_args!("<sip:100@{DOMAIN}>"))
            .header(Header::CallId, call_id)
            .header(Header::CSeq, "1 INVITE")
            .header(Header::Contact, format_args!("<sip:{TRUNK}>"));
        let bytes = match self.dice.below(4) {
            0 => draft.finish(),
            _ => draft.body("application/sdp", OFFER.as_bytes()).finish(),
        };
        keep(&mut self.invites, Message::parse(bytes.clone()).expect("ours"));
        self.send(TRUNK, bytes);
    }

    fn trunk_hears(&mut self) {
        while let Some(heard) = self.w.take(TRUNK) {
            if heard.is_request() {
                let status = [200, 200, 481, 491, 500][self.dice.below(5)];
                let reply = Builder::reply(&heard, status, Some("trunk"));
                let reply = reply.header(Header::Contact, format_args!("<sip:{TRUNK}>"));
                let bytes = reply.body("application/sdp", OFFER.as_bytes()).finish();
                if *heard.method() != Method::Ack && self.dice.below(5) > 0 {
                    self.send(TRUNK, bytes);
                }
            } else {
                let accepted = heard.status() == 200 && *heard.method() == Method::Invite;
                if accepted && self.dice.below(4) > 0 {
                    self.w.in_dialog(&heard, Method::Ack, 1, "");
                }
                keep(&mut self.answers, heard);
            }
        }
    }

    /// Something about an INVITE that was sent, or within a dialog that it made.
    fn trunk_goes_on(&mut self) {
        let methods = [Method::Cancel, Method::Ack, Method::Bye, Method::Invite, Method::Update];
        let method = methods[self.dice.below(methods.len())].clone();
        if method == Method::Cancel || self.answers.is_empty() {
            let Some(place) = self.invites.len().checked_sub(1) else { return };
            let invite = self.invites[self.dice.below(place + 1)].clone();
            let draft = Builder::request(&Method::Cancel, invite.uri())
                .copy(&invite, Header::Via)
                .header(Header::MaxForwards, 70)
                .copy(&invite, Header::From)
                .copy(&invite, Header::To)
                .copy(&invite, Header::CallId)
                .header(Header::CSeq, "1 CANCEL");
            let again = self.dice.below(3) == 0;
            let bytes = if again { invite.raw().clone() } else { draft.finish() };
            return self.send(TRUNK, bytes);
        }
        let answer = self.answers[self.dice.below(self.answers.len())].clone();
        let target = answer.contacts().next().map_or("sip:192.0.2.1", |c| c.uri).to_owned();
        let branch = self.w.branch();
        let cseq = if method == Method::Ack { 1 } else { 1 + self.dice.below(9) };
        let draft = Builder::request(&method, &target)
            .header(Header::Via, format_args!("SIP/2.0/UDP {TRUNK};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .copy(&answer, Header::From)
            .copy(&answer, Header::To)
            .copy(&answer, Header::CallId)
            .header(Header::CSeq, format_args!("{cseq} {method}"))
            .header(Header::Contact, format_args!("<sip:{TRUNK}>"));
        let offers = matches!(method, Method::Invite | Method::Update) && self.dice.below(3) > 0;
        let bytes = match offers {
            true => draft.body("application/sdp", OFFER.as_bytes()).finish(),
            false => draft.finish(),
        };
        self.send(TRUNK, bytes);
    }

    fn phones_answer(&mut self) {
        for (_, at) in PEOPLE {
            while let Some(heard) = self.w.take(at) {
                if !heard.is_request() || *heard.method() == Method::Ack {
                    continue;
                }
                let statuses = match heard.method() {
                    Method::Invite => [100, 180, 183, 200, 200, 200, 486, 480, 603, 302],
                    _ => [200, 200, 200, 200, 200, 200, 481, 500, 405, 100],
                };
                if *heard.method() == Method::Invite {
                    keep(&mut self.offers, (at, heard.clone()));
                }
                for _ in 0..=self.dice.below(3) {
                    let status = statuses[self.dice.below(10)];
                    self.phone_says(at, &heard, status);
                }
            }
        }
    }

    fn phone_says(&mut self, at: &str, request: &Message, status: u16) {
        let tag = format!("tag-{}", at.replace([':', '.'], ""));
        let reply = Builder::reply(request, status, Some(&tag))
            .header(Header::Contact, format_args!("<sip:phone@{at}>"));
        let bytes = match status {
            183 | 200 => reply.body("application/sdp", ANSWER.as_bytes()).finish(),
            _ => reply.finish(),
        };
        self.send(at, bytes);
    }

    /// A phone answers late, hangs up, or puts on hold.
    fn phone_acts(&mut self) {
        if self.offers.is_empty() {
            return;
        }
        let (at, offered) = self.offers[self.dice.below(self.offers.len())].clone();
        if self.dice.below(3) == 0 {
            return self.phone_says(at, &offered, 200);
        }
        let branch = self.w.branch();
        let method =
            [Method::Bye, Method::Bye, Method::Invite, Method::Info][self.dice.below(4)].clone();
        let tag = format!("tag-{}", at.replace([':', '.'], ""));
        let (to, from) = (offered.header(Header::To), offered.header(Header::From));
        let draft = Builder::request(&method, "sip:192.0.2.1:5060")
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("{};tag={tag}", to.unwrap_or_default()))
            .header(Header::To, from.unwrap_or_default())
            .copy(&offered, Header::CallId)
            .header(Header::CSeq, format_args!("{} {method}", 1 + self.dice.below(9)))
            .header(Header::Contact, format_args!("<sip:phone@{at}>"));
        let bytes = match method {
            Method::Invite => draft.body("application/sdp", ANSWER.as_bytes()).finish(),
            _ => draft.finish(),
        };
        self.send(at, bytes);
    }

    fn everybody_is_back(&mut self) {
        for (user, at) in PEOPLE {
            let back = self.w.command(Command::Resume { person: user.into() });
            back.expect("they are known");
            let agent = self.w.directory.agent(&user.into()).expect("they are known");
            if self.w.board.presence(agent).is_gone() {
                // The phone's binding was dropped: too many of its answers were lost.
                while self.w.take(at).is_some() {}
                self.w.register(user, at);
            }
        }
    }

    /// Anything of anybody's, and answers that nobody asked for.
    fn stranger(&mut self) {
        let all = self.invites.iter().chain(&self.answers).chain(self.offers.iter().map(|o| &o.1));
        let all: Vec<Bytes> = all.map(|m| m.raw().clone()).collect();
        if !all.is_empty() {
            let one = all[self.dice.below(all.len())].clone();
            let at = self.dice.one(&[STRANGER, TRUNK, OLE]);
            self.send(at, one);
        }
    }

    fn ends_empty(&mut self, seed: u64) {
        // Nobody says anything any more: probes find that out, timers do the rest.
        for _ in 0..40 {
            self.w.run(secs(30));
        }
        assert!(self.w.switch.is_idle(), "seed {seed}: {} calls left", self.w.switch.calls());
        assert_eq!(self.w.trunk_calls(), 0, "seed {seed}: places of the trunk");
        for (user, at) in PEOPLE {
            // Its phone may have been lost; another one is there.
            while self.w.take(at).is_some() {}
            self.w.register(user, at);
            self.w.command(Command::Resume { person: user.into() }).expect("known");
            let agent = self.w.directory.agent(&user.into()).expect("known");
            let presence = self.w.board.presence(agent);
            assert!(presence.is_free(), "seed {seed}: {user} is {presence:?}");
        }
    }
}

#[test]
fn after_a_storm_nothing_is_left() {
    let mut answered = 0;
    for seed in 1..=5 {
        let mut storm = Storm::new(seed);
        for _ in 0..1_500 {
            storm.step();
        }
        storm.ends_empty(seed);
        answered += storm.w.events.iter().filter(|e| matches!(e, What::Answered { .. })).count();
    }
    assert!(answered >= 20, "a storm of nothing: {answered} calls answered");
}
