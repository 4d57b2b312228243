//! What stands in one cell: amounts, days, yes and no, numbers, names.
//!
//! Each function says what is wrong in words that name the cell's text. What could mean two things is
//! refused: a wrong debt sends a client to the wrong people.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::{Money, Number, NumberFormat};

/// The largest amount, in whole units: far above any balance, far below an overflow.
const UNITS_MAX: i64 = 1_000_000_000_000;

/// `1 234,56`, `1234.56`, `1.234,56`, `1'234.56`, `-5`, `12,5 €`; empty is zero.
pub(super) fn amount(text: &str) -> Result<Money, String> {
    let wrong = |why: &str| format!("'{text}' is no amount{why}");
    let bare: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '’' | '€' | '$' | '£' | '₽'))
        .map(|c| if c == '−' { '-' } else { c })
        .collect();
    let (sign, digits) = match bare.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, bare.strip_prefix('+').unwrap_or(&bare)),
    };
    if digits.is_empty() {
        return if text.trim().is_empty() { Ok(Money(0)) } else { Err(wrong("")) };
    }
    if !digits.chars().all(|c| c.is_ascii_digit() || c == ',' || c == '.') {
        return Err(wrong(""));
    }
    let (whole, fraction) = match digits.rsplit_once([',', '.']) {
        None => (digits, ""),
        Some((whole, fraction)) => {
            let mark = &digits[whole.len()..=whole.len()];
            let again = whole.contains(mark);
            let other = whole.contains([',', '.']) && !again;
            match fraction.len() {
                3 if again && !other => (digits, ""),
                3 => return Err(wrong(": thousands or a fraction? write 1234 or 1234,00")),
                1 | 2 if !again => (whole, fraction),
                _ => return Err(wrong(": at most two digits behind the comma")),
            }
        }
    };
    let units = thousands(whole).ok_or_else(|| wrong(""))?;
    if units > UNITS_MAX {
        return Err(wrong(": too large"));
    }
    let cents: i64 = format!("{fraction:0<2}").parse().map_err(|_| wrong(""))?;
    Ok(Money(sign * (units * 100 + cents)))
}

/// An amount that nobody has less than nothing of: a debt, a limit.
pub(super) fn debt(text: &str) -> Result<Money, String> {
    match amount(text)? {
        Money(cents) if cents < 0 => Err(format!("'{text}' is negative")),
        money => Ok(money),
    }
}

/// Digits, in groups of three if there are marks between them.
fn thousands(whole: &str) -> Option<i64> {
    let groups: Vec<&str> = whole.split([',', '.']).collect();
    let fits = match groups.as_slice() {
        [] => false,
        [one] => !one.is_empty(),
        [first, rest @ ..] => (1..=3).contains(&first.len()) && rest.iter().all(|g| g.len() == 3),
    };
    let digits = groups.concat();
    // Longer than any amount: the caller says "too large".
    let parsed = || if digits.len() > 18 { Some(i64::MAX) } else { digits.parse().ok() };
    fits.then(parsed).flatten()
}

/// `2026-03-02`, `02.03.2026`, `today`, `today-12`, `today+3`; a time behind the day is left out.
pub(super) fn day(text: &str, today: Date) -> Result<Date, String> {
    let text = text.trim();
    let wrong = || format!("'{text}' is no day: write 2026-03-02, 02.03.2026 or today-12");
    if let Some(offset) = text.to_lowercase().strip_prefix("today") {
        let offset = offset.replace(' ', "");
        let days: i64 = match offset.as_str() {
            "" => 0,
            signed if signed.starts_with(['+', '-']) => signed.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        let span = jiff::Span::new().try_days(days).map_err(|_| wrong())?;
        return today.checked_add(span).map_err(|_| wrong());
    }
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    if date.len() == 10 && date.as_bytes()[4] == b'-' {
        return date.parse().map_err(|_| wrong());
    }
    let parts: Vec<&str> = date.split('.').collect();
    let [day, month, year] = parts.as_slice() else { return Err(wrong()) };
    if year.len() != 4 || parts.iter().any(|p| !p.bytes().all(|b| b.is_ascii_digit())) {
        return Err(wrong());
    }
    let (Ok(day), Ok(month), Ok(year)) = (day.parse(), month.parse(), year.parse()) else {
        return Err(wrong());
    };
    Date::new(year, month, day).map_err(|_| wrong())
}

/// A time, or the beginning (UTC) of a day as [`day`] reads one.
pub(super) fn time(text: &str, today: Date) -> Result<Timestamp, String> {
    if let Some(at) = crate::store::rows::instant(text) {
        return Ok(at);
    }
    let midnight = day(text, today)?.to_datetime(jiff::civil::Time::midnight());
    jiff::tz::TimeZone::UTC.to_timestamp(midnight).map_err(|e| e.to_string())
}

/// Yes or no in the words of several languages; empty is no.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "x" | "+" | "да" | "ja" => Ok(true),
        "" | "no" | "n" | "false" | "0" | "-" | "нет" | "nein" => Ok(false),
        _ => Err(format!("'{text}' is neither yes nor no")),
    }
}

