//! Listings in pages, as S3 gives them: what keeps the objects here gives each one whole.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::{Response, Uri, header};
use s3s::Body;

const BEGIN: &str = "<Contents>";
const END: &str = "</Contents>";

/// What a request for a listing asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The key behind which it begins.
    after: Option<String>,
    /// Objects at most.
    most: usize,
}

impl Page {
    /// What is asked for, where that is a listing; never more than `most` objects.
    pub fn of(uri: &Uri, most: usize) -> Result<Option<Self>> {
        let pairs = uri.query().unwrap_or_default().split('&').map(|p| p.split_once('=').unwrap_or((p, "")));
        let value = |name: &str| pairs.clone().find(|pair| pair.0 == name).map(|pair| pair.1);
        if value("list-type") != Some("2") {
            return Ok(None);
        }
        let asked = value("max-keys").map(str::parse).transpose()?.unwrap_or(most);
        let after = value("continuation-token").map(key).transpose()?;
        Ok(Some(Self { after, most: asked.min(most) }))
    }

    /// The same answer with what belongs on this page alone.
    pub async fn cut(self, answer: Response<Body>) -> Result<Response<Body>> {
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let (mut head, body) = answer.into_parts();
        let whole = body.collect().await.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        let cut = self.of_listing(std::str::from_utf8(&whole)?)?;
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, cut.into()))
    }

    fn of_listing(&self, whole: &str) -> Result<String> {
        let (Some(begin), Some(end)) = (whole.find(BEGIN), whole.rfind(END)) else {
            return Ok(whole.to_owned());
        };
        let end = end + END.len();
        let objects: Vec<&str> = whole[begin..end].split_inclusive(END).collect();
        let behind = |object: &&&str| self.after.as_deref().is_none_or(|after| name(object) > Some(after));
        let rest: Vec<&str> = objects.iter().filter(behind).copied().collect();
        let page = &rest[..rest.len().min(self.most)];
        let more = match page.last().filter(|_| page.len() < rest.len()) {
            Some(last) => {
                let token = STANDARD.encode(name(last).context("an object without a key")?);
                format!(
                    "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
                )
            }
            None => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        Ok([&whole[..begin], &page.concat(), &more, &whole[end..]].concat())
    }
}

fn name(object: &str) -> Option<&str> {
    Some(object.split_once("<Key>")?.1.split_once("</Key>")?.0)
}

/// The key of a token, whose `+`, `/` and `=` came encoded or the server that was meant would not have known it.
fn key(token: &str) -> Result<String> {
    ensure!(!token.contains(['+', '/', '=']), "{token:?} is not encoded as a value of a query");
    let token = token.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    Ok(String::from_utf8(STANDARD.decode(token)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(keys: &[&str]) -> String {
        let objects = keys.iter().map(|key| format!("{BEGIN}<Key>{key}</Key><Size>1</Size>{END}"));
        format!("<List>{}<Name>b</Name></List>", objects.collect::<String>())
    }

    #[test]
    fn pages_together_are_the_listing() {
        let whole = listing(&["a/1", "a/2", "b/1", "b/2", "b/3"]);
        let (mut keys, mut query, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let uri = format!("/b?list-type=2&prefix=x{query}").parse().unwrap();
            let page = Page::of(&uri, 2).unwrap().unwrap().of_listing(&whole).unwrap();
            keys.extend(page.split(BEGIN).filter_map(name).map(str::to_owned));
            pages += 1;
            let token = page.split_once("<NextContinuationToken>").and_then(|rest| rest.1.split_once('<'));
            let Some((token, _)) = token else { break };
            query = format!("&continuation-token={}", token.replace('/', "%2F").replace('=', "%3D"));
        }
        assert_eq!((keys.join(" ").as_str(), pages), ("a/1 a/2 b/1 b/2 b/3", 3));
    }

    #[test]
    fn who_asks_for_less_gets_less_and_what_is_no_listing_is_left_alone() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let asked = Page::of(&uri("/b?list-type=2&max-keys=3"), 1000).unwrap();
        assert_eq!(asked, Some(Page { after: None, most: 3 }));
        assert_eq!(Page::of(&uri("/b/key"), 1000).unwrap(), None);
        assert_eq!(Page { after: None, most: 3 }.of_listing("<List></List>").unwrap(), "<List></List>");
    }
}
