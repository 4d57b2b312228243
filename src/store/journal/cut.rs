//! At start: the last lines that a kill or a bad disk left broken are cut off and set aside.
//!
//! Only the last segment of a source can be torn: an earlier one was left with everything written.
//! The cut bytes go to `<segment>.torn` beside it, for whoever wants to look. Damage in the middle
//! stays where it is: every reader skips and reports it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::Serialize;

use super::line;
use super::segment::Segment;

/// What was cut off one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Which file.
    pub segment: String,
    /// Its size now, bytes.
    pub at: u64,
    /// What was cut, bytes.
    pub bytes: u64,
}

/// Cuts every torn tail in `dir`. No writer may be at work there.
///
/// # Errors
/// A segment cannot be read or shortened.
pub fn cut_torn_tails(dir: &Path) -> io::Result<Vec<Cut>> {
    let last: BTreeMap<_, _> =
        Segment::list(dir)?.into_iter().map(|s| ((s.run, s.source), s)).collect();
    let mut cuts = Vec::new();
    for segment in last.into_values() {
        cuts.extend(cut_one(dir, segment)?);
    }
    Ok(cuts)
}

fn cut_one(dir: &Path, segment: Segment) -> io::Result<Option<Cut>> {
    let path = segment.path(dir);
    let bytes = fs::read(&path)?;
    let sound = line::sound_len(&bytes);
    if sound == bytes.len() {
        return Ok(None);
    }
    let torn = bytes.len() - sound;
    // Setting aside is a courtesy; on a full disk the cut still comes first.
    let _ = fs::write(dir.join(format!("{segment}.torn")), &bytes[sound..]);
    File::options().write(true).open(&path)?.set_len(sound as u64)?;
    tracing::warn!(%segment, at = sound, bytes = torn, "journal: torn tail cut");
    Ok(Some(Cut { segment: segment.to_string(), at: sound as u64, bytes: torn as u64 }))
}
