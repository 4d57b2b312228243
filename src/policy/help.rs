//! `[[help]]`: groups that help another while its callers wait long (clause B7).
//!
//! ```text
//!           longest wait > opens_at, or nobody of the group is there
//!   closed ───────────────────────────────────────────────────────────► open
//!          ◄───────────────────────────────────────────────────────────
//!           longest wait < closes_at, and somebody of the group is there
//! ```
//! Knows no directory: whether the groups exist is asked by `check`.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use super::fields::{At, Fields, Reader, Value};
use crate::domain::GroupName;

/// Bounds of the thresholds.
const WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);

/// Who helps whom, and when.
#[derive(Clone, Debug)]
pub struct Help {
    /// Whose callers.
    pub group: GroupName,
    /// Who helps.
    pub helpers: Vec<GroupName>,
    /// They do when the longest wait has passed this,
    pub opens_at: Duration,
    /// and until it is below this.
    pub closes_at: Duration,
    pub(super) clause: Arc<str>,
    pub(super) span: Range<usize>,
    /// Everything that it names, with its place.
    pub(super) named: Vec<At<GroupName>>,
}

impl Help {
    /// Every table of the file; what is wrong is noted.
    pub(super) fn read_all(value: Option<Value<'_>>, reader: &mut Reader<'_>) -> Vec<Self> {
        let tables = value.map(|v| reader.tables(v, "help")).unwrap_or_default();
        let mut all: Vec<Self> = Vec::new();
        for fields in tables {
            let span = fields.span.clone();
            let Some(help) = read(fields, reader) else { continue };
            if all.iter().any(|known| known.group == help.group) {
                let message = format!("two [[help]] are for `{}`", help.group);
                reader.error(span, message, Some("name all helpers in one".to_owned()));
            }
            all.push(help);
        }
        all
    }
}

fn read(mut fields: Fields<'_>, reader: &mut Reader<'_>) -> Option<Help> {
    let span = fields.span.clone();
    let group = fields.required("group", reader).and_then(|v| reader.text(v));
    let group = group.and_then(|text| name(text, reader));
    let helpers = fields.required("helpers", reader).and_then(|v| reader.texts(v));
    let helpers = helpers.unwrap_or_default().into_iter().filter_map(|text| name(text, reader));
    let helpers: Vec<At<GroupName>> = helpers.collect();
    let opens = fields.required("opens_at", reader).and_then(|v| reader.duration(v, WAITS));
    let closes = fields.required("closes_at", reader).and_then(|v| reader.duration(v, WAITS));
    let clause = super::rule::word("clause", &mut fields, reader);
    fields.finish(reader);
    let (group, opens, closes) = (group?, opens?, closes?);
    if *closes >= *opens {
        let hint = "it must be shorter, or help would open and close all the time".to_owned();
        reader.error(closes.span.clone(), "`closes_at` is not below `opens_at`", Some(hint));
    }
    for helper in helpers.iter().filter(|helper| helper.value == group.value) {
        reader.error(helper.span.clone(), format!("`{helper}` cannot help itself"), None);
    }
    Some(Help {
        group: group.value.clone(),
        helpers: helpers.iter().map(|helper| helper.value.clone()).collect(),
        opens_at: *opens,
        closes_at: *closes,
        clause,
        span,
        named: helpers.into_iter().chain([group]).collect(),
    })
}

/// A group's name; what is none is noted.
pub(super) fn name(text: At<String>, reader: &mut Reader<'_>) -> Option<At<GroupName>> {
    let Some(found) = GroupName::parse(&text) else {
        let hint = "a role, or \"role of department\"".to_owned();
        reader.error(text.span, format!("`{}` is no group", text.value), Some(hint));
        return None;
    };
    Some(At::new(found, text.span))
}
