//! The clients in memory: number → clients, without a lock on the reader's path (clause A1).
//!
//! Two tables of [`BUCKETS_MAX`] immutable buckets, one by number, one by row. A reader takes the bucket
//! as it is and never waits; the one writer (the follower holds the [`IndexWriter`]) replaces only the
//! buckets of the client that changed: about 80 entries with a million clients. Each lookup sees each
//! client whole, as it was before or after a change.
//!
//! Knows nothing of files: the follower says what it has read and when.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Client, ClientId, Number};
use crate::policy::IndexState;
use crate::switch::Identified;

/// Buckets of each table; 8 bytes each while empty. More would make small indexes slow to drop, fewer
/// large ones slow to change.
const BUCKETS_MAX: usize = 1 << 14;

/// A last reading older than this is not fresh: the follower reads four times a second.
const FRESH_MAX: Duration = Duration::from_secs(5);

/// All clients, as the call path sees them.
#[derive(Debug)]
pub struct ClientIndex {
    by_number: Table<NumberEntry>,
    by_id: Table<Arc<Client>>,
    status: ArcSwap<Reading>,
    stale_max: Duration,
}

/// The only way to change an index; there is one of each.
#[derive(Debug)]
pub(super) struct IndexWriter {
    index: Arc<ClientIndex>,
    clients: usize,
    numbers: usize,
}

/// Who has a number (clause A1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The one with an assigned manager, else the one who ordered last, else the oldest row.
    pub client: Option<Arc<Client>>,
    /// The others, in the same order.
    pub others: Vec<Arc<Client>>,
}

/// What status and log say of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexStatus {
    /// Clients that can be found.
    pub clients: usize,
    /// Numbers by which they can be found; one that two clients have counts twice.
    pub numbers: usize,
    /// As the call path sees it.
    #[serde(flatten)]
    pub state: IndexState,
    /// When the database was last read.
    pub last_read: Option<Timestamp>,
    /// Why it cannot be read now.
    pub problem: Option<Arc<str>>,
    /// Rows read since the start.
    pub rows_read: u64,
    /// How often everything was read.
    pub loads: u64,
    /// Rows with a field that could not be read.
    pub bad_rows: usize,
    /// The first of them, in words.
    pub bad_rows_shown: Vec<Arc<str>>,
}

/// What the follower has done so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    clients: usize,
    numbers: usize,
    pub(super) last_read: Option<Timestamp>,
    pub(super) problem: Option<Arc<str>>,
    pub(super) rows_read: u64,
    pub(super) loads: u64,
    pub(super) bad_rows: usize,
    pub(super) bad_rows_shown: Vec<Arc<str>>,
}

impl ClientIndex {
    /// An empty index, which answers "unavailable" until it has been filled. `stale_max`: how long it
    /// goes on serving while the database is away.
    pub(super) fn new(stale_max: Duration) -> (Arc<ClientIndex>, IndexWriter) {
        Self::with_buckets(BUCKETS_MAX, stale_max)
    }

    fn with_buckets(buckets: usize, stale_max: Duration) -> (Arc<ClientIndex>, IndexWriter) {
        let index = Arc::new(ClientIndex {
            by_number: Table::new(buckets),
            by_id: Table::new(buckets),
            status: ArcSwap::default(),
            stale_max,
        });
        (index.clone(), IndexWriter { index, clients: 0, numbers: 0 })
    }

    /// Everybody who has `number`, however fresh. Never waits.
    pub fn lookup(&self, number: &Number) -> Found {
        let hash = hash(number);
        let bucket = self.by_number.at(hash);
        let entries = bucket.iter().flat_map(|b| b.iter());
        let mut found: Vec<_> = entries
            .filter(|e| e.hash == hash && e.client.numbers.contains(number))
            .map(|e| e.client.clone())
            .collect();
        found.sort_by(|a, b| choice(a).cmp(&choice(b)));
        let mut found = found.into_iter();
        Found { client: found.next(), others: found.collect() }
    }

    /// The call path's question (`Output::Identify`): nobody while the index is unavailable.
    pub fn identify(&self, number: Option<&Number>, now: Timestamp) -> Identified {
        let index = self.state(now);
        let found = match (number, &index) {
            (None, _) | (_, IndexState::Unavailable { .. }) => Found::default(),
            (Some(number), _) => self.lookup(number),
        };
        Identified { client: found.client, others: found.others, index }
    }

