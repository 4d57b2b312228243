//! Every message of RFC 4475, each with what its section says must happen.
//!
//! Where the RFC leaves a choice (liberal or strict) we are strict with what could be meant in two ways, and
//! liberal where nothing is lost; the comment says which.

use telefonist::sip::digest::Authorization;
use telefonist::sip::sdp::Sdp;
use telefonist::sip::{Header, Message, Uri};

use super::shared::Must::{Accept, Drop, Refuse, Unreadable};
use super::shared::{Must, check_folder};

#[test]
fn every_message_of_rfc_4475_meets_its_fate() {
    check_folder("rfc4475", VALID);
}

/// §3.1.1, then §3.1.2, §3.2, §3.3, §3.4.
const VALID: &[(&str, Must)] = &[
    // 3.1.1 valid messages
    ("wsinv", Accept(a_short_tortuous_invite)),
    ("intmeth", Accept(a_wide_range_of_characters)),
    ("esc01", Accept(escapes_in_uris)),
    ("escnull", Accept(escaped_nulls)),
    ("esc02", Accept(a_percent_that_escapes_nothing)),
    ("lwsdisp", Accept(no_space_before_the_bracket)),
    ("longreq", Accept(long_values)),
    ("dblreq", Accept(the_rest_of_the_datagram_is_nothing)),
    ("semiuri", Accept(semicolons_in_a_user_part)),
    ("transports", Accept(varied_transports)),
    ("mpart01", Accept(a_body_with_nulls)),
    ("unreason", Accept(an_unusual_reason)),
    ("noreason", Accept(an_empty_reason)),
    // 3.1.2 invalid messages
    ("badinv01", Refuse(400)),
    ("clerr", Refuse(400)),
    ("ncl", Refuse(400)),
    ("scalar02", Refuse(400)),
    ("scalarlg", Drop),
    ("quotbal", Refuse(400)),
    ("ltgtruri", Refuse(400)), // could be read liberally: nobody sends it
    ("lwsruri", Refuse(400)),
    ("lwsstart", Refuse(400)),
    ("trws", Refuse(400)),
    ("escruri", Refuse(400)),
    ("baddate", Accept(a_date_that_nobody_needs)), // only who needs the date may refuse it
    ("regbadct", Refuse(400)),                     // URI's headers or Contact's? not to be guessed
    ("badaspec", Refuse(400)),
    ("baddn", Refuse(400)), // the comma would make two values
    ("badvers", Refuse(505)),
    ("mismatch01", Refuse(400)),
    ("mismatch02", Refuse(400)), // or 501: two things are wrong
    ("bigcode", Drop),
    // 3.2 transactions
    ("badbranch", Accept(a_branch_of_nothing_but_the_cookie)),
    // 3.3 the application's business
    ("insuf", Refuse(400)),
    ("unkscm", Refuse(416)),
    ("novelsc", Refuse(416)),
    ("unksm2", Accept(unknown_schemes_in_addresses)),
    ("bext01", Accept(unknown_extensions)),
    ("invut", Accept(an_unknown_body)),
    ("regaut01", Accept(an_unknown_authorization)),
    ("multi01", Refuse(400)),
    ("mcl01", Refuse(400)),
    ("bcast", Drop),
    ("zeromf", Accept(no_hops_left)),
    ("cparam01", Accept(a_parameter_of_contact)),
    ("cparam02", Accept(a_parameter_of_the_uri)),
    ("regescrt", Accept(a_route_in_a_contact)),
    ("sdp01", Accept(an_unknown_accept)),
    // 3.4 backward compatibility
    ("inv2543", Accept(an_invite_of_the_old_rfc)),
    // In the archive, but in no section: a first line without a version.
    ("test", Unreadable),
];

