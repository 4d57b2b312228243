//! Where a call must go: written from the paper (`policy.md`) and the tables, not from the policy
//! engine or its configuration, which must not be asked here.
//!
//! Every clause is one function below and reads like the paper. What a scene does to its people (who
//! is not there, who does not answer) is an input; clause C7's edges are [`walk`].

use super::roster::{Client, Person, Roster};

/// How a person meets one call of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No phone, logged out, locked (clause C4).
    Gone,
    /// Takes it.
    Answers,
    /// Busy, and free again before anybody's patience or the step's `wait` is over.
    BusyForAMoment,
    /// Busy for longer than every `wait`.
    BusyForLong,
    /// Lets it ring.
    RingsOut,
    /// Says no, or the phone says "busy".
    Refuses,
}

/// The circumstances of a call.
pub struct Situation<'a> {
    /// The tables.
    pub roster: &'a Roster,
    /// The calling number as E.164; `None` if withheld or malformed.
    pub number: Option<&'a str>,
    /// The called number.
    pub called: &'a str,
    /// Every department is closed.
    pub night: bool,
    /// The caller hangs up before anybody can answer.
    pub gives_up: bool,
    /// How a person meets this call.
    pub state: &'a dyn Fn(&str) -> State,
}

/// How a call must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Somebody speaks with the caller.
    Answered,
    /// Nobody could: a callback is promised.
    CallbackPromised,
    /// Closed: a callback is promised.
    OutOfHours,
    /// The caller went.
    Abandoned,
}

/// What must come of a call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Expected {
    /// Section B's clause.
    pub clause: &'static str,
    /// The client's name.
    pub client: Option<String>,
    /// Who may answer: anybody of these.
    pub answered_by: Vec<String>,
    /// Whose phones may ring, step by step, in this order.
    pub may_ring: Vec<Vec<String>>,
    /// For whom the answering person stands in.
    pub stands_in_for: Option<String>,
    /// The end.
    pub outcome: End,
}

/// One step: people, and for whom they stand in.
struct Step {
    people: Vec<String>,
    instead_of: Option<String>,
}

/// What the paper says about this call.
pub fn expect(situation: &Situation<'_>) -> Expected {
    let roster = situation.roster;
    let client = situation.number.and_then(|number| roster.client_of(number));
    let (clause, route) = route(situation, client);
    let mut expected = Expected {
        clause,
        client: client.map(|c| c.name.clone()),
        answered_by: Vec::new(),
        may_ring: Vec::new(),
        stands_in_for: None,
        outcome: End::CallbackPromised,
    };
    // C2: out of hours nobody is rung; the caller is promised a callback.
    if situation.night {
        expected.outcome = End::OutOfHours;
        return expected;
    }
    walk(situation, route, &mut expected);
    if situation.gives_up {
        expected.answered_by.clear();
        expected.stands_in_for = None;
        expected.outcome = End::Abandoned;
    }
    expected
}

/// C7: gone is skipped at once, busy may be waited for, no answer and refusal go to the next.
fn walk(situation: &Situation<'_>, route: Vec<Step>, expected: &mut Expected) {
    let absent = |id: &str| situation.roster.absence(id).is_some();
    for step in route {
        let state = |id: &String| if absent(id) { State::Gone } else { (situation.state)(id) };
        let with = |wanted: &[State]| -> Vec<String> {
            step.people.iter().filter(|id| wanted.contains(&state(id))).cloned().collect()
        };
        let rings = with(&[State::Answers, State::BusyForAMoment, State::RingsOut, State::Refuses]);
        if !rings.is_empty() {
            expected.may_ring.push(rings);
        }
        let answers = with(&[State::Answers, State::BusyForAMoment]);
        if !answers.is_empty() {
            expected.answered_by = answers;
            expected.stands_in_for = step.instead_of;
            expected.outcome = End::Answered;
            return;
        }
    }
}

/// B: the first that fits, in the order B1, B9, B2, B3, B4.
fn route(situation: &Situation<'_>, client: Option<&Client>) -> (&'static str, Vec<Step>) {
    let roster = situation.roster;
    match (situation.number, client) {
        // A1: withheld or malformed is "unidentified": A5 sends it to the operators.
        (None, _) => ("B4", to_operators(roster)),
        (Some(number), None) => ("B1", to_heads(roster, relevant(situation, number))),
        (Some(number), Some(c)) if c.is_new() => {
            ("B1", to_heads(roster, relevant(situation, number)))
        }
        (_, Some(c)) if !c.vip.is_empty() => ("B9", to_vip_manager(roster, c)),
        (_, Some(c)) if c.kind == "key" => ("B2", to_key_manager(roster, c)),
        (_, Some(c)) if c.is_debtor() => ("B3", to_finance(roster, c)),
        _ => ("B4", to_operators(roster)),
    }
}

