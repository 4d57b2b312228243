//! Phones over streams: a connection that closes during a call, and who may go on with it.

use telefonist::sip::{Message, Method};
use telefonist::switch::{Command, Outcome, Party};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{ended, secs, world};

const BEFORE: &str = "192.0.2.30:40001";
const AFTER: &str = "192.0.2.30:40002";
const OTHER: &str = "192.0.2.30:40003";
const ELSEWHERE: &str = "192.0.2.77:40004";

/// Ole talks over a stream; our 200 to the trunk.
fn talking(w: &mut World) -> Message {
    w.connect(BEFORE);
    w.register("ole", BEFORE);
    w.talk("03023125001", "s1", BEFORE).1
}

fn state_of_ole(w: &mut World) -> String {
    let shown = w.command(Command::Agents).expect("agents");
    let agents = shown.as_array().expect("a list").clone();
    let ole = agents.into_iter().find(|a| a["person"] == "ole").expect("ole");
    ole["state"].as_str().expect("a word").to_owned()
}

#[test]
fn a_phone_without_instance_that_connects_again_goes_on_with_its_call() {
    let mut w = world();
    let ok = talking(&mut w);
    w.disconnect(BEFORE);
    assert_eq!(state_of_ole(&mut w), "talking", "until the grace is over");
    w.connect(AFTER);
    w.register("ole", AFTER);
    w.run(secs(31));
    assert_eq!(state_of_ole(&mut w), "talking");
    w.in_dialog(&ok, Method::Bye, 2, "");
    w.response(TRUNK, 200);
    let bye = w.request(AFTER, Method::Bye);
    w.reply(AFTER, &bye, 200, "");
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Answered)]);
    w.assert_quiet();
}

#[test]
fn another_phone_of_the_person_does_not_take_over_the_call_of_a_lost_one() {
    let cases: [fn(&mut World); 4] = [
        |_| (),
        // Another phone, there before, registers anew.
        |w| w.register("ole", OTHER),
        // From another host.
        |w| {
            w.connect(ELSEWHERE);
            w.register("ole", ELSEWHERE);
        },
        // By datagram.
        |w| w.register("ole", AFTER),
    ];
    for register in cases {
        let mut w = world();
        for at in [OTHER, BEFORE] {
            w.connect(at);
            w.register("ole", at);
        }
        w.invite("03023125001", "s2", OFFER);
        let (offered, other) =
            (w.request(BEFORE, Method::Invite), w.request(OTHER, Method::Invite));
        w.reply(OTHER, &other, 180, "");
        w.reply(BEFORE, &offered, 200, ANSWER);
        w.request(BEFORE, Method::Ack);
        let cancel = w.request(OTHER, Method::Cancel);
        w.reply(OTHER, &cancel, 200, "");
        w.reply(OTHER, &other, 487, "");
        w.request(OTHER, Method::Ack);
        w.response(TRUNK, 180);
        let ok = w.response(TRUNK, 200);
        w.in_dialog(&ok, Method::Ack, 1, "");
        w.disconnect(BEFORE);
        register(&mut w);
        w.run(secs(29));
        w.nothing(TRUNK);
        w.run(secs(1));
        let bye = w.request(TRUNK, Method::Bye);
        w.reply(TRUNK, &bye, 200, "");
        assert_eq!(ended(&w), [(Party::Server, Outcome::Answered)]);
    }
}
