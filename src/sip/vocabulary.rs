//! The one adapter to the vocabulary crate `rsip`: reason phrases and methods by its names.
//!
//! It gives names, not messages: its parser loses user parts, IPv6 addresses and branches, so no byte from the
//! wire passes through it. Its CamelCase names become RFC 3261 §21's phrases here.

use std::sync::LazyLock;

use rsip::StatusCode;

use super::method::Method;

/// Codes are below this.
const STATUS_END: u16 = 700;

/// The usual phrase of a status code; that of its class for a code that nobody has named (RFC 3261 §8.1.3.2).
pub fn reason_phrase(status: u16) -> &'static str {
    static PHRASES: LazyLock<Vec<String>> = LazyLock::new(|| (0..STATUS_END).map(phrase).collect());
    PHRASES.get(usize::from(status)).map_or("Unknown", String::as_str)
}

fn phrase(status: u16) -> String {
    match StatusCode::from(status) {
        StatusCode::RequestUriTooLong => "Request-URI Too Long".to_owned(),
        StatusCode::UnsupportedUriScheme => "Unsupported URI Scheme".to_owned(),
        StatusCode::CallTransactionDoesNotExist => "Call/Transaction Does Not Exist".to_owned(),
        StatusCode::ServerTimeOut => "Server Time-out".to_owned(),
        StatusCode::NotAcceptableGlobal => "Not Acceptable".to_owned(),
        StatusCode::Other(..) => of_class(status).to_owned(),
        code => spaced(&format!("{code:?}")),
    }
}

/// `BusyHere` → `Busy Here`.
fn spaced(name: &str) -> String {
    let mut phrase = String::with_capacity(name.len() + 8);
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && was_lower {
            phrase.push(' ');
        }
        was_lower = c.is_ascii_lowercase();
        phrase.push(c);
    }
    phrase
}

fn of_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "Session Progress",
        2 => "OK",
        3 => "Multiple Choices",
        4 => "Bad Request",
        5 => "Server Internal Error",
        6 => "Decline",
        _ => "Unknown",
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Method {
        Method::parse(&method.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_read_as_the_rfcs_write_them() {
        for (status, phrase) in [
            (100, "Trying"),
            (181, "Call Is Being Forwarded"),
            (200, "OK"),
            (407, "Proxy Authentication Required"),
            (414, "Request-URI Too Long"),
            (481, "Call/Transaction Does Not Exist"),
            (486, "Busy Here"),
            (503, "Service Unavailable"),
            (505, "Version Not Supported"),
            (603, "Decline"),
        ] {
            assert_eq!(reason_phrase(status), phrase);
        }
    }

    #[test]
    fn an_unknown_code_has_the_phrase_of_its_class() {
        assert_eq!(reason_phrase(499), "Bad Request");
        assert_eq!(reason_phrase(0), "Unknown");
        assert_eq!(reason_phrase(u16::MAX), "Unknown");
    }

    #[test]
    fn its_methods_are_ours() {
        for method in rsip::Method::all() {
            assert!(Method::KNOWN.contains(&Method::from(method)), "{method}");
        }
    }
}
