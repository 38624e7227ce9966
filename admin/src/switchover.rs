//! `POST /api/v1/pools/NAME/switchover`: changes the primary of a pool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use config::Secret;
use serde::{Deserialize, Serialize};
use topology::{Ending, SwitchoverOrder, SwitchoverReport};

use crate::pages::Shared;

/// Longer than any switchover takes before it is reported as unclear.
const ANSWER: Duration = Duration::from_secs(20);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Over a unix socket, or from this host's loopback.
    Local,
    /// Over the network.
    Remote,
}

/// How a switchover went: the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwitchoverAnswer {
    /// done, refused, aborted or unclear.
    pub result: String,
    /// The pool.
    pub pool: String,
    /// The primary before; null if there was none.
    pub from: Option<String>,
    /// Who is the primary now, or was to be; null if nobody was found.
    pub to: Option<String>,
    /// FAILOVER or PAUSE; empty if none was tried.
    pub way: String,
    /// How long writes were held; null if they were not.
    pub held_seconds: Option<f64>,
    /// What was done, in order.
    pub steps: Vec<SwitchoverStep>,
    /// Why it did not come about; null if it did.
    pub error: Option<String>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwitchoverStep {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

/// What switchovers there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct SwitchoverCounts {
    pub(crate) endings: BTreeMap<&'static str, u64>,
    pub(crate) longest_hold: Duration,
}

/// By pool, for the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, SwitchoverCounts>>>);

impl Tally {
    pub(crate) fn of(&self, pool: &str) -> SwitchoverCounts {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(pool).cloned().unwrap_or_default()
    }

    pub(crate) fn count(&self, report: &SwitchoverReport) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = pools.entry(report.pool.to_string()).or_default();
        *counts.endings.entry(report.ending.as_str()).or_default() += 1;
        counts.longest_hold = counts.longest_hold.max(report.held.unwrap_or_default());
    }
}

/// What may be asked for, in the query or as JSON in the body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    to: Option<String>,
}

