//! Two re-INVITEs at once: RFC 3261 §14, and RFC 3311 §5.2 for UPDATE.
//!
//! ```text
//!                      ours under way        theirs under way      neither
//!   we want to send    wait                  wait                  send
//!   theirs arrives     491                   500, Retry-After      take it
//! ```

use std::time::Duration;

use rand_chacha::rand_core::Rng;

/// Retry times are drawn in steps of this (§14.1).
const STEP_MS: u64 = 10;

/// How a re-INVITE or an UPDATE with an offer is refused that comes at the wrong moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collision {
    /// 491 (ours is under way) or 500 (their last one is).
    pub status: u16,
    /// Seconds for Retry-After, 0 to 10; with a 500 only (§14.2).
    pub retry_after_s: Option<u32>,
}

/// The INVITEs under way in one dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glare {
    ours: bool,
    theirs: bool,
}

impl Glare {
    /// §14.1: a new INVITE "MUST NOT" be sent while another is under way in either direction.
    pub fn may_send(&self) -> bool {
        !self.ours && !self.theirs
    }

    /// We sent an INVITE, or an UPDATE with an offer.
    pub fn sent(&mut self) {
        self.ours = true;
    }

    /// Ours has its final response, or ended without one.
    pub fn answered(&mut self) {
        self.ours = false;
    }

    /// Theirs arrived: taken as under way.
    ///
    /// # Errors
    /// [`Collision`]: answer that.
    pub fn received(&mut self, rng: &mut impl Rng) -> Result<(), Collision> {
        if self.ours {
            return Err(Collision { status: 491, retry_after_s: None });
        }
        if self.theirs {
            let seconds = rng.next_u32() % 11;
            return Err(Collision { status: 500, retry_after_s: Some(seconds) });
        }
        self.theirs = true;
        Ok(())
    }

    /// We gave theirs its final response.
    pub fn replied(&mut self) {
        self.theirs = false;
    }

    /// How long to wait after a 491 before ours is tried again (§14.1): 2.1 to 4 s for the side
    /// that made the Call-ID (`Dialog::owns_call_id`), 0 to 2 s for the other.
    pub fn retry_after(owns_call_id: bool, rng: &mut impl Rng) -> Duration {
        let (from, to) = if owns_call_id { (2_100, 4_000) } else { (0, 2_000) };
        let steps = (to - from) / STEP_MS + 1;
        Duration::from_millis(from + STEP_MS * (rng.next_u64() % steps))
    }
}
