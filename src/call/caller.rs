//! Who is calling and whom, as the INVITE says it (clause A1).
//!
//! P-Asserted-Identity (RFC 3325) comes before From where the trunk is trusted. Who asks for privacy is
//! withheld, over any trunk: neither header names them then. A forwarded call is its original caller's: Diversion (RFC 5806) names who
//! forwarded, and an asserted identity that is the forwarder's own, as some carriers write, is not the
//! caller's. History-Info tells whom the call was for, never from whom it is.

use std::sync::Arc;

use crate::domain::{Number, NumberFormat};
use crate::sip::{Header, Message, Uri};

/// The calling side of an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As written; empty if withheld.
    pub raw: Arc<str>,
    /// E.164, if it is a number.
    pub number: Option<Number>,
}

/// The called side of an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// User part as written.
    pub raw: Arc<str>,
    /// E.164, if it is a number.
    pub number: Option<Number>,
}

/// The calling number; `trusted` says whether asserted identities are believed.
pub fn caller(request: &Message, trusted: bool, format: &NumberFormat) -> Caller {
    if wants_privacy(request) {
        return Caller { raw: "".into(), number: None };
    }
    let asserted = trusted.then(|| asserted(request, format)).flatten();
    let from =
        || request.from().and_then(|from| Some((uri_user(from.uri)?, number_of(from.uri, format))));
    let known = asserted.or_else(from).filter(|(user, _)| !is_withheld(user));
    let (raw, number) = known.unwrap_or_default();
    Caller { raw: raw.into(), number }
}

/// The first asserted identity that is a number and not that of somebody who forwarded the call.
fn asserted(request: &Message, format: &NumberFormat) -> Option<(String, Option<Number>)> {
    let read = |value: &str| {
        let uri = crate::sip::NameAddr::parse(value).ok()?.uri.to_owned();
        let number = number_of(&uri, format)?;
        Some((uri_user(&uri)?, number))
    };
    let forwarders: Vec<Number> =
        request.values(Header::Diversion).filter_map(|v| read(v).map(|(_, n)| n)).collect();
    let mut values = request.values(Header::PAssertedIdentity).filter_map(read);
    let (user, number) = values.find(|(_, number)| !forwarders.contains(number))?;
    Some((user, Some(number)))
}

/// The caller asks that nobody learns who they are: `user` (RFC 3323 §4.2) hides what they wrote
/// themselves, `id` (RFC 3325 §9.3) what is asserted of them; whoever hides one does not mean the other
/// to be shown. `header` and `session` hide addresses of phones, and those never cross.
pub fn wants_privacy(request: &Message) -> bool {
    let mut values = request.lines(Header::Privacy).flat_map(|line| line.split([';', ',']));
    values.any(|value| ["id", "user"].iter().any(|hides| value.trim().eq_ignore_ascii_case(hides)))
}

/// The called number, from the request URI.
pub fn called(request: &Message, format: &NumberFormat) -> Called {
    let raw = uri_user(request.uri()).unwrap_or_default();
    Called { number: number_of(request.uri(), format), raw: raw.into() }
}

/// The number that a URI names. A local one is meant within its `phone-context` (RFC 3966 §5.1.5).
fn number_of(uri: &str, format: &NumberFormat) -> Option<Number> {
    let whole = subscriber(uri)?;
    let (user, params) = whole.split_once(';').unwrap_or((&whole, ""));
    // No trunk writes an extension like a spreadsheet.
    if user.chars().any(char::is_alphabetic) {
        return None;
    }
    let mut params = params.split(';').filter_map(|param| param.split_once('='));
    let context = params.find(|(name, _)| name.eq_ignore_ascii_case("phone-context"));
    let within = context.filter(|(_, value)| value.starts_with('+') && !user.starts_with('+'));
    let global = within.and_then(|(_, value)| Number::parse(&format!("{value}{user}"), format));
    global.or_else(|| Number::parse(user, format))
}

/// The part of a URI that names who: the user of `sip:`, the number of `tel:`, without parameters.
pub fn uri_user(uri: &str) -> Option<String> {
    subscriber(uri).map(|whole| whole.split(';').next().unwrap_or_default().to_owned())
}

