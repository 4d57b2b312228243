//! Who helps whom now (clause B7). One worker watches a queue: the one that its number names.

use std::time::Duration;

use super::{Switch, What};
use crate::domain::{GroupName, Moment, QueueId, ShardId};
use crate::policy::Help;

/// The watched queues are looked at this often; in between when somebody comes or goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Switch {
    /// Opens and closes help as the waits say, if that is due.
    pub(super) fn helps_due(&mut self, now: Moment) {
        let epoch = self.core.shared.board.presence_epoch();
        if self.help_at > now && self.help_epoch == epoch {
            return;
        }
        let policy = self.core.policy.clone();
        self.help_at = Moment::NEVER;
        for help in policy.helps() {
            if let Some(queue) = self.watched(&help.group) {
                self.help_at = now + LOOK_EVERY;
                self.look_at_help(now, help, queue);
            }
        }
        // A reload may have taken it away.
        let directory = self.core.directory.clone();
        for group in directory.groups() {
            let board = &self.core.shared.board;
            let kept = policy.helps().any(|help| help.group == group.name());
            if !kept && board.is_help_open(group.queue) && board.close_help(group.queue) {
                self.say_help(now, &group.name(), "closed: the policy names no helpers");
            }
        }
        // What we did ourselves is no news.
        self.help_epoch = self.core.shared.board.presence_epoch();
    }

    fn watched(&self, group: &GroupName) -> Option<QueueId> {
        let queue = self.core.directory.group_queue(group)?;
        let watcher = ShardId((queue.0 % self.core.shards.max(1)) as u8);
        (watcher == self.core.shard).then_some(queue)
    }

    fn look_at_help(&mut self, now: Moment, help: &Help, queue: QueueId) {
        let board = &self.core.shared.board;
        let wait = board.longest_wait(queue, now);
        let group = self.core.directory.group_of_queue(queue);
        let members = group.map(|group| group.members.as_slice()).unwrap_or_default();
        let alone = members.iter().all(|agent| board.presence(*agent).is_gone());
        let seconds = wait.as_secs();
        if !board.is_help_open(queue) && (alone || wait > help.opens_at) {
            board.open_help(self.core.shard, queue);
            let why = match alone {
                true => "open: nobody of the group is there".to_owned(),
                false => format!("open: the longest wait is {seconds} s"),
            };
            self.say_help(now, &help.group, &why);
        } else if board.is_help_open(queue) && !alone && wait < help.closes_at {
            board.close_help(queue);
            self.say_help(now, &help.group, &format!("closed: the longest wait is {seconds} s"));
        } else if !board.is_help_open(queue) && !wait.is_zero() {
            // The threshold itself, not the second after it.
            let left = help.opens_at.saturating_sub(wait) + Duration::from_millis(1);
            self.help_at = self.help_at.min(now + left);
        }
    }

    fn say_help(&mut self, now: Moment, group: &GroupName, why: &str) {
        tracing::info!(%group, why, "help (B7)");
        let detail = format!("for {group} {why} (B7)").into();
        self.record(now, What::Changed { what: "help".into(), detail, by: "server".into() });
    }
}
