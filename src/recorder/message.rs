//! A SIP message without people's data, in plain form: one line a header, nothing folded.
//!
//! Headers that we know to be harmless stay, those with URIs are gone through, credentials are computed
//! anew; of all others only the name stays. Session descriptions keep addresses, ports and codecs, other
//! bodies keep their length.

use std::fmt::Write;
use std::net::IpAddr;

use super::pseudonym::Pseudonyms;
use crate::registrar::reseal_nonce;
use crate::sip::digest::{self, Algorithm, Authorization, Question};
use crate::sip::{Header, Message, Param, Uri, escape_user, unquote};

/// Parameters whose values name nobody.
const PARAMS: [&str; 18] = [
    "expires",
    "q",
    "reg-id",
    "lr",
    "ob",
    "transport",
    "user",
    "rport",
    "received",
    "ttl",
    "maddr",
    "cause",
    "reason",
    "counter",
    "privacy",
    "index",
    "refresher",
    "method",
];
/// Those that only name a message or a dialog.
const TAGS: [&str; 4] = ["tag", "branch", "to-tag", "from-tag"];
/// Lines of a session description that name nobody.
const SDP_LINES: [&str; 5] = ["v=", "c=", "b=", "t=", "m="];
/// Attributes of one that name nobody and are no secret.
const SDP_ATTRIBUTES: [&str; 14] = [
    "rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive", "rtcp",
    "rtcp-mux", "mid", "group", "setup", "rtcp-fb",
];

/// `message` as it came from, or went to, `peer`.
pub(super) fn message(names: &mut Pseudonyms, message: &Message, peer: IpAddr) -> String {
    let body = message.body();
    let is_sdp = message.content_type().is_some_and(|t| t.starts_with("application/sdp"));
    let body = match is_sdp {
        true => session(&String::from_utf8_lossy(&body)),
        false => "x".repeat(body.len()),
    };
    let mut out = match message.is_request() {
        true => format!("{} {} SIP/2.0\r\n", message.method(), uri(names, message.uri())),
        false => format!("SIP/2.0 {} -\r\n", message.status()),
    };
    for (name, value) in message.all_lines() {
        let value = line(names, message, Header::parse(name), value, (&body, peer));
        // Writing to a String cannot fail.
        let _ = write!(out, "{name}: {value}\r\n");
    }
    out.push_str("\r\n");
    out.push_str(&body);
    out
}

fn line(
    names: &mut Pseudonyms,
    whole: &Message,
    header: Option<Header>,
    value: &str,
    (body, peer): (&str, IpAddr),
) -> String {
    use Header::*;
    let Some(header) = header else { return "x".into() };
    match header {
        Via => via(names, value),
        CallId => names.call_id(value).to_string(),
        ContentLength => body.len().to_string(),
        CSeq | MaxForwards | Expires | MinExpires | Allow | AllowEvents | Supported | Require
        | ProxyRequire | Unsupported | ContentType | ContentEncoding | ContentDisposition
        | ContentLanguage | Accept | AcceptEncoding | AcceptLanguage | RetryAfter | Privacy
        | PEarlyMedia | Event | SubscriptionState | SessionExpires | MinSe | RSeq | RAck
        | ReferSub | Date | Timestamp | Priority | MimeVersion | RecvInfo | InfoPackage
        | FlowTimer => value.to_owned(),
        Reason => value.split(";text").next().unwrap_or_default().to_owned(),
        UserAgent | Server => product(value),
        From | To | Contact | Route | RecordRoute | Path | ServiceRoute | PAssertedIdentity
        | PPreferredIdentity | RemotePartyId | Diversion | HistoryInfo | ReferTo | ReferredBy
        | ReplyTo => addresses(names, value),
        Replaces | Join | TargetDialog => {
            let (id, rest) = value.split_once(';').unwrap_or((value, ""));
            let rest = if rest.is_empty() { String::new() } else { format!(";{rest}") };
            format!("{}{}", names.call_id(id.trim()), params(names, &rest))
        }
        Authorization | ProxyAuthorization => {
            authorization(names, whole, value, body, peer).unwrap_or_else(|| "x".into())
        }
        WwwAuthenticate | ProxyAuthenticate => challenge(names, value, peer),
        _ => "x".into(),
    }
}

