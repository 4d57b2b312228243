//! What one run is made of: a seed, how many callers, which faults; and how it is said on the command line.

use std::collections::BTreeSet;

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// A stream of its own for each purpose: a fault that is taken away changes no other.
    pub fn of(seed: u64, purpose: u64) -> Self {
        let mut rng = Self(seed ^ (purpose << 40));
        Self(rng.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

macro_rules! faults {
    ($($fault:ident $name:literal $what:literal,)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $fault,)*
        }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$fault,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    Loss "loss" "Datagrams are lost.",
    Copies "copies" "Datagrams come twice.",
    Reorder "reorder" "Datagrams overtake one another.",
    Delay "delay" "A datagram comes up to 32 s late.",
    Reset "reset" "A connection breaks in the middle of a message.",
    Vanish "vanish" "A phone is switched off, and begins anew later.",
    Refuse "refuse" "A phone refuses, in every way that there is.",
    Silent "silent" "A phone never answers, or rings for ever.",
    Twice "twice" "A phone answers twice.",
    Late "late" "A phone answers although CANCEL came.",
    Elsewhere "elsewhere" "A person registers another phone while the first rings.",
    HangUp "hangup" "Callers hang up at every point, never acknowledge, put on hold.",
    Dial "dial" "Our people dial colleagues, star codes and the outside.",
    Pause "pause" "People pause, log out, are hung up on by a supervisor.",
    Roster "roster" "People are absent, are moved to other groups, have their positions closed, at any time.",
    Orders "orders" "Supervisors close queues, move people and waiting calls, switch emergency plans and help.",
    Policy "policy" "Another policy is loaded at any time.",
    Settings "settings" "Other settings are loaded at any time.",
    Database "database" "The client database is slow, silent, away, or wrong.",
    Stall "stall" "A worker stands still for seconds.",
    Clock "clock" "The wall clock jumps by up to an hour.",
    Timers "timers" "Ten thousand timers are due at one instant.",
    Kill "kill" "The process is killed and begins again from its journal.",
    Panic "panic" "A worker panics in the middle of a turn.",
}

/// Which of them.
pub type Faults = BTreeSet<Fault>;

pub fn all_but(without: &[Fault]) -> Faults {
    Fault::ALL.iter().copied().filter(|fault| !without.contains(fault)).collect()
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// So many callers come while faults are on.
    pub calls: u32,
    /// So many troubles at most (a pause, a kill, …); a shorter script of the same seed.
    pub troubles: u32,
    pub faults: Faults,
}

impl Options {
    pub fn new(seed: u64, calls: u32, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { seed, calls, troubles: u32::MAX, faults: faults.into_iter().collect() }
    }

    /// `SIM_SEED`, `SIM_CALLS`, `SIM_FAULTS`, `SIM_TROUBLES`; `None` if no seed is asked for.
    pub fn from_environment(of: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let number = |name: &str, unless: u64| match of(name) {
            Some(text) => text.parse().map_err(|_| format!("{name}={text} is no number")),
            None => Ok(unless),
        };
        if of("SIM_SEED").is_none() {
            return Ok(None);
        }
        let faults = match of("SIM_FAULTS").as_deref() {
            None | Some("all") => Fault::ALL.iter().copied().collect(),
            Some("none" | "") => Faults::new(),
            Some(names) => names.split(',').map(named).collect::<Result<_, _>>()?,
        };
        let bounded = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Some(Self {
            seed: number("SIM_SEED", 0)?,
            calls: bounded(number("SIM_CALLS", 60)?),
            troubles: bounded(number("SIM_TROUBLES", u64::MAX)?),
            faults,
        }))
    }

    /// The command that does it again.
    pub fn command(&self) -> String {
        let names: Vec<&str> = self.faults.iter().map(|fault| fault.name()).collect();
        let faults = match names.len() {
            0 => "none".to_owned(),
            n if n == Fault::ALL.len() => "all".to_owned(),
            _ => names.join(","),
        };
        let troubles = match self.troubles {
            u32::MAX => String::new(),
            n => format!(" SIM_TROUBLES={n}"),
        };
        format!(
            "SIM_SEED={} SIM_CALLS={} SIM_FAULTS={faults}{troubles} cargo test --test sim -- chosen",
            self.seed, self.calls
        )
    }
}

fn named(name: &str) -> Result<Fault, String> {
    let found = Fault::ALL.iter().copied().find(|fault| fault.name() == name.trim());
    let known = || Fault::ALL.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("SIM_FAULTS: no fault is called `{name}`; there are {}", known()))
}

#[test]
fn options_are_read_back_from_their_command() {
    let mut options = Options::new(7, 9, [Fault::Kill, Fault::Loss]);
    options.troubles = 3;
    let command = options.command();
    let words = command.split(' ').filter_map(|word| word.split_once('='));
    let of = |name: &str| words.clone().find(|(n, _)| *n == name).map(|(_, v)| v.to_owned());
    assert_eq!(Options::from_environment(&of), Ok(Some(options)));
    assert!(Options::from_environment(&|name| of(name).map(|v| format!("{v}?"))).is_err());
    assert_eq!(Options::from_environment(&|_| None), Ok(None));
}
