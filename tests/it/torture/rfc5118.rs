//! Every message of RFC 5118 (IPv6), each with what its section says must happen.

use std::net::IpAddr;

use telefonist::sip::sdp::Sdp;
use telefonist::sip::{Header, Message, Uri, Via};

use super::shared::Must::{Accept, Refuse};
use super::shared::{Must, check_folder};

#[test]
fn every_message_of_rfc_5118_meets_its_fate() {
    check_folder("rfc5118", TABLE);
}

const TABLE: &[(&str, Must)] = &[
    ("ipv6-good", Accept(a_reference_in_brackets)), // 4.1
    ("ipv6-bad", Refuse(400)),                      // 4.2
    ("port-ambiguous", Accept(the_port_belongs_to_the_address)), // 4.3
    ("port-unambiguous", Accept(the_port_stands_alone)), // 4.4
    ("via-received-param-with-delim", Accept(a_received_address)), // 4.5
    ("via-received-param-no-delim", Accept(a_received_address)), // 4.5
    ("ipv6-in-sdp", Accept(one_address_in_sdp)),    // 4.6
    ("mult-ip-in-header", Accept(both_kinds_in_via)), // 4.7
    ("mult-ip-in-sdp", Accept(both_kinds_in_sdp)),  // 4.8
    ("ipv4-mapped-ipv6", Accept(mapped_addresses)), // 4.9
    ("ipv6-bug-abnf-3-colons", Accept(two_or_three_colons)), // 4.10
    ("ipv6-correct-abnf-2-colons", Accept(two_or_three_colons)), // 4.10
];

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address in a test"))
}

fn a_reference_in_brackets(m: &Message) {
    assert_eq!(Uri::parse(m.uri()).unwrap().host_ip(), ip("2001:db8::10"));
    assert_eq!(m.top_via().unwrap().host_ip(), ip("2001:db8::9:1"));
    let contact = m.contacts().next().unwrap().parsed_uri().unwrap();
    assert_eq!((contact.user, contact.host), (Some("caller"), "[2001:db8::1]"));
}

fn the_port_belongs_to_the_address(m: &Message) {
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!((uri.host_ip(), uri.port), (ip("2001:db8::10:5070"), None));
}

fn the_port_stands_alone(m: &Message) {
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!((uri.host_ip(), uri.port), (ip("2001:db8::10"), Some(5070)));
}

fn a_received_address(m: &Message) {
    let via = m.top_via().unwrap();
    assert_eq!(via.received_ip(), ip("2001:db8::9:255"));
    assert!(via.magic_branch().is_some_and(|b| b.starts_with("z9hG4bKas3")));
    assert_eq!(via.response_addr().unwrap().to_string(), "[2001:db8::9:255]:5060");
}

fn one_address_in_sdp(m: &Message) {
    let body = m.body();
    let sdp = Sdp::parse(&body).unwrap();
    let addresses: Vec<_> = sdp.addresses().collect();
    let home = ip("2001:db8::20").unwrap();
    assert_eq!(addresses, [(home, 6000), (home, 6024)]);
    assert_eq!(sdp.origin().address, "IN IP6 2001:db8::20");
}

fn both_kinds_in_via(m: &Message) {
    let vias: Vec<_> = m.values(Header::Via).map(|v| Via::parse(v).unwrap()).collect();
    assert_eq!((vias[0].host_ip(), vias[0].port), (ip("2001:db8::9:1"), Some(6050)));
    assert_eq!(vias[1].host_ip(), ip("192.0.2.1"));
    assert_eq!(
        (vias[2].host_ip(), vias[2].received_ip()),
        (ip("2001:db8::9:255"), ip("192.0.2.200"))
    );
}

fn both_kinds_in_sdp(m: &Message) {
    let body = m.body();
    let sdp = Sdp::parse(&body).unwrap();
    let addresses: Vec<_> = sdp.addresses().map(|(ip, _)| Some(ip)).collect();
    assert_eq!(addresses, [ip("192.0.2.1"), ip("2001:db8::1")]);
}

fn mapped_addresses(m: &Message) {
    let via = m.top_via().unwrap();
    assert_eq!((via.host_ip(), via.port), (ip("192.0.2.10"), Some(19823)));
    let contact = m.contacts().next().unwrap().parsed_uri().unwrap();
    assert_eq!(contact.socket_addr(5060).unwrap().to_string(), "192.0.2.2:5060");
}

fn two_or_three_colons(m: &Message) {
    assert_eq!(Uri::parse(m.uri()).unwrap().host_ip(), ip("2001:db8::c000:201"));
    assert!(m.to().unwrap().parsed_uri().unwrap().host_ip().is_some());
}
