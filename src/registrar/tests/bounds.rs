//! Every bound is met and told; no sequence of REGISTERs panics or leaves anything behind.

use proptest::prelude::*;

use super::*;
use crate::registrar::{CONTACT_BYTES_MAX, PATH_LEN_MAX, TEXT_BYTES_MAX};

#[test]
fn one_binding_more_than_the_bound_is_politely_refused() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:a@h>;expires=60, <sip:b@h>, <sip:c@h>\r\n");
    world.pass(20);
    let reply = world.register(&mut phone, "Contact: <sip:d@h>\r\n");
    assert_eq!((reply.status(), reply.header(Header::RetryAfter)), (503, Some("40")));
    // Refreshing what is there, and exchanging one for another, is always possible.
    world.bind(&mut phone, "Contact: <sip:b@h>\r\n");
    world.bind(&mut phone, "Contact: <sip:c@h>;expires=0, <sip:d@h>\r\n");
    assert_eq!(world.location.bindings("anna").len(), 3);
    let line = "Contact: <sip:x1@h>, <sip:x2@h>, <sip:x3@h>, <sip:x4@h>\r\n";
    assert_eq!(world.register(&mut Phone::new("boris", "c2"), line).status(), 503);
    assert!(!world.location.is_registered("boris"));
}

#[test]
fn long_texts_are_refused_or_cut() {
    let mut world = World::new();
    let long = "x".repeat(CONTACT_BYTES_MAX);
    let instance = "i".repeat(TEXT_BYTES_MAX + 1);
    for lines in [
        format!("Contact: <sip:{long}@h>\r\n"),
        format!("Contact: <sip:a@h>;+sip.instance=\"{instance}\"\r\n"),
        format!("Contact: <sip:a@h>\r\nSupported: path\r\nPath: <sip:{long};lr>\r\n"),
        format!(
            "Contact: <sip:a@h>\r\nSupported: path\r\nPath: {}<sip:p;lr>\r\n",
            "<sip:p;lr>, ".repeat(PATH_LEN_MAX)
        ),
    ] {
        assert_eq!(world.register(&mut Phone::new("anna", "c1"), &lines).status(), 400);
    }
    let agent = "ы".repeat(TEXT_BYTES_MAX);
    let lines = format!("Contact: <sip:a@h>\r\nUser-Agent: {agent}\r\n");
    world.bind(&mut Phone::new("anna", "c1"), &lines);
    let kept = world.location.bindings("anna")[0].user_agent.clone().unwrap();
    assert!(kept.len() <= TEXT_BYTES_MAX && agent.starts_with(&*kept));
}

/// One thing that may happen to a registrar.
#[derive(Clone, Debug)]
enum Step {
    Register { user: u8, call: u8, cseq: u32, contacts: String, connection: u64 },
    Pass(i64),
    Close(u64),
    Drop { user: u8, epoch: u64 },
}

const USERS: [&str; 3] = ["anna", "boris", "clara"];

fn step() -> impl Strategy<Value = Step> {
    let contact = prop_oneof![
        Just("*".to_owned()),
        (0..4u8, 0..200u32, 0..3u8).prop_map(|(name, expires, instance)| {
            let extra = match instance {
                0 => String::new(),
                n => format!(";+sip.instance=\"<urn:{n}>\""),
            };
            format!("<sip:p{name}@h>;expires={expires}{extra}")
        }),
        (0..3u8, 1..3u8).prop_map(|(name, id)| {
            format!("<sip:p{name}@h>;+sip.instance=\"<urn:1>\";reg-id={id}")
        }),
        "[ -~]{0,30}",
    ];
    let contacts = prop::collection::vec(contact, 0..4).prop_map(|all| all.join(", "));
    prop_oneof![
        6 => (0..3u8, 0..3u8, 0..50u32, contacts, 0..4u64).prop_map(
            |(user, call, cseq, contacts, connection)| Step::Register {
                user, call, cseq, contacts, connection
            }
        ),
        2 => (0..100i64).prop_map(Step::Pass),
        1 => (0..4u64).prop_map(Step::Close),
        1 => (0..3u8, 0..20u64).prop_map(|(user, epoch)| Step::Drop { user, epoch }),
    ]
}

fn flow_of(connection: u64) -> Flow {
    match connection {
        0 => udp("10.0.0.5:5060"),
        n => tcp("10.0.0.5:40000", n),
    }
}

fn carry_out(world: &mut World, step: Step) {
    match step {
        Step::Register { user, call, cseq, contacts, connection } => {
            let mut phone =
                Phone::new(USERS[usize::from(user)], ["c0", "c1", "c2"][usize::from(call)]);
            phone.cseq = cseq;
            let lines = match contacts.is_empty() {
                true => String::new(),
                false => format!("Contact: {contacts}\r\nExpires: 0\r\n"),
            };
            let request = phone.request(&lines);
            let reply = world.present(&request, flow_of(connection), phone.user);
            assert!([200, 400, 416, 423, 500, 503].contains(&reply.status()), "{}", reply.status());
        }
        Step::Pass(seconds) => world.pass(seconds),
        Step::Close(connection) => {
            world.registrar.flow_closed(flow_of(connection), &world.location);
        }
        Step::Drop { user, epoch } => {
            let aor = USERS[usize::from(user)];
            let keys: Vec<_> = world.location.bindings(aor).iter().map(|b| b.key.clone()).collect();
            for key in keys {
                let (registrar, location) = (&mut world.registrar, &world.location);
                registrar.drop_binding(aor, &key, epoch, Why::Unreachable, location);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_tables_in_step_and_drains_to_empty(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut world = World::new();
        for step in steps {
            carry_out(&mut world, step);
            let all = world.location.snapshot();
            prop_assert_eq!(all.len(), world.registrar.len());
            for user in USERS {
                let bindings = world.location.bindings(user);
                prop_assert!(bindings.len() <= usize::from(world.settings.limits.bindings_max));
                let mut keys: Vec<_> = bindings.iter().map(|b| &b.key).collect();
                keys.sort();
                keys.dedup();
                prop_assert_eq!(keys.len(), bindings.len());
                prop_assert!(bindings.iter().all(|b| b.expires > world.wall));
            }
        }
        world.pass(10_000);
        prop_assert!(world.registrar.is_empty() && world.location.is_empty());
    }
}
