//! Problems in the log: how many there are and where the first one stands. They name people, so that the
//! words are for DEBUG, for `telefonist check` and for the status.

use crate::policy::Problem;

/// Problems of one turn that are written out.
const LOGGED_MAX: usize = 50;

/// One WARN for all of them; none if there are none.
pub fn warn_of(problems: &[Problem], what: &str) {
    if let Some(first) = problems.first() {
        let count = problems.len();
        tracing::warn!(count, first = %place(first), "{what}: see `telefonist check`");
        in_words(problems, what);
    }
}

/// The same as an ERROR: calls suffer.
pub(super) fn error_of(problems: &[Problem], what: &str) {
    if let Some(first) = problems.first() {
        let count = problems.len();
        tracing::error!(count, first = %place(first), "{what}: see `telefonist check`");
        in_words(problems, what);
    }
}

fn in_words(problems: &[Problem], what: &str) {
    for problem in problems.iter().take(LOGGED_MAX) {
        tracing::debug!(%problem, "{what}");
    }
}

fn place(problem: &Problem) -> String {
    match problem.line {
        0 => problem.file.to_string(),
        line => format!("{}:{line}:{}", problem.file, problem.column),
    }
}
