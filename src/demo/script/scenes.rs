//! The scenes: every clause of the policy that a call can show, each in its circumstances.

use super::{Call, Casting, Dice, Mood, Roster, Scene, When, call};
use crate::demo::expected::State;
use crate::demo::roster::Client;

/// The company's main number: no department's.
pub const SWITCHBOARD: &str = "+4930231250";
const MARKET: &str = "+493023125920";
const RETAIL: &str = "+493023125930";
const REGIONAL: &str = "+493023125940";
const SUPPORT: &str = "+493023125950";
/// Numbers kept free for fiction that no client has.
const ABROAD: &str = "+121255501";
const STOCKHOLM: &str = "+468465004";

/// The whole script.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Played when everything is closed.
    pub night: Vec<Scene>,
    /// Played at ten in the morning.
    pub day: Vec<Scene>,
}

/// Writes the script that belongs to `seed`.
pub fn write(roster: &Roster, seed: u64) -> Plot {
    let mut dice = Dice::new(seed);
    let mut casting = Casting::new(roster, Dice::new(seed ^ 0x5eed));
    let scenes: [fn(&mut Casting<'_>) -> Scene; 10] = [
        at_the_desk,
        debts_and_deputies,
        not_answered,
        managers_away,
        busy_for_long,
        busy_for_a_moment,
        nobody_there,
        chains,
        in_line,
        gives_up_ringing,
    ];
    let mut play = |scene: fn(&mut Casting<'_>) -> Scene| {
        casting.next_scene();
        scene(&mut casting)
    };
    let night = vec![play(closed)];
    let mut day: Vec<Scene> = scenes.into_iter().map(play).collect();
    dice.shuffle(&mut day);
    for scene in &mut day {
        if scene.calls.iter().all(|call| call.when == When::AtOnce) {
            dice.shuffle(&mut scene.calls);
        }
    }
    Plot { night, day }
}

fn scene(title: &'static str, calls: Vec<Call>) -> Scene {
    Scene { title, gone: Vec::new(), moods: Vec::new(), two_phones: Vec::new(), calls }
}

fn retail(c: &Client) -> bool {
    c.kind == "retail"
        && c.vip.is_empty()
        && c.manager.is_empty()
        && !c.is_debtor()
        && !c.is_new()
        // Shares its number with another client.
        && c.code != "R041"
}

fn key_of<'a>(manager: &'a str) -> impl Fn(&Client) -> bool + 'a {
    move |c| c.kind == "key" && c.vip.is_empty() && c.manager == manager && !c.is_debtor()
}

fn vip_of<'a>(manager: &'a str) -> impl Fn(&Client) -> bool + 'a {
    move |c| !c.vip.is_empty() && c.manager == manager && !c.is_debtor()
}

fn debtor_of<'a>(manager: &'a str) -> impl Fn(&Client) -> bool + 'a {
    move |c| c.kind != "key" && c.vip.is_empty() && c.manager == manager && c.is_debtor()
}