pub(crate) async fn switchover(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Path(pool): Path<String>,
    query: Result<Query<Wish>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = shared.sources().config.admin.token.as_ref();
    match may_change(peer, token, &headers) {
        Permission::Given => {}
        Permission::Denied(why) => return (StatusCode::FORBIDDEN, why).into_response(),
        Permission::Unproven => {
            let scheme = [(header::WWW_AUTHENTICATE, "Bearer")];
            let why = "this needs the token of [admin]: Authorization: Bearer TOKEN\n";
            return (StatusCode::UNAUTHORIZED, scheme, why).into_response();
        }
    }
    let known = shared.sources().config.pools.iter().any(|known| known.name == pool);
    if !known {
        let text = format!("there is no pool {pool}; see /api/v1/status\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    let wish = match query {
        Ok(Query(wish)) if body.is_empty() => Ok(wish),
        Ok(_) => serde_json::from_slice::<Wish>(&body).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let wish = match wish {
        Ok(wish) => wish,
        Err(why) => {
            let text = format!("{why}; a switchover takes {{\"to\": \"HOST:PORT\"}} or nothing\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let (sender, answer) = tokio::sync::oneshot::channel();
    let tally = shared.switchovers.clone();
    let order = SwitchoverOrder {
        pool,
        to: wish.to,
        answer: Box::new(move |report| {
            // Counted also where nobody waits for the answer any more.
            tally.count(&report);
            let _ = sender.send(report);
        }),
    };
    if !(shared.sources().switchovers)(order) {
        let text = "the control plane takes no orders now; try again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(Ok(report)) => (code(report.ending), Json(answer_of(report))).into_response(),
        _ => {
            let text = "the switchover has not ended; see the log and the status\n";
            (StatusCode::GATEWAY_TIMEOUT, text).into_response()
        }
    }
}

/// May a request change something?
enum Permission {
    Given,
    Denied(&'static str),
    /// It does not show the token.
    Unproven,
}

/// A page of another site may make a browser on this host send a request; then it has an Origin.
fn may_change(peer: Peer, token: Option<&Secret>, headers: &HeaderMap) -> Permission {
    if headers.contains_key(header::ORIGIN) {
        return Permission::Denied("changes are not accepted from a browser's page\n");
    }
    match token {
        None if peer == Peer::Remote => Permission::Denied(
            "changes are accepted over loopback and unix sockets only, unless [admin] has a token\n",
        ),
        None => Permission::Given,
        Some(token) => {
            let shown =
                headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
            let proven = shown.is_some_and(|shown| token.matches(shown));
            if proven { Permission::Given } else { Permission::Unproven }
        }
    }
}

/// The token of `Bearer TOKEN` (RFC 6750).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

fn code(ending: Ending) -> StatusCode {
    match ending {
        Ending::Done => StatusCode::OK,
        Ending::Refused | Ending::Aborted => StatusCode::CONFLICT,
        Ending::Unclear => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn answer_of(report: SwitchoverReport) -> SwitchoverAnswer {
    let step = |(name, time): (&'static str, Duration)| SwitchoverStep {
        name: name.to_owned(),
        seconds: seconds(time),
    };
    SwitchoverAnswer {
        result: report.ending.as_str().to_owned(),
        pool: report.pool.to_string(),
        from: report.from.map(|name| name.to_string()),
        to: report.to.map(|name| name.to_string()),
        way: report.way.to_owned(),
        held_seconds: report.held.map(seconds),
        steps: report.steps.into_iter().map(step).collect(),
        error: report.why,
        notes: report.notes,
    }
}

/// To the microsecond.
fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::fixture;

    /// What is answered to a POST by this peer: the status code and the body.
    async fn post(peer: Peer, path: &str, head: &str, body: &str) -> (u16, String) {
        let router = crate::pages::router(Arc::new(Shared::new(fixture::sources(Vec::new()))));
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let served = tokio::spawn(crate::serve::connection(server, peer, router));
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: redkeel\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n{body}"
        );
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("answered");
        served.await.expect("served");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let code = head.split(' ').nth(1).expect("a code").parse().expect("a number");
        (code, body.to_owned())
    }

    const MAIN: &str = "/api/v1/pools/main/switchover";

    #[tokio::test]
    async fn an_order_is_passed_on_and_answered() {
        let (code, body) = post(Peer::Local, MAIN, "", "{\"to\": \"10.0.0.3:6379\"}").await;
        let answer: SwitchoverAnswer = serde_json::from_str(&body).expect("an answer");
        assert_eq!((code, answer.result.as_str(), answer.error), (200, "done", None));
        assert_eq!(answer.to.as_deref(), Some("10.0.0.3:6379"));
        assert_eq!(answer.held_seconds, Some(0.007_125));
        assert_eq!(answer.steps[0].name, "check");
        let (_, body) = post(Peer::Local, &format!("{MAIN}?to=10.0.0.3:6379"), "", "").await;
        assert!(body.contains("\"to\":\"10.0.0.3:6379\""), "{body}");
        let (code, body) = post(Peer::Local, &MAIN.replace("main", "cache"), "", "").await;
        assert_eq!(code, 409);
        assert!(body.contains("no replica can become the primary"), "{body}");
    }

    #[tokio::test]
    async fn what_is_no_order_is_refused() {
        assert_eq!(post(Peer::Local, &MAIN.replace("main", "other"), "", "").await.0, 404);
        for body in ["{", "[1]", "{\"from\": \"x\"}"] {
            assert_eq!(post(Peer::Local, MAIN, "", body).await.0, 400, "{body}");
        }
        assert_eq!(post(Peer::Local, &format!("{MAIN}?from=x"), "", "").await.0, 400);
        let wish = "{\"to\": \"x\"}";
        assert_eq!(post(Peer::Remote, MAIN, "", wish).await.0, 403);
        assert_eq!(post(Peer::Local, MAIN, "Origin: http://a.example\r\n", wish).await.0, 403);
    }

    #[test]
    fn with_a_token_everyone_shows_it_and_may_come_from_everywhere() {
        let token = Secret::new("open sesame");
        let ask = |peer, value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
            }
            may_change(peer, Some(&token), &headers)
        };
        for peer in [Peer::Local, Peer::Remote] {
            assert!(matches!(ask(peer, Some("Bearer open sesame")), Permission::Given));
            assert!(matches!(ask(peer, Some("bearer open sesame ")), Permission::Given));
            for wrong in
                [None, Some(""), Some("Bearer"), Some("Bearer open"), Some("Basic open sesame")]
            {
                assert!(matches!(ask(peer, wrong), Permission::Unproven), "{wrong:?}");
            }
        }
    }

    #[test]
    fn the_manual_explains_each_field_of_the_answer() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
        let page = std::fs::read_to_string(path).expect("docs/api.md");
        let (_, section) = page.split_once("## Switchover").expect("the section");
        let mut report = SwitchoverReport::refused("main".into(), String::new());
        report.steps.push(("check", Duration::ZERO));
        let answer = serde_json::to_value(answer_of(report)).expect("JSON");
        for field in answer.as_object().expect("an object").keys() {
            let rows = [
                format!("| `{field}` |"),
                format!("| `{field}[]` |"),
                format!("| `{field}[].name` |"),
            ];
            assert!(rows.iter().any(|row| section.contains(row)), "{field} is not explained");
        }
        for ending in Ending::ALL {
            assert!(section.contains(&format!("| `{}` |", ending.as_str())), "{ending:?}");
        }
    }
}
