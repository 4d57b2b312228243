//! `calendars.toml`: opening hours by name (clause C2), with every problem at its place.
//!
//! Each table is a calendar: `zone`, `week` (days → hours, or `"always"`), `days` (dates and days of
//! every year → hours). Knows no departments; they name calendars, not the other way round.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::fields::{At, Fields, Reader, Value};
use super::problem::{Problem, Source, did_you_mean};
use crate::domain::{Calendar, Hours, SpecialDays};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Calendars by name, with the place of each name.
pub(super) type Calendars = BTreeMap<Arc<str>, At<Arc<Calendar>>>;

/// The calendars of a file. Errors: everything that is wrong with it.
pub fn calendars(
    file: &str,
    text: &str,
) -> Result<BTreeMap<Arc<str>, Arc<Calendar>>, Vec<Problem>> {
    let source = Source::new(file, text);
    let (calendars, problems) = read(&source);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok(calendars.into_iter().map(|(name, calendar)| (name, calendar.value)).collect())
}

/// The calendars of a file whose problems are told elsewhere: a broken one is always open.
pub fn calendars_as_read(file: &str, text: &str) -> BTreeMap<Arc<str>, Arc<Calendar>> {
    let (calendars, _) = read(&Source::new(file, text));
    calendars.into_iter().map(|(name, calendar)| (name, calendar.value)).collect()
}

/// Whatever could be read, and what could not. A calendar with a problem is in the list as one that
/// is always open, so that its name is known to those who look for names.
pub(super) fn read(source: &Source) -> (Calendars, Vec<Problem>) {
    let (mut reader, table) = Reader::parse(source);
    let mut calendars = Calendars::new();
    let file = Fields::new(table.get_ref(), table.span(), "the file");
    for (name, value) in file.entries() {
        if name.trim().is_empty() {
            reader.error(name.span.clone(), "a calendar needs a name", None);
        }
        let what = format!("calendar `{}`", name.value);
        let calendar = reader.table(value, what).and_then(|fields| calendar(fields, &mut reader));
        if calendar.as_ref().is_some_and(Calendar::never_opens) {
            let message = format!("calendar `{}` is closed on every day", name.value);
            let hint = "whoever works by it is never rung; \"always\" is a week too".to_owned();
            reader.warn(name.span.clone(), message, Some(hint));
        }
        let calendar = Arc::new(calendar.unwrap_or_else(Calendar::always));
        calendars.insert(Arc::from(name.value), At::new(calendar, name.span));
    }
    (calendars, reader.into_problems())
}

fn calendar(mut fields: Fields<'_>, reader: &mut Reader<'_>) -> Option<Calendar> {
    let span = fields.span.clone();
    let zone = fields.required("zone", reader).and_then(|value| zone(value, reader));
    let week = fields.required("week", reader).and_then(|value| week(value, reader));
    let special = match fields.optional("days") {
        Some(value) => days(value, reader),
        None => Some(SpecialDays::default()),
    };
    fields.finish(reader);
    match Calendar::new(zone?, week?, special?) {
        Ok(calendar) => Some(calendar),
        Err(error) => {
            reader.error(span, error.0, None);
            None
        }
    }
}

fn zone(value: Value<'_>, reader: &mut Reader<'_>) -> Option<TimeZone> {
    let name = reader.text(value)?;
    let zone = TimeZone::get(&name).ok();
    if zone.is_none() {
        let hint = "a name of the IANA list, like \"Europe/Berlin\" or \"UTC\"".to_owned();
        reader.error(name.span, format!("no time zone is called `{}`", name.value), Some(hint));
    }
    zone
}

