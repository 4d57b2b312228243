//! The location service (RFC 3261 §10): who is reached where. Shared by all workers.
//!
//! An entry's only writer is its address of record's home shard (its [`Registrar`](super::Registrar));
//! everybody reads. The table is a dashmap: short sharded locks, each taken and left within one function
//! of this file, never held across another call. Nothing here is ever iterated for a decision, so its
//! order cannot matter.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

use super::Binding;

/// Addresses of record that may have bindings at once: as many as there can be places on the board.
pub const AORS_MAX: usize = 1 << 16;

/// Bindings by address of record.
#[derive(Debug, Default)]
pub struct Location {
    entries: DashMap<Arc<str>, Vec<Arc<Binding>>>,
    /// How many bindings lead to each host.
    hosts: DashMap<IpAddr, u32>,
}

impl Location {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// All bindings of `aor` (a user part), most preferred first, the latest first among equals.
    /// Empty: nobody is registered there.
    pub fn bindings(&self, aor: &str) -> Vec<Arc<Binding>> {
        self.entries.get(aor).map(|entry| entry.value().clone()).unwrap_or_default()
    }

    /// The binding of that key as it is now: what a dialog that stored the key sends over.
    pub fn binding(&self, aor: &str, key: &str) -> Option<Arc<Binding>> {
        self.entries.get(aor)?.value().iter().find(|b| &*b.key == key).cloned()
    }

    /// Somebody is registered under `aor`.
    pub fn is_registered(&self, aor: &str) -> bool {
        self.entries.contains_key(aor)
    }

    /// Some phone of ours is registered at that address.
    pub fn has_phone_at(&self, host: IpAddr) -> bool {
        self.hosts.contains_key(&host.to_canonical())
    }

    /// Addresses of record with a binding.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All bindings, by address of record: for status pages.
    pub fn snapshot(&self) -> Vec<Arc<Binding>> {
        let mut all: Vec<_> = self.entries.iter().flat_map(|e| e.value().clone()).collect();
        all.sort_by(|a, b| (&a.aor, b.q, b.epoch).cmp(&(&b.aor, a.q, a.epoch)));
        all
    }

    /// There is room for one more address of record, or `aor` has an entry already.
    pub(super) fn has_room_for(&self, aor: &str) -> bool {
        self.is_registered(aor) || self.len() < AORS_MAX
    }

    /// The home shard's write: `bindings` are all that `aor` has now.
    pub(super) fn publish(&self, aor: &Arc<str>, mut bindings: Vec<Arc<Binding>>) {
        bindings.iter().for_each(|binding| self.came_to(host_of(binding)));
        let old = if bindings.is_empty() {
            self.entries.remove(aor).map(|(_, old)| old)
        } else {
            bindings.sort_by_key(|b| std::cmp::Reverse((b.q, b.epoch)));
            self.entries.insert(aor.clone(), bindings)
        };
        old.iter().flatten().for_each(|binding| self.went_from(host_of(binding)));
    }

    fn came_to(&self, host: IpAddr) {
        *self.hosts.entry(host).or_default() += 1;
    }

    fn went_from(&self, host: IpAddr) {
        if let Some(mut count) = self.hosts.get_mut(&host) {
            *count = count.saturating_sub(1);
        }
        self.hosts.remove_if(&host, |_, count| *count == 0);
    }
}

fn host_of(binding: &Binding) -> IpAddr {
    binding.flow.remote.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::tests::binding;

    #[test]
    fn the_preferred_and_then_the_latest_binding_comes_first() {
        let location = Location::new();
        let make = |contact: &str, q, epoch| {
            let mut made = binding("anna", contact);
            (made.q, made.epoch) = (q, epoch);
            Arc::new(made)
        };
        let aor: Arc<str> = Arc::from("anna");
        location.publish(&aor, vec![make("a", 500, 3), make("b", 1000, 1), make("c", 1000, 2)]);
        let order: Vec<_> = location.bindings("anna").iter().map(|b| b.contact.clone()).collect();
        assert_eq!(order.iter().map(|c| &**c).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(location.snapshot().len(), 3);
        assert!(location.binding("anna", "b").is_some());
        location.publish(&aor, Vec::new());
        assert!(location.is_empty() && !location.is_registered("anna"));
    }

    #[test]
    fn a_host_is_known_as_long_as_a_phone_is_registered_there() {
        let location = Location::new();
        let at = |aor: &str, ip: [u8; 4]| {
            let mut made = binding(aor, "sip:x@y");
            made.flow.remote.set_ip(ip.into());
            Arc::new(made)
        };
        let (here, there) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (anna, boris): (Arc<str>, Arc<str>) = ("anna".into(), "boris".into());
        location.publish(&anna, vec![at("anna", here)]);
        location.publish(&anna, vec![at("anna", here), at("anna", there)]);
        location.publish(&boris, vec![at("boris", here)]);
        location.publish(&anna, Vec::new());
        assert!(location.has_phone_at(IpAddr::from(here)) && !location.has_phone_at(there.into()));
        assert!(location.has_phone_at("::ffff:10.0.0.1".parse().expect("an address")));
        location.publish(&boris, Vec::new());
        assert!(location.hosts.is_empty());
    }
}
