//! Names of trunks become addresses, aside: a slow name server delays neither the start nor a call.
//!
//! All names are looked up at the start, after a reload, and every minute (sooner while one has no
//! address). A trunk keeps its address while its name still has it, and the last one known while nobody
//! answers. On the same occasions the host says from which of its addresses it would speak to each trunk.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Server;
use crate::domain::{Settings, Transport, Trunk, TrunkTarget};
use crate::switch::Input;

/// Addresses change rarely.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A name without an address is asked for again this soon.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A name server that says nothing for so long is not waited for.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What each name stands for now.
type Found = BTreeMap<(String, u16), Vec<SocketAddr>>;

/// Until the server stops.
pub(super) async fn follow(server: Arc<Server>) {
    loop {
        let settings = server.hub.current.settings.load_full();
        let found = look_up(&settings).await;
        let all = found.values().all(|addresses| !addresses.is_empty());
        let changing = server.clone();
        // A reload may hold its lock for a while. What it has to say it has logged.
        let _ = tokio::task::spawn_blocking(move || changing.take_addresses(&found)).await;
        let wait = if all { LOOK_EVERY } else { AGAIN_AFTER };
        let _ = timeout(wait, server.names_wanted.notified()).await;
    }
}

impl Server {
    /// Puts new addresses into effect.
    fn take_addresses(&self, found: &Found) {
        let _one_at_a_time = self.lock_reload();
        let before = self.hub.current.settings.load_full();
        let settings = Arc::new(with_addresses(&before, found, &spoken_from));
        if settings != before {
            tracing::info!("a trunk has another address, or another way to it");
            self.hub.current.settings.store(settings.clone());
            self.hub.tell_all(&Input::Settings(settings));
        }
    }
}

async fn look_up(settings: &Settings) -> Found {
    let targets = settings.trunks.iter().filter_map(|trunk| trunk.target.as_ref()?.name());
    let mut found: Found =
        targets.map(|(name, port)| ((name.to_owned(), port), Vec::new())).collect();
    let mut looking = JoinSet::new();
    for (name, port) in found.keys().cloned() {
        looking.spawn(async move {
            let looked = tokio::net::lookup_host((name.as_str(), port));
            let looked = match timeout(ANSWER_MAX, looked).await {
                Ok(looked) => looked.map(Iterator::collect),
                Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
            };
            let addresses: Vec<SocketAddr> = looked.unwrap_or_else(|error| {
                tracing::warn!(name, %error, "the name of a trunk has no address");
                Vec::new()
            });
            ((name, port), addresses)
        });
    }
    while let Some(Ok((name, addresses))) = looking.join_next().await {
        found.insert(name, addresses);
    }
    found
}