fn week(value: Value<'_>, reader: &mut Reader<'_>) -> Option<[Vec<Hours>; 7]> {
    if value.get_ref().is_str() {
        reader.choice(value, &[("always", ())])?;
        return Some(std::array::from_fn(|_| vec![ALL_DAY]));
    }
    let fields = reader.table(value, "week")?;
    let mut week: [Option<Vec<Hours>>; 7] = Default::default();
    let mut good = true;
    for (key, value) in fields.entries() {
        let (Some(days), Some(hours)) = (weekdays(&key, reader), hours(value, reader)) else {
            good = false;
            continue;
        };
        for day in days {
            if week[day].replace(hours.clone()).is_some() {
                reader.error(key.span.clone(), format!("`{}` has hours already", DAYS[day]), None);
                good = false;
            }
        }
    }
    good.then(|| week.map(Option::unwrap_or_default))
}

/// `mon` or `mon-fri`, as indices from Monday.
fn weekdays(key: &At<&str>, reader: &mut Reader<'_>) -> Option<Range<usize>> {
    let (first, last) = key.split_once('-').unwrap_or((key.value, key.value));
    let place = |word: &str| DAYS.iter().position(|day| *day == word);
    match (place(first), place(last)) {
        (Some(first), Some(last)) if first <= last => return Some(first..last + 1),
        (Some(_), Some(_)) => {
            let hint = "a week begins on Monday; write two entries".to_owned();
            reader.error(key.span.clone(), format!("`{key}` goes backwards"), Some(hint));
        }
        (found, _) => {
            let wrong = if found.is_some() { last } else { first };
            let hint = did_you_mean(wrong, DAYS);
            reader.error(key.span.clone(), format!("`{wrong}` is no day of the week"), hint);
        }
    }
    None
}

fn days(value: Value<'_>, reader: &mut Reader<'_>) -> Option<SpecialDays> {
    let fields = reader.table(value, "days")?;
    let mut special = SpecialDays::default();
    let mut good = true;
    for (key, value) in fields.entries() {
        let hours = hours(value, reader);
        good &= hours.is_some();
        let hours = hours.unwrap_or_default();
        if let Ok(date) = key.parse::<Date>() {
            special.dates.insert(date, hours);
        } else if let Some(day) = day_of_year(&key) {
            special.yearly.insert(day, hours);
        } else {
            let hint = "2026-12-24 for one year, 12-24 for every year".to_owned();
            reader.error(key.span.clone(), format!("`{key}` is no day"), Some(hint));
            good = false;
        }
    }
    good.then_some(special)
}

/// `12-24`; the 29th of February exists.
fn day_of_year(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-').filter(|(m, d)| m.len() == 2 && d.len() == 2)?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    Date::new(2024, month, day).ok().map(|_| (month, day))
}

const ALL_DAY: Hours = Hours { open: Time::midnight(), close: Time::midnight() };

/// `"closed"`, `"08:00-20:00"`, `"09:00-13:00, 14:00-18:00"`; sorted.
fn hours(value: Value<'_>, reader: &mut Reader<'_>) -> Option<Vec<Hours>> {
    let text = reader.text(value)?;
    if text.trim() == "closed" {
        return Some(Vec::new());
    }
    let mut day = Vec::new();
    for part in text.split(',') {
        match span_of_hours(part.trim()) {
            Ok(hours) => day.push(hours),
            Err((message, hint)) => {
                reader.error(text.span, message, Some(hint.to_owned()));
                return None;
            }
        }
    }
    day.sort_by_key(|hours| hours.open);
    let overlap =
        day.windows(2).find(|two| two[0].close == Time::midnight() || two[1].open < two[0].close);
    if let Some(two) = overlap {
        let (first, second) = (Shown(two[0]), Shown(two[1]));
        reader.error(text.span, format!("{first} and {second} overlap"), None);
        return None;
    }
    Some(day)
}

fn span_of_hours(text: &str) -> Result<Hours, (String, &'static str)> {
    const FORM: &str = "write \"08:00-20:00\", several with commas, or \"closed\"";
    let bad = || (format!("\"{text}\" is no span of hours"), FORM);
    let (open, close) = text.split_once('-').ok_or_else(bad)?;
    let open = clock(open.trim()).ok_or_else(bad)?;
    let close = match close.trim() {
        "24:00" => Time::midnight(),
        close => match clock(close).ok_or_else(bad)? {
            end if end == Time::midnight() => {
                return Err((format!("\"{text}\" ends at 00:00"), "the day's end is 24:00"));
            }
            end => end,
        },
    };
    if close != Time::midnight() && close <= open {
        let hint = "over midnight: to 24:00, and from 00:00 on the next day";
        return Err((format!("\"{text}\" ends before it begins"), hint));
    }
    Ok(Hours { open, close })
}

