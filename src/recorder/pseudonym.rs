//! Stable pseudonyms: another name, number, password for each of people's, the same wherever it occurs in
//! one file, under a key that is thrown away with the writer. Nobody can look a number up by trying all
//! numbers.
//!
//! What decisions go by survives: which people are one, country, area, validity and spelling of a
//! number, which of the policy's patterns it fits, whether it asks for an outside line, and which worker a
//! Call-ID or an address of record belongs to. For that a pseudonym is drawn again until it is of the same
//! kind as what it stands for.
//!
//! Kept as they are: the company's own numbers as the policy lists them, star codes, numbers of up to
//! three digits that are nobody's, words like `anonymous`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::call::{bucket, bucket_of, hashed};
use crate::domain::{Credentials, Directory, Number, NumberFormat, Person, PersonId, Settings};
use crate::policy::Policy;

/// Digits of a number that are replaced; country and area are before them.
const TAIL_MAX: usize = 7;
/// Digits of a number that stay at least.
const HEAD_MIN: usize = 4;
/// A pseudonym of the same kind is found long before.
const DRAWS_MAX: u32 = 2_000;
/// Said instead of a number; and what no phone has.
const WORDS: [&str; 5] = ["anonymous", "unavailable", "restricted", "unknown", "withheld"];

/// What the workers were led by, and what they are led by in the file.
#[derive(Clone)]
pub struct Secrets {
    /// How many workers.
    pub shards: u16,
    /// Leads Call-IDs and addresses of record to workers.
    pub hash: [u8; 16],
    /// Seals nonces.
    pub nonce: [u8; 32],
}

/// See the module.
pub struct Pseudonyms {
    key: [u8; 32],
    real: Secrets,
    shown: Secrets,
    formats: Vec<NumberFormat>,
    policies: Vec<Arc<Policy>>,
    domains: BTreeSet<String>,
    kept: BTreeSet<String>,
    /// User parts and people's ids.
    names: BTreeMap<String, Arc<str>>,
    given: BTreeSet<Arc<str>>,
    numbers: BTreeMap<Number, Number>,
    call_ids: BTreeMap<String, Arc<str>>,
    credentials: BTreeMap<Arc<str>, Credentials>,
    /// Parts of people's names, in small letters.
    words: BTreeSet<String>,
    clients: BTreeSet<String>,
}

impl Pseudonyms {
    /// `key` fresh for each file and shown to nobody; `shown`'s secrets fresh too.
    pub fn new(key: [u8; 32], real: Secrets, shown: Secrets) -> Self {
        Self {
            key,
            real,
            shown,
            formats: Vec::new(),
            policies: Vec::new(),
            domains: BTreeSet::new(),
            kept: WORDS.iter().map(|word| (*word).to_owned()).collect(),
            names: BTreeMap::new(),
            given: BTreeSet::new(),
            numbers: BTreeMap::new(),
            call_ids: BTreeMap::new(),
            credentials: BTreeMap::new(),
            words: BTreeSet::new(),
            clients: BTreeSet::new(),
        }
    }

    /// The workers' secrets as the file has them.
    pub fn shown(&self) -> &Secrets {
        &self.shown
    }

    /// The workers' own.
    pub(super) fn real(&self) -> &Secrets {
        &self.real
    }

    /// These settings were in force: spellings of numbers, star codes, domains.
    pub fn know_settings(&mut self, settings: &Settings) {
        let codes = &settings.star_codes;
        let codes = [&codes.login, &codes.logout, &codes.pause, &codes.resume, &codes.wrap_up_end];
        self.kept.extend(codes.into_iter().map(|code| code.to_string()));
        self.kept.extend(settings.trunks.iter().map(|trunk| trunk.id.to_string()));
        let formats = settings.trunks.iter().map(|trunk| &trunk.numbers);
        for format in formats.chain([&settings.numbers]) {
            if !self.formats.contains(format) {
                self.formats.push(format.clone());
            }
        }
        let hosts = settings.domains.iter().map(|d| d.to_string());
        let advertised = settings.listeners.iter().map(|l| host(&l.advertise));
        let trunks = settings.trunks.iter().filter_map(|t| Some(host(&t.target.as_ref()?.host)));
        let hosts = hosts.chain(advertised).chain(trunks).chain([settings.realm.to_string()]);
        self.domains.extend(hosts.map(|host| host.to_ascii_lowercase()));
    }

    /// This policy was in force: which numbers it lists.
    pub fn know_policy(&mut self, policy: &Arc<Policy>) {
        self.policies.push(policy.clone());
    }

