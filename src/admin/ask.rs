//! Talking to the running server.

use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::context::Context;
use super::output::Failure;
use crate::server::{Answer, Ask};
use crate::switch::Command;

/// A server that does not answer by then stands still.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// An open control connection.
pub(super) struct Line {
    reading: BufReader<UnixStream>,
    writing: UnixStream,
    path: PathBuf,
}

impl Line {
    /// To the server of this state folder. `None`: none is running.
    pub(super) fn open(context: &Context) -> Option<Self> {
        Self::at(&context.folder().socket())
    }

    /// To the one behind this socket. `None`: none is running.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let writing = UnixStream::connect(path).ok()?;
        writing.set_read_timeout(Some(ANSWER_MAX)).ok()?;
        writing.set_write_timeout(Some(ANSWER_MAX)).ok()?;
        let reading = BufReader::new(writing.try_clone().ok()?);
        Some(Self { reading, writing, path: path.to_owned() })
    }

    /// One question. Errors: refused, or the server has gone.
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Value, Failure> {
        let path = self.path.display();
        let gone = |why: String| Failure::Refused(format!("the server at {path} has gone: {why}"));
        let broken = |e: Error| match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let seconds = ANSWER_MAX.as_secs();
                Failure::Refused(format!("the server at {path} has not answered for {seconds} s"))
            }
            _ => gone(e.to_string()),
        };
        let mut line = serde_json::to_vec(ask).map_err(|e| Failure::Usage(e.to_string()))?;
        line.push(b'\n');
        self.writing.write_all(&line).map_err(broken)?;
        let mut text = String::new();
        self.reading.read_line(&mut text).map_err(broken)?;
        match serde_json::from_str(&text).map_err(|e| gone(e.to_string()))? {
            Answer::Ok(value) => Ok(value),
            Answer::Error(why) => Err(Failure::Refused(why)),
            Answer::Problems(problems) => Err(Failure::Problems(problems)),
        }
    }
}

/// One question to a server that must be running.
pub(super) fn ask(context: &Context, ask: &Ask) -> Result<Value, Failure> {
    let mut line = Line::open(context).ok_or_else(|| nobody(context))?;
    line.ask(ask)
}

/// One question to its workers.
pub(super) fn switch(context: &Context, command: Command) -> Result<Value, Failure> {
    ask(context, &Ask::Switch { command })
}

/// A running server hears that files were changed; without one nobody needs to.
pub(super) fn tell_changed(context: &Context, what: &str, detail: &str) {
    if let Some(mut line) = Line::open(context) {
        // The change itself is done and in the database's own record.
        let _ = line.ask(&Ask::Changed { what: what.into(), detail: detail.into() });
    }
}

pub(super) fn nobody(context: &Context) -> Failure {
    let socket = context.folder().socket();
    Failure::Refused(match UnixStream::connect(&socket) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("{}: you may not ask this server (`admin.socket_mode`)", socket.display())
        }
        _ => format!("no server answers at {}: is it running? (--state DIR)", socket.display()),
    })
}