/// `08:00`; two digits each.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

struct Shown(Hours);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Hours { open, close } = self.0;
        let end = if close == Time::midnight() { 24 } else { close.hour() };
        write!(f, "{:02}:{:02}-{end:02}:{:02}", open.hour(), open.minute(), close.minute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(u32, u32, String)> {
        let found = calendars("calendars.toml", text).expect_err("problems");
        found.into_iter().map(|p| (p.line, p.column, p.message)).collect()
    }

    #[test]
    fn c2_the_shipped_calendars_are_good() {
        let text = include_str!("../../config/calendars.toml");
        let found = calendars("calendars.toml", text).expect("good calendars");
        let names: Vec<&str> = found.keys().map(|k| k.as_ref()).collect();
        assert_eq!(names, ["finance", "office", "operators", "regional"]);
        let open = |name: &str, at: &str| found[name].is_open(at.parse().expect("an instant"));
        assert!(
            open("finance", "2026-03-05T16:29:00Z") && !open("finance", "2026-03-06T15:15:00Z")
        );
        assert!(open("operators", "2026-12-24T11:59:00Z"), "the short day");
        assert!(!open("operators", "2026-12-24T12:00:00Z"));
        let holiday = "2026-02-23T09:00:00Z";
        assert!(!open("regional", holiday) && open("operators", holiday), "of one branch only");
    }

    #[test]
    fn c2_always_and_split_days_are_possible() {
        let text = "[a]\nzone = \"UTC\"\nweek = \"always\"\n\
                    [b]\nzone = \"UTC\"\nweek = { mon = \"09:00-12:00, 13:00-24:00\" }\n";
        let found = calendars("calendars.toml", text).expect("good calendars");
        let open = |name: &str, at: &str| found[name].is_open(at.parse().expect("an instant"));
        assert!(open("a", "2026-03-01T03:00:00Z"));
        assert!(open("b", "2026-03-02T23:59:59Z") && !open("b", "2026-03-02T12:30:00Z"));
        assert!(!open("b", "2026-03-03T10:00:00Z"));
    }

    #[test]
    fn every_bad_time_range_is_listed_at_its_place() {
        let text = r#"[a]
zone = "Europe/Berlim"
week = { mon-fry = "08:00-20:00", sat = "15:00-09:00", sun = "9-15" }
[b]
zone = "UTC"
weak = { mon = "08:00-20:00" }
[c]
zone = "UTC"
week = { mon-wed = "08:00-12:00, 11:00-13:00", wed-mon = "closed", tue-fri = "22:00-00:00" }
days = { 2026-02-30 = "closed", 12-24 = 8, 02-29 = "closed" }
[d]
zone = "UTC"
week = { mon-wed = "08:00-09:00", tue = "closed" }
"#;
        let expected = [
            (2, 8, "no time zone is called `Europe/Berlim`"),
            (3, 10, "`fry` is no day of the week"),
            (3, 41, "\"15:00-09:00\" ends before it begins"),
            (3, 62, "\"9-15\" is no span of hours"),
            (4, 1, "`week` is missing in calendar `b`"),
            (6, 1, "`weak` is not known in calendar `b`"),
            (9, 20, "08:00-12:00 and 11:00-13:00 overlap"),
            (9, 48, "`wed-mon` goes backwards"),
            (9, 78, "\"22:00-00:00\" ends at 00:00"),
            (10, 10, "`2026-02-30` is no day"),
            (10, 41, "this is a number, a text in quotes is needed"),
            (13, 35, "`tue` has hours already"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(line, column, m)| (*line, *column, m.to_string())).collect();
        assert_eq!(problems(text), expected);
    }
}
