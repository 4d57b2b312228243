//! The shipped files, everything that `compile` refuses, and `reach` against brute force.

use super::*;
use crate::domain::{
    Client, ClientId, ClientType, DirectoryLimits, DirectoryRows, Money, Number, Vip,
};

const POLICY: &str = include_str!("../../config/policy.toml");
const CALENDARS: &str = include_str!("../../config/calendars.toml");

fn names() -> Names {
    let trunk = |id, seconds| (TrunkId::new(id), Duration::from_secs(seconds));
    Names { trunks: vec![trunk("pbx", 110), trunk("carrier", 60)], numbers: NumberFormat::of("DE") }
}

fn read(text: &str) -> Result<Policy, Vec<Problem>> {
    let sources =
        Sources { policy: ("policy.toml", text), calendars: ("calendars.toml", CALENDARS) };
    Policy::read(&sources, &names())
}

/// `line:column message` of each problem, with the hint after a bar.
fn problems(text: &str) -> Vec<String> {
    let problems = match read(text) {
        Ok(policy) => policy.warnings,
        Err(problems) => problems,
    };
    let line = |p: &Problem| {
        let hint = p.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
        format!("{}:{} {}{hint}", p.line, p.column, p.message)
    };
    problems.iter().map(line).collect()
}

/// A good beginning of 3 lines.
const SETTINGS: &str =
    "[settings]\ndefault_department = \"wholesale\"\ncallback_owner = \"head of wholesale\"\n";

/// A last rule that takes everybody; 4 lines.
const REST: &str =
    "[[rule]]\nname = \"rest\"\nclause = \"B4\"\nroute = [ { to = \"callback\" } ]\n";

fn rule(name: &str, when: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nclause = \"B4\"\nwhen = {when}\nroute = [ {{ to = \"callback\" }} ]\n"
    )
}

#[test]
fn the_shipped_policy_has_no_problem() {
    let sources =
        Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", CALENDARS) };
    let pbx = Names { trunks: vec![(TrunkId::new("pbx"), Duration::from_secs(110))], ..names() };
    let policy = Policy::read(&sources, &pbx).expect("a good policy");
    assert_eq!(policy.warnings, []);
    let clauses: Vec<&str> = policy.rules().map(|(_, clause)| clause.as_ref()).collect();
    assert_eq!(clauses, ["B1", "B9", "B2", "B3", "B3", "B4"]);
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let expected = [
        "1:1 [settings] is missing | it needs at least default_department and callback_owner",
        "1:1 there is no rule | a policy needs at least one [[rule]]",
    ];
    assert_eq!(problems(""), expected);
}

#[test]
fn every_bad_setting_is_told_at_its_place() {
    let text = r#"[settings]
default_departmnt = "wholesale"
callback_owner = "manager"
grace_days = -1
debt_data_max_age = "1 fortnight"
use_old_debt = "yes"
vip_debtor = "personal_manger"
debtor = { first = "finance", when = "on_order" }
ring = 20
wait = "2h"
display = "{nme}"
head_start = { client_type = { kye = "60s", key = "2h" }, vip = { gold = "1s" } }
"#;
    let expected = [
        "1:1 `default_department` is missing in [settings]",
        "2:1 `default_departmnt` is not known in [settings] | did you mean `default_department`?",
        "3:18 not every caller has a `manager` | \"head of …\" or \"person …\"",
        "4:14 `-1` is outside 0 to 3650",
        "5:21 \"1 fortnight\" is not a length of time | like \"20s\", \"1m30s\", \"2h\" or \"1d\"",
        "6:16 this is a text, true or false is needed",
        "7:14 `personal_manger` is not known here | did you mean `personal_manager`?",
        "8:38 `on_order` needs the order form, which is not there | \"on_arrival\", until orders are recorded here",
        "9:8 a length of time needs its unit | write \"20s\" for seconds",
        "10:8 `2h` is outside 0 s to 60 min",
        "11:11 there is no `{nme}` | did you mean `name`?",
        "12:32 no client type is called `kye` | did you mean `key`?",
        "12:51 `2h` is outside 0 s to 60 min",
        "12:67 `gold` is not known in vip | known are: local, branch",
    ];
    assert_eq!(problems(&format!("{text}{REST}")), expected);
}

