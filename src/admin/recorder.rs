//! `telefonist recorder`: what the workers were fed last, as a file for whoever looks for a fault.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::args::RecorderAction;
use super::ask::ask;
use super::context::Context;
use super::output::{Failure, Printed};
use crate::server::Ask;

pub(super) fn recorder(context: &Context, action: RecorderAction) -> Result<Printed, Failure> {
    let RecorderAction::Save { file } = action;
    let wrong = |e: std::io::Error| Failure::Refused(format!("{}: {e}", file.display()));
    let mut out =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(wrong)?;
    let saved = text(context).and_then(|text| {
        out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(wrong)?;
        Ok(text)
    });
    // Half a recording helps nobody, and would be in the way of the next.
    let saved = saved.inspect_err(|_| drop(fs::remove_file(&file)))?;
    Ok(printed(&file, &saved))
}

fn text(context: &Context) -> Result<String, Failure> {
    let answer = ask(context, &Ask::Recording)?;
    let text = answer.as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::Refused("the server answers with no recording".to_owned()))
}

fn printed(file: &Path, text: &str) -> Printed {
    let inputs = text.lines().filter(|line| line.starts_with("{\"fed\"")).count();
    let workers = text.lines().filter(|line| line.starts_with("{\"begin\"")).count();
    let end = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let unwritten = end.and_then(|end| end["end"]["unwritten"].as_u64()).unwrap_or(0);
    let mut said = format!(
        "{}: {inputs} inputs of {workers} workers; people's names, numbers and passwords are replaced",
        file.display()
    );
    if unwritten > 0 {
        said += &format!("; {unwritten} lines could not be written and are lacking");
    }
    let shown = json!({ "file": file.to_string_lossy(), "inputs": inputs, "workers": workers, "unwritten": unwritten });
    Printed::new(said, shown)
}
