//! Every key of `telefonist.toml`, once: its default, its meaning, whether a change needs a restart.
//!
//! The reader takes defaults from here, "did you mean" looks here, and tests compare the shipped file
//! and the README's table with it. A key that is not here cannot be read.

use std::fmt::Write;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `timers.call_max`; `trunk[].name` in an array of tables.
    pub path: &'static str,
    /// As TOML; empty if the key must be given, [`ABSENT`] if it may be left out.
    pub default: &'static str,
    /// A change counts only after a restart.
    pub restart: bool,
    /// In one line, with unit and bounds.
    pub doc: &'static str,
}

/// The default of a key that may be left out.
pub const ABSENT: &str = "absent";

const fn key(path: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { path, default, restart: false, doc }
}

const fn start(path: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { path, default, restart: true, doc }
}

/// All keys, in the order of the shipped file.
pub const KEYS: &[Key] = &[
    key("server.domains", "", "host parts of our people's addresses; a host name or address each"),
    key("server.realm", ABSENT, "digest realm; the first domain unless set. Passwords hang on it"),
    key(
        "server.digest",
        "[\"md5\", \"sha-256\"]",
        "what phones are challenged with, in this order; a phone may answer with any of them",
    ),
    key(
        "server.md5_only_agents",
        "[\"baresip v0.\", \"baresip v1.\", \"baresip v2.\", \"baresip v3.\"]",
        "phones whose User-Agent begins so give up at SHA-256, whatever else is offered: MD5 alone",
    ),
    key("server.country", "", "ISO 3166 country whose national numbers people dial and files hold"),
    key("server.outside_line", ABSENT, "digits that our people dial before an outside number"),
    key("server.outbound_trunk", ABSENT, "the trunk that takes our people's outside calls"),
    start(
        "server.state",
        ABSENT,
        "folder of databases, journal and control socket; `--state` wins",
    ),
    start("server.workers", "\"auto\"", "threads that carry calls, 1 to 64; `auto` = one a core"),
    key("listen[].bind", "", "address and port to listen on, `0.0.0.0:5060` or `[::]:5060`"),
    key("listen[].transports", "[\"udp\", \"tcp\"]", "`udp`, `tcp` or both"),
    key(
        "listen[].advertise",
        ABSENT,
        "`host[:port]` that Via and Contact say; found out unless set",
    ),
    key("listen[].optional", "false", "a warning instead of an end if the host lacks this address"),
    key("trunk[].name", "", "its name, unique"),
    key(
        "trunk[].from",
        "[]",
        "source addresses that are this trunk: `192.0.2.10` or `192.0.2.10:5060`",
    ),
    key("trunk[].user", ABSENT, "user name, for a trunk known by digest instead of by address"),
    key(
        "trunk[].ha1_md5",
        ABSENT,
        "MD5 of `user:realm:password`; `telefonist people passwd` prints it",
    ),
    key("trunk[].ha1_sha256", ABSENT, "SHA-256 of the same"),
    key(
        "trunk[].to",
        ABSENT,
        "where calls to it go: `udp:pbx.example:5060`, `tcp:192.0.2.10`; a name is looked up again every minute",
    ),
    key("trunk[].trusted", "false", "believe its P-Asserted-Identity, Diversion and History-Info"),
    key(
        "trunk[].country",
        ABSENT,
        "ISO 3166 country of its national numbers; `server.country` unless set",
    ),
    key("trunk[].outside_line", ABSENT, "digits it writes before a number, removed first"),
    key("trunk[].bare_international", "false", "it writes E.164 without the plus sign"),
    key("trunk[].calls_max", "1000", "calls at once, both ways together, 1 to 100000"),
    key("trunk[].calls_per_second_max", "100", "new calls a second, 1 to 10000"),
    key("trunk[].options_every", "\"30s\"", "an OPTIONS this often; `0s` for never"),
    key(
        "trunk[].answer_within",
        "\"110s\"",
        "the other side gives up then: the plan ends shortly before",
    ),
    key("trunk[].waiting_status", "180", "what a waiting caller is sent: 180, 182 or 183"),
    key("trunk[].callback_status", "480", "final status when a callback was promised, 400 to 699"),
    key("trunk[].out_of_hours_status", "480", "final status out of hours, 400 to 699"),
    key("trunk[].queue_full_status", "486", "final status when a queue is full, 400 to 699"),
    key("trunk[].pass_headers", "[]", "further headers that cross from this trunk to phones"),
    key("people.login_on_register", "true", "who registers is on shift until they log out"),
    key(
        "people.lock_after",
        "1",
        "missed calls in a row before nothing more is offered; or `never`",
    ),
    key("star_codes.login", "\"*11\"", "dialled on one's own phone: begin to work"),
    key("star_codes.logout", "\"*12\"", "stop working"),
    key("star_codes.pause", "\"*13\"", "not ready"),
    key("star_codes.resume", "\"*14\"", "ready again, also after a missed call"),
    key("star_codes.wrap_up_end", "\"*15\"", "wrap-up is done"),
    key("timers.wrap_up", "\"10s\"", "rest after a call before the next is offered, to 1h"),
    key(
        "timers.refuse_backoff",
        "\"10s\"",
        "nothing is offered for so long after a refusal, 1s to 1h",
    ),
    key(
        "timers.busy_backoff",
        "\"10s\"",
        "nothing is offered for so long after a phone said busy, 1s to 1h",
    ),
    key("timers.phone_silence", "\"4s\"", "a phone that says nothing for so long is unreachable"),
    key("timers.provisional_every", "\"50s\"", "a waiting caller hears from us this often, to 60s"),
    key(
        "timers.identify_timeout",
        "\"200ms\"",
        "without an answer by then the caller is unidentified",
    ),
    key("timers.call_max", "\"4h\"", "no call lives longer"),
    key("timers.probe_every", "\"60s\"", "an OPTIONS in every confirmed dialog this often"),
    key(
        "timers.flow_grace",
        "\"30s\"",
        "an answered call waits so long for its phone to register again",
    ),
    key("timers.drain_max", "\"30s\"", "SIGTERM waits so long for waiting callers"),
    start("timers.t1", "\"500ms\"", "RFC 3261 T1"),
    start("timers.t2", "\"4s\"", "RFC 3261 T2"),
    start("timers.t4", "\"5s\"", "RFC 3261 T4"),
    key("limits.calls_max", "10000", "calls at once of one worker, 1 to 1000000"),
    start(
        "limits.queue_len_max",
        "200",
        "callers in one queue, 1 to 65000; the next gets queue_full_status",
    ),
    key("limits.bindings_max", "10", "phones of one person, 1 to 100"),
    key(
        "limits.transactions_max",
        "50000",
        "SIP transactions at once of one worker, 100 to 1000000",
    ),
    key(
        "limits.failures_per_minute_max",
        "60",
        "wrong passwords for one user, and unknown callers, from one source; more are held back",
    ),
    key("limits.expires_min", "\"60s\"", "shortest registration taken; 423 below it"),
    key("limits.expires_max", "\"1h\"", "longest registration granted"),
    start("limits.agents_max", "1000", "people who may ever have a place, 1 to 4000"),
    start("limits.groups_max", "64", "roles that may ever have a queue, 1 to 1000"),
    start("net.receive_buffer_bytes", "4194304", "SO_RCVBUF asked for each UDP socket"),
    start(
        "net.inbox_len_max",
        "8192",
        "messages that wait for one worker; 503 beyond, 16 to 1000000",
    ),
    start("net.connections_max", "2000", "TCP connections in all, 1 to 100000"),
    start("net.connections_per_source_max", "100", "TCP connections of one source address"),
    start("net.connection_queue_max", "256", "messages that wait to be written to one connection"),
    start("net.idle_timeout", "\"30m\"", "a silent connection is closed then"),
    start("net.header_timeout", "\"10s\"", "a message that was begun must be whole by then"),
    start("net.connect_timeout", "\"4s\"", "a connection of ours must stand by then"),
    start("clients.index_stale_max", "\"15m\"", "how long clients are known without the database"),
    key(
        "callback.notify",
        "\"message\"",
        "tell the owner by `message` (to the phone), `webhook`, `email` or `off`",
    ),
    key("callback.webhook", ABSENT, "URL that a promise is posted to as JSON"),
    key(
        "callback.smtp",
        ABSENT,
        "mail server, `smtp://[user:password@]host[:port]` or `smtps://…`",
    ),
    key("callback.email_from", ABSENT, "sender of such a mail"),
    key("callback.email_to", ABSENT, "receiver where the owner has no address"),
    start(
        "recorder.bytes_max",
        "8388608",
        "bytes that each worker keeps of what it was fed last, from 65536; 0 switches it off",
    ),
    start("recorder.age_max", "\"10m\"", "nothing older is kept, 10s to 24h"),
    start("recorder.files_max", "8", "files that panics left; the oldest go, 1 to 1000"),
    start("admin.http", "\"127.0.0.1:9160\"", "address of /metrics, /health and /ready, or `off`"),
    start("admin.socket_mode", "\"0600\"", "permissions of the control socket: `0600` or `0660`"),
    start("admin.socket_group", ABSENT, "group of the control socket"),
    start("log.format", "\"human\"", "`human` or `json`"),
    start(
        "log.level",
        "\"info\"",
        "`error`, `warn`, `info`, `debug`, `trace`, or per room: `info,telefonist::net=debug`",
    ),
];

/// A key by its path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.path == path)
}

/// The table for the README.
pub fn reference() -> String {
    let mut out = String::from("| key | default | meaning |\n|---|---|---|\n");
    for key in KEYS {
        let default = match key.default {
            "" => "required".to_string(),
            ABSENT => "–".to_string(),
            text => format!("`{text}`"),
        };
        let restart = if key.restart { " (restart)" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| `{}` | {default} | {}{restart} |", key.path, key.doc);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once() {
        let mut paths: Vec<_> = KEYS.iter().map(|k| k.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), KEYS.len());
    }
}
