//! Telephone numbers as E.164 (clause A1), whatever a trunk or a spreadsheet writes.

use std::fmt;
use std::sync::Arc;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use serde::{Deserialize, Serialize};

/// The longest text that is looked at; a number with everything around it is far shorter.
const RAW_LEN_MAX: usize = 64;

/// A number in E.164 form: `+` and 3 to 15 digits. Equal numbers are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(Arc<str>);

impl Number {
    /// `raw` as written in `format`'s country: national, `00`, `+`, with separators. `None` for
    /// a withheld, internal or malformed number.
    pub fn parse(raw: &str, format: &NumberFormat) -> Option<Self> {
        let raw = raw.trim();
        if raw.is_empty() || raw.len() > RAW_LEN_MAX || !raw.chars().any(char::is_numeric) {
            return None;
        }
        let dialled = format.undo_prefixes(without_extension(raw)?);
        let region = Region::from_code(format.country()).ok()?;
        let parsed = PHONE_NUMBER_UTIL.parse(&dialled, Some(region)).ok()?;
        if !PHONE_NUMBER_UTIL.is_valid_number(&parsed) {
            return None;
        }
        let text = PHONE_NUMBER_UTIL.format(&parsed, PhoneNumberFormat::E164);
        Some(Self(Arc::from(text.as_ref())))
    }

    /// From text that is E.164 already: `+` and 3 to 15 digits. Does not ask whether it is assigned.
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let fits = (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(Arc::from(text)))
    }

    /// `+` and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What people write before an extension, without the dot.
const EXTENSION_WORDS: [&str; 8] = ["ext", "extn", "extension", "x", "app", "доб", "вн", "внутр"];
/// Digits of an extension.
const EXTENSION_LEN_MAX: usize = 11;

/// The number before its extension. `None`: letters that are none, which the library would read as keys
/// of a telephone, and so as somebody else's number.
fn without_extension(raw: &str) -> Option<&str> {
    let Some(at) = raw.find(char::is_alphabetic) else { return Some(raw) };
    let (number, rest) = raw.split_at(at);
    let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let digits = rest.trim_start_matches(['.', ':', '-', ' ', '#']);
    let is_extension = EXTENSION_WORDS.contains(&word.to_lowercase().as_str())
        && (1..=EXTENSION_LEN_MAX).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit());
    is_extension.then_some(number)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a trunk, or a file, writes numbers that carry no country code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberFormat {
    /// ISO 3166 country, `RU`, `DE`: whose national numbers these are.
    country: Arc<str>,
    /// Written before every number to leave the PBX (`9`), removed first.
    #[serde(default)]
    outside_line: Option<Arc<str>>,
    /// The trunk writes E.164 without its plus sign.
    #[serde(default)]
    bare_international: bool,
}

impl NumberFormat {
    /// National numbers of `country` (ISO 3166), no outside line.
    pub fn of(country: &str) -> Self {
        Self { country: Arc::from(country), outside_line: None, bare_international: false }
    }

    /// National numbers of `country` (ISO 3166), written after `outside_line` if there is one;
    /// with `bare_international`, E.164 comes without its plus sign.
    pub fn new(country: &str, outside_line: Option<&str>, bare_international: bool) -> Self {
        let outside_line = outside_line.map(Arc::from);
        Self { country: Arc::from(country), outside_line, bare_international }
    }

    /// The country is one that the number library knows.
    pub fn is_known(&self) -> bool {
        Region::from_code(&self.country)
            .is_ok_and(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(region).is_some())
    }

