//! Opening hours of a department (clause C2).
//!
//! A calendar reads a wall clock: it is open whenever the local time of day lies within the day's
//! hours. From that follows what C2 asks of the two odd hours of a year:
//!
//! ```text
//! spring   01:59 → 03:00   hours 02:00–04:00 begin at 03:00: an hour that does not exist begins at
//!                          the next one that does
//! autumn   02:59 → 02:00   hours 02:00–02:30 are open twice: an hour that comes twice counts twice
//! ```
//! Knows no people and no departments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// How far ahead an edge is looked for.
const EDGE_DAYS_MAX: i64 = 60;

/// One span of opening hours within a day: from `open` to before `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// First open instant.
    pub open: Time,
    /// First closed instant; midnight means the day's end.
    pub close: Time,
}

impl Hours {
    fn contains(&self, time: Time) -> bool {
        self.open <= time && (self.close == Time::midnight() || time < self.close)
    }
}

/// Why a calendar cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarError(pub String);

/// Days that differ from the week's. A date goes before a day of every year.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialDays {
    /// Holidays (no hours) and short days of one year.
    pub dates: BTreeMap<Date, Vec<Hours>>,
    /// The same of every year, by month and day.
    pub yearly: BTreeMap<(i8, i8), Vec<Hours>>,
}

/// Weekly hours with exceptions, in one time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    week: [Vec<Hours>; 7],
    special: SpecialDays,
}

impl Calendar {
    /// Neither a day of the week nor a special day has hours.
    pub fn never_opens(&self) -> bool {
        let special = self.special.dates.values().chain(self.special.yearly.values());
        self.week.iter().chain(special).all(Vec::is_empty)
    }

    /// `week` begins on Monday; `special` days replace the week's. Errors: hours that end before
    /// they begin, or overlap.
    pub fn new(
        zone: TimeZone,
        week: [Vec<Hours>; 7],
        special: SpecialDays,
    ) -> Result<Self, CalendarError> {
        let mut calendar = Self { zone, week, special };
        let special = &mut calendar.special;
        let days = special.dates.values_mut().chain(special.yearly.values_mut());
        for day in calendar.week.iter_mut().chain(days) {
            day.sort_by_key(|h| h.open);
            check(day)?;
        }
        Ok(calendar)
    }

    /// Open at every instant.
    pub fn always() -> Self {
        let day = vec![Hours { open: Time::midnight(), close: Time::midnight() }];
        let week = std::array::from_fn(|_| day.clone());
        Self { zone: TimeZone::UTC, week, special: SpecialDays::default() }
    }

    /// Its time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The local day of `at`.
    pub fn today(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// Open at this instant.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        self.hours(local.date()).iter().any(|hours| hours.contains(local.time()))
    }

    /// The next instant after `at` at which it opens or closes, within 60 days.
    pub fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.today(at);
        let first = today.yesterday().unwrap_or(today);
        (0..=EDGE_DAYS_MAX)
            .filter_map(|n| first.checked_add(jiff::Span::new().days(n)).ok())
            .find_map(|day| self.edges(day).into_iter().find(|edge| *edge > at))
    }

    /// When it opens next after `at`, within 60 days; `None` too while it is open.
    pub fn opens(&self, at: Timestamp) -> Option<Timestamp> {
        if self.is_open(at) { None } else { self.next_edge(at) }
    }

    /// The days of `year` that differ from the week.
    pub fn special_days(&self, year: i16) -> BTreeSet<Date> {
        let yearly = self.special.yearly.keys();
        let yearly = yearly.filter_map(|(month, day)| Date::new(year, *month, *day).ok());
        let dates = self.special.dates.keys().filter(|date| date.year() == year);
        yearly.chain(dates.copied()).collect()
    }

    fn hours(&self, day: Date) -> &[Hours] {
        let weekday = day.weekday().to_monday_zero_offset() as usize;
        let special = self.special.dates.get(&day);
        let yearly = || self.special.yearly.get(&(day.month(), day.day()));
        special.or_else(yearly).unwrap_or(&self.week[weekday])
    }

    /// Instants of one local day, both its midnights included, at which it opens or closes; in order.
    pub fn edges(&self, day: Date) -> BTreeSet<Timestamp> {
        let midnight = day.to_datetime(Time::midnight());
        let (Some(begin), Some(end)) = (self.first(midnight), self.first_after(day)) else {
            return BTreeSet::new();
        };
        let hours = self.hours(day).iter().flat_map(|h| [h.open, h.close]);
        let readings = hours.flat_map(|time| self.instants(day.to_datetime(time)));
        let jumps = self.zone.following(begin).map(|t| t.timestamp());
        let candidates = readings.chain(jumps.take_while(|jump| *jump <= end)).chain([begin, end]);
        candidates.filter(|at| self.changes(*at)).collect()
    }

    fn changes(&self, at: Timestamp) -> bool {
        let before = at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
        self.is_open(before) != self.is_open(at)
    }

    fn first_after(&self, day: Date) -> Option<Timestamp> {
        self.first(day.tomorrow().ok()?.to_datetime(Time::midnight()))
    }

    fn first(&self, reading: DateTime) -> Option<Timestamp> {
        self.instants(reading).into_iter().next()
    }

    /// All instants at which the clock reads this; the jump's end if it never does.
    fn instants(&self, reading: DateTime) -> Vec<Timestamp> {
        let local = self.zone.to_ambiguous_timestamp(reading);
        let (earlier, later) = (local.earlier().ok(), local.later().ok());
        match local.offset() {
            AmbiguousOffset::Unambiguous { .. } => earlier.into_iter().collect(),
            AmbiguousOffset::Fold { .. } => earlier.into_iter().chain(later).collect(),
            AmbiguousOffset::Gap { .. } => {
                let jump = earlier.and_then(|at| self.zone.following(at).next());
                jump.map(|jump| jump.timestamp()).into_iter().collect()
            }
        }
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

#[cfg(test)]
mod tests;
