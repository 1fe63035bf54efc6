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
    let cases = [
        (
            Method::GET,
            "/v1/messages?bakend=office",
            "unknown field `bakend`, expected one of `backend`, `after`",
        ),
        (Method::GET, "/v1/messages?limit=many", "limit"),
        (Method::GET, "/v1/events?since=1", "unknown field `since`, expected `after` or `wait`"),
        (Method::GET, "/v1/submissions?clientid=1", "unknown field `clientid`"),
        (Method::POST, "/v1/submissions?channel=office", "unknown field `channel`, expected `backend`"),
        (Method::POST, "/div/messages?channel=office", "unknown field `channel`, expected `backend`"),
    ];
    for (method, path, words) in cases {
        let to = point.node.ports.backend;
        let answer = http::request(to, method, path, "application/json", "{}".to_owned()).await?;
        let said: Value = serde_json::from_slice(&answer.body)?;
        let error = said["error"].as_str().unwrap_or_default();
        ensure!(answer.status.as_u16() == 400 && error.contains(words), "{path}: {} {said}", answer.status);
    }
    Ok(())
}
