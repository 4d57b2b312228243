//! TOML with places: reads tables field by field and notes *every* problem instead of the first.
//!
//! A [`Reader`] holds one file and the problems found in it so far. A [`Fields`] is one table; the
//! fields that were asked for are the known ones, whatever else stands in it is a problem with a
//! "did you mean". Each accessor gives `None` after it has noted why. Knows nothing of policies.

use std::fmt;
use std::ops::{Deref, Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::steers;

use super::problem::{Problem, Severity, Source, did_you_mean};

/// A value and the bytes of the file that it came from.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), span: self.span }
    }
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A TOML value with its place.
pub type Value<'a> = &'a Spanned<DeValue<'a>>;

/// Where keys and texts of a table have a character that is not shown: control characters, and what turns
/// the direction of text. A name with one could not be typed, and would garble every list.
pub fn unshown(table: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (key, value) in table {
        if key.get_ref().contains(steers) {
            found.push(key.span());
        }
        unshown_in(value, &mut found);
    }
    found
}

fn unshown_in(value: Value<'_>, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(text) if text.contains(steers) => found.push(value.span()),
        DeValue::Array(list) => list.iter().for_each(|item| unshown_in(item, found)),
        DeValue::Table(table) => found.extend(unshown(table)),
        _ => {}
    }
}

/// What is said of it.
pub const UNSHOWN: &str = "this text has a control character, or one that turns its direction";

/// One file being read, and what is wrong with it.
#[derive(Debug)]
pub struct Reader<'s> {
    source: &'s Source,
    problems: Vec<Problem>,
}

impl<'s> Reader<'s> {
    /// The file's tables, as far as its syntax can be understood; errors of syntax are noted.
    pub fn parse(source: &'s Source) -> (Self, Spanned<DeTable<'s>>) {
        let (table, errors) = DeTable::parse_recoverable(source.text());
        let mut reader = Self { source, problems: Vec::new() };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            reader.error(span, error.message().to_owned(), None);
        }
        for span in unshown(table.get_ref()) {
            reader.error(span, UNSHOWN, None);
        }
        (reader, table)
    }

    /// The file.
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Something is wrong at `span`.
    pub fn error(&mut self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        let problem = self.source.problem(Severity::Error, span, message, hint);
        self.problems.push(problem);
    }

    /// Something works and is probably not meant.
    pub fn warn(&mut self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        let problem = self.source.problem(Severity::Warning, span, message, hint);
        self.problems.push(problem);
    }

    /// Errors noted so far.
    pub fn error_count(&self) -> usize {
        self.problems.iter().filter(|p| p.is_error()).count()
    }

    /// Everything noted, in the order of the text.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| p.span.start);
        self.problems
    }

    fn wrong_type(&mut self, value: Value<'_>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(value.span(), format!("this is {found}, {wanted} is needed"), None);
    }

    /// A text.
    pub fn text(&mut self, value: Value<'_>) -> Option<At<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(At::new(text.to_string(), value.span())),
            _ => {
                self.wrong_type(value, "a text in quotes");
                None
            }
        }
    }

    /// One text or a list of them; never empty.
    pub fn texts(&mut self, value: Value<'_>) -> Option<Vec<At<String>>> {
        match value.get_ref() {
            DeValue::String(text) => Some(vec![At::new(text.to_string(), value.span())]),
            DeValue::Array(list) if list.is_empty() => {
                self.error(value.span(), "this list is empty", None);
                None
            }
            DeValue::Array(list) => {
                let texts: Vec<_> = list.iter().filter_map(|v| self.text(v)).collect();
                (texts.len() == list.len()).then_some(texts)
            }
            _ => {
                self.wrong_type(value, "a text or a list of texts");
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: Value<'_>) -> Option<At<bool>> {
        match value.get_ref() {
            DeValue::Boolean(yes) => Some(At::new(*yes, value.span())),
            _ => {
                self.wrong_type(value, "true or false");
                None
            }
        }
    }

    /// A whole number within `bounds`.
    pub fn integer(&mut self, value: Value<'_>, bounds: RangeInclusive<i64>) -> Option<At<i64>> {
        let DeValue::Integer(written) = value.get_ref() else {
            self.wrong_type(value, "a whole number");
            return None;
        };
        match i64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if bounds.contains(&number) => Some(At::new(number, value.span())),
            _ => {
                let (low, high) = bounds.into_inner();
                let message = format!("`{written}` is outside {low} to {high}");
                self.error(value.span(), message, None);
                None
            }
        }
    }

    /// A length of time such as `"20s"`, `"1m30s"`, `"1d"`, within `bounds`.
    pub fn duration(
        &mut self,
        value: Value<'_>,
        bounds: RangeInclusive<Duration>,
    ) -> Option<At<Duration>> {
        if let DeValue::Integer(number) = value.get_ref() {
            let hint = Some(format!("write \"{number}s\" for seconds"));
            self.error(value.span(), "a length of time needs its unit", hint);
            return None;
        }
        let text = self.text(value)?;
        match parse_duration(&text) {
            Some(span) if bounds.contains(&span) => Some(At::new(span, text.span)),
            Some(_) => {
                let (low, high) = (Words(*bounds.start()), Words(*bounds.end()));
                self.error(text.span, format!("`{}` is outside {low} to {high}", text.value), None);
                None
            }
            None => {
                let hint = Some("like \"20s\", \"1m30s\", \"2h\" or \"1d\"".to_owned());
                let message = format!("\"{}\" is not a length of time", text.value);
                self.error(text.span, message, hint);
                None
            }
        }
    }

    /// One of `known` words.
    pub fn choice<T: Copy>(&mut self, value: Value<'_>, known: &[(&str, T)]) -> Option<At<T>> {
        let text = self.text(value)?;
        let found = known.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let hint = did_you_mean(&text, known.iter().map(|(word, _)| *word));
            self.error(text.span.clone(), format!("`{}` is not known here", text.value), hint);
        }
        found.map(|(_, choice)| At::new(*choice, text.span))
    }

    /// A table, called `what` in messages.
    pub fn table<'a>(&mut self, value: Value<'a>, what: impl Into<String>) -> Option<Fields<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Fields::new(table, value.span(), what)),
            _ => {
                self.wrong_type(value, "a table");
                None
            }
        }
    }

    /// A list of tables.
    pub fn tables<'a>(&mut self, value: Value<'a>, what: &str) -> Vec<Fields<'a>> {
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong_type(value, "a list of tables");
            return Vec::new();
        };
        list.iter().filter_map(|v| self.table(v, what)).collect()
    }
}

