//! Reads a TOML text by the table of keys and collects every problem with its place.
//!
//! Knows no key's meaning: a converter turns a value into a type or says in words why not. What is
//! wrong is replaced by the default, so that one run finds all problems; a text with problems never
//! becomes settings.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, ABSENT, KEYS, Key};
use crate::policy::{Problem, Severity, Source, UNSHOWN, did_you_mean, unshown};

/// What a key holds.
pub(super) type Value<'i> = DeValue<'i>;

/// All problems of one file.
pub(super) struct Problems {
    source: Source,
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn new(file: &str, text: &str) -> Self {
        Self { source: Source::new(file, text), list: RefCell::default() }
    }

    /// An error at `span` (bytes of the text).
    pub(super) fn error(&self, span: Range<usize>, message: String, hint: Option<String>) {
        self.push(Severity::Error, span, message, hint);
    }

    /// Something that works and is probably not meant.
    pub(super) fn warning(&self, span: Range<usize>, message: String, hint: Option<String>) {
        self.push(Severity::Warning, span, message, hint);
    }

    /// All of them, by place.
    pub(super) fn into_list(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|p| (p.line, p.column));
        list
    }

    fn push(&self, severity: Severity, span: Range<usize>, message: String, hint: Option<String>) {
        self.list.borrow_mut().push(self.source.problem(severity, span, message, hint));
    }
}

/// A table of the file, with the names that were asked for.
pub(super) struct Section<'i, 'p> {
    prefix: String,
    span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'i>>)>,
    asked: RefCell<BTreeSet<&'static str>>,
    problems: &'p Problems,
}

/// The file's tables: `[name]` and `[[name]]`.
pub(super) struct Document<'i, 'p> {
    tables: BTreeMap<String, (Range<usize>, Spanned<DeValue<'i>>)>,
    problems: &'p Problems,
}

impl<'i, 'p> Document<'i, 'p> {
    /// Reads as much as can be read; every syntax error is a problem.
    pub(super) fn parse(text: &'i str, problems: &'p Problems) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            problems.error(span, format!("not TOML: {}", error.message().trim()), None);
        }
        for span in unshown(root.get_ref()) {
            problems.error(span, UNSHOWN.to_string(), None);
        }
        let document = Self { tables: entries(root.into_inner()), problems };
        document.refuse_unknown_tables();
        document
    }

    fn refuse_unknown_tables(&self) {
        let known: BTreeSet<&str> = KEYS.iter().map(|k| table_of(k.path)).collect();
        for (name, (span, _)) in &self.tables {
            let known = known.iter().map(|k| k.trim_end_matches("[]"));
            if known.clone().any(|k| k == name) {
                continue;
            }
            let hint = did_you_mean(name, known);
            self.problems.error(span.clone(), format!("unknown table `{name}`"), hint);
        }
    }

    /// `[name]`; empty if the file has none.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'i, 'p> {
        let found = self.tables.remove(name);
        let (span, entries) = match found {
            None => (0..0, BTreeMap::new()),
            Some((span, value)) => match value.into_inner() {
                DeValue::Table(table) => (span, entries(table)),
                _ => {
                    let message = format!("`{name}` is a table");
                    self.problems.error(span.clone(), message, Some(format!("write [{name}]")));
                    (span, BTreeMap::new())
                }
            },
        };
        self.make(name.to_string(), span, entries)
    }

    /// Every `[[name]]`, in the file's order.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Section<'i, 'p>> {
        let Some((span, value)) = self.tables.remove(name) else { return Vec::new() };
        let DeValue::Array(array) = value.into_inner() else {
            let message = format!("`{name}` may come several times");
            self.problems.error(span, message, Some(format!("write [[{name}]]")));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array {
            let span = item.span();
            if let DeValue::Table(table) = item.into_inner() {
                sections.push(self.make(format!("{name}[]"), span, entries(table)));
            } else {
                self.problems.error(span, format!("each `{name}` is a table"), None);
            }
        }
        sections
    }

    fn make(
        &self,
        prefix: String,
        span: Range<usize>,
        entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'i>>)>,
    ) -> Section<'i, 'p> {
        Section { prefix, span, entries, asked: RefCell::default(), problems: self.problems }
    }
}

