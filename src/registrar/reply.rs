//! The 200 to a REGISTER (RFC 3261 §10.3 step 8): all that is bound now, and for how long.

use std::sync::Arc;

use jiff::Timestamp;

use super::binding::{Binding, Q_MAX};
use super::wish::Wish;
use crate::sip::{Builder, Header, Message};

/// `bindings`: the whole entry.
pub(super) fn accepted(
    request: &Message,
    wish: &Wish,
    bindings: &[Arc<Binding>],
    wall: Timestamp,
    tag: &str,
) -> Builder {
    let mut reply = Builder::reply(request, 200, Some(tag));
    for binding in bindings {
        reply = reply.header(Header::Contact, contact(binding, wall));
    }
    for hop in &wish.path {
        reply = reply.header(Header::Path, hop);
    }
    reply.header(Header::Date, date(wall)).header(Header::Supported, "path")
}

fn contact(binding: &Binding, wall: Timestamp) -> String {
    let mut line = format!("<{}>", binding.contact);
    if binding.q != Q_MAX {
        line.push_str(&format!(";q=0.{:03}", binding.q));
    }
    if let Some(instance) = &binding.instance {
        line.push_str(&format!(";+sip.instance=\"{instance}\""));
    }
    if let Some(reg_id) = binding.reg_id {
        line.push_str(&format!(";reg-id={reg_id}"));
    }
    line.push_str(&format!(";expires={}", binding.seconds_left(wall)));
    line
}

/// `SIP-date` (§20.17): always GMT.
fn date(wall: Timestamp) -> String {
    wall.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::tests::binding;

    #[test]
    fn the_date_is_written_as_sip_wants_it() {
        let wall: Timestamp = "2010-11-13T23:29:00.5Z".parse().unwrap();
        assert_eq!(date(wall), "Sat, 13 Nov 2010 23:29:00 GMT");
    }

    #[test]
    fn a_contact_is_told_with_everything_that_it_came_with() {
        let mut bound = binding("anna", "sip:anna@10.0.0.5;gr=urn:uuid:1");
        bound.q = 50;
        bound.instance = Some(Arc::from("<urn:uuid:1>"));
        bound.reg_id = Some(2);
        let wall = Timestamp::from_second(3_000).unwrap();
        assert_eq!(
            contact(&bound, wall),
            "<sip:anna@10.0.0.5;gr=urn:uuid:1>;q=0.050;+sip.instance=\"<urn:uuid:1>\";reg-id=2;expires=600"
        );
    }
}
