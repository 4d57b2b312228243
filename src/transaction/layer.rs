//! The layer: what comes from the transport and from the transaction user finds its machine here.
//!
//! Every call is one mutation; its outputs wait in order until `poll` takes them.

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::clients::{self, Clients, Outgoing};
use super::event::{ClientTx, Full, ServerTx, TxEvent, TxOutput};
use super::matching::{MatchKey, Secret};
use super::offspring;
use super::servers::{CancelFinds, Servers};
use super::step::TransactionTimers;
use super::wire::{ClientKey, Key, Wire};
use crate::domain::{Flow, Listener, Moment};
use crate::sip::{Builder, Header, Message, Method};

/// What a 503 at the limit says in Retry-After, seconds.
pub const OVERLOAD_RETRY_AFTER_S: u32 = 5;

/// All transactions of one switch.
pub struct Transactions {
    limit: usize,
    listeners: Vec<Listener>,
    secret: Secret,
    rng: ChaCha12Rng,
    last: u64,
    clients: Clients,
    servers: Servers,
    wire: Wire,
}

/// How much the layer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that we sent, CANCELs included.
    pub clients: usize,
    /// Requests that we were sent.
    pub servers: usize,
    /// Timers, cleared ones included that have not been swept out.
    pub timers: usize,
}

