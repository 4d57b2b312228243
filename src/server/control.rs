//! The control socket: how the command line reaches a running server.
//!
//! A unix socket in the state folder with permissions of the settings'. One JSON object a line each
//! way: an [`Ask`], an [`Answer`]. Who asks is whom the kernel names (SO_PEERCRED), never a name in the
//! line. Lines, connections and times are bounded; who does not read is dropped.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Change, Server};
use crate::config::{ShellSettings, account, group_id};
use crate::domain::PersonId;
use crate::policy::Problem;
use crate::switch::{CallbackChange, Command};

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// People at the socket at once.
const CONNECTIONS_MAX: usize = 32;
/// A silent connection is closed then.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// An answer must be taken by then.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// What may be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Something of the workers.
    Switch {
        /// What.
        command: Command,
    },
    /// How everything is.
    Status,
    /// Read the configuration again.
    Reload,
    /// Write into the journal that something was changed in the files, and look at them now.
    Changed {
        /// `absence`, `client`, `password`.
        what: Arc<str>,
        /// In words.
        detail: Arc<str>,
    },
    /// A supervisor orders something (clause B8).
    Order {
        /// What.
        change: Change,
        /// Which supervisor.
        supervisor: PersonId,
    },
    /// The emergency plans of the policy, and what is in force.
    Plans,
    /// What the workers were fed last, without people's data.
    Recording,
    /// Something was done about a promised callback.
    Callback {
        /// Which call promised it.
        call: crate::domain::CallKey,
        /// What was done.
        change: CallbackChange,
    },
}

/// What comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done; the answer.
    Ok(Value),
    /// Not done, and why.
    Error(String),
    /// A configuration that cannot be taken over.
    Problems(Vec<ProblemLine>),
}

/// A [`Problem`] on its way to the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProblemLine {
    /// Which file.
    pub file: String,
    /// From 1; 0 for none.
    pub line: u32,
    /// From 1; 0 for none.
    pub column: u32,
    /// `error`, `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<&Problem> for ProblemLine {
    fn from(problem: &Problem) -> Self {
        let severity = if problem.is_error() { "error" } else { "warning" };
        Self {
            file: problem.file.to_string(),
            line: problem.line,
            column: problem.column,
            severity: severity.to_string(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}

/// Binds the socket; a dead server's is taken over. Errors: somebody answers there, or the system's.
pub(super) fn bind(path: &Path, settings: &ShellSettings) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other(format!("a server answers at {} already", path.display())));
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    if let Some(group) = &settings.socket_group {
        let gid = group_id(group)
            .ok_or_else(|| io::Error::other(format!("`admin.socket_group`: no group {group}")))?;
        std::os::unix::fs::chown(path, None, Some(gid))?;
        // The group must be able to reach it; the folder's list stays closed.
        if let Some(folder) = path.parent() {
            std::os::unix::fs::chown(folder, None, Some(gid))?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o710))?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(settings.socket_mode))?;
    Ok(listener)
}

/// Answers until the runtime ends.
pub(super) async fn serve(listener: UnixListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Who comes when all places are taken waits in the socket's own line. Nobody closes the places.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            let _ = timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
            continue;
        };
        let server = server.clone();
        tokio::spawn(async move {
            let by = stream.peer_cred().map_or_else(|_| "unknown".into(), |c| user_name(c.uid()));
            if let Err(error) = talk(stream, &server, &by).await {
                tracing::debug!(%error, "control connection");
            }
            drop(place);
        });
    }
}

async fn talk(stream: UnixStream, server: &Arc<Server>, by: &str) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading);
    loop {
        let mut line = String::new();
        let mut bounded = (&mut lines).take(LINE_BYTES_MAX);
        let read = timeout(IDLE_MAX, bounded.read_line(&mut line)).await;
        let answer = match read.map_err(|_| io::ErrorKind::TimedOut)?? {
            0 => return Ok(()),
            _ if !line.ends_with('\n') => Answer::Error("the line is too long".to_string()),
            _ => match serde_json::from_str::<Ask>(&line) {
                Ok(ask) => answer(server, ask, by).await,
                Err(error) => Answer::Error(format!("not understood: {error}")),
            },
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        timeout(WRITE_MAX, writing.write_all(&text))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        if !line.ends_with('\n') {
            return Ok(());
        }
    }
}

async fn answer(server: &Arc<Server>, ask: Ask, by: &str) -> Answer {
    match ask {
        Ask::Switch { command } => {
            let joined = matches!(command, Command::Calls);
            match server.hub().ask(command, by).await {
                Ok(answers) => Answer::Ok(join(answers.into_iter().map(|(_, v)| v), joined)),
                Err(refusal) => Answer::Error(refusal.error.to_string()),
            }
        }
        Ask::Status => match server.status().await {
            Ok(status) => Answer::Ok(status),
            Err(refusal) => Answer::Error(refusal.error.to_string()),
        },
        Ask::Reload => {
            let (server, by) = (server.clone(), format!("command by {by}"));
            let done = tokio::task::spawn_blocking(move || server.reload(&by)).await;
            match done {
                Ok(Ok(reloaded)) => Answer::Ok(serde_json::to_value(reloaded).unwrap_or_default()),
                Ok(Err(problems)) => {
                    Answer::Problems(problems.iter().map(ProblemLine::from).collect())
                }
                Err(_) => Answer::Error("the reload broke off: see the log".to_string()),
            }
        }
        Ask::Changed { what, detail } => {
            server.changed(what, detail, by.into());
            Answer::Ok(Value::Bool(true))
        }
        Ask::Order { change, supervisor } => {
            let (server, by) = (server.clone(), format!("command by {by}"));
            let done = tokio::task::spawn_blocking(move || server.order(&change, &supervisor, &by));
            match done.await {
                Ok(done) => done.map_or_else(Answer::Error, Answer::Ok),
                Err(_) => Answer::Error("the order broke off: see the log".to_string()),
            }
        }
        Ask::Plans => Answer::Ok(server.plans()),
        Ask::Recording => {
            let server = server.clone();
            match tokio::task::spawn_blocking(move || server.recording()).await {
                Ok(done) => done.map_or_else(Answer::Error, |text| Answer::Ok(text.into())),
                Err(_) => Answer::Error("the recorder broke off: see the log".to_string()),
            }
        }
        Ask::Callback { call, change } => {
            server.callback(call, change, by.into());
            Answer::Ok(Value::Bool(true))
        }
    }
}

/// Lists of several workers become one; of other commands one answer is enough.
fn join(mut answers: impl Iterator<Item = Value>, lists: bool) -> Value {
    if !lists {
        return answers.next().unwrap_or_default();
    }
    let items = answers.flat_map(|a| if let Value::Array(items) = a { items } else { vec![a] });
    Value::Array(items.collect())
}

/// The system's name of a user; `uid 1234` where it has none.
pub fn user_name(uid: u32) -> String {
    let number = uid.to_string();
    account("/etc/passwd", 2, &number, 0).unwrap_or_else(|| format!("uid {uid}"))
}
