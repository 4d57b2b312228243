//! How bindings end and come back: expiry, closing connections, reports from elsewhere, restarts.

use super::*;
use crate::domain::{Moment, WallOffset};
use crate::registrar::Streams;

#[test]
fn a_binding_that_is_not_refreshed_expires_at_its_time() {
    let mut world = World::new();
    let offset = WallOffset::new(Moment::ZERO, world.wall);
    assert_eq!(world.registrar.poll_timeout(offset), Moment::NEVER);
    world.bind(&mut Phone::new("anna", "c1"), "Contact: <sip:a@h>;expires=60\r\n");
    assert_eq!(world.registrar.poll_timeout(offset), Moment::from_millis(60_000));
    world.told();
    world.pass(59);
    assert_eq!(world.told(), [""; 0]);
    world.pass(1);
    assert_eq!(world.told(), ["-sip:a@h expired"]);
    assert!(world.registrar.is_empty() && world.location.is_empty());
}

#[test]
fn the_expiry_of_a_refreshed_binding_is_a_no_op() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:a@h>;expires=60\r\n");
    world.pass(30);
    world.bind(&mut phone, "Contact: <sip:a@h>;expires=60\r\n");
    world.told();
    world.pass(30);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.contacts("anna"), ["sip:a@h"]);
    world.pass(30);
    assert_eq!(world.told(), ["-sip:a@h expired"]);
}

#[test]
fn what_is_over_is_not_told_even_if_no_timer_came() {
    let mut world = World::new();
    world.bind(&mut Phone::new("anna", "c1"), "Contact: <sip:a@h>;expires=60\r\n");
    world.told();
    world.wall += SignedDuration::from_secs(60);
    let reply = world.bind(&mut Phone::new("anna", "c2"), "");
    assert!(!reply.has(Header::Contact));
    assert_eq!(world.told(), ["-sip:a@h expired"]);
}

#[test]
fn a_stream_is_the_only_way_to_its_phone_and_takes_it_along_when_it_closes() {
    let mut world = World::new();
    let flow = tcp("203.0.113.7:40001", 7);
    world.bind(&mut Phone::new("anna", "c1").over(flow), "Contact: <sip:a@10.0.0.5>\r\n");
    world.bind(&mut Phone::new("boris", "c2").over(flow), "Contact: <sip:b@10.0.0.5>\r\n");
    let udp_flow = udp("203.0.113.7:5060");
    world.bind(&mut Phone::new("anna", "c3").over(udp_flow), "Contact: <sip:u@10.0.0.5>\r\n");
    assert_eq!(world.location.binding("anna", "sip:a@10.0.0.5").unwrap().flow, flow);
    world.told();
    let changes = world.registrar.flow_closed(flow, &world.location);
    world.changes.extend(changes);
    assert_eq!(world.told(), ["-sip:a@10.0.0.5 flow closed", "-sip:b@10.0.0.5 flow closed"]);
    assert_eq!(world.contacts("anna"), ["sip:u@10.0.0.5"]);
    assert!(world.registrar.flow_closed(flow, &world.location).is_empty());
    assert!(world.registrar.flow_closed(udp_flow, &world.location).is_empty());
}

#[test]
fn a_phone_that_came_back_over_a_new_connection_does_not_fall_with_the_old_one() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1").over(tcp("203.0.113.7:40001", 7));
    world.bind(&mut phone, "Contact: <sip:a@10.0.0.5>\r\n");
    let mut phone = phone.over(tcp("203.0.113.7:40002", 8));
    world.bind(&mut phone, "Contact: <sip:a@10.0.0.5>\r\n");
    let old = tcp("203.0.113.7:40001", 7);
    assert!(world.registrar.flow_closed(old, &world.location).is_empty());
    assert_eq!(world.location.bindings("anna")[0].flow.connection, 8);
    assert_eq!(world.registrar.flow_closed(phone.flow, &world.location).len(), 1);
    assert!(world.registrar.is_empty());
}

#[test]
fn a_late_report_about_an_older_binding_is_a_no_op() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:a@h>\r\n");
    let old = world.location.bindings("anna")[0].clone();
    world.bind(&mut phone, "Contact: <sip:a@h>\r\n");
    let new = world.location.bindings("anna")[0].clone();
    let mut drop = |b: &Binding| {
        let (registrar, location) = (&mut world.registrar, &world.location);
        registrar.drop_binding(&b.aor, &b.key, b.epoch, Why::Unreachable, location)
    };
    assert_eq!(drop(&old), None);
    assert_eq!(drop(&new), Some(Change::Unbound { binding: new.clone(), why: Why::Unreachable }));
    assert_eq!(drop(&new), None);
    assert!(world.registrar.is_empty() && world.location.is_empty());
}

