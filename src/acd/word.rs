//! The agent's word: everything that two threads could disagree on, in 64 bits that one
//! compare-and-swap moves.
//!
//! ```text
//!  63            32 31        22 21    14 13     4 3    0
//! [    epoch 32    | elsewhere  |  shard 8 | flags   | state 4 ]
//!
//!                    ┌──────────── take ───────────┐
//!                    │                             ▼
//!    place: nobody  FREE ◄───── place ────────── HAND(s) ──pass──► HAND(t)
//!                                                │    ▲
//!                                         commit │    │ release
//!                                                ▼    │
//!                                            OFFERED(s)
//!                                      answered │
//!                                                ▼
//!                                            TALKING(s) ──release──► WRAP(s) ──end, or until passed──► HAND(t)
//! ```
//! Each change of state adds one to the epoch; a flag, or the count of shards on which the person has
//! other calls, does not. Knows nothing of calls.

use std::fmt;

use crate::domain::AgentId;

const STATE_BITS: u64 = 0xf;
const FLAGS_SHIFT: u32 = 4;
const FLAGS_BITS: u64 = 0x3ff;
const SHARD_SHIFT: u32 = 14;
const ELSEWHERE_SHIFT: u32 = 22;
const ELSEWHERE_BITS: u64 = 0x3ff;
const EPOCH_SHIFT: u32 = 32;

/// What an agent is doing, as far as calls from queues go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// Nothing. With no flag set: idle, may be offered a call.
    Free,
    /// One shard is comparing who waits; lasts microseconds.
    Hand,
    /// The phones ring.
    Offered,
    /// In a call from a queue.
    Talking,
    /// Resting after a call.
    Wrap,
}

impl AgentState {
    fn bits(self) -> u64 {
        match self {
            AgentState::Free => 0,
            AgentState::Hand => 1,
            AgentState::Offered => 2,
            AgentState::Talking => 3,
            AgentState::Wrap => 4,
        }
    }

    fn of(bits: u64) -> Self {
        match bits & STATE_BITS {
            1 => AgentState::Hand,
            2 => AgentState::Offered,
            3 => AgentState::Talking,
            4 => AgentState::Wrap,
            _ => AgentState::Free,
        }
    }
}

/// Independent causes for which an agent is offered nothing; several may hold at once (clause C7).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// No cause.
    pub const NONE: Flags = Flags(0);
    /// Gone: has not logged in.
    pub const LOGGED_OUT: Flags = Flags(1);
    /// Gone: on a break.
    pub const PAUSED: Flags = Flags(1 << 1);
    /// Gone: no phone is registered, or none answers at all. Set for everybody when the server starts.
    pub const UNREACHABLE: Flags = Flags(1 << 2);
    /// Gone: on leave (clause C1).
    pub const ABSENT: Flags = Flags(1 << 3);
    /// Gone: the department is closed (clause C2).
    pub const OFF_SHIFT: Flags = Flags(1 << 4);
    /// Gone: let a call ring to the end (clause C4).
    pub const NO_ANSWER: Flags = Flags(1 << 5);
    /// Busy: has just refused a call or was busy; ends by itself.
    pub const BACK_OFF: Flags = Flags(1 << 6);
    /// Busy: in a call that came from no queue.
    pub const BUSY_ELSEWHERE: Flags = Flags(1 << 7);
    /// Gone: a supervisor has closed the position (clause B8).
    pub const POSITION_CLOSED: Flags = Flags(1 << 8);
    /// All causes that mean "gone" (clause C7: skipped at once).
    pub const GONE: Flags = Flags(0b1_0011_1111);

    /// Each cause that is set, lowest first.
    pub fn each(self) -> impl Iterator<Item = Flags> {
        (0..9).map(|bit| Flags(1 << bit)).filter(move |flag| self.contains(*flag))
    }

    /// All of `other`'s causes are set here.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// At least one of `other`'s causes is set here.
    pub fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// No cause at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Skipped at once (clause C7).
    pub fn is_gone(self) -> bool {
        self.intersects(Flags::GONE)
    }

    /// Those set in both.
    pub fn and(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }

    /// Those set here and not in `other`.
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    pub(super) fn bits(self) -> u64 {
        u64::from(self.0) << FLAGS_SHIFT
    }

    fn name(self) -> &'static str {
        match self {
            Flags::LOGGED_OUT => "logged out",
            Flags::PAUSED => "paused",
            Flags::UNREACHABLE => "no phone",
            Flags::ABSENT => "absent",
            Flags::OFF_SHIFT => "off shift",
            Flags::NO_ANSWER => "no answer",
            Flags::BACK_OFF => "back-off",
            Flags::POSITION_CLOSED => "position closed",
            _ => "in another call",
        }
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// In words, as a person reads them: `paused, no phone`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, flag) in self.each().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, flag.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