/// All numbers of a cell, separated by `,`, `;`, `|` or a new line.
pub(super) fn numbers(text: &str, format: &NumberFormat) -> Vec<Result<Number, String>> {
    let parts = text.split([',', ';', '|', '\n']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| number(part, format)).collect()
}

fn number(text: &str, format: &NumberFormat) -> Result<Number, String> {
    // A spreadsheet takes `+442079460001` for a sum and keeps 442079460001.
    let bare = text.len() >= 11 && !text.starts_with('0');
    let bare = bare && text.bytes().all(|b| b.is_ascii_digit());
    let plusless = bare.then(|| Number::parse(&format!("+{text}"), format)).flatten();
    match (Number::parse(text, format), plusless) {
        (Some(one), Some(other)) if one != other => {
            Err(format!("'{text}' is {one} or {other}: write it with its plus or its leading zero"))
        }
        (Some(number), _) | (None, Some(number)) => Ok(number),
        (None, None) => Err(format!("'{text}' is no telephone number ({})", format.country())),
    }
}

/// Words of a cell, separated by `,`, `;`, `|` or spaces.
pub(super) fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|'));
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// `Own outlet` as files and rules call it: `own_outlet`.
pub(super) fn type_name(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    let words = lower.split(|c: char| c.is_whitespace() || c == '-' || c == '_');
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// A short name: letters, digits, `.`, `-`, `_`; at most 64.
pub(super) fn short_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.chars().count() <= 64 && !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("'{text}' is no short name (letters, digits, '.', '-', '_'; at most 64)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, cents) in [
            ("1 234,56", 123_456),
            ("1\u{a0}234,56", 123_456),
            ("1234.56", 123_456),
            ("1.234,56", 123_456),
            ("1,234.56", 123_456),
            ("1'234.5", 123_450),
            ("1.234.567", 123_456_700),
            ("-0,01", -1),
            ("−12", -1_200),
            ("12,5 €", 1_250),
            ("", 0),
            ("0", 0),
        ] {
            assert_eq!(amount(text), Ok(Money(cents)), "{text}");
        }
    }

    #[test]
    fn amounts_that_mean_two_things_or_nothing_are_refused() {
        for text in ["1.234", "12,345", "1,2,3", "1.23.45", "abc", "-", "12-", "1e5", ".", "1.5678"]
        {
            assert!(amount(text).is_err(), "{text}");
        }
        let huge = "9".repeat(30);
        assert!(amount(&huge).is_err_and(|e| e.contains("too large")));
    }

    #[test]
    fn days_are_absolute_or_count_from_today() {
        let today = Date::constant(2026, 3, 2);
        for (text, expected) in [
            ("2026-02-28", "2026-02-28"),
            ("28.02.2026", "2026-02-28"),
            ("1.2.2026", "2026-02-01"),
            ("2026-02-28 12:30:00", "2026-02-28"),
            ("today", "2026-03-02"),
            ("Today-12", "2026-02-18"),
            ("today + 3", "2026-03-05"),
        ] {
            assert_eq!(day(text, today).map(|d| d.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "02/03/2026", "30.02.2026", "1.2.26", "today12", "todayx", "2026-2-3"] {
            assert!(day(text, today).is_err(), "{text}");
        }
        assert!(day("today-99999999999", today).is_err());
    }

    #[test]
    fn several_numbers_stand_in_one_cell() {
        let format = NumberFormat::of("DE");
        let all = |text: &str, format: &NumberFormat| {
            numbers(text, format).into_iter().collect::<Result<Vec<_>, _>>()
        };
        let found = all("030 23125-001; +44 20 7946 0001\n0049 30 23125002", &format);
        let found: Vec<_> = found.expect("all good").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["+493023125001", "+442079460001", "+493023125002"]);
        let russian = NumberFormat::of("RU");
        let plusless = all("442079460001", &russian).expect("a spreadsheet's");
        assert_eq!(plusless[0].as_str(), "+442079460001");
        let error = all("442079460001", &format).expect_err("valid in two countries");
        assert!(error.contains("+49442079460001 or +442079460001"), "{error}");
        let mixed = numbers("call me; 030 23125-001; her", &format);
        assert_eq!(mixed.iter().filter(|one| one.is_err()).count(), 2, "each is told");
    }

    #[test]
    fn names_of_types_are_levelled() {
        assert_eq!(type_name(" Own  Outlet"), "own_outlet");
        assert_eq!(type_name("KEY"), "key");
    }
}
