//! URIs: `sip`, `sips` (RFC 3261 §19.1), `tel` (RFC 3966), and others as opaque text.
//!
//! A view on text; nothing is decoded until asked. What the text cannot mean is an error, an unknown scheme
//! is not: whether we serve it is `judge.rs`'s or the caller's question.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::list::trim;
use super::param::{Param, Params};

/// Why text is no URI, no name-addr or no Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriError {
    /// Nothing there.
    Empty,
    /// No scheme, or one with wrong characters; in a Via, no `SIP/2.0/transport`.
    Scheme,
    /// The user part has a character that must be escaped, or a `%` without two digits behind it.
    User,
    /// Neither a name, nor an IPv4 address, nor an IPv6 address in brackets.
    Host,
    /// Not a number of 0 to 65535.
    Port,
    /// A malformed parameter.
    Parameters,
    /// White space where none may be, or nothing between the brackets.
    Space,
    /// A quotation mark that nothing closes.
    Quotes,
    /// Angle brackets missing or unbalanced.
    Brackets,
    /// A display name that needs quotes.
    DisplayName,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UriError::Empty => "empty",
            UriError::Scheme => "bad scheme",
            UriError::User => "bad user part",
            UriError::Host => "bad host",
            UriError::Port => "bad port",
            UriError::Parameters => "bad parameters",
            UriError::Space => "unexpected white space",
            UriError::Quotes => "unbalanced quotes",
            UriError::Brackets => "unbalanced angle brackets",
            UriError::DisplayName => "display name needs quotes",
        })
    }
}

impl std::error::Error for UriError {}

/// A URI, in parts. For `tel` the number is `user` and `host` is empty; for schemes that we do not know
/// everything is [`Uri::opaque`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// As written, without the colon.
    pub scheme: &'a str,
    /// As written, escapes included.
    pub user: Option<&'a str>,
    /// As written. Never to be logged.
    pub password: Option<&'a str>,
    /// Name or address; IPv6 in its brackets; empty if the scheme has none.
    pub host: &'a str,
    /// `None` means the transport's default.
    pub port: Option<u16>,
    opaque: &'a str,
    params: Params<'a>,
    headers: &'a str,
}