/// One reading of an agent's word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    /// Free, with `flags`.
    pub(super) fn free(flags: Flags) -> Self {
        Self(flags.bits())
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn state(self) -> AgentState {
        AgentState::of(self.0)
    }

    pub(super) fn flags(self) -> Flags {
        Flags((self.0 >> FLAGS_SHIFT & FLAGS_BITS) as u16)
    }

    /// The shard that owns the step; without meaning while free.
    pub(super) fn shard(self) -> usize {
        usize::from((self.0 >> SHARD_SHIFT) as u8)
    }

    /// Free and without any flag.
    pub(super) fn is_idle(self) -> bool {
        self.0 & (STATE_BITS | FLAGS_BITS << FLAGS_SHIFT) == AgentState::Free.bits()
    }

    /// Bound to a call, and without a back-off: nothing of it ends by itself. Quickly told, for sweeps.
    pub(super) fn is_settled(self) -> bool {
        // The two states have the second bit in common, and no other has it.
        let bound = AgentState::Offered.bits();
        self.0 & (bound | Flags::BACK_OFF.bits()) == bound
    }

    /// In a hand, a rest or a back-off: what ends by itself, or by a sweep.
    pub(super) fn is_passing(self) -> bool {
        // Of thousands of words a sweep finds hardly any: one test for both states.
        let passing = 1 << AgentState::Hand.bits() | 1 << AgentState::Wrap.bits();
        passing >> (self.0 & STATE_BITS) & 1 != 0 || self.0 & Flags::BACK_OFF.bits() != 0
    }

    /// In the hand of `shard`.
    pub(super) fn is_in_hand(self, shard: usize) -> bool {
        self.state() == AgentState::Hand && self.shard() == shard
    }

    /// The word after a change of state: epoch + 1, flags and count kept.
    pub(super) fn step(self, state: AgentState, shard: usize) -> Self {
        let epoch = (self.0 >> EPOCH_SHIFT).wrapping_add(1) << EPOCH_SHIFT;
        let kept = self.flags().bits() | self.elsewhere() << ELSEWHERE_SHIFT;
        Self(epoch | kept | (shard as u64) << SHARD_SHIFT | state.bits())
    }

    /// With the count of changes of another word.
    pub(super) fn with_epoch_of(self, other: Self) -> Self {
        let epoch = u64::MAX << EPOCH_SHIFT;
        Self(self.0 & !epoch | other.0 & epoch)
    }

    /// The same step as in `other`: epoch, state and shard are equal, flags may differ.
    pub(super) fn is_same_step(self, other: Self) -> bool {
        let kept = FLAGS_BITS << FLAGS_SHIFT | ELSEWHERE_BITS << ELSEWHERE_SHIFT;
        self.0 & !kept == other.0 & !kept
    }

    /// On how many shards the person has calls that came from no queue; at most 256.
    pub(super) fn elsewhere(self) -> u64 {
        self.0 >> ELSEWHERE_SHIFT & ELSEWHERE_BITS
    }

    /// One shard more (`true`) or less on which the person has other calls, and the flag that tells so.
    pub(super) fn count_elsewhere(self, more: bool) -> Self {
        let count = self.elsewhere();
        let count = if more { count + 1 } else { count.saturating_sub(1) }.min(ELSEWHERE_BITS);
        let cleared = !(ELSEWHERE_BITS << ELSEWHERE_SHIFT | Flags::BUSY_ELSEWHERE.bits());
        let flag = if count > 0 { Flags::BUSY_ELSEWHERE } else { Flags::NONE };
        Self(self.0 & cleared | count << ELSEWHERE_SHIFT | flag.bits())
    }

    /// Without these flags.
    pub(super) fn without(self, flags: Flags) -> Self {
        Self(self.0 & !flags.bits())
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, shard, epoch) = (self.state(), self.shard(), self.0 >> EPOCH_SHIFT);
        write!(f, "{state:?}({shard}) {:?} epoch {epoch}", self.flags())
    }
}

