//! The loop of one worker.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Build, Built, Clock, Life, Outlet, Outside, Turn};
use crate::domain::{Moment, ShardId, WallOffset};
use crate::recorder::Recording;
use crate::switch::{Event, Input, Output};

/// Inputs of one turn: the journal is written once for all of them.
const INPUTS_PER_TURN_MAX: usize = 64;
/// Of a longer turn, what is done leaves in between.
pub(super) const LEAVE_AFTER: Duration = Duration::from_micros(200);
/// The clock is compared and a failing disk tried this often.
const TICK: Duration = Duration::from_secs(1);
/// A core that panics on every input is not built faster than this.
const REBUILD_PAUSE: Duration = Duration::from_millis(50);

/// The worker's thread, from its first turn to its last.
pub(super) struct Turning {
    shard: ShardId,
    clock: Clock,
    outlet: Outlet,
    outside: Arc<dyn Outside>,
    build: Build,
    stop: Arc<OnceLock<()>>,
    wall: WallOffset,
    taken: VecDeque<Input>,
    events: Vec<Event>,
    outputs: Vec<Output>,
    recording: Option<Recording>,
    tick: Moment,
}

impl Turning {
    pub(super) fn new(
        shard: ShardId,
        clock: Clock,
        outlet: Outlet,
        outside: Arc<dyn Outside>,
        build: Build,
        stop: Arc<OnceLock<()>>,
    ) -> Self {
        Self {
            shard,
            wall: clock.offset(),
            clock,
            outlet,
            outside,
            build,
            stop,
            taken: VecDeque::with_capacity(INPUTS_PER_TURN_MAX),
            events: Vec::new(),
            outputs: Vec::new(),
            recording: None,
            tick: Moment::ZERO,
        }
    }

    /// Until the worker is stopped.
    pub(super) fn run(&mut self) {
        let mut life = Life::First;
        while !self.stopped() {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let mut built = (self.build)(life);
                self.recording = built.recording.take();
                self.live(&mut built);
            }));
            if ended.is_ok() {
                return;
            }
            // What the broken turn wanted to say is lost with it; what it had not looked at is not.
            self.events.clear();
            self.outputs.clear();
            let fed = self.recording.take().map(Recording::into_taken);
            self.outside.panicked(self.shard, fed);
            life = Life::Again;
            self.outlet.sleep(REBUILD_PAUSE);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.get().is_some()
    }

    fn live(&mut self, built: &mut Built) {
        self.wall = self.clock.offset();
        self.feed(built, Input::Wall(self.wall));
        let mut turn = Turn::default();
        loop {
            let began = self.clock.now();
            self.show_recording();
            self.feed(built, Input::Wake);
            self.outlet.take(INPUTS_PER_TURN_MAX, &mut self.taken);
            let full = self.taken.len() >= INPUTS_PER_TURN_MAX;
            turn.journal = Duration::ZERO;
            let mut left = began;
            while let Some(input) = self.taken.pop_front() {
                // What the inputs so far gave does not wait for all of them.
                let now = self.clock.now();
                if now.since(left) >= LEAVE_AFTER {
                    left = now;
                    turn.journal += self.leave(built);
                }
                self.feed(built, input);
            }
            turn.journal += self.leave(built);
            let now = self.clock.now();
            if now >= self.tick {
                self.on_tick(built, now);
            }
            turn.took = now.since(began);
            self.outside.turned(self.shard, turn);
            if self.stopped() {
                return;
            }
            turn.late = Duration::ZERO;
            if !full {
                let until = built.core.poll_timeout().min(self.tick);
                // What is overdue is not late: the core may ask for a moment that is past.
                let until = until.max(now);
                self.outlet.sleep(self.clock.until(until));
                turn.late = self.clock.now().since(until);
            }
        }
    }

    /// One input, drained. A question to the index is answered within the turn: it is in memory.
    fn feed(&mut self, built: &mut Built, input: Input) {
        let mut next = VecDeque::from([input]);
        while let Some(input) = next.pop_front() {
            let now = self.clock.stamp();
            if let Some(recording) = &mut self.recording {
                recording.input(now, &input);
            }
            built.core.handle(now.at, input);
            while let Some(output) = built.core.poll_output() {
                if let (Some(recording), Output::Send { flow, bytes }) =
                    (&mut self.recording, &output)
                {
                    recording.sent(now, *flow, bytes.clone());
                }
                match output {
                    Output::Event(event) => self.events.push(event),
                    Output::Identify { call, number } => {
                        let found = self.outside.identify(call, number.as_ref());
                        next.push_back(Input::Identified { call, found });
                    }
                    other => self.outputs.push(other),
                }
            }
        }
    }

    /// Journal first, then what others wait for, then the rest. How long the journal took.
    fn leave(&mut self, built: &mut Built) -> Duration {
        if self.events.is_empty() {
            self.send();
            return Duration::ZERO;
        }
        let began = self.clock.stamp();
        built.writer.append(&self.events);
        let journal = self.clock.now().since(began.at);
        self.send();
        self.events.iter().for_each(|event| built.state.apply(event));
        self.outside.recorded(self.shard, &self.events);
        match &mut self.recording {
            Some(recording) => {
                self.events.drain(..).for_each(|event| recording.event(began, event));
            }
            None => self.events.clear(),
        }
        if built.writer.wants_rotation() {
            let at = self.wall.wall(self.clock.now());
            built.writer.rotate(at, &built.state);
        }
        journal
    }

    fn send(&mut self) {
        for output in self.outputs.drain(..) {
            match output {
                Output::Send { flow, bytes } => self.outside.send(self.shard, flow, bytes),
                Output::Mail { to, mail } => self.outside.mail(to, mail),
                Output::Reply { id, answer } => self.outside.reply(self.shard, id, answer),
                Output::Notify(promise) => self.outside.notify(self.shard, promise),
                Output::Event(_) | Output::Identify { .. } => {}
            }
        }
    }

    /// To whoever asked for a copy of the recording.
    fn show_recording(&self) {
        while let Some(asked) = self.outlet.asked() {
            if let Some(recording) = &self.recording {
                // Whoever asked may have given up.
                let _ = asked.send((self.shard, recording.taken()));
            }
        }
    }

    fn on_tick(&mut self, built: &mut Built, now: Moment) {
        self.tick = now + TICK;
        if let Some(wall) = self.clock.offset_if_set(self.wall) {
            tracing::info!(worker = self.shard.0, "the wall clock was set");
            self.wall = wall;
            self.feed(built, Input::Wall(wall));
            self.leave(built);
        }
        built.writer.flush(self.wall.wall(now));
        self.outside.journal(self.shard, built.writer.health());
    }
}