/// Name and version of the program: what follows may be the phone's owner.
fn product(value: &str) -> String {
    let end = value.find('(').unwrap_or(value.len());
    value[..end].split(' ').take(2).collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn via(names: &mut Pseudonyms, value: &str) -> String {
    let one = |one: &str| {
        let (sent, rest) = one.split_once(';').map_or((one, ""), |(s, _)| (s, &one[s.len()..]));
        let (proto, by) = sent.trim().rsplit_once(char::is_whitespace).unwrap_or(("", sent));
        let by = host_port(names, by);
        format!("{} {by}{}", proto.trim(), params(names, rest))
    };
    value.split(',').map(one).collect::<Vec<_>>().join(", ")
}

fn host_port(names: &Pseudonyms, text: &str) -> String {
    match text.rsplit_once(':').filter(|(h, _)| !h.contains(':') || h.ends_with(']')) {
        Some((host, port)) => format!("{}:{port}", names.host(host)),
        None => names.host(text),
    }
}

/// `;name=value…`: values of names that we do not know become others.
fn params(names: &Pseudonyms, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(';') {
        rest = &rest[at + 1..];
        let mut quoted = false;
        let ends = |c: char| {
            quoted ^= c == '"';
            !quoted && matches!(c, ';' | ',')
        };
        let end = rest.find(ends).unwrap_or(rest.len());
        let (name, value) = match rest[..end].split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (rest[..end].trim(), None),
        };
        out.push(';');
        out.push_str(name);
        let stays = PARAMS.iter().any(|known| known.eq_ignore_ascii_case(name));
        match value {
            None => {}
            Some(value) if TAGS.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                let _ = write!(out, "={}", tag(names, value));
            }
            Some(value) if stays && !value.contains(['"', '@']) => {
                let _ = write!(out, "={}", names.without_people(value));
            }
            Some(value) if name.eq_ignore_ascii_case("+sip.instance") => {
                let _ = write!(out, "=\"{}\"", instance(names, &unquote(value)));
            }
            Some(value) => {
                let _ = write!(out, "={}", names.opaque(name, value, 16));
            }
        }
        rest = &rest[end..];
    }
    out
}

/// Name-addrs and addr-specs, several with commas.
pub(super) fn addresses(names: &mut Pseudonyms, text: &str) -> String {
    crate::sip::split_values(text).map(|one| address(names, one)).collect::<Vec<_>>().join(", ")
}

fn address(names: &mut Pseudonyms, text: &str) -> String {
    let text = text.trim();
    let mut quoted = false;
    let opens = |c: char| {
        quoted ^= c == '"';
        !quoted && c == '<'
    };
    let Some(open) = text.find(opens) else {
        let (bare, rest) = text.split_once(';').map_or((text, ""), |(b, _)| (b, &text[b.len()..]));
        return if bare == "*" { text.into() } else { uri(names, bare) + &params(names, rest) };
    };
    let display = text[..open].trim().trim_matches('"');
    let close = text[open..].find('>').map_or(text.len(), |at| open + at);
    let display = match display.is_empty() {
        true => String::new(),
        false => format!("\"{}\" ", names.display(display)),
    };
    let inside = uri(names, &text[open + 1..close]);
    let behind = text.get(close + 1..).unwrap_or_default();
    format!("{display}<{inside}>{}", params(names, behind))
}

/// One URI: its headers and its password are gone.
pub(super) fn uri(names: &mut Pseudonyms, text: &str) -> String {
    let Ok(uri) = Uri::parse(text) else { return format!("sip:x{}", names.opaque("uri", text, 8)) };
    if !uri.is_sip() && !uri.is_tel() {
        return format!("{}:{}", uri.scheme, names.opaque("uri", text, 16));
    }
    let user = uri.user.map(|_| names.user(&uri.user_decoded()));
    let parameters: String = uri.params().map(parameter).collect();
    let parameters = params(names, &parameters);
    if uri.is_tel() {
        return format!("{}:{}{parameters}", uri.scheme, user.unwrap_or_default());
    }
    let user = user.map(|user| format!("{}@", escape_user(&user))).unwrap_or_default();
    let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}:{user}{}{port}{parameters}", uri.scheme, names.host(uri.host))
}

fn parameter(one: Param<'_>) -> String {
    match one.value {
        Some(value) => format!(";{}={value}", one.name),
        None => format!(";{}", one.name),
    }
}

