//! Tones prove who hears whom: each party says its own, and what the others recorded is measured.

use std::path::Path;

use crate::program::output_of;

/// How far what is heard may lie from what was said.
const OFF_BY_MAX: f64 = 0.05;

/// A minute of `hertz` at 8 kHz, 16 bit, in `file`.
pub fn say(file: &Path, hertz: u32) {
    let hertz = hertz.to_string();
    let file = file.to_str().expect("a plain name");
    let format = ["-n", "-r", "8000", "-c", "1", "-b", "16", file];
    let (status, text) =
        output_of("sox", &[&format[..], &["synth", "60", "sine", &hertz, "gain", "-6"]].concat());
    assert!(status.success(), "{text}");
}

/// What is mostly heard in `file` from its second half on, Hz; `None` for silence or too little.
pub fn heard(file: &Path) -> Option<f64> {
    let file = file.to_str().expect("a plain name");
    let length: f64 = output_of("soxi", &["-D", file]).1.trim().parse().ok()?;
    let begin = (length / 2.0).to_string();
    let (status, text) = output_of("sox", &[file, "-n", "trim", &begin, "stat"]);
    let value = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split(':').nth(1)?.trim().parse::<f64>().ok()
    };
    let is_loud = value("RMS     amplitude")? > 0.05;
    (status.success() && length > 0.5 && is_loud).then(|| value("Rough   frequency"))?
}

/// `file` holds the tone of `hertz` and nothing else.
pub fn is(file: &Path, hertz: u32) -> bool {
    heard(file).is_some_and(|f| (f / f64::from(hertz) - 1.0).abs() < OFF_BY_MAX)
}
