//! The paper: every decision and every offer is compared with the reference policy, and every step of a
//! plan begins for a reason (C7).

use super::*;
use crate::book::Offer;
use crate::reference::{Level, Office, Verdict, is_within_hours};

#[derive(Default)]
pub struct Paper {
    nobody: Lasting<CallKey>,
    overdue: Lasting<CallKey>,
    refused: Lasting<CallKey>,
}

impl Check for Paper {
    fn name(&self) -> &'static str {
        "the paper"
    }

    fn event(&mut self, sim: &Sim, shard: usize, what: &What) -> Found {
        let Some(key) = what.call() else { return Ok(()) };
        let Some(story) = sim.book.stories.get(&key).filter(|story| story.inbound) else {
            return Ok(());
        };
        match what {
            What::Offered { agent, stands_in_for, step, .. } => {
                offered(sim, shard, (key, story), agent, stands_in_for.as_ref(), usize::from(*step))
            }
            What::OfferEnded { offer, result, status, .. } => {
                rang_out(sim, (key, story), *offer, *result, *status)
            }
            What::CallEnded { outcome: Outcome::CallbackPromised, reason, .. } => {
                let cut = |o: &Offer| {
                    o.ended.is_some_and(|(r, at)| r == OfferResult::CallerGone && at == sim.now)
                };
                let cut = story.offers.values().any(cut);
                must(!cut, || format!("{key}: the end of the plan cut a phone that rang (C7)"))?;
                plan_over(sim, shard, (key, story), reason)
            }
            What::CallEnded { outcome: Outcome::OutOfHours, .. } => {
                closed(sim, shard, (key, story))
            }
            What::StepBegan { step, why, .. } => {
                began(sim, shard, (key, story), usize::from(*step), why)
            }
            _ => Ok(()),
        }
    }

    fn after(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Routed { call, client, clause, explanation, .. } = what else { return Ok(()) };
        let Some(verdict) = sim.book.stories.get(call).and_then(|s| s.verdict.as_ref()) else {
            return Ok(());
        };
        must(**clause == *verdict.clause, || {
            format!("{call} is routed by {clause}, not {}", verdict.clause)
        })?;
        let client = client.as_ref().map(|client| client.id.0);
        must(client == verdict.client, || {
            format!("{call} is {client:?}, not {:?}", verdict.client)
        })?;
        let Some(explanation) = explanation else { return Ok(()) };
        let steps = explanation.steps.len();
        must(steps == verdict.levels.len(), || format!("{call} has {steps} steps: {verdict:?}"))
    }

    /// C7: a caller waits only while somebody may still come.
    fn step(&mut self, sim: &Sim) -> Found {
        if !sim.is_undisturbed() {
            self.nobody.clear();
            self.overdue.clear();
            self.refused.clear();
            return Ok(());
        }
        let nobody = |key: &&CallKey| {
            let Some(story) = sim.book.stories.get(key) else { return false };
            let (Some(verdict), Some((step, _))) = (&story.verdict, story.step) else {
                return false;
            };
            let waits = story.open_offer().is_none() && story.taken.is_none();
            let today = today(sim, key.shard().index(), story);
            let verdict = today.as_ref().unwrap_or(verdict);
            let mut people = verdict.levels.iter().take(step + 1).flatten();
            waits && people.all(|(name, _)| is_gone(sim, &(*name).into()))
        };
        let nobody = sim.book.open.iter().filter(nobody).copied().collect();
        let call = self.nobody.look(sim.now, nobody, Duration::from_millis(1_500));
        must(call.is_none(), || format!("{call:?} waits and nobody is there (C7)"))?;
        let overdue = sim.book.stories_open().into_iter().filter(|(_, s)| is_overdue(sim, s));
        let overdue = overdue.map(|(key, _)| *key).collect();
        let call = self.overdue.look(sim.now, overdue, Duration::from_millis(100));
        must(call.is_none(), || format!("{call:?} stays in a step whose `wait` is over (C7)"))?;
        let stories = sim.book.stories_open();
        let refused = stories.into_iter().filter(|(key, s)| {
            today(sim, key.shard().index(), s).is_some_and(|verdict| is_refused(s, &verdict))
        });
        let refused = refused.map(|(key, _)| *key).collect();
        let call = self.refused.look(sim.now, refused, Duration::from_millis(100));
        must(call.is_none(), || format!("{call:?} waits for who has refused or missed it (C7)"))
    }
}

/// In line, with nothing that rings.
fn waits(story: &Story) -> Option<(usize, Moment)> {
    let waits = story.inbound && story.open_offer().is_none() && story.taken.is_none();
    story.step.filter(|_| waits && story.ended.is_none())
}

fn is_overdue(sim: &Sim, story: &Story) -> bool {
    waits(story).is_some_and(|(step, since)| {
        story.waits.get(step).is_some_and(|wait| sim.now.since(since) > *wait)
    })
}

