//! One call at a phone: RFC 3261 §13.3 and §15.1.2 as a phone sees them.

use bytes::Bytes;
use tokio::time::Instant;

use super::super::wire::{Repeat, direction_for, session};
use super::{ALLOW, Device, Manner, Note};
use crate::sip::sdp::Direction;
use crate::sip::{Builder, Header, Message, Method};

/// Where a call stands at the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// 180 was said.
    Ringing,
    /// 200 was said; the ACK is not there yet.
    Accepted,
    /// Talking.
    Up,
    /// A refusal was said; the ACK is not there yet.
    Refused,
}

/// A call at the phone.
#[derive(Debug)]
pub struct Leg {
    /// The INVITE that is being answered, or was last.
    invite: Message,
    tag: String,
    /// Where it stands.
    pub state: LegState,
    last: Bytes,
    repeat: Option<Repeat>,
    /// When the owner does something, and what.
    deed: Option<(Instant, Deed)>,
    sequence: u32,
    version: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Answer,
    Decline,
    HangUp,
}

impl Leg {
    /// `message` belongs to it.
    pub fn is(&self, message: &Message) -> bool {
        self.invite.call_id() == message.call_id() && self.invite.from_tag() == message.from_tag()
    }

    /// When something is to be done.
    pub fn due(&self) -> Option<Instant> {
        let repeat = self.repeat.as_ref().map(Repeat::due);
        self.deed.map(|(at, _)| at).into_iter().chain(repeat).min()
    }
}

impl Device {
    /// §13.3.1, §14.2: a new call, a call's new description, or the same INVITE once more.
    pub(super) fn invited(&mut self, request: &Message) {
        let Some(index) = self.legs.iter().position(|leg| leg.is(request)) else {
            return match request.to_tag() {
                Some(_) => self.reply(request, 481),
                None => self.ring(request),
            };
        };
        let again = self.legs[index].invite.cseq() == request.cseq();
        match self.legs[index].state {
            _ if again => self.end.send(&self.legs[index].last),
            LegState::Up => {
                self.legs[index].invite = request.clone();
                self.accept(index, Instant::now());
            }
            LegState::Ringing | LegState::Accepted | LegState::Refused => self.reply(request, 491),
        }
    }

    fn ring(&mut self, request: &Message) {
        let now = Instant::now();
        let from = request.from();
        let user = from.as_ref().and_then(|f| f.parsed_uri().ok());
        let user = user.map(|u| u.user_decoded().into_owned()).unwrap_or_default();
        let display = from.map(|f| f.display_decoded().into_owned()).unwrap_or_default();
        self.note(Note::Rings { from: user, display });
        let tag = self.end.token();
        let leg = Leg {
            invite: request.clone(),
            tag,
            state: LegState::Ringing,
            last: Bytes::new(),
            repeat: None,
            deed: match self.manner {
                Manner::Answer { after, .. } => Some((now + after, Deed::Answer)),
                Manner::Decline { after } => Some((now + after, Deed::Decline)),
                Manner::RingForEver | Manner::Busy => None,
            },
            sequence: 0,
            version: 0,
        };
        self.legs.push(leg);
        let index = self.legs.len() - 1;
        match self.manner {
            Manner::Busy => self.refuse(index, 486, now),
            _ => self.say(index, 180),
        }
    }

    fn say(&mut self, index: usize, status: u16) {
        let contact = self.contact();
        let leg = &mut self.legs[index];
        leg.last = Builder::reply(&leg.invite, status, Some(&leg.tag))
            .header(Header::Contact, contact)
            .header(Header::Allow, ALLOW)
            .finish();
        self.end.send(&leg.last);
    }

