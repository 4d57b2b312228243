//! Tables of telephone numbers: called numbers → departments, calling prefixes → regions (clause B1).
//!
//! A pattern is a number (`"+49 30 23125 100"`, or as the trunk sends it: `"200"`) or, with a star at
//! its end, every number that begins so. Two patterns of one table never fit the same number; what is
//! cut out of a wide one is named in its `except`. Knows no departments and no regions.

use std::fmt;
use std::sync::Arc;

use super::fields::{At, Fields, Reader, Value};
use crate::domain::{Number, NumberFormat};

/// A number as a call brings it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled<'a> {
    /// As E.164, if it is one.
    pub e164: Option<&'a str>,
    /// As it came.
    pub raw: &'a str,
}

impl<'a> Dialled<'a> {
    pub(super) fn new(number: Option<&'a Number>, raw: &'a str) -> Self {
        Self { e164: number.map(Number::as_str), raw: raw.trim() }
    }
}

/// An international number has no more (E.164).
const NUMBER_DIGITS_MAX: usize = 15;

/// One number, or all that begin so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    digits: Arc<str>,
    open_ended: bool,
}

impl Pattern {
    /// `text` as an admin writes it; separators do not count.
    pub(super) fn parse(text: &str, format: &NumberFormat) -> Option<Self> {
        let separators = [' ', '-', '(', ')', '/', '.'];
        let bare: String = text.chars().filter(|c| !separators.contains(c)).collect();
        let (bare, open_ended) = match bare.strip_suffix('*') {
            Some(bare) => (bare, true),
            None => (bare.as_str(), false),
        };
        let digits = bare.strip_prefix('+').unwrap_or(bare);
        if digits.is_empty()
            || digits.len() > NUMBER_DIGITS_MAX
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let whole = !open_ended && !bare.starts_with('+');
        let national = whole.then(|| Number::parse(bare, format)).flatten();
        let digits = national.map_or_else(|| Arc::from(bare), |n| Arc::from(n.as_str()));
        Some(Self { digits, open_ended })
    }

    pub(super) fn fits(&self, dialled: Dialled<'_>) -> bool {
        let number = if self.digits.starts_with('+') { dialled.e164 } else { Some(dialled.raw) };
        number.is_some_and(|number| self.fits_text(number))
    }

    fn fits_text(&self, number: &str) -> bool {
        match self.open_ended {
            true => number.starts_with(self.digits.as_ref()),
            false => number == self.digits.as_ref(),
        }
    }

    /// Every number of `other` is one of this.
    fn covers(&self, other: &Pattern) -> bool {
        self == other || (self.open_ended && other.digits.starts_with(self.digits.as_ref()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)?;
        f.write_str(if self.open_ended { "*" } else { "" })
    }
}

/// A number for each class that `patterns` can tell apart: for each pattern one that no narrower one
/// fits (none if the narrower ones leave nothing), and last one that fits nowhere.
pub(super) fn witnesses(patterns: &[Pattern]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for pattern in patterns {
        let narrower: Vec<&Pattern> =
            patterns.iter().filter(|p| *p != pattern && pattern.covers(p)).collect();
        let fresh = |number: &String| !narrower.iter().any(|p| p.fits_text(number));
        let whole = pattern.digits.to_string();
        let witness = match pattern.open_ended {
            false => Some(whole),
            true => (0..100)
                .map(|tail| format!("{whole}{tail}"))
                .chain((0..100).map(|tail| format!("{whole}{tail:02}")))
                .find(fresh),
        };
        found.extend(witness);
    }
    found.sort();
    found.dedup();
    found.push(String::new());
    found
}

/// One line of a table.
#[derive(Clone, Debug)]
struct Entry<T> {
    pattern: At<Pattern>,
    except: Arc<[Pattern]>,
    value: At<T>,
}

impl<T> Entry<T> {
    fn fits(&self, dialled: Dialled<'_>) -> bool {
        self.pattern.fits(dialled) && !self.except.iter().any(|p| p.fits(dialled))
    }

