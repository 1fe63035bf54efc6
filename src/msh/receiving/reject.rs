//! The one place where a refusal becomes an answer: an EBMS error signal, or a bare HTTP status where nothing of the message
//! could be read. The peer reads the text of the code table; the reason goes to our log and our list.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use super::super::Node;
use super::throttle::Throttle;
use crate::ebms::{Code, ErrorEntry, MessageInfo, UserMessage, write_error_signal};
use crate::pmode::PMode;
use crate::store::{self, Rejected};
use crate::wssec::{self, SecurityPolicy};
use crate::{id, soap};

/// How long the answer waits for the refusal to be recorded, which goes on after that.
const RECORDED: Duration = Duration::from_secs(1);
/// Seconds after which a peer may come again.
const COME_AGAIN: &str = "30";

/// Why a message is not taken.
#[derive(Debug)]
pub struct Refusal {
    answer: Answer,
    /// For our log; sent only where there is no signal, with an HTTP status alone.
    reason: String,
    message_id: Option<String>,
    from: Option<String>,
    /// The policy under which the error is signed: only once a processing mode is known.
    policy: Option<Box<SecurityPolicy>>,
}

#[derive(Debug)]
enum Answer {
    Signal {
        code: Code,
        detail: Option<String>,
    },
    Http(StatusCode),
    /// It cannot be finished now, by this status: EBMS:0202 in it once a processing mode is known (EDEL115 1.4.3.2).
    NotNow(StatusCode),
}

impl Refusal {
    /// A refusal with an EBMS code.
    pub(super) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self::of(Answer::Signal { code, detail: None }, reason.into())
    }

    /// A refusal that is no ebMS matter; the reason is the text of the answer.
    pub(super) fn http(status: StatusCode, reason: impl Into<String>) -> Self {
        Self::of(Answer::Http(status), reason.into())
    }

    /// Something of ours does not work now: the peer is asked to come again.
    pub(super) fn not_now(reason: impl Into<String>) -> Self {
        Self::of(Answer::NotNow(StatusCode::SERVICE_UNAVAILABLE), reason.into())
    }

    /// The connection did not last: nothing is wrong with the message, and it may come again.
    pub(super) fn broken_off(reason: impl Into<String>) -> Self {
        Self::of(Answer::NotNow(StatusCode::REQUEST_TIMEOUT), reason.into())
    }

    /// Our own store cannot take the message now.
    pub(super) fn store(error: &store::Error) -> Self {
        // EBMS:0202 would say that we have not taken it, and nobody knows: silence says that.
        if let store::Error::Undecided(_) = error {
            tracing::error!(%error, "a message may have been taken");
            return Self::http(StatusCode::SERVICE_UNAVAILABLE, "come again later");
        }
        let reason = if error.is_full() { "the disk is full" } else { "the store is not available" };
        Self::not_now(format!("{reason}: {error}"))
    }

    fn of(answer: Answer, reason: String) -> Self {
        Self { answer, reason, message_id: None, from: None, policy: None }
    }

    /// The refusal concerns this message.
    #[must_use]
    pub(super) fn about(mut self, message: &UserMessage) -> Self {
        self.from = Some(message.from.id.value.clone());
        self.id(&message.info.message_id)
    }

    /// The refusal concerns the message with this MessageId.
    #[must_use]
    pub(super) fn id(mut self, message_id: &str) -> Self {
        self.message_id = Some(message_id.to_owned());
        self
    }

    /// A processing mode is known, so the error is signed.
    #[must_use]
    pub(super) fn under(mut self, pmode: &PMode) -> Self {
        self.policy = Some(Box::new(pmode.security_policy()));
        self
    }

    /// `ErrorDetail` for the peer.
    #[must_use]
    pub(super) fn detail(mut self, text: Option<String>) -> Self {
        if let Answer::Signal { detail, .. } = &mut self.answer {
            *detail = text;
        }
        self
    }

    fn code(&self) -> String {
        match &self.answer {
            Answer::Signal { code, .. } => code.code().into(),
            Answer::Http(status) | Answer::NotNow(status) => format!("HTTP {}", status.as_u16()),
        }
    }
}