impl Transactions {
    /// Empty. `limit` bounds the transactions of both sides together; BYEs, which make room, may
    /// use a quarter more, and each INVITE that we cancel has room for its CANCEL. `seed` makes branches and must be unpredictable and never used before.
    pub fn new(
        timers: &TransactionTimers,
        limit: u32,
        listeners: Vec<Listener>,
        seed: [u8; 32],
    ) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        let secret = Secret::new(key);
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            listeners,
            secret,
            rng,
            last: 0,
            clients: Clients::default(),
            servers: Servers::new(secret),
            wire: Wire::new(timers.checked()),
        }
    }

    /// The listeners changed; `Flow::listener` of later requests is an index into these.
    pub fn set_listeners(&mut self, listeners: Vec<Listener>) {
        self.listeners = listeners;
    }

    /// The bound on transactions changed; those that are there stay.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX);
    }

    /// A message from the transport.
    pub fn receive(&mut self, now: Moment, message: Message, flow: Flow) {
        if message.is_request() {
            self.receive_request(now, message, flow);
        } else {
            self.receive_response(now, message, flow);
        }
        self.sweep();
    }

    /// Answers a request: provisional or final, made by `Builder::reply` from the request that the
    /// event carried. A 2xx to an INVITE may be given again (RFC 6026 §7.1); other repetitions, and
    /// answers to a transaction that is gone, are dropped, as are provisional responses but 100 and
    /// any 408 to a non-INVITE request (RFC 4320).
    pub fn respond(&mut self, now: Moment, tx: ServerTx, status: u16, bytes: Bytes) {
        self.servers.respond(now, tx, (status, bytes), &mut self.wire);
        self.sweep();
    }

    /// Answers a request once and forgets it, as a stateless server does (§8.2.7): nothing repeats the
    /// answer, and nobody fills the table with requests that we refuse (§26.3.2.4 wants challenges to
    /// strangers so). For a final answer that the same request would get again, in the turn that
    /// brought it; one that has had a provisional response is answered as by [`Transactions::respond`].
    pub fn respond_once(&mut self, now: Moment, tx: ServerTx, status: u16, bytes: Bytes) {
        self.servers.respond_once(now, tx, (status, bytes), &mut self.wire);
        self.sweep();
    }

    /// Forgets a request that nobody is to answer; only in the turn that brought it.
    pub fn ignore(&mut self, tx: ServerTx) {
        self.servers.ignore(tx, &mut self.wire);
        self.sweep();
    }

    /// The To tag for answers that [`Transactions::respond_once`] sends: the same for the same request.
    pub fn stateless_tag(&self, request: &Message) -> String {
        self.secret.stateless_tag(request)
    }

    /// Sends a request over `flow` with our Via on top. `method` is the draft's.
    ///
    /// # Errors
    /// [`Full`] at the limit.
    pub fn request(
        &mut self,
        now: Moment,
        draft: Builder,
        method: Method,
        flow: Flow,
    ) -> Result<ClientTx, Full> {
        self.forward(now, draft, method, flow, "")
    }

    /// The same with `mark` in the branch, by which a proxy knows its own requests when they come
    /// back (RFC 3261 §16.6 step 8). `mark` is a token; characters that are none are left out.
    ///
    /// # Errors
    /// [`Full`] at the limit.
    pub fn forward(
        &mut self,
        now: Moment,
        draft: Builder,
        method: Method,
        flow: Flow,
        mark: &str,
    ) -> Result<ClientTx, Full> {
        if !self.has_room_for(&method) {
            return Err(Full);
        }
        let (tx, nonce, via) = self.next_via(flow, mark);
        let out = Outgoing { bytes: draft.top(Header::Via, via).finish(), method, flow, nonce };
        self.clients.open(now, ClientKey { tx, cancel: false }, out, &mut self.wire);
        self.sweep();
        Ok(tx)
    }

    /// Sends a request that has no transaction, the ACK of a 2xx, with our Via on top, and gives
    /// its bytes: they are sent again whenever the 2xx is (RFC 3261 §13.2.2.4).
    pub fn send_ack(&mut self, draft: Builder, flow: Flow) -> Bytes {
        let (_, _, via) = self.next_via(flow, "");
        let bytes = draft.top(Header::Via, via).finish();
        self.wire.send(flow, bytes.clone());
        bytes
    }

    /// Cancels an INVITE of ours (§9.1): the CANCEL goes when a provisional response has come, with
    /// `reason` as its Reason header; without a final response 64·T1 after it the INVITE ends in a
    /// `Timeout`. Nothing happens if the final response is here, or at a second call.
    pub fn cancel(&mut self, now: Moment, tx: ClientTx, reason: Option<&str>) {
        self.clients.cancel(now, tx, reason, &mut self.wire);
        self.sweep();
    }

    /// The CANCEL of an INVITE that has just been sent, as it would be: for whoever must be able to
    /// cancel it after a restart. `None` for another request, or one that is over.
    pub fn cancel_of(&self, tx: ClientTx) -> Option<Bytes> {
        self.clients.cancel_of(tx)
    }

    /// Sends bytes as they are: a repeated 2xx, a repeated ACK, a stateless reply (to
    /// [`Transactions::reply_flow`]).
    pub fn send_stateless(&mut self, flow: Flow, bytes: Bytes) {
        self.wire.send(flow, bytes);
    }

    /// Where a response goes whose request came over `source` (§18.2.2, RFC 3581 §4).
    pub fn reply_flow(request: &Message, source: Flow) -> Flow {
        offspring::reply_flow(request, source)
    }

    /// The `mark` given to [`Transactions::forward`] for a request with this branch; `None` if it is no branch
    /// of this layer's form or has none.
    pub fn branch_mark(branch: &str) -> Option<&str> {
        clients::mark(branch)
    }

    /// The transport could not send on `flow`, or its connection closed.
    pub fn transport_failed(&mut self, now: Moment, flow: Flow) {
        for key in self.wire.users(flow) {
            match key {
                Key::Client(key) => self.clients.transport_failed(now, key, &mut self.wire),
                Key::Server(tx) => self.servers.transport_failed(now, tx, &mut self.wire),
            }
        }
        self.sweep();
    }

    /// The next output; `None` when all are taken.
    pub fn poll(&mut self) -> Option<TxOutput> {
        self.wire.out.pop_front()
    }

    /// When `handle_timeout` is wanted next; it may then find nothing to do.
    pub fn poll_timeout(&self) -> Moment {
        self.wire.queue.next()
    }

    /// Fires every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some(due) = self.wire.queue.pop(now) {
            let which = (due.bound, due.generation);
            match due.key {
                Key::Client(key) => self.clients.fired(now, key, which, &mut self.wire),
                Key::Server(tx) => self.servers.fired(now, tx, which, &mut self.wire),
            }
        }
        self.sweep();
    }

    /// Transactions of both sides.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// No transaction, no way to one, and no output that was not taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.servers.is_empty() && self.wire.is_empty()
    }

    /// How much the layer holds.
    pub fn counts(&self) -> Counts {
        Counts {
            clients: self.clients.len(),
            servers: self.servers.len(),
            timers: self.wire.queue.len(),
        }
    }

    fn receive_response(&mut self, now: Moment, response: Message, flow: Flow) {
        if response.judge().is_err() {
            return;
        }
        if self.clients.response(now, &response, flow, &mut self.wire) {
            return;
        }
        let success = (200..300).contains(&response.status());
        if success && *response.method() == Method::Invite {
            self.wire.tell(TxEvent::Stray { response, flow });
        }
    }

    fn receive_request(&mut self, now: Moment, request: Message, flow: Flow) {
        if let Err(rejection) = request.judge() {
            if !rejection.drop {
                let tag = self.secret.stateless_tag(&request);
                let request = request.received_from(flow.remote);
                let bytes = offspring::rejection(&request, &rejection, &tag);
                self.wire.send(offspring::reply_flow(&request, flow), bytes);
            }
            return;
        }
        // What was judged has a Via and a CSeq.
        let Some(key) = self.secret.match_key(&request) else { return };
        match key.method {
            Method::Ack => {
                if !self.servers.ack(now, (&request, flow), &key, &mut self.wire) {
                    self.wire.tell(TxEvent::Ack { request, flow });
                }
            }
            Method::Cancel => {
                self.receive_cancel(request.received_from(flow.remote), flow, &key);
            }
            _ if self.servers.repeated(now, &key, &mut self.wire) => {}
            _ => {
                let request = request.received_from(flow.remote);
                if !self.has_room_for(&key.method) {
                    self.reply_stateless(&request, flow, 503, None);
                } else if self.servers.is_merged(&request) {
                    self.reply_stateless(&request, flow, 482, None);
                } else {
                    self.last += 1;
                    let tx = ServerTx(self.last);
                    self.servers.open(now, tx, key, (&request, flow), &mut self.wire);
                }
            }
        }
    }

    /// §9.2. A CANCEL needs no transaction of its own: its answer follows from the INVITE's state,
    /// and the user hears of the first one only.
    fn receive_cancel(&mut self, cancel: Message, flow: Flow, key: &MatchKey) {
        match self.servers.cancel(key) {
            CancelFinds::Nothing => self.reply_stateless(&cancel, flow, 481, None),
            CancelFinds::Transaction { tx, to_tag, tell } => {
                self.reply_stateless(&cancel, flow, 200, to_tag);
                if tell {
                    self.wire.tell(TxEvent::Cancelled { tx, cancel });
                }
            }
        }
    }

    /// A reply that is the same each time the same request comes (§8.2.7).
    fn reply_stateless(&mut self, request: &Message, flow: Flow, status: u16, tag: Option<String>) {
        let tag = tag.unwrap_or_else(|| self.secret.stateless_tag(request));
        let mut reply = Builder::reply(request, status, Some(&tag));
        if status == 503 {
            reply = reply.header(Header::RetryAfter, OVERLOAD_RETRY_AFTER_S);
        }
        self.wire.send(offspring::reply_flow(request, flow), reply.finish());
    }

    fn has_room_for(&self, method: &Method) -> bool {
        let spare = if *method == Method::Bye { self.limit / 4 } else { 0 };
        self.len() < self.limit.saturating_add(spare)
    }

    fn next_via(&mut self, flow: Flow, mark: &str) -> (ClientTx, u64, String) {
        self.last += 1;
        let (tx, nonce) = (ClientTx(self.last), self.rng.next_u64());
        let mark: String = mark.chars().filter(char::is_ascii_alphanumeric).collect();
        let branch = clients::branch(tx, nonce, &mark);
        let sent_by = self.listeners.get(usize::from(flow.listener));
        let sent_by = sent_by.map_or("listener.invalid", |listener| &*listener.advertise);
        let transport = flow.transport.as_via();
        (tx, nonce, format!("SIP/2.0/{transport} {sent_by};branch={branch};rport"))
    }

    fn sweep(&mut self) {
        let (clients, servers) = (&self.clients, &self.servers);
        self.wire.queue.sweep(|due| match due.key {
            Key::Client(key) => clients.is_set(key, due.bound, due.generation),
            Key::Server(tx) => servers.is_set(tx, due.bound, due.generation),
        });
    }
}
