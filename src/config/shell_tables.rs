//! `[net]`, `[clients]`, `[callback]`, `[admin]`, `[log]` → what the rooms around the core need.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::group_id;
use super::convert;
use super::core_tables::Server;
use super::reader::{Document, Section, Value};

/// Everything that the core does not need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellSettings {
    /// Where databases, journal and control socket lie, if the file says so.
    pub state: Option<PathBuf>,
    /// Threads that carry calls; `None`: one a core.
    pub workers: Option<usize>,
    /// Sockets.
    pub net: NetSettings,
    /// How long the client index serves without its database.
    pub index_stale_max: Duration,
    /// Who hears of a promised callback, and how.
    pub callback_notify: CallbackNotify,
    /// What workers keep of what they were fed.
    pub recorder: RecorderSettings,
    /// `/metrics`, `/health`, `/ready`; `None`: off.
    pub http: Option<SocketAddr>,
    /// Permission bits of the control socket.
    pub socket_mode: u32,
    /// Its group.
    pub socket_group: Option<Arc<str>>,
    /// How lines are written.
    pub log_format: LogFormat,
    /// What is written: a `tracing` filter.
    pub log_level: Arc<str>,
}

/// Bounds of sockets and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetSettings {
    /// SO_RCVBUF asked for.
    pub receive_buffer_bytes: u32,
    /// Messages that wait for one worker.
    pub inbox_len_max: usize,
    /// TCP connections in all.
    pub connections_max: usize,
    /// TCP connections of one source address.
    pub connections_per_source_max: usize,
    /// Messages that wait to be written to one connection.
    pub connection_queue_max: usize,
    /// A silent connection is closed then.
    pub idle_timeout: Duration,
    /// A message that was begun must be whole by then.
    pub header_timeout: Duration,
    /// An outgoing connection must stand by then.
    pub connect_timeout: Duration,
}

/// Bounds of the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderSettings {
    /// Bytes of one worker's ring; 0: nothing is recorded.
    pub bytes_max: u32,
    /// Nothing older is kept.
    pub age_max: Duration,
    /// Files kept that panics left.
    pub files_max: usize,
}

/// How the owner of a promised callback hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackNotify {
    /// SIP MESSAGE to the owner's phones.
    Message,
    /// The promise as JSON to this URL.
    Webhook(Arc<str>),
    /// A mail to the owner.
    Email {
        /// `smtp://…` or `smtps://…`.
        smtp: Arc<str>,
        /// The sender.
        from: Arc<str>,
        /// Where it goes if the owner has no address.
        fallback: Option<Arc<str>>,
    },
    /// Only `telefonist callbacks` shows it.
    Off,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Human,
    /// One object a line.
    Json,
}

pub(super) fn all(document: &mut Document<'_, '_>, server: &Server) -> ShellSettings {
    let net = net(document);
    let clients = document.section("clients");
    let stale = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
    let index_stale_max = clients.value("index_stale_max", convert::span(stale));
    clients.finish();
    let callback_notify = callback(document);
    let recorder = recorder(document);
    let admin = document.section("admin");
    let http = admin.value("http", http);
    let socket_mode =
        admin.value("socket_mode", convert::word(&[("0600", 0o600), ("0660", 0o660)]));
    let socket_group = admin.optional("socket_group", group);
    admin.finish();
    let log = document.section("log");
    let formats = &[("human", LogFormat::Human), ("json", LogFormat::Json)];
    let log_format = log.value("format", convert::word(formats));
    let log_level = log.value("level", log_level);
    log.finish();
    ShellSettings {
        state: server.state.clone(),
        workers: server.workers,
        net,
        index_stale_max,
        callback_notify,
        recorder,
        http,
        socket_mode,
        socket_group,
        log_format,
        log_level,
    }
}

fn net(document: &mut Document<'_, '_>) -> NetSettings {
    let section = document.section("net");
    let count =
        |name, bounds: RangeInclusive<u32>| section.value(name, convert::integer(bounds)) as usize;
    let net = NetSettings {
        receive_buffer_bytes: section
            .value("receive_buffer_bytes", convert::integer(4_096..=1_073_741_824)),
        inbox_len_max: count("inbox_len_max", 16..=1_000_000),
        connections_max: count("connections_max", 1..=100_000),
        connections_per_source_max: count("connections_per_source_max", 1..=100_000),
        connection_queue_max: count("connection_queue_max", 1..=100_000),
        idle_timeout: span(&section, "idle_timeout", 1, 86_400),
        header_timeout: span(&section, "header_timeout", 1, 300),
        connect_timeout: span(&section, "connect_timeout", 1, 60),
    };
    section.finish();
    net
}

