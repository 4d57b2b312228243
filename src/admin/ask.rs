//! Talking to the running server.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
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
/// No answer is longer.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// An open control connection.
pub(super) struct Line {
    reading: BufReader<UnixStream>,
    writing: UnixStream,
    path: PathBuf,
    answer_max: Duration,
}

impl Line {
    /// To the server of this state folder. `None`: none is running.
    pub(super) fn open(context: &Context) -> Option<Self> {
        Self::at(&context.folder().socket())
    }

    /// To the one behind this socket. `None`: none is running.
    pub(super) fn at(path: &Path) -> Option<Self> {
        Self::within(path, ANSWER_MAX).ok()
    }

    /// The same; `None` too if nothing is there that could run. Errors: a server may be running and cannot be
    /// asked.
    pub(super) fn if_running(path: &Path) -> Result<Option<Self>, Failure> {
        match Self::within(path, ANSWER_MAX) {
            Ok(line) => Ok(Some(line)),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(forbidden(path)),
            Err(_) => Ok(None),
        }
    }

    /// Each answer must come in `answer_max`.
    pub(super) fn within(path: &Path, answer_max: Duration) -> io::Result<Self> {
        let writing = UnixStream::connect(path)?;
        writing.set_read_timeout(Some(answer_max))?;
        writing.set_write_timeout(Some(answer_max))?;
        let reading = BufReader::new(writing.try_clone()?);
        Ok(Self { reading, writing, path: path.to_owned(), answer_max })
    }

    /// One question. Errors: refused, or the server has gone.
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Value, Failure> {
        let path = self.path.display();
        let gone = |why: String| Failure::Refused(format!("the server at {path} has gone: {why}"));
        let broken = |e: Error| match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let seconds = self.answer_max.as_secs_f32();
                Failure::Refused(format!("the server at {path} has not answered for {seconds} s"))
            }
            _ => gone(e.to_string()),
        };
        let mut line = serde_json::to_vec(ask).map_err(|e| Failure::Usage(e.to_string()))?;
        line.push(b'\n');
        self.writing.write_all(&line).map_err(broken)?;
        let mut text = Vec::new();
        let mut bounded = (&mut self.reading).take(ANSWER_BYTES_MAX);
        bounded.read_until(b'\n', &mut text).map_err(broken)?;
        if text.last() != Some(&b'\n') {
            let why = match text.len() as u64 {
                0 => "it closed the connection without an answer",
                ANSWER_BYTES_MAX.. => "its answer has no end",
                _ => "it broke off in the middle of an answer",
            };
            return Err(gone(why.to_owned()));
        }
        let answer = serde_json::from_slice(&text).map_err(|e| {
            Failure::Refused(format!(
                "what answers at {path} is no Telefonist of this version: {e}"
            ))
        })?;
        match answer {
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
    match UnixStream::connect(&socket) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => forbidden(&socket),
        _ => {
            let socket = socket.display();
            Failure::Refused(format!("no server answers at {socket}: is it running? (--state DIR)"))
        }
    }
}

fn forbidden(socket: &Path) -> Failure {
    let socket = socket.display();
    Failure::Refused(format!("{socket}: you may not ask this server (`admin.socket_mode`)"))
}
