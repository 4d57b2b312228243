//! May this message be acted upon? The second half of "represent first, judge after" (RFC 4475 §3.1.2).
//!
//! Looks at what every element needs: first line, the mandatory headers (RFC 3261 §8.1.1), the headers that
//! stand once, numbers in their ranges, URIs that can be read. What depends on the element (extensions, body
//! types, Max-Forwards 0, credentials) is not judged here. A response is never answered: it is dropped; so
//! is an ACK.

use super::fault::{Fault, Rejection};
use super::header::Header;
use super::list::{is_space, split_values};
use super::message::Message;
use super::method::Method;
use super::nameaddr::NameAddr;
use super::uri::{Uri, UriError};
use super::via::Via;

/// RFC 3261 §8.1.1.5: below 2³¹.
const CSEQ_MAX: u32 = (1 << 31) - 1;

/// `has_what_it_must` keeps one bit for each header that we know.
const _: () = assert!(Header::ALL.len() <= 128);

/// Headers whose every value is a name-addr.
const ADDRESSES: [Header; 6] =
    [Header::From, Header::To, Header::Contact, Header::Route, Header::RecordRoute, Header::Path];

impl Message {
    /// `Err` says what to answer, or to drop it. Errors: 400 malformed, 416 a Request-URI's scheme that we do not
    /// know, 505 another version of SIP.
    pub fn judge(&self) -> Result<(), Rejection> {
        self.verdict(|| self.weigh())
    }

    fn weigh(&self) -> Result<(), Rejection> {
        let verdict = self.version_is_ours().and_then(|()| {
            self.lexes()?;
            self.has_what_it_must()?;
            self.counts_right()?;
            self.addresses_can_be_read()?;
            match self.is_request() {
                true => self.target_is_ours(),
                false => self.goes_to_one_host(),
            }
        });
        let is_unanswerable = !self.is_request() || *self.method() == Method::Ack;
        verdict.map_err(|r| Rejection { drop: is_unanswerable, ..r })
    }

    fn version_is_ours(&self) -> Result<(), Rejection> {
        match self.version().eq_ignore_ascii_case("SIP/2.0") {
            true => Ok(()),
            false => Err(reject(505, "Version Not Supported")),
        }
    }

    fn lexes(&self) -> Result<(), Rejection> {
        match self.fault() {
            Some(fault) => Err(bad(Fault::reason(fault))),
            None => Ok(()),
        }
    }

    fn has_what_it_must(&self) -> Result<(), Rejection> {
        let mut seen = 0u128;
        for line in self.index_lines() {
            let Some(id) = line.id else { continue };
            let bit = 1u128 << (id as u8);
            if seen & bit != 0 && id.stands_once() {
                return Err(bad("Header Must Stand Once"));
            }
            seen |= bit;
        }
        let has = |h: Header| seen & (1u128 << (h as u8)) != 0;
        let missing = |reason| Err(bad(reason));
        match () {
            () if !has(Header::Via) => missing("Missing Via"),
            () if !has(Header::From) => missing("Missing From"),
            () if !has(Header::To) => missing("Missing To"),
            () if self.call_id().is_empty() => missing("Missing Call-ID"),
            () if self.call_id().bytes().any(|b| is_space(b) || b == b',') => {
                missing("Bad Call-ID")
            }
            () if !has(Header::CSeq) => missing("Missing CSeq"),
            () => Ok(()),
        }
    }

    fn counts_right(&self) -> Result<(), Rejection> {
        let (number, method) = self.cseq().ok_or(bad("Bad CSeq"))?;
        if number > CSEQ_MAX || !method.is_token() {
            return Err(bad("Bad CSeq"));
        }
        if self.is_request() && (method != self.method()) {
            return Err(bad("CSeq Method Mismatch"));
        }
        if self.has(Header::MaxForwards) && self.max_forwards().is_none() {
            return Err(bad("Bad Max-Forwards"));
        }
        if !self.is_request() && !(100..700).contains(&self.status()) {
            return Err(bad("Bad Status Code"));
        }
        Ok(())
    }