/// From which of its addresses the host would speak to `remote`. Nothing is sent.
fn spoken_from(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The settings with what was found.
fn with_addresses(
    settings: &Settings,
    found: &Found,
    spoken_from: &dyn Fn(SocketAddr) -> Option<IpAddr>,
) -> Settings {
    retargeted(settings, |target| {
        let address = choose(settings, target, found);
        TrunkTarget { address, from: address.and_then(spoken_from), ..target.clone() }
    })
}

/// New settings begin with what is known.
pub(super) fn keep_addresses(settings: &Settings, before: &Settings) -> Settings {
    retargeted(settings, |target| {
        let all = before.trunks.iter().filter_map(|trunk| trunk.target.as_ref());
        let mut same = all.filter(|t| t.host == target.host && t.transport == target.transport);
        let known = same.find(|known| target.address.is_none_or(|a| known.address == Some(a)));
        known.unwrap_or(target).clone()
    })
}

fn retargeted(settings: &Settings, change: impl Fn(&TrunkTarget) -> TrunkTarget) -> Settings {
    let trunks = settings.trunks.iter().map(|trunk| match &trunk.target {
        Some(target) => {
            let target = Some(change(target));
            Arc::new(Trunk { target, ..Trunk::clone(trunk) })
        }
        None => trunk.clone(),
    });
    Settings { trunks: trunks.collect(), ..settings.clone() }
}

/// The address to go by: the present one as long as the name has it, else the first that a listener can
/// speak to.
fn choose(settings: &Settings, target: &TrunkTarget, found: &Found) -> Option<SocketAddr> {
    let Some((name, port)) = target.name() else { return target.address };
    let Some(addresses) = found.get(&(name.to_owned(), port)) else { return target.address };
    let reached = |transport: Transport, address: SocketAddr| {
        settings.listeners.iter().any(|listener| listener.reaches(transport, address))
    };
    let mut usable = addresses.iter().copied().filter(|a| reached(target.transport, *a));
    match target.address {
        Some(address) if addresses.contains(&address) => Some(address),
        known => usable.next().or(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::domain::Listener;

    const TEXT: &str = r#"
        [server]
        domains = ["telefonist.example"]
        country = "DE"
        [[listen]]
        bind = "127.0.0.1:5060"
        [[trunk]]
        name = "carrier"
        from = ["192.0.2.1"]
        to = "udp:pbx.example:5070"
        [[trunk]]
        name = "fixed"
        from = ["192.0.2.2"]
        to = "udp:192.0.2.2"
    "#;

    fn settings() -> Settings {
        let config = config::parse("telefonist.toml", TEXT).expect("a configuration");
        let bind = "10.0.0.1:5060".parse().expect("an address");
        let transport = Transport::Udp;
        let listener = Listener { transport, bind, advertise: "127.0.0.1:5060".into() };
        Settings { listeners: vec![listener], ..Settings::clone(&config.settings) }
    }

    fn found(addresses: &[&str]) -> Found {
        let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        [(("pbx.example".to_owned(), 5070), addresses)].into()
    }

    fn looked_up(settings: &Settings, addresses: &[&str]) -> Settings {
        with_addresses(settings, &found(addresses), &|_| None)
    }

    fn addresses(settings: &Settings) -> Vec<Option<String>> {
        let targets = settings.trunks.iter().map(|trunk| trunk.target.as_ref()?.address);
        targets.map(|address| address.map(|a| a.to_string())).collect()
    }

    fn carrier(settings: &Settings) -> Option<String> {
        addresses(settings)[0].clone()
    }

    #[test]
    fn a_name_has_no_address_until_it_was_looked_up() {
        let begun = settings();
        assert_eq!(addresses(&begun), [None, Some("192.0.2.2:5060".to_owned())]);
        let looked = looked_up(&begun, &["[2001:db8::1]:5070", "192.0.2.9:5070"]);
        let expected = ["192.0.2.9:5070", "192.0.2.2:5060"].map(|a| Some(a.to_owned()));
        assert_eq!(addresses(&looked), expected, "no listener speaks IPv6");
    }

    #[test]
    fn an_address_stays_while_the_name_has_it_or_nobody_answers() {
        let looked = looked_up(&settings(), &["192.0.2.9:5070"]);
        let both = looked_up(&looked, &["192.0.2.8:5070", "192.0.2.9:5070"]);
        assert_eq!(carrier(&both).as_deref(), Some("192.0.2.9:5070"));
        let silent = looked_up(&both, &[]);
        assert_eq!(carrier(&silent).as_deref(), Some("192.0.2.9:5070"));
        let moved = looked_up(&silent, &["192.0.2.8:5070"]);
        assert_eq!(carrier(&moved).as_deref(), Some("192.0.2.8:5070"));
    }

    #[test]
    fn a_reload_begins_with_the_addresses_that_are_known() {
        let looked = looked_up(&settings(), &["192.0.2.9:5070"]);
        assert_eq!(carrier(&keep_addresses(&settings(), &looked)), carrier(&looked));
    }

    #[test]
    fn the_host_says_from_where_it_speaks() {
        let loopback = "127.0.0.9:5060".parse().expect("an address");
        assert_eq!(spoken_from(loopback), Some(Ipv4Addr::LOCALHOST.into()));
        let ours: IpAddr = "10.0.0.1".parse().expect("an address");
        let looked = with_addresses(&settings(), &found(&["192.0.2.9:5070"]), &|_| Some(ours));
        let from = |s: &Settings| s.trunks[0].target.as_ref().and_then(|target| target.from);
        assert_eq!(from(&looked), Some(ours));
        assert_eq!(from(&keep_addresses(&settings(), &looked)), Some(ours), "after a reload");
    }
}
