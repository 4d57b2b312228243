//! `[[trunk]]` → trunks.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::convert;
use super::reader::{Document, Problems, Section, Value};
use crate::domain::{
    Credentials, EndStatuses, NumberFormat, Transport, Trunk, TrunkId, TrunkIdentity, TrunkTarget,
};

pub(super) fn all(
    document: &mut Document<'_, '_>,
    company: Option<&NumberFormat>,
    problems: &Problems,
) -> Vec<Arc<Trunk>> {
    let mut trunks: Vec<Arc<Trunk>> = Vec::new();
    let mut sources: BTreeMap<(IpAddr, Option<u16>), TrunkId> = BTreeMap::new();
    let sections = document.sections("trunk");
    if sections.is_empty() {
        let hint = "without a trunk only our people can call one another";
        problems.warning(0..0, "no trunk is described".to_string(), Some(hint.to_string()));
    }
    for section in sections {
        if let Some(trunk) = one(&section, company) {
            if trunks.iter().any(|t| t.id == trunk.id) {
                section.error("name", format!("trunk `{}` is there twice", trunk.id), None);
            }
            claim(&section, &trunk, &mut sources);
            trunks.push(Arc::new(trunk));
        }
        section.finish();
    }
    trunks
}

fn claim(
    section: &Section<'_, '_>,
    trunk: &Trunk,
    sources: &mut BTreeMap<(IpAddr, Option<u16>), TrunkId>,
) {
    let TrunkIdentity::Address(addresses) = &trunk.identity else { return };
    for address in addresses {
        if let Some(other) = sources.insert((address.ip, address.port), trunk.id.clone()) {
            let what = format!("{} is trunk `{other}` already", address.ip);
            section.error("from", what, Some("give each of them its port"));
        }
    }
}

fn one(section: &Section<'_, '_>, company: Option<&NumberFormat>) -> Option<Trunk> {
    let name = section.required("name", convert::text);
    let identity = identity(section);
    let target = section.optional("to", target);
    let numbers = numbers(section, company);
    let ends = EndStatuses {
        callback: status(section, "callback_status"),
        out_of_hours: status(section, "out_of_hours_status"),
        queue_full: status(section, "queue_full_status"),
    };
    let options_every = span(section, "options_every", 0, 3_600);
    if target.is_none() && section.is_given("options_every") && !options_every.is_zero() {
        let what = "OPTIONS need to know where to go".to_string();
        section.error("options_every", what, Some("set `to`, or leave options_every out"));
    }
    let trunk = Trunk {
        id: TrunkId::new(name.as_deref().unwrap_or("")),
        target,
        trusted: section.value("trusted", convert::boolean),
        calls_max: section.value("calls_max", convert::integer(1..=100_000)),
        calls_per_second_max: section.value("calls_per_second_max", convert::integer(1..=10_000)),
        options_every,
        answer_within: span(section, "answer_within", 5, 3_600),
        waiting_status: section.value("waiting_status", waiting_status),
        ends,
        pass_headers: section.value("pass_headers", convert::list(header_name)),
        // Last: every key has been asked for, whatever is wrong with these.
        identity: identity?,
        numbers: numbers?,
    };
    name.map(|_| trunk)
}

fn identity(section: &Section<'_, '_>) -> Option<TrunkIdentity> {
    // Of what is written; the default is converted after a wrong value.
    let empty = Cell::new(None);
    let from = section.value("from", |value| {
        let from = convert::list(convert::trunk_address)(value);
        empty.set(empty.get().or(Some(from.as_ref().is_ok_and(Vec::is_empty))));
        from
    });
    let user = section.optional("user", convert::text);
    let md5 = section.optional("ha1_md5", convert::hex(32));
    let sha256 = section.optional("ha1_sha256", convert::hex(64));
    match (from.is_empty(), user, md5, sha256) {
        (false, None, None, None) => Some(TrunkIdentity::Address(from)),
        (true, Some(user), Some(ha1_md5), Some(ha1_sha256)) => {
            Some(TrunkIdentity::Digest(Credentials { user, ha1_md5, ha1_sha256 }))
        }
        (false, ..) => {
            let what = "a trunk is known by address or by digest, not by both".to_string();
            section.error("from", what, Some("describe two trunks"));
            None
        }
        (true, ..) => {
            let given = ["from", "user", "ha1_md5", "ha1_sha256"];
            let nothing = !given.iter().any(|k| section.is_given(k));
            if nothing || empty.get() == Some(true) || section.is_given("user") {
                let what = "nothing says how this trunk is known".to_string();
                let hint = "from = [\"192.0.2.10\"], or user, ha1_md5 and ha1_sha256";
                section.error("name", what, Some(hint));
            }
            None
        }
    }
}

