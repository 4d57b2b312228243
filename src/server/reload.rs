//! A reload: everything is compiled first; what is bad changes nothing, what is good is put into effect
//! for what begins from then on, what needs a restart is named.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::texts::{self, Compiled};
use super::told::warn_of;
use super::{ProblemLine, Server, hub::Hub, names};
use crate::config::{NetSettings, ShellSettings};
use crate::domain::{Directory, DirectoryRows, Listener, NumberFormat, Settings};
use crate::policy::{Policy, Problem, Severity};
use crate::store::FollowOptions;
use crate::switch::{Input, What};
use crate::telemetry::one;

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Hash of the policy that counts now.
    pub policy: Arc<str>,
    /// Something is other than before.
    pub changed: bool,
    /// Settings that count only after a restart.
    pub restart: Vec<String>,
    /// What works and is probably not meant.
    pub warnings: Vec<String>,
}

/// A reload that was refused, until one is taken over.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refused {
    /// When.
    pub(super) at: Timestamp,
    /// Who wanted it: a command, a signal, a saved file.
    pub(super) by: String,
    /// Everything that is wrong.
    pub(super) problems: Vec<ProblemLine>,
}

impl Server {
    /// Reads the configuration again. Errors: all its problems; nothing was changed.
    pub fn reload(&self, by: &str) -> Result<Reloaded, Vec<Problem>> {
        let _one_at_a_time = self.lock_reload();
        let compiled = texts::compile(&self.config_dir).map_err(|found| {
            let orders = self.hub.current.directory.load().orders().clone();
            let all = texts::problems(&self.config_dir, self.hub.rows(), orders);
            // Somebody may have mended the files meanwhile.
            if all.iter().any(Problem::is_error) { all } else { found }
        });
        let reloaded = compiled.and_then(|c| self.take_over(c, by));
        match &reloaded {
            Ok(done) => {
                one(&self.hub.metrics.reloads, "done");
                let (changed, policy) = (done.changed, &done.policy);
                tracing::info!(by, changed, %policy, restart = ?done.restart, "configuration reloaded");
                *super::lock(&self.refused) = None;
            }
            Err(problems) => {
                one(&self.hub.metrics.reloads, "refused");
                tracing::info!(by, "not taken over");
                warn_of(problems, "a bad configuration changes nothing");
                *super::lock(&self.refused) = Some(Refused {
                    at: self.hub.clock.wall(),
                    by: by.to_string(),
                    problems: problems.iter().map(ProblemLine::from).collect(),
                });
            }
        }
        reloaded
    }

    fn take_over(&self, compiled: Compiled, by: &str) -> Result<Reloaded, Vec<Problem>> {
        let hub = &self.hub;
        let rows = hub.rows();
        let before = hub.current.directory.load_full();
        let directory = texts::directory(Some(&before), rows, &compiled)?;
        let fresh = new_errors(hub, &compiled.policy, &directory);
        if !fresh.is_empty() {
            return Err(fresh);
        }
        let config = &compiled.config;
        let net = hub.net.get().expect("a server that reloads has its sockets");
        let mut restart = net
            .reopen(&config.settings.listeners, &config.optional_listeners)
            .map_err(|error| vec![self.problem(error.to_string())])?;
        restart.extend(self.needs_restart(&compiled));
        let known = names::keep_addresses(&config.settings, &hub.current.settings.load());
        let settings = with_listeners(&known, net.listeners());
        let changed = self.publish(settings, directory, &compiled, by);
        self.names_wanted.notify_one();
        hub.shell.store(config.shell.clone());
        self.compiled.store(Arc::new(compiled.clone()));
        let warnings = config.warnings.iter().chain(&compiled.policy.warnings);
        Ok(Reloaded {
            policy: compiled.policy.hash().clone(),
            changed,
            restart,
            warnings: warnings.map(Problem::to_string).collect(),
        })
    }

    fn publish(
        &self,
        settings: Settings,
        directory: Directory,
        compiled: &Compiled,
        by: &str,
    ) -> bool {
        let hub = &self.hub;
        let current = &hub.current;
        let new_policy = current.policy.load().hash() != compiled.policy.hash();
        let new_settings = **current.settings.load() != settings;
        if new_settings {
            let settings = Arc::new(settings);
            current.settings.store(settings.clone());
            hub.tell_all(&Input::Settings(settings.clone()));
            if let Some(following) = super::lock(&self.following).as_ref() {
                following.set_options(follow_options(&settings));
            }
        }
        if new_policy {
            current.policy.store(compiled.policy.clone());
            hub.record(accepted(&compiled.policy, by));
            hub.tell_all(&Input::Policy(compiled.policy.clone()));
        }
        // Calendars may be other than before; what is the same costs the workers little.
        hub.take_directory(directory);
        let what: Arc<str> = "configuration".into();
        let changed = new_policy || new_settings;
        if changed {
            let detail = format!("settings: {new_settings}, policy: {new_policy}").into();
            hub.record(What::Changed { what, detail, by: by.into() });
        }
        changed
    }

    fn problem(&self, message: String) -> Problem {
        let file = self.config_dir.join(crate::config::FILE_NAME).display().to_string().into();
        let hint = Some("everything stays as it was".to_string());
        Problem { file, line: 0, column: 0, span: 0..0, severity: Severity::Error, message, hint }
    }

