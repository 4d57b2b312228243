//! Figures for telemetry that no event tells: a fixed list, one word each. Counting and reading are
//! wait-free.

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
    /// Requests left unread or unanswered: their source had failed too often.
    SourcesSilenced = "sources_silenced",
    /// Wrong passwords, and requests of nobody we know.
    AuthFailures = "auth_failures",
    /// Uses of a nonce count that was used before.
    NonceReplays = "nonce_replays",
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
