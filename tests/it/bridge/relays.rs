//! Requests side by side within one bridged call.

use telefonist::sip::{Message, Method};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{OLE, world};

/// Ole and a caller talk. The caller's 200.
fn talking(w: &mut World) -> Message {
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE).1
}

#[test]
fn keys_pressed_fast_all_get_through() {
    let mut w = world();
    let ok = talking(&mut w);
    let keys = [2, 3, 4].map(|cseq| {
        w.in_dialog(&ok, Method::Info, cseq, "");
        w.request(OLE, Method::Info)
    });
    // The phone answers the last one first.
    for key in keys.iter().rev() {
        w.reply(OLE, key, 200, "");
        w.response(TRUNK, 200);
    }
}

#[test]
fn hold_passes_while_a_key_is_on_its_way() {
    let mut w = world();
    let ok = talking(&mut w);
    w.in_dialog(&ok, Method::Info, 2, "");
    let key = w.request(OLE, Method::Info);
    w.in_dialog(&ok, Method::Invite, 3, OFFER);
    let hold = w.request(OLE, Method::Invite);
    w.in_dialog(&ok, Method::Update, 4, OFFER);
    w.response(TRUNK, 500);
    w.reply(OLE, &hold, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 3, "");
    w.reply(OLE, &key, 200, "");
    w.response(TRUNK, 200);
}

#[test]
fn what_a_silent_phone_leaves_open_is_bounded_and_closed_with_the_call() {
    let mut w = world();
    let ok = talking(&mut w);
    for cseq in 2..18 {
        w.in_dialog(&ok, Method::Info, cseq, "");
        w.request(OLE, Method::Info);
    }
    w.in_dialog(&ok, Method::Info, 18, "");
    w.response(TRUNK, 503);
    w.nothing(OLE);
    w.in_dialog(&ok, Method::Bye, 19, "");
    w.response(TRUNK, 200);
    for _ in 2..18 {
        w.response(TRUNK, 487);
    }
    let bye = w.request(OLE, Method::Bye);
    w.reply(OLE, &bye, 200, "");
    w.assert_quiet();
}
