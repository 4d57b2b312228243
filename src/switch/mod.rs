//! The core as one state machine per worker.
//!
//! `Switch` ties the rooms together: SIP transactions hand it events, it finds who they are for —
//! the registrar, a call, the proxy, or we ourselves — and what those want of the world leaves as
//! [`Output`]s. The drain rule stands at [`Input`].
//!
//! | file | holds |
//! |---|---|
//! | `io` | inputs, outputs, commands, mail |
//! | `core` | what calls borrow for a turn |
//! | `shards` | which worker a message, a person, a call belongs to |
//! | `passing` | what the proxy carries |
//! | `recorder` | the last inputs, for whoever looks for a fault |
//! | `requests` | trust: who may register, call, ask |
//! | `help` | which groups help others now |
//! | `roster` | who serves which queues |
//! | `seats` | the slow state of the agents whose home is here |
//! | `trunks` | OPTIONS health |
//! | `commands` | what admins and supervisors ask |
//! | `survival` | what comes back from the journal |

mod commands;
mod core;
mod help;
mod io;
mod passing;
mod recorder;
mod requests;
mod roster;
mod seats;
mod shards;
mod survival;
mod tell;
mod trunks;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::acd::Board;
use crate::call::{Calls, Effect};
use crate::domain::{Directory, Moment, Settings, ShardId, WallOffset};
use crate::meters::Meters;
use crate::policy::Policy;
use crate::proxy::Proxy;
use crate::registrar::{Authenticator, Location, Registrar};
use crate::sip::{Message, Method};
use crate::transaction::{ClientTx, TxEvent, TxOutput};

pub use crate::call::{
    AgentChange, AgentNote, CallbackChange, ClientRef, Direction, Event, Found as Identified,
    OfferResult, Outcome, Party, Promise, What,
};
pub use io::{Addressee, Command, Input, Mail, Output, Refusal, Topic};
pub use recorder::{Kept, Ring, RingLimits, Stamp, Stood, standing};
pub use shards::{home_of, shard_of};
pub use survival::{Cut, Journalled};

use self::core::Core;
use passing::Passings;
use seats::Seats;
use tell::Told;
use trunks::Trunks;

/// A wall clock that is moved by less is followed without a word: no registration ends by it.
const DRIFT_MAX: SignedDuration = SignedDuration::from_secs(1);

/// The three pieces of state that workers share, and nothing else.
#[derive(Clone)]
pub struct Shared {
    /// Everybody's words and the queues' heads.
    pub board: Arc<Board>,
    /// Where phones are.
    pub location: Arc<Location>,
    /// Limits and counters of the whole server.
    pub meters: Arc<Meters>,
}

/// What a switch begins with.
#[derive(Clone)]
pub struct Setup {
    /// Which one it is.
    pub shard: ShardId,
    /// How many there are.
    pub shards: u16,
    /// Wall clock seconds of this start, part of every call key; must differ from every other run's.
    pub started: u32,
    /// Leads Call-IDs to shards; secret, kept in the state folder.
    pub hash_key: [u8; 16],
    /// Signs nonces; secret, the same on every shard.
    pub nonce_key: [u8; 32],
    /// Fresh randomness for this switch alone.
    pub seed: [u8; 32],
    /// Shared with the others.
    pub shared: Shared,
    /// Settings to begin with.
    pub settings: Arc<Settings>,
    /// People to begin with.
    pub directory: Arc<Directory>,
    /// Policy to begin with.
    pub policy: Arc<Policy>,
    /// Wall clock to begin with.
    pub wall: WallOffset,
}

/// One worker's core.
pub struct Switch {
    core: Core,
    calls: Calls,
    registrar: Registrar,
    auth: Authenticator,
    seats: Seats,
    trunks: Trunks,
    told: Told,
    proxy: Proxy,
    passings: Passings,
    /// When the waits are looked at again for help (clause B7), and who was there at the last look.
    help_at: Moment,
    help_epoch: u64,
    /// Waiting callers are served until then; new ones are refused.
    drain_until: Option<Moment>,
    /// This input ended with a question who calls: the caller is still on the way into the line.
    asks: bool,
    outputs: VecDeque<Output>,
}

