//! Every bound is met; no sequence of messages panics, and every one drains to empty.

use proptest::prelude::*;

use super::*;

#[test]
fn one_request_too_many_is_told_to_come_again() {
    let mut world = World::new(vec![bob()]);
    for i in 0..LIMITS.contexts_max {
        world.receive(udp(ALICE), &request("MESSAGE", &format!("m{i}"), ""));
    }
    assert_eq!(world.proxy.len(), LIMITS.contexts_max);
    world.take();
    world.receive(udp(ALICE), &request("MESSAGE", "last", ""));
    let refused = world.only(ALICE).message;
    assert_eq!((refused.status(), refused.header(Header::RetryAfter)), (503, Some("5")));
    world.assert_drains();
}

#[test]
fn one_call_too_many_is_told_to_come_again() {
    let mut world = World::recorded(vec![bob()]);
    for i in 0..LIMITS.calls_max {
        world.receive(udp(ALICE), &request("INVITE", &format!("c{i}"), ""));
    }
    world.take();
    world.receive(udp(ALICE), &request("INVITE", "last", ""));
    assert_eq!(world.only(ALICE).message.status(), 503);
    world.assert_drains();
}

#[test]
fn only_the_most_preferred_of_very_many_targets_are_tried() {
    let many = (0..TARGETS_MAX as u16 + 5).map(|i| {
        let flow = udp(&format!("192.0.2.{}:5060", i + 10));
        Target { q: i, ..target("sip:x@h", flow) }
    });
    let mut world = World::new(many.collect());
    world.receive(udp(ALICE), &request("INVITE", "1", ""));
    let mut tried = Vec::new();
    loop {
        let ring = world
            .take()
            .into_iter()
            .find(|s| *s.message.method() == Method::Invite && s.message.is_request());
        let Some(ring) = ring else { break };
        tried.push(ring.remote());
        world.give(ring.answer(404, "t", &[]));
        world.sent.retain(|s| s.remote() != ring.remote());
    }
    assert_eq!(tried.len(), TARGETS_MAX);
    assert_eq!(tried[0], "192.0.2.30:5060");
    world.assert_drains();
}

#[test]
fn no_room_for_a_transaction_counts_as_a_failed_target() {
    let mut world = World::new(vec![bob()]);
    world.txs.set_limit(1);
    world.receive(udp(ALICE), &request("MESSAGE", "1", ""));
    assert_eq!(world.only(ALICE).message.status(), 500);
    world.assert_drains();
}

/// One thing that may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A request of Alice's outside dialogs.
    Ask {
        method: u8,
        branch: u8,
        lines: u8,
    },
    /// An answer to one of the requests that we sent.
    Answer {
        which: usize,
        status: u16,
        tag: u8,
    },
    /// A request in one of the dialogs.
    Along {
        which: usize,
        from_alice: bool,
        method: u8,
        branch: u8,
    },
    /// CANCEL of one of Alice's INVITEs.
    Cancel {
        branch: u8,
    },
    /// Bytes of ours come back to us.
    Echo {
        which: usize,
    },
    Break {
        which: usize,
    },
    HangUp(u32),
    Pass(u64),
}

const METHODS: [&str; 7] = ["INVITE", "MESSAGE", "SUBSCRIBE", "BYE", "ACK", "BREW", "OPTIONS"];
const LINES: [&str; 4] = [
    "",
    "Route: <sip:proxy.example.org;lr>\r\n",
    "Proxy-Require: x\r\n",
    "Record-Route: <sip:edge.example.com>\r\n",
];
const STATUSES: [u16; 14] = [100, 180, 183, 200, 202, 302, 401, 404, 407, 486, 487, 500, 503, 603];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..7u8, 0..6u8, 0..4u8)
            .prop_map(|(method, branch, lines)| Step::Ask { method, branch, lines }),
        8 => (any::<usize>(), prop::sample::select(&STATUSES[..]), 0..3u8)
            .prop_map(|(which, status, tag)| Step::Answer { which, status, tag }),
        4 => (any::<usize>(), any::<bool>(), 0..7u8, 0..20u8).prop_map(
            |(which, from_alice, method, branch)| Step::Along { which, from_alice, method, branch }
        ),
        2 => (0..6u8).prop_map(|branch| Step::Cancel { branch }),
        1 => any::<usize>().prop_map(|which| Step::Echo { which }),
        1 => any::<usize>().prop_map(|which| Step::Break { which }),
        1 => (1..5u32).prop_map(Step::HangUp),
        3 => (0..200_000u64).prop_map(Step::Pass),
    ]
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    all.get(which.checked_rem(all.len())?)
}

