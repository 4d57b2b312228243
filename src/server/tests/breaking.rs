//! A worker panics in the middle of its calls (architecture: "A worker that panics is rebuilt from the
//! journal, the others untouched").

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::log::logged;
use super::scene::Scene;
use crate::call::bucket;
use crate::domain::Moment;
use crate::recorder::{Entry, Happened, Recorded, replay};
use crate::server::silence::Silence;
use crate::sip::{Builder, Header, Message, Method};
use crate::store::register::{CallFilter, Register};
use crate::switch::{Input, Outcome, Output};
use crate::worker::Core;

/// A request with this header breaks its worker, after the switch has dealt with it.
const BREAKS: &str = "X-Breaks-The-Worker";

/// A request with this header makes its worker stand still for as long as a test holds [`STILL`].
const STANDS: &str = "X-The-Worker-Stands";
static STILL: Mutex<()> = Mutex::new(());
/// It does.
static STANDING: AtomicBool = AtomicBool::new(false);

/// A core that can be broken from outside; in tests every switch is inside one.
struct Fragile(Box<dyn Core>);

/// Around a worker's core.
pub fn fragile(core: Box<dyn Core>) -> Box<dyn Core> {
    Box::new(Fragile(core))
}

fn breaks(input: &Input) -> bool {
    matches!(input, Input::Packet { message, .. } if message.named(BREAKS).is_some())
}

impl Core for Fragile {
    fn handle(&mut self, now: Moment, input: Input) {
        let breaks = breaks(&input);
        if matches!(&input, Input::Packet { message, .. } if message.named(STANDS).is_some()) {
            STANDING.store(true, Ordering::SeqCst);
            drop(STILL.lock());
        }
        self.0.handle(now, input);
        assert!(!breaks, "a test breaks this worker");
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }

    fn poll_timeout(&self) -> Moment {
        self.0.poll_timeout()
    }
}

impl Scene {
    fn shard_of(&self, call_id: &str) -> u16 {
        let keys = self.server.folder().keys().expect("the server made them");
        bucket(&keys.hash, call_id) % 2
    }

    /// Call-IDs of the given worker.
    fn call_ids(&self, shard: u16) -> impl Iterator<Item = String> {
        (0..).map(move |n| format!("call-{shard}-{n}")).filter(move |id| self.shard_of(id) == shard)
    }

    /// An OPTIONS for the worker of this call.
    fn options(&self, call_id: &str, cseq: u32) -> Builder {
        let draft = self.trunk.draft(&Method::Options, "sip:tele.test");
        let draft = draft.header(Header::From, "<sip:x@pbx>;tag=b");
        let draft = draft.header(Header::To, "<sip:x@pbx>").header(Header::CallId, call_id);
        draft.header(Header::CSeq, format_args!("{cseq} OPTIONS"))
    }

    /// Breaks the worker of this call, and waits until it turns again.
    fn break_worker_of(&self, call_id: &str) {
        self.trunk.send(self.options(call_id, 1).named(BREAKS, "now"));
        let asked = self.trunk.send(self.options(call_id, 2));
        self.trunk.answer(&asked, 200);
    }

    /// Makes the worker of this call stand still while the caller holds [`STILL`].
    fn make_stand(&self, call_id: &str) -> Message {
        STANDING.store(false, Ordering::SeqCst);
        let asked = self.trunk.send(self.options(call_id, 1).named(STANDS, "now"));
        while !STANDING.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        asked
    }

    fn phone_hangs_up(&self, offered: &Message) -> Message {
        let target = offered.contacts().next().expect("a Contact").uri.to_owned();
        let draft = self
            .phones
            .draft(&Method::Bye, &target)
            .header(
                Header::From,
                format_args!("{};tag=callee", offered.header(Header::To).expect("To")),
            )
            .header(Header::To, offered.header(Header::From).expect("From"))
            .copy(offered, Header::CallId);
        self.phones.send(draft.header(Header::CSeq, "7 BYE"))
    }