impl<'a> Uri<'a> {
    /// `text` is a URI and nothing else: no brackets, no display name, no spaces.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        if text.is_empty() {
            return Err(UriError::Empty);
        }
        let (scheme, opaque) = text.split_once(':').ok_or(UriError::Scheme)?;
        let starts_well = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        let goes_on_well =
            scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !starts_well || !goes_on_well {
            return Err(UriError::Scheme);
        }
        let bare = Self {
            scheme,
            user: None,
            password: None,
            host: "",
            port: None,
            opaque,
            params: Params::default(),
            headers: "",
        };
        if bare.is_sip() {
            bare.read_sip()
        } else if bare.is_tel() {
            bare.read_tel()
        } else if opaque.is_empty() {
            Err(UriError::Empty)
        } else {
            is_seamless(opaque).then_some(bare).ok_or(UriError::Space)
        }
    }

    fn read_sip(mut self) -> Result<Self, UriError> {
        let mut rest = self.opaque;
        if let Some((userinfo, behind)) = rest.split_once('@') {
            let (user, password) = match userinfo.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (userinfo, None),
            };
            if user.is_empty()
                || !userinfo.bytes().all(is_user_byte)
                || !escapes_are_whole(userinfo)
            {
                return Err(UriError::User);
            }
            (self.user, self.password, rest) = (Some(user), password, behind);
        }
        let (before, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let end = memchr::memchr(b';', before.as_bytes()).unwrap_or(before.len());
        if !is_seamless(rest) {
            return Err(UriError::Space);
        }
        (self.host, self.port) = host_port(&before[..end])?;
        let params = &before[end..];
        self.params = Params::new(params);
        self.headers = headers;
        if params.len() == 1 || !self.params.are_well_formed() {
            return Err(UriError::Parameters);
        }
        Ok(self)
    }

    fn read_tel(mut self) -> Result<Self, UriError> {
        let end = self.opaque.find(';').unwrap_or(self.opaque.len());
        let (number, params) = self.opaque.split_at(end);
        if !is_seamless(params) {
            return Err(UriError::Space);
        }
        let digits = number.strip_prefix('+').unwrap_or(number);
        let local = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#') || is_separator(b);
        if digits.is_empty() || !digits.bytes().all(local) {
            return Err(UriError::User);
        }
        self.user = Some(number);
        self.params = Params::new(params);
        if params.len() == 1 || !self.params.are_well_formed() {
            return Err(UriError::Parameters);
        }
        Ok(self)
    }

    /// `sip` or `sips`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.is_secure()
    }

    /// `sips`.
    pub fn is_secure(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// `tel`.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// Everything behind `scheme:`, as written.
    pub fn opaque(&self) -> &'a str {
        self.opaque
    }

    /// The user part with its escapes undone; bytes that are no UTF-8 become U+FFFD. Empty if there is none.
    pub fn user_decoded(&self) -> Cow<'a, str> {
        self.user.map_or(Cow::Borrowed(""), unescape)
    }

    /// The first URI parameter of that name (case-insensitive); empty for a flag.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.value(name)
    }

    /// The URI parameters in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.params.iter()
    }

    /// The URI's header of that name (`?Replaces=…`), escapes undone.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.headers()
            .find(|(n, _)| unescape(n).eq_ignore_ascii_case(name))
            .map(|(_, v)| unescape(v))
    }

    /// The URI's headers as written, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let pieces = self.headers.split('&').filter(|p| !p.is_empty());
        pieces.map(|p| p.split_once('=').unwrap_or((p, "")))
    }

    /// There is a `?` part.
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// The host as an address, if it is one; IPv4-mapped addresses as IPv4.
    pub fn host_ip(&self) -> Option<IpAddr> {
        read_ip(self.host)
    }

    /// Host and port, if the host is an address.
    pub fn socket_addr(&self, default_port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host_ip()?, self.port.unwrap_or(default_port)))
    }

    /// RFC 3261 §19.1.4; `tel` by RFC 3966 §4; other schemes by their text. `transport` on one side only
    /// makes a difference, as in that section's examples.
    pub fn equals(&self, other: &Uri<'_>) -> bool {
        if !self.scheme.eq_ignore_ascii_case(other.scheme) {
            return false;
        }
        if self.is_tel() {
            return digits(self.user).eq(digits(other.user)) && self.params_equal(other);
        }
        if !self.is_sip() {
            return self.opaque == other.opaque;
        }
        same_text(self.user, other.user)
            && same_text(self.password, other.password)
            && self.same_host(other)
            && self.port == other.port
            && self.params_equal(other)
            && self.headers_equal(other)
    }

    fn same_host(&self, other: &Uri<'_>) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            || self.host_ip().is_some_and(|ip| other.host_ip() == Some(ip))
    }

    fn params_equal(&self, other: &Uri<'_>) -> bool {
        const NEVER_IGNORED: [&str; 6] =
            ["user", "ttl", "method", "maddr", "transport", "phone-context"];
        let fits = |a: &Uri<'_>, b: &Uri<'_>| {
            a.params().all(|p| match b.param(p.name) {
                Some(value) => units(p.text()).map(lower).eq(units(value).map(lower)),
                None => !NEVER_IGNORED.iter().any(|n| p.name.eq_ignore_ascii_case(n)),
            })
        };
        fits(self, other) && fits(other, self)
    }

    fn headers_equal(&self, other: &Uri<'_>) -> bool {
        let fits = |a: &Uri<'_>, b: &Uri<'_>| {
            a.headers().all(|(name, value)| {
                let (name, value) = (unescape(name), unescape(value));
                b.header(&name).is_some_and(|v| v == value)
            })
        };
        fits(self, other) && fits(other, self)
    }
}