    fn overlaps(&self, other: &Entry<T>) -> bool {
        let leaves = |wide: &Entry<T>, narrow: &Entry<T>| {
            wide.pattern.covers(&narrow.pattern)
                && !wide.except.iter().any(|e| e.covers(&narrow.pattern))
        };
        leaves(self, other) || leaves(other, self)
    }
}

/// Patterns of one table: each is compared with the others.
const NUMBERS_MAX: usize = 5_000;

/// Numbers → values; at most one value for a number.
#[derive(Clone, Debug)]
pub(super) struct Numbers<T> {
    entries: Vec<Entry<T>>,
    /// More were named than are taken; told once.
    full: bool,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), full: false }
    }
}

impl<T> Numbers<T> {
    /// Reads `[[called]]`-like tables: `number` (one or several), `except`, and the value in `field`.
    pub(super) fn read(
        tables: Vec<Fields<'_>>,
        field: &'static str,
        make: impl Fn(&str) -> T,
        format: &NumberFormat,
        reader: &mut Reader<'_>,
    ) -> Self {
        let mut numbers = Self::default();
        for mut fields in tables {
            let number = fields.required("number", reader);
            let patterns_here = number.and_then(|v| patterns(v, format, reader));
            let except = fields.optional("except").and_then(|v| patterns(v, format, reader));
            let value = fields.required(field, reader).and_then(|v| reader.text(v));
            fields.finish(reader);
            let except: Arc<[Pattern]> =
                except.into_iter().flatten().map(|pattern| pattern.value).collect();
            let Some(value) = value else { continue };
            for pattern in patterns_here.into_iter().flatten() {
                let value = At::new(make(&value), value.span.clone());
                let entry = Entry { pattern, except: except.clone(), value };
                numbers.add(entry, reader);
            }
        }
        numbers
    }

    fn add(&mut self, entry: Entry<T>, reader: &mut Reader<'_>) {
        if self.entries.len() >= NUMBERS_MAX {
            if !std::mem::replace(&mut self.full, true) {
                let message = format!("more than {NUMBERS_MAX} numbers in one table");
                let hint = "a star at the end stands for all that begin so".to_owned();
                reader.error(entry.pattern.span.clone(), message, Some(hint));
            }
            return;
        }
        if let Some(other) = self.entries.iter().find(|other| other.overlaps(&entry)) {
            let (line, _) = reader.source().position(other.pattern.span.start);
            let is_same = other.pattern.value == entry.pattern.value;
            let message = match is_same {
                true => format!("`{}` stands in line {line} already", entry.pattern),
                false => format!("`{}` overlaps `{}` in line {line}", entry.pattern, other.pattern),
            };
            let hint = "name the narrower one in the wider one's `except`".to_owned();
            let hint = (!is_same).then_some(hint);
            reader.error(entry.pattern.span.clone(), message, hint);
        }
        self.entries.push(entry);
    }

    /// The value for a number, with the pattern that fits it.
    pub(super) fn find(&self, dialled: Dialled<'_>) -> Option<(&Pattern, &T)> {
        let entry = self.entries.iter().find(|entry| entry.fits(dialled))?;
        Some((&entry.pattern, &entry.value))
    }

    /// All patterns, those too that cut others out.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let all = self.entries.iter();
        all.flat_map(|entry| std::iter::once(&entry.pattern.value).chain(entry.except.iter()))
    }

    /// All values with their places.
    pub(super) fn values(&self) -> impl Iterator<Item = &At<T>> {
        self.entries.iter().map(|entry| &entry.value)
    }
}

