//! One line of the journal: CRC-32 in eight hexadecimal digits, a space, JSON, a newline.
//!
//! JSON has no bare newline, so that after a damaged line reading goes on at the next one. A last
//! line without its newline is *incomplete*: being written, or torn by a kill. Knows no files.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use crate::switch::Event;

/// Digits and space before the JSON.
const PREFIX_LEN: usize = 9;

/// Appends `event` as one line to `out`; answers the line's length in bytes.
pub fn encode(event: &Event, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(b"00000000 ");
    if serde_json::to_writer(&mut *out, event).is_err() {
        // Only a map with keys that are no strings could fail, and events have none.
        out.truncate(start);
        return 0;
    }
    let crc = crc32fast::hash(&out[start + PREFIX_LEN..]);
    for (i, digit) in out[start..start + 8].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(crc >> (28 - 4 * i) & 0xf) as usize];
    }
    out.push(b'\n');
    out.len() - start
}

/// The JSON of a line without its newline, if the checksum is right.
pub fn json(line: &[u8]) -> Option<&[u8]> {
    let digits = std::str::from_utf8(line.get(..8)?).ok()?;
    let crc = u32::from_str_radix(digits, 16).ok()?;
    let json = line.get(PREFIX_LEN..)?;
    (line[8] == b' ' && crc32fast::hash(json) == crc).then_some(json)
}

/// What stands in one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// An event.
    Event(Box<Event>),
    /// The checksum is right, but this version does not know the event: a newer one wrote it.
    Unknown,
    /// The checksum is wrong, or it is no event of any version.
    Damaged,
}

impl Content {
    /// Reads a line without its newline.
    pub fn of(line: &[u8]) -> Self {
        match json(line).and_then(|json| Some((Head::of(json)?, json))) {
            Some((head, json)) => head.content(json),
            None => Self::Damaged,
        }
    }
}

/// What every event of every version says of itself. Read first and cheaply: who only passes lines
/// on needs no more.
#[derive(Deserialize)]
pub struct Head<'a> {
    /// When it happened.
    pub at: Timestamp,
    /// Its kind.
    #[serde(borrow)]
    event: Cow<'a, str>,
}

impl<'a> Head<'a> {
    /// The head of an event's JSON; `None` if it is no event.
    pub fn of(json: &'a [u8]) -> Option<Self> {
        Self::first(json).or_else(|| serde_json::from_slice(json).ok())
    }

    /// As our own writer puts it, first and in this order: an explanation of a large group is long, and
    /// most readers need nothing of it.
    fn first(json: &'a [u8]) -> Option<Self> {
        let (at, rest) = plain(json.strip_prefix(b"{\"at\":\"")?)?;
        let (event, _) = plain(rest.strip_prefix(b",\"event\":\"")?)?;
        Some(Self { at: at.parse().ok()?, event: Cow::Borrowed(event) })
    }

    /// It says where a call went and why.
    pub fn is_routed(&self) -> bool {
        self.event == "routed"
    }

    /// It begins a checkpoint.
    pub fn is_checkpoint(&self) -> bool {
        self.event == "checkpoint"
    }

    /// It tells a restart what holds, and the register nothing: dialogs and bindings.
    pub fn is_state_only(&self) -> bool {
        matches!(self.event.as_ref(), "dialog" | "bound" | "unbound")
    }

    /// The whole event. Not through `Event` itself, whose flattened form reads twice as slowly.
    pub fn content(&self, json: &[u8]) -> Content {
        match serde_json::from_slice(json) {
            Ok(what) => Content::Event(Box::new(Event { at: self.at, what })),
            Err(_) => Content::Unknown,
        }
    }
}

/// A JSON string without its first quote, if nothing in it is escaped, and what follows.
fn plain(text: &[u8]) -> Option<(&str, &[u8])> {
    let len = memchr::memchr2(b'"', b'\\', text)?;
    let rest = text[len..].strip_prefix(b"\"")?;
    Some((std::str::from_utf8(&text[..len]).ok()?, rest))
}

