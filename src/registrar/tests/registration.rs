//! RFC 3261 §10.3 step by step, and RFC 3327.

use super::*;

#[test]
fn a_phone_registers_and_hears_what_is_bound_and_for_how_long() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    let reply = world.bind(&mut phone, "Contact: <sip:anna@10.0.0.5:5060>;expires=600\r\n");
    assert_eq!(told_contacts(&reply), ["<sip:anna@10.0.0.5:5060>;expires=600"]);
    assert_eq!(reply.header(Header::Date), Some("Mon, 02 Mar 2026 08:00:00 GMT"));
    assert_eq!(reply.to_tag(), Some("t1"));
    assert_eq!(world.told(), ["+sip:anna@10.0.0.5:5060"]);
    world.pass(100);
    let reply = world.bind(&mut phone, "");
    assert_eq!(told_contacts(&reply), ["<sip:anna@10.0.0.5:5060>;expires=500"]);
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn several_phones_of_one_person_are_bound_by_preference() {
    let mut world = World::new();
    let lines = "Contact: <sip:a@10.0.0.5>;q=0.3, <sip:b@10.0.0.5>\r\nExpires: 300\r\n";
    world.bind(&mut Phone::new("anna", "c1"), lines);
    let reply = world.bind(&mut Phone::new("anna", "c2"), "Contact: <sip:c@10.0.0.6>;q=0.7\r\n");
    assert_eq!(world.contacts("anna"), ["sip:b@10.0.0.5", "sip:c@10.0.0.6", "sip:a@10.0.0.5"]);
    assert_eq!(
        told_contacts(&reply),
        [
            "<sip:b@10.0.0.5>;expires=300",
            "<sip:c@10.0.0.6>;q=0.700;expires=3600",
            "<sip:a@10.0.0.5>;q=0.300;expires=300"
        ]
    );
}

#[test]
fn the_parameter_beats_the_header_and_an_hour_is_the_default() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    let lines = "Contact: <sip:a@h>;expires=120, <sip:b@h>\r\nExpires: 240\r\n";
    assert_eq!(
        told_contacts(&world.bind(&mut phone, lines)),
        ["<sip:b@h>;expires=240", "<sip:a@h>;expires=120"]
    );
    let reply = world.bind(&mut phone, "Contact: <sip:a@h>\r\nContact: <sip:b@h>;expires=soon\r\n");
    assert!(told_contacts(&reply).iter().all(|c| c.ends_with(";expires=3600")));
}

#[test]
fn a_brief_registration_is_refused_with_the_least_and_a_long_one_is_cut() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    let reply = world.register(&mut phone, "Contact: <sip:a@h>;expires=59\r\n");
    assert_eq!((reply.status(), reply.header(Header::MinExpires)), (423, Some("60")));
    assert!(world.location.is_empty());
    let reply = world.bind(&mut phone, "Contact: <sip:a@h>;expires=999999\r\n");
    assert_eq!(told_contacts(&reply), ["<sip:a@h>;expires=7200"]);
}

#[test]
fn a_refresh_keeps_the_key_and_raises_the_epoch() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:anna@10.0.0.5:5060;x=1>\r\n");
    let first = world.location.bindings("anna")[0].clone();
    // Equal by §19.1.4: the host's case, a parameter that only one side has.
    world.bind(&mut phone, "Contact: <sip:anna@10.0.0.5:5060>\r\n");
    let [second] = &world.location.bindings("anna")[..] else { panic!("one binding") };
    assert_eq!(second.key, first.key);
    assert!(second.epoch > first.epoch);
    assert_eq!(&*second.contact, "sip:anna@10.0.0.5:5060");
}

#[test]
fn a_phone_removes_its_own_contact_or_all() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>\r\n");
    let reply =
        world.bind(&mut phone, "Contact: <sip:b@h>;expires=0, <sip:nobody@h>;expires=0\r\n");
    assert_eq!(told_contacts(&reply).len(), 2);
    world.told();
    let reply = world.bind(&mut phone, "Contact: *\r\nExpires: 0\r\n");
    assert!(!reply.has(Header::Contact));
    assert_eq!(world.told(), ["-sip:c@h removed", "-sip:a@h removed"]);
    assert!(world.registrar.is_empty() && world.location.is_empty());
}

#[test]
fn a_star_needs_expires_zero_and_stands_alone() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:a@h>\r\n");
    for lines in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 60\r\n",
        "Contact: *, <sip:b@h>\r\nExpires: 0\r\n",
        "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
    ] {
        assert_eq!(world.register(&mut phone, lines).status(), 400, "{lines}");
    }
    assert_eq!(world.contacts("anna"), ["sip:a@h"]);
}