    /// These people were in force. After settings and policies.
    pub fn know_people(&mut self, directory: &Directory) {
        for (agent, person) in directory.agents() {
            self.know_words(&person.name);
            let label = format!("p{}", agent.0);
            self.name(person.id.as_str(), &label);
            if let Some(user) = &person.sip_user {
                self.name(user, &label);
            }
            if let Some(credentials) = &person.credentials {
                self.credentials.insert(credentials.user.clone(), credentials.clone());
            }
        }
    }

    /// A name that free text may hold.
    pub fn know_words(&mut self, name: &str) {
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|w| w.chars().count() > 2);
        self.words.extend(words.map(str::to_lowercase));
    }

    /// A client's name, as a whole.
    pub fn know_client(&mut self, name: &str) {
        if name.chars().count() > 2 {
            self.clients.insert(name.to_lowercase());
        }
    }

    /// A password of the settings'.
    pub fn know_credentials(&mut self, credentials: &Credentials) {
        self.credentials.insert(credentials.user.clone(), credentials.clone());
    }

    /// What is kept of a user's password in truth.
    pub(super) fn kept_of(&self, user: &str) -> Option<&Credentials> {
        self.credentials.get(user)
    }

    /// Another password's.
    pub fn credentials(&mut self, real: &Credentials) -> Credentials {
        let user = self.user(&real.user);
        let hex = |kind: &str, len: usize| self.opaque(kind, &real.user, len).into();
        Credentials { user, ha1_md5: hex("ha1 md5", 32), ha1_sha256: hex("ha1 sha256", 64) }
    }

    /// Another id for a person's.
    pub fn person(&mut self, id: &PersonId) -> PersonId {
        PersonId::new(&self.name(id.as_str(), "px"))
    }

    /// A person without name, address and password.
    pub fn people(&mut self, person: &Person) -> Person {
        let id = self.person(&person.id);
        Person {
            name: id.as_str().into(),
            sip_user: person.sip_user.as_ref().map(|user| self.user(user)),
            supervisor: person.supervisor.as_ref().map(|above| self.person(above)),
            credentials: person.credentials.as_ref().map(|real| self.credentials(real)),
            email: None,
            id,
            ..person.clone()
        }
    }

    /// Another E.164 number of the same country, area and kind.
    pub fn number(&mut self, number: &Number) -> Number {
        if let Some(known) = self.numbers.get(number) {
            return known.clone();
        }
        let other = match self.is_own(number.as_str(), Some(number)) {
            true => number.clone(),
            false => self.other_number(number),
        };
        self.numbers.insert(number.clone(), other.clone());
        self.given.insert(other.as_str().into());
        other
    }

    fn other_number(&self, number: &Number) -> Number {
        let text = number.as_str();
        let head = &text[..text.len() - tail_len(text)];
        let draw = |n: u32| {
            let tail = self.digits("number", text, n, text.len() - head.len());
            Number::from_e164(&format!("{head}{tail}"))
        };
        let fits = |other: &Number| {
            let parses = |n: &Number, f| Number::parse(n.as_str(), f).as_ref() == Some(n);
            let alike = |f| parses(number, f) == parses(other, f);
            other != number
                && !self.given.contains(other.as_str())
                && self.formats.iter().all(alike)
                && self.kinds(text, Some(number)) == self.kinds(other.as_str(), Some(other))
        };
        let found = (0..DRAWS_MAX).filter_map(draw).find(fits);
        found.or_else(|| draw(DRAWS_MAX)).unwrap_or_else(|| number.clone())
    }

    /// What was dialled, or who calls, as a URI's user part has it (escapes undone).
    pub fn user(&mut self, text: &str) -> Arc<str> {
        let bare = text.trim();
        let is_short = bare.len() <= 3 && bare.bytes().all(|b| b.is_ascii_digit());
        if let Some(known) = self.names.get(bare) {
            return known.clone();
        }
        let is_kept = bare.is_empty() || self.kept.contains(&bare.to_ascii_lowercase());
        let read = |format| Some((Number::parse(bare, format)?, format));
        let read = self.formats.iter().find_map(read);
        let number = read.as_ref().map(|(number, _)| number.clone());
        if is_kept || is_short || self.is_own(bare, number.as_ref()) {
            return bare.into();
        }
        match number {
            Some(number) => self.spelled(bare, &number),
            None => self.name(bare, "x"),
        }
    }

    /// The pseudonym of `number`, spelled as `raw` spells it.
    fn spelled(&mut self, raw: &str, number: &Number) -> Arc<str> {
        let other = self.number(number);
        if other == *number {
            return raw.into();
        }
        let mut tail = other.as_str().chars().rev().take(tail_len(other.as_str()));
        let digit = |c: char| if c.is_ascii_digit() { tail.next().unwrap_or(c) } else { c };
        let spelled: Vec<char> = raw.chars().rev().map(digit).collect();
        let spelled: String = spelled.into_iter().rev().collect();
        let wrong = |format: &NumberFormat| {
            let expected = match Number::parse(raw, format) {
                Some(read) if read == *number => Some(&other),
                Some(_) => return true,
                None => None,
            };
            Number::parse(&spelled, format).as_ref() != expected
        };
        match self.formats.iter().any(wrong) {
            true => other.as_str().into(),
            false => spelled.into(),
        }
    }

    /// Another Call-ID of the same worker; ours name nobody.
    pub fn call_id(&mut self, text: &str) -> Arc<str> {
        if text.is_empty() || bucket_of(text).is_some() {
            return text.into();
        }
        if let Some(known) = self.call_ids.get(text) {
            return known.clone();
        }
        let shard = |secrets: &Secrets, id: &str| bucket(&secrets.hash, id) % secrets.shards.max(1);
        let wanted = shard(&self.real, text);
        let draw = |n: u32| format!("c{}", self.hex("Call-ID", text, n, 24));
        let found = (0..DRAWS_MAX).map(draw).find(|id| shard(&self.shown, id) == wanted);
        let found: Arc<str> = found.unwrap_or_else(|| draw(0)).into();
        self.call_ids.insert(text.to_owned(), found.clone());
        found
    }

    /// What a phone shows of somebody.
    pub fn display(&mut self, text: &str) -> String {
        if text.trim().is_empty() {
            return String::new();
        }
        format!("N{}", self.opaque("display", text, 8))
    }

    /// A host: addresses and the company's own names stay.
    pub fn host(&self, text: &str) -> String {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let stays = bare.parse::<std::net::IpAddr>().is_ok()
            || text.is_empty()
            || text.eq_ignore_ascii_case("anonymous.invalid")
            || self.domains.contains(&text.to_ascii_lowercase());
        if stays { text.into() } else { format!("h{}.invalid", self.opaque("host", text, 10)) }
    }

    /// Free text without people's ids, parts of their names, and clients' names.
    pub fn free(&self, text: &str) -> String {
        let client = |text: String, name: &String| match text.to_lowercase().contains(name) {
            // Lengths may differ between small and large letters: all of it goes.
            true => "x".to_owned(),
            false => text,
        };
        let text = self.clients.iter().fold(text.to_owned(), client);
        self.without_people(&text)
    }

    /// A short value without people's ids and parts of their names.
    pub fn without_people(&self, text: &str) -> String {
        self.without_words(&self.labelled(text))
    }

    /// Text of the policy's language, in which people stand by their ids.
    pub fn labelled(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut word = String::new();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
        for c in text.chars().chain(['\0']) {
            if is_part(c) {
                word.push(c);
                continue;
            }
            match self.names.get(word.trim_matches('.')) {
                Some(known) => out.push_str(known),
                None => out.push_str(&word),
            }
            word.clear();
            if c != '\0' {
                out.push(c);
            }
        }
        out
    }

    fn without_words(&self, text: &str) -> String {
        let parts = text.split_inclusive(|c: char| !c.is_alphanumeric());
        let part = |part: &str| {
            let bare = part.trim_end_matches(|c: char| !c.is_alphanumeric());
            let is_known = self.words.contains(&bare.to_lowercase());
            if is_known { part.replace(bare, "x") } else { part.to_owned() }
        };
        parts.map(part).collect()
    }

    /// Hexadecimal digits that stand for `text`.
    pub fn opaque(&self, kind: &str, text: &str, len: usize) -> String {
        self.hex(kind, text, 0, len)
    }

    /// A name for a name: user parts and people's ids are one space, as colleagues dial either.
    fn name(&mut self, text: &str, label: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return known.clone();
        }
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let draw = |n: u32| match digits {
            // Longer where all of that length are somebody's.
            true => self.digits("user", text, n, text.len() + n as usize / 400),
            false => format!("{label}{}", self.letters("user", text, n, 8)),
        };
        let fits = |other: &String| {
            !self.given.contains(other.as_str())
                && !self.names.contains_key(other.as_str())
                && self.is_alike(text, other)
        };
        let found: Arc<str> = (0..DRAWS_MAX).map(draw).find(fits).unwrap_or_else(|| draw(0)).into();
        self.names.insert(text.to_owned(), found.clone());
        self.given.insert(found.clone());
        found
    }

    /// One cannot tell the two by what the core does with them.
    fn is_alike(&self, one: &str, other: &str) -> bool {
        let shard = |secrets: &Secrets, of: &str| hashed(&secrets.hash, of) % secrets.shards.max(1);
        let outside =
            |of: &str| self.formats.iter().map(|f| f.goes_outside(of)).collect::<Vec<_>>();
        let number = |of: &str| self.formats.iter().any(|f| Number::parse(of, f).is_some());
        shard(&self.real, one) == shard(&self.shown, other)
            && outside(one) == outside(other)
            && number(one) == number(other)
            && self.kinds(one, None) == self.kinds(other, None)
    }

    /// The company's own: the policy lists it as a called number.
    fn is_own(&self, raw: &str, number: Option<&Number>) -> bool {
        let called = |policy: &Arc<Policy>| policy.number_kind(raw, number).0;
        self.policies.iter().filter_map(called).any(|pattern| !pattern.ends_with('*'))
    }

    fn kinds(&self, raw: &str, number: Option<&Number>) -> Vec<(Option<String>, Option<String>)> {
        self.policies.iter().map(|policy| policy.number_kind(raw, number)).collect()
    }

    fn drawn(&self, kind: &str, text: &str, n: u32) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        let mac = mac.chain_update(kind).chain_update([0]).chain_update(n.to_be_bytes());
        mac.chain_update(text).finalize().into_bytes().into()
    }

    fn digits(&self, kind: &str, text: &str, n: u32, len: usize) -> String {
        let drawn = self.drawn(kind, text, n);
        drawn.iter().take(len.min(32)).map(|b| char::from(b'0' + b % 10)).collect()
    }

    fn letters(&self, kind: &str, text: &str, n: u32, len: usize) -> String {
        let drawn = self.drawn(kind, text, n);
        drawn.iter().take(len.min(32)).map(|b| char::from(b'a' + b % 26)).collect()
    }

    fn hex(&self, kind: &str, text: &str, n: u32, len: usize) -> String {
        let drawn = self.drawn(kind, text, n);
        let digits: String = drawn.iter().map(|b| format!("{b:02x}")).collect();
        digits[..len.min(64)].to_owned()
    }
}