fn carry_out(world: &mut World, seen: &mut Vec<Sent>, step: Step) {
    match step {
        Step::Ask { method, branch, lines } => {
            let method = METHODS[usize::from(method)];
            let lines = LINES[usize::from(lines)];
            world.receive(udp(ALICE), &request(method, &format!("{method}{branch}"), lines));
        }
        Step::Answer { which, status, tag } => {
            let requests: Vec<_> =
                seen.iter().filter(|s| s.message.is_request()).cloned().collect();
            if let Some(sent) = pick(&requests, which) {
                world.give(sent.answer(status, &format!("t{tag}"), &[]));
            }
        }
        Step::Along { which, from_alice, method, branch } => {
            let answered =
                |s: &&Sent| s.message.status() == 200 && s.message.has(Header::RecordRoute);
            let dialogs: Vec<_> = seen.iter().filter(answered).cloned().collect();
            if let Some(answer) = pick(&dialogs, which) {
                let method = METHODS[usize::from(method)];
                let branch = format!("in{method}{branch}");
                let flow = udp(if from_alice { ALICE } else { BOB });
                world.receive(flow, &in_dialog(answer, from_alice, method, &branch, 3));
            }
        }
        Step::Cancel { branch } => {
            let invite = request("INVITE", &format!("INVITE{branch}"), "");
            let text = String::from_utf8(invite.raw().to_vec())
                .unwrap()
                .replace("INVITE sip", "CANCEL sip");
            world.receive(udp(ALICE), &parse(&text.replace("CSeq: 1 INVITE", "CSeq: 1 CANCEL")));
        }
        Step::Echo { which } => {
            if let Some(sent) = pick(seen, which).cloned() {
                world.receive(sent.flow, &sent.message);
            }
        }
        Step::Break { which } => {
            if let Some(sent) = pick(seen, which) {
                world.txs.transport_failed(world.now, sent.flow);
                world.drain();
            }
        }
        Step::HangUp(call) => {
            world.hang_up(call);
        }
        Step::Pass(millis) => world.pass(Duration::from_millis(millis)),
    }
    seen.extend(world.take());
}

/// Each call's events: started once and first, one end and last.
fn assert_stories_are_whole(events: &[ProxyEvent], calls: u32) {
    for call in (1..=calls).map(call_key) {
        let story: Vec<_> = events.iter().filter(|e| e.call() == call).collect();
        assert!(matches!(story.first(), Some(ProxyEvent::Started { .. })), "{story:?}");
        let is_end =
            |e: &&&ProxyEvent| matches!(e, ProxyEvent::Ended { .. } | ProxyEvent::Failed { .. });
        assert_eq!(story.iter().filter(is_end).count(), 1, "{story:?}");
        assert!(story.last().iter().all(is_end), "{story:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_sequence_ends_each_call_once_and_drains_to_empty(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let low = Target { q: 10, ..target("sip:dora@192.0.2.4", inside("192.0.2.4:5060")) };
        let mut world = World::recorded(vec![bob(), clara(), low]);
        let (mut seen, mut events) = (Vec::new(), Vec::new());
        for step in steps {
            carry_out(&mut world, &mut seen, step);
            events.extend(world.events());
        }
        world.pass(Duration::from_secs(600));
        for call in 1..=world.calls {
            world.hang_up(call);
        }
        world.pass(Duration::from_secs(600));
        events.extend(world.events());
        assert_stories_are_whole(&events, world.calls);
        prop_assert!(world.proxy.is_empty());
        prop_assert!(world.txs.is_empty(), "{:?}", world.txs.counts());
    }
}
