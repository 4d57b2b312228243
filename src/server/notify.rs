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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use super::*;
    use crate::domain::{CallKey, Number, ShardId};

    const LONG: Duration = Duration::from_secs(30);

    fn promise(owner: Option<&str>) -> Promise {
        Promise {
            call: CallKey::new(1, ShardId(0), 1),
            number: Number::from_e164("+493023125001"),
            client: None,
            owner: owner.map(PersonId::new),
            why: "nobody answered".into(),
            at: "2026-03-02T09:00:00Z".parse().expect("a literal"),
        }
    }

    fn notifier(metrics: &Arc<Metrics>) -> Notifier {
        let email = |p: &PersonId| (p.as_str() == "anna").then(|| "anna@example.org".into());
        Notifier::begin(metrics.clone(), Box::new(email)).expect("a thread")
    }

    /// Lets `talk` speak with whoever connects first, and gives what it heard.
    fn server(
        talk: impl FnOnce(BufReader<TcpStream>, TcpStream) -> String + Send + 'static,
    ) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(LONG)).expect("a time");
            let writing = stream.try_clone().expect("a clone");
            talk(BufReader::new(stream), writing)
        });
        (port, thread)
    }

    fn line(reading: &mut BufReader<TcpStream>) -> String {
        let mut line = String::new();
        reading.read_line(&mut line).expect("a line");
        line.trim_end().to_string()
    }

    #[test]
    fn a_webhook_gets_the_promise_as_json() {
        let (port, heard) = server(|mut reading, mut writing| {
            let mut length = 0;
            loop {
                let line = line(&mut reading).to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reading.read_exact(&mut body).expect("a body");
            writing.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("written");
            String::from_utf8(body).expect("UTF-8")
        });
        let metrics = Arc::new(Metrics::new());
        let way = CallbackNotify::Webhook(format!("http://127.0.0.1:{port}/callbacks").into());
        assert_eq!(notifier(&metrics).take(promise(Some("anna")), &way), None);
        let body: serde_json::Value =
            serde_json::from_str(&heard.join().expect("heard")).expect("JSON");
        assert_eq!(body["event"], "callback_promised");
        assert_eq!(body["promise"]["number"], "+493023125001");
        assert_eq!(body["promise"]["owner"], "anna");
    }

    #[test]
    fn a_mail_goes_to_the_owner_s_address() {
        let (port, heard) = server(|mut reading, mut writing| {
            let mut say = |text: &str| write!(writing, "{text}\r\n").expect("written");
            say("220 here");
            let mut all = String::new();
            let mut in_data = false;
            loop {
                let line = line(&mut reading);
                all.push_str(&format!("{line}\n"));
                match line.split(' ').next().unwrap_or_default() {
                    "." => {
                        say("250 taken");
                        return all;
                    }
                    _ if in_data => {}
                    "DATA" => {
                        in_data = true;
                        say("354 go on");
                    }
                    _ => say("250 ok"),
                }
            }
        });
        let metrics = Arc::new(Metrics::new());
        let way = CallbackNotify::Email {
            smtp: format!("smtp://127.0.0.1:{port}").into(),
            from: "telefonist@example.org".into(),
            fallback: None,
        };
        assert_eq!(notifier(&metrics).take(promise(Some("anna")), &way), None);
        let all = heard.join().expect("heard");
        assert!(all.contains("RCPT TO:<anna@example.org>"), "{all}");
        assert!(all.contains("Please call back +493023125001"), "{all}");
    }

    #[test]
    fn a_message_is_for_a_worker_to_send_and_needs_an_owner() {
        let metrics = Arc::new(Metrics::new());
        let notifier = notifier(&metrics);
        let told = notifier.take(promise(Some("anna")), &CallbackNotify::Message);
        let (to, text) = told.expect("to be sent");
        assert_eq!(to, PersonId::new("anna"));
        assert!(text.contains("+493023125001") && text.contains("nobody answered"), "{text}");
        assert_eq!(notifier.take(promise(None), &CallbackNotify::Message), None);
        assert!(metrics.text().contains("telefonist_promises_untold_total 1"));
        assert_eq!(notifier.take(promise(Some("anna")), &CallbackNotify::Off), None);
    }
}
