//! From a TOML value to a type, or why not in words.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::reader::Value;
use crate::domain::TrunkAddress;

type Converted<T> = Result<T, String>;

/// Any text that is not empty.
pub(super) fn text(value: &Value<'_>) -> Converted<Arc<str>> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(Arc::from(text.trim())),
        Some(_) => Err("must not be empty".to_string()),
        None => Err(wanted("a text in quotes", value)),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value<'_>) -> Converted<bool> {
    value.as_bool().ok_or_else(|| wanted("`true` or `false`", value))
}

/// A whole number within bounds.
pub(super) fn integer(bounds: RangeInclusive<u32>) -> impl Fn(&Value<'_>) -> Converted<u32> {
    move |value| {
        let digits = value.as_integer().ok_or_else(|| wanted("a whole number", value))?;
        let number = i64::from_str_radix(digits.as_str(), digits.radix());
        let number = number.ok().and_then(|n| u32::try_from(n).ok());
        number.filter(|n| bounds.contains(n)).ok_or_else(|| {
            format!("{digits} is not between {} and {}", bounds.start(), bounds.end())
        })
    }
}

/// A time span such as `500ms`, `20s`, `1m30s`, `4h`, within bounds.
pub(super) fn span(bounds: RangeInclusive<Duration>) -> impl Fn(&Value<'_>) -> Converted<Duration> {
    move |value| {
        let text = value.as_str().ok_or_else(|| wanted("a time such as \"20s\"", value))?;
        let span = parse_span(text).ok_or_else(|| {
            format!("`{text}` is no time span; write \"500ms\", \"20s\", \"10m\", \"4h\"")
        })?;
        if bounds.contains(&span) {
            return Ok(span);
        }
        Err(format!("`{text}` is not between {:?} and {:?}", bounds.start(), bounds.end()))
    }
}

/// Several values, each by `convert`.
pub(super) fn list<T>(
    convert: impl Fn(&Value<'_>) -> Converted<T>,
) -> impl Fn(&Value<'_>) -> Converted<Vec<T>> {
    move |value| {
        let items = value.as_array().ok_or_else(|| wanted("a list in brackets", value))?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for item in items.iter() {
            match convert(item.get_ref()) {
                Ok(item) => good.push(item),
                Err(why) => bad.push(why),
            }
        }
        if bad.is_empty() { Ok(good) } else { Err(bad.join("; ")) }
    }
}

/// One of the words, giving its place.
pub(super) fn word<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Value<'_>) -> Converted<T> {
    move |value| {
        let text = value.as_str().ok_or_else(|| wanted("a text in quotes", value))?;
        let found = words.iter().find(|(w, _)| *w == text).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let known: Vec<String> = words.iter().map(|(w, _)| format!("`{w}`")).collect();
            format!("`{text}` is none of {}", known.join(", "))
        })
    }
}

/// `192.0.2.1:5060`, `[2001:db8::1]:5060`.
pub(super) fn socket_address(value: &Value<'_>) -> Converted<SocketAddr> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        format!("`{text}` is no address with port; write `0.0.0.0:5060` or `[::]:5060`")
    })
}

/// An address, with a port if only that one is meant.
pub(super) fn trunk_address(value: &Value<'_>) -> Converted<TrunkAddress> {
    let text = text(value)?;
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(TrunkAddress { ip: ip.to_canonical(), port: None });
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(TrunkAddress {
            ip: address.ip().to_canonical(),
            port: Some(address.port()).filter(|p| *p != 0),
        }),
        Err(_) => Err(format!("`{text}` is no IP address (a name could be spoofed)")),
    }
}

/// Hexadecimal digits of a hash.
pub(super) fn hex(len: usize) -> impl Fn(&Value<'_>) -> Converted<Arc<str>> {
    move |value| {
        let text = text(value)?.to_ascii_lowercase();
        let fits = text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(text.into()) } else { Err(format!("must be {len} hexadecimal digits")) }
    }
}

/// A host name or address as a URI's host part: nothing that could end it.
pub(super) fn host(value: &Value<'_>) -> Converted<Arc<str>> {
    let text = text(value)?;
    let bracketed = text.starts_with('[') && text.ends_with(']');
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    if fits || (bracketed && text[1..text.len() - 1].parse::<std::net::Ipv6Addr>().is_ok()) {
        return Ok(text.to_ascii_lowercase().into());
    }
    Err(format!("`{text}` is no host name"))
}

fn parse_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let number: u32 = number.parse().ok()?;
        let one = match unit.trim() {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            "d" => Duration::from_secs(86_400),
            _ => return None,
        };
        sum = sum.checked_add(one.checked_mul(number)?)?;
        rest = tail;
    }
    Some(sum)
}

fn wanted(what: &str, value: &Value<'_>) -> String {
    format!("must be {what}, not {} {}", article(value), value.type_str())
}

fn article(value: &Value<'_>) -> &'static str {
    if value.type_str().starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_may_be_sums() {
        assert_eq!(parse_span("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_span("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_span("4h"), Some(Duration::from_secs(14_400)));
        for wrong in ["", "5", "s", "5 parsecs", "-5s", "1.5s", "99999999999s"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }
}
