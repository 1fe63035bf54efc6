//! What an operator asks and is answered, over a store on real files.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tower::ServiceExt as _;

use super::testing::{api, receive};
use super::*;
use crate::store::tests::inbound::evidence_message;
use crate::store::tests::{later, noon, submitted};
use crate::store::{MessageRow, Next};

/// A node's operator interface, and the folder of its store.
struct Desk {
    router: Router,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let api = api(folder.path()).await;
        Self { router: router(api.clone()), api, _folder: folder }
    }

    async fn ask(&self, request: Request<Body>) -> (u16, Value) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let octets = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&octets).unwrap_or_else(|_| panic!("{octets:?} is no JSON")))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::post(path).header("content-type", "application/json");
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The rows of a list.
    async fn list(&self, path: &str) -> Vec<Value> {
        match self.get(path).await {
            (200, Value::Array(rows)) => rows,
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_deliveries_of_today_are_seen_however_many_came_before() {
    let desk = Desk::set().await;
    receive(&desk.api, 203).await;
    let first = desk.list("/api/deliveries").await;
    assert_eq!(first.len(), 200);
    assert_eq!(first[0]["message"]["message_id"], "202@sender");
    let last = first[199]["id"].as_str().unwrap();
    let rest = desk.list(&format!("/api/deliveries?before={last}&state=waiting&backend=rest&limit=2")).await;
    let ids: Vec<&Value> = rest.iter().map(|row| &row["message"]["message_id"]).collect();
    assert_eq!(ids, ["2@sender", "1@sender"]);
    assert!(desk.list("/api/deliveries?state=undeliverable").await.is_empty());
}

#[tokio::test]
async fn messages_are_filtered_by_what_an_operator_looks_for() {
    let desk = Desk::set().await;
    receive(&desk.api, 1).await;
    submitted(&desk.api.store, "a", "1@test").await;
    assert_eq!(desk.list("/api/messages").await.len(), 2);
    let queued = desk.list("/api/messages?state=queued&direction=out&before=").await;
    assert_eq!(queued[0]["message_id"], "1@test");
    let id = queued[0]["id"].as_str().unwrap();
    assert_eq!(desk.list(&format!("/api/messages?before={id}")).await[0]["message_id"], "0@sender");
    assert!(desk.list("/api/messages?state=failed").await.is_empty());
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_told_with_what_can() {
    let desk = Desk::set().await;
    for (path, words) in [
        ("/api/deliveries?state=stuck", "state: \"stuck\" is none of waiting, at-disposal, accepted"),
        ("/api/deliveries?before=yesterday", "before: \"yesterday\" is no id"),
        ("/api/deliveries?limit=many", "limit"),
        ("/api/deliveries?sate=waiting", "unknown field `sate`"),
        ("/api/messages?state=waiting", "state: \"waiting\" is none of received, queued"),
        ("/api/messages?direction=up", "direction: \"up\" is none of in, out"),
        ("/api/notices?before=5", "unknown field `before`, expected `limit`"),
        ("/api/rejected?limit=zz", "limit"),
        ("/api/submissions?recipient=1", "unknown field `recipient`, expected one of"),
        ("/api/submissions?state=stuck", "state: \"stuck\" is none of received, uncertain"),
    ] {
        let (status, answer) = desk.get(path).await;
        let said = answer["error"].as_str().unwrap_or_default();
        assert!(status == 400 && said.contains(words), "{path}: {status} {answer}");
    }
}

#[tokio::test]
async fn evidence_that_failed_is_sent_again_by_who_says_why() {
    let desk = Desk::set().await;
    receive(&desk.api, 1).await;
    let store = &desk.api.store;
    let delivery = store.newest_deliveries((None, None), None, 1).await.unwrap().remove(0).id;
    store.delivery_at_disposal(delivery, Some(evidence_message("e1@us"))).await.unwrap();
    let leased = store.lease_due(noon(), 10, later(60)).await.unwrap().remove(0);
    let why = (json!([]), "no way back".to_owned());
    store.lookup_failed(leased.lease(), why, Next::Failed, Vec::new()).await.unwrap();

    let notice = desk.list("/api/notices").await.remove(0);
    assert_eq!(notice["kind"], "evidence-not-sent");
    let path = format!("/api/messages/{}/retry", notice["subject"].as_str().unwrap());
    let (status, answer) = desk.post(&path, &json!({ "who": "Anna", "why": " " })).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("say who you are"), "{answer}");
    let (status, answer) = desk.post(&path, &json!({ "who": "Anna", "why": "they are back" })).await;
    assert_eq!((status, &answer["state"]), (200, &json!("queued")), "{answer}");
    assert_eq!(answer["acts"][0]["who"], "Anna");
    let listed = desk.list("/api/messages?direction=out").await.remove(0);
    assert_eq!(listed["acts"][0]["why"], "they are back");

    let received = desk.list("/api/messages?direction=in").await.remove(0);
    let path = format!("/api/messages/{}/retry", received["id"].as_str().unwrap());
    let word = json!({ "who": "Anna", "why": "impatient" });
    assert_eq!(desk.post(&path, &word).await.0, 409);
    assert_eq!(desk.post(&format!("/api/messages/{}/retry", MessageRow::new()), &word).await.0, 404);
    assert_eq!(desk.post("/api/messages/e1@us/retry", &word).await.0, 400);
}

#[tokio::test]
async fn the_metrics_say_what_waits_since_when_and_how_much_room_there_is() {
    let desk = Desk::set().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _told = metrics::set_default_local_recorder(&recorder);
    let tell = async || {
        Figures::default().tell(&desk.api.store).await.unwrap();
        recorder.handle().render()
    };
    let says = |text: &str, line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    says(&tell().await, "tilts_oldest_due_seconds 0");

    receive(&desk.api, 2).await;
    submitted(&desk.api.store, "a", "1@test").await;
    desk.api.store.clock().set(later(90));
    let text = tell().await;
    says(&text, "tilts_oldest_due_seconds 90");
    says(&text, "tilts_recipients{state=\"received\"} 1");
    for (words, count) in
        [("out\",class=\"business\",state=\"queued", 1), ("out\",class=\"evidence\",state=\"failed", 0)]
    {
        says(&text, &format!("tilts_messages{{direction=\"{words}\"}} {count}"));
    }
    says(&text, "tilts_messages{direction=\"in\",class=\"business\",state=\"received\"} 2");
    says(&text, "tilts_deliveries{backend=\"rest\",state=\"waiting\"} 2");
    says(&text, "tilts_deliveries{backend=\"rest\",state=\"undeliverable\"} 0");
    let free = text.lines().find_map(|line| line.strip_prefix("tilts_store_free_bytes{folder=\"")).unwrap();
    assert!(free.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0, "{free}");
}