/// The complete lines in `bytes`, each with its offset, without newline. An incomplete last line is
/// left out.
#[cfg(test)]
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let len = memchr::memchr(b'\n', &bytes[at..])?;
        let line = (at, &bytes[at..at + len]);
        at += len + 1;
        Some(line)
    })
}

/// How many bytes at the begin of `bytes` to keep: everything up to the last line that is whole.
pub fn sound_len(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    while let Some(newline) = memchr::memrchr(b'\n', &bytes[..end]) {
        let begin = memchr::memrchr(b'\n', &bytes[..newline]).map_or(0, |n| n + 1);
        if json(&bytes[begin..newline]).is_some() {
            return newline + 1;
        }
        end = newline;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::What;
    use proptest::prelude::*;

    fn event(version: &str) -> Event {
        Event {
            at: "2026-03-02T08:00:00.000001Z".parse().expect("a literal"),
            what: What::ServerStarted { version: version.into() },
        }
    }

    #[test]
    fn a_line_is_checksum_space_json_newline() {
        let mut out = Vec::new();
        assert_eq!(encode(&event("1"), &mut out), out.len());
        let text = std::str::from_utf8(&out).expect("ASCII");
        assert_eq!(
            &text[8..],
            " {\"at\":\"2026-03-02T08:00:00.000001Z\",\"event\":\"server_started\",\"version\":\"1\"}\n"
        );
        assert_eq!(Content::of(&out[..out.len() - 1]), Content::Event(Box::new(event("1"))));
    }

    #[test]
    fn the_head_is_found_wherever_it_stands() {
        let plain = br#"{"at":"2026-03-02T08:00:00Z","event":"dialog","call":"1"}"#;
        let turned = br#"{"call":"1","event":"dialog","at":"2026-03-02T08:00:00Z"}"#;
        let escaped = br#"{"at":"2026-03-02T08:00:00Z","event":"dial\u006fg"}"#;
        for json in [&plain[..], &turned[..], &escaped[..]] {
            let head = Head::of(json).expect("an event");
            assert_eq!(head.at, "2026-03-02T08:00:00Z".parse().expect("a literal"));
            assert!(head.is_state_only() && !head.is_checkpoint() && !head.is_routed());
        }
        assert!(Head::of(br#"{"at":"yesterday","event":"dialog"}"#).is_none());
        assert!(Head::of(br#"{"at":"2026-03-02T08:00:00Z"}"#).is_none());
    }

    #[test]
    fn an_event_of_a_newer_version_is_unknown_not_damaged() {
        let json = br#"{"at":"2026-03-02T08:00:00Z","event":"from_the_future"}"#;
        let line = format!("{:08x} {}", crc32fast::hash(json), String::from_utf8_lossy(json));
        assert_eq!(Content::of(line.as_bytes()), Content::Unknown);
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_always_found(text in "\\PC{0,40}", bit in 0usize..2_000) {
            let mut out = Vec::new();
            encode(&event(&text), &mut out);
            let bit = bit % ((out.len() - 1) * 8);
            out[bit / 8] ^= 1 << (bit % 8);
            let read: Vec<_> = lines(&out).map(|(_, l)| Content::of(l)).collect();
            // Upper and lower case digits say the same checksum.
            let same = read == [Content::Event(Box::new(event(&text)))];
            prop_assert!(!same || out[bit / 8].is_ascii_uppercase() && bit / 8 < 8, "{read:?}");
        }

        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>) {
            for (_, line) in lines(&bytes) {
                let _ = Content::of(line);
            }
            prop_assert!(sound_len(&bytes) <= bytes.len());
        }

        #[test]
        fn wherever_a_kill_cuts_whole_lines_stay(cut in 0usize..400) {
            let mut out = Vec::new();
            let ends: Vec<usize> = (0..4).map(|n| {
                encode(&event(&n.to_string()), &mut out);
                out.len()
            }).collect();
            let cut = cut.min(out.len());
            let whole = ends.iter().copied().filter(|e| *e <= cut).max().unwrap_or(0);
            prop_assert_eq!(sound_len(&out[..cut]), whole);
        }
    }
}
