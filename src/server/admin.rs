//! The admin address: health, metrics, budgets, reload. Its own thread, so that looking never slows a bid.

use super::bid::is_bearer;
use super::body::MediaType;
use super::opt_out::{self, Action};
use super::phase::Phase;
use super::reload::{Outcome, Trigger};
use super::serve::Common;
use super::worker::{Reply, empty, not_allowed};
use super::{PhaseWatch, allocation, approvals, body, budgets, explain, markets, metrics};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::LocalSet;

/// A page or a scraper that stays silent this long is disconnected.
const IDLE: Duration = Duration::from_secs(30);

/// Serves until the phase is [`Phase::Closing`].
pub fn run(common: Arc<Common>, listener: TcpListener, phase: PhaseWatch) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut closing = phase.clone();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "an admin connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                },
                _ = closing.wait_for(|phase| *phase == Phase::Closing) => return Ok(()),
            };
            let (common, phase) = (common.clone(), phase.clone());
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| {
                    let (common, phase) = (common.clone(), phase.clone());
                    async move { Ok::<_, Infallible>(answer(&common, &phase, request).await) }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(IDLE)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "an admin connection ended early");
                }
            });
        }
    })
}

async fn answer(common: &Arc<Common>, phase: &PhaseWatch, request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    // Load balancers ask these without a token; they say nothing beyond yes and no.
    match path {
        "/healthz" => return text(StatusCode::OK, "ok\n"),
        "/readyz" => return ready(common, *phase.borrow()),
        _ => {}
    }
    if !is_allowed(common, &request) {
        let mut reply = empty(StatusCode::UNAUTHORIZED);
        reply
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return reply;
    }
    match (path, request.method()) {
        ("/metrics", &Method::GET) => metrics_page(common),
        ("/api/v1/budgets", &Method::GET) => json_reply(StatusCode::OK, &budgets::report(common)),
        ("/api/v1/approvals", &Method::GET) => json_reply(StatusCode::OK, &approvals::report(common)),
        ("/api/v1/approvals", &Method::POST) => clear_approval(common, request).await,
        ("/api/v1/allocation", &Method::GET) => json_reply(StatusCode::OK, &allocation::report(common)),
        ("/api/v1/allocation", &Method::POST) => decide_allocation(common, request).await,
        ("/api/v1/approvals" | "/api/v1/allocation", _) => not_allowed("GET, POST"),
        ("/api/v1/markets", &Method::GET) => json_reply(StatusCode::OK, &markets::report(common)),
        ("/api/v1/reload", &Method::POST) => reload(common).await,
        ("/api/v1/explain", &Method::POST) => explain(common, request).await,
        ("/api/v1/opt-out", &Method::POST) => privacy(common, Action::OptOut, request).await,
        ("/api/v1/opt-in", &Method::POST) => privacy(common, Action::OptIn, request).await,
        ("/api/v1/opt-out/status", &Method::POST) => privacy(common, Action::Status, request).await,
        ("/metrics" | "/api/v1/budgets" | "/api/v1/markets", _) => not_allowed("GET"),
        ("/api/v1/reload" | "/api/v1/explain", _) => not_allowed("POST"),
        ("/api/v1/opt-out" | "/api/v1/opt-in" | "/api/v1/opt-out/status", _) => not_allowed("POST"),
        _ => text(
            StatusCode::NOT_FOUND,
            "known: /healthz /readyz /metrics /api/v1/budgets /api/v1/approvals /api/v1/allocation /api/v1/markets, POST /api/v1/reload, POST /api/v1/explain, \
             POST /api/v1/opt-out, POST /api/v1/opt-out/status, POST /api/v1/opt-in\n",
        ),
    }
}

fn is_allowed(common: &Common, request: &Request<Incoming>) -> bool {
    match &common.settings.admin_token {
        None => true,
        Some(token) => request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(|given| is_bearer(given, token)),
    }
}

