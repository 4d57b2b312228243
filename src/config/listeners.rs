//! `[[listen]]` → listeners, one for each transport of each address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::reader::{Document, Problems, Section, Value};
use super::{advertise, convert};
use crate::domain::{Listener, Transport};

/// More than this nobody needs; `Flow::listener` is 16 bits wide.
const LISTENERS_MAX: usize = 64;

/// A listener and what to do without it.
pub(super) struct Listen {
    pub(super) listener: Listener,
    pub(super) optional: bool,
}

pub(super) fn all(document: &mut Document<'_, '_>, problems: &Problems) -> Vec<Listen> {
    let mut listeners = Vec::new();
    let mut bound = BTreeSet::new();
    let sections = document.sections("listen");
    if sections.is_empty() {
        let hint = "write [[listen]] and below it bind = \"0.0.0.0:5060\"".to_string();
        problems.error(0..0, "nothing is listened on".to_string(), Some(hint));
    }
    for section in sections {
        for listen in one(&section) {
            let Listener { transport, bind, .. } = listen.listener;
            if bind.port() != 0 && !bound.insert((transport, bind)) {
                let what = format!("{} {bind} is listened on twice", transport.as_via());
                section.error("bind", what, Some("remove one of the two"));
            }
            listeners.push(listen);
        }
        section.finish();
    }
    if listeners.len() > LISTENERS_MAX {
        problems.error(0..0, format!("more than {LISTENERS_MAX} listeners"), None);
    }
    listeners
}

fn one(section: &Section<'_, '_>) -> Vec<Listen> {
    let bind = section.required("bind", convert::socket_address);
    let transports = section.value("transports", convert::list(transport));
    let advertise = section.optional("advertise", advertised);
    let optional = section.value("optional", convert::boolean);
    let transports: BTreeSet<Transport> = transports.into_iter().collect();
    if transports.is_empty() {
        section.error("transports", "no transport at all".to_string(), Some("\"udp\", \"tcp\""));
    }
    let Some(bind) = bind else { return Vec::new() };
    let said: Arc<str> = match advertise {
        Some(host) => with_port(&host, bind).into(),
        None => advertise::found_out(bind).into(),
    };
    let listener = |transport| Listener { transport, bind, advertise: said.clone() };
    transports.into_iter().map(|t| Listen { listener: listener(t), optional }).collect()
}

fn transport(value: &Value<'_>) -> Result<Transport, String> {
    convert::word(&[("udp", Transport::Udp), ("tcp", Transport::Tcp)])(value)
}

/// `host` or `host:port`, checked so that it can stand in a header.
fn advertised(value: &Value<'_>) -> Result<Arc<str>, String> {
    let text = convert::text(value)?;
    let host = match split_port(&text) {
        Some((host, _)) => host,
        None => &text,
    };
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let fits = v6.map_or(plain, |h| h.parse::<std::net::Ipv6Addr>().is_ok());
    if fits && !host.is_empty() { Ok(text) } else { Err(format!("`{text}` is no host[:port]")) }
}

fn with_port(host: &str, bind: SocketAddr) -> String {
    match split_port(host) {
        Some(_) => host.to_string(),
        None => format!("{host}:{}", bind.port()),
    }
}

fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host.starts_with('[') == host.ends_with(']') && !host.is_empty();
    (bracketed && (host.starts_with('[') || !host.contains(':')))
        .then(|| port.parse().ok().map(|port| (host, port)))
        .flatten()
}
