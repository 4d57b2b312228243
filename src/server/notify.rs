//! The owner of a promised callback hears of it at once: by SIP MESSAGE, webhook or mail.
//!
//! A thread of its own tries webhook and mail up to three times; what cannot be told is counted and
//! logged, and stands in `telefonist callbacks` in any case. The queue is bounded: a dead mail server
//! costs no call anything.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use lettre::message::{Mailbox, Message};
use lettre::{SmtpTransport, Transport as _};

use crate::config::CallbackNotify;
use crate::domain::PersonId;
use crate::switch::Promise;
use crate::telemetry::Metrics;

/// Promises that wait to be told.
const QUEUE_MAX: usize = 1_000;
/// Rests between the tries.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// A server must answer by then.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The address of an owner, if the directory has one.
pub(super) type EmailOf = Box<dyn Fn(&PersonId) -> Option<Arc<str>> + Send>;

/// The end that takes promises.
pub(super) struct Notifier {
    orders: SyncSender<Order>,
    metrics: Arc<Metrics>,
}

struct Order {
    promise: Promise,
    way: CallbackNotify,
    tries: usize,
    due: Instant,
}

impl Notifier {
    /// Begins the thread. Errors: the system has none left.
    pub(super) fn begin(metrics: Arc<Metrics>, email_of: EmailOf) -> std::io::Result<Self> {
        let (orders, taken) = sync_channel(QUEUE_MAX);
        let counted = metrics.clone();
        let thread = std::thread::Builder::new().name("notify".into());
        thread.spawn(move || run(&taken, &counted, &email_of))?;
        Ok(Self { orders, metrics })
    }

    /// Sees to it. `Some`: the owner is to be told by MESSAGE, which a worker sends.
    pub(super) fn take(
        &self,
        promise: Promise,
        way: &CallbackNotify,
    ) -> Option<(PersonId, Arc<str>)> {
        match way {
            CallbackNotify::Off => None,
            CallbackNotify::Message => match promise.owner.clone() {
                Some(owner) => Some((owner, in_words(&promise).into())),
                None => {
                    self.untold(&promise, "it has no owner");
                    None
                }
            },
            way => {
                let order = Order { promise, way: way.clone(), tries: 0, due: Instant::now() };
                if let Err(error) = self.orders.try_send(order) {
                    let (std::sync::mpsc::TrySendError::Full(order)
                    | std::sync::mpsc::TrySendError::Disconnected(order)) = error;
                    self.untold(&order.promise, "too many wait to be told");
                }
                None
            }
        }
    }

    fn untold(&self, promise: &Promise, why: &str) {
        untold(&self.metrics, promise, why);
    }
}

fn untold(metrics: &Metrics, promise: &Promise, why: &str) {
    metrics.promises_untold.inc();
    tracing::warn!(call = %promise.call, why, "nobody could be told of a promised callback");
}

fn run(orders: &Receiver<Order>, metrics: &Metrics, email_of: &EmailOf) {
    let mut waiting: Vec<Order> = Vec::new();
    loop {
        let next = waiting.iter().map(|o| o.due).min();
        let span = next.map_or(Duration::from_secs(3_600), |due| {
            due.saturating_duration_since(Instant::now())
        });
        match orders.recv_timeout(span) {
            Ok(order) => waiting.push(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|o| o.due <= now);
        waiting = later;
        for mut order in due {
            let Err(why) = deliver(&order, email_of) else { continue };
            match RETRY_AFTER.get(order.tries) {
                Some(rest) if waiting.len() < QUEUE_MAX => {
                    tracing::info!(call = %order.promise.call, why, "to be tried again");
                    order.tries += 1;
                    order.due = now + *rest;
                    waiting.push(order);
                }
                _ => untold(metrics, &order.promise, &why),
            }
        }
    }
}

fn deliver(order: &Order, email_of: &EmailOf) -> Result<(), String> {
    match &order.way {
        CallbackNotify::Webhook(url) => post(url, &order.promise),
        CallbackNotify::Email { smtp, from, fallback } => {
            let own = order.promise.owner.as_ref().and_then(email_of);
            let to = own.or_else(|| fallback.clone()).ok_or("the owner has no address")?;
            mail(smtp, from, &to, &order.promise)
        }
        CallbackNotify::Message | CallbackNotify::Off => Ok(()),
    }
}

fn post(url: &str, promise: &Promise) -> Result<(), String> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).build().into();
    let body = serde_json::json!({ "event": "callback_promised", "promise": promise });
    agent.post(url).send_json(&body).map(|_| ()).map_err(|e| e.to_string())
}

fn mail(smtp: &str, from: &str, to: &str, promise: &Promise) -> Result<(), String> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|e| format!("{text}: {e}"));
    let message = Message::builder()
        .from(mailbox(from)?)
        .to(mailbox(to)?)
        .subject("Callback promised")
        .body(in_words(promise))
        .map_err(|e| e.to_string())?;
    let transport = SmtpTransport::from_url(smtp).map_err(|e| e.to_string())?;
    let transport = transport.timeout(Some(ANSWER_MAX)).build();
    transport.send(&message).map(|_| ()).map_err(|e| e.to_string())
}

fn in_words(promise: &Promise) -> String {
    let number = promise.number.as_ref().map_or("a withheld number", |n| n.as_str());
    let client = promise.client.as_ref().map_or("unknown", |c| &c.name);
    format!(
        "Please call back {number} (client: {client}). {}. Promised at {:.0}. Close it: telefonist callbacks done {}",
        promise.why, promise.at, promise.call
    )
}
