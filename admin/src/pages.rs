//! The pages: which path answers what.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Json};
use axum::routing::{get, post};

use crate::health::{health, readiness};
use crate::metrics;
use crate::process::ProcessUsage;
use crate::report::{Facts, report};
use crate::sampler::Sampler;
use crate::serve::Sources;
use crate::status::Status;
use crate::switchover::{Tally, switchover};

/// The content type of [`metrics::page`].
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const INDEX: &str = concat!(
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Redkeel</title><h1>Redkeel</h1><ul>",
    "<li><a href=\"/api/v1/status\">/api/v1/status</a>: pools, nodes, roles, health, rates, latency (JSON)",
    "<li><a href=\"/metrics\">/metrics</a>: for Prometheus",
    "<li><a href=\"/healthz\">/healthz</a>: does the process work?",
    "<li><a href=\"/readyz\">/readyz</a>: can every pool serve?",
    "</ul></html>\n",
);

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    sources: Sources,
    sampler: Sampler,
    pub(crate) switchovers: Tally,
}

impl Shared {
    pub(crate) fn new(sources: Sources) -> Self {
        let sampler = Sampler::new(sources.workers.len());
        Self { sampler, sources, switchovers: Tally::default() }
    }

    /// Takes the samples that rates are told from, forever.
    pub(crate) async fn sample(&self) {
        self.sampler.run(&self.sources).await;
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    fn worker_clients(&self) -> Vec<usize> {
        self.sources.workers.iter().map(|worker| worker.clients()).collect()
    }
}

/// All paths. A page shows a moment, so none may be kept by a cache.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || Html(INDEX)))
        .route("/metrics", get(metrics_page))
        .route("/api/v1/status", get(status_page))
        .route("/api/v1/pools/{pool}/switchover", post(switchover))
        .route("/healthz", get(health_page))
        .route("/readyz", get(ready_page))
        .fallback(not_found)
        .layer(axum::middleware::map_response(async |response: axum::response::Response| {
            ([(header::CACHE_CONTROL, "no-store")], response)
        }))
        .with_state(shared)
}

async fn metrics_page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let sources = &shared.sources;
    let page = metrics::Page {
        snapshot: sources.published.load(),
        config: sources.config.clone(),
        counted: shared.sampler.now(sources).await,
        worker_clients: shared.worker_clients(),
        process: ProcessUsage::read(),
        started: sources.started,
        draining: sources.draining(),
        evidence_dropped: (sources.evidence_dropped)(),
        version: sources.version,
        switchovers: shared.switchovers.clone(),
    };
    match page.render() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status_page(State(shared): State<Arc<Shared>>) -> Json<Status> {
    let sources = &shared.sources;
    let window = shared.sampler.window(sources).await;
    // Taken after the wait for the samples, so that the picture is not older than the figures.
    let snapshot = sources.published.load();
    let facts = Facts {
        snapshot: &snapshot,
        listeners: &sources.listeners,
        worker_clients: &shared.worker_clients(),
        version: sources.version,
        draining: sources.draining(),
        now: sources.now(),
    };
    Json(report(&facts, &window))
}

async fn health_page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let counted = shared.sampler.now(&shared.sources).await;
    health(&counted.answered, shared.sources.draining())
}

async fn ready_page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let sources = &shared.sources;
    readiness(&sources.config.pools, &sources.published.load(), sources.draining())
}

async fn not_found(uri: Uri) -> impl IntoResponse {
    let text = format!("no page at {}; see / for the list\n", uri.path());
    (StatusCode::NOT_FOUND, text)
}