#[test]
fn every_bad_condition_is_told_at_its_place() {
    let when = r#"{ client_type = ["key", "retial"], vip = "gold", new = 1, trunk = "pxb", called = "x", open = "operator", departmnt = "a", region = [] }"#;
    let expected = [
        "7:32 no client type is called `retial` | did you mean `retail`?",
        "7:49 `gold` is no VIP level | known are: none, local, branch",
        "7:63 this is a number, true or false is needed",
        "7:74 no trunk is called `pxb` | did you mean `pbx`?",
        "7:90 \"x\" is no number | like \"+49 30 23125 100\", or \"+49 30 23125 2*\" for all that begin so",
        "7:102 no calendar is called `operator` | did you mean `operators`?",
        "7:114 `departmnt` is not known in `when` | did you mean `department`?",
        "7:140 this list is empty",
    ];
    let text = format!("{SETTINGS}{}{REST}", rule("a", when));
    assert_eq!(problems(&text), expected);
}

#[test]
fn every_bad_step_is_told_at_its_place() {
    let text = format!(
        "{SETTINGS}{}",
        r#"[[rule]]
name   = "a"
clause = "B2"
wen    = { vip = true }
when   = { vip = true }
route  = [
  { to = "manger", ring = "20s" },
  { to = "deputies of manger", wait = "20 s" },
  { to = "manager", ring = "0s", order = "longest idle" },
  { to = "role operator", order = "random", ringing = "2s" },
  { to = "role operator", together = 2.5 },
  { ring = "2s" },
  { to = "callback", owner = "somebody", wait = "2s" },
  { to = "manager" },
]
[[rule]]
name   = "a"
route  = "pas"
"#
    );
    let expected = [
        "4:1 `a` can take 110 s (every wait and the last ring), trunk carrier gives up after 60 s | shorten a wait, or raise the trunk's answer_within",
        "7:1 `wen` is not known in a rule | did you mean `when`?",
        "10:11 nobody can be reached by `manger` | did you mean `manager`?",
        "11:23 nobody can be reached by `manger` | did you mean `manager`?",
        "12:28 `0s` is outside 1 s to 3 min",
        "12:42 `manager` is one person at a time: there is no order",
        "13:35 `random` is not known here | known are: longest idle, round robin, fewest calls, least talk time, skill",
        "13:45 `ringing` is not known in a step | known are: to, ring, wait, only, clause, order, level, together",
        "14:10 `role operator` is in this route already | a plan never goes back to a step that it has left (B10)",
        "14:38 this is a number with a fraction, a whole number is needed",
        "15:3 `to` is missing in a step",
        "16:31 nobody can be reached by `somebody` | known are: manager, head, person",
        "16:42 `wait` is not known in a step | known are: to, owner",
        "17:3 the route has ended before this step",
        "19:1 `clause` is missing in a rule",
        "19:1 a rule in line 4 is called `a` too",
        "21:10 `pas` is no route | did you mean `pass`?",
    ];
    assert_eq!(problems(&text), expected);
}

#[test]
fn a_route_that_can_end_with_nobody_is_refused() {
    let text = format!(
        "{SETTINGS}[[rule]]\nname = \"a\"\nclause = \"B4\"\nroute = [ {{ to = \"role operator\" }} ]\n"
    );
    let expected = ["7:18 this route can end with nobody | end it with { to = \"callback\" }"];
    assert_eq!(problems(&text), expected);
    let empty = text.replace("{ to = \"role operator\" }", "");
    assert_eq!(problems(&empty), [expected[0].replace("7:18", "7:9")]);
}

#[test]
fn pass_and_refuse_are_whole_routes() {
    let whole = |route: &str| {
        format!("{SETTINGS}[[rule]]\nname = \"a\"\nclause = \"B4\"\nroute = {route}\n")
    };
    assert!(read(&whole("\"pass\"\ntrunk = \"carrier\"")).is_ok());
    assert!(read(&whole("\"refuse\"\nstatus = 603")).is_ok());
    let unknown = problems(&whole("\"pass\"\ntrunk = \"carier\""));
    assert_eq!(unknown, ["8:9 no trunk is called `carier` | did you mean `carrier`?"]);
    let status = problems(&whole("\"refuse\"\nstatus = 500"));
    assert_eq!(status, ["8:10 a policy does not refuse with this | 403, 480, 486 or 603"]);
    let after = whole("[ { to = \"manager\" }, { to = \"refuse\", status = 486 } ]");
    assert_eq!(
        problems(&after),
        [
            "7:38 who has waited in a step cannot be sent to `refuse` | end with \"callback\"; \"pass\" and \"refuse\" are whole routes"
        ]
    );
    assert_eq!(problems(&whole("\"pass\"")), ["4:1 `trunk` is missing in a rule"]);
}

