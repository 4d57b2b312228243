//! Digest access authentication (RFC 3261 §22, RFC 7616, RFC 8760): both sides' arithmetic and texts.
//!
//! MD5 and SHA-256; `qop` `auth` and `auth-int`, and none at all for MD5 (RFC 2069 clients). Whose password
//! it is, whether a nonce is ours and fresh, and how often a count was used: the registrar's questions.
//! Comparisons take the same time whatever the bytes.

use std::borrow::Cow;
use std::fmt;

use md5::Md5;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::list::split_values;
use super::method::Method;
use super::param::{quote, unquote};

/// The hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What every phone can.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    /// As the `algorithm` parameter writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// Case-insensitive; `None` for one that we cannot do (`-sess` among them).
    pub fn parse(text: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Sha256]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(text))
    }

    /// The hash of the parts, a colon between them, in lower-case hexadecimal.
    fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Algorithm::Md5 => hash::<Md5>(parts),
            Algorithm::Sha256 => hash::<Sha256>(parts),
        }
    }
}

fn hash<D: md5::Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    let sum = hasher.finalize();
    sum.iter().flat_map(|b| [hex_digit(b >> 4), hex_digit(b & 0xf)]).collect()
}

/// `nibble` is below 16.
fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble & 0xf)])
}

/// What is protected (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// The body too.
    AuthInt,
}

impl Qop {
    /// As the `qop` parameter writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }

    fn parse(text: &str) -> Option<Qop> {
        [Qop::Auth, Qop::AuthInt].into_iter().find(|q| q.as_str().eq_ignore_ascii_case(text))
    }
}

/// `H(user:realm:password)`, lower-case hexadecimal: what is stored instead of a password.
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// What is hashed besides the secret.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The challenge's nonce.
    pub nonce: &'a str,
    /// `None` is RFC 2069.
    pub qop: Option<Qop>,
    /// The count as written, eight hexadecimal digits; empty without `qop`.
    pub nc: &'a str,
    /// The client's nonce; empty without `qop`.
    pub cnonce: &'a str,
    /// The request's method.
    pub method: &'a Method,
    /// The `uri` parameter, as written there.
    pub uri: &'a str,
    /// The body, for `auth-int`.
    pub body: &'a [u8],
}

/// The `response` value (RFC 7616 §3.4.1), lower-case hexadecimal.
pub fn response(algorithm: Algorithm, ha1: &str, question: &Question<'_>) -> String {
    let (method, uri) = (question.method.as_str().as_bytes(), question.uri.as_bytes());
    let ha2 = match question.qop {
        Some(Qop::AuthInt) => {
            let body = algorithm.hash(&[question.body]);
            algorithm.hash(&[method, uri, body.as_bytes()])
        }
        _ => algorithm.hash(&[method, uri]),
    };
    let (ha1, nonce, ha2) = (ha1.as_bytes(), question.nonce.as_bytes(), ha2.as_bytes());
    match question.qop {
        Some(qop) => {
            let (nc, cnonce) = (question.nc.as_bytes(), question.cnonce.as_bytes());
            algorithm.hash(&[ha1, nonce, nc, cnonce, qop.as_str().as_bytes(), ha2])
        }
        None => algorithm.hash(&[ha1, nonce, ha2]),
    }
}

/// One Authorization or Proxy-Authorization line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// Quotes and escapes undone, as all texts here.
    pub username: Cow<'a, str>,
    /// Whose users they are.
    pub realm: Cow<'a, str>,
    /// The challenge's.
    pub nonce: Cow<'a, str>,
    /// What the client hashed as the URI.
    pub uri: Cow<'a, str>,
    /// The answer, hexadecimal.
    pub response: Cow<'a, str>,
    /// MD5 if not said; `None` if it is one that we cannot do.
    pub algorithm: Option<Algorithm>,
    /// Absent in RFC 2069.
    pub cnonce: Option<Cow<'a, str>>,
    /// Sent back as it was.
    pub opaque: Option<Cow<'a, str>>,
    /// `None`: not said (RFC 2069). `Some(None)`: one that we cannot do.
    pub qop: Option<Option<Qop>>,
    /// The count as written.
    pub nc: Option<Cow<'a, str>>,
}

