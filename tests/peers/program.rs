//! A foreign program as a child process: started, listened to, ended; never left behind.
//!
//! Waiting is always for a line or for the end of the output, with a deadline, never for a time.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Set in CI: a peer that is missing is a failure, not a skip.
const DEMAND: &str = "TELEFONIST_PEERS";

/// A running program; killed when dropped.
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    /// Starts `command` with its output caught.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::listening(name, command.stdin(Stdio::null()))
    }

    /// As [`Self::start`], for a program that is told what to do on its standard input.
    pub fn told(name: &str, command: &mut Command) -> (Self, ChildStdin) {
        let mut program = Self::listening(name, command.stdin(Stdio::piped()));
        let input = program.child.stdin.take().expect("a pipe");
        (program, input)
    }

    fn listening(name: &str, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        let (tell, lines) = channel();
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|o| Box::new(o) as Box<dyn Read + Send>),
            child.stderr.take().map(|o| Box::new(o) as Box<dyn Read + Send>),
        ];
        for output in outputs.into_iter().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                    if tell.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                        return;
                    }
                }
            });
        }
        Self { name: name.to_owned(), child, lines, said: Vec::new() }
    }

    /// Waits for a line that holds `text`.
    pub fn wait_for(&mut self, text: &str, at_most: Duration) -> String {
        self.wait_until(at_most, |line| line.contains(text))
            .unwrap_or_else(|| panic!("no “{text}” in {at_most:?}\n{}", self.log()))
    }

    /// The first line from now on that `wanted` lets through; `None` after `at_most` or at the end.
    pub fn wait_until(
        &mut self,
        at_most: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let end = Instant::now() + at_most;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            self.said.push(line.clone());
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    /// Waits for its end.
    pub fn end(&mut self, at_most: Duration) -> ExitStatus {
        let end = Instant::now() + at_most;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still runs after {at_most:?}\n{}", self.log())
                }
            }
        }
        self.child.wait().unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// SIGKILL: no last words.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, for programs with children of their own; waits for the end.
    pub fn terminate(&mut self, at_most: Duration) {
        output_of("kill", &["-TERM", &self.child.id().to_string()]);
        self.end(at_most);
    }

    /// What it said so far.
    pub fn log(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        let first = self.said.len().saturating_sub(400);
        format!("--- {} said:\n{}", self.name, self.said[first..].join("\n"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Whether all of `names` are installed. If not, says so; where peers are demanded, fails.
pub fn installed(names: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    // Daemons live where a user's PATH does not look.
    folders.push("/usr/sbin".into());
    let is_there = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    let missing: Vec<&&str> = names.iter().filter(|name| !is_there(name)).collect();
    for name in &missing {
        assert!(std::env::var_os(DEMAND).is_none_or(|v| v != "1"), "{name} is not installed");
        println!("skipped: {name} is not installed");
    }
    missing.is_empty()
}

/// A program's output, for tools that end by themselves.
pub fn output_of(program: &str, arguments: &[&str]) -> (ExitStatus, String) {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = [done.stdout, done.stderr].concat();
    (done.status, String::from_utf8_lossy(&text).into_owned())
}

/// A file's text, or why there is none.
pub fn text_of(file: &Path) -> String {
    match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("({}: {error})", file.display()),
    }
}
