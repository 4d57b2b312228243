//! What an admin who changes the policy is told: by `check`, at the start and by `reload`.

use super::cli_scene::{Scene, out};

/// `LINE:COLUMN` of the first `text` in a file of the configuration.
fn place(scene: &Scene, file: &str, text: &str) -> String {
    let read = std::fs::read_to_string(scene.config().join(file)).expect("readable");
    let found = read.lines().enumerate().find_map(|(n, line)| Some((n, line.find(text)?)));
    let (line, column) = found.expect("there");
    format!("{file}:{}:{}", line + 1, column + 1)
}

#[test]
fn a_clause_that_the_paper_does_not_have_is_told_by_check_at_the_start_and_by_reload() {
    let scene = Scene::with_company();
    scene.edit("policy.toml", "clause = \"B2\"", "clause = \"Z9\"");
    let place = place(&scene, "policy.toml", "\"Z9\"");
    let warning = format!("{place}: warning: the paper has no clause `Z9`");
    let output = scene.run(&["check"]);
    let said = out(&output);
    assert!(output.status.success() && said.contains(&warning), "{said}");
    let server = scene.serve_quietly();
    let line = server.says("the policy is probably not what is meant");
    assert!(line.contains(&place) && line.contains("see `telefonist check`"), "{line}");
    server.says(" ready ");
    assert!(scene.ok(&["reload"]).contains(&warning));
}

#[test]
fn b8_a_role_whose_people_were_all_moved_away_is_told_with_the_order_and_how_to_take_it_back() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    let by = ["--by", "nina.adler"];
    scene.ok(&[&["agent", "move", "fritz.ebner", "--to", "operator"], &by[..]].concat());
    let place = place(&scene, "policy.toml", "finance\",                ring");
    let told = format!(
        "{place}: warning: nobody serves `finance` by order of a supervisor: fritz.ebner moved to operator \
         (by nina.adler at "
    );
    let how = "`telefonist agent back fritz.ebner --by PERSON` takes an order back";
    for said in [scene.ok(&["status"]), scene.ok(&["check"])] {
        assert!(said.contains(&told) && said.contains(how), "{said}");
        assert!(!said.contains("error:") && !said.contains("remove the step"), "{said}");
    }
    // Nor is it a reason to refuse what an admin changes meanwhile.
    scene.edit(
        "policy.toml",
        "to = \"role operator\",     ring",
        "to = \"role finance of finance\", ring",
    );
    assert!(scene.ok(&["reload"]).contains("reloaded"));
    scene.ok(&[&["agent", "back", "fritz.ebner"], &by[..]].concat());
    assert!(!scene.ok(&["check"]).contains("by order"));
}

#[test]
fn tables_that_cannot_be_read_are_an_error_and_not_a_note() {
    for (bytes, why) in [
        (&b"id,name,roles\nx.y,Caf\xe9 \x98,operator\n"[..], "people.csv is not UTF-8 (line 2)"),
        (&b""[..], "people.csv is empty"),
    ] {
        let scene = Scene::new();
        std::fs::write(scene.config().join("people.csv"), bytes).expect("written");
        let output = scene.run(&["check"]);
        let said = out(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let told = "error: people and clients are not checked: ";
        assert!(said.contains(told) && said.contains(why), "{said}");
    }
}

#[test]
fn no_bad_file_takes_the_place_of_a_good_one_in_a_running_server() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    let policy = || scene.json(&["status"])["policy"].clone();
    let before = policy();
    let file = scene.config().join("policy.toml");
    let good = std::fs::read(&file).expect("readable");
    let half = &good[..good.len() / 2];
    let changed = [&good[..], b"# caf\xe9\n"].concat();
    let nul = [&good[..], b"\0\n"].concat();
    let deep = [&good[..], b"\nx = ", &b"[".repeat(50_000)[..]].concat();
    let long = [&good[..], &b"# \n".repeat(2_000_000)[..]].concat();
    let wide: Vec<u8> = good.iter().flat_map(|byte| [*byte, 0]).collect();
    for bad in [&b""[..], half, &changed, &nul, &deep, &long, &wide] {
        std::fs::write(&file, bad).expect("written");
        let (code, said) = scene.fails(&["reload"]);
        assert!(code == 1 && said.contains("policy.toml"), "{code} {said}");
        assert_eq!(policy(), before);
    }
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("a folder");
    assert!(scene.fails(&["reload"]).1.contains("policy.toml"));
    std::fs::remove_dir(&file).expect("removed");
    std::fs::write(&file, good).expect("written");
    assert!(scene.ok(&["reload"]).contains("nothing is other than before"));
    assert_eq!(policy(), before);
}
