//! What is wrong with a file, and where: the currency of `check`.
//!
//! A [`Source`] is one file's text with its lines counted; it turns byte spans into the lines and
//! columns that people and editors use. Knows nothing of TOML and nothing of what a file means.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It works, though probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as it was named to us; `directory` for people, departments and absences.
    pub file: Arc<str>,
    /// From 1; 0 where a place has no line (the directory).
    pub line: u32,
    /// In characters from 1; 0 where a place has no line.
    pub column: u32,
    /// Bytes of the file's text.
    pub span: Range<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Something wrong with people, departments or absences, which have no lines.
    pub fn of_directory(severity: Severity, message: String, hint: Option<String>) -> Self {
        let file = Arc::from("directory");
        Self { file, line: 0, column: 0, span: 0..0, severity, message, hint }
    }

    /// It refuses the configuration.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// One file's text, with its lines counted.
#[derive(Clone, Debug)]
pub struct Source {
    file: Arc<str>,
    text: Arc<str>,
    line_starts: Vec<usize>,
}

impl Source {
    /// `file` is only a name; nothing is read here.
    pub fn new(file: &str, text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Self { file: Arc::from(file), text: Arc::from(text), line_starts }
    }

    /// The file's name.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The whole text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Line and column (in characters), both from 1, of a byte of the text; its end if beyond.
    pub fn position(&self, byte: usize) -> (u32, u32) {
        let byte = byte.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..byte).map_or(byte - start, |t| t.chars().count()) + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// A problem at `span` of this file.
    pub fn problem(
        &self,
        severity: Severity,
        span: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        let (line, column) = self.position(span.start);
        let file = self.file.clone();
        Problem { file, line, column, span, severity, message: message.into(), hint }
    }
}

/// "did you mean `…`?", if one of `known` is near `word`; otherwise the list of them, if it is short.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let length = word.chars().count();
    let close_enough = 1 + length / 4;
    // Words of very different lengths are not near: a name of a million letters costs nothing.
    let near = known.iter().filter(|k| k.chars().count().abs_diff(length) <= close_enough);
    let nearest = near.map(|k| (distance(word, k), *k)).min();
    match nearest {
        Some((edits, name)) if edits <= close_enough => Some(format!("did you mean `{name}`?")),
        _ if (1..=12).contains(&known.len()) => Some(format!("known are: {}", known.join(", "))),
        _ => None,
    }
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("a.toml", "ab\nüöx = 1\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (2, 1));
        assert_eq!(source.position("ab\nüö".len()), (2, 3), "characters, not bytes");
        assert_eq!(source.position(9_999), (3, 1), "beyond the end is the end");
    }

    #[test]
    fn a_near_miss_is_guessed_and_a_far_one_lists_what_is_known() {
        assert_eq!(
            did_you_mean("operater", ["operator", "head"]),
            Some("did you mean `operator`?".into())
        );
        assert_eq!(did_you_mean("ruote", ["route", "when"]), Some("did you mean `route`?".into()));
        assert_eq!(
            did_you_mean("zzzzzz", ["route", "when"]),
            Some("known are: route, when".into())
        );
        assert_eq!(did_you_mean("x", []), None);
    }

    #[test]
    fn a_problem_prints_like_a_compiler_s() {
        let source = Source::new("policy.toml", "a\nbcd\n");
        let problem = source.problem(Severity::Error, 3..4, "no", Some("yes".into()));
        assert_eq!(problem.to_string(), "policy.toml:2:2: error: no\n  hint: yes");
    }
}