    fn addresses_can_be_read(&self) -> Result<(), Rejection> {
        for value in self.values(Header::Via) {
            Via::parse(value).map_err(|_| bad("Bad Via"))?;
        }
        if self.values(Header::Via).next().is_none() {
            return Err(bad("Bad Via"));
        }
        for header in ADDRESSES {
            for line in self.lines(header) {
                self.judge_addresses(header, line)?;
            }
        }
        Ok(())
    }

    fn judge_addresses(&self, header: Header, line: &str) -> Result<(), Rejection> {
        let names_a_party = matches!(header, Header::From | Header::To);
        if names_a_party && *self.method() != Method::Register {
            // Who calls may be written as strangely as a PBX likes: it is a call all the same (A1), and
            // both sides of it say the address back as it was.
            let party = NameAddr::parse(line).ok().filter(|party| !party.is_star());
            return party.map(drop).ok_or(bad(complaint(header)));
        }
        if header.stands_once() {
            return judge_address(line, false).map_err(|_| bad(complaint(header)));
        }
        let may_be_star = header == Header::Contact;
        for value in split_values(line) {
            judge_address(value, may_be_star).map_err(|_| bad(complaint(header)))?;
        }
        Ok(())
    }

    fn target_is_ours(&self) -> Result<(), Rejection> {
        if !self.method().is_token() {
            return Err(bad("Bad Method"));
        }
        let uri = Uri::parse(self.uri()).map_err(|_| bad("Bad Request-URI"))?;
        if !uri.is_sip() && !uri.is_tel() {
            return Err(reject(416, "Unsupported URI Scheme"));
        }
        if uri.has_headers() {
            return Err(bad("Headers In Request-URI"));
        }
        Ok(())
    }

    /// RFC 4475 §3.1.2 `bcast`: a response is not sent on to everybody.
    fn goes_to_one_host(&self) -> Result<(), Rejection> {
        let next = self.values(Header::Via).nth(1).and_then(|v| Via::parse(v).ok());
        let is_crowd = next.and_then(|via| via.received_ip().or(via.host_ip())).is_some_and(|ip| {
            ip.is_multicast() || ip.is_unspecified() || ip == std::net::Ipv4Addr::BROADCAST
        });
        match is_crowd {
            true => Err(bad("Response To A Broadcast Address")),
            false => Ok(()),
        }
    }
}

fn judge_address(value: &str, may_be_star: bool) -> Result<(), UriError> {
    let address = NameAddr::parse(value)?;
    match address.is_star() {
        true if may_be_star => Ok(()),
        true => Err(UriError::Scheme),
        false => address.parsed_uri().map(|_| ()),
    }
}

fn complaint(header: Header) -> &'static str {
    match header {
        Header::From => "Bad From",
        Header::To => "Bad To",
        Header::Contact => "Bad Contact",
        Header::Route => "Bad Route",
        Header::RecordRoute => "Bad Record-Route",
        _ => "Bad Path",
    }
}

fn bad(reason: &'static str) -> Rejection {
    reject(400, reason)
}