/// B1: by the called number, then by the caller's region, then the default.
fn relevant(situation: &Situation<'_>, number: &str) -> &'static str {
    let called = [
        ("910", "wholesale"),
        ("920", "market"),
        ("930", "retail"),
        ("940", "regional"),
        ("950", "sales_support"),
    ];
    let by_number = called.iter().find(|(end, _)| situation.called.ends_with(end));
    let by_region = ["+468", "+331"].iter().any(|prefix| number.starts_with(prefix));
    match by_number {
        Some((_, department)) => department,
        None if by_region => "regional",
        None => "wholesale",
    }
}

/// B1: head, who stands in, the shift leader if the shift has no head, head of the default
/// department, operators.
fn to_heads(roster: &Roster, department: &str) -> Vec<Step> {
    let head = roster.head(department);
    let default = roster.head("wholesale");
    let leaders = roster.holders("shift_leader").filter(|p| p.department == department);
    vec![
        one(head),
        deputies(roster, head),
        all(leaders),
        one(default),
        deputies(roster, default),
        all(roster.holders("operator")),
    ]
}

/// B9: personal manager, deputy, another VIP manager of that department, head of client service.
fn to_vip_manager(roster: &Roster, client: &Client) -> Vec<Step> {
    let department = roster.person(&client.manager).map_or("", |p| &p.department);
    let others = roster.holders("vip_manager").filter(|p| p.department == department);
    let head = roster.head("client_service");
    let mut route = managers(roster, client);
    route.extend([all(others), one(head), deputies(roster, head)]);
    route
}

/// B2: manager, deputy, any other key-account manager, head of wholesale.
fn to_key_manager(roster: &Roster, client: &Client) -> Vec<Step> {
    let head = roster.head("wholesale");
    let mut route = managers(roster, client);
    route.extend([all(roster.holders("key_account_manager")), one(head), deputies(roster, head)]);
    route
}

/// B3: finance, the assigned manager, head of finance.
fn to_finance(roster: &Roster, client: &Client) -> Vec<Step> {
    let head = roster.head("finance");
    let mut route = vec![all(roster.holders("finance"))];
    route.extend(managers(roster, client));
    route.extend([one(head), deputies(roster, head)]);
    route
}

/// B4: operators, then their replacement, the shift leader.
fn to_operators(roster: &Roster) -> Vec<Step> {
    vec![all(roster.holders("operator")), all(roster.holders("shift_leader"))]
}

fn managers(roster: &Roster, client: &Client) -> Vec<Step> {
    let here = roster.person(&client.manager).filter(|p| p.left_on.is_empty());
    match here {
        Some(manager) => vec![one(&manager.id), deputies(roster, &manager.id)],
        None => Vec::new(),
    }
}

/// C1: whoever was named for the absence; a deputy may be absent too, the chain goes on to its end.
fn deputies(roster: &Roster, absent: &str) -> Step {
    let mut people = Vec::new();
    let mut next = roster.absence(absent);
    while let Some(absence) = next {
        let known = people.contains(&absence.deputy) || absence.deputy == absent;
        if absence.deputy.is_empty() || known {
            break;
        }
        people.push(absence.deputy.clone());
        next = roster.absence(&absence.deputy);
    }
    Step { people, instead_of: Some(absent.to_owned()) }
}

fn one(person: &str) -> Step {
    let people = [person].into_iter().filter(|p| !p.is_empty()).map(str::to_owned).collect();
    Step { people, instead_of: None }
}

fn all<'a>(people: impl Iterator<Item = &'a Person>) -> Step {
    Step { people: people.map(|p| p.id.clone()).collect(), instead_of: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: &str, called: &str, states: &[(&str, State)]) -> Expected {
        let roster = Roster::shipped();
        let state = |id: &str| {
            states.iter().find(|(who, _)| *who == id).map_or(State::Answers, |(_, s)| *s)
        };
        let number = (!number.is_empty()).then_some(number);
        let (night, gives_up) = (false, false);
        expect(&Situation { roster: &roster, number, called, night, gives_up, state: &state })
    }

    fn number(code: &str) -> String {
        let roster = Roster::shipped();
        roster
            .clients
            .iter()
            .find(|c| c.code == code)
            .and_then(|c| c.numbers().next())
            .expect("a number")
    }

    #[test]
    fn each_kind_of_caller_goes_by_its_clause() {
        let cases = [
            ("K001", "B2", "anna.berg"),
            ("K004", "B2", "anna.berg"),
            ("K010", "B9", "lena.maurer"),
            ("G010", "B9", "lena.maurer"),
            ("M003", "B3", "fritz.ebner"),
            ("M009", "B3", "fritz.ebner"),
            ("P001", "B1", "vera.lind"),
        ];
        for (code, clause, who) in cases {
            let expected = of(&number(code), "+4930231250", &[]);
            assert_eq!((expected.clause, expected.answered_by), (clause, vec![who.to_owned()]));
        }
        for code in ["M012", "G014", "R003", "R042", "M011", "R031", "P005"] {
            assert_eq!(of(&number(code), "", &[]).clause, "B4", "{code}");
        }
        assert_eq!(of("", "", &[]).clause, "B4");
    }

    #[test]
    fn chains_of_deputies_are_followed_to_their_end() {
        let expected = of(&number("K006"), "", &[]);
        assert_eq!(expected.answered_by, ["anna.berg"]);
        assert_eq!(expected.stands_in_for.as_deref(), Some("boris.falk"));
        let head = of("+12125550190", "+4930 23125 930", &[]);
        assert_eq!((head.clause, head.answered_by), ("B1", vec!["ivo.marek".to_owned()]));
        let shift = of("+12125550190", "950", &[]);
        assert_eq!(shift.answered_by, ["nina.adler"]);
        assert_eq!(of("+46846500450", "", &[]).answered_by, ["ivo.marek"]);
    }

    #[test]
    fn gone_busy_no_answer_and_refused_lead_on_to_the_next_step() {
        let away = [("anna.berg", State::Gone)];
        assert_eq!(of(&number("K002"), "", &away).answered_by, ["vera.lind"]);
        let busy = [("fritz.ebner", State::BusyForLong)];
        assert_eq!(of(&number("M003"), "", &busy).answered_by, ["marta.stein"]);
        let silent = [("lena.maurer", State::RingsOut)];
        let expected = of(&number("R022"), "", &silent);
        assert_eq!(expected.may_ring[0], ["lena.maurer"]);
        assert!(expected.answered_by.contains(&"viktor.lang".to_owned()));
        let nobody = [("anna.berg", State::Gone), ("vera.lind", State::Gone)];
        assert_eq!(of(&number("K001"), "", &nobody).outcome, End::CallbackPromised);
    }
}