fn numbers(section: &Section<'_, '_>, company: Option<&NumberFormat>) -> Option<NumberFormat> {
    let country = section.optional("country", country);
    let outside_line = section.optional("outside_line", digits);
    let bare = section.value("bare_international", convert::boolean);
    let country = country.or_else(|| company.map(|c| c.country().into()))?;
    Some(NumberFormat::new(&country, outside_line.as_deref(), bare))
}

/// An ISO 3166 country that the number library knows.
pub(super) fn country(value: &Value<'_>) -> Result<Arc<str>, String> {
    let written = convert::text(value)?;
    let code: Arc<str> = written.to_ascii_uppercase().into();
    match NumberFormat::of(&code).is_known() {
        true => Ok(code),
        false => {
            let why = "is no country with telephone numbers: two letters are, such as `DE`";
            Err(format!("`{written}` {why}"))
        }
    }
}

/// Digits, `*` and `#`: what can be dialled.
pub(super) fn digits(value: &Value<'_>) -> Result<Arc<str>, String> {
    let text = convert::text(value)?;
    let fits = text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b));
    if fits { Ok(text) } else { Err(format!("`{text}` cannot be dialled")) }
}

fn target(value: &Value<'_>) -> Result<TrunkTarget, String> {
    let text = convert::text(value)?;
    let (transport, place) = match text.split_once(':') {
        Some(("udp", rest)) => (Transport::Udp, rest),
        Some(("tcp", rest)) => (Transport::Tcp, rest),
        _ => return Err(format!("`{text}` needs a transport: `udp:{text}` or `tcp:{text}`")),
    };
    TrunkTarget::new(transport, place).ok_or_else(|| format!("`{place}` is no host or host:port"))
}

fn header_name(value: &Value<'_>) -> Result<Arc<str>, String> {
    /// These belong to the dialog or the hop; copying them would break both.
    const NEVER: [&str; 22] = [
        "via",
        "route",
        "record-route",
        "contact",
        "call-id",
        "cseq",
        "supported",
        "require",
        "allow",
        "session-expires",
        "min-se",
        "rseq",
        "rack",
        "authorization",
        "from",
        "to",
        "max-forwards",
        "content-length",
        "content-type",
        "proxy-authorization",
        "proxy-require",
        "proxy-authenticate",
    ];
    let text = convert::text(value)?;
    let token = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
    if !token || text.len() < 2 {
        return Err(format!("`{text}` is no header name (compact forms are not taken)"));
    }
    if NEVER.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!("`{text}` belongs to one dialog and never crosses"));
    }
    Ok(text)
}

fn waiting_status(value: &Value<'_>) -> Result<u16, String> {
    let status = convert::integer(180..=183)(value)?;
    if status == 181 {
        return Err("181 says that a call is forwarded, not that it waits".to_string());
    }
    Ok(status as u16)
}

fn status(section: &Section<'_, '_>, name: &'static str) -> u16 {
    section.value(name, convert::integer(400..=699)) as u16
}

fn span(section: &Section<'_, '_>, name: &'static str, from_s: u64, to_s: u64) -> Duration {
    section.value(name, convert::span(Duration::from_secs(from_s)..=Duration::from_secs(to_s)))
}
