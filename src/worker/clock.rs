//! The one clock: `Moment` from the monotonic clock, and its mapping to the wall.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Moment, WallOffset};

/// Smaller differences of the wall clock are drift, not news.
const WALL_SET_MIN: Duration = Duration::from_millis(100);

/// Samples time for the core; a copy reads the same.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    wall_ahead: SignedDuration,
}

impl Clock {
    /// `Moment::ZERO` is now.
    pub fn start() -> Self {
        Self::start_ahead(SignedDuration::ZERO)
    }

    /// The same under a wall clock that is so much ahead of the system's (a rehearsal of another day).
    pub fn start_ahead(wall_ahead: SignedDuration) -> Self {
        Self { start: Instant::now(), wall_ahead }
    }

    /// What the wall clock says; the last instant that can be said if that is later.
    pub fn wall(&self) -> Timestamp {
        Timestamp::now().checked_add(self.wall_ahead).unwrap_or(Timestamp::MAX)
    }

    /// Now.
    pub fn now(&self) -> Moment {
        let micros = self.start.elapsed().as_micros();
        Moment::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How long from now to `moment`; zero if that is past.
    pub fn until(&self, moment: Moment) -> Duration {
        moment.since(self.now())
    }

    /// What the wall clock says of `Moment::ZERO` now.
    pub fn offset(&self) -> WallOffset {
        WallOffset::new(self.now(), self.wall())
    }

    /// The new offset, if the wall clock was set since `known`.
    pub fn offset_if_set(&self, known: WallOffset) -> Option<WallOffset> {
        let fresh = self.offset();
        let apart =
            fresh.wall(Moment::ZERO).duration_since(known.wall(Moment::ZERO)).unsigned_abs();
        (apart > WALL_SET_MIN).then_some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_says_so_everywhere() {
        let day = SignedDuration::from_hours(24);
        let (clock, usual) = (Clock::start_ahead(day), Clock::start());
        let apart = clock.wall().duration_since(usual.wall());
        assert!((apart - day).abs() < SignedDuration::from_secs(5), "{apart}");
        let offset = clock.offset().wall(clock.now());
        assert!((offset.duration_since(clock.wall())).abs() < SignedDuration::from_secs(5));
    }

    #[test]
    fn only_a_clock_that_was_set_is_news() {
        let clock = Clock::start();
        let known = clock.offset();
        assert_eq!(clock.offset_if_set(known), None);
        let wrong = WallOffset::new(clock.now() + Duration::from_millis(500), Timestamp::now());
        assert!(clock.offset_if_set(wrong).is_some());
    }
}
