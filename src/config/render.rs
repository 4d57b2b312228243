//! Problems for eyes: `file:line:column: message`, the line itself, a hint.

use std::fmt::Write;

use crate::policy::Problem;

/// All problems, one after another, as a compiler prints them. `source` gives a file's text, if the
/// line itself is to be shown.
pub fn render(problems: &[Problem], source: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    for problem in problems {
        let Problem { file, line, column, .. } = problem;
        let plain = Problem { hint: None, ..problem.clone() };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{plain}");
        let shown = source(file);
        let line = (*line as usize).checked_sub(1);
        let column = (*column as usize).saturating_sub(1);
        if let Some(text) = line.and_then(|line| shown.as_deref()?.lines().nth(line)) {
            let marks = problem.span.len().clamp(1, text.chars().count().max(1));
            let room = text.chars().count().saturating_sub(column).max(1);
            let _ = writeln!(out, "  | {text}");
            let _ = writeln!(out, "  | {}{}", " ".repeat(column), "^".repeat(marks.min(room)));
        }
        if let Some(hint) = &problem.hint {
            let _ = writeln!(out, "  = {hint}");
        }
    }
    out
}