/// The right to move one bound agent on: the agent and the word as it was after the last move.
/// Stale as soon as somebody else has moved the agent; then every use of it does nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub(super) agent: AgentId,
    pub(super) word: Word,
}

impl Token {
    /// Whom it moves.
    pub fn agent(self) -> AgentId {
        self.agent
    }

    /// The agent had answered.
    pub(super) fn is_talking(self) -> bool {
        self.word.state() == AgentState::Talking
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(agent {}, {:?})", self.agent.0, self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acd::SHARDS_MAX;

    #[test]
    fn a_step_keeps_the_flags_and_counts_the_epoch() {
        let word = Word::free(Flags::PAUSED | Flags::ABSENT).count_elsewhere(true);
        let next = word.step(AgentState::Hand, 255);
        assert_eq!((next.state(), next.shard()), (AgentState::Hand, 255));
        let flags = Flags::PAUSED | Flags::ABSENT | Flags::BUSY_ELSEWHERE;
        assert_eq!((next.flags(), next.elsewhere()), (flags, 1));
        assert!(!next.is_same_step(next.step(AgentState::Hand, 255)));
        assert!(next.is_same_step(next.without(Flags::PAUSED)));
    }

    #[test]
    fn what_a_sweep_looks_for_is_told_by_state_and_back_off() {
        use AgentState::{Free, Hand, Offered, Talking, Wrap};
        for state in [Free, Hand, Offered, Talking, Wrap] {
            for flags in [Flags::NONE, Flags::PAUSED, Flags::BACK_OFF, Flags::GONE] {
                let (word, backs_off) =
                    (Word::free(flags).step(state, 255), flags == Flags::BACK_OFF);
                let bound = matches!(state, Offered | Talking);
                assert_eq!(word.is_settled(), bound && !backs_off, "{word:?}");
                assert_eq!(
                    word.is_passing(),
                    matches!(state, Hand | Wrap) || backs_off,
                    "{word:?}"
                );
                assert_eq!(word.is_idle(), state == Free && flags.is_empty(), "{word:?}");
            }
        }
    }

    #[test]
    fn every_cause_keeps_out_of_the_other_fields() {
        let all = (0..10).fold(Flags::NONE, |all, bit| all | Flags(1 << bit));
        let word = Word::free(all).step(AgentState::Wrap, 0);
        assert_eq!((word.flags(), word.shard(), word.elsewhere()), (all, 0, 0));
        let most = (0..SHARDS_MAX).fold(word, |word, _| word.count_elsewhere(true));
        let most = most.step(AgentState::Talking, 255);
        assert_eq!((most.flags(), most.shard(), most.elsewhere()), (all, 255, 256));
        assert_eq!(all.each().count(), 9, "the tenth bit is free");
    }

    #[test]
    fn the_epoch_wraps_without_touching_the_rest() {
        let last = Word::from_bits(u64::from(u32::MAX) << EPOCH_SHIFT);
        assert_eq!(last.step(AgentState::Free, 0).bits(), 0);
    }

    #[test]
    fn the_flag_of_other_calls_holds_until_the_last_shard_has_none() {
        let two = Word::free(Flags::NONE).count_elsewhere(true).count_elsewhere(true);
        assert!(two.count_elsewhere(false).flags().contains(Flags::BUSY_ELSEWHERE));
        assert!(two.count_elsewhere(false).count_elsewhere(false).is_idle());
    }

    #[test]
    fn flags_read_as_words() {
        assert_eq!((Flags::PAUSED | Flags::UNREACHABLE).to_string(), "paused, no phone");
        assert!(!(Flags::BACK_OFF | Flags::BUSY_ELSEWHERE).is_gone());
        assert!(Flags::POSITION_CLOSED.is_gone());
    }
}