#[test]
fn a_rule_that_passes_a_trunks_calls_back_to_it_is_a_warning() {
    let pass = |trunks: &str| {
        let pass = "route = \"pass\"\ntrunk = \"carrier\"";
        format!(
            "{SETTINGS}[[rule]]\nname = \"a\"\nclause = \"B4\"\nwhen = {{ trunk = {trunks} }}\n{pass}\n{REST}"
        )
    };
    assert_eq!(problems(&pass("\"pbx\"")), [""; 0]);
    let told = problems(&pass("[\"pbx\", \"carrier\"]"));
    let warning = "4:1 `a` passes calls of trunk carrier back to it | ";
    assert!(told.len() == 1 && told[0].starts_with(warning), "{told:?}");
}

#[test]
fn a_rule_that_one_earlier_rule_shadows_is_told_with_that_rule() {
    let text = format!(
        "{SETTINGS}{}{}{REST}",
        rule("keys", "{ client_type = [\"key\", \"retail\"] }"),
        rule("debtors", "{ client_type = \"key\", debtor = true }")
    );
    let hint = " | move it up, narrow those before it, or remove it";
    let expected =
        [format!("12:8 `debtors` is never reached: `keys` (line 4) takes all its calls{hint}")];
    assert_eq!(problems(&text), expected);
}

#[test]
fn a_rule_that_several_rules_shadow_together_is_told_with_all_of_them() {
    let text = format!(
        "{SETTINGS}{}{}{}{REST}",
        rule("owes", "{ debtor = true }"),
        rule("new", "{ new = true, region = \"North\" }"),
        rule("rest of North", "{ region = \"North\", debtor = false, new = false }")
    )
    .replace("name = \"rest\"\n", "name = \"rest\"\nwhen = { debtor = true }\n");
    let found = problems(&text);
    let hint = "move it up, narrow those before it, or remove it";
    let expected =
        format!("21:8 `rest` is never reached: `owes` (line 4) takes all its calls | {hint}");
    assert_eq!(found[1], expected);
    assert!(found[0].starts_with("19:1 no rule fits this call"), "{found:?}");

    let text = format!(
        "{SETTINGS}{}{}{}{REST}",
        rule("owes", "{ debtor = true }"),
        rule("owes not", "{ debtor = false, vip = false }"),
        rule("vip or not", "{ client_type = \"key\", vip = [\"none\"] }"),
    );
    let expected = format!(
        "17:8 `vip or not` is never reached: `owes` (line 4), `owes not` (line 9) together take all its calls | {hint}"
    );
    assert_eq!(problems(&text), [expected]);
}

#[test]
fn a_rule_that_is_off_hides_nothing_and_is_told_if_nobody_would_reach_it_when_it_is_on() {
    let (finance, manager) = (
        "{ debtor = true, debtor_first = \"finance\" }",
        "{ debtor = true, debtor_first = \"manager\" }",
    );
    let text = |rules: &[(&str, &str)]| {
        let rules: String = rules.iter().map(|(name, when)| rule(name, when)).collect();
        format!("{SETTINGS}{rules}{REST}")
    };
    let as_it_ships = text(&[("finance", finance), ("manager", manager)]);
    assert_eq!(problems(&as_it_ships), [""; 0], "each way for one value of the setting");
    let hides = text(&[("manager", manager), ("owes", "{ debtor = true }")]);
    assert_eq!(problems(&hides), [""; 0], "what is off hides nothing");
    let why = "takes all its calls, also with the setting that switches it on | \
               move it up, narrow those before it, or remove it";
    let behind = text(&[("owes", "{ debtor = true }"), ("manager", manager)]);
    let expected = format!("12:8 `manager` is never reached: `owes` (line 4) {why}");
    assert_eq!(problems(&behind), [expected]);
    // In the only world in which the last one is on, the first one is on too.
    let behind = text(&[
        ("manager", manager),
        ("vip", "{ vip = true, debtor = true, debtor_first = \"manager\" }"),
    ]);
    let expected = format!("12:8 `vip` is never reached: `manager` (line 4) {why}");
    assert_eq!(problems(&behind), [expected]);
    // With either value of the other setting somebody stands before it.
    let (personal, to_finance) = (
        "{ vip = true, debtor = true, vip_debtor = \"personal_manager\" }",
        "{ vip = true, debtor = true, vip_debtor = \"finance\" }",
    );
    let last = ("last", "{ vip = true, debtor = true, debtor_first = \"manager\" }");
    let found = problems(&text(&[("one", personal), ("other", to_finance), last]));
    assert!(
        found.len() == 1 && found[0].starts_with("17:8 `last` is never reached: "),
        "{found:?}"
    );
    assert_eq!(problems(&text(&[("one", personal), last])), [""; 0]);
}

