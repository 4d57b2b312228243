//! Calls out over a trunk that forks (RFC 3261 §13.2.2.4): each early dialog has its own tag towards
//! the caller, as it has towards us.

use telefonist::sip::{Header, Message, Method};
use telefonist::switch::{Outcome, Party};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{MIA, ended, secs, world};

const NUMBER: &str = "+4940999";
const ELSEWHERE: &str = "v=0\r\no=other 7 7 IN IP4 192.0.2.40\r\ns=-\r\nc=IN IP4 192.0.2.40\r\n\
                         t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

/// mia calls out; the trunk's INVITE.
fn calling_out() -> (World, Message) {
    let mut w = world();
    w.register("mia", MIA);
    w.start_dial(MIA, "mia", NUMBER, OFFER);
    let out = w.request(TRUNK, Method::Invite);
    (w, out)
}

/// What the trunk says under `tag`, as mia hears it.
fn heard(w: &mut World, out: &Message, tag: &str, status: u16, body: &str) -> Message {
    w.reply_as(TRUNK, tag, out, status, body);
    w.response(MIA, status)
}

fn tag(message: &Message) -> String {
    message.to_tag().expect("a tag").to_owned()
}

fn origin(message: &Message) -> String {
    let body = String::from_utf8(message.body().to_vec()).expect("text");
    body.lines().find(|l| l.starts_with("o=")).expect("an origin").to_owned()
}

/// mia hangs up the call that began with `ok`; whom the trunk tells.
fn hang_up(w: &mut World, ok: &Message) -> Option<String> {
    w.ack_dialled(MIA, ok);
    w.dialled_bye(MIA, ok);
    w.response(MIA, 200);
    let bye = w.request(TRUNK, Method::Bye);
    w.reply(TRUNK, &bye, 200, "");
    bye.to_tag().map(str::to_owned)
}

#[test]
fn each_early_dialog_of_a_forking_trunk_has_its_own_tag_and_the_second_may_answer() {
    let (mut w, out) = calling_out();
    let a = heard(&mut w, &out, "a", 183, ANSWER);
    let b = heard(&mut w, &out, "b", 183, ELSEWHERE);
    assert_ne!(tag(&a), tag(&b));
    assert!(String::from_utf8_lossy(&b.body()).contains("m=audio 6000"));
    assert_eq!(tag(&heard(&mut w, &out, "a", 180, "")), tag(&a));
    let ok = heard(&mut w, &out, "b", 200, ELSEWHERE);
    assert_eq!(tag(&ok), tag(&b));
    let ack = w.request(TRUNK, Method::Ack);
    assert_eq!(ack.to_tag(), Some("b"));
    assert_eq!(hang_up(&mut w, &ok).as_deref(), Some("b"));
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Answered)]);
    w.assert_quiet();
}

#[test]
fn the_origin_is_ours_in_each_early_dialog_and_stays_with_its_answer() {
    let (mut w, out) = calling_out();
    let a = heard(&mut w, &out, "a", 183, ANSWER);
    let b = heard(&mut w, &out, "b", 183, ELSEWHERE);
    for early in [&a, &b] {
        assert!(!origin(early).contains(" 5 5 ") && !origin(early).contains(" 7 7 "));
    }
    assert_ne!(origin(&a), origin(&b));
    assert_eq!(origin(&heard(&mut w, &out, "a", 183, ANSWER)), origin(&a));
    let ok = heard(&mut w, &out, "a", 200, ANSWER);
    assert_eq!((tag(&ok), origin(&ok)), (tag(&a), origin(&a)));
    w.request(TRUNK, Method::Ack);
    hang_up(&mut w, &ok);
    w.assert_quiet();
}

#[test]
fn an_answer_of_somebody_who_said_nothing_before_is_a_dialog_of_its_own() {
    let (mut w, out) = calling_out();
    let a = heard(&mut w, &out, "a", 180, "");
    let ok = heard(&mut w, &out, "c", 200, ANSWER);
    assert_ne!(tag(&ok), tag(&a));
    assert_eq!(w.request(TRUNK, Method::Ack).to_tag(), Some("c"));
    assert_eq!(hang_up(&mut w, &ok).as_deref(), Some("c"));
    w.assert_quiet();
}

#[test]
fn a_second_answer_is_acknowledged_and_hung_up() {
    let (mut w, out) = calling_out();
    heard(&mut w, &out, "a", 183, ANSWER);
    heard(&mut w, &out, "b", 183, ELSEWHERE);
    let ok = heard(&mut w, &out, "b", 200, ELSEWHERE);
    w.request(TRUNK, Method::Ack);
    w.ack_dialled(MIA, &ok);
    w.reply_as(TRUNK, "a", &out, 200, ANSWER);
    assert_eq!(w.request(TRUNK, Method::Ack).to_tag(), Some("a"));
    let bye = w.request(TRUNK, Method::Bye);
    assert_eq!(bye.to_tag(), Some("a"));
    w.reply(TRUNK, &bye, 200, "");
    w.nothing(MIA);
    assert_eq!(hang_up(&mut w, &ok).as_deref(), Some("b"));
    w.assert_quiet();
}

#[test]
fn giving_up_cancels_all_that_the_trunk_forked() {
    let (mut w, out) = calling_out();
    heard(&mut w, &out, "a", 183, ANSWER);
    let b = heard(&mut w, &out, "b", 180, "");
    w.dialled_cancel(MIA, &b);
    w.response(MIA, 200);
    let failure = w.response(MIA, 487);
    w.ack_dialled_failure(MIA, &failure);
    let cancel = w.request(TRUNK, Method::Cancel);
    w.reply(TRUNK, &cancel, 200, "");
    w.reply_as(TRUNK, "a", &out, 487, "");
    w.request(TRUNK, Method::Ack);
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Abandoned)]);
    w.assert_quiet();
}

#[test]
fn early_dialogs_are_bounded() {
    let (mut w, out) = calling_out();
    let mut tags = std::collections::BTreeSet::new();
    for n in 0..100 {
        w.reply_as(TRUNK, &format!("t{n}"), &out, 180, "");
        while let Some(message) = w.take(MIA) {
            tags.extend((message.status() == 180).then(|| tag(&message)));
        }
    }
    assert_eq!(tags.len(), 16);
    let ok = heard(&mut w, &out, "t99", 200, ANSWER);
    assert!(!tags.contains(&tag(&ok)));
    w.request(TRUNK, Method::Ack);
    hang_up(&mut w, &ok);
    w.run(secs(1));
    w.assert_quiet();
}

#[test]
fn a_trunk_that_does_not_fork_has_one_dialog_from_the_first_ring_to_the_end() {
    let (mut w, out) = calling_out();
    let ring = heard(&mut w, &out, "a", 180, "");
    let media = heard(&mut w, &out, "a", 183, ANSWER);
    let ok = heard(&mut w, &out, "a", 200, ANSWER);
    assert_eq!((tag(&ring), tag(&media)), (tag(&ok), tag(&ok)));
    assert_eq!(ok.header(Header::Contact), ring.header(Header::Contact));
    w.request(TRUNK, Method::Ack);
    hang_up(&mut w, &ok);
    w.assert_quiet();
}
