//! Properties of the repository: sizes, directions, purity below the shell line, what is banned.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Each room with the rooms that it may know.
const ROOMS: [(&str, &[&str]); 22] = [
    ("domain", &[]),
    ("sip", &["domain"]),
    ("transaction", &["domain", "sip"]),
    ("dialog", &["domain", "sip", "transaction"]),
    ("registrar", &["domain", "sip", "transaction", "dialog"]),
    ("proxy", &["domain", "sip", "transaction", "dialog"]),
    ("policy", &["domain"]),
    ("acd", &["domain"]),
    ("meters", &["domain"]),
    (
        "call",
        &[
            "domain",
            "sip",
            "transaction",
            "dialog",
            "registrar",
            "proxy",
            "policy",
            "acd",
            "meters",
        ],
    ),
    (
        "switch",
        &[
            "domain",
            "sip",
            "transaction",
            "dialog",
            "registrar",
            "proxy",
            "policy",
            "acd",
            "meters",
            "call",
        ],
    ),
    ("rehearsal", &["domain", "sip", "registrar", "policy", "acd", "meters", "switch"]),
    ("telemetry", CORE),
    ("config", CORE),
    ("store", CORE),
    ("recorder", RECORDER),
    ("worker", &SHELL_BASE),
    ("net", &["worker", "config", "telemetry", "domain", "sip", "switch"]),
    ("server", SHELL),
    (
        "admin",
        &[
            "server",
            "demo",
            "config",
            "store",
            "telemetry",
            "domain",
            "policy",
            "switch",
            "rehearsal",
        ],
    ),
    ("demo", &["server", "store", "switch", "domain", "sip"]),
    ("lib.rs", &[]),
];

const CORE: &[&str] = &[
    "domain",
    "sip",
    "transaction",
    "dialog",
    "registrar",
    "proxy",
    "policy",
    "acd",
    "meters",
    "call",
    "switch",
];
const RECORDER: &[&str] =
    &["domain", "sip", "registrar", "policy", "acd", "meters", "call", "switch", "store"];
const SHELL_BASE: [&str; 4] = ["store", "recorder", "switch", "domain"];
const SHELL: &[&str] = &[
    "domain",
    "sip",
    "registrar",
    "policy",
    "acd",
    "meters",
    "call",
    "switch",
    "recorder",
    "worker",
    "net",
    "store",
    "config",
    "telemetry",
];

/// The rooms below the shell line: no clock, no socket, no file, no thread, no async.
const PURE: [&str; 12] = [
    "domain",
    "sip",
    "transaction",
    "dialog",
    "registrar",
    "proxy",
    "policy",
    "acd",
    "meters",
    "call",
    "switch",
    "rehearsal",
];

/// What a pure room must not name.
const IMPURE: [&str; 12] = [
    "tokio",
    "async fn",
    ".await",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "UdpSocket",
    "TcpStream",
];

struct Source {
    path: PathBuf,
    text: String,
    /// Of unit tests: declared under `#[cfg(test)]`, or below such a module.
    is_tests: bool,
}

impl Source {
    /// `src/sip/via.rs` is of the room `sip`.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix(root().join("src")).ok()?;
        inside.components().next()?.as_os_str().to_str()
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    /// Lines of code with their numbers: no comments, nothing of the unit tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_tests { Some(0) } else { self.text.find("#[cfg(test)]\nmod tests {") };
        let lines = self.text[..end.unwrap_or(self.text.len())].lines().enumerate();
        let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
        code.map(|(n, line)| (n + 1, line))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the folders are there");
    mark_tests(&mut found);
    found
}

/// Modules that a `#[cfg(… test …)]` stands before are tests with everything below them.
fn mark_tests(found: &mut [Source]) {
    let mut tests: Vec<PathBuf> = Vec::new();
    for source in found.iter() {
        let folder = match source.path.file_name().and_then(|n| n.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => source.path.with_file_name(""),
            _ => source.path.with_extension(""),
        };
        let lines: Vec<&str> = source.text.lines().collect();
        for pair in lines.windows(2).filter(|p| p[0].starts_with("#[cfg(") && p[0].contains("test"))
        {
            if let Some(name) = pair[1].strip_prefix("mod ").and_then(|m| m.strip_suffix(';')) {
                tests.push(folder.join(name));
            }
        }
    }
    for source in found.iter_mut() {
        let bare = source.path.with_extension("");
        source.is_tests = tests.iter().any(|t| bare.starts_with(t));
    }
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|e| e.expect("readable").path()) {
        if entry.is_dir() {
            collect(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&entry).expect("UTF-8");
            found.push(Source { path: entry, text, is_tests: false });
        }
    }
}