    /// The outcomes of `count` calls that are over.
    fn outcomes(&self, count: usize) -> Vec<Outcome> {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let file = self.server.folder().register_db();
            let rows = Register::read(&file).and_then(|r| r.calls(&CallFilter::default()));
            let mut over: Vec<_> = rows.unwrap_or_default();
            over.sort_by_key(|row| row.arrived_at);
            let over: Vec<_> = over.iter().filter_map(|row| row.outcome).collect();
            if over.len() >= count || std::time::Instant::now() > end {
                return over;
            }
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_worker_that_panics_loses_no_answered_call_and_harms_no_other_worker() {
    let scene = Scene::start();
    (201..=204).for_each(|user| scene.register(&user.to_string()));
    let [mine, other] = [0, 1].map(|shard| scene.call_ids(shard).take(3).collect::<Vec<_>>());
    let (by_caller, _) = scene.talking(&mine[0]);
    let (by_phone, phone) = scene.talking(&mine[1]);
    let (elsewhere, _) = scene.talking(&other[0]);
    let unanswered = scene.invite(&mine[2]);
    let ringing = scene.rings();
    scene.trunk.answer(&unanswered, 180);

    scene.break_worker_of(&mine[0]);

    // What rang is closed on both sides.
    let closed = scene.trunk.answer(&unanswered, 503);
    assert!(closed.header(Header::RetryAfter).is_some());
    let cancel = scene.phones.request(Method::Cancel, ringing.call_id());
    let branch = |m: &Message| m.top_via().and_then(|via| via.branch().map(str::to_owned));
    assert_eq!(branch(&cancel), branch(&ringing));
    // The other worker's call is as it was; the broken one's go on, from either side.
    for (ok, cseq) in [(&elsewhere, 3), (&by_caller, 3)] {
        let bye = scene.within(ok, Method::Bye, cseq);
        scene.trunk.answer(&bye, 200);
        let heard = scene.phones.hears("BYE", |m| m.is_request() && *m.method() == Method::Bye);
        scene.phones.reply(&heard, 200, "");
    }
    let bye = scene.phone_hangs_up(&phone);
    scene.phones.answer(&bye, 200);
    let heard = scene.trunk.request(Method::Bye, by_phone.call_id());
    scene.trunk.reply(&heard, 200, "");
    let three = [Outcome::Answered; 3];
    assert_eq!(scene.outcomes(4), [&three[..], &[Outcome::CutByRestart]].concat());
    scene.server.stop();
}

#[test]
fn after_a_panic_every_agent_and_every_place_of_the_trunk_is_free_again() {
    let scene = Scene::start();
    (201..=204).for_each(|user| scene.register(&user.to_string()));
    let [mine, other] = [0, 1].map(|shard| scene.call_ids(shard).take(9).collect::<Vec<_>>());
    // More often than the trunk has places: none of them may leak.
    for n in 0..3 {
        let (ok, _) = scene.talking(&mine[2 * n]);
        let unanswered = scene.invite(&mine[2 * n + 1]);
        scene.rings();
        scene.trunk.answer(&unanswered, 180);
        scene.break_worker_of(&mine[0]);
        scene.trunk.answer(&unanswered, 503);
        let bye = scene.within(&ok, Method::Bye, 3);
        scene.trunk.answer(&bye, 200);
        let heard = scene.phones.hears("BYE", |m| m.is_request() && *m.method() == Method::Bye);
        scene.phones.reply(&heard, 200, "");
    }
    // All four are offered a call, by both workers.
    let calls = [&mine[7], &mine[8], &other[0], &other[1]];
    let rung: BTreeSet<String> = calls
        .into_iter()
        .map(|call_id| {
            scene.invite(call_id);
            scene.rings().uri().to_owned()
        })
        .collect();
    assert_eq!(rung.len(), 4, "{rung:?}");
    scene.server.stop();
}

#[test]
fn a_worker_that_stands_still_hides_no_other_from_the_status() {
    let scene = Scene::start();
    let call_id = scene.call_ids(0).next().expect("endless");
    let held = STILL.lock();
    let asked = scene.make_stand(&call_id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let status = runtime.expect("a runtime").block_on(scene.server.status()).expect("no refusal");
    let shards: Vec<_> = status["workers"].as_array().into_iter().flatten().collect();
    assert_eq!(shards.len(), 1, "{status}");
    assert_eq!(shards[0]["shard"], 1);
    drop(held);
    scene.trunk.answer(&asked, 200);
}

#[test]
fn a_worker_that_ends_no_turn_is_named_in_the_log_by_another_thread() {
    let scene = Scene::start();
    let [mine, other] = [0, 1].map(|shard| scene.call_ids(shard).next().expect("endless"));
    let held = STILL.lock();
    let asked = scene.make_stand(&mine);
    let since = Instant::now();
    // The other worker turns, and is not silent.
    let alive = scene.trunk.send(scene.options(&other, 1));
    scene.trunk.answer(&alive, 200);
    let end = since + Duration::from_secs(20);
    let silent = || scene.server.hub.silent_since(Some(since));
    while silent() != [0] {
        assert!(Instant::now() < end, "{:?}", silent());
        std::thread::yield_now();
    }
    let mut silence = Silence::default();
    let look = |silence: &mut Silence| logged(|| silence.look(silent()));
    let said = [(); 3].map(|()| look(&mut silence));
    let told: Vec<bool> = said.iter().map(|said| said.contains("does not end its turn")).collect();
    assert_eq!(told, [false, true, false], "{said:?}");
    assert!(said[1].contains("WARN") && said[1].contains("worker=0"), "{said:?}");
    drop(held);
    scene.trunk.answer(&asked, 200);
    while !silent().is_empty() {
        assert!(Instant::now() < end, "{:?}", silent());
        std::thread::yield_now();
    }
    assert!(look(&mut silence).contains("this worker turns again"));
}

#[test]
fn a_panic_leaves_a_recording_that_breaks_again_at_the_same_input_and_names_nobody() {
    let scene = Scene::start();
    (201..=204).for_each(|user| scene.register(&user.to_string()));
    let mine: Vec<String> = scene.call_ids(0).take(2).collect();
    let (ok, _) = scene.talking(&mine[0]);
    let bye = scene.within(&ok, Method::Bye, 3);
    scene.trunk.answer(&bye, 200);
    scene.talking(&mine[1]);
    scene.break_worker_of(&mine[0]);

    let folder = scene.server.folder().recordings();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let file = loop {
        let found = std::fs::read_dir(&folder).ok().and_then(|mut entries| entries.next());
        let found = found.and_then(Result::ok).map(|entry| entry.path());
        // It is whole when it has its last line.
        let text = found.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        match text.filter(|text| text.lines().last().is_some_and(|l| l.starts_with("{\"end\""))) {
            Some(text) => break text,
            None => assert!(std::time::Instant::now() < end, "no file in {}", folder.display()),
        }
        std::thread::yield_now();
    };
    scene.server.stop();
    for secret in ["3023125001", "Operator", "op1", "secret", "sip:201", &mine[0]] {
        assert!(!file.contains(secret), "{secret}");
    }
    let recorded = Recorded::read(&file).unwrap_or_else(|damaged| panic!("{damaged}"));
    let touch = |input: &Input| assert!(!breaks(input), "a test breaks this worker");
    let done = replay(&recorded, &mut |_| {}, &touch);
    let fed = |e: &&Entry| matches!(e.what, Happened::Fed(_)) && e.w == 0;
    let last = recorded.entries.iter().rfind(fed).expect("it was fed something");
    let broken = done.broken.as_ref().expect("it breaks again");
    assert_eq!((broken.line, broken.w), (last.line, 0));
    assert_eq!(broken.why, "a test breaks this worker");
    assert_eq!(done.differences(), []);
    assert!(done.now.iter().any(|d| d.what.contains("Answered by Caller")), "{:?}", done.now);
}
