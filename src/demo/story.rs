//! Each call's story as it happens, read from the journal as `events --follow` reads it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;

use super::company::berlin;
use super::play::number_of;
use crate::domain::CallKey;
use crate::store::journal::{Begin, Follower};
use crate::switch::{AgentChange, Event, OfferResult, Outcome, Party, What};

/// The journal is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Events taken at once.
const EVENTS_AT_ONCE: usize = 1_000;

/// Tells what happens in one act.
pub struct Teller {
    follower: Follower,
    calls: BTreeMap<CallKey, u32>,
}

impl Teller {
    /// Listens to `journal` from its beginning. Errors: it cannot be read.
    pub fn new(journal: &Path) -> std::io::Result<Self> {
        Ok(Self { follower: Follower::new(journal, Begin::Oldest)?, calls: BTreeMap::new() })
    }

    /// Tells in a task of its own until what it gives is dropped.
    pub fn tell(mut self) -> Telling {
        let (asks, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
        tokio::spawn(async move {
            let mut look = interval(LOOK_EVERY);
            loop {
                let done = tokio::select! {
                    _ = look.tick() => None,
                    ask = asked.recv() => match ask {
                        Some(done) => Some(done),
                        None => return,
                    },
                };
                self.catch_up();
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
        });
        Telling { asks }
    }

    fn catch_up(&mut self) {
        // A segment that cannot be read now can be at the next look.
        let found = self.follower.step(EVENTS_AT_ONCE).unwrap_or_default();
        for event in found {
            let parsed = serde_json::from_str::<Event>(&event.json);
            if let Some(line) = parsed.ok().and_then(|event| self.line(&event)) {
                say(&line);
            }
        }
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        if let What::CallArrived { call, sip_call_id, .. } = &event.what {
            self.calls.insert(*call, number_of(sip_call_id)?);
        }
        if let What::Agent { person, change, .. } = &event.what {
            let text = match change {
                AgentChange::Locked => "missed a call: offered nothing until back (C4)",
                AgentChange::Resumed => "is back",
                _ => return None,
            };
            return Some(format!("{}       {person} {text}", clock(event.at)));
        }
        let number = self.calls.get(&event.what.call()?)?;
        let text = sentence(&event.what)?;
        Some(format!("{}  #{number:<3} {text}", clock(event.at)))
    }
}

/// Says a line. Nobody is left to hear that standard output is gone.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn clock(at: Timestamp) -> String {
    berlin(at).strftime("%H:%M:%S%.3f").to_string()
}

/// A teller at work.
pub struct Telling {
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

impl Telling {
    /// Returns when everything is told that is in the journal now.
    pub async fn caught_up(&self) {
        let (done, told) = oneshot::channel();
        if self.asks.send(done).await.is_ok() {
            let _ = told.await;
        }
    }
}

fn sentence(what: &What) -> Option<String> {
    Some(match what {
        What::CallArrived { from, from_raw, to, .. } => {
            let from = match from {
                Some(number) => number.to_string(),
                None if from_raw.is_empty() => "number withheld".to_owned(),
                None => format!("“{from_raw}”"),
            };
            format!("{from} calls {to}")
        }
        What::Routed { client, rule, clause, .. } => {
            let client = client.as_ref().map_or("nobody we know", |c| &c.name);
            format!("is {client}; rule “{rule}” ({clause})")
        }
        What::StepBegan { step, to, clause, why, .. } => {
            let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
            format!("step {}: {to} ({clause}){reason}", step + 1)
        }
        What::Offered { agent, stands_in_for, phones, .. } => {
            let instead = stands_in_for.as_ref().map(|p| format!(" for {p}")).unwrap_or_default();
            let phones = if *phones > 1 { format!(" on {phones} phones") } else { String::new() };
            format!("rings {agent}{instead}{phones}")
        }
        What::OfferEnded { result, .. } => match result {
            OfferResult::NoAnswer => "nobody picks up there".to_owned(),
            OfferResult::Refused => "is declined there".to_owned(),
            OfferResult::Busy => "that phone is busy".to_owned(),
            OfferResult::Unreachable => "that phone does not answer the net".to_owned(),
            OfferResult::Failed => "the phone could not take it".to_owned(),
            OfferResult::Answered | OfferResult::CallerGone | OfferResult::Elsewhere => {
                return None;
            }
        },
        What::Answered { agent, .. } => {
            format!("{} answers", agent.as_ref().map_or("somebody", |p| p.as_str()))
        }
        What::Promised { owner, why, .. } => {
            let owner = owner.as_ref().map_or("nobody", |p| p.as_str());
            format!("is promised a callback by {owner}: {why}")
        }
        What::CallEnded { by, outcome, .. } => ending(*by, *outcome),
        _ => return None,
    })
}

fn ending(by: Party, outcome: Outcome) -> String {
    let who = match by {
        Party::Caller => "the caller",
        Party::Callee => "our side",
        Party::Server => "the server",
        Party::Supervisor => "a supervisor",
    };
    match outcome {
        Outcome::Answered => format!("over: {who} hangs up"),
        Outcome::Abandoned => "over: the caller has given up".to_owned(),
        Outcome::CallbackPromised => "over: to be called back".to_owned(),
        Outcome::OutOfHours => "over: closed, to be called back".to_owned(),
        other => format!("over: {other:?} by {who}").to_lowercase(),
    }
}
