//! From read models to what a template shows.

use askama::Template;
use serde_json::Value;

use super::words::{Language, Words};
use super::{ROWS, Wish};
use crate::api::{
    DeliveryView, MessageView, NationalDelivery, NationalSend, NoticeRow, RecipientDetail, RecipientView,
};
use crate::api::{StoredEvidence, SubmissionDetail, SubmissionView};
use crate::clock::Timestamp;

/// The list of messages.
#[derive(Template)]
#[template(path = "list.html")]
struct List<'a> {
    words: &'static Words,
    here: String,
    filters: Vec<Filter>,
    rows: Vec<Row>,
    received: Vec<Received>,
    notices: Vec<Notice<'a>>,
    older: Option<String>,
    older_received: Option<String>,
}

struct Filter {
    name: String,
    href: String,
    on: bool,
}

struct Row {
    id: String,
    submitted: String,
    title: String,
    recipients: Vec<Status>,
}

/// Both national statuses of one recipient.
struct Status {
    address: String,
    send: &'static str,
    send_note: String,
    delivery: &'static str,
    delivery_note: String,
    colour: &'static str,
    state: &'static str,
    provisional: bool,
}

struct Received {
    at: String,
    sender: String,
    recipient: String,
    state: &'static str,
    message_id: String,
}

struct Notice<'a> {
    at: String,
    kind: &'a str,
    subject: &'a str,
    text: &'a str,
}

/// One message.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    words: &'static Words,
    here: String,
    id: String,
    title: String,
    submitted: String,
    client_id: String,
    recipients: Vec<Detail>,
}

struct Detail {
    status: Status,
    participant: String,
    domain: String,
    deadline: String,
    receipt_only: bool,
    timeline: Vec<Moment>,
}

struct Moment {
    at: String,
    kind: &'static str,
    class: &'static str,
    what: String,
    detail: String,
}

const STATES: [&str; 9] = [
    "received",
    "uncertain",
    "at-remote-gateway",
    "available",
    "delivered",
    "refused",
    "missed",
    "failed",
    "failed-after-available",
];

/// The list page.
pub(super) fn list(
    language: Language,
    wish: &Wish,
    (submissions, received, notices): (&[SubmissionView], &[DeliveryView], &[NoticeRow]),
) -> Result<String, askama::Error> {
    let words = language.words();
    let last = submissions.last().filter(|_| submissions.len() >= ROWS).map(|s| s.id.to_string());
    let last_received = received.last().filter(|_| received.len() >= ROWS).map(|d| d.id.to_string());
    let state = wish.state.as_deref().unwrap_or_default();
    List {
        words,
        here: "/".into(),
        filters: filters(words, state),
        rows: submissions.iter().map(|s| row(language, s)).collect(),
        received: received.iter().map(arrived).collect(),
        notices: notices.iter().map(notice).collect(),
        older: last.map(|id| address(words, state, (Some(&id), wish.received.as_deref()))),
        older_received: last_received
            .map(|id| address(words, state, (wish.before.as_deref(), Some(&id))) + "#received"),
    }
    .render()
}

fn notice(row: &NoticeRow) -> Notice<'_> {
    Notice { at: clock(row.at), kind: &row.kind, subject: &row.subject, text: &row.text }
}

fn filters(words: &Words, state: &str) -> Vec<Filter> {
    let all = std::iter::once((words.all, "")).chain(STATES.iter().map(|state| (*state, *state)));
    all.map(|(name, value)| Filter {
        name: name.to_owned(),
        href: address(words, value, (None, None)),
        on: state == value,
    })
    .collect()
}

/// Where a list page is: of submissions in `state` older than the one id, of received messages older than the other.
fn address(words: &Words, state: &str, (before, received): (Option<&str>, Option<&str>)) -> String {
    let older = |key: &str, id: Option<&str>| id.map(|id| format!("&{key}={id}")).unwrap_or_default();
    format!("/?lang={}&state={state}{}{}", words.code, older("before", before), older("received", received))
}

/// The page of one message.
pub(super) fn message(language: Language, detail: &SubmissionDetail) -> Result<String, askama::Error> {
    let submission = &detail.submission;
    Message {
        words: language.words(),
        here: format!("/messages/{}", submission.id),
        id: submission.id.to_string(),
        title: title(submission),
        submitted: clock(submission.created),
        client_id: submission.client_id.clone(),
        recipients: detail.recipients.iter().map(|r| recipient(language, r)).collect(),
    }
    .render()
}

fn row(language: Language, submission: &SubmissionView) -> Row {
    Row {
        id: submission.id.to_string(),
        submitted: clock(submission.created),
        title: title(submission),
        recipients: submission.recipients.iter().map(|r| status(language, r)).collect(),
    }
}

