//! Opening hours of a department (clause C2).

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// One span of opening hours within a day: from `open` to before `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// First open instant.
    pub open: Time,
    /// First closed instant; midnight means the day's end.
    pub close: Time,
}

/// Why a calendar cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarError(pub String);

/// Weekly hours with exceptions, in one time zone. An hour that does not exist begins at the next
/// one that does, one that comes twice counts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    week: [Vec<Hours>; 7],
    special: std::collections::BTreeMap<Date, Vec<Hours>>,
}

impl Calendar {
    /// `week` begins on Monday; `special` days (holidays: no hours; short days) replace the week's.
    /// Errors: hours that end before they begin, or overlap.
    pub fn new(
        zone: TimeZone,
        week: [Vec<Hours>; 7],
        special: std::collections::BTreeMap<Date, Vec<Hours>>,
    ) -> Result<Self, CalendarError> {
        let mut calendar = Self { zone, week, special };
        for day in calendar.week.iter_mut().chain(calendar.special.values_mut()) {
            day.sort_by_key(|h| h.open);
            check(day)?;
        }
        Ok(calendar)
    }

    /// Open at every instant.
    pub fn always() -> Self {
        let day = vec![Hours { open: Time::midnight(), close: Time::midnight() }];
        Self {
            zone: TimeZone::UTC,
            week: std::array::from_fn(|_| day.clone()),
            special: std::collections::BTreeMap::new(),
        }
    }

    /// Its time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Open at this instant.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.spans_around(at).any(|(open, close)| open <= at && at < close)
    }

    /// The next instant after `at` at which it opens or closes, within 15 days.
    pub fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(at).date();
        let days = (0..15).filter_map(|n| today.checked_add(jiff::Span::new().days(n)).ok());
        let edges = days.flat_map(|day| self.spans(day)).flat_map(|(open, close)| [open, close]);
        edges.filter(|edge| *edge > at).min()
    }

    fn spans_around(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = self.zone.to_datetime(at).date();
        today.yesterday().into_iter().chain([today]).flat_map(|day| self.spans(day))
    }

    fn spans(&self, day: Date) -> Vec<(Timestamp, Timestamp)> {
        let weekday = day.weekday().to_monday_zero_offset() as usize;
        let hours = self.special.get(&day).unwrap_or(&self.week[weekday]);
        hours
            .iter()
            .filter_map(|h| Some((self.instant(day, h.open)?, self.end(day, h.close)?)))
            .collect()
    }

    fn end(&self, day: Date, close: Time) -> Option<Timestamp> {
        if close == Time::midnight() {
            return self.instant(day.tomorrow().ok()?, close);
        }
        // The later of two equal readings: an hour that comes twice counts twice.
        let local = self.zone.to_ambiguous_timestamp(day.to_datetime(close));
        local.later().ok()
    }

    fn instant(&self, day: Date, time: Time) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(day.to_datetime(time));
        if let jiff::tz::AmbiguousOffset::Gap { .. } = ambiguous.offset() {
            // The gap's end: the transition itself.
            let before = ambiguous.earlier().ok()?;
            return self
                .zone
                .following(before - jiff::SignedDuration::from_hours(24))
                .next()
                .map(|t| t.timestamp());
        }
        ambiguous.earlier().ok()
    }
}

fn check(day: &[Hours]) -> Result<(), CalendarError> {
    let mut last = None;
    for hours in day {
        if hours.close != Time::midnight() && hours.close <= hours.open {
            return Err(CalendarError(format!("{} ends before it begins", hours.open)));
        }
        if last.is_some_and(|close| close == Time::midnight() || hours.open < close) {
            return Err(CalendarError(format!("{} overlaps the hours before", hours.open)));
        }
        last = Some(hours.close);
    }
    Ok(())
}
