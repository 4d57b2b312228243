//! What is played: scenes one after another, the calls of a scene at once unless one waits for
//! another.
//!
//! The seed shuffles scenes and picks among equivalent clients. Times are the policy's own: a caller
//! talks for "12 s", and at speed 10 that takes 1.2.

mod scenes;

use super::expected::State;
use super::phone::Manner;
use super::roster::{Client, Roster};

pub use scenes::write;

/// When a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With the scene.
    AtOnce,
    /// When the scene's call with this index waits or rings.
    Heard(usize),
    /// When it is answered.
    Answered(usize),
    /// When it is over.
    Over(usize),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it shows, for the reader.
    pub title: String,
    /// The calling number as the trunk writes it; `None` if withheld.
    pub from: Option<String>,
    /// The calling number as E.164; `None` if withheld or malformed.
    pub number: Option<String>,
    /// The called number.
    pub to: String,
    /// When.
    pub when: When,
    /// Before it, this person dials this code, and answers from then on.
    pub dials: Option<(&'static str, &'static str)>,
    /// Gives up after so many seconds.
    pub patience_s: Option<u32>,
    /// Talks for so many seconds.
    pub talk_s: u32,
    /// Holds and takes back.
    pub hold: bool,
    /// Who meets this call otherwise than the scene's manner says.
    pub states: Vec<(&'static str, State)>,
    /// The scene's calls marked so are answered in their order.
    pub in_line: bool,
    /// The answering phone's display must contain it.
    pub shows: Option<&'static str>,
    /// Clauses that the call shows, besides the rule's.
    pub clauses: Vec<&'static str>,
}

/// How a person of a scene treats the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Answers after two seconds; the caller hangs up.
    Answers,
    /// Answers after two seconds and hangs up after three.
    HangsUp,
    /// Does not answer.
    RingsOut,
    /// Declines after three seconds.
    Declines,
    /// The phone says that it is busy.
    SaysBusy,
}

/// Calls that belong together.
#[derive(Clone, Debug)]
pub struct Scene {
    /// For the reader.
    pub title: &'static str,
    /// Who has no phone on.
    pub gone: Vec<&'static str>,
    /// Who does not simply answer.
    pub moods: Vec<(&'static str, Mood)>,
    /// Who has a second phone, which rings and is not touched.
    pub two_phones: Vec<&'static str>,
    /// Its calls.
    pub calls: Vec<Call>,
}

impl Mood {
    /// As clause C7 sees it.
    pub fn state(self) -> State {
        match self {
            Self::Answers | Self::HangsUp => State::Answers,
            Self::RingsOut => State::RingsOut,
            Self::Declines | Self::SaysBusy => State::Refuses,
        }
    }

    /// What the phone is to do.
    pub fn manner(self, speed: u32) -> Manner {
        let after = |seconds| span(seconds, speed);
        match self {
            Self::Answers => Manner::Answer { after: after(2), hang_up: None },
            Self::HangsUp => Manner::Answer { after: after(2), hang_up: Some(after(3)) },
            Self::RingsOut => Manner::RingForEver,
            Self::Declines => Manner::Decline { after: after(3) },
            Self::SaysBusy => Manner::Busy,
        }
    }
}

impl Scene {
    /// How `person` meets `call`.
    pub fn state(&self, call: &Call, person: &str) -> State {
        let named = |list: &[(&'static str, State)]| {
            list.iter().find(|(who, _)| *who == person).map(|(_, state)| *state)
        };
        if let Some(state) = named(&call.states) {
            return state;
        }
        if self.gone.contains(&person) {
            return State::Gone;
        }
        self.mood(person).state()
    }

    /// How `person` treats the phone.
    pub fn mood(&self, person: &str) -> Mood {
        let found = self.moods.iter().find(|(who, _)| *who == person);
        found.map_or(Mood::Answers, |(_, mood)| *mood)
    }
}

/// Seconds of the policy at this speed.
pub fn span(seconds: u32, speed: u32) -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(seconds)) / speed.max(1)
}