fn a_short_tortuous_invite(m: &Message) {
    assert_eq!(m.method().as_str(), "INVITE");
    assert_eq!(m.uri(), "sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!(m.to().unwrap().uri, "sip:vivekg@chair-dnrc.example.com");
    assert_eq!(m.to_tag(), Some("1918181833n"));
    assert_eq!(m.from().unwrap().display_decoded(), "J Rosenberg \\\"");
    assert_eq!(m.from_tag(), Some("98asjd8"));
    assert_eq!(m.max_forwards(), Some(68));
    assert_eq!(m.cseq().map(|c| c.0), Some(9));
    assert_eq!(m.header(Header::Subject), Some(""));
    assert_eq!(m.named("newfangledheader"), Some("newfangled value continued newfangled value"));
    assert_eq!(m.named("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let hosts: Vec<_> = m.values(Header::Via).collect();
    assert_eq!(hosts.len(), 3);
    assert_eq!(m.top_via().unwrap().branch(), Some("390skdjuw"));
    let route = m.values(Header::Route).next().unwrap();
    assert_eq!(route, "<sip:services.example.com;lr;unknownwith=value;unknown-no-value>");
    let contact = m.contacts().next().unwrap();
    assert_eq!(contact.display_decoded(), "Quoted string \"\"");
    assert_eq!(contact.param("newparam"), Some("newvalue"));
    assert_eq!(contact.param("q"), Some("0.33"));
    assert_eq!(Sdp::parse(&m.body()).unwrap().media().len(), 2);
}

fn a_wide_range_of_characters(m: &Message) {
    assert_eq!(m.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(m.max_forwards(), Some(255));
    assert_eq!(m.cseq().map(|c| c.0), Some(139122385));
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.host, "example.com");
    assert_eq!(uri.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(m.to().unwrap().display_decoded(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    assert_eq!(m.from().unwrap().param("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(m.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(m.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(m.top_via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(m.named("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

fn escapes_in_uris(m: &Message) {
    assert_eq!(Uri::parse(m.uri()).unwrap().user_decoded(), "sips:user@example.com");
    let to = m.to().unwrap();
    let plain = Uri::parse("sip:user@example.com").unwrap();
    assert!(to.parsed_uri().unwrap().equals(&plain));
    assert_eq!(m.from().unwrap().parsed_uri().unwrap().user_decoded(), "I have spaces");
    let contact = m.contacts().next().unwrap().parsed_uri().unwrap();
    assert_eq!(contact.user_decoded(), "caller");
    assert_eq!(contact.param("lr"), None, "the name is escaped text, not lr");
}

fn escaped_nulls(m: &Message) {
    assert_eq!(m.to().unwrap().parsed_uri().unwrap().user_decoded(), "null-\0-null");
    let users: Vec<_> =
        m.contacts().map(|c| c.parsed_uri().unwrap().user_decoded().into_owned()).collect();
    assert_eq!(users, ["\0", "\0\0"]);
}

fn a_percent_that_escapes_nothing(m: &Message) {
    assert_eq!(m.method().as_str(), "RE%47IST%45R");
    assert_eq!(m.to().unwrap().display_decoded(), "%Z%45");
    assert_eq!(m.contacts().count(), 2, "C%6Fntact is another header");
    assert!(m.named("c%6fntact").is_some());
}

fn no_space_before_the_bracket(m: &Message) {
    let from = m.from().unwrap();
    assert_eq!((from.display, from.uri), (Some("caller"), "sip:caller@example.com"));
}

fn long_values(m: &Message) {
    assert_eq!(m.values(Header::Via).count(), 34);
    let to = m.to().unwrap();
    assert!(to.display_decoded().ends_with(" proportion"));
    assert_eq!(to.parsed_uri().unwrap().port, Some(6000));
    assert_eq!(m.contacts().count(), 1);
    assert_eq!(m.body().len(), 150);
}

fn the_rest_of_the_datagram_is_nothing(m: &Message) {
    assert_eq!(m.method().as_str(), "REGISTER");
    assert!(m.body().is_empty());
    assert!(!m.raw().windows(6).any(|w| w == b"INVITE"));
}

fn semicolons_in_a_user_part(m: &Message) {
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!((uri.user, uri.host), (Some("user;par=u%40example.net"), "example.com"));
    assert_eq!(uri.param("par"), None);
    assert_eq!(m.values(Header::Accept).count(), 6);
}

fn varied_transports(m: &Message) {
    let vias = m.values(Header::Via).map(|v| telefonist::sip::Via::parse(v).unwrap());
    let transports: Vec<_> = vias.map(|v| v.transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

fn a_body_with_nulls(m: &Message) {
    assert_eq!(m.body().len(), 553);
    assert!(m.body().contains(&0));
    assert!(m.has_content("multipart/mixed"));
}

fn an_unusual_reason(m: &Message) {
    assert_eq!(m.status(), 200);
    assert!(m.reason().starts_with("= 2**3 * 5**2 ") && m.reason().ends_with("простое"));
}

fn an_empty_reason(m: &Message) {
    assert_eq!((m.status(), m.reason()), (100, ""));
}

fn a_date_that_nobody_needs(m: &Message) {
    assert_eq!(m.header(Header::Date), Some("Fri, 01 Jan 2010 16:00:00 EST"));
}

/// §3.2.1: matched as RFC 2543 matches.
fn a_branch_of_nothing_but_the_cookie(m: &Message) {
    let via = m.top_via().unwrap();
    assert_eq!((via.branch(), via.magic_branch()), (Some("z9hG4bK"), None));
}

/// §3.3.4: not for the parser to refuse; a registrar has no such user.
fn unknown_schemes_in_addresses(m: &Message) {
    assert_eq!(m.to().unwrap().parsed_uri().unwrap().scheme, "isbn");
    assert_eq!(m.from().unwrap().parsed_uri().unwrap().scheme, "http");
    assert_eq!(m.contacts().next().unwrap().parsed_uri().unwrap().scheme, "name");
}

/// §3.3.5: a proxy answers 420 with the two of Proxy-Require, a UAS with the two of Require.
fn unknown_extensions(m: &Message) {
    assert_eq!(
        m.unknown_options(Header::Require, &["timer"]),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(
        m.unknown_options(Header::ProxyRequire, &[]),
        ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]
    );
}

/// §3.3.6: 415 is the UAS's.
fn an_unknown_body(m: &Message) {
    assert_eq!(m.content_type(), Some("application/unknownformat"));
    assert!(Sdp::parse(&m.body()).is_none());
}

/// §3.3.7: as if there were none, so 401.
fn an_unknown_authorization(m: &Message) {
    assert_eq!(Authorization::parse(m.header(Header::Authorization).unwrap()), None);
}

/// §3.3.11: 483 is the proxy's.
fn no_hops_left(m: &Message) {
    assert_eq!(m.max_forwards(), Some(0));
}

fn a_parameter_of_contact(m: &Message) {
    let contact = m.contacts().next().unwrap();
    assert_eq!(contact.uri, "sip:+19725552222@gw1.example.net");
    assert_eq!(contact.param("unknownparam"), Some(""));
}

fn a_parameter_of_the_uri(m: &Message) {
    let contact = m.contacts().next().unwrap();
    assert_eq!(contact.param("unknownparam"), None);
    assert_eq!(contact.parsed_uri().unwrap().param("unknownparam"), Some(""));
}

fn a_route_in_a_contact(m: &Message) {
    let contact = m.contacts().next().unwrap().parsed_uri().unwrap();
    assert_eq!(contact.header("Route").as_deref(), Some("<sip:sip.example.com>"));
}

/// §3.3.15: 406 is the UAS's.
fn an_unknown_accept(m: &Message) {
    assert!(!m.lists(Header::Accept, "application/sdp"));
}

fn an_invite_of_the_old_rfc(m: &Message) {
    assert_eq!(m.top_via().unwrap().branch(), None);
    assert_eq!((m.from_tag(), m.max_forwards()), (None, None));
    assert_eq!(m.from().unwrap().parsed_uri().unwrap().param("user"), Some("phone"));
    assert_eq!(m.to().unwrap().param("user"), Some("phone"));
    let route = m.values(Header::RecordRoute).next().unwrap();
    assert_eq!(route, "<sip:UserB@example.com;maddr=ss1.example.com>");
    assert_eq!(Sdp::parse(&m.body()).unwrap().addresses().count(), 1);
}