/// One pattern or a list of them.
pub(super) fn patterns(
    value: Value<'_>,
    format: &NumberFormat,
    reader: &mut Reader<'_>,
) -> Option<Vec<At<Pattern>>> {
    let texts = reader.texts(value)?;
    let mut good = true;
    let mut found = Vec::new();
    for text in texts {
        match Pattern::parse(&text, format) {
            Some(pattern) => found.push(At::new(pattern, text.span)),
            None => {
                let hint =
                    "like \"+49 30 23125 100\", or \"+49 30 23125 2*\" for all that begin so";
                let digits = text.value.bytes().filter(u8::is_ascii_digit).count();
                let message = match digits > NUMBER_DIGITS_MAX {
                    true => format!("\"{}\" has more than 15 digits", text.value),
                    false => format!("\"{}\" is no number", text.value),
                };
                reader.error(text.span, message, Some(hint.to_owned()));
                good = false;
            }
        }
    }
    good.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, &NumberFormat::of("DE")).expect("a pattern")
    }

    fn e164(text: &str) -> Dialled<'_> {
        Dialled { e164: Some(text), raw: text }
    }

    #[test]
    fn a_pattern_is_a_number_or_all_that_begin_so() {
        assert!(pattern("+49 (30) 23125-100").fits(e164("+493023125100")));
        assert!(pattern("030 23125 100").fits(e164("+493023125100")), "national");
        assert!(!pattern("+49 30 23125 100").fits(e164("+4930231251001")));
        assert!(pattern("+49 30 23125 2*").fits(e164("+493023125299")));
        assert!(pattern("200").fits(Dialled { e164: None, raw: "200" }), "as the trunk sends it");
        assert!(!pattern("2*").fits(Dialled { e164: Some("+2"), raw: "+2" }));
        for wrong in ["", "*", "+", "wholesale", "+49*1", "1234567890123456"] {
            assert_eq!(Pattern::parse(wrong, &NumberFormat::of("DE")), None, "{wrong}");
        }
    }

    #[test]
    fn every_class_of_numbers_has_a_witness() {
        let all = [pattern("+49*"), pattern("+4930*"), pattern("+493023125100")];
        assert_eq!(witnesses(&all), ["+490", "+49300", "+493023125100", ""]);
        let full: Vec<Pattern> =
            (0..10).map(|n| pattern(&format!("7{n}*"))).chain([pattern("7*")]).collect();
        assert_eq!(witnesses(&full).len(), 11, "70*…79* leave nothing of 7*");
    }

    fn table(text: &str) -> (Numbers<String>, Vec<(u32, u32, String)>) {
        let source = super::super::Source::new("x.toml", text);
        let (mut reader, file) = Reader::parse(&source);
        let mut fields = Fields::new(file.get_ref(), file.span(), "the file");
        let value = fields.required("called", &mut reader).expect("a table");
        let tables = reader.tables(value, "[[called]]");
        let format = NumberFormat::of("DE");
        let numbers = Numbers::read(tables, "department", str::to_owned, &format, &mut reader);
        let problems = reader.into_problems();
        (numbers, problems.into_iter().map(|p| (p.line, p.column, p.message)).collect())
    }

    #[test]
    fn overlapping_and_double_numbers_are_told_unless_excepted() {
        let (_, problems) = table(
            "[[called]]\nnumber = \"+4930 2*\"\ndepartment = \"a\"\n\
             [[called]]\nnumber = [\"+49302 1\", \"+49303\"]\ndepartment = \"b\"\n\
             [[called]]\nnumber = \"+49303\"\ndepartment = \"b\"\n\
             [[called]]\nnumber = \"30x\"\ndepartmnt = \"b\"\n\
             [[called]]\nnumber = \"+4930000000000001\"\ndepartment = \"b\"\n",
        );
        let expected = [
            (5, 11, "`+493021` overlaps `+49302*` in line 2"),
            (8, 10, "`+49303` stands in line 5 already"),
            (10, 1, "`department` is missing in [[called]]"),
            (11, 10, "\"30x\" is no number"),
            (12, 1, "`departmnt` is not known in [[called]]"),
            (14, 10, "\"+4930000000000001\" has more than 15 digits"),
        ];
        let expected: Vec<_> = expected.iter().map(|(l, c, m)| (*l, *c, m.to_string())).collect();
        assert_eq!(problems, expected);

        let (numbers, problems) = table(
            "[[called]]\nnumber = \"+49302*\"\nexcept = \"+493021*\"\ndepartment = \"a\"\n\
             [[called]]\nnumber = \"+4930211\"\ndepartment = \"b\"\n",
        );
        assert_eq!(problems, []);
        let find = |text| numbers.find(e164(text)).map(|(_, value)| value.as_str());
        assert_eq!(find("+493022"), Some("a"));
        assert_eq!(find("+4930211"), Some("b"));
        assert_eq!(find("+4930212"), None, "excepted");
    }
}
