//! `[server]`, `[people]`, `[star_codes]`, `[timers]`, `[limits]` → the core's settings.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::reader::{Document, Problems, Section, Value};
use super::{convert, trunks};
use crate::domain::{
    BACKOFF_MIN, DigestHash, DirectoryLimits, Limits, LockAfter, NumberFormat, StarCodes, Timers,
    Trunk, TrunkId,
};
use crate::policy::did_you_mean;

/// `[server]`; what is missing has been told.
pub(super) struct Server {
    pub(super) domains: Option<Vec<Arc<str>>>,
    pub(super) realm: Option<Arc<str>>,
    pub(super) digests: Option<Vec<DigestHash>>,
    pub(super) md5_only_agents: Vec<Arc<str>>,
    pub(super) numbers: Option<NumberFormat>,
    pub(super) outbound_trunk: Option<TrunkId>,
    pub(super) state: Option<PathBuf>,
    pub(super) workers: Option<usize>,
    outbound_span: std::ops::Range<usize>,
}

/// Everything else of the core.
pub(super) struct Rest {
    pub(super) lock_after: LockAfter,
    pub(super) star_codes: StarCodes,
    pub(super) login_on_register: bool,
    pub(super) limits: Limits,
    pub(super) timers: Timers,
    pub(super) directory_limits: DirectoryLimits,
}

/// RFC 8760 §2.2's names, as people write them.
const DIGESTS: &[(&str, DigestHash)] = &[("sha-256", DigestHash::Sha256), ("md5", DigestHash::Md5)];

/// Each is compared with every challenged request.
const MD5_ONLY_AGENTS_MAX: usize = 32;

pub(super) fn server(document: &mut Document<'_, '_>) -> Server {
    let section = document.section("server");
    let domains = section.required("domains", convert::list(convert::host));
    if domains.as_ref().is_some_and(Vec::is_empty) {
        let hint = Some("domains = [\"telefonist.example\"]");
        section.error("domains", "our people need at least one domain".to_string(), hint);
    }
    let realm = section.optional("realm", realm);
    let digests = section.value("digest", convert::list(convert::word(DIGESTS)));
    if digests.is_empty() || digests.len() > DIGESTS.len() {
        let hint = Some("digest = [\"md5\", \"sha-256\"]");
        section.error("digest", "each at most once, and at least one".to_string(), hint);
    }
    let md5_only_agents = section.value("md5_only_agents", convert::list(convert::text));
    if md5_only_agents.len() > MD5_ONLY_AGENTS_MAX {
        section.error("md5_only_agents", format!("at most {MD5_ONLY_AGENTS_MAX}"), None);
    }
    let country = section.required("country", trunks::country);
    let outside_line = section.optional("outside_line", trunks::digits);
    let server = Server {
        realm: realm.or_else(|| domains.as_ref().and_then(|d| d.first().cloned())),
        digests: Some(digests),
        md5_only_agents,
        numbers: country.map(|c| NumberFormat::new(&c, outside_line.as_deref(), false)),
        outbound_trunk: section.optional("outbound_trunk", convert::text).map(|t| TrunkId::new(&t)),
        state: section.optional("state", convert::text).map(|t| PathBuf::from(t.as_ref())),
        workers: section.value("workers", workers),
        outbound_span: section.span_of("outbound_trunk"),
        domains,
    };
    section.finish();
    server
}

impl Server {
    /// The trunk for outside calls must be there and have somewhere to send them.
    pub(super) fn check_outbound(&self, trunks: &[Arc<Trunk>], problems: &Problems) {
        let Some(wanted) = &self.outbound_trunk else { return };
        let found = trunks.iter().find(|t| t.id == *wanted);
        let (message, hint) = match found {
            Some(trunk) if trunk.target.is_some() => return,
            Some(_) => {
                (format!("trunk `{wanted}` has no `to`"), "say where calls to it go".to_string())
            }
            None => {
                let names: Vec<&str> = trunks.iter().map(|t| t.id.as_str()).collect();
                let near = did_you_mean(wanted.as_str(), names.iter().copied());
                let hint = near.unwrap_or_else(|| "describe it with [[trunk]]".to_string());
                (format!("there is no trunk `{wanted}`"), hint)
            }
        };
        problems.error(self.outbound_span.clone(), message, Some(hint));
    }
}

pub(super) fn rest(document: &mut Document<'_, '_>) -> Rest {
    let people = document.section("people");
    let login_on_register = people.value("login_on_register", convert::boolean);
    let lock_after = people.value("lock_after", lock_after);
    people.finish();
    let star_codes = star_codes(document);
    let timers = timers(document);
    let (limits, directory_limits) = limits(document);
    Rest { lock_after, star_codes, login_on_register, limits, timers, directory_limits }
}

