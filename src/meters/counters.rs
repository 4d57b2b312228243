//! Figures for telemetry: a fixed list, one word each. Counting and reading are wait-free.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Counter {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Counter {
            /// All of them, in the order of their places.
            pub const ALL: &'static [Counter] = &[$(Counter::$name,)+];

            /// The metric's name, without prefix and `_total`: `calls_arrived`.
            pub fn name(self) -> &'static str {
                match self { $(Counter::$name => $text,)+ }
            }

            /// What it counts, in one line.
            pub fn about(self) -> &'static str {
                match self { $(Counter::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

counters! {
    /// SIP messages received.
    MessagesReceived = "messages_received",
    /// SIP messages sent.
    MessagesSent = "messages_sent",
    /// Datagrams or stream frames that are no SIP.
    MessagesBroken = "messages_broken",
    /// Requests refused before anybody looked at them: source over its failures.
    SourcesSilenced = "sources_silenced",
    /// Requests answered 401 or 407.
    AuthChallenges = "auth_challenges",
    /// Wrong passwords, and requests of unknown trunks.
    AuthFailures = "auth_failures",
    /// Uses of a nonce count that was used before.
    NonceReplays = "nonce_replays",
    /// Bindings registered or refreshed.
    Registrations = "registrations",
    /// Bindings removed, expired or dropped with their flow.
    Unregistrations = "unregistrations",
    /// Calls arrived.
    CallsArrived = "calls_arrived",
    /// Calls answered by a person.
    CallsAnswered = "calls_answered",
    /// Calls whose caller hung up while waiting.
    CallsAbandoned = "calls_abandoned",
    /// Calls that ended with a promised callback.
    CallsPromised = "calls_promised",
    /// Calls refused by a limit: trunk, worker or queue.
    CallsLimited = "calls_limited",
    /// Agents offered a call.
    Offers = "offers",
    /// Offers that rang to their end.
    OffersUnanswered = "offers_unanswered",
    /// Offers refused, busy, or to phones that were not there.
    OffersFailed = "offers_failed",
}

/// One word for each [`Counter`].
#[derive(Debug)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// One more.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// `many` more.
    pub fn add(&self, counter: Counter, many: u64) {
        // Relaxed: figures for people, ordered with nothing.
        self.0[counter as usize].fetch_add(many, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn read(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_own_word_name_and_line() {
        let counters = Counters::default();
        for (i, counter) in Counter::ALL.iter().enumerate() {
            counters.add(*counter, i as u64 + 1);
        }
        let mut names = std::collections::BTreeSet::new();
        for (i, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counters.read(*counter), i as u64 + 1);
            assert!(names.insert(counter.name()), "{} twice", counter.name());
            assert!(counter.about().ends_with('.'));
        }
    }
}
