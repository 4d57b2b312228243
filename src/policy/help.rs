//! `[[help]]`: groups that help another while its callers wait long (clause B7).
//!
//! ```text
//!           longest wait > opens_at, or nobody of the group is there
//!   closed ───────────────────────────────────────────────────────────► open
//!          ◄───────────────────────────────────────────────────────────
//!           longest wait < closes_at, and somebody of the group is there
//! ```
//! Whether the groups exist is asked by `check`.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use super::Policy;
use super::fields::{At, Fields, Reader, Value};
use crate::domain::{AgentId, Directory, GROUPS_PER_PERSON_MAX, GroupName, Person, QueueId};

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

impl Policy {
    /// Where a person helps: the queues of the groups that one of theirs helps, and that they do not serve
    /// themselves; in the order of the file.
    pub fn helps_in<'a>(
        &'a self,
        directory: &'a Directory,
        agent: AgentId,
    ) -> impl Iterator<Item = (&'a Help, QueueId)> {
        let own = directory.queues_of(agent);
        self.helps.iter().filter_map(move |help| {
            let mut helpers = help.helpers.iter().filter_map(|group| directory.group_queue(group));
            let queue = directory.group_queue(&help.group)?;
            let helps = helpers.any(|queue| own.contains(&queue)) && !own.contains(&queue);
            helps.then_some((help, queue))
        })
    }

    /// People who serve and help in more groups than the board has places for, with the first help that
    /// is one too many, and how many groups it would be.
    pub(super) fn overfull<'a>(
        &'a self,
        directory: &'a Directory,
    ) -> impl Iterator<Item = (&'a Person, &'a Help, usize)> {
        directory.agents().filter_map(|(agent, person)| {
            // The own queue is no group's.
            let own = directory.queues_of(agent).len() - 1;
            let helps: Vec<(&Help, QueueId)> = self.helps_in(directory, agent).collect();
            let (help, _) = helps.get(GROUPS_PER_PERSON_MAX.saturating_sub(own))?;
            Some((&**person, *help, own + helps.len()))
        })
    }

    /// The same in words, for who orders it.
    pub fn too_many_groups(&self, directory: &Directory) -> Vec<String> {
        self.overfull(directory)
            .map(|(person, help, count)| overfull(person, help, count))
            .collect()
    }
}

/// `kai would serve 17 groups, helping operator: 16 are possible`.
pub(super) fn overfull(person: &Person, help: &Help, count: usize) -> String {
    let (id, group) = (&person.id, &help.group);
    format!(
        "{id} would serve {count} groups, helping {group}: {GROUPS_PER_PERSON_MAX} are possible"
    )
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
    let clause = super::clauses::named(&mut fields, reader);
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