/// Digits of an E.164 text that are replaced.
fn tail_len(e164: &str) -> usize {
    (e164.len() - 1).saturating_sub(HEAD_MIN).clamp(2, TAIL_MAX)
}

fn host(host_port: &str) -> String {
    match host_port.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host.to_owned(),
        _ => host_port.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Pseudonyms {
        let secrets = |byte| Secrets { shards: 4, hash: [byte; 16], nonce: [byte; 32] };
        let mut names = Pseudonyms::new([9; 32], secrets(1), secrets(2));
        names.formats = vec![NumberFormat::of("DE"), NumberFormat::new("DE", Some("0"), false)];
        names
    }

    #[test]
    fn every_spelling_of_one_number_becomes_a_spelling_of_one_other() {
        let mut names = names();
        let format = NumberFormat::of("DE");
        let number = Number::parse("+493023125001", &format).expect("a number");
        let other = names.number(&number);
        assert_ne!(other, number);
        assert!(other.as_str().starts_with("+4930") && other.as_str().len() == 13, "{other}");
        for raw in ["+493023125001", "00493023125001", "03023125001", "030 / 2312 5001"] {
            let spelled = names.user(raw);
            assert_eq!(spelled.len(), raw.len(), "{spelled}");
            assert_eq!(Number::parse(&spelled, &format).as_ref(), Some(&other), "{spelled}");
        }
        assert_eq!(names.user("+493023125001 ext 12"), other.as_str().into());
        let second = names.number(&Number::parse("+493023125002", &format).expect("a number"));
        assert_ne!(second, other);
    }

    #[test]
    fn what_is_nobodys_stays_and_a_name_becomes_one_of_its_kind() {
        let mut names = names();
        for kept in ["", "110", "100", "anonymous", "Anonymous"] {
            assert_eq!(&*names.user(kept), kept);
        }
        let extension = names.user("4711");
        assert!(extension.len() == 4 && extension.bytes().all(|b| b.is_ascii_digit()));
        let anna = names.user("anna.berg");
        assert_eq!(names.person(&"anna.berg".into()).as_str(), &*anna);
        for (real, other) in [("4711", &extension), ("anna.berg", &anna)] {
            assert_ne!(real, &**other);
            assert_eq!(hashed(&[1; 16], real) % 4, hashed(&[2; 16], other) % 4, "one worker");
        }
        let id = names.call_id("a84b4c76e66710@anna-pc");
        assert_eq!(bucket(&[1; 16], "a84b4c76e66710@anna-pc") % 4, bucket(&[2; 16], &id) % 4);
    }

    #[test]
    fn two_files_have_nothing_in_common() {
        let mut other = names();
        other.key = [8; 32];
        assert_ne!(names().user("anna.berg"), other.user("anna.berg"));
        assert_ne!(names().user("03023125001"), other.user("03023125001"));
    }

    #[test]
    fn as_many_extensions_as_there_are_get_others_all_the_same() {
        let mut names = names();
        let given: BTreeSet<_> = (0..100).map(|n| names.name(&format!("{n:02}"), "p")).collect();
        assert_eq!(given.len(), 100);
    }
}