#[test]
fn a_person_who_leaves_loses_all_bindings() {
    let mut world = World::new();
    world.bind(&mut Phone::new("anna", "c1"), "Contact: <sip:a@h>, <sip:b@h>\r\n");
    assert_eq!(world.registrar.drop_all("anna", Why::Removed, &world.location).len(), 2);
    assert!(world.registrar.is_empty() && world.location.is_empty());
}

#[test]
fn after_a_restart_datagram_bindings_are_back_and_streams_are_not() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1");
    world.bind(&mut phone, "Contact: <sip:a@h>;expires=600\r\n");
    let flow = tcp("203.0.113.7:40001", 7);
    world.bind(&mut Phone::new("anna", "c2").over(flow), "Contact: <sip:t@h>;expires=600\r\n");
    let journal: Vec<String> = world
        .location
        .bindings("anna")
        .iter()
        .map(|b| serde_json::to_string(&**b).unwrap())
        .collect();
    let mut after = World::new();
    after.wall = world.wall + SignedDuration::from_secs(100);
    for line in &journal {
        let binding = serde_json::from_str(line).unwrap();
        after.registrar.restore(binding, after.wall, Streams::Lost, &after.location);
    }
    assert_eq!(after.contacts("anna"), ["sip:a@h"]);
    // The old REGISTER cannot come again, and epochs go on.
    phone.cseq -= 1;
    assert_eq!(after.register(&mut phone, "Contact: <sip:a@h>\r\n").status(), 500);
    let reply = after.bind(&mut phone, "Contact: <sip:a@h>;expires=600\r\n");
    assert_eq!(told_contacts(&reply).len(), 1);
    let newest = world.location.bindings("anna").iter().map(|b| b.epoch).max().unwrap();
    assert!(after.location.bindings("anna")[0].epoch > newest);
    after.pass(600);
    assert!(after.registrar.is_empty() && after.location.is_empty());
}

#[test]
fn a_rebuilt_worker_gets_its_streams_back_too_and_the_newest_wins() {
    let mut world = World::new();
    let mut phone = Phone::new("anna", "c1").over(tcp("203.0.113.7:40001", 7));
    world.bind(&mut phone, "Contact: <sip:a@h>;expires=600\r\n");
    let old = (*world.location.bindings("anna")[0]).clone();
    world.bind(&mut phone, "Contact: <sip:a@h>;expires=600\r\n");
    let new = (*world.location.bindings("anna")[0]).clone();
    // The worker is lost, the shared table is not.
    world.registrar = Registrar::new();
    let restore = |world: &mut World, binding: &Binding| {
        world.registrar.restore(binding.clone(), world.wall, Streams::Kept, &world.location)
    };
    assert!(!restore(&mut world, &old));
    assert!(restore(&mut world, &new));
    assert!(restore(&mut world, &new));
    assert_eq!(world.registrar.len(), 1);
    assert_eq!(world.registrar.flow_closed(phone.flow, &world.location).len(), 1);
    assert!(world.registrar.is_empty() && world.location.is_empty());
}

#[test]
fn a_binding_that_ended_while_we_were_away_stays_away() {
    let mut world = World::new();
    let mut gone = binding("anna", "sip:a@h");
    gone.expires = world.wall;
    assert!(!world.registrar.restore(gone, world.wall, Streams::Lost, &world.location));
    assert!(world.registrar.is_empty() && world.location.is_empty());
}

#[test]
fn a_binding_lasts_as_long_as_promised_however_the_clock_is_set() {
    let mut world = World::new();
    world.bind(&mut Phone::new("anna", "c1"), "Contact: <sip:a@h>;expires=60\r\n");
    world.told();
    for hours in [1, -3] {
        let by = SignedDuration::from_hours(hours);
        world.wall += by;
        let changes = world.registrar.clock_set(by, &world.location);
        assert!(matches!(&changes[..], [Change::Bound(_)]), "the journal hears of it: {changes:?}");
        world.pass(10);
        assert_eq!(world.contacts("anna"), ["sip:a@h"]);
    }
    world.pass(39);
    assert_eq!(world.told(), [""; 0]);
    world.pass(1);
    assert_eq!(world.told(), ["-sip:a@h expired"]);
}