#[test]
fn a_clause_that_only_a_rule_that_is_off_names_is_told_at_the_rule() {
    let key = |when: &str| rule("key client", when).replace("\"B4\"", "\"B2\"");
    let off = "{ client_type = \"key\", debtor_first = \"manager\" }";
    let expected = "4:1 the settings switch `key client` off, and nothing else that is on names clause \
                    B2 | change the setting that its `when` asks for, or name the clause elsewhere";
    assert_eq!(problems(&format!("{SETTINGS}{}{REST}", key(off))), [expected]);
    let on = "debtor = { first = \"manager\", when = \"on_arrival\" }\n";
    assert_eq!(problems(&format!("{SETTINGS}{on}{}{REST}", key(off))), [""; 0], "it is on");
    let either =
        "[ { client_type = \"key\", debtor_first = \"manager\" }, { client_type = \"key\" } ]";
    assert_eq!(
        problems(&format!("{SETTINGS}{}{REST}", key(either))),
        [""; 0],
        "the other half is on"
    );
    let other = rule("key, else", "{ client_type = \"key\" }").replace("\"B4\"", "\"B2\"");
    assert_eq!(
        problems(&format!("{SETTINGS}{}{other}{REST}", key(off))),
        [""; 0],
        "another has it"
    );
}

#[test]
fn one_alternative_of_a_rule_may_be_the_shadowed_one() {
    let when = "[ { vip = true }, { vip = \"local\", new = false } ]";
    let text = format!("{SETTINGS}{}{REST}", rule("vip", when));
    assert!(problems(&text)[0].starts_with("7:26 `vip` is never reached: `vip` (line 4) takes"));
}

#[test]
fn what_cannot_be_together_is_never_reached() {
    for when in [
        "{ identified = false, client_type = \"key\" }",
        "{ identified = false, debtor = true }",
        "{ identified = false, vip = true }",
        "{ open = \"finance\", closed = \"operators\" }",
        "{ called = [\"+49 30 1\"], trunk = \"pbx\", open = \"office\", closed = \"office\" }",
    ] {
        let text = format!("{SETTINGS}{}{REST}", rule("never", when));
        let found = problems(&text);
        let message = "`never` is never reached: no call can be all of this at once";
        assert!(found[0].contains(message), "{when}: {found:?}");
    }
}

#[test]
fn hours_that_do_come_together_are_reached() {
    for when in [
        "{ open = [\"operators\", \"office\"], closed = \"finance\" }",
        "{ open = \"operators\", closed = [\"office\", \"finance\", \"regional\"] }",
        // Only on the branch's own holiday are the others open and the branch is not, at that hour.
        "{ open = [\"operators\", \"office\", \"finance\"], closed = \"regional\" }",
        "{ open = \"regional\", closed = [\"operators\", \"office\", \"finance\"] }",
    ] {
        let text = format!("{SETTINGS}{}{REST}", rule("sometimes", when));
        assert_eq!(problems(&text), [""; 0], "{when}");
    }
}

