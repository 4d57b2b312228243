//! What a REGISTER asks for, read and judged before anything is touched (RFC 3261 §10.2, §10.3 steps 5–7).
//!
//! Pure: a message in, wishes or a [`Refusal`] out. So a request is carried out wholly or not at all.

use std::sync::Arc;
use std::time::Duration;

use super::binding::Q_MAX;
use super::refusal::Refusal;
use crate::domain::Settings;
use crate::sip::{Header, Message, NameAddr, Uri};

/// Longest contact URI that is kept.
pub const CONTACT_BYTES_MAX: usize = 1_024;
/// Most proxies on the way to a contact.
pub const PATH_LEN_MAX: usize = 8;
/// Longest `+sip.instance`, Call-ID and User-Agent that are kept; a longer User-Agent is cut.
pub const TEXT_BYTES_MAX: usize = 256;
/// What a malformed `expires` means (§20.10), and the wish of who names none.
const EXPIRES_DEFAULT: Duration = Duration::from_secs(3_600);

/// A REGISTER as understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// User part of To's URI, unescaped.
    pub aor: Arc<str>,
    pub call_id: Arc<str>,
    pub cseq: u32,
    pub path: Vec<Arc<str>>,
    pub user_agent: Option<Arc<str>>,
    pub contacts: Contacts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contacts {
    /// No Contact: only tell what is bound (§10.2.3).
    Tell,
    /// `Contact: *` with `Expires: 0` (§10.2.2).
    RemoveAll,
    Update(Vec<Contact>),
}

/// One Contact value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    pub uri: Arc<str>,
    pub q: u16,
    /// Granted, already between the bounds; zero removes.
    pub expires: Duration,
    pub instance: Option<Arc<str>>,
    pub reg_id: Option<u32>,
}

/// §10.3 step 1 and 2: what may be said before asking who it is.
pub(super) fn screen(request: &Message, settings: &Settings) -> Result<(), Refusal> {
    let uri = Uri::parse(request.uri()).map_err(|_| Refusal::Malformed("Malformed Request-URI"))?;
    if !uri.is_sip() || !settings.is_our_domain(uri.host) {
        return Err(Refusal::ForeignDomain);
    }
    let unknown = request.unknown_options(Header::Require, &["path"]);
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Unsupported(unknown.into_iter().map(str::to_owned).collect()))
    }
}

impl Wish {
    /// `user`: whom the request's credentials prove. Errors: in the order of §10.3's steps.
    pub fn read(request: &Message, user: &str, settings: &Settings) -> Result<Wish, Refusal> {
        let to = request.to().ok_or(Refusal::Malformed("Malformed To"))?;
        let to = Uri::parse(to.uri).map_err(|_| Refusal::Malformed("Malformed To"))?;
        let aor = to.user_decoded();
        if !to.is_sip() || !settings.is_our_domain(to.host) || aor.is_empty() {
            return Err(Refusal::UnknownAddress);
        }
        if aor != user {
            return Err(Refusal::NotYours);
        }
        let (cseq, _) = request.cseq().ok_or(Refusal::Malformed("Malformed CSeq"))?;
        let call_id = request.call_id();
        if call_id.is_empty() || call_id.len() > TEXT_BYTES_MAX {
            return Err(Refusal::Malformed("Malformed Call-ID"));
        }
        Ok(Wish {
            aor: Arc::from(&*aor),
            call_id: Arc::from(call_id),
            cseq,
            path: read_path(request)?,
            user_agent: request.header(Header::UserAgent).map(|u| Arc::from(cut(u))),
            contacts: Contacts::read(request, settings)?,
        })
    }
}

impl Contacts {
    fn read(request: &Message, settings: &Settings) -> Result<Contacts, Refusal> {
        let values: Vec<_> = request.values(Header::Contact).filter(|v| !v.is_empty()).collect();
        let header = request.header(Header::Expires).map(seconds);
        match values.as_slice() {
            [] => Ok(Contacts::Tell),
            ["*"] if header == Some(Duration::ZERO) => Ok(Contacts::RemoveAll),
            all if all.contains(&"*") => Err(Refusal::Malformed("Contact * Needs Expires 0")),
            all => {
                let read = all.iter().map(|value| Contact::read(value, header, settings));
                read.collect::<Result<_, _>>().map(Contacts::Update)
            }
        }
    }
}

