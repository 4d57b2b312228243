//! `/metrics`, `/health` and `/ready` on a loopback address.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Metrics;

/// Answers what a machine asks about the server.
pub trait Probe: Send + Sync {
    /// Every worker still turns; otherwise what does not, in words.
    fn health(&self) -> Result<(), String>;
    /// What does not work, in words, although calls go on: no reason to restart.
    fn ailments(&self) -> Vec<String>;
    /// New calls are taken; otherwise why not: `draining`, `starting`.
    fn ready(&self) -> Result<(), String>;
}

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    probe: Arc<dyn Probe>,
}

/// Serves until the runtime ends. Errors: those of the listener.
pub async fn serve(
    listener: tokio::net::TcpListener,
    metrics: Arc<Metrics>,
    probe: Arc<dyn Probe>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(Shared { metrics, probe });
    axum::serve(listener, router).await
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, TYPE)], shared.metrics.text()).into_response()
}

async fn health(State(shared): State<Shared>) -> Response {
    let ailments = shared.probe.ailments();
    answer(shared.probe.health(), &ailments)
}

async fn ready(State(shared): State<Shared>) -> Response {
    answer(shared.probe.ready(), &[])
}

fn answer(state: Result<(), String>, ailments: &[String]) -> Response {
    match state {
        Ok(()) if ailments.is_empty() => (StatusCode::OK, "ok\n").into_response(),
        Ok(()) => (StatusCode::OK, format!("ok, but\n{}\n", ailments.join("\n"))).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