    fn needs_restart(&self, compiled: &Compiled) -> Vec<String> {
        let (old, new) = (&self.started_with.shell, &compiled.config.shell);
        let mut names = fixed(old, new);
        let (was, is) = (&self.started_with.directory_limits, &compiled.config.directory_limits);
        let (old, new) = (&self.started_with.settings, &compiled.config.settings);
        let (before, now) = (&old.timers, &new.timers);
        let pairs = [
            ("limits.agents_max", was.agents_max != is.agents_max),
            ("limits.groups_max", was.groups_max != is.groups_max),
            ("limits.queue_len_max", old.limits.queue_len_max != new.limits.queue_len_max),
            ("timers.t1", before.t1 != now.t1),
            ("timers.t2", before.t2 != now.t2),
            ("timers.t4", before.t4 != now.t4),
        ];
        names.extend(differing(&pairs));
        names.into_iter().map(str::to_string).collect()
    }
}

/// Settings of the shell that were read at the start and are other now.
fn fixed(old: &ShellSettings, new: &ShellSettings) -> Vec<&'static str> {
    let (was, is) = (&old.net, &new.net);
    let per_source = |net: &NetSettings| net.connections_per_source_max;
    let pairs = [
        ("server.state", old.state != new.state),
        ("server.workers", old.workers != new.workers),
        ("net.receive_buffer_bytes", was.receive_buffer_bytes != is.receive_buffer_bytes),
        ("net.inbox_len_max", was.inbox_len_max != is.inbox_len_max),
        ("net.connections_max", was.connections_max != is.connections_max),
        ("net.connections_per_source_max", per_source(was) != per_source(is)),
        ("net.connection_queue_max", was.connection_queue_max != is.connection_queue_max),
        ("net.idle_timeout", was.idle_timeout != is.idle_timeout),
        ("net.header_timeout", was.header_timeout != is.header_timeout),
        ("net.connect_timeout", was.connect_timeout != is.connect_timeout),
        ("clients.index_stale_max", old.index_stale_max != new.index_stale_max),
        ("recorder.*", old.recorder != new.recorder),
        ("admin.http", old.http != new.http),
        ("admin.socket_mode", old.socket_mode != new.socket_mode),
        ("admin.socket_group", old.socket_group != new.socket_group),
        ("log.format", old.log_format != new.log_format),
        ("log.level", old.log_level != new.log_level),
    ];
    differing(&pairs).collect()
}

fn differing<'a>(pairs: &'a [(&'static str, bool)]) -> impl Iterator<Item = &'static str> + 'a {
    pairs.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name)
}

/// Errors that the new policy has with the people, less those that the policy in force has too:
/// somebody who left must not stop an admin from mending the policy.
fn new_errors(hub: &Hub, policy: &Policy, directory: &Directory) -> Vec<Problem> {
    let known: BTreeSet<String> = {
        let found = hub.current.policy.load().check(&hub.current.directory.load());
        found.iter().filter(|p| p.is_error()).map(|p| p.message.clone()).collect()
    };
    let found = policy.check(directory);
    found.into_iter().filter(|p| p.is_error() && !known.contains(&p.message)).collect()
}

impl Hub {
    /// The database's people have changed.
    pub(super) fn people_changed(self: &Arc<Self>, rows: DirectoryRows, compiled: &Compiled) {
        self.set_rows(rows.clone());
        let before = self.current.directory.load_full();
        match texts::directory(Some(&before), rows, compiled) {
            Ok(directory) => {
                let policy = self.current.policy.load();
                let errors = policy.check(&directory).into_iter().filter(Problem::is_error);
                let errors: Vec<Problem> = errors.collect();
                // Once: not at every later change that leaves them as they are.
                if errors.iter().any(|error| !policy.check(&before).contains(error)) {
                    warn_of(&errors, "the policy does not fit the people any more");
                }
                self.take_directory(directory);
            }
            Err(problems) => warn_of(&problems, "the people stay as they were"),
        }
    }

    pub(super) fn take_directory(self: &Arc<Self>, directory: Directory) {
        let directory = Arc::new(directory);
        self.current.directory.store(directory.clone());
        self.tell_all(&Input::Directory(directory));
        self.prove();
    }
}

/// What the follower must know of the settings.
pub(super) fn follow_options(settings: &Settings) -> FollowOptions {
    FollowOptions { numbers: settings.numbers.clone(), realm: settings.realm.clone() }
}

/// The settings with the addresses that were really bound, ready for the first call.
pub(super) fn with_listeners(settings: &Settings, listeners: Vec<Listener>) -> Settings {
    let trunks = settings.trunks.iter().map(|trunk| &trunk.numbers);
    trunks.chain([&settings.numbers]).for_each(NumberFormat::make_ready);
    Settings { listeners, ..settings.clone() }
}

/// The journal's line for a policy that counts from now on.
pub(super) fn accepted(policy: &Policy, by: &str) -> What {
    What::PolicyAccepted {
        hash: policy.hash().clone(),
        policy: policy.text().clone(),
        calendars: policy.calendars_text().clone(),
        by: by.into(),
    }
}
