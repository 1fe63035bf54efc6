//! The pages over a store on real files.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::api::testing::{api, receive};

async fn page(api: &Api, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router(api.clone()).oneshot(request).await.unwrap();
    let octets = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(octets.to_vec()).unwrap()
}

#[tokio::test]
async fn the_newest_received_messages_are_shown_with_a_way_to_older_ones() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path()).await;
    receive(&api, ROWS + 2).await;
    let newest = page(&api, "/?lang=en").await;
    assert!(
        newest.contains(">51@sender<") && newest.contains(">2@sender<") && !newest.contains(">1@sender<")
    );
    let (_, link) = newest.split_once("received=").unwrap();
    let (id, _) = link.split_once('#').unwrap();
    let older = page(&api, &format!("/?lang=en&received={id}")).await;
    assert!(older.contains(">1@sender<") && older.contains(">0@sender<") && !older.contains(">2@sender<"));
    assert!(!older.contains("#received\""), "there are no older ones");
}
