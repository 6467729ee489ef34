//! `/n/…`: notices, beacons, clicks and conversions. Acknowledged when they are durable, or 503 so that they come again.
//!
//! A notice from a server may carry the user's address and device (`X-Forwarded-For`, `X-Device-IP`, `X-Device-User-Agent`,
//! OpenRTB 2.6 section 7.8). Nothing here needs them: they are neither read nor kept.

use super::body;
use super::clock;
use super::worker::{Reply, Worker, empty, not_allowed};
use crate::events::booking::Flags;
use crate::events::bookkeeper::{NotBooked, Receipt};
use crate::events::notice::Inbound;
use crate::events::postback::{self, ConversionQuery, PIXEL_PATH, POSTBACK_PATH};
use crate::events::token::Token;
use crate::openrtb::notice::{Notice, NoticeQuery};
use crate::openrtb::price_crypto::PriceCodec;
use crate::telemetry::Counter;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use std::sync::atomic::Ordering;

/// A transparent GIF of one pixel (GIF89a), for trackers that are fired as images.
const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\
\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Parameters only; a larger body is none of ours.
const FORM_BYTES_MAX: usize = 16 << 10;

/// The parameter under which a landing page gets the token, to send it back with a conversion.
const LANDING_TOKEN: &str = "outbid_token";

