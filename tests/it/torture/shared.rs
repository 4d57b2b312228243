//! What must happen to a message, and how a table of such verdicts is checked.

use std::path::PathBuf;

use bytes::Bytes;
use telefonist::sip::{Builder, Message};

/// What an element must do with some bytes.
pub enum Must {
    /// Read, judged good, and this holds.
    Accept(fn(&Message)),
    /// Read, and answered with this status.
    Refuse(u16),
    /// Read, and neither acted upon nor answered.
    Drop,
    /// No message at all.
    Unreadable,
}

/// Checks one message, and that its refusal can be sent.
pub fn check(name: &str, bytes: impl Into<Bytes>, must: &Must) {
    let read = Message::parse(bytes.into());
    let message = match (&read, must) {
        (Err(_), Must::Unreadable) => return,
        (Err(error), _) => panic!("{name}: {error}"),
        (Ok(_), Must::Unreadable) => panic!("{name}: was read"),
        (Ok(message), _) => message,
    };
    match (message.judge(), must) {
        (Ok(()), Must::Accept(holds)) => {
            holds(message);
            survives_forwarding(name, message, *holds);
        }
        (Err(verdict), Must::Refuse(status)) => {
            assert_eq!((verdict.status, verdict.drop), (*status, false), "{name}: {verdict}");
            let reply = Builder::reply_with(message, *status, verdict.reason, Some("t")).finish();
            let reply = Message::parse(reply).unwrap_or_else(|e| panic!("{name}: reply: {e}"));
            assert_eq!(reply.status(), *status, "{name}");
            assert_eq!(reply.call_id(), message.call_id(), "{name}");
        }
        (Err(verdict), Must::Drop) => assert!(verdict.drop, "{name}: {verdict}"),
        (verdict, _) => panic!("{name}: {verdict:?}"),
    }
}

/// A good message that is sent on is still good and says the same.
fn survives_forwarding(name: &str, message: &Message, holds: fn(&Message)) {
    let sent = Message::parse(Builder::forward(message).finish());
    let sent = sent.unwrap_or_else(|e| panic!("{name}: forwarded: {e}"));
    assert_eq!(sent.judge(), Ok(()), "{name}: forwarded");
    assert_eq!(sent.body(), message.body(), "{name}: forwarded");
    holds(&sent);
}

/// Text with one message line a line, as it goes over the wire.
pub fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Checks every file of `../shared/data/<folder>` by `table`, which must name each of them; says so and goes
/// on if there is no such folder.
pub fn check_folder(folder: &str, table: &[(&str, Must)]) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    let Ok(entries) = std::fs::read_dir(&root) else {
        eprintln!("skipped: {} is not there", root.display());
        return;
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let name = path.file_stem().expect("files have names").to_string_lossy().into_owned();
        let Some((_, must)) = table.iter().find(|(n, _)| *n == name) else {
            panic!("{name}: the table does not know it");
        };
        check(&name, std::fs::read(&path).expect("a readable file"), must);
        names.push(name);
    }
    for (name, _) in table {
        assert!(names.iter().any(|n| n == name), "{name}: the folder does not have it");
    }
}
