//! What the README tells people to type works as it stands there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use super::cli_scene::{Running, Scene, err, out};

fn readme() -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).ok()
}

/// The lines of the shell blocks.
fn shell_lines(readme: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in readme.lines() {
        match line.strip_prefix("```") {
            Some(what) => inside = what.starts_with("sh"),
            None if inside => lines.push(line),
            None => {}
        }
    }
    lines
}

/// `line` as a shell runs it beside the shipped configuration, with a password on standard input.
fn typed(scene: &Scene, line: &str) -> Command {
    let line = line.replace("$telefonist", "\"$telefonist\" --state state");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &format!("exec {line}")]).current_dir(scene.path(""));
    shell.env("telefonist", env!("CARGO_BIN_EXE_telefonist")).env_remove("RUST_LOG");
    shell.stdin(Stdio::from(std::fs::File::open(scene.path("password")).expect("there")));
    shell
}

#[test]
fn the_tour_of_the_readme_runs_as_it_is_written() {
    let Some(readme) = readme() else { return };
    let scene = Scene::new();
    for name in ["people.csv", "departments.csv", "absences.csv", "clients.csv"] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        std::fs::copy(shipped, scene.config().join(name)).expect("shipped");
    }
    scene.write("password", b"open sesame\n");
    let lines = shell_lines(&readme);
    let tour: Vec<&str> = lines.into_iter().filter(|l| l.starts_with("$telefonist ")).collect();
    let (serve, others) = tour.split_last().expect("a tour");
    assert!(others.len() >= 6, "{tour:?}");
    for line in others {
        let output = typed(&scene, line).output().expect("a shell");
        assert!(output.status.success(), "{line}: {}{}", out(&output), err(&output));
    }
    assert_eq!(*serve, "$telefonist serve");
    let mut server = Running::begin(typed(&scene, serve));
    server.says(" ready ");
    server.signal("-TERM");
    assert_eq!(server.child.wait().expect("it ends").code(), Some(0));
}

/// Words behind a command that are no placeholders: `agent move PERSON --to …` gives `agent move`, `--to`.
fn command_and_options(text: &str) -> (Vec<&str>, BTreeSet<&str>) {
    let is_word = |w: &&str| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let words = || text.split([' ', '[', ']']).filter(|w| !w.is_empty());
    let command = words().take_while(|w| is_word(w) && !w.starts_with('-')).take(2).collect();
    (command, words().filter(|w| w.starts_with("--")).collect())
}

#[test]
fn every_command_and_option_that_the_readme_names_exists() {
    let Some(readme) = readme() else { return };
    let scene = Scene::new();
    let named = readme.lines().filter(|l| l.starts_with("| ") && l.matches('|').count() >= 3);
    let rows = named.skip_while(|l| !l.starts_with("| you want |")).skip(1);
    let rows = rows.take_while(|l| l.contains('`') && !l.starts_with("| `"));
    let of_rows = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let of_text = readme.split('`').skip(1).step_by(2).filter(|c| c.starts_with("telefonist "));
    let mut checked = 0;
    for quoted in of_rows.chain(of_text).filter(|q| !q.contains('\n')) {
        let quoted = quoted.strip_prefix("telefonist ").unwrap_or(quoted);
        let (command, options) = command_and_options(quoted);
        // Only options, or a word for the reader.
        let Some((first, rest)) = command.split_first() else { continue };
        let mut help = scene.run(&[&command[..], &["--help"]].concat());
        if !help.status.success() {
            help = scene.run(&[first, "--help"]);
            assert!(!rest.is_empty() && !out(&help).contains("Commands:"), "`{quoted}`");
        }
        assert!(help.status.success(), "`{quoted}`: {}", err(&help));
        let help = out(&help);
        for option in options {
            assert!(help.contains(option), "`{quoted}`: no {option} in\n{help}");
        }
        checked += 1;
    }
    assert!(checked > 25, "{checked} commands are named");
}