/// The step is directed at one person, who has said no, or nothing.
fn is_refused(story: &Story, verdict: &Verdict) -> bool {
    let Some((step, since)) = waits(story) else { return false };
    let directed = !matches!(verdict.levels.get(step), Some(level) if level.len() != 1);
    let one = verdict.levels.get(step).and_then(|level| level.first());
    let said_no = one.is_some_and(|(name, _)| {
        use OfferResult::{NoAnswer, Refused};
        let no = |o: &Offer| {
            o.ended.is_some_and(|(r, at)| at >= since && matches!(r, NoAnswer | Refused))
        };
        story.offers.values().any(|o| o.agent.as_str() == *name && no(o))
    });
    directed && said_no
}

/// C4: "no answer" is for who let it ring for all of `ring`, or whose phone says so.
fn rang_out(
    sim: &Sim,
    (key, story): Told<'_>,
    number: u32,
    result: OfferResult,
    status: Option<u16>,
) -> Found {
    let Some(offer) = story.offers.get(&number) else { return Ok(()) };
    let ring = story.rings.get(offer.step).copied().unwrap_or_default();
    // The status is the highest of all phones; one of them may have said 408.
    let refused = matches!(status, None | Some(403 | 480 | 486 | 600 | 603));
    let rang = sim.now.since(offer.began) >= ring || !refused;
    let missed = result == OfferResult::NoAnswer;
    must(!missed || rang, || {
        format!("{key}: {} has missed it before `ring` was over", offer.agent)
    })?;
    let late = sim.now.since(offer.began) > ring + Duration::from_millis(100);
    must(!late || !sim.is_undisturbed(), || format!("{key} rings {} for too long", offer.agent))
}

fn is_gone(sim: &Sim, person: &PersonId) -> bool {
    let agent = sim.directory.agent(person);
    agent.is_none_or(|agent| sim.shared.board.presence(agent).is_gone())
}

fn is_free(sim: &Sim, person: &PersonId) -> bool {
    let agent = sim.directory.agent(person);
    agent.is_some_and(|agent| sim.shared.board.presence(agent).is_free())
}

/// What the paper says with the tables as the call's worker has them now: people who come to a group or
/// leave it, and deputies named meanwhile, count for waiting callers at once (B8, C1).
pub(super) fn today(sim: &Sim, shard: usize, story: &Story) -> Option<Verdict> {
    by_paper(sim, &sim.views[shard].office(), story)
}

fn by_paper(sim: &Sim, office: &Office<'_>, story: &Story) -> Option<Verdict> {
    let (found, facts) = story.grounds.as_ref()?;
    let settings = sim.variants[story.policy].settings();
    let mut verdict = office.decide(found.as_ref(), facts, settings);
    for (step, to) in &story.moves {
        verdict.taken_to(*step, office.taken_to(to));
    }
    Some(verdict)
}

/// Shortly before `answer_within` (110 s) a plan goes to its end.
const GIVES_UP: Duration = Duration::from_secs(90);

type Told<'a> = (CallKey, &'a Story);

fn offered(
    sim: &Sim,
    shard: usize,
    (key, story): Told<'_>,
    agent: &PersonId,
    instead_of: Option<&PersonId>,
    step: usize,
) -> Found {
    let Some(verdict) = &story.verdict else { return Err(format!("{key} is offered undecided")) };
    let reached = story.step.map_or(0, |(step, _)| step);
    must(step <= reached, || format!("{key} is offered from step {step}, and is in {reached}"))?;
    let view = &sim.views[shard];
    // When the call came, and today: as some worker has it, for one that stood still may be behind, and one
    // of them keeps the board's groups.
    let newest = sim.view();
    let offices = sim.views.iter().chain([&newest]).map(View::office);
    let today: Vec<Verdict> = offices.filter_map(|o| by_paper(sim, &o, story)).collect();
    let verdicts = today.iter().chain([verdict]);
    let reasons: Vec<_> =
        verdicts.filter_map(|v| v.may_ring(agent.as_str(), reached)).flatten().collect();
    let heard = sim.has_heard();
    // One worker keeps the board's groups, each its own callers: for a moment, and while one stands still,
    // they know different orders.
    must(!reasons.is_empty() || !heard || !sim.is_undisturbed(), || {
        format!("{agent} is offered {key}, whom the paper gives {verdict:?}")
    })?;
    let now = by_paper(sim, &newest.office(), story);
    let may = now.is_none_or(|verdict| verdict.may_ring(agent.as_str(), reached).is_some());
    must(may || !heard || !sim.is_undisturbed(), || {
        format!("{agent} is offered {key}, whom today's orders give to others (B8)")
    })?;
    let instead_of = instead_of.map(PersonId::as_str);
    must(reasons.is_empty() || reasons.contains(&instead_of), || {
        format!("{agent} stands in for {instead_of:?}: {reasons:?}")
    })?;
    let at = view.wall.wall(sim.now);
    let away = view.office().is_away(agent.as_str(), at);
    let settled = sim.is_undisturbed();
    must(!(away && settled && heard), || {
        format!("{agent} is offered {key} and is absent, off shift or closed (C7, B8)")
    })?;
    let missed = sim.book.missed.get(agent).is_some_and(|at| {
        let back = sim.book.resumed.get(agent).is_some_and(|back| back >= at);
        !back && sim.now.since(*at) > Duration::from_millis(100)
    });
    let locks = !sim.options.faults.contains(&Fault::Settings);
    must(!(missed && locks && settled), || {
        format!("{agent} is offered {key} and let one ring (C4)")
    })?;
    let out = sim.book.is_gone(agent);
    must(!(out && settled), || format!("{agent} is offered {key} and is logged out or paused (C3)"))
}

