//! Which address Via and Contact say for a listener that is bound to "any".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// `host:port` for a listener bound to `bind`: the address itself, or the one that the host would
/// speak from to the world. No packet is sent: the kernel is only asked for its route.
pub(super) fn found_out(bind: SocketAddr) -> String {
    let ip = if bind.ip().is_unspecified() { outward(bind) } else { bind.ip() };
    SocketAddr::new(ip, bind.port()).to_string()
}

fn outward(bind: SocketAddr) -> IpAddr {
    let (any, far, lonely): (SocketAddr, IpAddr, IpAddr) = match bind {
        SocketAddr::V4(_) => (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv4Addr::LOCALHOST.into(),
        ),
        SocketAddr::V6(_) => (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
        ),
    };
    let asked = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((far, 9))?;
        socket.local_addr()
    });
    asked.map(|address| address.ip()).ok().filter(|ip| !ip.is_unspecified()).unwrap_or(lonely)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_advertised_as_it_is() {
        let bind = "[2001:db8::5]:5070".parse().expect("a literal");
        assert_eq!(found_out(bind), "[2001:db8::5]:5070");
    }

    #[test]
    fn any_is_never_advertised() {
        for any in ["0.0.0.0:5060", "[::]:5060"] {
            let said: SocketAddr =
                found_out(any.parse().expect("a literal")).parse().expect("an address");
            assert!(!said.ip().is_unspecified());
            assert_eq!(said.port(), 5060);
        }
    }
}