#[test]
fn an_older_cseq_of_the_same_call_id_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    phone.cseq = 10;
    world.bind(&mut phone, "Contact: <sip:a@h>\r\n");
    for cseq in [10, 3] {
        for lines in [
            "Contact: <sip:b@h>, <sip:a@h>\r\n",
            "Contact: <sip:a@h>;expires=0\r\n",
            "Contact: *\r\nExpires: 0\r\n",
        ] {
            phone.cseq = cseq;
            assert_eq!(world.register(&mut phone, lines).status(), 500, "{cseq} {lines}");
        }
    }
    assert_eq!(world.contacts("anna"), ["sip:a@h"]);
    let mut restarted = Phone::new("anna", "c2");
    world.bind(&mut restarted, "Contact: <sip:a@h>;expires=0\r\n");
    assert!(world.location.is_empty());
}

#[test]
fn a_contact_that_is_named_twice_counts_once() {
    let mut world = World::new();
    let lines = "Contact: <sip:a@h>;expires=60, <sip:a@H>;expires=90\r\n";
    let reply = world.bind(&mut Phone::new("anna", "c1"), lines);
    assert_eq!(told_contacts(&reply), ["<sip:a@H>;expires=90"]);
    assert_eq!(world.registrar.len(), 1);
}

#[test]
fn gruu_style_contacts_survive_as_they_are() {
    let mut world = World::new();
    let contact =
        "<sip:anna@10.0.0.5;transport=tcp;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";
    let lines = format!("Contact: {contact};+sip.instance=\"<urn:uuid:f81d4fae>\";reg-id=1\r\n");
    let reply = world.bind(&mut Phone::new("anna", "c1"), &lines);
    let told = format!("{contact};+sip.instance=\"<urn:uuid:f81d4fae>\";reg-id=1;expires=3600");
    assert_eq!(told_contacts(&reply), [told]);
    assert_eq!(format!("<{}>", world.contacts("anna")[0]), contact);
}

#[test]
fn a_phone_with_an_instance_that_starts_again_replaces_its_old_address() {
    let mut world = World::new();
    let instance = "+sip.instance=\"<urn:uuid:1>\"";
    let lines = |port: u16| format!("Contact: <sip:anna@10.0.0.5:{port}>;{instance}\r\n");
    world.bind(&mut Phone::new("anna", "before"), &lines(4_000));
    let key = world.location.bindings("anna")[0].key.clone();
    world.bind(&mut Phone::new("anna", "after"), &lines(4_001));
    assert_eq!(world.contacts("anna"), ["sip:anna@10.0.0.5:4001"]);
    assert_eq!(world.location.bindings("anna")[0].key, key);
}

#[test]
fn one_instance_may_have_two_contacts_in_one_start() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    let instance = "+sip.instance=\"<urn:uuid:1>\"";
    let lines = format!("Contact: <sip:a@10.0.0.5>;{instance}, <sip:a@[::1]>;{instance}\r\n");
    world.bind(&mut phone, &lines);
    world.bind(&mut phone, &lines);
    let bindings = world.location.bindings("anna");
    assert_eq!(bindings.len(), 2);
    assert_ne!(bindings[0].key, bindings[1].key);
}

#[test]
fn reg_ids_tell_the_flows_of_one_instance_apart() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    let line = |port: u16, reg_id: u32| {
        format!(
            "Contact: <sip:a@10.0.0.5:{port}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}\r\n"
        )
    };
    world.bind(&mut phone, &line(4_000, 1));
    world.bind(&mut phone, &line(4_000, 2));
    world.bind(&mut phone, &line(4_001, 1));
    let mut contacts = world.contacts("anna");
    contacts.sort();
    assert_eq!(contacts, ["sip:a@10.0.0.5:4000", "sip:a@10.0.0.5:4001"]);
}

#[test]
fn somebody_elses_address_is_forbidden_and_a_foreign_one_not_found() {
    let mut world = World::new();
    let request = Phone::new("boris", "c1").request("Contact: <sip:a@h>\r\n");
    let flow = udp("10.0.0.5:5060");
    assert_eq!(world.present(&request, flow, "anna").status(), 403);
    let text = String::from_utf8(request.raw().to_vec()).unwrap();
    let foreign_to = text.replace("To: <sip:boris@example.org>", "To: <sip:boris@example.com>");
    assert_eq!(world.present(&parse(&foreign_to), flow, "boris").status(), 404);
    let nobody = text.replace("To: <sip:boris@example.org>", "To: <sip:example.org>");
    assert_eq!(world.present(&parse(&nobody), flow, "").status(), 404);
    let foreign = text.replace("sip:example.org SIP", "sip:example.com SIP");
    assert_eq!(world.present(&parse(&foreign), flow, "boris").status(), 403);
    assert!(world.location.is_empty());
}

