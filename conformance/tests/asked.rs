//! What a backend asks for by name and is not known by that name is told to it: a filter that is left out would give it what is others'.

use anyhow::{Result, ensure};
use conformance::http;
use conformance::node::{free, tilts_binary};
use conformance::world::World;
use hyper::Method;
use serde_json::Value;

const OFFICE: &str = "\n[[backend]]\nid = \"office\"\nadapter = \"rest\"\n";

#[tokio::test]
async fn an_unknown_name_in_an_address_is_refused_with_those_that_there_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
    let mut point = world.access_point("node", 2048, free()?, OFFICE)?;
    point.node.start().await?;
    let message = "/v1/messages/019c0000-0000-7000-8000-000000000001";
    let of = |rest: &str| format!("{message}{rest}");
    let (get, post) = (Method::GET, Method::POST);
    let cases = [
        (400, &get, "/v1/messages?bakend=office".into(), "unknown field `bakend`, expected one of `backend`"),
        (400, &get, "/v1/messages?limit=many".into(), "limit"),
        (400, &get, "/v1/events?since=1".into(), "unknown field `since`, expected one of `backend`, `after`"),
        (400, &get, "/v1/events?backend=offfice".into(), "no [[backend]] \"offfice\""),
        (409, &get, "/v1/events?after=7".into(), "after=7 is behind the last event, which is 0"),
        (400, &get, "/v1/submissions?clientid=1".into(), "unknown field `clientid`"),
        (400, &post, "/v1/submissions?channel=office".into(), "unknown field `channel`, expected `backend`"),
        (400, &post, "/div/messages?channel=office".into(), "unknown field `channel`, expected `backend`"),
        (400, &get, of("?backend=offfice"), "no [[backend]] \"offfice\""),
        (404, &get, of("?backend=office"), "does not exist"),
        (400, &post, of("/acknowledge?offfice"), "unknown field `offfice`"),
        (422, &post, of("/acknowledge"), "missing field `outcome`"),
        (405, &Method::DELETE, message.into(), "DELETE does nothing here"),
    ];
    for (status, method, path, words) in cases {
        let to = point.node.ports.backend;
        let body = if words.contains("offfice`") { r#"{"outcome":"accepted"}"# } else { "{}" };
        let answer = http::request(to, method.clone(), &path, "application/json", body).await?;
        let said: Value = serde_json::from_slice(&answer.body)?;
        let error = said["error"].as_str().unwrap_or_default();
        ensure!(answer.status == status && error.contains(words), "{path}: {} {said}", answer.status);
    }
    Ok(())
}