/// An answer to a challenge: right if it was right.
fn authorization(
    names: &mut Pseudonyms,
    whole: &Message,
    value: &str,
    body: &str,
    peer: IpAddr,
) -> Option<String> {
    let said = Authorization::parse(value)?;
    let known = names.kept_of(&said.username).cloned();
    let ha1 = |of: &crate::domain::Credentials| match said.algorithm {
        Some(Algorithm::Sha256) => of.ha1_sha256.clone(),
        _ => of.ha1_md5.clone(),
    };
    let is_right =
        known.as_ref().is_some_and(|of| said.proves(&ha1(of), whole.method(), &whole.body()));
    let user = names.user(&said.username);
    let nonce = nonce(names, &said.nonce, peer);
    let target = uri(names, &said.uri);
    let cnonce = said.cnonce.as_ref().map(|c| names.opaque("cnonce", c, 8));
    let nc = said.nc.as_deref().filter(|nc| nc.bytes().all(|b| b.is_ascii_hexdigit()));
    let qop = said.qop.flatten();
    let response = match (&known, said.algorithm) {
        (Some(of), Some(algorithm)) if is_right => {
            let question = Question {
                nonce: &nonce,
                qop,
                nc: nc.unwrap_or_default(),
                cnonce: cnonce.as_deref().unwrap_or_default(),
                method: whole.method(),
                uri: &target,
                body: body.as_bytes(),
            };
            digest::response(algorithm, &ha1(&names.credentials(of)), &question)
        }
        _ => names.opaque("response", &said.response, said.response.len()),
    };
    let (realm, algorithm) = (&said.realm, said.algorithm.map_or("x", Algorithm::as_str));
    let mut out = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", \
         response=\"{response}\", algorithm={algorithm}"
    );
    let parts = [
        ("cnonce", cnonce.map(|c| format!("\"{c}\""))),
        ("nc", nc.map(str::to_owned)),
        ("qop", said.qop.map(|_| qop.map_or("x", |q| q.as_str()).to_owned())),
    ];
    for (name, value) in parts {
        out.extend(value.map(|value| format!(", {name}={value}")));
    }
    Some(out)
}

fn challenge(names: &Pseudonyms, value: &str, peer: IpAddr) -> String {
    let Some(challenge) = digest::Challenge::parse(value) else { return "x".into() };
    let nonce = nonce(names, &challenge.nonce, peer);
    digest::Challenge { nonce: nonce.as_str().into(), opaque: None, ..challenge }.to_string()
}

/// Ours stays one of ours, of the same age, under the file's key.
fn nonce(names: &Pseudonyms, nonce: &str, peer: IpAddr) -> String {
    let resealed = reseal_nonce(nonce, peer, &names.real().nonce, &names.shown().nonce);
    resealed.unwrap_or_else(|| names.opaque("nonce", nonce, 40))
}

/// Tags and branches say nothing of people where machines make them; some phones do not.
pub(super) fn tag(names: &Pseudonyms, text: &str) -> String {
    const MAGIC: &str = "z9hG4bK";
    match (text.is_empty(), text.strip_prefix(MAGIC)) {
        (true, _) => String::new(),
        (_, Some(branch)) => format!("{MAGIC}{}", names.opaque("branch", branch, 20)),
        _ => names.opaque("tag", text, 16),
    }
}

/// What names one phone.
pub(super) fn instance(names: &Pseudonyms, text: &str) -> String {
    format!("<urn:x:{}>", names.opaque("instance", text, 20))
}

/// Addresses, ports and codecs of a session description.
pub(super) fn session(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().map(str::trim_end) {
        let attribute = line.strip_prefix("a=").map(|a| a.split(':').next().unwrap_or_default());
        if attribute.is_some_and(|a| SDP_ATTRIBUTES.contains(&a))
            || SDP_LINES.iter().any(|known| line.starts_with(known))
        {
            out.push_str(line);
        } else if let Some(origin) = line.strip_prefix("o=") {
            let rest = origin.split_once(' ').map_or("", |(_, rest)| rest);
            let _ = write!(out, "o=- {rest}");
        } else if line.starts_with("s=") {
            out.push_str("s=-");
        } else {
            continue;
        }
        out.push_str("\r\n");
    }
    out
}
