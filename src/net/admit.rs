//! From a parsed message to its worker's inbox, or to a stateless answer.

use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;
use siphasher::sip::SipHasher13;

use crate::domain::{Flow, Moment, ShardId, Transport};
use crate::sip::{Builder, Header, Message, Method};
use crate::switch::Input;
use crate::telemetry::{Metrics, one};
use crate::worker::{Clock, Inbox};

/// What a full worker asks for, seconds.
const RETRY_AFTER_S: u32 = 5;

/// Which worker a message is for.
pub type Route = Box<dyn Fn(&Message) -> ShardId + Send + Sync>;

/// The way to the workers.
pub struct Dispatch {
    /// By shard.
    pub inboxes: Vec<Arc<Inbox>>,
    /// Which one.
    pub route: Route,
    /// Stamps what comes.
    pub clock: Clock,
    /// Counts what comes.
    pub metrics: Arc<Metrics>,
    /// For tags of stateless answers: the same request gets the same (RFC 3261 §8.2.7).
    pub key: [u8; 16],
}

/// A stateless answer and where it goes.
pub(super) struct Answer {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
}

impl Dispatch {
    /// A message that came over `flow`. What is answered without a worker is given back.
    pub(super) fn admit(&self, message: Message, flow: Flow, received: Moment) -> Option<Answer> {
        one(&self.metrics.messages, flow.transport.as_param());
        tracing::trace!(%flow, message = %String::from_utf8_lossy(message.raw()), "received");
        if let Err(rejection) = message.judge() {
            one(&self.metrics.refused, "rejected");
            tracing::debug!(%flow, status = rejection.status, why = rejection.reason, "rejected");
            let answer = || self.answer(&message, flow, rejection.status, Some(rejection.reason));
            return if rejection.drop { None } else { answer() };
        }
        let shard = (self.route)(&message);
        let inbox = self.inboxes.get(shard.index())?;
        let refused = inbox.packet(Input::Packet { flow, message: message.clone(), received });
        if refused.is_ok() {
            return None;
        }
        one(&self.metrics.refused, "inbox_full");
        self.answer(&message, flow, 503, None)
    }

    /// Bytes that are no message.
    pub(super) fn garbage(&self, flow: Flow, why: impl std::fmt::Display) {
        one(&self.metrics.refused, "garbage");
        tracing::debug!(%flow, %why, "not SIP");
    }

    /// To one worker.
    pub(super) fn tell(&self, shard: ShardId, input: Input) {
        if let Some(inbox) = self.inboxes.get(shard.index()) {
            inbox.push(input);
        }
    }

    /// To every worker.
    pub(super) fn tell_all(&self, input: &Input) {
        self.inboxes.iter().for_each(|inbox| inbox.push(input.clone()));
    }

    /// A request's answer without a transaction; none for an ACK or a response.
    pub(super) fn answer(
        &self,
        message: &Message,
        flow: Flow,
        status: u16,
        reason: Option<&str>,
    ) -> Option<Answer> {
        if !message.is_request() || *message.method() == Method::Ack {
            return None;
        }
        let request = message.received_from(flow.remote);
        let tag = self.tag(message);
        let mut builder = match reason {
            Some(reason) => Builder::reply_with(&request, status, reason, Some(&tag)),
            None => Builder::reply(&request, status, Some(&tag)),
        };
        if status == 503 {
            builder = builder.header(Header::RetryAfter, RETRY_AFTER_S);
        }
        let back = match flow.transport {
            Transport::Udp => request.top_via().and_then(|via| via.response_addr()),
            Transport::Tcp => None,
        };
        // Only to the host that asked: a made-up sent-by must not aim our answers.
        let remote = back.filter(|b| b.ip() == flow.remote.ip()).unwrap_or(flow.remote);
        Some(Answer { flow: Flow { remote, ..flow }, bytes: builder.finish() })
    }

    fn tag(&self, message: &Message) -> String {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for part in [message.call_id(), message.from_tag().unwrap_or(""), message.uri()] {
            hasher.write(part.as_bytes());
            hasher.write_u8(0);
        }
        format!("{:016x}", hasher.finish())
    }
}