fn recorder(document: &mut Document<'_, '_>) -> RecorderSettings {
    let section = document.section("recorder");
    let recorder = RecorderSettings {
        bytes_max: section.value("bytes_max", ring_bytes),
        age_max: span(&section, "age_max", 10, 86_400),
        files_max: section.value("files_max", convert::integer(1..=1_000)) as usize,
    };
    section.finish();
    recorder
}

/// Smaller rings would not hold one call.
fn ring_bytes(value: &Value<'_>) -> Result<u32, String> {
    let bytes = convert::integer(0..=1_073_741_824)(value)?;
    if bytes == 0 || bytes >= 65_536 { Ok(bytes) } else { Err("0, or 65536 and more".into()) }
}

fn callback(document: &mut Document<'_, '_>) -> CallbackNotify {
    #[derive(Clone, Copy)]
    enum Way {
        Message,
        Webhook,
        Email,
        Off,
    }
    let section = document.section("callback");
    let way = section.value(
        "notify",
        convert::word(&[
            ("message", Way::Message),
            ("webhook", Way::Webhook),
            ("email", Way::Email),
            ("off", Way::Off),
        ]),
    );
    let webhook = section.optional("webhook", url(&["http://", "https://"]));
    let smtp = section.optional("smtp", url(&["smtp://", "smtps://"]));
    let from = section.optional("email_from", mailbox);
    let fallback = section.optional("email_to", mailbox);
    let lacks = |name: &'static str, way: &str| {
        if !section.is_given(name) {
            section.error("notify", format!("`{way}` needs `callback.{name}`"), None);
        }
    };
    let notify = match (way, webhook, smtp, from) {
        (Way::Message, ..) => CallbackNotify::Message,
        (Way::Webhook, Some(webhook), ..) => CallbackNotify::Webhook(webhook),
        (Way::Email, _, Some(smtp), Some(from)) => CallbackNotify::Email { smtp, from, fallback },
        (Way::Webhook, ..) => {
            lacks("webhook", "webhook");
            CallbackNotify::Off
        }
        (Way::Email, ..) => {
            lacks("smtp", "email");
            lacks("email_from", "email");
            CallbackNotify::Off
        }
        (Way::Off, ..) => CallbackNotify::Off,
    };
    section.finish();
    notify
}

fn span(section: &Section<'_, '_>, name: &'static str, from_s: u64, to_s: u64) -> Duration {
    section.value(name, convert::span(Duration::from_secs(from_s)..=Duration::from_secs(to_s)))
}

fn http(value: &Value<'_>) -> Result<Option<SocketAddr>, String> {
    if value.as_str() == Some("off") {
        return Ok(None);
    }
    let address = convert::socket_address(value).map_err(|e| format!("{e}; or \"off\""))?;
    if address.ip().is_loopback() {
        return Ok(Some(address));
    }
    // Nothing there asks who is reading.
    Err(format!("{address} is not a loopback address; put a proxy with a password in front"))
}

/// One that is there: the server could not start otherwise.
fn group(value: &Value<'_>) -> Result<Arc<str>, String> {
    let name = convert::text(value)?;
    let known = group_id(&name).is_some();
    if known { Ok(name) } else { Err(format!("this host has no group `{name}`")) }
}

fn url(schemes: &'static [&'static str]) -> impl Fn(&Value<'_>) -> Result<Arc<str>, String> {
    move |value| {
        let text = convert::text(value)?;
        let fits = schemes.iter().any(|s| text.len() > s.len() && text.starts_with(s));
        if fits && !text.contains(char::is_whitespace) {
            return Ok(text);
        }
        Err(format!("must begin with {}", schemes.join(" or ")))
    }
}

fn mailbox(value: &Value<'_>) -> Result<Arc<str>, String> {
    let text = convert::text(value)?;
    let parsed = text.parse::<lettre::message::Mailbox>();
    parsed.map(|_| text.clone()).map_err(|e| format!("`{text}` is no mail address: {e}"))
}

fn log_level(value: &Value<'_>) -> Result<Arc<str>, String> {
    let text = convert::text(value)?;
    let parsed = tracing_subscriber::EnvFilter::builder().parse(text.as_ref());
    let known = text.split(',').all(|part| {
        let level = part.rsplit('=').next().unwrap_or(part).trim();
        ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
    });
    match parsed {
        Ok(_) if known => Ok(text),
        Ok(_) => Err(format!("`{text}` names no level")),
        Err(error) => Err(format!("`{text}`: {error}")),
    }
}
