//! How most scenes begin: a caller and one of our people talk.

use telefonist::sip::{Message, Method};

use super::world::{ANSWER, OFFER, TRUNK, World};

impl World {
    /// `number` calls over the trunk, the phone at `at` answers, the caller confirms. The INVITE that the
    /// phone got, and our 200 to the caller.
    pub fn talk(&mut self, number: &str, call_id: &str, at: &str) -> (Message, Message) {
        self.invite(number, call_id, OFFER);
        let offered = self.request(at, Method::Invite);
        self.reply(at, &offered, 200, ANSWER);
        self.request(at, Method::Ack);
        self.response(TRUNK, 180);
        let ok = self.response(TRUNK, 200);
        self.in_dialog(&ok, Method::Ack, 1, "");
        (offered, ok)
    }
}