    /// One client by row.
    pub fn client(&self, id: ClientId) -> Option<Arc<Client>> {
        let bucket = self.by_id.at(id.0 as u64);
        bucket.iter().flat_map(|b| b.iter()).find(|c| c.id == id).cloned()
    }

    /// Every client, bucket by bucket; one that changes meanwhile is seen before or after the change.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Client>)) {
        for slot in &self.by_id.0 {
            slot.load().iter().flat_map(|b| b.iter()).for_each(&mut visit);
        }
    }

    /// How far the index may be trusted at `now`.
    pub fn state(&self, now: Timestamp) -> IndexState {
        let reading = self.status.load();
        let problem = || reading.problem.as_deref();
        let Some(since) = reading.last_read else {
            let why = problem().unwrap_or("the clients have not been read yet");
            return IndexState::Unavailable { why: Arc::from(why) };
        };
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if age > self.stale_max {
            let why = problem().unwrap_or("the follower stands still");
            let why = format!("not read since {since:.0}: {why}");
            return IndexState::Unavailable { why: Arc::from(why) };
        }
        if reading.problem.is_none() && age <= FRESH_MAX {
            return IndexState::Fresh;
        }
        IndexState::Stale { since }
    }

    /// For `status`, log and metrics.
    pub fn status(&self, now: Timestamp) -> IndexStatus {
        let reading = self.status.load();
        IndexStatus {
            clients: reading.clients,
            numbers: reading.numbers,
            state: self.state(now),
            last_read: reading.last_read,
            problem: reading.problem.clone(),
            rows_read: reading.rows_read,
            loads: reading.loads,
            bad_rows: reading.bad_rows,
            bad_rows_shown: reading.bad_rows_shown.clone(),
        }
    }
}

impl IndexWriter {
    /// Puts a client in, in place of the row's earlier state. Costs the buckets that it touches;
    /// nothing if the row says the same.
    pub(super) fn put(&mut self, client: Client) {
        let before = self.index.client(client.id);
        if before.as_deref() == Some(&client) {
            return;
        }
        let client = Arc::new(client);
        let id = client.id.0 as u64;
        for number in before.iter().flat_map(|b| &b.numbers) {
            if !client.numbers.contains(number) {
                self.unlink(number, client.id);
            }
        }
        for number in &client.numbers {
            let entry = NumberEntry { hash: hash(number), client: client.clone() };
            let same = |e: &NumberEntry| e.hash == entry.hash && e.client.id == client.id;
            let known = self.index.by_number.replace(entry.hash, same, Some(entry.clone()));
            self.numbers += usize::from(!known);
        }
        let known = self.index.by_id.replace(id, |c| c.id == client.id, Some(client.clone()));
        self.clients += usize::from(!known);
    }

    /// Takes a client out; one that is not there is no matter.
    pub(super) fn remove(&mut self, id: ClientId) {
        let Some(client) = self.index.client(id) else { return };
        for number in &client.numbers {
            self.unlink(number, id);
        }
        self.index.by_id.replace(id.0 as u64, |c| c.id == id, None);
        self.clients -= 1;
    }

    /// Takes out all but `ids`, which ascend and are all in.
    pub(super) fn retain(&mut self, ids: &[i64]) {
        if self.clients == ids.len() {
            return;
        }
        let mut gone = Vec::new();
        self.index.for_each(|client| {
            if ids.binary_search(&client.id.0).is_err() {
                gone.push(client.id);
            }
        });
        for id in gone {
            self.remove(id);
        }
    }

    /// Says how the reading goes.
    pub(super) fn report(&mut self, mut reading: Reading) {
        reading.clients = self.clients;
        reading.numbers = self.numbers;
        self.index.status.store(Arc::new(reading));
    }

    fn unlink(&mut self, number: &Number, id: ClientId) {
        let hash = hash(number);
        let same = |e: &NumberEntry| e.hash == hash && e.client.id == id;
        self.numbers -= usize::from(self.index.by_number.replace(hash, same, None));
    }
}

/// Clause A1's order among several: a manager first, then the latest order, then the oldest row.
fn choice(client: &Client) -> impl Ord {
    (client.manager.is_none(), std::cmp::Reverse(client.last_order), client.id)
}

fn hash(number: &Number) -> u64 {
    // Fixed keys: numbers in the table are the company's own, callers only ask.
    let mut hasher = siphasher::sip::SipHasher13::new();
    number.hash(&mut hasher);
    hasher.finish()
}

#[derive(Clone, Debug)]
struct NumberEntry {
    hash: u64,
    client: Arc<Client>,
}