fn reject(status: u16, reason: &'static str) -> Rejection {
    Rejection { status, reason, drop: false }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const OPTIONS: &str = "OPTIONS sip:h SIP/2.0\r\n\
        Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
        From: <sip:a@h>;tag=1\r\n\
        To: <sip:b@h>\r\n\
        Call-ID: c\r\n\
        CSeq: 1 OPTIONS\r\n\
        Max-Forwards: 70\r\n\
        Contact: <sip:a@h>\r\n\
        Content-Length: 0\r\n\r\n";

    fn judge(text: impl Into<Bytes>) -> Result<(), (u16, bool)> {
        let verdict = Message::parse(text.into()).unwrap().judge();
        verdict.map_err(|r| (r.status, r.drop))
    }

    #[test]
    fn a_plain_request_passes() {
        assert_eq!(judge(OPTIONS), Ok(()));
    }

    #[test]
    fn each_mandatory_header_is_missed() {
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let text = OPTIONS.replace(&format!("{name}: "), "X: ");
            assert_eq!(judge(text), Err((400, false)), "{name}");
        }
        assert_eq!(judge(OPTIONS.replace("Max-Forwards", "X")), Ok(()), "RFC 2543 had none");
    }

    #[test]
    fn each_broken_part_is_a_bad_request() {
        for (right, wrong) in [
            ("OPTIONS sip:h SIP", "OPTIONS  sip:h SIP"),
            ("sip:h SIP/2.0\r", "sip:h SIP/2.0 \r"),
            ("OPTIONS sip:h ", "OPTIONS <sip:h> "),
            ("OPTIONS sip:h ", "OPTIONS sip:h;\tlr "),
            ("OPTIONS sip:h ", "OPTIONS h "),
            ("OPTIONS sip:h ", "OPTIONS sip:h?Subject=x "),
            ("OPTIONS sip:h", "OPTI(NS sip:h"),
            ("1 OPTIONS", "1 INVITE"),
            ("1 OPTIONS", "2147483648 OPTIONS"),
            ("1 OPTIONS", "x OPTIONS"),
            ("1 OPTIONS", "-1 OPTIONS"),
            ("1 OPTIONS", "1"),
            ("70", "256"),
            ("70", "7x"),
            ("70", "70\r\nMax-Forwards: 70"),
            ("Length: 0", "Length: 1"),
            ("Length: 0", "Length: -1"),
            ("Length: 0", "Length: 0\r\nl: 0"),
            ("To: <sip:b@h>", "To: \"b <sip:b@h>"),
            ("To: <sip:b@h>", "To: *"),
            ("To: <sip:b@h>", "To: <sip:b@h>, <sip:c@h>"),
            ("From: <", "From: A, B <"),
            ("Contact: <sip:a@h>", "Contact: <sip:a@h>, <sip:"),
            ("Contact: <sip:a@h>", "Contact: "),
            ("UDP h;", "UDP h;;"),
            ("Call-ID: c", "Call-ID: c d"),
            ("Contact:", "no colon\r\nContact:"),
            ("Contact:", "X Y: z\r\nContact:"),
            ("Contact:", "X: a\rb\r\nContact:"),
            ("Contact:", "X: a\r\n b\rc\r\nContact:"),
            ("\r\n\r\n", "\r\n"),
        ] {
            let text = OPTIONS.replacen(right, wrong, 1);
            let expected = if wrong == "Contact: " { Ok(()) } else { Err((400, false)) };
            assert_eq!(judge(text), expected, "{wrong}");
        }
    }

    #[test]
    fn another_version_and_another_scheme_have_answers_of_their_own() {
        assert_eq!(judge(OPTIONS.replace("sip:h SIP/2.0", "sip:h SIP/7.0")), Err((505, false)));
        assert_eq!(judge(OPTIONS.replace("OPTIONS sip:h", "OPTIONS x.y:z")), Err((416, false)));
        assert_eq!(judge(OPTIONS.replace("OPTIONS sip:h", "OPTIONS tel:+78121234567")), Ok(()));
    }

    #[test]
    fn nobody_answers_an_ack_or_a_response() {
        let ack = OPTIONS.replace("OPTIONS", "ACK").replace("70", "x");
        assert_eq!(judge(ack), Err((400, true)));
        let response = OPTIONS.replace("OPTIONS sip:h SIP/2.0", "SIP/2.0 200 OK");
        assert_eq!(judge(response.clone()), Ok(()));
        assert_eq!(judge(response.replace("200", "700")), Err((400, true)));
        assert_eq!(judge(response.replace("200", "99")), Err((400, true)));
    }

    #[test]
    fn a_response_is_not_sent_on_to_a_crowd() {
        let response = OPTIONS.replace("OPTIONS sip:h SIP/2.0", "SIP/2.0 200 OK");
        for host in ["255.255.255.255", "224.0.1.75", "[ff02::1]", "0.0.0.0"] {
            let via = format!("Via: SIP/2.0/UDP {host}\r\nFrom");
            assert_eq!(judge(response.replacen("From", &via, 1)), Err((400, true)), "{host}");
        }
        assert_eq!(
            judge(response.replacen("From", "Via: SIP/2.0/UDP 192.0.2.1\r\nFrom", 1)),
            Ok(())
        );
    }
}