impl<'i> Section<'i, '_> {
    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where a key's value stands; the table if it is not given.
    pub(super) fn span_of(&self, name: &str) -> Range<usize> {
        self.entries.get(name).map_or_else(|| self.span(), |(_, value)| value.span())
    }

    /// `(line 12, column 9)`: where a key's value stands.
    pub(super) fn place_of(&self, name: &str) -> String {
        let (line, column) = self.problems.source.position(self.span_of(name).start);
        format!("(line {line}, column {column})")
    }

    /// The file gives this key.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A key with a default; the default also where the value is wrong.
    pub(super) fn value<T>(
        &self,
        name: &'static str,
        convert: impl Fn(&Value<'_>) -> Result<T, String>,
    ) -> T {
        let key = self.ask(name);
        if let Some(Some(value)) = self.given(key, name, &convert) {
            return value;
        }
        let text = format!("v = {}", key.default);
        let table = DeTable::parse(&text).expect("defaults are TOML");
        let default = table.get_ref().get("v").expect("just written");
        convert(default.get_ref()).unwrap_or_else(|e| panic!("default of {}: {e}", key.path))
    }

    /// A key that may be left out.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        convert: impl Fn(&Value<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let key = self.ask(name);
        debug_assert_eq!(key.default, ABSENT);
        self.given(key, name, &convert).flatten()
    }

    /// A key that must be given; `None` is a problem already told.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        convert: impl Fn(&Value<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let key = self.ask(name);
        let given = self.given(key, name, &convert);
        if given.is_none() {
            let message = format!("`{}` is missing", self.path(name));
            self.problems.error(self.span(), message, Some(key.doc.to_string()));
        }
        given.flatten()
    }

    /// An error at a key of this table.
    pub(super) fn error(&self, name: &'static str, message: String, hint: Option<&str>) {
        self.problems.error(self.span_of(name), message, hint.map(str::to_string));
    }

    /// Tells of every key that nobody asked for. Call it last.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (name, (span, _)) in self.entries.iter().filter(|(n, _)| !asked.contains(n.as_str())) {
            let hint = elsewhere(name).or_else(|| did_you_mean(name, asked.iter().copied()));
            let message = format!("unknown key `{}`", self.path(name));
            self.problems.error(span.clone(), message, hint);
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn ask(&self, name: &'static str) -> &'static Key {
        self.asked.borrow_mut().insert(name);
        keys::find(&self.path(name)).unwrap_or_else(|| panic!("{} is not in KEYS", self.path(name)))
    }

    /// `None`: not given; `Some(None)`: given and wrong, which has been told.
    fn given<T>(
        &self,
        key: &Key,
        name: &str,
        convert: impl Fn(&Value<'_>) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let (_, value) = self.entries.get(name)?;
        match convert(value.get_ref()) {
            Ok(value) => Some(Some(value)),
            Err(message) => {
                let message = format!("`{}`: {message}", self.path(name));
                self.problems.error(value.span(), message, Some(key.doc.to_string()));
                Some(None)
            }
        }
    }
}

fn elsewhere(name: &str) -> Option<String> {
    let place = KEYS.iter().find(|k| k.path.rsplit('.').next() == Some(name))?;
    Some(format!("`{name}` belongs into `{}`", table_of(place.path)))
}

fn table_of(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

fn entries<'i>(table: DeTable<'i>) -> BTreeMap<String, (Range<usize>, Spanned<DeValue<'i>>)> {
    let pairs = table.into_iter();
    pairs.map(|(k, v)| (k.get_ref().to_string(), (k.span(), v))).collect()
}