#[derive(Debug)]
struct Table<T>(Box<[ArcSwapOption<Vec<T>>]>);

impl<T: Clone> Table<T> {
    fn new(buckets: usize) -> Self {
        Self((0..buckets).map(|_| ArcSwapOption::empty()).collect())
    }

    fn slot(&self, key: u64) -> &ArcSwapOption<Vec<T>> {
        &self.0[key as usize % self.0.len()]
    }

    fn at(&self, key: u64) -> arc_swap::Guard<Option<Arc<Vec<T>>>> {
        self.slot(key).load()
    }

    /// A new bucket without the entry that is `same`, with `new`. Says whether there was one.
    fn replace(&self, key: u64, same: impl Fn(&T) -> bool, new: Option<T>) -> bool {
        let slot = self.slot(key);
        let old = slot.load();
        let old: &[T] = old.as_deref().map_or(&[], |v| v);
        let mut bucket = Vec::with_capacity(old.len() + usize::from(new.is_some()));
        bucket.extend(old.iter().filter(|e| !same(e)).cloned());
        let was_there = bucket.len() < old.len();
        bucket.extend(new);
        slot.store((!bucket.is_empty()).then(|| Arc::new(bucket)));
        was_there
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ClientType, Money, PersonId, Vip};

    fn number(n: u8) -> Number {
        Number::from_e164(&format!("+4930231250{n:02}")).expect("a number")
    }

    fn client(id: i64, numbers: &[u8], managed: bool, ordered: Option<i8>) -> Client {
        let mut numbers: Vec<_> = numbers.iter().map(|n| number(*n)).collect();
        numbers.sort();
        numbers.dedup();
        Client {
            id: ClientId(id),
            name: format!("client {id}").into(),
            numbers,
            client_type: ClientType::new("retail"),
            vip: Vip::None,
            vip_pending: false,
            manager: managed.then(|| PersonId::new("anna")),
            department: None,
            region: None,
            balance: Money(0),
            credit_limit: None,
            overdue: Money(0),
            overdue_since: None,
            last_order: ordered.map(|day| jiff::civil::Date::constant(2026, 1, day)),
            served_by_operators: false,
            notes: "".into(),
            as_of: Timestamp::UNIX_EPOCH,
        }
    }

    /// One change: `Some` puts the client, `None` removes it.
    fn change() -> impl Strategy<Value = (i64, Option<Client>)> {
        let numbers = proptest::collection::vec(0u8..12, 0..4);
        let parts = (0i64..10, numbers, any::<bool>(), proptest::option::of(1i8..4), 0..4);
        parts.prop_map(|(id, numbers, managed, ordered, kind)| {
            (id, (kind > 0).then(|| client(id, &numbers, managed, ordered)))
        })
    }

    /// Clause A1 as a person would do it on paper.
    fn naive(all: &BTreeMap<i64, Client>, number: &Number) -> Vec<i64> {
        let mut having: Vec<&Client> =
            all.values().filter(|c| c.numbers.contains(number)).collect();
        having.sort_by_key(|c| std::cmp::Reverse(c.last_order));
        having.sort_by_key(|c| c.manager.is_none());
        having.iter().map(|c| c.id.0).collect()
    }

    proptest! {
        #[test]
        fn whatever_changes_the_index_answers_as_a_list_would(
            changes in proptest::collection::vec(change(), 1..60),
        ) {
            let (index, mut writer) = ClientIndex::with_buckets(4, Duration::ZERO);
            let mut all = BTreeMap::new();
            for (id, new) in changes {
                match new {
                    Some(client) => {
                        writer.put(client.clone());
                        all.insert(id, client);
                    }
                    None => {
                        writer.remove(ClientId(id));
                        all.remove(&id);
                    }
                }
            }
            for n in 0..12 {
                let found = index.lookup(&number(n));
                let ids: Vec<_> =
                    found.client.iter().chain(&found.others).map(|c| c.id.0).collect();
                prop_assert_eq!(ids, naive(&all, &number(n)));
            }
            writer.report(Reading::default());
            let status = index.status(Timestamp::UNIX_EPOCH);
            prop_assert_eq!(status.clients, all.len());
            prop_assert_eq!(status.numbers, all.values().map(|c| c.numbers.len()).sum::<usize>());
            let kept: Vec<i64> = all.keys().copied().filter(|id| id % 2 == 0).collect();
            writer.retain(&kept);
            let mut left = Vec::new();
            index.for_each(|client| left.push(client.id.0));
            left.sort();
            prop_assert_eq!(left, kept);
        }
    }
}
