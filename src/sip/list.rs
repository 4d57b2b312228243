//! Characters, and lists of values in one line (RFC 3261 §7.3.1, §25.1).
//!
//! A comma separates values unless it stands in quotes or in angle brackets.

use std::iter::FusedIterator;

/// RFC 3261 §25.1 `token` characters.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 128 {
        let b = i as u8;
        table[i] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        i += 1;
    }
    table
};

/// One token character.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// One token character or more, and nothing else.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_token_byte(*b))
}

/// Space or tab.
pub(super) fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Without the spaces and tabs at both ends.
pub(super) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let Some(start) = bytes.iter().position(|b| !is_space(*b)) else { return "" };
    let end = bytes.iter().rposition(|b| !is_space(*b)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// The values of a comma-separated list; quotes and angle brackets are respected, spaces around a value
/// are not part of it. An empty place between two commas gives an empty value; an empty line gives none.
pub fn split_values(line: &str) -> Values<'_> {
    Values { rest: Some(trim(line)).filter(|l| !l.is_empty()) }
}

/// See [`split_values`].
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: Option<&'a str>,
}

impl<'a> Values<'a> {
    /// What stands behind the comma of the last value given, as written; `None` if there was none.
    pub(super) fn rest(&self) -> Option<&'a str> {
        self.rest
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.take()?;
        match find_outside(rest, b',') {
            Some(comma) => {
                self.rest = Some(&rest[comma + 1..]);
                Some(trim(&rest[..comma]))
            }
            None => Some(trim(rest)),
        }
    }
}

impl FusedIterator for Values<'_> {}

/// Where `wanted` stands first outside quotes and angle brackets. An unclosed quote or bracket hides
/// everything behind it.
pub(super) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = memchr::memchr(wanted, bytes)?;
    if !bytes[..first].iter().any(|b| matches!(b, b'"' | b'<')) {
        return Some(first);
    }
    let (mut i, mut in_angle) = (0, false);
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = skip_quoted(bytes, i)?,
            b'<' if !in_angle => in_angle = true,
            b'>' => in_angle = false,
            b if b == wanted && !in_angle => return Some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

/// `open` is the place of a quotation mark; gives the place of the one that closes it.
pub(super) fn skip_quoted(bytes: &[u8], open: usize) -> Option<usize> {
    let mut i = open + 1;
    while let Some(b) = bytes.get(i) {
        match b {
            b'\\' => i += 2,
            b'"' => return Some(i),
            _ => i += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<&str> {
        split_values(line).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        assert_eq!(
            split(r#""a,\"b" <sip:x,y@h>;p=1 , <sip:z>"#),
            [r#""a,\"b" <sip:x,y@h>;p=1"#, "<sip:z>"]
        );
    }

    #[test]
    fn an_empty_line_has_no_values_and_an_empty_place_is_one() {
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split("a,,b"), ["a", "", "b"]);
        assert_eq!(split("a,"), ["a", ""]);
    }

    #[test]
    fn an_unclosed_quote_hides_the_rest() {
        assert_eq!(split(r#"a, "b, c"#), ["a", r#""b, c"#]);
        assert_eq!(split(r#""\"#), [r#""\"#]);
    }

    #[test]
    fn tokens() {
        assert!(is_token(b"z9hG4bK-.!%66*_+`'~"));
        assert!(!is_token(b"a b"));
        assert!(!is_token(b""));
        assert!(!is_token("é".as_bytes()));
    }
}
