//! The names of headers that we know, with their compact forms (RFC 3261 §7.3.3, §20, and extensions).
//!
//! A name on the wire is found in a table built at compile time; a name that is not there stays text.

/// Declares the enum, its canonical names and its compact forms in one list.
macro_rules! headers {
    ($($variant:ident = $name:literal $(/ $compact:literal)?),* $(,)?) => {
        /// A header that we know by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Header {
            $(#[doc = concat!("`", $name, "`.")] $variant),*
        }

        impl Header {
            /// All of them.
            pub const ALL: &'static [Header] = &[$(Header::$variant),*];

            /// The canonical name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Header::$variant => $name),* }
            }

            /// The one-letter form, if it has one.
            pub const fn compact(self) -> Option<&'static str> {
                match self { $(Header::$variant => headers!(@compact $($compact)?)),* }
            }
        }
    };
    (@compact) => { None };
    (@compact $compact:literal) => { Some($compact) };
}

headers! {
    Via = "Via" / "v",
    From = "From" / "f",
    To = "To" / "t",
    CallId = "Call-ID" / "i",
    CSeq = "CSeq",
    Contact = "Contact" / "m",
    MaxForwards = "Max-Forwards",
    Route = "Route",
    RecordRoute = "Record-Route",
    Path = "Path",
    ServiceRoute = "Service-Route",
    Expires = "Expires",
    MinExpires = "Min-Expires",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    AuthenticationInfo = "Authentication-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / "u",
    Supported = "Supported" / "k",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Unsupported = "Unsupported",
    ContentType = "Content-Type" / "c",
    ContentLength = "Content-Length" / "l",
    ContentEncoding = "Content-Encoding" / "e",
    ContentDisposition = "Content-Disposition",
    ContentLanguage = "Content-Language",
    Accept = "Accept",
    AcceptContact = "Accept-Contact" / "a",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    RejectContact = "Reject-Contact" / "j",
    RequestDisposition = "Request-Disposition" / "d",
    UserAgent = "User-Agent",
    Server = "Server",
    Warning = "Warning",
    RetryAfter = "Retry-After",
    Reason = "Reason",
    Subject = "Subject" / "s",
    UserToUser = "User-to-User",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    PChargingVector = "P-Charging-Vector",
    PEarlyMedia = "P-Early-Media",
    RemotePartyId = "Remote-Party-ID",
    Identity = "Identity" / "y",
    IdentityInfo = "Identity-Info" / "n",
    Privacy = "Privacy",
    Diversion = "Diversion",
    HistoryInfo = "History-Info",
    AlertInfo = "Alert-Info",
    CallInfo = "Call-Info",
    ErrorInfo = "Error-Info",
    Event = "Event" / "o",
    SubscriptionState = "Subscription-State",
    SessionExpires = "Session-Expires" / "x",
    MinSe = "Min-SE",
    RSeq = "RSeq",
    RAck = "RAck",
    Replaces = "Replaces",
    Join = "Join",
    TargetDialog = "Target-Dialog",
    ReferTo = "Refer-To" / "r",
    ReferredBy = "Referred-By" / "b",
    ReferSub = "Refer-Sub",
    Date = "Date",
    Timestamp = "Timestamp",
    Organization = "Organization",
    InReplyTo = "In-Reply-To",
    ReplyTo = "Reply-To",
    Priority = "Priority",
    MimeVersion = "MIME-Version",
    RecvInfo = "Recv-Info",
    InfoPackage = "Info-Package",
    FlowTimer = "Flow-Timer",
    SipEtag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
}

impl Header {
    /// By full or compact name, case-insensitive.
    pub fn parse(name: &str) -> Option<Header> {
        Self::from_bytes(name.as_bytes())
    }

    pub(super) fn from_bytes(name: &[u8]) -> Option<Header> {
        if name.is_empty() {
            return None;
        }
        let mut slot = hash(name);
        loop {
            let header = Header::ALL[usize::from(TABLE[slot]).checked_sub(1)?];
            let compact = header.compact().map(str::as_bytes);
            if name.eq_ignore_ascii_case(header.as_str().as_bytes())
                || compact.is_some_and(|c| name.eq_ignore_ascii_case(c))
            {
                return Some(header);
            }
            slot = (slot + 1) % TABLE_LEN;
        }
    }

    /// One value, in one line, in one message (RFC 3261 §7.3.1); a second one is a malformed message.
    pub(super) fn stands_once(self) -> bool {
        matches!(
            self,
            Header::From
                | Header::To
                | Header::CallId
                | Header::CSeq
                | Header::MaxForwards
                | Header::ContentLength
                | Header::ContentType
        )
    }
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Places in the table: a power of two, some five times the names.
const TABLE_LEN: usize = 512;

/// Open addressing over both names of every header; 0 is empty, else the header's place in `ALL` plus one.
const TABLE: [u8; TABLE_LEN] = {
    let mut table = [0u8; TABLE_LEN];
    let mut i = 0;
    while i < Header::ALL.len() {
        place(&mut table, Header::ALL[i].as_str().as_bytes(), i as u8 + 1);
        if let Some(compact) = Header::ALL[i].compact() {
            place(&mut table, compact.as_bytes(), i as u8 + 1);
        }
        i += 1;
    }
    table
};

const fn place(table: &mut [u8; TABLE_LEN], name: &[u8], entry: u8) {
    let mut slot = hash(name);
    while table[slot] != 0 {
        slot = (slot + 1) % TABLE_LEN;
    }
    table[slot] = entry;
}

/// `name` is not empty.
const fn hash(name: &[u8]) -> usize {
    let n = name.len();
    let (first, middle, last) = (name[0] | 0x20, name[n / 2] | 0x20, name[n - 1] | 0x20);
    (n * 97 + first as usize * 7 + middle as usize * 31 + last as usize * 131) % TABLE_LEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for header in Header::ALL {
            for name in [Some(header.as_str()), header.compact()].into_iter().flatten() {
                assert_eq!(Header::parse(name), Some(*header));
                assert_eq!(Header::parse(&name.to_uppercase()), Some(*header));
                assert_eq!(Header::parse(&name.to_lowercase()), Some(*header));
            }
        }
    }

    #[test]
    fn a_strange_name_is_not_found() {
        for name in ["", "z", "Xyzzy", "C%6Fntact", "Vía", "Content-Lengthy"] {
            assert_eq!(Header::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_table_is_sparse() {
        let used = TABLE.iter().filter(|e| **e != 0).count();
        assert!(used * 4 < TABLE_LEN);
    }
}