#[test]
fn a_caller_whom_no_rule_fits_is_printed() {
    let text = format!(
        "{SETTINGS}{}{}",
        rule(
            "clients",
            "{ identified = true, client_type = [\"key\", \"marketer\", \"own_outlet\", \"retail\", \"regional\"] }"
        ),
        rule("strangers", "{ identified = false }")
    );
    let hint = "end with a rule without `when` (B4: everybody else, to the operators)";
    let call = "a known client, type that the policy does not name, VIP none, owes nothing, over trunk pbx";
    assert_eq!(problems(&text), [format!("9:1 no rule fits this call: {call} | {hint}")]);

    let hours = format!("{SETTINGS}{}", rule("day", "{ open = \"operators\" }"));
    assert!(problems(&hours)[0].contains("operators closed"), "{:?}", problems(&hours));
}

#[test]
fn a_rule_that_a_setting_switches_off_is_no_mistake() {
    let text = format!(
        "{SETTINGS}{}{}{REST}",
        rule("a", "{ debtor = true, debtor_first = \"finance\" }"),
        rule("b", "{ debtor = true, debtor_first = \"manager\" }")
    );
    assert_eq!(problems(&text), [""; 0]);
}

#[test]
fn a_route_longer_than_a_trunk_waits_is_a_warning() {
    let long = "[[rule]]\nname = \"a\"\nclause = \"B2\"\nwhen = { trunk = \"TRUNK\" }\nroute = [\n\
                { to = \"manager\", ring = \"20s\", wait = \"30s\" },\n\
                { to = \"deputies of manager\", ring = \"20s\", wait = \"30s\" },\n\
                { to = \"role operator\", ring = \"20s\", wait = \"30s\" },\n\
                { to = \"callback\" } ]\n";
    let text = |trunk: &str| format!("{SETTINGS}{}{REST}", long.replace("TRUNK", trunk));
    assert_eq!(problems(&text("pbx")), [""; 0], "a manager and the deputy never both wait");
    assert_eq!(
        problems(&text("carrier")),
        [
            "4:1 `a` can take 80 s (every wait and the last ring), trunk carrier gives up after 60 s | shorten a wait, or raise the trunk's answer_within"
        ]
    );
    assert!(read(&text("carrier")).is_ok(), "only a warning");
}

#[test]
fn a_broken_line_does_not_hide_the_mistakes_beside_it() {
    let text = format!("{SETTINGS}ring = \n{}{REST}", rule("a", "{ client_type = \"kye\" }"));
    let found = problems(&text);
    assert!(found.iter().any(|p| p.starts_with("4:")), "{found:?}");
    assert!(found.iter().any(|p| p.starts_with("8:24 no client type")), "{found:?}");
}

#[test]
fn calendars_with_mistakes_keep_their_names() {
    let sources = Sources {
        policy: ("policy.toml", &format!("{SETTINGS}{}{REST}", rule("a", "{ open = \"x\" }"))),
        calendars: ("calendars.toml", "[x]\nzone = \"Nowhere\"\nweek = \"always\"\n"),
    };
    let problems = Policy::read(&sources, &names()).expect_err("a bad zone");
    assert_eq!(problems[0].file.as_ref(), "calendars.toml");
    assert!(problems.iter().all(|p| !p.message.contains("no calendar")), "{problems:?}");
}

#[test]
fn no_text_makes_the_compiler_panic() {
    let bytes = POLICY.as_bytes();
    for at in (0..bytes.len()).step_by(211) {
        for damage in ["", "\"", "}", "[", "=", "é"] {
            let mut text = bytes[..at].to_vec();
            text.extend_from_slice(damage.as_bytes());
            text.extend_from_slice(&bytes[at + at % 7..]);
            let text = String::from_utf8_lossy(&text);
            let sources = Sources { policy: ("p", &text), calendars: ("c", "") };
            if let Err(problems) = Policy::read(&sources, &names()) {
                assert!(problems.iter().any(Problem::is_error));
            }
        }
    }
    for at in (0..CALENDARS.len()).step_by(23) {
        if let Some(text) = CALENDARS.get(..at) {
            let _ = calendars("c", text);
        }
    }
}