/// Nothing in it could end the URI: white space, control characters, quotes, angle brackets.
fn is_seamless(text: &str) -> bool {
    !text.bytes().any(|b| b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f))
}

/// `host` or `host:port`; IPv6 only in brackets. A third colon in `[2001:db8:::192.0.2.1]` is borne
/// (RFC 5118 §4.10).
pub(super) fn host_port(text: &str) -> Result<(&str, Option<u16>), UriError> {
    let end = match text.strip_prefix('[') {
        Some(inner) => inner.find(']').map(|i| i + 2).ok_or(UriError::Host)?,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, behind) = text.split_at(end);
    let host = trim(host);
    let is_name = |h: &str| {
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        !h.is_empty() && h.bytes().all(fine)
    };
    let is_fine = if host.starts_with('[') { read_ip(host).is_some() } else { is_name(host) };
    if !is_fine {
        return Err(UriError::Host);
    }
    let behind = trim(behind);
    if behind.is_empty() {
        return Ok((host, None));
    }
    let digits = trim(behind.strip_prefix(':').ok_or(UriError::Host)?);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UriError::Port);
    }
    Ok((host, Some(digits.parse().map_err(|_| UriError::Port)?)))
}

/// An address as hosts and `received` write it: IPv6 with or without brackets and with RFC 3261's third
/// colon; IPv4-mapped addresses as IPv4.
pub(super) fn read_ip(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| {
        let read: Option<Ipv6Addr> = bare.replacen(":::", "::", 1).parse().ok();
        read.map(IpAddr::V6)
    })?;
    Some(IpAddr::to_canonical(&address))
}

/// Text for a URI's user part: what may not stand there is escaped (RFC 3261 §25.1 `user`).
pub fn escape_user(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte != b'%' && byte != b':' && byte < 0x80 && is_user_byte(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Escapes undone; a `%` without two digits stays.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes: Vec<u8> = units(text).map(|u| u.byte).collect();
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// One character of a URI as comparison sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Unit {
    byte: u8,
    /// Escaped, and reserved: not the same as the bare character (RFC 3261 §19.1.4).
    is_kept_apart: bool,
}

fn units(text: &str) -> impl Iterator<Item = Unit> + '_ {
    let bytes = text.as_bytes();
    let mut i = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(i)?;
        let escaped = (byte == b'%').then(|| hex(bytes.get(i + 1..i + 3)?)).flatten();
        i += if escaped.is_some() { 3 } else { 1 };
        let is_kept_apart = escaped.is_some_and(|b| b";/?:@&=+$,".contains(&b));
        Some(Unit { byte: escaped.unwrap_or(byte), is_kept_apart })
    })
}

fn lower(unit: Unit) -> Unit {
    Unit { byte: unit.byte.to_ascii_lowercase(), ..unit }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let value = |b: u8| char::from(b).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(value(*high)? * 16 + value(*low)?).ok()
}

fn same_text(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => units(a).eq(units(b)),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|i| bytes.get(i + 1..i + 3).and_then(hex).is_some())
}

/// RFC 3261 §25.1 `user` and `password`, and what lies beyond ASCII (phones send it bare).
const USER: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = i >= 0x80 || (i as u8).is_ascii_alphanumeric();
        i += 1;
    }
    let marks = b"-_.!~*'()&=+$,;?/:%#[]{}|^`\\";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    table
};

fn is_user_byte(byte: u8) -> bool {
    USER[usize::from(byte)]
}

/// RFC 3966 `visual-separator`.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

