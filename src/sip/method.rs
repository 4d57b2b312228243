//! Methods (RFC 3261 §7.1 and its extensions), those that nobody has heard of included.
//!
//! Methods are case-sensitive: `invite` is an unknown method. Text that is no token can be held too, so
//! that a broken request can be represented; [`Method::is_token`] tells.

use std::fmt;
use std::sync::Arc;

use super::list::is_token;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13.2.2.4.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §10.
    Register,
    /// RFC 3261 §11.
    Options,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3428.
    Message,
    /// RFC 6086.
    Info,
    /// RFC 3515.
    Refer,
    /// RFC 3903.
    Publish,
    /// Any other, as written.
    Other(Arc<str>),
}

impl Method {
    /// The methods with a name of their own here.
    pub const KNOWN: [Method; 14] = [
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Register,
        Method::Options,
        Method::Update,
        Method::Prack,
        Method::Subscribe,
        Method::Notify,
        Method::Message,
        Method::Info,
        Method::Refer,
        Method::Publish,
    ];

    /// From text as on the wire; never fails.
    pub fn parse(text: &str) -> Self {
        match text {
            "INVITE" => Method::Invite,
            "ACK" => Method::Ack,
            "BYE" => Method::Bye,
            "CANCEL" => Method::Cancel,
            "REGISTER" => Method::Register,
            "OPTIONS" => Method::Options,
            "UPDATE" => Method::Update,
            "PRACK" => Method::Prack,
            "SUBSCRIBE" => Method::Subscribe,
            "NOTIFY" => Method::Notify,
            "MESSAGE" => Method::Message,
            "INFO" => Method::Info,
            "REFER" => Method::Refer,
            "PUBLISH" => Method::Publish,
            other => Method::Other(Arc::from(other)),
        }
    }

    /// As on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Register => "REGISTER",
            Method::Options => "OPTIONS",
            Method::Update => "UPDATE",
            Method::Prack => "PRACK",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Message => "MESSAGE",
            Method::Info => "INFO",
            Method::Refer => "REFER",
            Method::Publish => "PUBLISH",
            Method::Other(text) => text,
        }
    }

    /// RFC 3261 §25.1 `token`: what a request line may carry.
    pub fn is_token(&self) -> bool {
        match self {
            Method::Other(text) => is_token(text.as_bytes()),
            _ => true,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_method_reads_back() {
        for method in Method::KNOWN {
            assert_eq!(Method::parse(method.as_str()), method);
            assert!(method.is_token());
        }
    }

    #[test]
    fn case_matters() {
        assert_eq!(Method::parse("invite"), Method::Other(Arc::from("invite")));
    }

    #[test]
    fn a_strange_token_is_a_method_and_a_space_is_not() {
        assert!(Method::parse("RE%47IST%45R").is_token());
        assert!(!Method::parse("IN VITE").is_token());
        assert!(!Method::parse("").is_token());
    }
}
