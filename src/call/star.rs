//! Star codes: a person changes their own state from their own phone.
//!
//! The phone sees a call that is answered without media and hung up at once: done. A code that
//! cannot be carried out is refused, and the phone shows it. Who says that they are ready while a supervisor
//! has their position closed (clause B8) is told so by 480: it is remembered for the time when it is opened.

use bytes::Bytes;

use crate::acd::Flags;
use crate::dialog::Dialog;
use crate::domain::{AgentId, PersonId, StarCodes};
use crate::sip::sdp::Sdp;
use crate::sip::{Builder, Header};
use crate::transaction::Transactions;

use super::leg::{Leg, Origin, SDP};
use super::state::Call;
use super::{AgentNote, Calls, Env, Outcome, Party, StarCode};

/// Phones show it.
const POSITION_CLOSED: &str = "Position Closed";

/// What "ready again" ends.
const NOT_READY: &[Flags] = &[Flags::PAUSED, Flags::NO_ANSWER];
/// What a log-in ends.
const AWAY: &[Flags] = &[Flags::LOGGED_OUT, Flags::PAUSED, Flags::NO_ANSWER];

/// Which code was dialled.
pub(super) fn code(codes: &StarCodes, dialled: &str) -> Option<StarCode> {
    let known = [
        (&codes.login, StarCode::Login),
        (&codes.logout, StarCode::Logout),
        (&codes.pause, StarCode::Pause),
        (&codes.resume, StarCode::Resume),
        (&codes.wrap_up_end, StarCode::WrapUpEnd),
    ];
    known.into_iter().find(|(code, _)| code.as_ref() == dialled).map(|(_, code)| code)
}

impl Calls {
    pub(super) fn star(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        agent: AgentId,
        code: StarCode,
    ) {
        // On the board before the phone hears 200: the very next call may count on it. The home shard
        // keeps it, and would say the same.
        match code {
            StarCode::Login => clear(env, agent, AWAY),
            StarCode::Logout => env.desk.set_flag(agent, Flags::LOGGED_OUT),
            StarCode::Pause => env.desk.set_flag(agent, Flags::PAUSED),
            StarCode::Resume => clear(env, agent, NOT_READY),
            StarCode::WrapUpEnd => env.desk.end_wrap(env.now, agent),
        };
        env.agent(agent, AgentNote::StarCode(code));
        let means_ready = matches!(code, StarCode::Login | StarCode::Resume | StarCode::WrapUpEnd);
        if let Some(by) = closed_by(env, agent).filter(|_| means_ready) {
            return self.position_is_closed(env, call, &by);
        }
        let Some(incoming) = &call.incoming else { return };
        let Ok(dialog) = Dialog::uas(&incoming.request, &incoming.tag, &incoming.contact) else {
            return self.end(env, call, Party::Server, Outcome::Failed, Some(400), "no dialog");
        };
        let origin = Origin::new(env.mint);
        let body = silent_answer(&incoming.request.body());
        let bytes = incoming.reply(200).body(SDP, &body).finish();
        env.tx.respond(env.now, incoming.tx, 200, bytes.clone());
        let binding = super::direct::caller_binding(env, call);
        let mut leg = Leg::new(dialog, incoming.flow, binding, origin, env.now, env.settings);
        let number = incoming.request.cseq().map_or(1, |(number, _)| number);
        let back = Transactions::reply_flow(&incoming.request, incoming.flow);
        leg.accept(env, number, bytes, back);
        leg.dialog.confirm();
        self.servers.remove(&incoming.tx);
        call.incoming = None;
        // BYE follows the ACK.
        self.part(env, leg);
        self.end(env, call, Party::Server, Outcome::StarCode, Some(200), "star code");
    }

    /// Nothing is offered to who believes that they are ready.
    fn position_is_closed(&mut self, env: &mut Env<'_>, call: &mut Call, by: &PersonId) {
        let Some(incoming) = call.incoming.take() else { return };
        let host = env.settings.domains.first().cloned().unwrap_or_default();
        let text = format!("your position is closed by {by}");
        let (request, tag) = (&incoming.request, Some(&*incoming.tag));
        let reply = Builder::reply_with(request, 480, POSITION_CLOSED, tag)
            .header(Header::Reason, format_args!("SIP;cause=480;text=\"{text}\""))
            .header(Header::Warning, format_args!("399 {host} \"{text}\""));
        env.tx.respond(env.now, incoming.tx, 480, reply.finish());
        self.servers.remove(&incoming.tx);
        let why = format!("star code: position closed by {by}");
        self.end(env, call, Party::Server, Outcome::StarCode, Some(480), &why);
    }
}

/// The supervisor who closed the agent's position.
fn closed_by(env: &Env<'_>, agent: AgentId) -> Option<PersonId> {
    Some(env.directory.position_closed_at(agent)?.by.clone())
}

/// Whether anything was cleared.
fn clear(env: &mut Env<'_>, agent: AgentId, flags: &[Flags]) -> bool {
    let cleared = flags.iter().filter(|flag| env.desk.clear_flag(env.now, agent, **flag));
    cleared.count() > 0
}

/// An answer that takes none of the offered streams; an offer of one silent stream if there was none.
fn silent_answer(offer: &Bytes) -> Bytes {
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n";
    let text = String::from_utf8_lossy(offer);
    let streams = match Sdp::parse(offer) {
        Some(_) => text.lines().filter(|l| l.starts_with("m=")).map(refused).collect::<String>(),
        None => "m=audio 9 RTP/AVP 8\r\na=inactive\r\n".to_owned(),
    };
    Bytes::from(format!("{head}{streams}"))
}

/// `m=audio 4000 RTP/AVP 0 8` with port 0 (RFC 3264 §6).
fn refused(line: &str) -> String {
    let mut words = line.trim_start_matches("m=").split(' ');
    let (kind, _port) = (words.next().unwrap_or("audio"), words.next());
    format!("m={kind} 0 {}\r\n", words.collect::<Vec<_>>().join(" "))
}
