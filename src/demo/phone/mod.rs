//! A simulated softphone: registers by digest, rings, answers as its owner is minded, and hangs up.
//!
//! ```text
//!  INVITE ─► Ringing ─answer─► Accepted ─ACK─► Up ─BYE─► gone
//!               │ refuse / CANCEL (487)
//!               └─► Refused ─ACK─► gone
//! ```
//! It speaks with the server over its own UDP socket like any other phone. Knows `sip` and nothing of
//! the server's rooms. One task owns each phone; [`Phone`] is the hand that presses its buttons.

mod leg;
mod line;
mod registration;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::wire::{Endpoint, Repeat};
use crate::sip::{Builder, Header, Message, Method};
use leg::{Leg, LegState};
use line::Dialling;
use registration::Registration;

/// Nothing is due: look again then.
const IDLE: Duration = Duration::from_secs(3_600);
/// What a phone understands.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, UPDATE";

/// How the owner treats a ringing phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it after so long.
    Answer {
        /// From the first ring.
        after: Duration,
        /// Hangs up after so long; `None` leaves that to the caller.
        hang_up: Option<Duration>,
    },
    /// Is not there.
    RingForEver,
    /// The phone says 486 at once.
    Busy,
    /// Presses "decline" after so long: 603.
    Decline {
        /// From the first ring.
        after: Duration,
    },
}

/// What a phone's owner sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It rings.
    Rings {
        /// User part of the From: the caller's number.
        from: String,
        /// What the display says.
        display: String,
    },
    /// A text came.
    Told {
        /// What it says.
        text: String,
    },
}

/// Whose phone it is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The person, as `s=` says it.
    pub person: String,
    /// User part of the address of record.
    pub user: String,
    /// The password.
    pub password: String,
    /// Host part of the address of record.
    pub domain: String,
}

/// The buttons of a phone. Dropping it switches the phone off.
#[derive(Clone, Debug)]
pub struct Phone {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Manner(Manner),
    Register(bool, oneshot::Sender<bool>),
    Dial(String, oneshot::Sender<u16>),
}

impl Phone {
    /// Switches a phone on, not registered yet. `notes` hears what its owner sees. Errors: no socket.
    pub async fn open(
        owner: Owner,
        server: SocketAddr,
        notes: mpsc::UnboundedSender<(String, Note)>,
    ) -> std::io::Result<Self> {
        let end = Endpoint::open(server).await?;
        let (orders, taken) = mpsc::unbounded_channel();
        let registration = Registration::new(end.token());
        let device = Device {
            owner,
            end,
            manner: Manner::RingForEver,
            registration,
            legs: Vec::new(),
            dialling: None,
            byes: Vec::new(),
            notes,
        };
        tokio::spawn(device.run(taken));
        Ok(Self { orders })
    }

    /// From now on.
    pub fn manner(&self, manner: Manner) {
        // A phone whose socket broke is off.
        let _ = self.orders.send(Order::Manner(manner));
    }

    /// Registers, or takes the registration back; says whether the server agreed.
    pub async fn register(&self, wanted: bool) -> bool {
        let (done, heard) = oneshot::channel();
        let _ = self.orders.send(Order::Register(wanted, done));
        heard.await.unwrap_or(false)
    }

    /// Dials; the final status, 408 if there is none.
    pub async fn dial(&self, code: &str) -> u16 {
        let (done, heard) = oneshot::channel();
        let _ = self.orders.send(Order::Dial(code.to_owned(), done));
        heard.await.unwrap_or(408)
    }
}

struct Device {
    owner: Owner,
    end: Endpoint,
    manner: Manner,
    registration: Registration,
    legs: Vec<Leg>,
    dialling: Option<Dialling>,
    /// BYEs of ours that nobody has answered yet, by Call-ID.
    byes: Vec<(String, Repeat)>,
    notes: mpsc::UnboundedSender<(String, Note)>,
}

impl Device {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let due = self.due();
            let next = async {
                tokio::select! {
                    order = orders.recv() => order.map(Next::Order),
                    message = self.end.receive() => message.ok().map(Next::Message),
                }
            };
            match timeout_at(due, next).await {
                Ok(Some(Next::Order(order))) => self.obey(order),
                Ok(Some(Next::Message(message))) if message.is_request() => self.request(&message),
                Ok(Some(Next::Message(message))) => self.response(&message),
                Ok(None) => return,
                Err(_) => {}
            }
            self.act(Instant::now());
        }
    }

    fn due(&self) -> Instant {
        let legs = self.legs.iter().filter_map(Leg::due);
        let byes = self.byes.iter().map(|(_, repeat)| repeat.due());
        let dialling = self.dialling.iter().filter_map(Dialling::due);
        let all = legs.chain(byes).chain(dialling).chain(self.registration.due());
        all.min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Manner(manner) => self.manner = manner,
            Order::Register(wanted, done) => self.want_registration(wanted, done),
            Order::Dial(code, done) => self.dial(&code, done),
        }
    }

    fn request(&mut self, request: &Message) {
        match request.method() {
            Method::Invite => self.invited(request),
            Method::Ack => self.acked(request),
            Method::Cancel => self.cancelled(request),
            Method::Bye => self.bye(request),
            Method::Message => {
                let text = String::from_utf8_lossy(&request.body()).into_owned();
                self.note(Note::Told { text });
                self.reply(request, 200);
            }
            Method::Options | Method::Update if request.to_tag().is_some() => {
                let known = self.leg(request).is_some();
                self.reply(request, if known { 200 } else { 481 });
            }
            Method::Options => self.reply(request, 200),
            _ => self.reply(request, 405),
        }
    }

    fn response(&mut self, response: &Message) {
        match response.method() {
            Method::Register => self.registered(response),
            Method::Invite => self.dialled(response),
            Method::Bye if response.status() >= 200 => {
                self.byes.retain(|(call, _)| call != response.call_id());
            }
            _ => {}
        }
    }

    fn act(&mut self, now: Instant) {
        self.act_registration(now);
        self.act_dialling(now);
        self.act_legs(now);
        for (_, repeat) in &mut self.byes {
            if let Some(bytes) = repeat.again(now) {
                self.end.send(&bytes);
            }
        }
        self.byes.retain(|(_, repeat)| !repeat.is_over(now));
    }

    fn bye(&mut self, request: &Message) {
        let dialled = self.dialling.as_ref().is_some_and(|d| d.is(request));
        let Some(index) = self.leg(request) else {
            return self.reply(request, if dialled { 200 } else { 481 });
        };
        self.legs.remove(index);
        self.reply(request, 200);
    }

    fn leg(&self, message: &Message) -> Option<usize> {
        self.legs.iter().position(|leg| leg.is(message) && leg.state != LegState::Refused)
    }

    fn reply(&self, request: &Message, status: u16) {
        let tag = request.to_tag().map_or_else(|| self.end.token(), str::to_owned);
        let reply = Builder::reply(request, status, Some(&tag)).header(Header::Allow, ALLOW);
        self.end.send(&reply.finish());
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.owner.user, self.end.local())
    }

    fn aor(&self) -> String {
        format!("sip:{}@{}", self.owner.user, self.owner.domain)
    }

    fn note(&self, note: Note) {
        // Whoever watched may have gone.
        let _ = self.notes.send((self.owner.person.clone(), note));
    }
}

enum Next {
    Order(Order),
    Message(Message),
}