fn title(submission: &SubmissionView) -> String {
    let title = submission.metadata.get("title").and_then(Value::as_str);
    title.filter(|t| !t.is_empty()).unwrap_or(&submission.client_id).to_owned()
}

fn status(language: Language, view: &RecipientView) -> Status {
    let record = &view.record;
    let english = |word: &str| match language {
        Language::English if word != "-" => format!("({word})"),
        _ => String::new(),
    };
    let note = |at: Option<Timestamp>, word: &str| {
        let at = at.map(clock).unwrap_or_default();
        format!("{at} {}", english(word)).trim().to_owned()
    };
    let sent_at = record.sent_at.filter(|_| record.send == NationalSend::Sent);
    let settled = record.delivered_at.filter(|_| record.delivery != NationalDelivery::None);
    Status {
        address: view.address.clone(),
        send: record.send.latvian(),
        send_note: note(sent_at, record.send.english()),
        delivery: record.delivery.latvian(),
        delivery_note: note(settled, record.delivery.english()),
        colour: colour(record.send, record.delivery),
        state: record.state.as_str(),
        provisional: record.provisional,
    }
}

fn colour(send: NationalSend, delivery: NationalDelivery) -> &'static str {
    match (send, delivery) {
        (NationalSend::Failed, _) => "bad",
        (_, NationalDelivery::Delivered) => "good",
        (_, NationalDelivery::Missed | NationalDelivery::Refused) => "warn",
        (NationalSend::Sent, NationalDelivery::None) => "sent",
        (NationalSend::Processing, NationalDelivery::None) => "open",
    }
}

fn arrived(delivery: &DeliveryView) -> Received {
    Received {
        at: clock(delivery.message.received),
        sender: delivery.message.original_sender.clone().unwrap_or_default(),
        recipient: delivery.message.final_recipient.clone().unwrap_or_default(),
        state: delivery.state.as_str(),
        message_id: delivery.message.message_id.clone(),
    }
}

fn recipient(language: Language, detail: &RecipientDetail) -> Detail {
    let view = &detail.recipient;
    let mut moments: Vec<(Timestamp, Moment)> = Vec::new();
    detail.messages.iter().for_each(|m| sending(language, m, &mut moments));
    moments.extend(detail.evidence.iter().map(|e| (e.row.received, proof(language, e))));
    moments.sort_by_key(|(at, _)| *at);
    Detail {
        status: status(language, view),
        participant: view.participant.clone().unwrap_or_default(),
        domain: view.domain.clone(),
        deadline: view.deadline.map(clock).unwrap_or_default(),
        receipt_only: !view.profile.expects_evidence() && view.record.send == NationalSend::Sent,
        timeline: moments.into_iter().map(|(_, moment)| moment).collect(),
    }
}

fn sending(language: Language, message: &MessageView, moments: &mut Vec<(Timestamp, Moment)>) {
    let words = language.words();
    for step in message.lookup.iter().filter_map(Value::as_array).flatten() {
        let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
        let Ok(at) = text("at").parse::<Timestamp>() else { continue };
        let what = format!("{} · {}", text("asked"), text("of"));
        let detail = text("came").to_owned();
        moments.push((at, Moment { at: clock(at), kind: words.lookup, class: "lookup", what, detail }));
    }
    for attempt in &message.attempts {
        let outcome = attempt.outcome.map_or("…", |o| o.as_str());
        let what = format!("{}. {} · {outcome}", attempt.number, attempt.url);
        let detail = joined(&[&message.message_id, attempt.detail.as_deref().unwrap_or_default()]);
        let moment =
            Moment { at: clock(attempt.started), kind: words.attempt, class: "attempt", what, detail };
        moments.push((attempt.started, moment));
    }
}

fn proof(language: Language, stored: &StoredEvidence) -> Moment {
    let row = &stored.row;
    let signed = if row.signed { " ✓" } else { "" };
    let hash = format!("sha256 {}…", hex::encode(&stored.sha256[..8]));
    Moment {
        at: clock(row.received),
        kind: language.words().evidence,
        class: "evidence",
        what: format!("{} · {}{signed} ({})", row.signal.as_str(), row.kind.as_str(), stored.format),
        detail: joined(&[row.detail.as_deref().unwrap_or_default(), &clock(row.event_time), &hash]),
    }
}

/// What there is, with dots between.
fn joined(texts: &[&str]) -> String {
    texts.iter().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>().join(" · ")
}

/// UTC to the second.
fn clock(at: Timestamp) -> String {
    format!("{at:.0}").replace('T', " ").replace('Z', " UTC")
}
