//! `[store.s3]` as the store takes it: who is asked, over what, with which key.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hyper::Uri;

use super::file;
use super::problems::Problems;
use super::trust::anchors;
use crate::store::S3Config;
use crate::transport::{Client, ClientConfig, ClientTimeouts, ClientTls, Egress};

/// Shorter than towards peers: somebody waits for us meanwhile.
const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(60);

/// The bucket with its key and its client; `None` when something is wrong with them.
pub(super) fn s3(problems: &mut Problems, given: &file::S3, base: &Path) -> Option<S3Config> {
    names(problems, given);
    let plain = given.endpoint.as_ref().is_some_and(|url| endpoint(problems, url, given.allow_http));
    let [access_key, secret_key] =
        [("access_key_file", &given.access_key_file), ("secret_key_file", &given.secret_key_file)]
            .map(|(key, file)| secret(problems, &format!("store.s3.{key}"), &base.join(file)));
    let tls_trust = given.tls_trust.as_ref().map(|file| base.join(file));
    let anchors = tls_trust.and_then(|file| anchors(problems, "store.s3.tls_trust", &file));
    let timeouts =
        ClientTimeouts { connect: CONNECT, idle: IDLE, answer: ANSWER, ..ClientTimeouts::default() };
    let tls = ClientTls { anchors, ..ClientTls::default() };
    // Our own configuration names the server, and not somebody else's metadata.
    let client = ClientConfig { tls, timeouts, egress: Egress::open(plain), ..ClientConfig::default() };
    let client = problems.keep("store.s3", Client::new(client))?;
    Some(S3Config {
        bucket: given.bucket.clone(),
        prefix: given.prefix.clone(),
        region: given.region.clone(),
        endpoint: given.endpoint.clone(),
        path_style: given.path_style.unwrap_or(given.endpoint.is_some()),
        access_key: access_key?,
        secret_key: secret_key?,
        http: client.for_objects(),
    })
}

fn names(problems: &mut Problems, given: &file::S3) {
    let of = |text: &str, others: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    let file::S3 { bucket, prefix, region, .. } = given;
    if !of(bucket, ".-_") || !(3..=255).contains(&bucket.len()) {
        let text = format!("{bucket:?} is no name of a bucket: 3 to 255 letters, digits, `.`, `-` or `_`");
        problems.add("store.s3.bucket", text);
    }
    let folder = |part: &str| !part.is_empty() && part != "." && part != ".." && of(part, ".-_");
    if !prefix.split('/').all(folder) {
        let text = format!(
            "{prefix:?} is no prefix: words of letters, digits, `.`, `-` or `_`, with `/` between them"
        );
        problems.add("store.s3.prefix", text);
    }
    if region.is_empty() || !of(region, "-") {
        problems.add("store.s3.region", format!("{region:?} is no region, such as \"eu-north-1\""));
    }
}

/// Judges the address of a server; whether it is asked without TLS.
fn endpoint(problems: &mut Problems, url: &str, allow_http: bool) -> bool {
    let at = "store.s3.endpoint";
    let uri: Option<Uri> = url.parse().ok();
    let authority = uri.as_ref().and_then(Uri::authority).map(|authority| authority.as_str());
    let bare = uri.as_ref().is_some_and(|uri| uri.path() == "/" && uri.query().is_none());
    if authority.is_some_and(|authority| authority.contains('@')) {
        problems.add(at, "a key stands in the address: put it into access_key_file and secret_key_file");
        return false;
    }
    match (uri.as_ref().and_then(Uri::scheme_str), uri.as_ref().and_then(Uri::host)) {
        (Some("https"), Some(_)) if bare => false,
        (Some("http"), Some(host)) if bare => {
            if !allow_http && !is_loopback(host) {
                let text = format!(
                    "{url:?} would carry payloads without TLS: use https, or set allow_http = true where the network between is yours"
                );
                problems.add(at, text);
            }
            true
        }
        _ => {
            problems.add(at, format!("{url:?} is no https://host:port; the bucket does not stand in it"));
            false
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn secret(problems: &mut Problems, at: &str, file: &Path) -> Option<String> {
    let text = problems.secret(at, file)?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        problems.add(at, format!("{} has nothing in its first line", file.display()));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> (Option<S3Config>, String) {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in [("id", "AKEY\n"), ("secret", "hush\n"), ("empty", "\n")] {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        let defaults =
            [("bucket", "payloads"), ("access_key_file", "id"), ("secret_key_file", "secret")].into_iter();
        let given = defaults
            .filter(|(key, _)| !text.contains(key))
            .map(|(key, value)| format!("{key} = '{value}'\n"));
        let given: file::S3 = toml::from_str(&(given.collect::<String>() + text)).unwrap();
        let mut problems = Problems::default();
        let config = s3(&mut problems, &given, folder.path());
        (config, problems.to_string())
    }

    #[test]
    fn a_bucket_of_amazon_is_named_in_the_host_and_one_of_another_server_in_the_path() {
        let (config, said) = judged("region = 'eu-north-1'");
        let config = config.unwrap();
        assert_eq!(said, "");
        assert_eq!(
            (config.prefix.as_str(), config.path_style, config.endpoint.as_deref()),
            ("tilts", false, None)
        );
        assert_eq!((config.access_key.as_str(), config.secret_key.as_str()), ("AKEY", "hush"));
        assert!(format!("{config:?}").contains("https://payloads.s3.eu-north-1.amazonaws.com"));
        assert!(!format!("{config:?}").contains("hush"));
        let (config, said) = judged("endpoint = 'https://minio.example:9000'");
        assert_eq!(said, "");
        assert!(format!("{:?}", config.unwrap()).contains("https://minio.example:9000/payloads"));
        let (config, _) = judged("endpoint = 'https://minio.example:9000'\npath_style = false");
        assert!(format!("{:?}", config.unwrap()).contains("https://payloads.minio.example:9000"));
    }

    #[test]
    fn only_this_machine_is_asked_without_tls_unless_that_is_allowed() {
        for url in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost/", "https://10.1.2.3"] {
            assert_eq!(judged(&format!("endpoint = '{url}'")).1, "", "{url}");
        }
        let away = "endpoint = 'http://10.1.2.3:9000'";
        assert!(judged(away).1.contains("set allow_http = true"));
        assert_eq!(judged(&format!("{away}\nallow_http = true")).1, "");
    }

    #[test]
    fn what_cannot_work_is_named_with_its_remedy() {
        for (text, expected) in [
            ("bucket = 'a b'", "store.s3.bucket: \"a b\" is no name of a bucket"),
            ("bucket = 'ab'", "3 to 255"),
            ("prefix = '/north'", "store.s3.prefix: \"/north\" is no prefix"),
            ("prefix = 'a/../b'", "is no prefix"),
            ("prefix = ''", "is no prefix"),
            ("region = 'north 1'", "such as \"eu-north-1\""),
            ("endpoint = 'minio:9000'", "is no https://host:port"),
            ("endpoint = 'https://minio/payloads'", "the bucket does not stand in it"),
            ("endpoint = 'ftp://minio'", "is no https://host:port"),
            ("endpoint = 'https://AKEY:hush@minio'", "put it into access_key_file"),
            ("access_key_file = 'none'", "store.s3.access_key_file: cannot read"),
            ("secret_key_file = 'empty'", "has nothing in its first line"),
            ("tls_trust = 'id'", "store.s3.tls_trust"),
        ] {
            let (_, said) = judged(text);
            assert!(said.contains(expected) && !said.contains("hush"), "{text}: {said}");
        }
    }
}
