//! How everything is: for `telefonist status`, `/health` and `/ready`.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Server, hub::Hub};
use crate::policy::Problem;
use crate::switch::{Command, Refusal};
use crate::telemetry::Probe;

/// Binds the probes' address. Errors: the system's, with the address.
pub(super) fn bind(http: Option<SocketAddr>) -> std::io::Result<Option<tokio::net::TcpListener>> {
    let Some(address) = http else { return Ok(None) };
    let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("{address}: {e}"));
    let listener = std::net::TcpListener::bind(address).map_err(named)?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tracing::info!(%address, "listening: /metrics, /health, /ready");
    Ok(Some(listener))
}

impl Server {
    /// Everything in one object.
    pub async fn status(&self) -> Result<Value, Refusal> {
        let hub = &self.hub;
        // One that stands still must not hide how the others are.
        let workers = hub.ask_any(Command::Status, "status").await?;
        let workers: Vec<Value> = workers.into_iter().map(|(_, v)| v).collect();
        let sum = |name: &str| workers.iter().filter_map(|w| w[name].as_u64()).sum::<u64>();
        let directory = hub.current.directory.load();
        let policy = hub.current.policy.load();
        let problems: Vec<String> =
            policy.check(&directory).iter().map(Problem::to_string).collect();
        let listeners = self.listeners();
        let listeners = listeners.iter().map(|l| format!("{}:{}", l.transport.as_param(), l.bind));
        let journals: Vec<_> =
            hub.worker_health().into_iter().chain([hub.journal_health()]).collect();
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": hub.started_at,
            "config": self.config_dir.to_string_lossy(),
            "state": self.folder.root().to_string_lossy(),
            "listening": listeners.collect::<Vec<_>>(),
            "draining": hub.draining.get().is_some(),
            "policy": policy.hash(),
            "problems": problems,
            "alarms": hub.proving.alarms(),
            "refused": *super::lock(&self.refused),
            "people": directory.agents().count(),
            "orders": super::orders::standing(&directory),
            "plan": super::orders::in_force(directory.orders()),
            "calls": sum("calls"),
            "waiting": sum("waiting"),
            "talking": sum("talking"),
            "bindings": sum("bindings"),
            "connections": hub.net.get().map_or(0, |net| net.connections()),
            "clients": hub.index.status(hub.clock.wall()),
            "journal": journals,
            "ailments": hub.ailments(),
            "register_behind": hub.register_behind(),
            "trunks": trunks(&workers),
            "silent_workers": hub.silent_workers(),
            "workers": workers,
        }))
    }
}

/// A trunk's health is known to the worker that asks it.
fn trunks(workers: &[Value]) -> Vec<Value> {
    let all = workers.iter().filter_map(|w| w["trunks"].as_array());
    all.flatten().cloned().collect()
}

impl Probe for Hub {
    fn ailments(&self) -> Vec<String> {
        Hub::ailments(self)
    }

    fn health(&self) -> Result<(), String> {
        match self.silent_workers()[..] {
            [] => Ok(()),
            ref silent => Err(format!("workers {silent:?} stand still")),
        }
    }

    fn ready(&self) -> Result<(), String> {
        self.health()?;
        match self.draining.get() {
            None => Ok(()),
            Some(()) => Err("draining".to_string()),
        }
    }
}

/// Lets a probe be shared.
impl Probe for Arc<Hub> {
    fn ailments(&self) -> Vec<String> {
        self.as_ref().ailments()
    }

    fn health(&self) -> Result<(), String> {
        self.as_ref().health()
    }

    fn ready(&self) -> Result<(), String> {
        self.as_ref().ready()
    }
}