fn none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut long = Vec::new();
    for source in sources(&["src", "tests", "bench"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines", source.name()));
        }
    }
    none(long);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for source in sources(&["src", "tests", "bench"]) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (n, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = line.len() - line.trim_start().len();
            let end = format!("{}}}", &line[..indent]);
            let length = lines[n..].iter().position(|l| *l == end).map_or(1, |len| len + 1);
            let is_short = line.ends_with(['}', ';']);
            if !is_short && length > FUNCTION_LINES_MAX {
                long.push(format!("{}:{}: {length} lines", source.name(), n + 1));
            }
        }
    }
    none(long);
}

fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "fn" => return words.peek().is_some_and(|name| name.contains(['(', '<'])),
            "const" | "async" | "unsafe" | "extern" => {}
            word if word.starts_with("pub") || word.ends_with(')') => {}
            _ => return false,
        }
    }
    false
}

#[test]
fn rooms_know_only_what_they_may() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = source.room().filter(|r| !r.ends_with(".rs")) else { continue };
        let Some(known) = rooms.get(room) else {
            wrong.push(format!("{}: the room `{room}` has no place in the order", source.name()));
            continue;
        };
        for (n, line) in source.code() {
            for other in line.split("crate::").skip(1) {
                let other: String =
                    other.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let is_room = rooms.contains_key(other.as_str()) && other != room;
                if is_room && !known.contains(&other.as_str()) {
                    wrong.push(format!("{}:{n}: `{room}` must not know `{other}`", source.name()));
                }
            }
        }
    }
    none(wrong);
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for source in sources(&["src"]).iter().filter(|s| s.room().is_some_and(|r| PURE.contains(&r))) {
        for (n, line) in source.code() {
            for word in IMPURE.iter().filter(|word| names(line, word)) {
                wrong.push(format!("{}:{n}: {word}", source.name()));
            }
            let atomics = line.contains("sync::atomic") || line.contains("AtomicU");
            if atomics && !matches!(source.room(), Some("acd" | "meters")) {
                wrong.push(format!("{}:{n}: atomics live in acd and meters", source.name()));
            }
        }
    }
    none(wrong);
}

/// `line` has `word`, and not as the begin of a longer one.
fn names(line: &str, word: &str) -> bool {
    let is_more = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[at + word.len()..].starts_with(is_more))
}

#[test]
fn nothing_is_left_half_done() {
    // Put together here, so that this file does not contain them.
    let banned = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["#[ign", "ore"],
        ["allow(dead", "_code"],
        ["allow(un", "used"],
        ["thread::", "sleep"],
        ["time::", "sleep"],
        ["dbg", "!("],
    ]
    .map(|parts| parts.concat());
    let mut found = Vec::new();
    for source in sources(&["src", "tests", "bench"]) {
        for (n, line) in source.text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {word}", source.name(), n + 1));
            }
        }
    }
    none(found);
}

#[test]
fn every_file_says_what_it_is_for() {
    let has_doc = |s: &Source| s.text.starts_with("//!") || s.text.starts_with("#![doc");
    let silent = sources(&["src", "tests", "bench"]);
    none(silent.iter().filter(|s| !has_doc(s)).map(Source::name).collect());
}

#[test]
fn modules_are_named_by_the_field() {
    let vague = ["util", "utils", "helper", "helpers", "common", "service", "handler", "misc"];
    let named = |s: &Source| {
        s.path
            .components()
            .any(|c| vague.contains(&c.as_os_str().to_string_lossy().trim_end_matches(".rs")))
    };
    none(
        sources(&["src", "tests", "bench"]).iter().filter(|s| named(s)).map(Source::name).collect(),
    );
}

#[test]
fn unwrap_is_for_tests() {
    let mut found = Vec::new();
    for source in sources(&["src"]) {
        for (n, _) in source.code().filter(|(_, line)| line.contains(".unwrap()")) {
            found.push(format!("{}:{n}: an error comes from outside", source.name()));
        }
    }
    none(found);
}

#[test]
fn the_top_level_holds_what_it_should() {
    let known =
        ["Cargo.toml", "Cargo.lock", "src", "config", "tests", "bench", "README.md", "target"];
    let entries = fs::read_dir(root()).expect("readable");
    let names = entries.map(|e| e.expect("readable").file_name().to_string_lossy().into_owned());
    none(names.filter(|n| !n.starts_with('.') && !known.contains(&n.as_str())).collect());
}

#[cfg(feature = "shell")]
#[test]
fn the_readme_documents_every_key_of_the_configuration() {
    let Ok(readme) = fs::read_to_string(root().join("README.md")) else { return };
    let reference = telefonist::config::reference();
    let missing: Vec<&str> = reference.lines().filter(|row| !readme.contains(row)).collect();
    assert!(missing.is_empty(), "README.md lacks these rows:\n{}", missing.join("\n"));
}
