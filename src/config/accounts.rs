//! The system's users and groups, as its own files name them.

use std::fs;

/// The number of a group; `None` if this host has none of that name.
pub fn group_id(name: &str) -> Option<u32> {
    account("/etc/group", 0, name, 2)?.parse().ok()
}

/// Field `wanted` of the line of `file` whose field `key` is `value`.
pub fn account(file: &str, key: usize, value: &str, wanted: usize) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|l| l.split(':').nth(key) == Some(value))?;
    line.split(':').nth(wanted).map(str::to_string)
}
