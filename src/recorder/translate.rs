//! What the switches mint now for what they minted then: Call-IDs, tags, branches, cookies.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::sip::{Header, Message, Method};

/// Words then → words now.
#[derive(Debug, Default)]
pub(super) struct Translation {
    words: BTreeMap<String, String>,
}

impl Translation {
    /// Both are the same message but for what is minted: kind, ends, and the dialog if that is known. With `any`
    /// who calls does not matter: a phone that is rung now for another call does what it did then.
    pub fn is_like(&self, then: &Message, now: &Message, any: bool) -> bool {
        let known = |word: &str| self.words.get(word).map_or(word, String::as_str).to_owned();
        let dialog = |m: &Message| (m.call_id().to_owned(), m.from_tag().map(str::to_owned));
        let (id, tag) = dialog(then);
        let met = self.words.contains_key(&id) || id == now.call_id();
        let same = (known(&id), tag.map(|tag| known(&tag))) == dialog(now);
        let user =
            |m: &Message| m.from().and_then(|from| Some(from.parsed_uri().ok()?.user?.to_owned()));
        let new = || !self.words.values().any(|word| word == now.call_id());
        then.is_request() == now.is_request()
            && then.status() == now.status()
            && then.method() == now.method()
            && if met { same } else { new() && (any && is_invite(now) || user(then) == user(now)) }
    }

    /// Something that was minted then has its like now.
    pub fn knows(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// `now` is what `then` was.
    pub fn learn(&mut self, then: &Message, now: &Message) {
        for (then, now) in minted(then).into_iter().zip(minted(now)) {
            if let (Some(then), Some(now)) = (then, now)
                && then != now
            {
                self.words.insert(then, now);
            }
        }
        let routes = |m: &Message| -> Vec<String> {
            let lines = m.lines(Header::RecordRoute).chain(m.lines(Header::Contact));
            lines.flat_map(|line| line.split(is_between)).map(str::to_owned).collect()
        };
        let (then, now) = (routes(then), routes(now));
        if then.len() == now.len() {
            for (then, now) in then.into_iter().zip(now).filter(|(t, n)| t != n && t.len() > 7) {
                self.words.insert(then, now);
            }
        }
    }

    /// `message` as an answer to what was minted now.
    pub fn message(&self, message: &Message) -> Message {
        let raw = message.raw();
        let body = message.body().len();
        let (head, body) = raw.split_at(raw.len() - body);
        let Ok(head) = std::str::from_utf8(head) else { return message.clone() };
        let mut out = String::with_capacity(raw.len());
        let mut changed = false;
        for part in head.split_inclusive(is_between) {
            let word = part.trim_end_matches(is_between);
            match self.words.get(word) {
                Some(now) => {
                    changed = true;
                    out.push_str(now);
                    out.push_str(&part[word.len()..]);
                }
                None => out.push_str(part),
            }
        }
        if !changed {
            return message.clone();
        }
        let bytes = [out.as_bytes(), body].concat();
        Message::parse(Bytes::from(bytes)).unwrap_or_else(|_| message.clone())
    }
}

fn is_invite(message: &Message) -> bool {
    message.is_request() && *message.method() == Method::Invite
}

/// Between words: what a minted one never holds.
fn is_between(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')
}

fn minted(message: &Message) -> [Option<String>; 4] {
    let branch = message.top_via().and_then(|via| via.branch().map(str::to_owned));
    [
        Some(message.call_id().to_owned()),
        branch,
        message.from_tag().map(str::to_owned),
        message.to_tag().map(str::to_owned),
    ]
}