#[test]
fn before_any_password_foreign_domains_and_unknown_extensions_are_refused() {
    let settings = example_settings();
    let asks = |lines: &str| {
        let request = Phone::new("anna", "c1").request(lines);
        crate::registrar::screen(&request, &settings, "t")
            .map(|reply| Message::parse(reply.finish()).unwrap())
    };
    let refused = asks("Require: path, gruu, 100rel\r\n").unwrap();
    assert_eq!(
        (refused.status(), refused.header(Header::Unsupported)),
        (420, Some("gruu, 100rel"))
    );
    assert!(asks("Require: path\r\n").is_none());
}

#[test]
fn a_path_is_kept_in_order_and_told_back() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    let lines = "Contact: <sip:a@h>\r\nPath: <sip:p1.example.org;lr>\r\nPath: <sip:p2;lr>, <sip:p3;lr>\r\n\
                 Supported: gruu, path\r\n";
    let reply = world.bind(&mut phone, lines);
    let path = ["<sip:p1.example.org;lr>", "<sip:p2;lr>", "<sip:p3;lr>"];
    assert_eq!(reply.values(Header::Path).collect::<Vec<_>>(), path);
    assert_eq!(
        world.location.bindings("anna")[0].path.iter().map(|p| &**p).collect::<Vec<_>>(),
        path
    );
}

#[test]
fn a_path_that_the_phone_does_not_know_of_is_refused() {
    let mut world = World::new();
    let lines = "Contact: <sip:a@h>\r\nPath: <sip:p1;lr>\r\n";
    let reply = world.register(&mut Phone::new("anna", "c1"), lines);
    assert_eq!((reply.status(), reply.header(Header::Unsupported)), (420, Some("path")));
}

#[test]
fn malformed_contacts_change_nothing() {
    let mut world = World::new();
    for (contact, status) in [
        ("<mailto:a@h>", 416),
        ("<sips:a@h>", 416),
        ("<tel:+7>", 416),
        ("<sip:a@h>;q=2", 400),
        ("<sip:a@h>;reg-id=0;+sip.instance=\"<urn:uuid:1>\"", 400),
        ("<sip:>", 400),
        ("<sip:a@h", 400),
    ] {
        let lines = format!("Contact: <sip:good@h>\r\nContact: {contact}\r\n");
        let reply = world.register(&mut Phone::new("anna", "c1"), &lines);
        assert_eq!(reply.status(), status, "{contact}");
    }
    assert!(world.location.is_empty() && world.registrar.is_empty());
}

#[test]
fn an_escaped_user_is_the_same_user() {
    let mut world = World::new();
    let request = Phone::new("%61nna", "c1").request("Contact: <sip:a@h>\r\n");
    assert_eq!(world.present(&request, udp("10.0.0.5:5060"), "anna").status(), 200);
    assert_eq!(world.contacts("anna"), ["sip:a@h"]);
}

#[test]
fn a_datagram_phone_is_reached_at_its_contact_unless_a_nat_stands_between() {
    let mut world = World::new();
    world.settings.limits.bindings_max = 20;
    let mut phone = Phone::new("anna", "c1");
    let mut reached = |source: &str, via: &str, contact: &str| {
        let flow = udp(source);
        let lines = format!("Contact: <{contact}>\r\n");
        let text = String::from_utf8_lossy(phone.request(&lines).raw()).into_owned();
        let request = parse(&text.replace("10.0.0.5:5060;", via));
        assert_eq!(world.present(&request, flow, "anna").status(), 200);
        let bindings = world.location.bindings("anna");
        let binding = bindings.iter().find(|b| &*b.contact == contact).expect("bound");
        let (to, kept) = (binding.flow.remote.to_string(), binding.flow.transport);
        assert_eq!(kept, flow.transport);
        to
    };
    let direct = "10.0.0.5:5060;rport;";
    let at = |to: &str| format!("sip:a@{to}");
    assert_eq!(reached("10.0.0.5:5060", direct, &at("10.0.0.6:5070")), "10.0.0.6:5070");
    assert_eq!(reached("10.0.0.5:5060", direct, &at("10.0.0.7")), "10.0.0.7:5060");
    // Sends from another port than it listens on.
    assert_eq!(reached("10.0.0.5:40000", "10.0.0.5:5060;", &at("10.0.0.5:5060")), "10.0.0.5:5060");
    // A NAT that changes addresses, and one that changes ports.
    assert_eq!(reached("203.0.113.7:6000", direct, &at("10.0.0.8:5060")), "203.0.113.7:6000");
    assert_eq!(reached("10.0.0.5:40001", direct, &at("10.0.0.9:5060")), "10.0.0.5:40001");
    // A contact that leads nowhere from here.
    let outside = "203.0.113.9:5060;rport;";
    for contact in
        ["sip:a@192.168.1.9", "sip:a@name.test", "sip:a@0.0.0.0", "sip:a@10.1.1.1;transport=tcp"]
    {
        assert_eq!(reached("203.0.113.9:5060", outside, contact), "203.0.113.9:5060", "{contact}");
    }
}
