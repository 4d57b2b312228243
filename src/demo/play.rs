//! Playing a scene: its calls, each when it is its turn, and what came back over the wire.

use std::sync::{Arc, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::DemoError;
use super::phone::Note;
use super::script::{Call, Scene, When, span};
use super::stage::Stage;
use super::trunk::{Caller, Progress, Seen};

/// A call that was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// Its number in the show, from 1.
    pub number: u32,
    /// Its Call-ID.
    pub call_id: String,
    /// What it was to be.
    pub call: Call,
    /// What the caller saw.
    pub seen: Seen,
    /// What the phones showed that rang for its number, with their persons.
    pub displays: Vec<(String, String)>,
    /// The star code before it was refused with this status.
    pub dial_refused: Option<u16>,
}

/// The Call-ID of the call with this number.
pub fn call_id(number: u32, word: &str) -> String {
    format!("demo-{number}-{word}@trunk.demo")
}

/// The number of the call with this Call-ID.
pub fn number_of(call_id: &str) -> Option<u32> {
    call_id.strip_prefix("demo-")?.split('-').next()?.parse().ok()
}

/// Plays `scene`; its calls are numbered from `first`. Returns when all are over.
pub async fn play(
    stage: &Arc<Stage>,
    scene: &Scene,
    first: u32,
    speed: u32,
) -> Result<Vec<Played>, DemoError> {
    stage.set(scene).await?;
    let seen_before = notes(stage).len();
    let (senders, progress): (Vec<_>, Vec<_>) =
        scene.calls.iter().map(|_| watch::channel(Progress::Calling)).unzip();
    let mut playing = JoinSet::new();
    for ((index, call), sender) in scene.calls.iter().enumerate().zip(senders) {
        let number = first + index as u32;
        let (stage, call, progress) = (stage.clone(), call.clone(), progress.clone());
        playing.spawn(async move {
            let dial_refused = turn(&stage, &call, progress).await;
            let call_id = call_id(number, &stage.word);
            let caller = Caller {
                call_id: call_id.clone(),
                from: call.from.clone(),
                to: call.to.clone(),
                patience: call.patience_s.map(|s| span(s, speed)),
                talk: span(call.talk_s, speed),
                hold: call.hold,
            };
            let seen = stage.trunk.place(caller, sender).await;
            Played { number, call_id, call, seen, displays: Vec::new(), dial_refused }
        });
    }
    let mut played = Vec::new();
    while let Some(done) = playing.join_next().await {
        played.push(done.map_err(|e| DemoError::Stuck(e.to_string()))?);
    }
    played.sort_by_key(|p| p.number);
    let shown = notes(stage)[seen_before..].to_vec();
    for played in &mut played {
        played.displays = displays(&played.call, &shown);
    }
    Ok(played)
}

/// Waits for the call's turn; the status of a star code that was refused.
async fn turn(
    stage: &Stage,
    call: &Call,
    mut progress: Vec<watch::Receiver<Progress>>,
) -> Option<u16> {
    let reaches = match call.when {
        When::AtOnce => None,
        When::Heard(other) => Some((other, Progress::Waiting)),
        When::Answered(other) => Some((other, Progress::Talking)),
        When::Over(other) => Some((other, Progress::Over)),
    };
    if let Some((other, wanted)) = reaches {
        // One that ends without getting so far lets the next begin all the same.
        let _ = progress[other].wait_for(|p| *p >= wanted).await;
    }
    let (person, code) = call.dials?;
    let status = stage.dial(person, code).await;
    (status >= 300).then_some(status)
}

fn notes(stage: &Stage) -> std::sync::MutexGuard<'_, Vec<(String, Note)>> {
    stage.notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn displays(call: &Call, shown: &[(String, Note)]) -> Vec<(String, String)> {
    let of_call = |(person, note): &(String, Note)| match note {
        Note::Rings { from, display } if Some(from) == call.number.as_ref() => {
            Some((person.clone(), display.clone()))
        }
        Note::Rings { .. } | Note::Told { .. } => None,
    };
    shown.iter().filter_map(of_call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_names_the_calls_number() {
        assert_eq!(number_of(&call_id(12, "day")), Some(12));
        assert_eq!(number_of("somebody-else@example.org"), None);
    }
}
