//! Parameters: `;name=value;flag` (RFC 3261 §25.1 `generic-param`), quoted strings.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::list::{find_outside, is_space, is_token_byte, skip_quoted, trim};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// As written, without spaces around it.
    pub name: &'a str,
    /// As written, quotes included; `None` for a flag (`;lr`).
    pub value: Option<&'a str>,
}

impl<'a> Param<'a> {
    /// The value without its quotes; empty for a flag. Escapes stay: see [`unquote`].
    pub fn text(&self) -> &'a str {
        let value = self.value.unwrap_or("");
        value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
    }
}

/// The parameters of a header value or URI: what stands behind its first `;`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// Without the first semicolon.
    text: &'a str,
}

impl<'a> Params<'a> {
    /// `text` begins with `;`, or is empty.
    pub fn new(text: &'a str) -> Self {
        let text = trim(text);
        Self { text: text.strip_prefix(';').unwrap_or(text) }
    }

    /// Without the first semicolon.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Each of them; empty places (`;;`) are left out.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        Pieces { rest: Some(self.text) }.filter(|p| !p.is_empty()).map(read)
    }

    /// The first of that name (case-insensitive); its value without quotes, empty for a flag.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.text())
    }

    /// There is one of that name.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// Names are tokens, nothing is empty, quotes close (RFC 3261 §25.1 `generic-param`). One pass.
    pub(super) fn are_well_formed(&self) -> bool {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let Some(end) = one_param(bytes, at) else { return false };
            match bytes.get(end) {
                None => return true,
                Some(b';') if end + 1 < bytes.len() => at = end + 1,
                Some(_) => return false,
            }
        }
        true
    }
}

/// The place behind the parameter at `at` and the spaces around it; `None` if it is malformed.
fn one_param(bytes: &[u8], at: usize) -> Option<usize> {
    let name = run(bytes, at, is_space);
    let name_end = run(bytes, name, is_token_byte);
    if name_end == name {
        return None;
    }
    let end = run(bytes, name_end, is_space);
    if bytes.get(end) != Some(&b'=') {
        return Some(end);
    }
    let value = run(bytes, end + 1, is_space);
    let value_end = match bytes.get(value)? {
        b'"' => skip_quoted(bytes, value)? + 1,
        _ => run(bytes, value, |b| VALUE[usize::from(b)]),
    };
    (value_end > value).then(|| run(bytes, value_end, is_space))
}

/// The first place from `at` on whose byte is no `class`.
fn run(bytes: &[u8], mut at: usize, class: impl Fn(u8) -> bool) -> usize {
    while bytes.get(at).is_some_and(|b| class(*b)) {
        at += 1;
    }
    at
}

/// What a value without quotes may hold: more than `gen-value`, nothing that ends or hides it.
const VALUE: [bool; 256] = {
    let mut table = [true; 256];
    let mut i = 0;
    while i <= 0x20 {
        table[i] = false;
        i += 1;
    }
    let ends = b"\"<>,;\x7f";
    let mut i = 0;
    while i < ends.len() {
        table[ends[i] as usize] = false;
        i += 1;
    }
    table
};

fn read(piece: &str) -> Param<'_> {
    match piece.split_once('=') {
        Some((name, value)) => Param { name: trim(name), value: Some(trim(value)) },
        None => Param { name: piece, value: None },
    }
}

struct Pieces<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.take()?;
        let Some(at) = find_outside(rest, b';') else { return Some(trim(rest)) };
        self.rest = Some(&rest[at + 1..]);
        Some(trim(&rest[..at]))
    }
}

/// A quoted string's meaning: without the quotes, escapes undone. Text that is not quoted stays.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').map(|t| t.strip_suffix('"').unwrap_or(t)) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    Cow::Owned(plain)
}

/// As a quoted string, quotes included; control characters become spaces.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(quoted, "\\{c}").expect("a String takes all"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_flags_quotes_and_spaces() {
        let params = Params::new(r#"; a = 1 ;lr; b="x;y" ; C"#);
        assert_eq!(params.value("A"), Some("1"));
        assert_eq!(params.value("b"), Some("x;y"));
        assert_eq!(params.value("lr"), Some(""));
        assert!(params.has("c") && !params.has("d"));
        assert!(params.are_well_formed());
    }

    #[test]
    fn empty_places_are_skipped_but_not_well_formed() {
        let params = Params::new(";;;;a");
        assert_eq!(params.iter().count(), 1);
        assert!(!params.are_well_formed());
        assert!(!Params::new(";a=").are_well_formed());
        for text in [";a=\"x", ";a;", ";a= ;b", ";a b", ";a=b c", ";=b", ";a=b\"c\"", ";a=<b>"] {
            assert!(!Params::new(text).are_well_formed(), "{text}");
        }
        assert!(Params::new("").are_well_formed());
    }

    #[test]
    fn quoting_comes_back() {
        for text in ["", "J \"Rosenberg\" \\", "Иван", "a;b"] {
            assert_eq!(unquote(&quote(text)), text);
        }
        assert_eq!(quote("a\r\nVia: x"), "\"a  Via: x\"");
        assert_eq!(unquote("plain"), "plain");
        assert_eq!(unquote("\"\\"), "\\");
    }
}
