//! Who is calling and whom, as the INVITE says it (clause A1).
//!
//! P-Asserted-Identity (RFC 3325) comes before From where the trunk is trusted. A forwarded call
//! keeps its original caller there; Diversion names who forwarded and is never taken for the caller.

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
    let mut asserted = request.values(Header::PAssertedIdentity).filter(|_| trusted);
    if let Some((raw, number)) = asserted.find_map(|value| number_of(value, format)) {
        return Caller { raw: raw.into(), number: Some(number) };
    }
    let user = request.from().and_then(|from| uri_user(from.uri));
    let raw = user.filter(|user| !is_withheld(user)).unwrap_or_default();
    let number = Number::parse(&raw, format);
    Caller { raw: raw.into(), number }
}

/// The called number, from the request URI.
pub fn called(request: &Message, format: &NumberFormat) -> Called {
    let raw = uri_user(request.uri()).unwrap_or_default();
    Called { number: Number::parse(&raw, format), raw: raw.into() }
}

/// The user of a name-addr or addr-spec as written and as a number, if it is one.
fn number_of(value: &str, format: &NumberFormat) -> Option<(String, Number)> {
    let user = uri_user(crate::sip::NameAddr::parse(value).ok()?.uri)?;
    let number = Number::parse(&user, format)?;
    Some((user, number))
}

/// The part of a URI that names who: the user of `sip:`, the number of `tel:`, without parameters.
pub fn uri_user(uri: &str) -> Option<String> {
    if let Some(rest) = uri.strip_prefix("tel:").or_else(|| uri.strip_prefix("TEL:")) {
        return Some(rest.split(';').next().unwrap_or(rest).to_owned());
    }
    let parsed = Uri::parse(uri).ok()?;
    let user = parsed.user_decoded();
    // `sip:+4930…;phone-context=…@host;user=phone` carries parameters inside the user part.
    Some(user.split(';').next().unwrap_or_default().to_owned())
}

fn is_withheld(user: &str) -> bool {
    let plain = user.to_ascii_lowercase();
    ["anonymous", "restricted", "unavailable", "unknown", "withheld", "private", ""]
        .contains(&plain.as_str())
}
