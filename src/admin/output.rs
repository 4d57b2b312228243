//! What a command says, for eyes or as JSON, and the exit code that goes with it.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

pub(super) use crate::domain::{one_line, plain};
use crate::policy::Problem;
use crate::server::{ProblemLine, StartError};
use crate::store::StoreError;
pub(super) use crate::store::register::{table, table_within};

/// What came of a command that was carried out.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// For eyes; may be empty.
    pub(super) text: String,
    /// For programs.
    pub(super) json: Value,
    /// A problem was found: exit code 1.
    pub(super) found: bool,
    /// What the answer lacks: said on standard error, in either form.
    pub(super) warnings: Vec<String>,
}

impl Printed {
    /// Both forms.
    pub(super) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, ..Self::default() }
    }

    /// Everything was said line by line; no document follows.
    pub(super) fn said() -> Self {
        Self::default()
    }

    /// The same, with what it lacks.
    pub(super) fn warning(self, warnings: impl IntoIterator<Item = String>) -> Self {
        Self { warnings: warnings.into_iter().collect(), ..self }
    }

    /// Writes it out.
    pub(super) fn print(self, as_json: bool) -> ExitCode {
        let said = if as_json && !self.json.is_null() {
            say(&format!("{:#}\n", self.json))
        } else if !as_json && !self.text.is_empty() {
            say(&format!("{}\n", plain(self.text.trim_end())))
        } else {
            Ok(true)
        };
        for warning in &self.warnings {
            warn(warning);
        }
        match said {
            Ok(_) => ExitCode::from(u8::from(self.found)),
            Err(failure) => failure.print(false),
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// Refused, or a file or the server could not do it: exit code 1.
    Refused(String),
    /// The configuration is wrong: exit code 1.
    Problems(Vec<ProblemLine>),
    /// Wrong usage: exit code 2.
    Usage(String),
    /// The server cannot start: exit code 2.
    Start(String),
}

impl Failure {
    /// Writes it to standard error, or as JSON to standard output.
    pub(super) fn print(self, as_json: bool) -> ExitCode {
        if as_json {
            // The exit code says it, too.
            let _ = say(&format!("{:#}\n", self.json()));
        } else {
            // Nobody is left to hear that standard error is gone.
            let _ = writeln!(std::io::stderr(), "{}", plain(&self.to_string()));
        }
        match self {
            Self::Refused(_) | Self::Problems(_) => ExitCode::from(1),
            Self::Usage(_) | Self::Start(_) => ExitCode::from(2),
        }
    }

    /// Within another sentence.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Refused(why) | Self::Usage(why) | Self::Start(why) => why,
            Self::Problems(_) => self.to_string(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Problems(problems) => json!({ "error": "configuration", "problems": problems }),
            Self::Refused(why) | Self::Usage(why) | Self::Start(why) => json!({ "error": why }),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Usage(why) => write!(f, "telefonist: {why}"),
            Self::Start(why) => write!(f, "telefonist: cannot start: {}", why.trim_end()),
            Self::Problems(problems) => problems.iter().try_for_each(|p| {
                let place = place(&p.file, p.line.into(), p.column.into());
                writeln!(f, "{place}: {}: {}", p.severity, p.message)?;
                p.hint.iter().try_for_each(|hint| writeln!(f, "  hint: {hint}"))
            }),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error.to_string())
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Problems(problems.iter().map(ProblemLine::from).collect())
    }
}

/// To standard output. `false`: the reader has seen enough (`| head`), which is no error; whoever goes
/// on and on ends then. Errors: what was said is lost, for the disk is full.
pub(super) fn say(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::Refused(format!("standard output: {e}"))),
    }
}

/// What an answer lacks, to standard error.
pub(super) fn warn(text: &str) {
    // Nobody is left to hear that standard error is gone.
    let _ = writeln!(std::io::stderr(), "telefonist: {}", plain(text));
}

/// `file:line:column`, without what is not known.
pub(super) fn place(file: &str, line: u64, column: u64) -> String {
    if line == 0 { file.to_string() } else { format!("{file}:{line}:{column}") }
}

/// A field of a JSON object as a cell, or as a piece of a line.
pub(super) fn cell(row: &Value, field: &str) -> String {
    let text = match &row[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let words: Vec<String> = items
                .iter()
                .map(|i| i.as_str().map_or_else(|| i.to_string(), Into::into))
                .collect();
            words.join(", ")
        }
        other => other.to_string(),
    };
    one_line(&text).into_owned()
}