/// The same with its parameters: `sip:030…;phone-context=+49@host` carries them in its user part. Of a
/// URI that is none, what stands where the user would: a number with blanks in it is still one.
fn subscriber(uri: &str) -> Option<String> {
    if let Ok(parsed) = Uri::parse(uri)
        && !parsed.is_tel()
    {
        return Some(parsed.user_decoded().into_owned());
    }
    let (scheme, rest) = uri.split_once(':')?;
    let is_known = ["tel", "sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let user = rest.rsplit_once('@').map_or(rest, |(user, _)| user);
    is_known.then(|| user.to_owned())
}

fn is_withheld(user: &str) -> bool {
    let plain = user.to_ascii_lowercase();
    ["anonymous", "restricted", "unavailable", "unknown", "withheld", "private", ""]
        .contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn heard(trusted: bool, from: &str, more: &str) -> (String, Option<String>) {
        let text = format!(
            "INVITE sip:100@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             Max-Forwards: 70\r\nFrom: {from};tag=1\r\nTo: <sip:100@example.com>\r\n\
             Call-ID: a\r\nCSeq: 1 INVITE\r\n{more}Content-Length: 0\r\n\r\n"
        );
        let request = Message::parse(Bytes::from(text)).expect("an INVITE");
        let caller = caller(&request, trusted, &NumberFormat::of("DE"));
        (caller.raw.to_string(), caller.number.map(|n| n.to_string()))
    }

    fn number(trusted: bool, from: &str, more: &str) -> Option<String> {
        heard(trusted, from, more).1
    }

    const ANNA: &str = "<sip:03023125001@pbx>";
    const BORIS: &str = "P-Asserted-Identity: <sip:+493023125002@pbx>\r\n";

    fn is(digits: &str) -> Option<String> {
        Some(format!("+4930231250{digits}"))
    }

    #[test]
    fn a1_an_asserted_identity_counts_on_a_trusted_trunk_only() {
        assert_eq!(number(true, ANNA, BORIS), is("02"));
        assert_eq!(number(false, ANNA, BORIS), is("01"));
        assert_eq!(number(true, "<sip:anonymous@anonymous.invalid>", BORIS), is("02"));
        assert_eq!(number(false, "<sip:anonymous@anonymous.invalid>", BORIS), None);
        let two = "P-Asserted-Identity: <sip:anna@pbx>, <tel:+493023125002>\r\n";
        assert_eq!(number(true, ANNA, two), is("02"), "the one that is a number");
    }

    #[test]
    fn a1_who_asks_for_privacy_is_withheld() {
        let nobody = || (String::new(), None);
        let hidden = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        for wish in
            ["id", "user", "user;id", "header;user;id;critical", "ID ; critical", "user, id"]
        {
            for (trusted, from) in [(true, ANNA), (true, hidden), (false, ANNA), (false, hidden)] {
                for asserted in ["", BORIS] {
                    let more = format!("{asserted}Privacy: {wish}\r\n");
                    assert_eq!(heard(trusted, from, &more), nobody(), "{trusted} {from} {more}");
                }
            }
        }
        let own =
            "P-Asserted-Identity: <sip:03023125001@pbx>\r\nPrivacy: header\r\nPrivacy: id\r\n";
        assert_eq!(heard(true, ANNA, own), nobody(), "on a line of its own");
        for shown in ["none", "header", "session;critical"] {
            let more = format!("{BORIS}Privacy: {shown}\r\n");
            assert_eq!(number(true, ANNA, &more), is("02"), "{shown}");
        }
    }

    #[test]
    fn a1_a_forwarded_call_is_its_original_callers() {
        let plain = "Diversion: <sip:+493023125009@pbx>;reason=unconditional\r\n";
        assert_eq!(number(true, ANNA, plain), is("01"));
        assert_eq!(number(true, ANNA, &format!("{BORIS}{plain}")), is("02"));
        // The carrier asserts who pays for the second leg.
        let own = "P-Asserted-Identity: <tel:+493023125009>\r\n";
        assert_eq!(number(true, ANNA, &format!("{own}{plain}")), is("01"));
        let history = "History-Info: <sip:+493023125009@pbx>;index=1\r\n";
        assert_eq!(number(true, ANNA, history), is("01"));
    }

    #[test]
    fn a1_a_local_number_is_meant_within_its_context() {
        for uri in [
            "<tel:+49-30-231250-01>",
            "<TEL:+493023125001;ext=12>",
            "<tel:23125001;phone-context=+4930>",
            "<sip:23125001;phone-context=+4930@pbx;user=phone>",
            "<tel:3023125001;phone-context=+49>",
            "<tel:03023125001;phone-context=pbx.example>",
            "<sip:%2B493023125001@pbx>",
        ] {
            assert_eq!(number(false, uri, ""), is("01"), "{uri}");
        }
    }

    #[test]
    fn a1_what_is_no_number_is_nobody_and_no_error() {
        for from in ["<sip:anna@pbx>", "<sip:Anonymous@pbx>", "<sip:pbx>", "<tel:7042>", "<x>"] {
            assert_eq!(number(true, from, ""), None, "{from}");
        }
        assert_eq!(heard(true, "<sip:unknown@pbx>", "").0, "", "withheld");
        assert_eq!(heard(true, "<sip:anna@pbx>", "").0, "anna", "shown as it came");
    }
}