/// Records the refusal and answers it.
pub(super) async fn answer(
    node: &Node,
    throttle: &Throttle,
    refusal: Refusal,
    source: IpAddr,
) -> Response<Full<Bytes>> {
    record(node, throttle, &refusal, source).await;
    match &refusal.answer {
        Answer::Http(status) => bare(*status, &refusal.reason),
        Answer::NotNow(status) if refusal.policy.is_none() => bare(*status, &refusal.reason),
        Answer::NotNow(status) => {
            let mut answer = signal(node, &refusal, entry(Code::DeliveryFailure, &refusal));
            *answer.status_mut() = *status;
            come_again(&mut answer);
            answer
        }
        Answer::Signal { code, detail } => {
            signal(node, &refusal, ErrorEntry { detail: detail.clone(), ..entry(*code, &refusal) })
        }
    }
}

async fn record(node: &Node, throttle: &Throttle, refusal: &Refusal, source: IpAddr) {
    let message_id = refusal.message_id.as_deref().unwrap_or("-");
    tracing::warn!(message.id = message_id, code = refusal.code(), peer.address = %source, reason = refusal.reason, "message refused");
    metrics::counter!(crate::metrics::REJECTED, "code" => refusal.code()).increment(1);
    let Some(place) = throttle.admits(source, node.clock.now()) else { return };
    let row = Rejected {
        from_party: refusal.from.clone(),
        message_id: refusal.message_id.clone(),
        code: refusal.code(),
        detail: refusal.reason.clone(),
        source: source.to_string(),
    };
    // Nobody waits for an answer because the store does.
    let store = node.store.clone();
    let kept = tokio::spawn(async move {
        let kept = store.reject(row).await;
        drop(place);
        kept
    });
    let kept = timeout(RECORDED, kept);
    match kept.await {
        Ok(Ok(Err(error))) => tracing::error!(%error, "the refusal could not be recorded"),
        Ok(Err(error)) => tracing::error!(%error, "the refusal could not be recorded"),
        Ok(Ok(Ok(()))) | Err(_) => {}
    }
}

fn entry(code: Code, refusal: &Refusal) -> ErrorEntry {
    ErrorEntry::of(code, refusal.message_id.as_deref())
}

/// HTTP 200 with an error signal, without a Fault (model.md 2); unsigned while no processing mode is known.
fn signal(node: &Node, refusal: &Refusal, entry: ErrorEntry) -> Response<Full<Bytes>> {
    let info = MessageInfo {
        timestamp: node.clock.now(),
        message_id: id::message_id(&node.domain),
        ref_to_message_id: refusal.message_id.clone(),
    };
    let xml_id = id::xml_id("msg");
    let messaging = write_error_signal(&info, &[entry], &xml_id);
    let octets = match &refusal.policy {
        Some(policy) => node.seal_signal(&messaging, &xml_id, policy),
        None => Ok(wssec::unsecured(&messaging)),
    };
    match octets {
        Ok(octets) => {
            let mut response = Response::new(Full::new(Bytes::from(octets)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(soap::CONTENT_TYPE));
            response
        }
        Err(error) => {
            tracing::error!(%error, "the error signal could not be signed");
            bare(StatusCode::INTERNAL_SERVER_ERROR, "this access point cannot answer now")
        }
    }
}

fn bare(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    // What goes wrong in our own house is not the peer's to read.
    let text = if status.is_server_error() { "this access point cannot take messages now" } else { text };
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    come_again(&mut response);
    response
}

/// Says when, where it is ours to say.
fn come_again(response: &mut Response<Full<Bytes>>) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(COME_AGAIN));
    }
}
