//! Parameters: `;name=value;flag` (RFC 3261 §25.1 `generic-param`), quoted strings.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::list::{find_outside, is_token, skip_quoted, trim};

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

    /// Names are tokens, nothing is empty, quotes close (RFC 3261 §25.1 `generic-param`).
    pub(super) fn are_well_formed(&self) -> bool {
        self.text.is_empty() || Pieces { rest: Some(self.text) }.all(|p| is_well_formed(read(p)))
    }
}

fn read(piece: &str) -> Param<'_> {
    match piece.split_once('=') {
        Some((name, value)) => Param { name: trim(name), value: Some(trim(value)) },
        None => Param { name: piece, value: None },
    }
}

fn is_well_formed(param: Param<'_>) -> bool {
    let value_is_fine = match param.value.map(str::as_bytes) {
        None => true,
        Some([]) => false,
        Some(value @ [b'"', ..]) => skip_quoted(value, 0) == Some(value.len() - 1),
        Some(value) => !value.iter().any(|b| matches!(b, b' ' | b'\t' | b'"' | b'<' | b'>' | b',')),
    };
    is_token(param.name.as_bytes()) && value_is_fine
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
        assert!(!Params::new(";a=\"x").are_well_formed());
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