impl<'a> Authorization<'a> {
    /// A header line's value. `None` if the scheme is not Digest, or username, realm, nonce, uri or response is
    /// missing, or any
    /// field is said twice.
    pub fn parse(line: &'a str) -> Option<Self> {
        let fields = Fields::parse(line)?;
        let algorithm = match fields.one("algorithm") {
            Some(name) => Algorithm::parse(&name),
            None => Some(Algorithm::Md5),
        };
        Some(Self {
            username: fields.one("username")?,
            realm: fields.one("realm")?,
            nonce: fields.one("nonce")?,
            uri: fields.one("uri")?,
            response: fields.one("response")?,
            algorithm,
            cnonce: fields.one("cnonce"),
            opaque: fields.one("opaque"),
            qop: fields.one("qop").map(|q| Qop::parse(&q)),
            nc: fields.one("nc"),
        })
    }

    /// The count: eight hexadecimal digits (RFC 7616 §3.4); `None` if missing or malformed.
    pub fn count(&self) -> Option<u32> {
        let nc = self.nc.as_deref()?;
        let is_hex = nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(nc, 16).ok()).flatten()
    }

    /// The response is the one that `ha1` gives for this request. False for what we cannot do, for `qop`
    /// without `nc` or `cnonce`, and for SHA-256 without `qop`. Compares in constant time.
    pub fn proves(&self, ha1: &str, method: &Method, body: &[u8]) -> bool {
        let Some(algorithm) = self.algorithm else { return false };
        let qop = match self.qop {
            Some(None) => return false,
            Some(Some(_)) if self.count().is_none() || self.cnonce.is_none() => return false,
            None if algorithm != Algorithm::Md5 => return false,
            said => said.flatten(),
        };
        let question = Question {
            nonce: &self.nonce,
            qop,
            nc: self.nc.as_deref().unwrap_or(""),
            cnonce: self.cnonce.as_deref().unwrap_or(""),
            method,
            uri: &self.uri,
            body,
        };
        let right = response(algorithm, ha1, &question);
        same(&right, &self.response.to_ascii_lowercase())
    }
}

/// Equal, in a time that depends on the lengths only.
pub fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// One WWW-Authenticate or Proxy-Authenticate line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Whose password is asked for.
    pub realm: Cow<'a, str>,
    /// To be hashed with it.
    pub nonce: Cow<'a, str>,
    /// The hash to use.
    pub algorithm: Algorithm,
    /// What may be protected; empty is RFC 2069.
    pub qop: Vec<Qop>,
    /// The password was right, the nonce too old.
    pub stale: bool,
    /// To be sent back as it is.
    pub opaque: Option<Cow<'a, str>>,
}

impl<'a> Challenge<'a> {
    /// A header line's value. `None` if the scheme is not Digest, realm or nonce is missing, or the algorithm is
    /// one that we cannot do.
    pub fn parse(line: &'a str) -> Option<Self> {
        let fields = Fields::parse(line)?;
        let algorithm = match fields.one("algorithm") {
            Some(name) => Algorithm::parse(&name)?,
            None => Algorithm::Md5,
        };
        let qop = fields.one("qop").unwrap_or_default();
        Some(Self {
            realm: fields.one("realm")?,
            nonce: fields.one("nonce")?,
            algorithm,
            qop: qop.split(',').filter_map(|q| Qop::parse(q.trim())).collect(),
            stale: fields.one("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
            opaque: fields.one("opaque"),
        })
    }

    /// The client's answer: the value of Authorization or Proxy-Authorization. `auth` if offered, else
    /// `auth-int` if offered, else RFC 2069. `count` begins at 1 for each nonce.
    pub fn answer(&self, login: &Login<'_>, request: &Asked<'_>) -> String {
        let qop = [Qop::Auth, Qop::AuthInt].into_iter().find(|q| self.qop.contains(q));
        let nc = format!("{:08x}", request.count);
        let question = Question {
            nonce: &self.nonce,
            qop,
            nc: &nc,
            cnonce: request.cnonce,
            method: request.method,
            uri: request.uri,
            body: request.body,
        };
        let ha1 = ha1(self.algorithm, login.user, &self.realm, login.password);
        let response = response(self.algorithm, &ha1, &question);
        let mut line = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}",
            quote(login.user),
            quote(&self.realm),
            quote(&self.nonce),
            quote(request.uri),
            self.algorithm.as_str(),
        );
        if let Some(qop) = qop {
            let cnonce = quote(request.cnonce);
            line.push_str(&format!(", qop={}, nc={nc}, cnonce={cnonce}", qop.as_str()));
        }
        if let Some(opaque) = &self.opaque {
            line.push_str(&format!(", opaque={}", quote(opaque)));
        }
        line
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", quote(&self.realm), quote(&self.nonce))?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        write!(f, ", algorithm={}", self.algorithm.as_str())?;
        if !self.qop.is_empty() {
            let qop: Vec<&str> = self.qop.iter().map(|q| q.as_str()).collect();
            write!(f, ", qop=\"{}\"", qop.join(","))?;
        }
        Ok(())
    }
}