impl Contact {
    fn read(
        value: &str,
        header: Option<Duration>,
        settings: &Settings,
    ) -> Result<Contact, Refusal> {
        let malformed = Refusal::Malformed("Malformed Contact");
        let contact = NameAddr::parse(value).map_err(|_| malformed.clone())?;
        let uri = Uri::parse(contact.uri).map_err(|_| malformed.clone())?;
        if !uri.scheme.eq_ignore_ascii_case("sip") {
            return Err(Refusal::ContactScheme);
        }
        let instance = contact.param("+sip.instance");
        let instance_is_long = instance.is_some_and(|i| i.len() > TEXT_BYTES_MAX);
        if contact.uri.len() > CONTACT_BYTES_MAX || instance_is_long {
            return Err(Refusal::Malformed("Contact Too Long"));
        }
        let q = match contact.param("q") {
            None => Q_MAX,
            Some(text) => read_q(text).ok_or(malformed.clone())?,
        };
        let reg_id = match contact.param("reg-id") {
            None => None,
            Some(text) => Some(text.parse().ok().filter(|n| *n > 0).ok_or(malformed)?),
        };
        let wanted = contact.param("expires").map(seconds).or(header).unwrap_or(EXPIRES_DEFAULT);
        Ok(Contact {
            uri: Arc::from(contact.uri),
            q,
            expires: grant(wanted, settings)?,
            instance: instance.filter(|i| !i.is_empty()).map(Arc::from),
            reg_id,
        })
    }
}

/// §10.3 step 7: more than the longest is cut, less than the shortest refused; but an hour never is.
fn grant(wanted: Duration, settings: &Settings) -> Result<Duration, Refusal> {
    let limits = &settings.limits;
    let brief = wanted < limits.expires_min && wanted < Duration::from_secs(3_600);
    if brief && !wanted.is_zero() {
        let least = limits.expires_min.as_secs().min(3_600);
        return Err(Refusal::TooBrief(u32::try_from(least).unwrap_or(u32::MAX)));
    }
    Ok(wanted.min(limits.expires_max))
}

fn seconds(text: &str) -> Duration {
    text.trim().parse::<u32>().map_or(EXPIRES_DEFAULT, |s| Duration::from_secs(u64::from(s)))
}

/// `qvalue` (§25.1): `0[.ddd]` or `1[.000]`, in thousandths.
fn read_q(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{part:0<3}").parse::<u16>().ok()?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(Q_MAX),
        _ => None,
    }
}

fn read_path(request: &Message) -> Result<Vec<Arc<str>>, Refusal> {
    let path: Vec<_> = request.values(Header::Path).collect();
    if path.is_empty() {
        return Ok(Vec::new());
    }
    if ![Header::Supported, Header::Require].iter().any(|h| request.lists(*h, "path")) {
        return Err(Refusal::PathNotAskedFor);
    }
    let fits = |value: &&str| {
        let uri = NameAddr::parse(value).ok().and_then(|a| Uri::parse(a.uri).ok());
        value.len() <= CONTACT_BYTES_MAX && uri.is_some_and(|u| u.is_sip())
    };
    if path.len() > PATH_LEN_MAX || !path.iter().all(fits) {
        return Err(Refusal::Malformed("Malformed Path"));
    }
    Ok(path.into_iter().map(Arc::from).collect())
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_read_in_thousandths_and_nothing_else_is_a_q() {
        for (text, q) in
            [("0", 0), ("0.5", 500), ("0.05", 50), ("1", 1000), ("1.000", 1000), ("0.", 0)]
        {
            assert_eq!(read_q(text), Some(q), "{text}");
        }
        for text in ["", ".5", "1.1", "0.1234", "2", "-1", "0.x", "0.5.5", "q"] {
            assert_eq!(read_q(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_seconds_means_an_hour() {
        for text in ["", "x", "-5", "4294967296", "3600s"] {
            assert_eq!(seconds(text), Duration::from_secs(3_600), "{text}");
        }
        assert_eq!(seconds(" 60 "), Duration::from_secs(60));
    }
}
