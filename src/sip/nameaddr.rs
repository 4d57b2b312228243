//! `name-addr` and `addr-spec` with their parameters (RFC 3261 §20.10, §25.1): From, To, Contact, Route …
//!
//! Without angle brackets everything behind the first `;` belongs to the header, not to the URI, and the
//! URI may hold neither `,` nor `?`.

use std::borrow::Cow;
use std::fmt;

use super::list::{find_outside, is_space, skip_quoted, trim};
use super::param::{Param, Params, unquote};
use super::uri::{Uri, UriError};

/// One value of From, To, Contact, Route, Record-Route, Refer-To …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// Display name as written, quotes included; `None` if there is none.
    pub display: Option<&'a str>,
    /// The URI as written, or `*` (Contact of a REGISTER that removes all bindings).
    pub uri: &'a str,
    params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// One value, without commas around it. Errors: unbalanced quotes or brackets, spaces in the brackets, a
    /// comma in an unquoted display name, `,` or `?` in a URI without brackets, malformed parameters.
    /// The URI itself is not looked at: see [`NameAddr::parsed_uri`].
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let text = trim(text);
        let (display, rest) = match text.as_bytes().first() {
            None => return Err(UriError::Empty),
            Some(b'"') => {
                let close = skip_quoted(text.as_bytes(), 0).ok_or(UriError::Quotes)?;
                (Some(&text[..=close]), trim(&text[close + 1..]))
            }
            Some(_) => match text.find('<') {
                Some(open) if !text[..open].contains(';') => {
                    (Some(trim(&text[..open])).filter(|d| !d.is_empty()), &text[open..])
                }
                _ => (None, text),
            },
        };
        if display.is_some_and(|d| {
            !d.starts_with('"') && d.bytes().any(|b| matches!(b, b'"' | b',' | b';' | b'>'))
        }) {
            return Err(UriError::DisplayName);
        }
        let (uri, params) = match rest.strip_prefix('<') {
            Some(inner) => inner.split_once('>').ok_or(UriError::Brackets)?,
            None if display.is_some() => return Err(UriError::Brackets),
            None => split_bare(rest)?,
        };
        let params = trim(params);
        // Within brackets it is the URI's reader who minds a blank; beside them, nobody's (RFC 4475 §3.1.2.9).
        let blanks = match rest.starts_with('<') {
            true => trim(uri).len() < uri.len(),
            false => uri.bytes().any(is_space),
        };
        if uri.is_empty() || blanks {
            return Err(UriError::Space);
        }
        let read = Params::new(params);
        if !(params.is_empty() || params.starts_with(';')) || !read.are_well_formed() {
            return Err(UriError::Parameters);
        }
        if params.len() == 1 {
            return Err(UriError::Parameters);
        }
        Ok(Self { display, uri, params: read })
    }

    /// What the display name means: without quotes, escapes undone. Empty if there is none.
    pub fn display_decoded(&self) -> Cow<'a, str> {
        self.display.map_or(Cow::Borrowed(""), unquote)
    }

    /// The URI, read.
    pub fn parsed_uri(&self) -> Result<Uri<'a>, UriError> {
        Uri::parse(self.uri)
    }

    /// The first header parameter of that name (case-insensitive), without quotes; empty for a flag.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.value(name)
    }

    /// The header parameters in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.params.iter()
    }

    /// The `tag` parameter (RFC 3261 §19.3); `None` if missing or empty.
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag").filter(|t| !t.is_empty())
    }

    /// `Contact: *`.
    pub fn is_star(&self) -> bool {
        self.uri == "*"
    }
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_star() {
            return f.write_str("*");
        }
        if let Some(display) = self.display {
            write!(f, "{display} ")?;
        }
        write!(f, "<{}>", self.uri)?;
        if !self.params.is_empty() {
            write!(f, ";{}", self.params.as_str())?;
        }
        Ok(())
    }
}

fn split_bare(text: &str) -> Result<(&str, &str), UriError> {
    let end = find_outside(text, b';').unwrap_or(text.len());
    let (uri, params) = (trim(&text[..end]), &text[end..]);
    if uri.bytes().any(|b| matches!(b, b'?' | b',' | b'<' | b'>' | b'"')) {
        return Err(UriError::Brackets);
    }
    Ok((uri, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"))
    }

    #[test]
    fn all_three_forms() {
        let quoted = parse(r#""J \"R\", x" <sip:j@h;lr>;tag=1"#);
        assert_eq!(quoted.display_decoded(), "J \"R\", x");
        assert_eq!((quoted.uri, quoted.tag()), ("sip:j@h;lr", Some("1")));
        let tokens = parse("caller<sip:c@h>");
        assert_eq!((tokens.display, tokens.uri), (Some("caller"), "sip:c@h"));
        let bare = parse("sip:c@h ;   tag    = 19n");
        assert_eq!((bare.display, bare.uri, bare.tag()), (None, "sip:c@h", Some("19n")));
        assert!(parse("*").is_star());
        assert_eq!(parse("<sip:c@h>").display, None);
    }

    #[test]
    fn unicode_without_quotes_is_a_display_name() {
        assert_eq!(parse("Иван П. <sip:i@h>").display_decoded(), "Иван П.");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "\"Mr. J. User <sip:j@h>",
            "Bell, Alexander <sip:a@h>;tag=43",
            "< sip:t@h >",
            "sip:user@h?Route=%3Csip:x%3E",
            "<sip:a@h",
            "<sip:a@h>;;;;",
            "<sip:a@h>x",
            "\"a\" sip:a@h",
            "<>",
            "<sip:a@h>;",
            "sip:a@h;tag=",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn written_and_read_again_it_is_the_same() {
        for text in ["\"A B\" <sip:a@h;x=1>;tag=2", "<sip:a@h>", "*", "A <tel:+7>;q=0.3;flag"] {
            assert_eq!(parse(text).to_string(), text);
        }
    }
}