/// Who answers a challenge.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// User name.
    pub user: &'a str,
    /// Never to be logged.
    pub password: &'a str,
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, …)", self.user)
    }
}

/// The request that was challenged, and the client's own nonce.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its Request-URI.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// Random text.
    pub cnonce: &'a str,
    /// How often the server's nonce was used, this time included.
    pub count: u32,
}

/// `Digest name=value, name="value" …`.
struct Fields<'a> {
    all: Vec<(&'a str, &'a str)>,
}

/// More fields than any RFC defines are not looked at.
const FIELDS_MAX: usize = 32;

impl<'a> Fields<'a> {
    /// `None` too if a field is said twice: which one counts would be a matter of taste.
    fn parse(line: &'a str) -> Option<Self> {
        let (scheme, rest) = line.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let pairs = split_values(rest).take(FIELDS_MAX).filter_map(|p| p.split_once('='));
        let all: Vec<_> = pairs.map(|(name, value)| (name.trim(), value.trim())).collect();
        let is_repeated = |i: usize| all[..i].iter().any(|(n, _)| n.eq_ignore_ascii_case(all[i].0));
        match (0..all.len()).any(is_repeated) {
            true => None,
            false => Some(Self { all }),
        }
    }

    fn one(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut found = self.all.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| unquote(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn line(algorithm: &str, response: &str, nc: &str) -> String {
        format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             algorithm={algorithm}, nonce=\"{NONCE}\", nc={nc}, cnonce=\"{CNONCE}\", qop=auth, \
             response=\"{response}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    }

    fn proves(line: &str, ha1: &str) -> bool {
        let read = Authorization::parse(line);
        read.is_some_and(|a| a.proves(ha1, &Method::parse("GET"), b""))
    }

    #[test]
    fn the_rfcs_own_examples_hold() {
        for (algorithm, right) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            assert!(proves(&line(algorithm.as_str(), right, "00000001"), &ha1));
            assert!(proves(&line(algorithm.as_str(), &right.to_uppercase(), "00000001"), &ha1));
            assert!(!proves(&line(algorithm.as_str(), right, "00000002"), &ha1));
            assert!(!proves(&line(algorithm.as_str(), &right[1..], "00000001"), &ha1));
        }
    }

    #[test]
    fn an_old_client_without_qop_is_understood_for_md5_only() {
        let ha1 = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "CircleOfLife");
        let line = |algorithm: &str| {
            format!(
                "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", uri=\"/dir/index.html\", \
                 nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"{algorithm}, \
                 response=\"1949323746fe6a43ef61f9606e7febea\""
            )
        };
        assert!(proves(&line(""), &ha1));
        assert!(proves(&line(", algorithm=md5"), &ha1));
        assert!(!proves(&line(", algorithm=SHA-256"), &ha1));
        assert!(!proves(&line(", algorithm=MD5-sess"), &ha1));
    }

    #[test]
    fn the_body_counts_with_auth_int() {
        let ha1 = ha1(Algorithm::Sha256, "alice", "example.org", "secret");
        let question = Question {
            nonce: "abc",
            qop: Some(Qop::AuthInt),
            nc: "0000000a",
            cnonce: "xyz",
            method: &Method::Invite,
            uri: "sip:bob@example.org",
            body: b"v=0\r\n",
        };
        let right = response(Algorithm::Sha256, &ha1, &question);
        assert_eq!(right, "ba170b9af1d3a246673bb977d9f6a9949cbcbec29b60d9f63eb62937af9e7fb8");
        let line = format!(
            "digest username=alice,realm=\"example.org\" , nonce=\"abc\",uri=\"sip:bob@example.org\",\
             qop=\"auth-int\",nc=0000000A,cnonce=\"xyz\",algorithm=sha-256,response={right}"
        );
        let read = Authorization::parse(&line).unwrap();
        assert_eq!(read.count(), Some(10));
        // The count is hashed as written.
        assert!(!read.proves(&ha1, &Method::Invite, b"v=0\r\n"));
        let line = line.replace("0000000A", "0000000a");
        let read = Authorization::parse(&line).unwrap();
        assert!(read.proves(&ha1, &Method::Invite, b"v=0\r\n"));
        assert!(!read.proves(&ha1, &Method::Invite, b"v=1\r\n"));
        assert!(!read.proves(&ha1, &Method::Bye, b"v=0\r\n"));
    }

    #[test]
    fn an_answer_to_our_challenge_proves_the_password() {
        for (algorithm, qop) in [
            (Algorithm::Md5, vec![Qop::Auth]),
            (Algorithm::Sha256, vec![Qop::AuthInt, Qop::Auth]),
            (Algorithm::Sha256, vec![Qop::AuthInt]),
            (Algorithm::Md5, vec![]),
        ] {
            let challenge = Challenge {
                realm: Cow::Borrowed("a \"quoted\" realm"),
                nonce: Cow::Borrowed("n\\1"),
                algorithm,
                qop,
                stale: true,
                opaque: Some(Cow::Borrowed("o")),
            };
            let text = challenge.to_string();
            assert_eq!(Challenge::parse(&text).as_ref(), Some(&challenge), "{text}");
            let asked = Asked {
                method: &Method::Register,
                uri: "sip:example.org",
                body: b"x",
                cnonce: "c\"1",
                count: 0x1f,
            };
            let login = Login { user: "иван \"i\"", password: "p:w" };
            let answer = challenge.answer(&login, &asked);
            let read = Authorization::parse(&answer).unwrap();
            assert_eq!((&*read.username, read.opaque.as_deref()), (login.user, Some("o")));
            let right = ha1(algorithm, login.user, &challenge.realm, "p:w");
            assert!(read.proves(&right, &Method::Register, b"x"), "{answer}");
            let wrong = ha1(algorithm, login.user, &challenge.realm, "pw");
            assert!(!read.proves(&wrong, &Method::Register, b"x"));
        }
    }

    #[test]
    fn what_is_no_digest_is_not_read() {
        for line in [
            "",
            "Digest",
            "Basic dXNlcjpwdw==",
            "NoOneKnowsThisScheme opaque-data=here",
            "Digest username=\"a\"",
            "Digest username=a, username=b, realm=r, nonce=n, uri=u, response=x",
        ] {
            assert_eq!(Authorization::parse(line), None, "{line}");
        }
        assert_eq!(
            Challenge::parse("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256"),
            None
        );
    }

    #[test]
    fn a_count_is_eight_hexadecimal_digits() {
        let count = |nc: &str| {
            let line = line("MD5", "0", nc);
            Authorization::parse(&line).and_then(|a| a.count())
        };
        assert_eq!(count("0000000a"), Some(10));
        assert_eq!(count("ffffffff"), Some(u32::MAX));
        for nc in ["1", "0000000g", "+0000001", "000000001", "\"\""] {
            assert_eq!(count(nc), None, "{nc}");
        }
    }

    #[test]
    fn a_password_does_not_show_in_logs() {
        let login = Login { user: "a", password: "hunter2" };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