/// One table, field by field.
#[derive(Debug)]
pub struct Fields<'a> {
    table: &'a DeTable<'a>,
    /// Where the table stands.
    pub span: Range<usize>,
    what: String,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// `what` names the table in messages: `a rule`, `[settings]`.
    pub fn new(table: &'a DeTable<'a>, span: Range<usize>, what: impl Into<String>) -> Self {
        Self { table, span, what: what.into(), asked: Vec::new() }
    }

    /// The field's value, if it stands here.
    pub fn optional(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.asked.push(name);
        self.table.get(name)
    }

    /// The field's value; its absence is noted.
    pub fn required(&mut self, name: &'static str, reader: &mut Reader<'_>) -> Option<Value<'a>> {
        let value = self.optional(name);
        if value.is_none() {
            reader.error(self.span.clone(), format!("`{name}` is missing in {}", self.what), None);
        }
        value
    }

    /// Every field with its key's place, as they are written: for tables whose keys are names.
    pub fn entries(&self) -> impl Iterator<Item = (At<&'a str>, Value<'a>)> + use<'a> {
        let fields = self.table.iter();
        let mut fields: Vec<_> = fields
            .map(|(key, value)| (At::new(key.get_ref().as_ref(), key.span()), value))
            .collect();
        fields.sort_by_key(|(key, _)| key.span.start);
        fields.into_iter()
    }

    /// Notes every field that nobody asked for. To be called last.
    pub fn finish(self, reader: &mut Reader<'_>) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !self.asked.contains(&name) {
                let hint = did_you_mean(name, self.asked.iter().copied());
                let message = format!("`{name}` is not known in {}", self.what);
                reader.error(key.span(), message, hint);
            }
        }
    }
}

/// `20s`, `1m30s`, `500ms`, `2h`, `1d`; units once each, largest first or in any order.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(count.checked_mul(millis)?))?;
        rest = rest[letters..].trim_start();
    }
    Some(total)
}

/// A length of time as a person says it, in its largest unit: `3 d`, `5 h`, `12 min`, `40 s`.
#[derive(Clone, Copy, Debug)]
pub struct Words(pub Duration);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 if !self.0.is_zero() => write!(f, "{} ms", self.0.as_millis()),
            s if s < 120 => write!(f, "{s} s"),
            s if s < 7_200 => write!(f, "{} min", s / 60),
            s if s < 172_800 => write!(f, "{} h", s / 3_600),
            s => write!(f, "{} d", s / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_need_units_and_say_them_once_read() {
        let seconds = |text| parse_duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("20s"), Some(20));
        assert_eq!(seconds("1m30s"), Some(90));
        assert_eq!(seconds("1 d 2 h"), Some(93_600));
        for wrong in ["", "20", "s", "20 parsecs", "-1s", "1.5s", "99999999999999999999s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(Words(Duration::from_secs(93_600)).to_string(), "26 h");
    }

    #[test]
    fn several_type_errors_are_all_found_in_one_reading() {
        let source = Source::new("x.toml", "a = 1\nb = \"2\"\nc = [1]\nd = true\nwhoami = 1\n");
        let (mut reader, table) = Reader::parse(&source);
        let mut fields = Fields::new(table.get_ref(), table.span(), "the file");
        assert!(fields.required("a", &mut reader).and_then(|v| reader.text(v)).is_none());
        assert!(fields.required("b", &mut reader).and_then(|v| reader.boolean(v)).is_none());
        assert!(fields.required("c", &mut reader).and_then(|v| reader.texts(v)).is_none());
        assert!(fields.required("e", &mut reader).is_none());
        assert!(fields.optional("d").and_then(|v| reader.boolean(v)).is_some_and(|b| *b));
        assert!(fields.optional("whoam").is_none());
        fields.finish(&mut reader);
        let found: Vec<_> =
            reader.into_problems().into_iter().map(|p| (p.line, p.column, p.hint)).collect();
        let guess = Some("did you mean `whoam`?".to_owned());
        let places = [(1, 1, None), (1, 5, None), (2, 5, None), (3, 6, None), (5, 1, guess)];
        assert_eq!(found, places);
    }

    #[test]
    fn errors_of_syntax_do_not_hide_what_stands_beside_them() {
        let source = Source::new("x.toml", "a = \nb = 3\nc = [\n");
        let (mut reader, table) = Reader::parse(&source);
        let mut fields = Fields::new(table.get_ref(), table.span(), "the file");
        assert!(fields.optional("b").and_then(|v| reader.text(v)).is_none());
        let lines: Vec<u32> = reader.into_problems().iter().map(|p| p.line).collect();
        assert!(lines.contains(&1) && lines.contains(&2) && lines.len() >= 3, "{lines:?}");
    }
}