fn digits(number: Option<&str>) -> impl Iterator<Item = u8> + '_ {
    let bytes = number.unwrap_or("").bytes();
    bytes.filter(|b| !is_separator(*b)).map(|b| b.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Uri<'_> {
        Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn all_parts() {
        let uri = parse("sip:alice:pw@atlanta.com:5061;transport=TCP;lr?Replaces=a%40b%3Bx&p=2");
        assert_eq!((uri.scheme, uri.user, uri.password), ("sip", Some("alice"), Some("pw")));
        assert_eq!((uri.host, uri.port), ("atlanta.com", Some(5061)));
        assert_eq!((uri.param("transport"), uri.param("lr")), (Some("TCP"), Some("")));
        assert_eq!(uri.header("replaces").as_deref(), Some("a@b;x"));
    }

    #[test]
    fn a_user_part_may_look_like_anything() {
        assert_eq!(parse("sip:ivan.petrov@h").user, Some("ivan.petrov"));
        let semi = parse("sip:user;par=u%40example.net@example.com");
        assert_eq!(semi.user_decoded(), "user;par=u@example.net");
        assert_eq!(semi.host, "example.com");
        let odd =
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d@h";
        assert_eq!(parse(odd).password, Some("&it+has=1,weird!*pas$wo~d"));
        assert_eq!(parse("sip:null-%00-null@h").user_decoded(), "null-\0-null");
    }

    #[test]
    fn addresses() {
        let six = parse("sip:u@[2001:db8::10]:5070");
        assert_eq!(six.socket_addr(5060).unwrap().to_string(), "[2001:db8::10]:5070");
        assert_eq!(parse("sip:[2001:db8::10:5070]").port, None);
        assert_eq!(parse("sip:192.0.2.1").socket_addr(5060).unwrap().port(), 5060);
        assert_eq!(parse("sip:a@[::ffff:192.0.2.2]").host_ip(), "192.0.2.2".parse().ok());
        assert_eq!(parse("sip:a@h").host_ip(), None);
        assert_eq!(
            parse("sip:u@[2001:db8:::192.0.2.1]").host_ip(),
            parse("sip:u@[2001:db8::192.0.2.1]").host_ip()
        );
    }

    #[test]
    fn telephone_and_unknown_schemes() {
        let tel = parse("tel:+7-812-123-45-67;phone-context=x");
        assert_eq!((tel.user, tel.host), (Some("+7-812-123-45-67"), ""));
        assert_eq!(parse("soap.beep://192.0.2.103:3002").opaque(), "//192.0.2.103:3002");
        assert!(!parse("isbn:2983792873").is_sip());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "alice",
            "<sip:a@h>",
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:2001:db8::10",
            "sip:a@h:",
            "sip:a@h:70000",
            "sip:a@h:5x",
            "sip:a b@h",
            "sip:a@h; lr",
            "sip:a@h;x=\"y\"",
            "sip:a@h?x=\"y\"",
            "sip:a@h :5060",
            "tel:+7;x=\"y\"",
            "isbn:1 2",
            "sip:a@[::1",
            "sip:a@[zz]",
            "sip:a@h;",
            "sip:a%4@h",
            "sip:a@b@c",
            "tel:",
            "tel:abc xyz",
            "1x:y",
            "x:",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn equal_as_the_rfc_says() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("tel:+7(812)1234567", "TEL:+7-812-123-45-67"),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0::1]"),
        ] {
            assert!(parse(a).equals(&parse(b)), "{a} {b}");
        }
    }

    #[test]
    fn different_as_the_rfc_says() {
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@c;security=on", "sip:carol@c;security=off"),
            ("sip:a@h", "sips:a@h"),
            ("sip:a@h", "sip:a:pw@h"),
            ("sip:a%3Bb@h", "sip:a;b@h"),
            ("tel:112;phone-context=+7", "tel:112"),
            ("sip:h", "sip:a@h"),
        ] {
            assert!(!parse(a).equals(&parse(b)), "{a} {b}");
        }
    }

    #[test]
    fn an_escaped_user_reads_back() {
        for text in ["иван", "a b@c:d", "100%", "plain.user+1"] {
            let uri = format!("sip:{}@h", escape_user(text));
            assert_eq!(parse(&uri).user_decoded(), text);
            assert_eq!(parse(&uri).password, None);
        }
    }
}