fn star_codes(document: &mut Document<'_, '_>) -> StarCodes {
    let section = document.section("star_codes");
    let mut all: Vec<(&'static str, Arc<str>)> = Vec::new();
    let mut code = |name: &'static str| {
        let code = section.value(name, star_code);
        all.push((name, code.clone()));
        code
    };
    let codes = StarCodes {
        login: code("login"),
        logout: code("logout"),
        pause: code("pause"),
        resume: code("resume"),
        wrap_up_end: code("wrap_up_end"),
    };
    // What the file says before what it leaves out, in its order.
    all.sort_by_key(|(name, _)| (!section.is_given(name), section.span_of(name).start));
    for (place, (name, code)) in all.iter().enumerate() {
        let Some((other, _)) = all[..place].iter().find(|(_, earlier)| earlier == code) else {
            continue;
        };
        let (at, also) = match section.is_given(name) {
            true => (*name, format!("`{other}` already {}", section.place_of(other))),
            false => (*other, format!("`{name}`, which has it by default")),
        };
        section.error(at, format!("`{code}` means {also}"), None);
    }
    section.finish();
    codes
}

fn timers(document: &mut Document<'_, '_>) -> Timers {
    let section = document.section("timers");
    let timers = Timers {
        wrap_up: span(&section, "wrap_up", ZERO..=HOUR),
        refuse_backoff: span(&section, "refuse_backoff", BACKOFF_MIN..=HOUR),
        busy_backoff: span(&section, "busy_backoff", BACKOFF_MIN..=HOUR),
        phone_silence: span(&section, "phone_silence", ms(500)..=ms(32_000)),
        provisional_every: span(&section, "provisional_every", ms(1_000)..=ms(60_000)),
        identify_timeout: span(&section, "identify_timeout", ms(10)..=ms(5_000)),
        call_max: span(&section, "call_max", ms(60_000)..=24 * HOUR),
        probe_every: span(&section, "probe_every", ms(5_000)..=HOUR),
        flow_grace: span(&section, "flow_grace", ZERO..=HOUR),
        drain_max: span(&section, "drain_max", ZERO..=HOUR),
        t1: span(&section, "t1", ms(50)..=ms(5_000)),
        t2: span(&section, "t2", ms(100)..=ms(20_000)),
        t4: span(&section, "t4", ms(100)..=ms(20_000)),
    };
    if timers.t2 < timers.t1 {
        section.error("t2", "T2 is shorter than T1".to_string(), Some("RFC 3261 §17.1.2.2"));
    }
    section.finish();
    timers
}

fn limits(document: &mut Document<'_, '_>) -> (Limits, DirectoryLimits) {
    let section = document.section("limits");
    let minute = ms(60_000);
    let limits = Limits {
        calls_max: section.value("calls_max", convert::integer(1..=1_000_000)),
        queue_len_max: section.value("queue_len_max", convert::integer(1..=65_000)),
        bindings_max: section.value("bindings_max", convert::integer(1..=100)) as u16,
        transactions_max: section.value("transactions_max", convert::integer(100..=1_000_000)),
        failures_per_minute_max: section
            .value("failures_per_minute_max", convert::integer(1..=100_000)),
        expires_min: span(&section, "expires_min", ms(1_000)..=HOUR),
        expires_max: span(&section, "expires_max", minute..=24 * HOUR),
    };
    if limits.expires_max < limits.expires_min {
        section.error("expires_max", "is shorter than expires_min".to_string(), None);
    }
    let directory = DirectoryLimits {
        agents_max: section.value("agents_max", convert::integer(1..=4_000)) as u16,
        groups_max: section.value("groups_max", convert::integer(1..=1_000)) as u16,
    };
    section.finish();
    (limits, directory)
}

const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn span(
    section: &Section<'_, '_>,
    name: &'static str,
    bounds: RangeInclusive<Duration>,
) -> Duration {
    section.value(name, convert::span(bounds))
}

fn realm(value: &Value<'_>) -> Result<Arc<str>, String> {
    let text = convert::text(value)?;
    let fits = text.chars().all(|c| !c.is_control() && c != '"' && c != '\\');
    if fits { Ok(text) } else { Err("quotes and control characters cannot stand there".into()) }
}

fn workers(value: &Value<'_>) -> Result<Option<usize>, String> {
    if value.as_str() == Some("auto") {
        return Ok(None);
    }
    let number = convert::integer(1..=64)(value);
    number.map(|n| Some(n as usize)).map_err(|e| format!("{e}; or write \"auto\""))
}

fn lock_after(value: &Value<'_>) -> Result<LockAfter, String> {
    if value.as_str() == Some("never") {
        return Ok(LockAfter::Never);
    }
    let number = convert::integer(1..=1_000)(value);
    number.map(LockAfter::Missed).map_err(|e| format!("{e}; or write \"never\""))
}

fn star_code(value: &Value<'_>) -> Result<Arc<str>, String> {
    let code = trunks::digits(value)?;
    let marked = code.starts_with(['*', '#']) && code.len() >= 2;
    if marked { Ok(code) } else { Err(format!("`{code}` must begin with * or #")) }
}