pub async fn answer(worker: &Worker, request: Request<Incoming>) -> Reply {
    worker.desk.borrow().recorder.count(Counter::Notices, 1);
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return not_allowed("GET, POST");
    }
    let (head, incoming) = request.into_parts();
    let form = match read_form(worker, &head, incoming).await {
        Ok(form) => form,
        Err(status) => return refuse(worker, status),
    };
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default().as_bytes());
    if let Some(notice) = Notice::from_path(path) {
        return on_notice(
            worker,
            notice,
            NoticeQuery::parse(query).or(NoticeQuery::parse(&form)),
        )
        .await;
    }
    let parameters = if form.is_empty() { query } else { &form };
    match (path, &head.method) {
        (PIXEL_PATH, _) => on_conversion(worker, postback::parse_pixel(parameters), true).await,
        (POSTBACK_PATH, &Method::POST) => {
            let parsed = postback::parse_postback(parameters, &worker.common.postback_key);
            on_conversion(worker, parsed, false).await
        }
        (POSTBACK_PATH, _) => not_allowed("POST"),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

pub(super) async fn read_form(
    worker: &Worker,
    head: &http::request::Parts,
    incoming: Incoming,
) -> Result<Bytes, StatusCode> {
    if head.method == Method::GET {
        return Ok(Bytes::new());
    }
    let read = body::read(&head.headers, incoming, FORM_BYTES_MAX);
    match tokio::time::timeout(worker.common.settings.limits.read_timeout, read).await {
        Ok(form) => form.map_err(|error| error.status()),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

async fn on_notice(worker: &Worker, notice: Notice, query: NoticeQuery<'_>) -> Reply {
    let Some(token) = query
        .token
        .and_then(|token| worker.common.sealer.open(token).ok())
    else {
        return refuse(worker, StatusCode::UNAUTHORIZED);
    };
    let snapshot = worker.common.snapshot.load_full();
    let exchange = snapshot.exchange_by_id(token.exchange);
    let codec = exchange.map_or(&PriceCodec::Plain, |exchange| &exchange.settings.price_codec);
    let Some(inbound) = Inbound::of_notice(notice, &query, token, codec, clock::now()) else {
        return refuse(worker, StatusCode::BAD_REQUEST);
    };
    let receipt = book(worker, inbound).await;
    if let Ok(receipt) = receipt {
        count_for_line_item(worker, notice, &token, receipt);
    }
    match notice {
        // People wait for their page, whatever becomes of our books.
        Notice::Click => redirect(worker, &token, query.token.unwrap_or_default()),
        // On record, and nothing more: the token's time is over.
        _ if receipt.is_ok_and(|receipt| receipt.flags.has(Flags::TOO_LATE)) => {
            refuse(worker, StatusCode::UNAUTHORIZED)
        }
        Notice::Impression => acknowledge(receipt, pixel),
        _ => acknowledge(receipt, || empty(StatusCode::OK)),
    }
}

async fn on_conversion(
    worker: &Worker,
    parsed: Result<ConversionQuery, postback::ConversionError>,
    as_image: bool,
) -> Reply {
    let query = match parsed {
        Ok(query) => query,
        Err(postback::ConversionError::Signature) => return refuse(worker, StatusCode::UNAUTHORIZED),
        Err(error) => {
            tracing::debug!(%error, "conversion refused");
            return refuse(worker, StatusCode::BAD_REQUEST);
        }
    };
    let Ok(token) = worker.common.sealer.open(&query.token) else {
        return refuse(worker, StatusCode::UNAUTHORIZED);
    };
    let (mut conversion, now) = (query.conversion, clock::now());
    let rates = &worker.common.snapshot.load().rates;
    conversion.worth = match conversion.currency {
        Some(currency) => rates
            .get(currency, now)
            .map(|rate| rate.amount_to_accounting(conversion.value)),
        None => Some(conversion.value),
    };
    let receipt = book(worker, Inbound::of_conversion(conversion, token, now)).await;
    acknowledge(receipt, || if as_image { pixel() } else { empty(StatusCode::OK) })
}

async fn book(worker: &Worker, inbound: Inbound) -> Result<Receipt, NotBooked> {
    match (worker.common.books.desk(), &worker.common.relay) {
        (Some(_), Some(relay)) if relay.is_for_another(&inbound) => relay.hand_over(inbound).await,
        (Some(desk), _) => desk.book(inbound).await,
        (None, _) => Err(NotBooked::Closed),
    }
}

fn count_for_line_item(worker: &Worker, notice: Notice, token: &Token, receipt: Receipt) {
    if !receipt.counts {
        return;
    }
    let stats = worker.common.live.stats(token.line_item_account);
    match notice {
        Notice::Win => stats.wins.fetch_add(1, Ordering::Relaxed),
        Notice::Loss => stats.losses.fetch_add(1, Ordering::Relaxed),
        _ => return,
    };
}

fn acknowledge(receipt: Result<Receipt, NotBooked>, reply: impl FnOnce() -> Reply) -> Reply {
    match receipt {
        Ok(_) => reply(),
        Err(error) => {
            tracing::debug!(%error, "notice not booked");
            let mut reply = empty(StatusCode::SERVICE_UNAVAILABLE);
            reply
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            reply
        }
    }
}

/// To the landing page that the configuration gives the creative, never to an address from the query.
fn redirect(worker: &Worker, token: &Token, text: &str) -> Reply {
    let snapshot = worker.common.snapshot.load();
    let Some(creative) = snapshot.campaigns.creative(token.creative) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let landing = with_token(&creative.definition.landing_url, text);
    match HeaderValue::try_from(landing) {
        Ok(location) => {
            let mut reply = empty(StatusCode::FOUND);
            reply.headers_mut().insert(LOCATION, location);
            reply
                .headers_mut()
                .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            reply
        }
        Err(_) => empty(StatusCode::NOT_FOUND),
    }
}

/// Puts the token into the query, in front of a fragment.
fn with_token(landing_url: &str, token: &str) -> String {
    let (url, fragment) = match landing_url.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (landing_url, None),
    };
    let joint = if url.contains('?') { '&' } else { '?' };
    let fragment = fragment
        .map(|fragment| format!("#{fragment}"))
        .unwrap_or_default();
    format!("{url}{joint}{LANDING_TOKEN}={token}{fragment}")
}

fn pixel() -> Reply {
    let mut reply = Reply::new(Bytes::from_static(PIXEL).into());
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

fn refuse(worker: &Worker, status: StatusCode) -> Reply {
    worker.desk.borrow().recorder.count(Counter::NoticesRefused, 1);
    empty(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_landing_url_gets_the_token_as_one_parameter_more() {
        for (url, expected) in [
            ("https://a.example/", "https://a.example/?outbid_token=T"),
            ("https://a.example/?x=1", "https://a.example/?x=1&outbid_token=T"),
            (
                "https://a.example/p#top",
                "https://a.example/p?outbid_token=T#top",
            ),
        ] {
            assert_eq!(with_token(url, "T"), expected);
        }
    }
}