/// A callback is promised when the last step is over, or the trunk would give up.
fn plan_over(sim: &Sim, shard: usize, (key, story): Told<'_>, why: &str) -> Found {
    let Some(verdict) = &story.verdict else { return Ok(()) };
    if sim.now.since(story.arrived) >= GIVES_UP {
        return Ok(());
    }
    began(sim, shard, (key, story), verdict.levels.len(), why)
}

/// B7: a helper of the operators, while one of them is there and their callers do not wait long.
fn is_not_asked_to_help(sim: &Sim, level: &Level, person: &PersonId) -> bool {
    let group = sim.view().office().holders("operator", None);
    let is_operator = |who: &PersonId| group.iter().any(|(name, _)| *name == who.as_str());
    let operators = || level.iter().map(|(name, _)| PersonId::from(*name)).filter(is_operator);
    let mut groups = sim.directory.groups();
    let group = groups.find(|group| group.name().to_string() == "role operator");
    let is_open = group.is_some_and(|group| sim.shared.board.is_help_open(group.queue));
    let alone = operators().all(|operator| is_gone(sim, &operator));
    // A policy without help lets the operators' callers go on.
    let helped = sim.variants[sim.policy].policy.helps().next().is_some();
    let asked = is_open || (alone && helped);
    operators().next().is_some() && !is_operator(person) && !asked
}

/// C2: nobody of the whole plan is within their hours.
fn closed(sim: &Sim, shard: usize, (key, story): Told<'_>) -> Found {
    let Some(verdict) = &story.verdict else { return Ok(()) };
    let at = sim.views[shard].wall.wall(sim.now);
    let open = verdict.levels.iter().flatten().find(|(name, _)| is_within_hours(name, at));
    must(open.is_none(), || format!("{key} is out of hours, and {open:?} is within theirs (C2)"))
}

/// A step is left when nobody of it is left, or when its time is over; never before.
fn began(sim: &Sim, shard: usize, (key, story): Told<'_>, step: usize, why: &str) -> Found {
    let Some(verdict) = &story.verdict else { return Ok(()) };
    let next = story.step.map_or(0, |(last, _)| last + 1);
    must(step == next, || format!("{key} goes to step {step}, and {next} is next (B10)"))?;
    if why.starts_with("moved by") {
        return Ok(());
    }
    let Some((last, since)) = story.step else { return Ok(()) };
    let waited = story.waits.get(last).is_some_and(|wait| sim.now.since(since) >= *wait);
    if waited || why.contains("full") || !sim.is_undisturbed() {
        return Ok(());
    }
    let view = &sim.views[shard];
    let at = view.wall.wall(sim.now);
    let today = today(sim, shard, story);
    let verdict = today.as_ref().unwrap_or(verdict);
    // The step itself was left before, while a phone rang: only who is idle now could still come.
    let late = story.offers.values().any(|o| o.ended.is_some_and(|(_, at)| at == sim.now));
    let level = verdict.levels.get(last);
    let newest = by_paper(sim, &sim.view().office(), story);
    for (name, _) in level.into_iter().flatten() {
        let person: PersonId = (*name).into();
        if level.is_some_and(|level| is_not_asked_to_help(sim, level, &person)) {
            continue;
        }
        // B7: a group that orders have left without anybody is none, and nobody helps it.
        let no_group = why.ends_with("nobody is operator")
            && view.office().holders("operator", None).is_empty();
        let earlier = verdict.levels.iter().take(last).flatten().any(|(other, _)| other == name);
        let named = |verdict: &Verdict| {
            verdict.levels.get(last).into_iter().flatten().any(|(n, _)| n == name)
        };
        let left = earlier
            || !newest.as_ref().is_none_or(named)
            || no_group
            || story.offers.values().any(|offer| offer.agent == person)
            || view.office().is_away(name, at)
            || sim.book.is_gone(&person)
            || is_gone(sim, &person)
            || (late && !is_free(sim, &person));
        must(left, || format!("{key} leaves step {last} and {name} could still come: {why}"))?;
    }
    Ok(())
}
