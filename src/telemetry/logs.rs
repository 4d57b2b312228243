//! Where log lines go and how they look.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::domain::steers;

/// Begins to write log lines to standard error: JSON, or for eyes. `level` is a filter as in the
/// configuration; `RUST_LOG` wins. A second call changes nothing.
pub fn start(json: bool, level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    // A line that cannot be written is lost. To complain of it on standard error would be a panic, when
    // whoever reads the log has gone or its disk is full: calls go on.
    let builder = fmt().with_env_filter(filter).log_internal_errors(false);
    // An error says that lines are written already: by an earlier start in the same process.
    let _ = match json {
        true => {
            let builder = builder.json().flatten_event(true).with_current_span(true);
            builder.with_writer(|| Lines { json: true }).try_init()
        }
        false => {
            let colours = std::io::stderr().is_terminal();
            builder
                .with_target(false)
                .with_ansi(colours)
                .with_writer(|| Lines { json: false })
                .try_init()
        }
    };
}

/// Of a thread that holds its lines, so many bytes are held.
const HELD_BYTES_MAX: usize = 32 << 10;

thread_local! {
    static HELD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes the lines that this thread held, and holds those that come until the next call: whoever has a
/// call to put through first does not wait for the log's reader.
pub fn write_held() {
    let held = HELD.with_borrow_mut(|held| std::mem::take(held.get_or_insert_default()));
    if !held.is_empty() {
        // As every line that cannot be written.
        let _ = io::stderr().write_all(&held);
    }
}

/// Standard error, at once or held. For eyes only we begin a line, whatever a caller or a file wrote: what
/// follows a line break within an event is set in.
struct Lines {
    json: bool,
}

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = match self.json {
            true => Cow::Borrowed(event),
            false => set_in(event),
        };
        // Not held: the thread is ending, or says something while it writes.
        let held = HELD.try_with(|held| {
            let mut held = held.try_borrow_mut().ok()?;
            let held = held.as_mut().filter(|held| held.len() + line.len() <= HELD_BYTES_MAX)?;
            held.extend_from_slice(&line);
            Some(())
        });
        if held.ok().flatten().is_none() {
            self.flush()?;
            io::stderr().write_all(&line)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = HELD.try_with(|held| {
            let mut held = held.try_borrow_mut().ok()?;
            held.as_mut().map(std::mem::take)
        });
        match held.ok().flatten() {
            Some(held) if !held.is_empty() => io::stderr().write_all(&held),
            _ => Ok(()),
        }
    }
}

/// An event as it is written; colours, which are ours, stay.
fn set_in(event: &[u8]) -> Cow<'_, [u8]> {
    let (last, begin) = event.split_last().map_or((0, event), |(last, begin)| (*last, begin));
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\x1b');
    if last == b'\n' && begin.iter().all(is_plain) {
        return Cow::Borrowed(event);
    }
    let event = String::from_utf8_lossy(event);
    let whole = event.trim_end_matches('\n');
    let lines = whole.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let shown = |c: char| if steers(c) && !matches!(c, '\x1b' | '\t') { '\u{fffd}' } else { c };
        line.chars().map(shown).collect::<String>()
    });
    Cow::Owned(format!("{}\n", lines.collect::<Vec<_>>().join("\n  | ")).into_bytes())
}

/// Lets one line of a kind through in each span of time, and says how many it held back: WARN wakes
/// somebody, and once is enough.
#[derive(Debug)]
pub struct RateLimit {
    every: Duration,
    last: Mutex<BTreeMap<&'static str, (Instant, u64)>>,
}

impl RateLimit {
    /// At most one line of a kind in `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, last: Mutex::default() }
    }

    /// `Some(held back since the last)` if a line of this kind may be written now.
    pub fn pass(&self, kind: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match last.get_mut(kind) {
            Some((since, held)) if now.duration_since(*since) < self.every => {
                *held += 1;
                None
            }
            Some((since, held)) => {
                *since = now;
                Some(std::mem::take(held))
            }
            None => {
                last.insert(kind, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_begins_one_line_whatever_is_in_it() {
        let set_in =
            |event: &str| String::from_utf8_lossy(&super::set_in(event.as_bytes())).into_owned();
        assert_eq!(set_in("INFO a\n"), "INFO a\n");
        assert_eq!(set_in("INFO a"), "INFO a\n");
        assert_eq!(set_in("INFO caf\u{e9} \u{1b}[0m\n"), "INFO caf\u{e9} \u{1b}[0m\n");
        let forged = "INFO from=x\r\n2026-01-01 INFO forged\u{202e}\u{9b}2J\n";
        assert_eq!(set_in(forged), "INFO from=x\n  | 2026-01-01 INFO forged\u{fffd}\u{fffd}2J\n");
    }

    #[test]
    fn a_thread_that_holds_its_lines_holds_them_whole_in_order_and_not_for_ever() {
        let held = || HELD.with_borrow(|held| held.clone());
        let say = |line: &str| {
            let written = Lines { json: false }.write(line.as_bytes());
            assert_eq!(written.ok(), Some(line.len()));
        };
        say("at once\n");
        assert_eq!(held(), None);
        write_held();
        say("one\n");
        say("two\r\nthree\n");
        assert_eq!(held().as_deref(), Some(&b"one\ntwo\n  | three\n"[..]));
        // More than there is room for goes at once, after what was held.
        say(&format!("{}\n", "x".repeat(HELD_BYTES_MAX)));
        assert_eq!(held().as_deref(), Some(&b""[..]));
        say("four\n");
        write_held();
        assert_eq!(held().as_deref(), Some(&b""[..]));
    }

    #[test]
    fn one_line_of_a_kind_passes() {
        let limit = RateLimit::new(Duration::from_secs(3_600));
        assert_eq!(limit.pass("a"), Some(0));
        assert_eq!(limit.pass("a"), None);
        assert_eq!(limit.pass("b"), Some(0));
        let limit = RateLimit::new(Duration::ZERO);
        assert_eq!(limit.pass("a"), Some(0));
        assert_eq!(limit.pass("a"), Some(0), "none was held back");
    }
}