    fn accept(&mut self, index: usize, now: Instant) {
        let (contact, at, owner) = (self.contact(), self.end.local(), &self.owner.person);
        let leg = &mut self.legs[index];
        leg.version += 1;
        let offer = leg.invite.body();
        let direction = if offer.is_empty() { Direction::SendRecv } else { direction_for(&offer) };
        leg.last = Builder::reply(&leg.invite, 200, Some(&leg.tag))
            .copy(&leg.invite, Header::RecordRoute)
            .header(Header::Contact, contact)
            .header(Header::Allow, ALLOW)
            .body("application/sdp", &session(owner, at, leg.version, direction))
            .finish();
        leg.state = LegState::Accepted;
        leg.repeat = Some(Repeat::other(leg.last.clone(), now));
        self.end.send(&leg.last);
    }

    fn refuse(&mut self, index: usize, status: u16, now: Instant) {
        self.say(index, status);
        let leg = &mut self.legs[index];
        leg.state = LegState::Refused;
        leg.deed = None;
        leg.repeat = Some(Repeat::other(leg.last.clone(), now));
    }

    pub(super) fn acked(&mut self, request: &Message) {
        let Some(index) = self.legs.iter().position(|leg| leg.is(request)) else { return };
        let leg = &mut self.legs[index];
        leg.repeat = None;
        match leg.state {
            LegState::Accepted => {
                leg.state = LegState::Up;
                if let (Manner::Answer { hang_up: Some(after), .. }, 1) = (self.manner, leg.version)
                {
                    leg.deed = Some((Instant::now() + after, Deed::HangUp));
                }
            }
            LegState::Refused => {
                self.legs.remove(index);
            }
            LegState::Ringing | LegState::Up => {}
        }
    }

    /// §9.2: CANCEL has its own 200; the INVITE gets 487 unless it has its answer.
    pub(super) fn cancelled(&mut self, request: &Message) {
        let Some(index) = self.legs.iter().position(|leg| leg.is(request)) else {
            return self.reply(request, 481);
        };
        let tag = self.legs[index].tag.clone();
        self.end.send(&Builder::reply(request, 200, Some(&tag)).finish());
        if self.legs[index].state == LegState::Ringing {
            self.refuse(index, 487, Instant::now());
        }
    }

    /// What the owner does, and what must be said again.
    pub(super) fn act_legs(&mut self, now: Instant) {
        for index in (0..self.legs.len()).rev() {
            let leg = &mut self.legs[index];
            if let Some(repeat) = &mut leg.repeat {
                if repeat.is_over(now) {
                    self.legs.remove(index);
                    continue;
                }
                if let Some(bytes) = repeat.again(now) {
                    self.end.send(&bytes);
                }
            }
            let Some((_, deed)) = leg.deed.take_if(|(at, _)| *at <= now) else { continue };
            match deed {
                Deed::Answer if leg.state == LegState::Ringing => self.accept(index, now),
                Deed::Decline if leg.state == LegState::Ringing => self.refuse(index, 603, now),
                Deed::HangUp => self.hang_up(index, now),
                Deed::Answer | Deed::Decline => {}
            }
        }
    }

    fn hang_up(&mut self, index: usize, now: Instant) {
        let mut leg = self.legs.remove(index);
        leg.sequence += 1;
        let target = leg.invite.contacts().next().map_or("", |c| c.uri).to_owned();
        let mut bye = Builder::request(&Method::Bye, &target)
            .header(Header::Via, self.end.via(&self.end.token()));
        for route in leg.invite.values(Header::RecordRoute) {
            bye = bye.header(Header::Route, route);
        }
        let to = leg.invite.header(Header::To).unwrap_or_default();
        let bytes = bye
            .header(Header::MaxForwards, 70)
            .header(Header::From, format!("{to};tag={}", leg.tag))
            .header(Header::To, leg.invite.header(Header::From).unwrap_or_default())
            .copy(&leg.invite, Header::CallId)
            .header(Header::CSeq, format!("{} BYE", leg.sequence))
            .finish();
        self.end.send(&bytes);
        self.byes.push((leg.invite.call_id().to_owned(), Repeat::other(bytes, now)));
    }
}
