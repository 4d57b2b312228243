//! RFC 4475's and RFC 5118's messages before a running switch: what each draws by who sends it,
//! and that a call is served afterwards. What they mean as messages stands in `torture`.

use std::path::PathBuf;

use bytes::Bytes;
use telefonist::sip::{Header, Message, Method};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{OLE, secs, world};

const STRANGER: &str = "198.51.100.66:5060";

/// By name: what a trunk hears, what anybody else hears; 0 is nothing.
const HEARD: &[(&str, u16, u16)] = &[
    ("badaspec", 400, 400),
    ("badbranch", 200, 200),
    ("baddate", 480, 403),
    ("baddn", 400, 400),
    ("badinv01", 400, 400),
    ("badvers", 505, 505),
    ("bcast", 0, 0),
    ("bext01", 420, 420),
    ("bigcode", 0, 0),
    ("clerr", 400, 400),
    ("cparam01", 401, 401),
    ("cparam02", 401, 401),
    ("dblreq", 401, 401),
    ("esc01", 480, 403),
    ("esc02", 501, 407),
    ("escnull", 401, 401),
    ("escruri", 400, 400),
    ("insuf", 400, 400),
    ("intmeth", 501, 407),
    ("inv2543", 480, 403),
    ("invut", 415, 415),
    ("longreq", 480, 403),
    ("ltgtruri", 400, 400),
    ("lwsdisp", 200, 200),
    ("lwsruri", 400, 400),
    ("lwsstart", 400, 400),
    ("mcl01", 400, 400),
    ("mismatch01", 400, 400),
    ("mismatch02", 400, 400),
    ("mpart01", 403, 403),
    ("multi01", 400, 400),
    ("ncl", 400, 400),
    ("noreason", 0, 0),
    ("novelsc", 416, 416),
    ("quotbal", 400, 400),
    ("regaut01", 401, 401),
    ("regbadct", 400, 400),
    ("regescrt", 401, 401),
    ("scalar02", 400, 400),
    ("scalarlg", 0, 0),
    ("sdp01", 480, 403),
    ("semiuri", 200, 200),
    ("transports", 200, 200),
    ("trws", 400, 400),
    ("unkscm", 416, 416),
    ("unksm2", 401, 401),
    ("unreason", 0, 0),
    ("wsinv", 403, 403),
    ("zeromf", 200, 200),
    ("ipv4-mapped-ipv6", 480, 403),
    ("ipv6-bad", 400, 400),
    ("ipv6-bug-abnf-3-colons", 200, 200),
    ("ipv6-correct-abnf-2-colons", 200, 200),
    ("ipv6-good", 403, 403),
    ("ipv6-in-sdp", 480, 407),
    ("mult-ip-in-header", 481, 481),
    ("mult-ip-in-sdp", 480, 407),
    ("port-ambiguous", 403, 403),
    ("port-unambiguous", 403, 403),
    ("via-received-param-no-delim", 200, 200),
    ("via-received-param-with-delim", 481, 481),
];

/// The first final status that came to any port of that host.
fn final_status(w: &mut World, host: &str) -> u16 {
    let heard = w.take_at_host(host);
    heard.iter().map(Message::status).find(|s| *s >= 200).unwrap_or(0)
}

#[test]
fn every_torture_message_draws_its_answer_and_a_call_is_served_afterwards() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for from in [TRUNK, STRANGER, OLE] {
        for (name, trunk, others) in HEARD {
            let files = ["rfc4475", "rfc5118"].map(|f| root.join(f).join(format!("{name}.dat")));
            let Some(bytes) = files.iter().find_map(|file| std::fs::read(file).ok()) else {
                eprintln!("skipped: {name} is not there");
                continue;
            };
            let mut w = world();
            let request = Message::parse(Bytes::from(bytes)).expect("it can be read");
            let host = from.split(':').next().expect("a host");
            // What is judged bad is answered by the network room, the switch never sees it.
            let heard = match request.judge() {
                Err(verdict) => verdict.status * u16::from(!verdict.drop),
                Ok(()) => {
                    w.send(from, request.raw().clone());
                    w.run(secs(1));
                    final_status(&mut w, host)
                }
            };
            let wanted = if from == TRUNK { trunk } else { others };
            if heard != *wanted {
                eprintln!("MISS {name} {from} {heard} {wanted}");
            }
            a_call_is_served(&mut w);
            w.run(secs(60));
            let left: Vec<Message> = w.take_at_host(host);
            let repeats = left.iter().filter(|m| m.status() >= 300).count();
            assert!(from == TRUNK || repeats == 0, "{name}: a stranger's answer is repeated");
            w.assert_quiet();
        }
    }
}

fn a_call_is_served(w: &mut World) {
    w.register("ole", OLE);
    w.invite("03023125001", "after", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    let ok = loop {
        let heard = w.take(TRUNK).expect("an answer");
        if heard.status() == 200 && heard.call_id() == "after" {
            break heard;
        }
    };
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.in_dialog(&ok, Method::Bye, 2, "");
    let bye = w.request(OLE, Method::Bye);
    assert!(bye.has(Header::CSeq));
    w.reply(OLE, &bye, 200, "");
}