    /// Has the library compile its patterns for the country, which takes up to a tenth of a second once:
    /// the first caller shall not wait for it.
    pub fn make_ready(&self) {
        let example = Region::from_code(&self.country)
            .ok()
            .and_then(|region| PHONE_NUMBER_UTIL.get_example_number(region).ok());
        if let Some(example) = example {
            let text = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::National);
            Number::parse(&text, self);
        }
    }

    /// ISO 3166 country.
    pub fn country(&self) -> &str {
        &self.country
    }

    /// What was dialled, without the digits before an outside number: for emergency and service
    /// numbers, which are no numbers of a country.
    pub fn without_outside_line<'a>(&self, dialled: &'a str) -> &'a str {
        match &self.outside_line {
            Some(prefix) => dialled.strip_prefix(prefix.as_ref()).unwrap_or(dialled),
            None => dialled,
        }
    }

    /// Whether what was dialled asks for an outside number: it begins with the digits for that, if there are
    /// any, or with `+`. Emergency numbers (three digits, 1 or 9 first) never need them; a star code that
    /// is none of ours is nobody's number.
    pub fn goes_outside(&self, dialled: &str) -> bool {
        let Some(prefix) = &self.outside_line else { return !dialled.starts_with(['*', '#']) };
        let is_emergency = dialled.len() == 3 && dialled.starts_with(['1', '9']);
        dialled.starts_with('+') || dialled.starts_with(&**prefix) || is_emergency
    }

    fn undo_prefixes<'a>(&self, raw: &'a str) -> std::borrow::Cow<'a, str> {
        if raw.starts_with('+') {
            return raw.into();
        }
        let inside = self.without_outside_line(raw);
        let bare = self.bare_international && !inside.starts_with("00") && inside.len() > 7;
        if bare { format!("+{inside}").into() } else { inside.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e164(raw: &str, country: &str) -> Option<String> {
        Number::parse(raw, &NumberFormat::of(country)).map(|n| n.to_string())
    }

    #[test]
    fn one_number_in_every_spelling_is_one_number() {
        for raw in ["+49 30 23125 001", "0049 30 23125001", "030/23125-001", "+493023125001"] {
            assert_eq!(e164(raw, "DE").as_deref(), Some("+493023125001"), "{raw}");
        }
        for raw in ["8 (812) 123-45-67", "+7 812 1234567", "8-10-7-812-123-45-67"] {
            assert_eq!(e164(raw, "RU").as_deref(), Some("+78121234567"), "{raw}");
        }
    }

    #[test]
    fn an_outside_line_is_asked_for() {
        let format = NumberFormat::new("DE", Some("0"), false);
        for dialled in ["0030231250", "+4930231250", "0110", "110", "112", "911"] {
            assert!(format.goes_outside(dialled), "{dialled}");
        }
        for dialled in ["998x", "998877", "*99", "#31#", "212"] {
            assert!(!format.goes_outside(dialled), "{dialled}");
        }
        let direct = NumberFormat::of("DE");
        assert!(direct.goes_outside("030231250") && !direct.goes_outside("*99"));
    }

    #[test]
    fn letters_are_an_extension_or_no_number() {
        for raw in ["+49 30 23125 001 ext. 12", "+493023125001x12", "030 23125001 Ext 7"] {
            assert_eq!(e164(raw, "DE").as_deref(), Some("+493023125001"), "{raw}");
        }
        assert_eq!(e164("8 (812) 123-45-67 доб. 12", "RU").as_deref(), Some("+78121234567"));
        for raw in
            ["+493023125aab", "+4930abc", "+4930231251ab", "+493023125007ab", "+49CALLME7777"]
        {
            assert_eq!(e164(raw, "DE"), None, "{raw}");
        }
    }

    #[test]
    fn withheld_internal_and_malformed_numbers_are_none() {
        for raw in ["", "anonymous", "Anonymous", "101", "+", "+999999999999999999", "0", "١"] {
            assert_eq!(e164(raw, "DE"), None, "{raw}");
        }
    }

    #[test]
    fn a_trunk_may_write_e164_without_plus_or_with_an_outside_line() {
        let bare = NumberFormat { bare_international: true, ..NumberFormat::of("DE") };
        let number = Number::parse("442079460001", &bare);
        assert_eq!(number.as_ref().map(Number::as_str), Some("+442079460001"));
        let nine = NumberFormat { outside_line: Some("9".into()), ..NumberFormat::of("DE") };
        let number = Number::parse("903023125001", &nine);
        assert_eq!(number.as_ref().map(Number::as_str), Some("+493023125001"));
    }

    #[test]
    fn an_emergency_number_is_reached_with_and_without_the_outside_line() {
        let format = NumberFormat::new("DE", Some("0"), false);
        assert_eq!(Number::parse("0110", &format), None, "no number of a country");
        for (dialled, outside) in [("0110", "110"), ("110", "110"), ("0", "")] {
            assert_eq!(format.without_outside_line(dialled), outside);
        }
        assert_eq!(NumberFormat::of("DE").without_outside_line("0110"), "0110");
    }
}
