//! The atomics of this room: the standard ones, or loom's when a model is checked.

pub(super) use std::sync::atomic::Ordering;

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU64, fence};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU64, fence};

/// A table of words whose size is fixed at start.
pub(super) struct Table(Box<[AtomicU64]>);

impl Table {
    /// `len` words, each holding `filling`.
    pub(super) fn new(len: usize, filling: u64) -> Self {
        Self((0..len).map(|_| AtomicU64::new(filling)).collect())
    }

    /// The word at a place. Ids are checked where they enter the room: a place outside is our error.
    pub(super) fn at(&self, place: usize) -> &AtomicU64 {
        #[cfg(all(test, not(loom)))]
        super::stop::step();
        &self.0[place]
    }

    /// Every word, in order.
    pub(super) fn each(&self) -> impl Iterator<Item = &AtomicU64> {
        self.0.iter().inspect(|_| {
            #[cfg(all(test, not(loom)))]
            super::stop::step();
        })
    }

    /// How many words.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A table of figures on which the protocol does not rest: depths, scores, tallies. Standard atomics even in a
/// model, so that they do not multiply its states.
pub(super) struct Figures(Box<[std::sync::atomic::AtomicU64]>);

impl Figures {
    /// `len` figures, all zero.
    pub(super) fn new(len: usize) -> Self {
        Self::filled(len, 0)
    }

    /// `len` figures, each `filling`.
    pub(super) fn filled(len: usize, filling: u64) -> Self {
        Self((0..len).map(|_| std::sync::atomic::AtomicU64::new(filling)).collect())
    }

    /// The figure at a place.
    pub(super) fn at(&self, place: usize) -> &std::sync::atomic::AtomicU64 {
        &self.0[place]
    }
}
