//! Keeping a phone registered: RFC 3261 §10.2 with digest (RFC 7616, SHA-256 first).

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::wire::{Repeat, credentials};
use super::{ALLOW, Device};
use crate::sip::digest::Login;
use crate::sip::{Builder, Header, Message, Method};

/// What the phone asks for.
const EXPIRES_S: u64 = 300;

/// The phone's registration.
#[derive(Debug)]
pub struct Registration {
    call_id: String,
    sequence: u32,
    wanted: bool,
    out: Option<Repeat>,
    /// Challenges answered for this request.
    proofs: u8,
    refresh_at: Option<Instant>,
    waiting: Vec<oneshot::Sender<bool>>,
}

impl Registration {
    /// Not registered.
    pub fn new(call_id: String) -> Self {
        Self {
            call_id,
            sequence: 0,
            wanted: false,
            out: None,
            proofs: 0,
            refresh_at: None,
            waiting: Vec::new(),
        }
    }

    /// When something is to be done.
    pub fn due(&self) -> Option<Instant> {
        self.out.as_ref().map(Repeat::due).into_iter().chain(self.refresh_at).min()
    }

    fn finish(&mut self, agreed: bool) {
        self.out = None;
        self.proofs = 0;
        for done in self.waiting.drain(..) {
            let _ = done.send(agreed);
        }
    }
}

impl Device {
    pub(super) fn want_registration(&mut self, wanted: bool, done: oneshot::Sender<bool>) {
        self.registration.finish(false);
        self.registration.wanted = wanted;
        self.registration.waiting.push(done);
        self.send_register(None);
    }

    fn send_register(&mut self, proof: Option<String>) {
        let expires = if self.registration.wanted { EXPIRES_S } else { 0 };
        let (aor, contact) = (self.aor(), self.contact());
        let registration = &mut self.registration;
        registration.sequence += 1;
        registration.refresh_at = None;
        registration.proofs += u8::from(proof.is_some());
        let mut request = Builder::request(&Method::Register, &self.registrar())
            .header(Header::Via, self.end.via(&self.end.token()))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format!("<{aor}>;tag={}", self.end.token()))
            .header(Header::To, format!("<{aor}>"))
            .header(Header::CallId, &self.registration.call_id)
            .header(Header::CSeq, format!("{} REGISTER", self.registration.sequence))
            .header(Header::Contact, format!("{contact};expires={expires}"))
            .header(Header::Allow, ALLOW);
        if let Some(proof) = proof {
            request = request.header(Header::Authorization, proof);
        }
        let bytes = request.finish();
        self.end.send(&bytes);
        self.registration.out = Some(Repeat::other(bytes, Instant::now()));
    }

    fn registrar(&self) -> String {
        format!("sip:{}", self.owner.domain)
    }

    pub(super) fn registered(&mut self, response: &Message) {
        let current = response.cseq().is_some_and(|(n, _)| n == self.registration.sequence);
        if !current || self.registration.out.is_none() || response.status() < 200 {
            return;
        }
        match response.status() {
            401 => {
                let login = Login { user: &self.owner.user, password: &self.owner.password };
                let (uri, cnonce) = (self.registrar(), self.end.token());
                let challenged = (Header::WwwAuthenticate, self.registration.proofs);
                let asked = (&Method::Register, uri.as_str(), cnonce.as_str());
                match credentials(response, challenged, &login, asked) {
                    Some(proof) => self.send_register(Some(proof)),
                    None => self.registration.finish(false),
                }
            }
            200..=299 => {
                if self.registration.wanted {
                    // Well before the end, whatever was granted (§10.2.4).
                    let granted = Duration::from_secs(self.granted(response));
                    self.registration.refresh_at = Some(Instant::now() + granted * 4 / 5);
                }
                self.registration.finish(true);
            }
            _ => self.registration.finish(false),
        }
    }

    /// The expiry of our own binding among all that the answer lists (§10.3 step 8), seconds.
    fn granted(&self, response: &Message) -> u64 {
        let ours = self.end.local();
        let is_ours = |uri: &str| uri.contains(&format!("@{ours}"));
        let own = response.contacts().find(|c| is_ours(c.uri));
        let of_contact = own.and_then(|c| c.param("expires")?.parse().ok());
        let of_all = || response.number(Header::Expires).map(u64::from);
        of_contact.or_else(of_all).unwrap_or(EXPIRES_S)
    }

    pub(super) fn act_registration(&mut self, now: Instant) {
        if self.registration.refresh_at.is_some_and(|at| at <= now) {
            return self.send_register(None);
        }
        let Some(out) = &mut self.registration.out else { return };
        if out.is_over(now) {
            self.registration.finish(false);
        } else if let Some(bytes) = out.again(now) {
            self.end.send(&bytes);
        }
    }
}
