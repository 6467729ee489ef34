//! One worker: a thread with its own runtime, listener, scratch and counters.
//!
//! Invariant: everything in [`Worker`] is touched by this one thread, and no borrow of it lives across an await.

use super::bid::Desk;
use super::phase::Phase;
use super::{PhaseWatch, bid, notice, opt_out, serve::Common, why};
use crate::telemetry::Counter;
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// How often a worker hands its histograms over.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

pub type Reply = Response<Full<Bytes>>;

/// What one worker has to itself.
pub struct Worker {
    pub common: Arc<Common>,
    pub desk: RefCell<Desk>,
    pub in_flight: Cell<usize>,
    connections: Cell<usize>,
    idle: Notify,
    phase: PhaseWatch,
}

/// Serves until the phase is [`Phase::Closing`] and the last connection has ended, or `Settings::drain_max` is over.
pub fn run(
    common: Arc<Common>,
    mut desk: Desk,
    listener: TcpListener,
    phase: PhaseWatch,
) -> std::io::Result<()> {
    desk.scratch
        .warm(&common.snapshot.load(), common.settings.limits.candidates);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let worker = Rc::new(Worker {
        common,
        desk: RefCell::new(desk),
        in_flight: Cell::new(0),
        connections: Cell::new(0),
        idle: Notify::new(),
        phase,
    });
    LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::task::spawn_local(publish(worker.clone()));
        accept_all(&worker, &listener).await;
        // Whoever is in the accept queue already would be reset by closing the listener: they are served too.
        while let Some(Ok((stream, _))) = poll_once(&listener).await {
            open(&worker, stream);
        }
        drop(listener);
        let finish = async {
            while worker.connections.get() > 0 {
                worker.idle.notified().await;
            }
        };
        let _ended_in_time = tokio::time::timeout(worker.common.settings.drain_max, finish)
            .await
            .is_ok();
        worker.desk.borrow_mut().recorder.publish();
        Ok(())
    })
}

async fn accept_all(worker: &Rc<Worker>, listener: &tokio::net::TcpListener) {
    let mut phase = worker.phase.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => open(worker, stream),
                // Out of file descriptors, or a peer that is gone again: neither is a reason to stop, both pass.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            _ = phase.wait_for(|phase| *phase == Phase::Closing) => return,
        }
    }
}

async fn poll_once(
    listener: &tokio::net::TcpListener,
) -> Option<std::io::Result<(TcpStream, std::net::SocketAddr)>> {
    poll_fn(|context| match listener.poll_accept(context) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn publish(worker: Rc<Worker>) {
    let mut every = tokio::time::interval(PUBLISH_EVERY);
    loop {
        every.tick().await;
        worker.desk.borrow_mut().recorder.publish();
    }
}

fn open(worker: &Rc<Worker>, stream: TcpStream) {
    let desk = worker.desk.borrow();
    if worker.connections.get() >= worker.common.settings.limits.connections_per_worker {
        desk.recorder.count(Counter::ConnectionsRefused, 1);
        return;
    }
    desk.recorder.count(Counter::Connections, 1);
    worker.connections.set(worker.connections.get() + 1);
    tokio::task::spawn_local(converse(worker.clone(), stream));
}

async fn converse(worker: Rc<Worker>, stream: TcpStream) {
    // Answers are one small write each: waiting for more to send would only add delay. A failure shows on the first write.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let service = service_fn(|request| {
        let worker = worker.clone();
        async move { Ok::<_, Infallible>(answer(&worker, request).await) }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(worker.common.settings.limits.idle_timeout)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut phase = worker.phase.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    worker.desk.borrow().recorder.count(Counter::ConnectionsClosed, 1);
    worker.connections.set(worker.connections.get() - 1);
    worker.idle.notify_one();
}

async fn answer(worker: &Worker, request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    let mut reply = if let Some(exchange) = path.strip_prefix("/openrtb2/") {
        if let Some(healthy) = health(worker, &request) {
            empty(healthy)
        } else if request.method() == Method::POST {
            let exchange = exchange.to_owned();
            bid::answer(worker, &exchange, request).await
        } else {
            not_allowed("POST")
        }
    } else if path.starts_with("/n/") {
        notice::answer(worker, request).await
    } else if path == opt_out::PATH {
        opt_out::answer(worker, request).await
    } else if let Some(token) = path.strip_prefix("/why/") {
        why::answer(worker, token, &request)
    } else if let Some(healthy) = health(worker, &request) {
        empty(healthy)
    } else {
        empty(StatusCode::NOT_FOUND)
    };
    if *worker.phase.borrow() != Phase::Serving {
        reply
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

/// The answer to an exchange's health check: 200 = send bid requests here, 503 = not now. `None` = no health check.
/// This is no bid path, and its caller wants to know: elsewhere nothing is answered with a 5xx.
fn health(worker: &Worker, request: &Request<Incoming>) -> Option<StatusCode> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let snapshot = worker.common.snapshot.load();
    let asked = |path: &str| request.uri().path() == path;
    let known = snapshot
        .exchanges()
        .any(|exchange| exchange.settings.health.as_deref().is_some_and(asked));
    let ready = worker.common.books.is_open() && *worker.phase.borrow() == Phase::Serving;
    known.then_some(if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    })
}

pub fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

pub fn not_allowed(allowed: &'static str) -> Reply {
    let mut reply = empty(StatusCode::METHOD_NOT_ALLOWED);
    reply
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}