/// Ready is whoever answers requests: also without the books, as long as another process holds them.
fn ready(common: &Common, phase: Phase) -> Reply {
    match phase {
        Phase::Serving if common.books.is_open() => text(StatusCode::OK, "ready\n"),
        Phase::Serving => text(
            StatusCode::OK,
            "standby: another process holds the books; no bids until it ends\n",
        ),
        Phase::Draining | Phase::Closing => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

fn metrics_page(common: &Arc<Common>) -> Reply {
    match metrics::encode(common) {
        Ok(page) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            typed(StatusCode::OK, kind, page.into())
        }
        Err(error) => {
            tracing::error!(%error, "the metrics page could not be written");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn privacy(common: &Arc<Common>, action: Action, request: Request<Incoming>) -> Reply {
    let (status, body) = opt_out::administer(common, action, request).await;
    json_reply(status, &body)
}

async fn reload(common: &Common) -> Reply {
    let (sender, outcome) = tokio::sync::oneshot::channel();
    common.reloader.trigger(Trigger::Asked(sender));
    match outcome.await {
        Ok(Outcome::Swapped { hash }) => json_reply(
            StatusCode::OK,
            &json!({"status": "reloaded", "hash": format!("{hash:016x}")}),
        ),
        Ok(Outcome::Unchanged) => json_reply(StatusCode::OK, &json!({"status": "unchanged"})),
        Ok(Outcome::Refused { problems }) => {
            let problems: Vec<_> = problems.lines().collect();
            let body = json!({"status": "refused", "problems": problems});
            json_reply(StatusCode::UNPROCESSABLE_ENTITY, &body)
        }
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the process is ending\n"),
    }
}

async fn clear_approval(common: &Common, request: Request<Incoming>) -> Reply {
    match read_body(common, request).await {
        Ok(raw) => {
            let (status, body) = approvals::clear(common, &raw).await;
            json_reply(status, &body)
        }
        Err(status) => empty(status),
    }
}

async fn decide_allocation(common: &Common, request: Request<Incoming>) -> Reply {
    match read_body(common, request).await {
        Ok(raw) => {
            let (status, body) = allocation::decide(common, &raw).await;
            json_reply(status, &body)
        }
        Err(status) => empty(status),
    }
}

/// A body within its limits of size and time; else the status to answer with.
async fn read_body(common: &Common, request: Request<Incoming>) -> Result<Bytes, StatusCode> {
    let (head, incoming) = request.into_parts();
    let limits = &common.settings.limits;
    let read = tokio::time::timeout(
        limits.read_timeout,
        body::read(&head.headers, incoming, limits.body_bytes),
    );
    match read.await {
        Ok(read) => read.map_err(|error| error.status()),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

async fn explain(common: &Common, request: Request<Incoming>) -> Reply {
    let (head, incoming) = request.into_parts();
    let limits = &common.settings.limits;
    let kind = body::content_encoding(&head.headers).and_then(|encoding| {
        let media = MediaType::of(&head.headers)?;
        Ok((encoding, media.format))
    });
    let (encoding, format) = match kind {
        Ok(kind) => kind,
        Err(error) => return empty(error.status()),
    };
    let read = tokio::time::timeout(
        limits.read_timeout,
        body::read(&head.headers, incoming, limits.body_bytes),
    );
    match read.await {
        Ok(Ok(raw)) => {
            let exchange = head.uri.query().and_then(|query| query.strip_prefix("exchange="));
            let (status, body) = explain::answer(common, exchange, encoding, format, &raw);
            json_reply(status, &body)
        }
        Ok(Err(error)) => empty(error.status()),
        Err(_) => empty(StatusCode::BAD_REQUEST),
    }
}

fn json_reply(status: StatusCode, body: &serde_json::Value) -> Reply {
    typed(status, "application/json", format!("{body:#}\n").into())
}

fn text(status: StatusCode, body: &'static str) -> Reply {
    typed(status, "text/plain; charset=utf-8", body.into())
}

fn typed(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Reply::new(body.into());
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