/// `reach` against brute force: random rules, every call of a small world tried.
#[test]
fn gaps_and_shadows_are_exactly_those_that_calls_find() {
    let mut random = Random(20_260_304);
    let mut kinds = [0; 3];
    let rows = DirectoryRows {
        calendars: calendars("calendars.toml", CALENDARS).expect("good calendars"),
        ..DirectoryRows::default()
    };
    let limits = DirectoryLimits { agents_max: 1, groups_max: 1 };
    let directory = Directory::build(None, rows, limits).expect("an empty directory");
    for _ in 0..80 {
        let rules: Vec<String> = (0..1 + random.below(4)).map(|_| random.when()).collect();
        let text: String =
            rules.iter().enumerate().map(|(i, when)| rule(&i.to_string(), when)).collect();
        let text = format!("{SETTINGS}{text}");
        let sources = Sources { policy: ("p", &text), calendars: ("c", CALENDARS) };
        let (policy, found) = Policy::read_all(&sources, &names());
        let mut taken = vec![false; rules.len()];
        let mut gap = false;
        for facts in small_world() {
            let seen = seen::Seen::new(&policy, &directory, &facts);
            let rule = decide::first_match(&policy, &directory, &seen).1;
            match rule.map(|rule| rule.name.parse::<usize>().expect("named by its place")) {
                Some(index) => taken[index] = true,
                None => gap = true,
            }
        }
        let says = |what: &str| found.iter().any(|p| p.message.contains(what));
        assert_eq!(says("no rule fits"), gap, "{text}\n{found:?}");
        for (index, taken) in taken.iter().enumerate() {
            let never = says(&format!("`{index}` is never reached"));
            assert_eq!(never, !taken, "rule {index} of\n{text}\n{found:?}");
        }
        kinds[0] += usize::from(gap);
        kinds[1] += usize::from(taken.contains(&false));
        kinds[2] += usize::from(found.is_empty());
    }
    assert!(kinds.iter().all(|k| *k > 10), "the sample has seen every kind: {kinds:?}");
}

/// Knuth's multiplier; enough for a test and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn when(&mut self) -> String {
        let mut tests = Vec::new();
        let choices: [&[&str]; 7] = [
            &[
                "client_type = \"key\"",
                "client_type = [\"key\", \"retail\", \"marketer\", \"own_outlet\", \"regional\"]",
            ],
            &["vip = true", "vip = false", "vip = \"local\""],
            &["new = true", "new = false"],
            &["debtor = true", "debtor = false"],
            &["identified = true", "identified = false"],
            &["called = \"+4930*\"", "called = [\"+49301\", \"+4931\"]"],
            &["open = \"operators\"", "closed = \"operators\""],
        ];
        for choice in choices {
            if self.below(5) == 0 {
                tests.push(choice[self.below(choice.len() as u64) as usize]);
            }
        }
        format!("{{ {} }}", tests.join(", "))
    }
}

/// Every call that the rules above can tell apart.
fn small_world() -> Vec<Facts> {
    let mut world = Vec::new();
    let mut clients: Vec<Option<Client>> = vec![None];
    for client_type in ["key", "retail", "horeca"] {
        for vip in [Vip::None, Vip::Local, Vip::Branch] {
            for (owes, new) in [(false, false), (false, true), (true, false), (true, true)] {
                clients.push(Some(record(client_type, vip, owes, new)));
            }
        }
    }
    for client in clients {
        for from in ["", "+442079460001"] {
            for to in ["+4930", "+49301", "+4931", "+44"] {
                for at in ["2026-03-04T10:00:00Z", "2026-03-04T23:00:00Z"] {
                    world.push(facts(client.clone(), from, to, at));
                }
            }
        }
    }
    world
}

fn facts(client: Option<Client>, from: &str, to: &str, at: &str) -> Facts {
    Facts {
        at: at.parse().expect("an instant"),
        trunk: Some(TrunkId::new("pbx")),
        from_raw: Arc::from(from),
        from: Number::from_e164(from),
        to_raw: Arc::from(to),
        to: Number::from_e164(to),
        client: client.map(Arc::new),
        others: Vec::new(),
        index: IndexState::Fresh,
    }
}

fn record(client_type: &str, vip: Vip, owes: bool, new: bool) -> Client {
    Client {
        id: ClientId(1),
        name: Arc::from("ACME"),
        numbers: Vec::new(),
        client_type: ClientType::new(client_type),
        vip,
        vip_pending: false,
        manager: None,
        department: None,
        region: None,
        balance: Money(0),
        credit_limit: None,
        overdue: Money(i64::from(owes)),
        overdue_since: None,
        last_order: (!new).then(|| "2026-01-01".parse().expect("a day")),
        served_by_operators: false,
        notes: Arc::from(""),
        as_of: "2026-03-04T10:00:00Z".parse().expect("an instant"),
    }
}