fn shows(clauses: &[&'static str], call: Call) -> Call {
    Call { clauses: clauses.to_vec(), ..call }
}

fn to(number: &str, call: Call) -> Call {
    Call { to: number.to_owned(), ..call }
}

fn after(when: When, states: &[(&'static str, State)], call: Call) -> Call {
    Call { when, states: states.to_vec(), ..call }
}

fn talks(talk_s: u32, call: Call) -> Call {
    Call { talk_s, ..call }
}

fn at_the_desk(c: &mut Casting<'_>) -> Scene {
    let key = c.call("key client, manager at the desk, holds the line once", key_of("anna.berg"));
    let calls = vec![
        shows(&["A1", "A2", "D1"], c.call("VIP client", vip_of("lena.maurer"))),
        c.call("VIP client of the other manager", vip_of("viktor.lang")),
        Call { hold: true, ..key },
        shows(&["A4"], c.call("debtor", debtor_of("marta.stein"))),
        shows(&["A3"], c.stranger("new client, number unknown", ABROAD)),
        to(MARKET, c.stranger("new client calls the market department", ABROAD)),
        shows(&["A3"], c.stranger("new client from the north", STOCKHOLM)),
        c.call("retail client", retail),
        shows(&["A5"], call("number withheld", None, None)),
        shows(&["A1"], call("number malformed", Some("12x4567".to_owned()), None)),
    ];
    Scene { moods: vec![("viktor.lang", Mood::HangsUp)], ..scene("Everybody at the desk", calls) }
}

fn debts_and_deputies(c: &mut Casting<'_>) -> Scene {
    let owing = |c: &Client| c.kind == "key" && c.manager == "anna.berg" && c.is_debtor();
    let key = c.call("key client who owes money: to the manager, debt shown", owing);
    let vip = |c: &Client| !c.vip.is_empty() && c.is_debtor();
    let vip = c.call("VIP client who owes money: to the personal manager", vip);
    let left = |c: &Client| c.manager == "gregor.thal" && !c.is_debtor();
    // The shift leader is an operator as well: the others call when she has her call.
    let then = |call: Call| Call { when: When::Answered(0), ..call };
    let twice = Some("+493023125122".to_owned());
    let twice = call("one number, two clients: the one with a manager", twice.clone(), twice);
    let limit = c.call("exactly at the credit limit", Client::is_at_limit);
    let calls = vec![
        to(SUPPORT, shows(&["C1"], c.stranger("a shift without its head: shift leader", ABROAD))),
        shows(&["A4"], Call { shows: Some("debt"), ..key }),
        shows(&["A4"], Call { shows: Some("debt"), ..vip }),
        to(RETAIL, shows(&["C1"], c.stranger("head travelling, deputy of another house", ABROAD))),
        then(shows(&["A4"], limit)),
        then(shows(&["A1"], twice)),
        then(shows(&["A3"], c.call("the manager has left the company", left))),
    ];
    scene("Debts and deputies", calls)
}

fn not_answered(c: &mut Casting<'_>) -> Scene {
    let anna = "anna.berg";
    let locked = c.call("manager locked after the missed call", key_of(anna));
    let back = c.call("manager is back (star code)", key_of(anna));
    let calls = vec![
        shows(&["C4", "C7", "B10"], c.call("manager does not answer: next in line", key_of(anna))),
        shows(&["C4", "C7"], after(When::Over(0), &[(anna, State::Gone)], locked)),
        shows(&["C7", "B10"], c.call("VIP manager declines: the other one", vip_of("lena.maurer"))),
        shows(&["C7"], c.call("finance's phone says busy: manager", debtor_of("marta.stein"))),
        Call {
            dials: Some((anna, "*14")),
            ..shows(&["C4"], after(When::Over(1), &[(anna, State::Answers)], back))
        },
    ];
    let moods = vec![
        (anna, Mood::RingsOut),
        ("lena.maurer", Mood::Declines),
        ("fritz.ebner", Mood::SaysBusy),
    ];
    Scene { moods, ..scene("Nobody answers, somebody declines", calls) }
}

fn any_key(c: &Client) -> bool {
    c.kind == "key" && c.vip.is_empty() && c.manager != "anna.berg" && !c.is_debtor()
}

fn managers_away(c: &mut Casting<'_>) -> Scene {
    let left = |c: &Client| c.manager == "gregor.thal" && c.is_debtor();
    let calls = vec![
        shows(&["C3", "C7"], c.call("finance gone: the manager", debtor_of("marta.stein"))),
        c.call("finance gone, the manager has left: head of finance", left),
        shows(&["C3"], c.call("key manager gone: head of wholesale", any_key)),
        c.call("VIP manager gone: another one", vip_of("lena.maurer")),
    ];
    let gone = vec!["fritz.ebner", "anna.berg", "lena.maurer"];
    Scene { gone, ..scene("Managers away", calls) }
}

fn busy_for_long(c: &mut Casting<'_>) -> Scene {
    let debtor = debtor_of("ivo.marek");
    let long = State::BusyForLong;
    let calls = vec![
        // Two steps of the next caller's route wait for her.
        talks(70, c.call("chain of deputies, who then talks for long", key_of("boris.falk"))),
        after(
            When::Answered(0),
            &[("anna.berg", long)],
            c.call("manager busy for long: head of wholesale", key_of("clara.voss")),
        ),
        talks(45, c.call("debtor who talks for long", &debtor)),
        after(
            When::Answered(2),
            &[("fritz.ebner", long)],
            c.call("finance busy for long: the manager", &debtor),
        ),
        talks(45, c.call("VIP client who talks for long", vip_of("viktor.lang"))),
        after(
            When::Answered(4),
            &[("viktor.lang", long)],
            c.call("personal manager busy for long: another one", vip_of("viktor.lang")),
        ),
    ];
    let calls = calls.into_iter().map(|call| shows(&["C7"], call)).collect();
    scene("Managers busy for long", calls)
}

fn busy_for_a_moment(c: &mut Casting<'_>) -> Scene {
    let moment = State::BusyForAMoment;
    let calls = vec![
        talks(8, c.call("debtor", debtor_of("ivo.marek"))),
        after(
            When::Answered(0),
            &[("fritz.ebner", moment)],
            shows(&["C7"], c.call("waits until finance is free", debtor_of("ivo.marek"))),
        ),
    ];
    scene("Finance busy for a moment", calls)
}

fn nobody_there(c: &mut Casting<'_>) -> Scene {
    let calls = vec![
        c.call("key client, nobody there", |c| c.kind == "key" && c.vip.is_empty()),
        c.call("VIP client, nobody there", |c| !c.vip.is_empty()),
        c.call("debtor, nobody there", debtor_of("ivo.marek")),
        c.call("retail client, nobody there", retail),
        c.stranger("new client, nobody there", ABROAD),
    ];
    let gone = vec![
        "anna.berg",
        "boris.falk",
        "clara.voss",
        "vera.lind",
        "lena.maurer",
        "viktor.lang",
        "helene.kraus",
        "fritz.ebner",
        "ivo.marek",
        // The managers help the operators (B7).
        "marta.stein",
        "karl.winter",
        "nina.adler",
        "olga.reim",
        "pavel.horn",
    ];
    Scene { gone, ..scene("Nobody there: callbacks are promised", calls) }
}

fn chains(c: &mut Casting<'_>) -> Scene {
    let prospect = |c: &Client| c.kind == "prospect" && c.is_new();
    let boris = key_of("boris.falk");
    let calls = vec![
        shows(&["C1"], c.call("manager on leave, deputy sick, her deputy", boris)),
        to(REGIONAL, c.stranger("new client calls the regional department", ABROAD)),
        to(MARKET, shows(&["A3"], c.call("prospect, heads away: operators inform", prospect))),
    ];
    let gone = vec!["otto.brandt", "vera.lind", "nina.adler", "pavel.horn"];
    let two_phones = vec!["olga.reim"];
    Scene { gone, two_phones, ..scene("Chains of deputies, an operator with two phones", calls) }
}

fn in_line(c: &mut Casting<'_>) -> Scene {
    let mut calls: Vec<Call> =
        (1..=3).map(|_| talks(14, c.call("keeps an operator busy", retail))).collect();
    for n in 1..=4 {
        // The first waits when all three talk; each later one comes after the one before.
        let when = if n == 1 { When::Answered(2) } else { When::Heard(calls.len() - 1) };
        let waiting = c.call("waits in line", retail);
        calls.push(Call { in_line: true, when, ..shows(&["C7"], waiting) });
    }
    let when = When::Heard(calls.len() - 1);
    let impatient = c.call("gives up waiting", retail);
    calls.push(Call { patience_s: Some(5), when, ..shows(&["D1"], impatient) });
    for index in [1, 2] {
        calls[index].when = When::Answered(index - 1);
    }
    scene("All operators busy: a queue", calls)
}

fn gives_up_ringing(c: &mut Casting<'_>) -> Scene {
    let impatient = to(MARKET, c.stranger("gives up while the phone rings", ABROAD));
    let calls = vec![Call { patience_s: Some(8), ..shows(&["D1"], impatient) }];
    let moods = vec![("otto.brandt", Mood::RingsOut)];
    Scene { moods, ..scene("The caller gives up", calls) }
}

fn closed(c: &mut Casting<'_>) -> Scene {
    let calls = vec![
        shows(&["C2"], c.call("retail client at night", retail)),
        shows(&["C2"], c.call("key client at night", |c| c.kind == "key" && c.vip.is_empty())),
    ];
    scene("Half past four in the morning: closed", calls)
}
