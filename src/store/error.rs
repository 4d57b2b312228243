//! What can go wrong with a file, said so that a person knows whose fault it is and what is next.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::journal::JOURNAL_KEPT;

/// Why a store could not do what it was asked.
#[derive(Debug)]
pub enum StoreError {
    /// Another program holds the file; the same request may be made again.
    Locked {
        /// Which file.
        file: PathBuf,
    },
    /// The file or its folder may not be written.
    ReadOnly {
        /// Which file.
        file: PathBuf,
    },
    /// The file is not a database, or damaged: restore a backup.
    Broken {
        /// Which file.
        file: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// The same of the call register, which the journal makes anew.
    BrokenRegister {
        /// Which file.
        file: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// The file is not there or cannot be opened.
    Missing {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
    /// A newer program has written the file.
    TooNew {
        /// Which file.
        file: PathBuf,
        /// Schema version of the file.
        found: i64,
        /// The newest schema version known here.
        known: i64,
    },
    /// A database of another program.
    Foreign {
        /// Which file.
        file: PathBuf,
    },
    /// The disk is full.
    Full {
        /// Which file.
        file: PathBuf,
    },
    /// What was asked for does not fit what is there; the text says how.
    Refused(String),
    /// Anything else that SQLite reports.
    Sql {
        /// Which file.
        file: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// Reading or writing another file failed.
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
}

impl StoreError {
    /// Sorts an error of SQLite about `file`.
    pub fn sql(file: &Path, error: &rusqlite::Error) -> Self {
        let file = file.to_path_buf();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { file },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { file },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Broken { file, why }
            }
            Some(ErrorCode::CannotOpen) => Self::Missing { file, why },
            Some(ErrorCode::DiskFull) => Self::Full { file },
            _ => Self::Sql { file, why },
        }
    }

    /// The same about the call register.
    pub(super) fn of_register(self) -> Self {
        match self {
            Self::Broken { file, why } => Self::BrokenRegister { file, why },
            other => other,
        }
    }

    /// An error of the file system about `file`.
    pub fn io(file: &Path, error: &std::io::Error) -> Self {
        Self::Io { file: file.to_path_buf(), why: error.to_string() }
    }

    /// A refusal in words.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { file } => {
                write!(f, "{}: locked by another program; try again", file.display())
            }
            Self::ReadOnly { file } => {
                write!(f, "{}: may not be written (file or folder is read-only)", file.display())
            }
            Self::Broken { file, why } => {
                write!(f, "{}: damaged or no database ({why}); restore a backup", file.display())
            }
            Self::BrokenRegister { file, why } => {
                let (file, days) = (file.display(), JOURNAL_KEPT.as_secs() / 86_400);
                write!(
                    f,
                    "{file}: damaged or no database ({why}); move it away, with {file}-wal and {file}-shm if \
                     they are there: it is made anew from the journal, which has the last {days} days at \
                     least. Older calls are in a backup: put its register.db there instead, and what came \
                     since is added from the journal"
                )
            }
            Self::Missing { file, why } => {
                write!(f, "{}: cannot be opened ({why})", file.display())
            }
            Self::TooNew { file, found, known } => write!(
                f,
                "{}: schema version {found} was written by a newer program; this one knows {known}",
                file.display()
            ),
            Self::Foreign { file } => {
                write!(f, "{}: is the database of another program", file.display())
            }
            Self::Full { file } => write!(f, "{}: the disk is full", file.display()),
            Self::Refused(why) => f.write_str(why),
            Self::Sql { file, why } | Self::Io { file, why } => {
                write!(f, "{}: {why}", file.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}
