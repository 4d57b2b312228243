//! The offer/answer view of SDP (RFC 8866, RFC 3264): whose session it is, where media goes, who is on hold.
//!
//! A view on bytes that change in two ways only: the `o=` line's session id and version, which are ours per
//! leg. All else passes as it came, lines that we do not know and bytes that are no UTF-8 included.

use std::net::IpAddr;
use std::ops::Range;

/// Lines that are looked at; a body of more is no SDP for us.
const LINES_MAX: usize = 2_000;

/// Which way media flows, as the description's writer sees it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The writer sends only: the other side is on hold.
    SendOnly,
    /// The writer receives only.
    RecvOnly,
    /// No media at all.
    Inactive,
}

impl Direction {
    /// As the attribute is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn parse(attribute: &[u8]) -> Option<Direction> {
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
            .into_iter()
            .find(|d| d.as_str().as_bytes() == attribute)
    }
}

/// The `o=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `-` if the writer has no users.
    pub username: &'a str,
    /// Digits, as written: some writers use more than 64 bits.
    pub session_id: &'a str,
    /// Digits, as written.
    pub version: &'a str,
    /// `IN IP4 192.0.2.1`, as written.
    pub address: &'a str,
}

/// One `m=` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video` …
    pub kind: String,
    /// 0: refused, or switched off.
    pub port: u16,
    /// `RTP/AVP` …
    pub protocol: String,
    /// Its own `c=` address or the session's, as written; empty if there is none.
    pub address: String,
    /// Its own, else the session's, else both ways.
    pub direction: Direction,
}

impl Media {
    /// The address, if it is one and not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// The writer hears nothing from the other side: `sendonly`, `inactive`, or the old way, 0.0.0.0.
    pub fn is_hold(&self) -> bool {
        let is_silent = matches!(self.direction, Direction::SendOnly | Direction::Inactive);
        is_silent || self.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

/// A session description.
#[derive(Clone, Debug)]
pub struct Sdp<'a> {
    bytes: &'a [u8],
    origin: Range<usize>,
    media: Vec<Media>,
}

impl<'a> Sdp<'a> {
    /// `None` if it does not begin with `v=0`, has no readable `o=`, or has more than `LINES_MAX` lines.
    pub fn parse(bytes: &'a [u8]) -> Option<Sdp<'a>> {
        let mut reader = Reader::default();
        for (i, line) in (Lines { bytes, at: 0 }).enumerate() {
            let text = &bytes[line.clone()];
            match i {
                0 if text.trim_ascii_end() != b"v=0" => return None,
                LINES_MAX => return None,
                _ => reader.read(text, line)?,
            }
        }
        let sdp = Sdp { bytes, origin: reader.origin?, media: reader.media };
        sdp.read_origin()?;
        Some(sdp)
    }

    /// The `o=` line.
    pub fn origin(&self) -> Origin<'a> {
        self.read_origin().unwrap_or(Origin {
            username: "-",
            session_id: "0",
            version: "0",
            address: "",
        })
    }

    /// The same description with our session id and version in its `o=` line; not a byte else changes.
    pub fn with_origin(&self, session_id: u64, version: u64) -> Vec<u8> {
        let origin = self.origin();
        let line = format!("o={} {session_id} {version} {}", origin.username, origin.address);
        let mut out = Vec::with_capacity(self.bytes.len() + line.len());
        out.extend_from_slice(&self.bytes[..self.origin.start]);
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(&self.bytes[self.origin.end..]);
        out
    }

    /// Everything but the `o=` line is the same: the session has not changed (RFC 3264 §8).
    pub fn says_the_same(&self, other: &Sdp<'_>) -> bool {
        self.bytes[..self.origin.start] == other.bytes[..other.origin.start]
            && self.bytes[self.origin.end..] == other.bytes[other.origin.end..]
    }

    /// Each `m=` section in order.
    pub fn media(&self) -> &[Media] {
        &self.media
    }

    /// Of the first live audio section, else of the first section; both ways without any.
    pub fn direction(&self) -> Direction {
        self.leading().map(|m| m.direction).unwrap_or_default()
    }

    /// The writer has put the other side on hold: every live section is silent, and there is one.
    pub fn is_hold(&self) -> bool {
        let mut live = self.media.iter().filter(|m| m.port != 0).peekable();
        live.peek().is_some() && live.all(Media::is_hold)
    }

    /// Address and port of every live section, names left out.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u16)> + '_ {
        let live = self.media.iter().filter(|m| m.port != 0);
        live.filter_map(|m| Some((m.ip()?, m.port)))
    }

    fn leading(&self) -> Option<&Media> {
        let audio = self.media.iter().find(|m| m.kind == "audio" && m.port != 0);
        audio.or(self.media.first())
    }

    fn read_origin(&self) -> Option<Origin<'a>> {
        let text = std::str::from_utf8(&self.bytes[self.origin.clone()]).ok()?;
        let mut words = text.strip_prefix("o=")?.splitn(4, ' ');
        let (username, session_id) = (words.next()?, words.next()?);
        let (version, address) = (words.next()?, words.next()?);
        let is_number = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit());
        let is_whole = !username.is_empty() && is_number(session_id) && is_number(version);
        is_whole.then_some(Origin { username, session_id, version, address })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    origin: Option<Range<usize>>,
    address: String,
    direction: Direction,
    media: Vec<Media>,
}

