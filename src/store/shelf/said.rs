//! What an object store answered, in words for whoever must do something about it.

/// Most that is told of an answer, in characters.
const MOST: usize = 300;

/// What is told, and what helps: the innermost of what the library says, for it wraps the same answer now in one error and now in
/// another; of an answer in S3's XML its code and message.
pub(super) fn said(error: &(dyn std::error::Error + 'static)) -> (String, &'static str) {
    let last = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    let text = last.to_string();
    let told = match (between(&text, "<Code>", "</Code>"), between(&text, "<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => text.trim_end_matches([':', ' ']).chars().take(MOST).collect(),
    };
    (told, remedy(&text))
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

/// By words of S3, of status lines and of our transport; the first that is found counts.
const REMEDIES: [(&str, &str); 8] = [
    ("RequestTimeTooSkewed", "set the clock of this machine"),
    ("AccessDenied", "allow the access key to list, read, write and delete there"),
    ("AuthorizationHeaderMalformed", REGION),
    ("configured region", REGION),
    (": 401 ", KEYS),
    (": 403 ", KEYS),
    ("certificate is refused", "name the authority of its certificate in tls_trust of [store.s3]"),
    (
        ": 404 ",
        "see that this bucket exists there, else make it or mend bucket and endpoint of [store.s3]; see who removes objects",
    ),
];
const KEYS: &str =
    "see that access_key_file and secret_key_file of [store.s3] belong together and to this server";
const REGION: &str = "name its region in region of [store.s3]";
const SERVER: &str = "see that the server runs, is reached from here, and is the one that [store.s3] means";

fn remedy(text: &str) -> &'static str {
    REMEDIES.iter().find(|(word, _)| text.contains(word)).map_or(SERVER, |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> (String, &'static str) {
        let inner = std::io::Error::other(format!("Server returned non-2xx status code: {body}"));
        said(&object_store::Error::Generic { store: "S3", source: Box::new(inner) })
    }

    #[test]
    fn of_an_answer_in_xml_code_and_message_are_told() {
        let body =
            "403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><Message>It does not</Message></Error>";
        assert_eq!(answered(body).0, "SignatureDoesNotMatch: It does not");
        assert_eq!(answered("503 Slow: <Code>SlowDown</Code>").0, "SlowDown");
        assert_eq!(answered("403 Forbidden: ").0, "Server returned non-2xx status code: 403 Forbidden");
    }

    #[test]
    fn each_answer_has_its_remedy() {
        for (body, helps) in [
            ("403 Forbidden: <Code>AccessDenied</Code>", "allow the access key"),
            ("403 Forbidden: <Code>InvalidAccessKeyId</Code>", "secret_key_file"),
            ("403 Forbidden: ", "secret_key_file"),
            ("403 Forbidden: <Code>RequestTimeTooSkewed</Code>", "clock"),
            ("404 Not Found: <Code>NoSuchBucket</Code>", "make it"),
            ("404 Not Found: ", "who removes"),
            ("400 Bad Request: <Code>AuthorizationHeaderMalformed</Code>", "its region"),
            ("the server's certificate is refused: unable to get local issuer", "tls_trust"),
            ("503 Service Unavailable: ", "server runs"),
        ] {
            assert!(answered(body).1.contains(helps), "{body}: {}", answered(body).1);
        }
    }
}