#[test]
fn b8_what_is_wrong_with_an_emergency_plan_is_told_with_its_line() {
    let plan = |moves: &str| {
        format!(
            "{SETTINGS}{REST}[[emergency]]\nname = \"rush\"\nclause = \"B8\"\nmoves = [\n{moves}\n]\n"
        )
    };
    let good = plan(
        "{ move = \"ole\", to = \"x of y\", from = \"z\" },\n{ close = \"z\" },\n{ open = \"w\" },",
    );
    let policy = read(&good).expect("a good policy");
    let orders: Vec<String> =
        policy.emergencies().flat_map(Emergency::orders).map(ToString::to_string).collect();
    assert_eq!(orders, ["ole moved from z to x of y", "queue z closed", "queue w opened"]);
    let first = |moves: &str| problems(&plan(moves)).remove(0);
    assert_eq!(first(""), "8:1 a plan has 1 to 100 moves");
    assert!(first("{ move = \"ole\" }").starts_with("12:1 this is no move"));
    assert!(first("{ close = \"a\", open = \"b\" }").starts_with("12:1 this is no move"));
    assert!(first("{ close = \"a of\" }").starts_with("12:11 `a of` is no group"));
    for (moves, why) in [
        ("{ close = \"a\" },\n{ close = \"a\" }", "queue a closed: the plan says so twice"),
        ("{ close = \"a\" },\n{ open = \"a\" }", "the plan closes queue a and opens it"),
        ("{ open = \"a\" },\n{ close = \"a\" }", "the plan closes queue a and opens it"),
        (
            "{ close_position = \"p\" },\n{ open_position = \"p\" }",
            "the plan closes the position of p and opens it",
        ),
        (
            "{ move = \"p\", to = \"a\" },\n{ move = \"p\", to = \"b\" }",
            "p moved to b: that undoes an earlier move of the plan",
        ),
        (
            "{ move = \"p\", to = \"a\", from = \"c\" },\n{ move = \"p\", to = \"b\", from = \"c\" }",
            "p moved from c to b: that undoes an earlier move of the plan",
        ),
    ] {
        assert_eq!(problems(&plan(moves)), [format!("13:1 {why}")], "{moves}");
    }
    let same = first("{ move = \"p\", to = \"a\", from = \"a\" }");
    assert_eq!(same, "12:1 p is moved from a to a");
    let both = "{ move = \"p\", to = \"a\" },\n{ move = \"p\", to = \"b\", from = \"c\" }";
    assert_eq!(problems(&plan(both)), [] as [String; 0]);
    assert!(problems(&plan("{ shut = \"a\" }")).iter().any(|p| p.contains("`shut`")));
    let twice = good.clone() + &good[good.find("[[emergency]]").expect("there")..];
    assert!(problems(&twice)[0].contains("two emergency plans are called `rush`"));
}

