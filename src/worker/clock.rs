//! The one clock: `Moment` from the monotonic clock, and its mapping to the wall.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use crate::domain::{Moment, WallOffset};
use crate::switch::Stamp;

/// Smaller differences of the wall clock are drift, not news.
const WALL_SET_MIN: Duration = Duration::from_millis(100);

/// Samples time for the core; a clone reads the same, to the microsecond: stamps of different workers
/// can be compared.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    wall_ahead: SignedDuration,
    offset: Arc<ArcSwap<WallOffset>>,
}

impl Clock {
    /// `Moment::ZERO` is now.
    pub fn start() -> Self {
        Self::start_ahead(SignedDuration::ZERO)
    }

    /// The same under a wall clock that is so much ahead of the system's (a rehearsal of another day).
    pub fn start_ahead(wall_ahead: SignedDuration) -> Self {
        let offset = WallOffset::new(Moment::ZERO, wall(wall_ahead));
        let offset = Arc::new(ArcSwap::from_pointee(offset));
        Self { start: Instant::now(), wall_ahead, offset }
    }

    /// What the wall clock says; the last instant that can be said if that is later.
    pub fn wall(&self) -> Timestamp {
        wall(self.wall_ahead)
    }

    /// Now.
    pub fn now(&self) -> Moment {
        let micros = self.start.elapsed().as_micros();
        Moment::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Now, and finer.
    pub fn stamp(&self) -> Stamp {
        let nanos = self.start.elapsed().as_nanos();
        let order = u64::try_from(nanos).unwrap_or(u64::MAX);
        Stamp { at: Moment::from_micros(order / 1_000), order }
    }

    /// How long from now to `moment`; zero if that is past.
    pub fn until(&self, moment: Moment) -> Duration {
        moment.since(self.now())
    }

    /// What the wall clock says of `Moment::ZERO`: the same to all, until the wall clock is set.
    pub fn offset(&self) -> WallOffset {
        **self.offset.load()
    }

    /// The new offset, if the wall clock was set since `known`.
    pub fn offset_if_set(&self, known: WallOffset) -> Option<WallOffset> {
        let shared = self.offset.load();
        let fresh = WallOffset::new(self.now(), self.wall());
        if apart(fresh, **shared) > WALL_SET_MIN {
            // Who is second takes the first one's.
            self.offset.compare_and_swap(&*shared, Arc::new(fresh));
        }
        let offset = self.offset();
        (offset != known).then_some(offset)
    }
}

fn wall(ahead: SignedDuration) -> Timestamp {
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}

fn apart(one: WallOffset, other: WallOffset) -> Duration {
    one.wall(Moment::ZERO).duration_since(other.wall(Moment::ZERO)).unsigned_abs()
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
    fn a_moment_has_one_time_of_day_whichever_worker_says_it() {
        let clock = Clock::start();
        let others = [clock.clone(), clock.clone()];
        let at = clock.now();
        assert!(others.iter().all(|other| other.offset().wall(at) == clock.offset().wall(at)));
    }

    #[test]
    fn only_a_clock_that_was_set_is_news_and_to_all_the_same() {
        let clock = Clock::start();
        let known = clock.offset();
        assert_eq!(clock.offset_if_set(known), None);
        let wrong = WallOffset::new(clock.now() + Duration::from_millis(500), Timestamp::now());
        clock.offset.store(Arc::new(wrong));
        let other = clock.clone();
        let news = clock.offset_if_set(wrong).expect("it was set by half a second");
        assert!(apart(news, known) < Duration::from_millis(100));
        assert_eq!(other.offset_if_set(wrong), Some(news));
        assert_eq!(other.offset_if_set(news), None);
    }
}
