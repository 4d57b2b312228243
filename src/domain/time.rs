//! Time as an input: a monotonic `Moment`, and the one mapping from it to the wall clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;

/// Microseconds since the server began. The core cannot sample it; the shell hands it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The first instant.
    pub const ZERO: Moment = Moment(0);
    /// Later than any deadline; what a machine without a timer asks for.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// From microseconds since the server began.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the server began.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// Microseconds since the server began.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if that is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// The wall clock's reading at `Moment::ZERO`. Arrives as an input; changes when the clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallOffset(Timestamp);

impl WallOffset {
    /// The offset under which `now` reads `wall`.
    pub fn new(now: Moment, wall: Timestamp) -> Self {
        let zero = i128::from(wall.as_microsecond()) - i128::from(now.micros());
        let micros = i64::try_from(zero).unwrap_or(0);
        Self(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The wall clock's reading at `moment`, to the microsecond; the last representable instant if later.
    pub fn wall(self, moment: Moment) -> Timestamp {
        let micros = i64::try_from(moment.micros()).unwrap_or(i64::MAX);
        let sum = self.0.as_microsecond().saturating_add(micros);
        Timestamp::from_microsecond(sum).unwrap_or(Timestamp::MAX)
    }

    /// The moment at which the wall clock reads `wall`; `Moment::ZERO` if that was before the start.
    pub fn moment(self, wall: Timestamp) -> Moment {
        let span = wall.as_microsecond().saturating_sub(self.0.as_microsecond());
        Moment(u64::try_from(span).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_goes_both_ways() {
        let wall: Timestamp = "2026-03-02T08:00:00Z".parse().expect("a literal");
        let offset = WallOffset::new(Moment::from_millis(5_000), wall);
        assert_eq!(offset.wall(Moment::from_millis(5_000)), wall);
        assert_eq!(offset.moment(wall), Moment::from_millis(5_000));
        assert_eq!(offset.moment(Timestamp::UNIX_EPOCH), Moment::ZERO);
    }
}