#[test]
fn b1_every_order_is_read_and_what_is_wrong_with_one_is_told_at_its_place() {
    let text = |step: &str| {
        let rest = "name = \"rest\"\nclause = \"B4\"";
        format!("{SETTINGS}[[rule]]\n{rest}\nroute = [\n{step},\n{{ to = \"callback\" }},\n]\n")
    };
    let step = |more: &str| text(&format!("{{ to = \"role operator\", {more} }}"));
    let good = |more: &str| {
        let policy = read(&step(more)).expect("a good policy");
        let choice = &policy.rules[0].steps[0].choice;
        (choice.pick.to_string(), choice.together)
    };
    assert_eq!(good("wait = \"9s\""), ("longest idle first".to_owned(), 1));
    assert_eq!(good("order = \"round robin\", together = 3"), ("round robin".to_owned(), 3));
    assert_eq!(good("order = \"fewest calls\"").0, "fewest calls today first");
    assert_eq!(good("order = \"least talk time\"").0, "least talk time today first");
    let skill = "skill level 3 or more first, then the nearest below";
    assert_eq!(good("order = \"skill\", level = 3").0, skill);
    assert_eq!(good("order = [\"ida\", \"ole\"]").0, "in this order: ida, ole");
    for (more, problem) in [
        ("order = \"fastest\"", "8:33 `fastest` is not known here"),
        ("order = \"skill\"", "8:33 how skilled is not said | add level = 3, or what is wanted"),
        ("order = \"skill\", level = 101", "8:50 "),
        ("level = 3", "8:33 only a step in order of skill has a level | add order = \"skill\""),
        ("order = [\"a\"], level = 3", "8:48 only a step in order of skill has a level"),
        ("order = []", "8:33 this list is empty"),
        ("order = [\"a\", \"a\"]", "8:39 `a` is in this order already"),
        ("together = 17", "8:36 "),
        ("together = 0", "8:36 "),
    ] {
        let found = problems(&step(more)).remove(0);
        assert!(found.starts_with(problem), "{more}: {found}");
    }
    let one = text("{ to = \"manager\", order = \"skill\", level = 1, together = 2 }");
    let both = ["there is no order", "nobody rings beside"];
    for (found, what) in problems(&one).iter().zip(both) {
        assert!(found.ends_with(&format!("`manager` is one person at a time: {what}")), "{found}");
    }
    let two = text(
        "{ to = \"role a\", order = [\"ida\", \"ole\"] },\n\
         { to = \"role a of x\", order = [\"ole\", \"ida\"] }",
    );
    assert!(
        problems(&two)[1].contains("line 8 gives another order of `a`"),
        "{:?}",
        problems(&two)
    );
}

#[test]
fn b_head_starts_of_clients_and_people_are_bounded_together() {
    let text = |more: &str| format!("{SETTINGS}[settings.head_start]\n{more}\n{REST}");
    let good = read(&text(
        "client_type = { key = \"50m\" }\nown_calls = \"5m\"\nrole = { operator = \"10m\" }",
    ));
    assert_eq!(good.expect("good").settings().head_start_max(), Duration::from_secs(3_600));
    let bad = text("client_type = { key = \"50m\" }\nown_calls = \"11m\"");
    assert!(problems(&bad)[0].contains("pass 1 h together"), "{:?}", problems(&bad));
    assert!(problems(&text("own_calls = \"61m\""))[0].starts_with("5:13 "));
}

#[test]
fn b7_everything_that_is_wrong_with_help_is_told_at_its_place_at_once() {
    let help = |rows: &str| format!("{SETTINGS}{REST}[[help]]\nclause = \"B7\"\n{rows}\n");
    let good = "group = \"operator\"\nhelpers = [\"finance of x\", \"manager\"]\nopens_at = \"45s\"\ncloses_at = \"15s\"";
    let policy = read(&help(good)).expect("a good policy");
    let found = policy.helps().next().expect("one");
    assert_eq!((found.opens_at.as_secs(), found.closes_at.as_secs()), (45, 15));
    assert_eq!(found.helpers[0].to_string(), "finance of x");
    let text = help(
        "group = \"operator\"\nhelpers = [\"operator\", \"a b\"]\nopens_at = \"15s\"\ncloses_at = \"15s\"\nsoon = 1",
    );
    let found = problems(&text);
    for (found, expected) in found.iter().zip([
        "11:12 `operator` cannot help itself",
        "11:24 `a b` is no group | a role, or \"role of department\"",
        "13:13 `closes_at` is not below `opens_at` | it must be shorter",
        "14:1 `soon` is not known in help",
    ]) {
        assert!(found.starts_with(expected), "{found}");
    }
    assert_eq!(found.len(), 4);
    let twice = help(good) + "[[help]]\nclause = \"B7\"\n" + good;
    assert!(problems(&twice)[0].contains("two [[help]] are for `operator`"));
    let bare = format!("{SETTINGS}{REST}[[help]]\n");
    assert_eq!(problems(&bare).len(), 5, "{:?}", problems(&bare));
}

#[test]
fn what_is_not_shown_stands_in_no_name_of_the_policy() {
    let text = format!("{SETTINGS}{}{REST}", rule("key\\u202e", "{ client_type = \"key\" }"));
    let found = problems(&text);
    assert!(found.len() == 1 && found[0].starts_with("5:8 this text has a control"), "{found:?}");
}