/// A small generator: the same seed gives the same show (Steele and others, SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number below `sides`; 0 if there are none.
    pub fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    /// In another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.throw(last + 1));
        }
    }
}

/// Picks clients, each once.
#[derive(Debug)]
pub struct Casting<'a> {
    roster: &'a Roster,
    dice: Dice,
    cast: Vec<&'a str>,
    unknown: u32,
}

impl<'a> Casting<'a> {
    /// Nobody is cast yet.
    pub fn new(roster: &'a Roster, dice: Dice) -> Self {
        Self { roster, dice, cast: Vec::new(), unknown: 0 }
    }

    /// In the next scene everybody may call again.
    fn next_scene(&mut self) {
        self.cast.clear();
    }

    /// One of the clients that fit and have no part yet.
    fn client(&mut self, fits: impl Fn(&Client) -> bool) -> &'a Client {
        let free = |c: &&Client| fits(c) && !self.cast.contains(&c.code.as_str());
        let candidates: Vec<&Client> = self.roster.clients.iter().filter(free).collect();
        let chosen = candidates[self.dice.throw(candidates.len())];
        self.cast.push(&chosen.code);
        chosen
    }

    /// A call of one of those.
    pub fn call(&mut self, title: &str, fits: impl Fn(&Client) -> bool) -> Call {
        let client = self.client(fits);
        let numbers: Vec<String> = client.numbers().collect();
        let number = numbers[self.dice.throw(numbers.len())].clone();
        let written = self.written(&number);
        call(&format!("{title}: {}", client.name), Some(written), Some(number))
    }

    /// A call from a number that nobody has.
    pub fn stranger(&mut self, title: &str, prefix: &str) -> Call {
        let number = format!("{prefix}{}", 70 + self.unknown);
        self.unknown += 1;
        call(title, Some(self.written(&number)), Some(number))
    }

    /// Clause A1: trunks write numbers in several ways.
    fn written(&mut self, number: &str) -> String {
        match (self.dice.throw(3), number.strip_prefix("+49"), number.strip_prefix('+')) {
            (0, Some(national), _) => format!("0{national}"),
            (1, _, Some(digits)) => format!("00{digits}"),
            _ => number.to_owned(),
        }
    }
}

/// A call with this calling number.
pub fn call(title: &str, from: Option<String>, number: Option<String>) -> Call {
    Call {
        title: title.to_owned(),
        from,
        number,
        to: scenes::SWITCHBOARD.to_owned(),
        when: When::AtOnce,
        dials: None,
        patience_s: None,
        talk_s: 4,
        hold: false,
        states: Vec::new(),
        in_line: false,
        shows: None,
        clauses: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_script_and_another_one_another() {
        let roster = Roster::shipped();
        let titles = |seed| -> Vec<String> {
            let plot = write(&roster, seed);
            plot.night
                .iter()
                .chain(&plot.day)
                .flat_map(|s| &s.calls)
                .map(|c| c.title.clone())
                .collect()
        };
        assert_eq!(titles(3), titles(3));
        assert_ne!(titles(3), titles(4));
        assert!(titles(3).len() >= 24);
    }

    #[test]
    fn a_script_names_people_who_are_there_and_calls_that_come_before() {
        let roster = Roster::shipped();
        let known = |id: &str| roster.person(id).is_some_and(|p| !p.sip_user.is_empty());
        for seed in 0..200 {
            let plot = write(&roster, seed);
            for scene in plot.night.iter().chain(&plot.day) {
                assert!(scene.gone.iter().chain(&scene.two_phones).all(|id| known(id)));
                assert!(scene.moods.iter().all(|(id, _)| known(id)));
                for (index, call) in scene.calls.iter().enumerate() {
                    let before = match call.when {
                        When::AtOnce => None,
                        When::Heard(n) | When::Answered(n) | When::Over(n) => Some(n),
                    };
                    assert!(before.is_none_or(|n| n < index), "{}: {}", scene.title, call.title);
                }
            }
        }
    }
}
