//! Content-IDs and `cid:` URIs (RFC 2392).

use std::collections::HashSet;

/// The Content-ID that a `cid:` URI names: percent-decoded exactly once; `None` when it is no `cid:` URI or decodes to
/// something that is no text. Compared octet by octet with [`super::PartHeaders::content_id`] (as4-wire 6).
pub fn cid_of_href(href: &str) -> Option<String> {
    let (scheme, rest) = href.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("cid") || rest.is_empty() {
        return None;
    }
    let octets = rest.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(octets.len()), 0);
    while at < octets.len() {
        if octets[at] == b'%' {
            let hex = octets.get(at + 1..at + 3)?;
            out.extend(hex::decode(hex).ok()?);
            at += 3;
        } else {
            out.push(octets[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// The `cid:` URI of a Content-ID given without angle brackets.
pub fn href_of_cid(cid: &str) -> String {
    let mut href = String::from("cid:");
    for octet in cid.bytes() {
        match octet {
            c if c.is_ascii_alphanumeric() || b"-._~@!$&'()*+,;=:".contains(&c) => href.push(char::from(c)),
            c => href.push_str(&format!("%{c:02X}")),
        }
    }
    href
}

/// A msg-id without its angle brackets and the blanks around them.
pub fn without_brackets(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

/// The first Content-ID that stands twice. A bijection of parts, references and PartInfo needs unique ones.
pub fn first_duplicate<'a>(ids: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    ids.into_iter().find(|id| !seen.insert(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cid_is_decoded_once() {
        assert_eq!(cid_of_href("cid:a%40b%2525").as_deref(), Some("a@b%25"));
        assert_eq!(cid_of_href("CID:x@y").as_deref(), Some("x@y"));
        for wrong in ["cid:", "#id", "cid:%4", "cid:%ff", "https://x/"] {
            assert_eq!(cid_of_href(wrong), None, "{wrong}");
        }
        assert_eq!(without_brackets(" <a@b> "), "a@b");
        assert_eq!(first_duplicate(["a", "b", "a"]), Some("a"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(cid in "\\PC{1,20}") {
            prop_assert_eq!(cid_of_href(&href_of_cid(&cid)), Some(cid));
        }
    }
}