impl Switch {
    /// With nobody registered and no calls; `restore` what the journal knows before the first input.
    pub fn new(now: Moment, setup: Setup) -> Self {
        let seeds = core::seeds(setup.seed);
        let mut auth = Authenticator::new(&setup.settings.realm, &setup.nonce_key, seeds.nonces);
        auth.configure(&setup.settings);
        let calls = Calls::new(setup.started);
        let proxy = Proxy::new(
            setup.settings.clone(),
            core::proxy_key(&setup.hash_key),
            core::proxy_limits(&setup.settings),
        );
        let core = Core::new(setup, &seeds);
        let mut switch = Self {
            core,
            calls,
            registrar: Registrar::new(),
            auth,
            seats: Seats::default(),
            trunks: Trunks::default(),
            told: Told::default(),
            proxy,
            passings: Passings::default(),
            help_at: Moment::ZERO,
            help_epoch: 0,
            drain_until: None,
            asks: false,
            outputs: VecDeque::new(),
        };
        switch.directory_changed(now);
        switch.trunks.settings_changed(now, &switch.core);
        switch
    }

    /// One mutation. Never fails; what is wrong with an input is answered to who sent it.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.core.desk.tick(now);
        match input {
            Input::Wake => self.wake(now),
            Input::Packet { flow, message, .. } => {
                if opens_a_call(&message) {
                    self.core.desk.arriving(now);
                }
                self.core.tx.receive(now, message, flow);
            }
            Input::FlowClosed { flow } => self.flow_closed(now, flow),
            Input::SendFailed { flow } => self.core.tx.transport_failed(now, flow),
            Input::Identified { call, found } => {
                self.calls.identified(&mut self.core.env(now), call, found);
            }
            Input::Mail(mail) => self.mail(now, mail),
            Input::Command { id, command, by } => self.command(now, id, command, &by),
            Input::Tell { to, topic, text } => self.tell_when_reachable(now, &to, (topic, text)),
            Input::Directory(directory) => {
                self.core.directory = directory;
                self.directory_changed(now);
                self.calls.directory_changed(&mut self.core.env(now));
                // A group may be without anybody now.
                self.help_at = now;
            }
            Input::Worked(people) => self.worked_before(&people),
            Input::Policy(policy) => {
                self.core.policy = policy;
                self.write_roster();
                self.help_at = now;
            }
            Input::Settings(settings) => {
                self.core.settings_changed(settings);
                self.auth.configure(&self.core.settings);
                self.proxy.set_settings(self.core.settings.clone());
                self.proxy.set_limits(core::proxy_limits(&self.core.settings));
                self.trunks.settings_changed(now, &self.core);
                self.seats_due(now, true);
            }
            Input::Wall(offset) => {
                self.wall_set(now, offset);
                self.seats_due(now, true);
            }
            Input::Drain { until } => self.drain_until = Some(until),
        }
        self.settle(now);
        if !std::mem::take(&mut self.asks) {
            self.core.desk.arrived();
        }
    }

    /// Who is registered stays so, however the wall clock jumps.
    fn wall_set(&mut self, now: Moment, offset: WallOffset) {
        let by = offset.wall(now).duration_since(self.core.wall.wall(now));
        self.core.wall = offset;
        if by.abs() >= DRIFT_MAX {
            let changes = self.registrar.clock_set(by, &self.core.shared.location);
            self.bindings_changed(now, changes);
        }
    }

    fn wake(&mut self, now: Moment) {
        self.core.desk.turn(now);
        self.core.tx.handle_timeout(now);
        let wall = self.core.wall.wall(now);
        let changes = self.registrar.expire(wall, &self.core.shared.location);
        self.bindings_changed(now, changes);
        self.calls.timeout(&mut self.core.env(now));
        self.helps_due(now);
        self.seats_due(now, false);
        self.trunks.timeout(now, &mut self.core);
        self.passings_due(now);
        if self.drain_until.is_some_and(|until| until <= now) {
            self.drain_until = Some(Moment::NEVER);
            self.calls.drain(&mut self.core.env(now));
        }
    }

    /// Runs every consequence of a mutation until nothing is left to do.
    fn settle(&mut self, now: Moment) {
        loop {
            self.calls.presence_changed(&mut self.core.env(now));
            self.calls.assignments(&mut self.core.env(now));
            while let Some(effect) = self.core.effects.pop_front() {
                self.effect(now, effect);
            }
            match self.core.tx.poll() {
                Some(TxOutput::Send { flow, bytes }) => {
                    self.outputs.push_back(Output::Send { flow, bytes });
                }
                Some(TxOutput::Event(event)) => self.transaction(now, event),
                None if self.core.effects.is_empty() => return,
                None => {}
            }
        }
    }

    fn effect(&mut self, now: Moment, effect: Effect) {
        match effect {
            Effect::Event { at, what } => self.record(at, what),
            Effect::Identify { call, number } => {
                self.asks = true;
                self.outputs.push_back(Output::Identify { call, number: Some(number) });
            }
            Effect::Agent { agent, note } => self.agent_note(now, agent, note),
            Effect::Pass(handover) => self.pass(now, *handover),
            Effect::Notify(promise) => self.outputs.push_back(Output::Notify(promise)),
        }
    }

    fn record(&mut self, now: Moment, what: What) {
        let at = self.core.wall.wall(now);
        self.outputs.push_back(Output::Event(Event { at, what }));
    }

    fn transaction(&mut self, now: Moment, event: TxEvent) {
        // Its strays first: the calls' refusal of them is for those that nobody knows.
        let Some(event) = self.proxied(now, event) else { return };
        let Some(event) = self.calls.event(&mut self.core.env(now), event) else { return };
        match event {
            TxEvent::Request { tx, request, flow } => self.request(now, tx, request, flow),
            TxEvent::Response { tx, ref response, .. } => {
                self.answered(tx, Some(response.status()));
            }
            TxEvent::Timeout { tx } | TxEvent::TransportFailed { tx } => {
                self.answered(tx, None);
            }
            TxEvent::Stray { response, flow } => self.stray(now, &response, flow),
            TxEvent::Cancelled { .. }
            | TxEvent::Ack { .. }
            | TxEvent::Confirmed { .. }
            | TxEvent::ReplyFailed { .. }
            | TxEvent::NoAck { .. } => {}
        }
    }

    /// The outcome of a question or a text of our own; `None` is silence.
    fn answered(&mut self, tx: ClientTx, status: Option<u16>) {
        self.trunks.answered(tx, status);
        self.told.answered(tx, status, &self.core.shared.location);
    }

    fn mail(&mut self, now: Moment, mail: Mail) {
        match mail {
            Mail::Bindings { aor } => self.calls.binding_back(&mut self.core.env(now), &aor),
            Mail::Agent { agent, note } => self.agent_note(now, agent, note),
        }
    }

    fn flow_closed(&mut self, now: Moment, flow: crate::domain::Flow) {
        self.core.tx.transport_failed(now, flow);
        let changes = self.registrar.flow_closed(flow, &self.core.shared.location);
        self.bindings_changed(now, changes);
        self.calls.flow_closed(&mut self.core.env(now), flow);
    }

    /// The next thing for the outside to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Wake`] is wanted next.
    pub fn poll_timeout(&self) -> Moment {
        let wall = self.core.wall;
        [
            self.core.desk.poll_timeout(),
            self.core.tx.poll_timeout(),
            self.registrar.poll_timeout(wall),
            self.calls.poll_timeout(),
            self.seats.poll_timeout(),
            self.help_at,
            self.trunks.poll_timeout(),
            self.proxy.poll_timeout(),
            self.passings.poll_timeout(),
            self.drain_until.unwrap_or(Moment::NEVER),
        ]
        .into_iter()
        .min()
        .unwrap_or(Moment::NEVER)
    }

    /// No call, no transaction, no caller in line: what the emptiness phase of the simulator asks.
    pub fn is_idle(&self) -> bool {
        let idle = self.calls.is_empty() && self.core.desk.is_empty() && self.core.tx.is_empty();
        idle && self.proxy.is_empty() && self.passings.len() == 0
    }

    /// Calls that are up.
    pub fn calls(&self) -> usize {
        self.calls.len() + self.passings.len()
    }
}

/// An INVITE outside every dialog.
fn opens_a_call(message: &Message) -> bool {
    message.is_request() && *message.method() == Method::Invite && message.to_tag().is_none()
}
