//! One Via value (RFC 3261 §20.42, RFC 3581, RFC 5118 §4.5): `SIP/2.0/UDP host:port;branch=…`.

use std::net::{IpAddr, SocketAddr};

use super::list::{is_space, is_token, trim};
use super::param::{Param, Params};
use super::uri::{UriError, host_port, read_ip};

/// The cookie of RFC 3261 §8.1.1.7.
const BRANCH_COOKIE: &str = "z9hG4bK";

/// Where one hop sent a request from, and where its responses go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, … as written.
    pub transport: &'a str,
    /// Name or address; IPv6 in its brackets.
    pub host: &'a str,
    /// As written; `None` means the transport's default.
    pub port: Option<u16>,
    sent_by: &'a str,
    params: Params<'a>,
}

impl<'a> Via<'a> {
    /// One value, without commas around it.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let (name, rest) = text.split_once('/').ok_or(UriError::Scheme)?;
        let (version, rest) = rest.split_once('/').ok_or(UriError::Scheme)?;
        let rest = trim(rest);
        let end = rest.bytes().position(is_space).ok_or(UriError::Host)?;
        let (transport, rest) = (&rest[..end], trim(&rest[end..]));
        if !trim(name).eq_ignore_ascii_case("SIP") || !is_token(trim(version).as_bytes()) {
            return Err(UriError::Scheme);
        }
        if !is_token(transport.as_bytes()) {
            return Err(UriError::Scheme);
        }
        let end = rest.find(';').unwrap_or(rest.len());
        let (sent_by, params) = (trim(&rest[..end]), &rest[end..]);
        let (host, port) = host_port(sent_by)?;
        let read = Params::new(params);
        if params.len() == 1 || !read.are_well_formed() {
            return Err(UriError::Parameters);
        }
        Ok(Self { transport, host, port, sent_by, params: read })
    }

    /// Host and port as written.
    pub fn sent_by(&self) -> &'a str {
        self.sent_by
    }

    /// The `branch` parameter, whatever it is.
    pub fn branch(&self) -> Option<&'a str> {
        self.param("branch")
    }

    /// The branch names the transaction by itself: the cookie and more (RFC 3261 §17.2.3; RFC 4475
    /// §3.2.1 for a cookie with nothing behind it).
    pub fn magic_branch(&self) -> Option<&'a str> {
        self.branch().filter(|b| {
            let (cookie, rest) = b.split_at_checked(BRANCH_COOKIE.len()).unwrap_or(("", ""));
            cookie.eq_ignore_ascii_case(BRANCH_COOKIE) && !rest.is_empty()
        })
    }

    /// The `received` parameter as written.
    pub fn received(&self) -> Option<&'a str> {
        self.param("received").filter(|r| !r.is_empty())
    }

    /// The `received` parameter as an address; IPv6 with and without brackets (RFC 5118 §4.5).
    pub fn received_ip(&self) -> Option<IpAddr> {
        read_ip(self.received()?)
    }

    /// `None`: no `rport`. `Some(None)`: asked for (RFC 3581 §3). `Some(Some(port))`: filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.param("rport").map(|p| p.parse().ok())
    }

    /// The first parameter of that name (case-insensitive), without quotes; empty for a flag.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.value(name)
    }

    /// The parameters in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.params.iter()
    }

    /// The address in the sent-by, if it is one and not a name.
    pub fn host_ip(&self) -> Option<IpAddr> {
        read_ip(self.host)
    }

    /// Where a response goes over datagrams (RFC 3581 §4, RFC 3261 §18.2.2): `received` and `rport`, else the
    /// sent-by. `None` if that is a name.
    pub fn response_addr(&self) -> Option<SocketAddr> {
        let address = self.received_ip().or_else(|| self.host_ip())?;
        let port = self.rport().flatten().or(self.port).unwrap_or(5060);
        Some(SocketAddr::new(address, port))
    }

    /// The value with `received` and `rport` as the server fills them in (RFC 3261 §18.2.1, RFC 3581 §4):
    /// `received` if the sent-by is not `source`'s address or `rport` was asked for; what the sender wrote
    /// there itself is replaced. `None` if the value is right already.
    pub fn with_source(&self, source: SocketAddr) -> Option<String> {
        let wants_rport = self.params.has("rport");
        let wants_received = wants_rport || self.host_ip() != Some(source.ip().to_canonical());
        let mut text = format!("SIP/2.0/{} {}", self.transport, self.sent_by);
        for param in self.params.iter() {
            if ["received", "rport"].iter().any(|n| param.name.eq_ignore_ascii_case(n)) {
                continue;
            }
            text.push(';');
            text.push_str(param.name);
            if let Some(value) = param.value {
                text.push('=');
                text.push_str(value);
            }
        }
        if wants_received {
            text.push_str(&format!(";received={}", source.ip().to_canonical()));
        }
        if wants_rport {
            text.push_str(&format!(";rport={}", source.port()));
        }
        let has_received = self.params.has("received");
        (wants_received || wants_rport || has_received).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Via<'_> {
        Via::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"))
    }

    #[test]
    fn plain() {
        let via = parse("SIP/2.0/UDP host5.example.com:5070;branch=z9hG4bKx;rport");
        assert_eq!((via.transport, via.host, via.port), ("UDP", "host5.example.com", Some(5070)));
        assert_eq!(via.sent_by(), "host5.example.com:5070");
        assert_eq!((via.branch(), via.magic_branch()), (Some("z9hG4bKx"), Some("z9hG4bKx")));
        assert_eq!(via.rport(), Some(None));
    }

    #[test]
    fn spaces_everywhere() {
        let via = parse("SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8");
        assert_eq!(
            (via.transport, via.host, via.branch()),
            ("TCP", "spindle.example.com", Some("z9hG4bK9ikj8"))
        );
    }

    #[test]
    fn addresses_of_version_six_with_and_without_brackets() {
        for text in ["2001:db8::9:255", "[2001:db8::9:255]"] {
            let value = format!("SIP/2.0/UDP [2001:db8::9:1]:6050;received={text};branch=z9hG4bKa");
            let via = parse(&value);
            assert_eq!((via.host, via.port), ("[2001:db8::9:1]", Some(6050)));
            assert_eq!(via.received_ip(), "2001:db8::9:255".parse().ok());
            assert_eq!(via.branch(), Some("z9hG4bKa"));
        }
    }

    #[test]
    fn the_bare_cookie_names_no_transaction() {
        let via = parse("SIP/2.0/UDP h;branch=z9hG4bK");
        assert_eq!((via.branch(), via.magic_branch()), (Some("z9hG4bK"), None));
        assert_eq!(parse("SIP/2.0/UDP h").magic_branch(), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 h",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/UDP h;",
            "SIP/2.0/UDP 2001:db8::1;branch=z",
            "HTTP/1.1/TCP h",
            "SIP/2.0/UDP h:99999",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_source_is_filled_in_and_a_forged_one_replaced() {
        let source: SocketAddr = "192.0.2.9:4000".parse().unwrap();
        let fill = |text: &str| parse(text).with_source(source);
        assert_eq!(fill("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa"), None);
        assert_eq!(
            fill("SIP/2.0/UDP h;branch=z9hG4bKa").as_deref(),
            Some("SIP/2.0/UDP h;branch=z9hG4bKa;received=192.0.2.9")
        );
        assert_eq!(
            fill("SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bKa").as_deref(),
            Some("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa;received=192.0.2.9;rport=4000")
        );
        assert_eq!(
            fill("SIP/2.0/UDP 192.0.2.9;received=8.8.8.8").as_deref(),
            Some("SIP/2.0/UDP 192.0.2.9")
        );
    }

    #[test]
    fn responses_go_where_the_request_came_from() {
        let to = |text: &str| parse(text).response_addr().map(|a| a.to_string());
        assert_eq!(to("SIP/2.0/UDP h;received=192.0.2.9;rport=4000").unwrap(), "192.0.2.9:4000");
        assert_eq!(to("SIP/2.0/UDP 192.0.2.9:5080").unwrap(), "192.0.2.9:5080");
        assert_eq!(to("SIP/2.0/UDP h:5080"), None);
    }
}
