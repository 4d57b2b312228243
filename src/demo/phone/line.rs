//! The phone dials: a star code, answered without media and hung up by the server.

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::wire::{Repeat, ack_refusal, credentials, session};
use super::Device;
use crate::sip::digest::Login;
use crate::sip::sdp::Direction;
use crate::sip::{Builder, Header, Message, Method};

/// The one call that the owner makes.
#[derive(Debug)]
pub struct Dialling {
    uri: String,
    call_id: String,
    tag: String,
    sequence: u32,
    invite: Message,
    repeat: Option<Repeat>,
    proofs: u8,
    done: Option<oneshot::Sender<u16>>,
}

impl Dialling {
    /// When the INVITE is to be sent again.
    pub fn due(&self) -> Option<Instant> {
        self.repeat.as_ref().map(Repeat::due)
    }

    /// `message` belongs to it.
    pub fn is(&self, message: &Message) -> bool {
        self.call_id == message.call_id()
    }

    fn finish(&mut self, status: u16) {
        self.repeat = None;
        if let Some(done) = self.done.take() {
            let _ = done.send(status);
        }
    }
}

impl Device {
    pub(super) fn dial(&mut self, code: &str, done: oneshot::Sender<u16>) {
        let uri = format!("sip:{code}@{}", self.owner.domain);
        let (call_id, tag) = (self.end.token(), self.end.token());
        let Some((invite, bytes)) = self.invite(&uri, &call_id, &tag, 1, None) else { return };
        let repeat = Some(Repeat::invite(bytes, Instant::now()));
        let (proofs, done) = (0, Some(done));
        self.dialling =
            Some(Dialling { uri, call_id, tag, sequence: 1, invite, repeat, proofs, done });
    }

    fn invite(
        &self,
        uri: &str,
        call_id: &str,
        tag: &str,
        sequence: u32,
        proof: Option<String>,
    ) -> Option<(Message, Bytes)> {
        let body = session(&self.owner.person, self.end.local(), 1, Direction::SendRecv);
        let mut request = Builder::request(&Method::Invite, uri)
            .header(Header::Via, self.end.via(&self.end.token()))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format!("<{}>;tag={tag}", self.aor()))
            .header(Header::To, format!("<{uri}>"))
            .header(Header::CallId, call_id)
            .header(Header::CSeq, format!("{sequence} INVITE"))
            .header(Header::Contact, self.contact());
        if let Some(proof) = proof {
            request = request.header(Header::ProxyAuthorization, proof);
        }
        let bytes = request.body("application/sdp", &body).finish();
        self.end.send(&bytes);
        Some((Message::parse(bytes.clone()).ok()?, bytes))
    }

    pub(super) fn dialled(&mut self, response: &Message) {
        let Some(mut dialling) = self.dialling.take_if(|d| d.is(response)) else { return };
        if response.cseq().is_some_and(|(n, _)| n == dialling.sequence) {
            self.proceed(&mut dialling, response);
        }
        self.dialling = Some(dialling);
    }

    fn proceed(&mut self, dialling: &mut Dialling, response: &Message) {
        match response.status() {
            100..=199 => dialling.repeat = None,
            200..=299 => {
                let target = response.contacts().next().map_or("", |c| c.uri).to_owned();
                let ack = Builder::request(&Method::Ack, &target)
                    .header(Header::Via, self.end.via(&self.end.token()))
                    .header(Header::MaxForwards, 70)
                    .copy(&dialling.invite, Header::From)
                    .copy(response, Header::To)
                    .copy(&dialling.invite, Header::CallId)
                    .header(Header::CSeq, format!("{} ACK", dialling.sequence));
                self.end.send(&ack.finish());
                dialling.finish(response.status());
            }
            status => {
                self.end.send(&ack_refusal(&dialling.invite, response));
                if status != 407 || !self.prove(dialling, response) {
                    dialling.finish(status);
                }
            }
        }
    }

    fn prove(&mut self, dialling: &mut Dialling, refusal: &Message) -> bool {
        let login = Login { user: &self.owner.user, password: &self.owner.password };
        let cnonce = self.end.token();
        let asked = (&Method::Invite, dialling.uri.as_str(), cnonce.as_str());
        let proof =
            credentials(refusal, (Header::ProxyAuthenticate, dialling.proofs), &login, asked);
        let Some(proof) = proof else { return false };
        dialling.proofs += 1;
        dialling.sequence += 1;
        let (uri, call_id, tag) = (&dialling.uri, &dialling.call_id, &dialling.tag);
        let Some((invite, bytes)) = self.invite(uri, call_id, tag, dialling.sequence, Some(proof))
        else {
            return false;
        };
        dialling.invite = invite;
        dialling.repeat = Some(Repeat::invite(bytes, Instant::now()));
        true
    }

    pub(super) fn act_dialling(&mut self, now: Instant) {
        let Some(dialling) = &mut self.dialling else { return };
        let Some(repeat) = &mut dialling.repeat else { return };
        if repeat.is_over(now) {
            dialling.finish(408);
        } else if let Some(bytes) = repeat.again(now) {
            self.end.send(&bytes);
        }
    }
}