impl Reader {
    /// `None` only for an `m=` line that cannot be read.
    fn read(&mut self, text: &[u8], place: Range<usize>) -> Option<()> {
        match text {
            [b'o', b'=', ..] if self.origin.is_none() => self.origin = Some(place),
            [b'c', b'=', rest @ ..] => {
                let words = String::from_utf8_lossy(rest);
                let address = words.split_ascii_whitespace().nth(2).unwrap_or("");
                let address = address.split('/').next().unwrap_or("").to_owned();
                *self.media.last_mut().map_or(&mut self.address, |m| &mut m.address) = address;
            }
            [b'a', b'=', rest @ ..] => {
                if let Some(direction) = Direction::parse(rest.trim_ascii_end()) {
                    *self.media.last_mut().map_or(&mut self.direction, |m| &mut m.direction) =
                        direction;
                }
            }
            [b'm', b'=', rest @ ..] => {
                let words = String::from_utf8_lossy(rest);
                let mut words = words.split_ascii_whitespace();
                let (kind, port) = (words.next()?.to_owned(), words.next()?);
                let port = port.split('/').next().unwrap_or("").parse().ok()?;
                let protocol = words.next()?.to_owned();
                let (address, direction) = (self.address.clone(), self.direction);
                self.media.push(Media { kind, port, protocol, address, direction });
            }
            _ => {}
        }
        Some(())
    }
}

/// Places of lines without their line ends.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        let feed = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let start = self.at;
        let end = start + feed - usize::from(feed > 0 && rest[feed - 1] == b'\r');
        self.at = start + feed + 1;
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=alice 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\n\
                         c=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\n\
                         m=video 3227/2 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n";

    fn with(attribute: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 8000 RTP/AVP 0\r\n{attribute}\r\n"
        )
    }

    #[test]
    fn origin_media_and_addresses() {
        let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
        assert_eq!(sdp.origin().username, "alice");
        assert_eq!((sdp.origin().session_id, sdp.origin().version), ("29739", "7272939"));
        assert_eq!(sdp.origin().address, "IN IP4 192.0.2.3");
        assert_eq!(sdp.media().len(), 2);
        assert_eq!(sdp.media()[1].protocol, "RTP/AVP");
        let addresses: Vec<_> = sdp.addresses().map(|(ip, port)| (ip.to_string(), port)).collect();
        assert_eq!(addresses, [("192.0.2.4".to_owned(), 49217), ("2001:db8::1".to_owned(), 3227)]);
        assert_eq!(sdp.direction(), Direction::SendRecv);
        assert!(!sdp.is_hold());
    }

    #[test]
    fn our_origin_changes_nothing_else() {
        let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
        let ours = String::from_utf8(sdp.with_origin(77, 3)).unwrap();
        assert_eq!(ours, OFFER.replace("29739 7272939", "77 3"));
        assert!(sdp.says_the_same(&Sdp::parse(ours.as_bytes()).unwrap()));
        assert!(!sdp.says_the_same(&Sdp::parse(with("").as_bytes()).unwrap()));
    }

    #[test]
    fn bytes_that_are_no_text_and_bare_line_feeds_pass() {
        let mut bytes = b"v=0\no=- 1 2 IN IP4 h\ns=".to_vec();
        bytes.extend_from_slice(&[0xff, 0xfe, 0]);
        bytes.extend_from_slice(b"\nm=audio 8000 RTP/AVP 0");
        let ours = Sdp::parse(&bytes).unwrap().with_origin(9, 9);
        let mut right = b"v=0\no=- 9 9 IN IP4 h\ns=".to_vec();
        right.extend_from_slice(&[0xff, 0xfe, 0]);
        right.extend_from_slice(b"\nm=audio 8000 RTP/AVP 0");
        assert_eq!(ours, right);
    }

    #[test]
    fn hold_in_its_three_ways() {
        for attribute in ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"] {
            assert!(Sdp::parse(with(attribute).as_bytes()).unwrap().is_hold(), "{attribute}");
        }
        for attribute in ["a=sendrecv", "a=recvonly", "a=rtpmap:0 PCMU/8000"] {
            assert!(!Sdp::parse(with(attribute).as_bytes()).unwrap().is_hold(), "{attribute}");
        }
    }

    #[test]
    fn a_sections_own_direction_beats_the_sessions() {
        let text = with("a=sendrecv").replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n");
        assert_eq!(Sdp::parse(text.as_bytes()).unwrap().direction(), Direction::SendRecv);
        let text = with("a=x").replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n");
        assert_eq!(Sdp::parse(text.as_bytes()).unwrap().direction(), Direction::Inactive);
    }

    #[test]
    fn refused_media_counts_for_nothing() {
        let text = with("a=inactive").replace("8000", "0");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        assert!(!sdp.is_hold());
        assert_eq!(sdp.addresses().count(), 0);
    }

    #[test]
    fn what_is_no_session_is_not_read() {
        for text in ["", "v=1\r\n", "v=0\r\n", "v=0\r\no=x\r\n", "v=0\r\no=- x 1 IN IP4 h\r\n"] {
            assert!(Sdp::parse(text.as_bytes()).is_none(), "{text}");
        }
        let bad_port = with("").replace("8000", "80000");
        assert!(Sdp::parse(bad_port.as_bytes()).is_none());
        let long = format!("{}{}", with(""), "a=x\r\n".repeat(LINES_MAX));
        assert!(Sdp::parse(long.as_bytes()).is_none());
    }
}
