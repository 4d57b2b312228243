//! What the file may say and what is said about it.

use super::*;
use crate::domain::{DigestHash, LockAfter, Transport, TrunkIdentity};

const SMALL: &str = r#"
[server]
domains = ["telefonist.example"]
country = "DE"
[[listen]]
bind = "127.0.0.1:5060"
[[trunk]]
name = "pbx"
from = ["127.0.0.1"]
"#;

fn problems(text: &str) -> Vec<String> {
    parse("t.toml", text).err().unwrap_or_default().iter().map(Problem::to_string).collect()
}

#[test]
fn a_small_file_is_enough() {
    let config = parse("t.toml", SMALL).expect("no problem");
    let settings = &config.settings;
    assert_eq!(settings.realm.as_ref(), "telefonist.example");
    let transports: Vec<_> = settings.listeners.iter().map(|l| l.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
    assert_eq!(settings.listeners[0].advertise.as_ref(), "127.0.0.1:5060");
    assert!(matches!(&settings.trunks[0].identity, TrunkIdentity::Address(a) if a.len() == 1));
    assert_eq!(settings.lock_after, LockAfter::Missed(1));
    assert_eq!(config.warnings, []);
}

#[test]
fn the_shipped_file_compiles_and_documents_every_key() {
    let shipped = include_str!("../../config/telefonist.toml");
    let config = parse("config/telefonist.toml", shipped).expect("no problem");
    assert_eq!(config.settings.listeners.len(), 4, "UDP and TCP, IPv4 and IPv6");
    for key in KEYS {
        let name = key.path.rsplit('.').next().expect("a path");
        let line = shipped.lines().find(|l| {
            l.trim_start_matches(['#', ' ']).split_once('=').is_some_and(|(k, _)| k.trim() == name)
        });
        let Some(line) = line else { panic!("{} is not in the shipped file", key.path) };
        assert!(!key.default.is_empty() || !line.starts_with('#'), "{} must be given", key.path);
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let text = r#"
[server]
domians = ["a.example"]
country = "Atlantis"
workers = 0
[[listen]]
bind = "0.0.0.0"
[timer]
[limits]
calls_max = "many"
wrap_up = "5s"
[[trunk]]
name = "pbx"
from = ["pbx.example"]
"#;
    let found = problems(text);
    for wanted in [
        "t.toml:2:2: error: `server.domains` is missing",
        "t.toml:3:1: error: unknown key `server.domians`\n  hint: did you mean `domains`?",
        "t.toml:4:11: error: `server.country`: `Atlantis` is no country with telephone numbers: \
         two letters are, such as `DE`",
        "t.toml:5:11: error: `server.workers`: 0 is not between 1 and 64; or write \"auto\"",
        "t.toml:7:8: error: `listen[].bind`: `0.0.0.0` is no address with port",
        "t.toml:8:2: error: unknown table `timer`\n  hint: did you mean `timers`?",
        "t.toml:10:13: error: `limits.calls_max`: must be a whole number, not a string",
        "t.toml:11:1: error: unknown key `limits.wrap_up`\n  hint: `wrap_up` belongs into `timers`",
        "t.toml:14:8: error: `trunk[].from`: `pbx.example` is no IP address",
    ] {
        assert!(found.iter().any(|p| p.starts_with(wanted)), "{wanted}\nin {found:#?}");
    }
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let found = problems("[server]\ndomains = [\"a\"\ncountry = \n");
    assert!(found.iter().any(|p| p.contains(":3:") && p.contains("not TOML")), "{found:#?}");
}

#[test]
fn a_trunk_is_known_by_address_or_by_digest() {
    let digest = format!(
        "{SMALL}\n[[trunk]]\nname = \"carrier\"\nuser = \"u\"\nha1_md5 = \"{}\"\nha1_sha256 = \"{}\"",
        "0".repeat(32),
        "f".repeat(64)
    );
    assert_eq!(problems(&digest), [""; 0]);
    let neither = format!("{SMALL}\n[[trunk]]\nname = \"x\"");
    assert!(problems(&neither)[0].contains("nothing says how this trunk is known"));
    let empty = problems(&format!("{neither}\nfrom = []"));
    assert!(empty[0].contains("nothing says how this trunk is known"), "{empty:?}");
    let wrong = problems(&format!("{neither}\nfrom = [\"pbx.example\"]"));
    assert!(wrong.len() == 1 && wrong[0].contains("pbx.example"), "{wrong:?}");
    let both = format!("{SMALL}\n[[trunk]]\nname = \"x\"\nfrom = [\"127.0.0.2\"]\nuser = \"u\"");
    assert!(problems(&both)[0].contains("by address or by digest"));
    let twice = format!("{SMALL}\n[[trunk]]\nname = \"x\"\nfrom = [\"::ffff:127.0.0.1\"]");
    assert!(problems(&twice)[0].contains("is trunk `pbx` already"));
}

#[test]
fn the_outbound_trunk_must_be_there_and_reachable() {
    let unknown = SMALL.replace("country", "outbound_trunk = \"pxb\"\ncountry");
    assert!(problems(&unknown)[0].contains("did you mean `pbx`?"));
    let nowhere = SMALL.replace("country", "outbound_trunk = \"pbx\"\ncountry");
    assert!(problems(&nowhere)[0].contains("trunk `pbx` has no `to`"));
}

#[test]
fn metrics_are_for_this_host_only() {
    let open = format!("{SMALL}\n[admin]\nhttp = \"0.0.0.0:9160\"");
    assert!(problems(&open)[0].contains("is not a loopback address"));
    let off = format!("{SMALL}\n[admin]\nhttp = \"off\"");
    assert_eq!(parse("t.toml", &off).expect("no problem").shell.http, None);
}

#[test]
fn a_notification_names_what_it_lacks() {
    let mail = format!("{SMALL}\n[callback]\nnotify = \"email\"");
    let found = problems(&mail);
    assert!(found.iter().any(|p| p.contains("needs `callback.smtp`")), "{found:?}");
    assert!(found.iter().any(|p| p.contains("needs `callback.email_from`")), "{found:?}");
}

#[test]
fn a_missing_file_says_how_to_name_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = load(folder.path()).expect_err("nothing there");
    assert!(found[0].to_string().contains("--config DIR"), "{}", found[0]);
}

#[test]
fn a_problem_is_shown_with_its_line() {
    let text = SMALL.replace("\"DE\"", "\"Q\"");
    let found = parse("t.toml", &text).expect_err("no such country");
    let shown = render(&found, |_| Some(text.clone()));
    assert!(shown.contains("  | country = \"Q\"\n  |           ^^^\n  = ISO 3166"), "{shown}");
}

#[test]
fn both_hashes_are_offered_unless_set_and_old_phones_are_known() {
    let settings = parse("t.toml", SMALL).expect("no problem").settings;
    assert_eq!(settings.digests, [DigestHash::Md5, DigestHash::Sha256]);
    assert!(settings.md5_only_agents.iter().any(|a| "baresip v1.0.0".starts_with(&**a)));
    let set = SMALL.replace("country", "digest = [\"sha-256\"]\nmd5_only_agents = []\ncountry");
    let settings = parse("t.toml", &set).expect("no problem").settings;
    assert_eq!(
        (&settings.digests[..], settings.md5_only_agents.len()),
        (&[DigestHash::Sha256][..], 0)
    );
    let many = format!("md5_only_agents = [{}]\ncountry", "\"x\",".repeat(33));
    assert_eq!(problems(&SMALL.replace("country", &many)).len(), 1);
    let empty = SMALL.replace("country", "md5_only_agents = [\" \"]\ncountry");
    assert_eq!(problems(&empty).len(), 1, "it would be everybody");
}

#[test]
fn who_turned_a_call_down_rests_for_a_second_at_least() {
    let with = |key: &str, span: &str| format!("{SMALL}\n[timers]\n{key} = \"{span}\"");
    for key in ["refuse_backoff", "busy_backoff"] {
        let found = problems(&with(key, "0s"));
        let wanted = format!("error: `timers.{key}`: `0s` is not between 1s and 3600s");
        assert!(found.len() == 1 && found[0].contains(&wanted), "{found:?}");
        assert_eq!(problems(&with(key, "999ms")).len(), 1);
        assert_eq!(problems(&with(key, "1s")), [""; 0]);
    }
}

#[test]
fn a_group_that_is_not_there_is_told_before_the_server_cannot_start() {
    let with = |group: &str| format!("{SMALL}\n[admin]\nsocket_group = \"{group}\"");
    let found = problems(&with("no such group"));
    let wanted =
        "t.toml:12:16: error: `admin.socket_group`: this host has no group `no such group`";
    assert!(found.len() == 1 && found[0].starts_with(wanted), "{found:?}");
    assert_eq!(problems(&with("root")), [""; 0]);
}

#[test]
fn what_is_not_shown_stands_in_no_name() {
    for hidden in ["\\n", "\\u0007", "\\u001b[2J", "\\u0085", "\\u2028", "\\u202e", "\\u2066"] {
        let found = problems(&SMALL.replace("\"pbx\"", &format!("\"pb{hidden}x\"")));
        assert!(
            found.len() == 1 && found[0].starts_with("t.toml:8:8: error: this text has a control")
        );
    }
    let user = format!("{SMALL}[[trunk]]\nname = \"x\"\nuser = \"a\\tb\"\nha1_md5 = \"x\"");
    assert!(problems(&user).iter().any(|p| p.starts_with("t.toml:12:8: error: this text")));
}

#[test]
fn a_star_code_that_comes_twice_is_told_at_its_second_use_with_the_place_of_the_first() {
    let told = |codes: &str| problems(&format!("{SMALL}\n[star_codes]\n{codes}"));
    let begin = SMALL.lines().count() + 2;
    let (first, second) = (begin + 1, begin + 2);
    let both = told("pause = \"*77\"\nlogin = \"*77\"\n");
    let why =
        format!("t.toml:{second}:9: error: `*77` means `pause` already (line {first}, column 9)");
    assert_eq!(both, [why]);
    // The other is nowhere in the file.
    let one = told("login = \"*12\"\n");
    let why = "error: `*12` means `logout`, which has it by default";
    assert_eq!(one, [format!("t.toml:{first}:9: {why}")]);
    let also = told("logout = \"*11\"\nlogin = \"*12\"\n");
    assert!(also.is_empty(), "changed places: {also:?}");
}
