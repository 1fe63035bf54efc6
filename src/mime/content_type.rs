//! Content-Type: media type and parameters, with RFC 2045 quoting.

use super::Error;

/// A parsed Content-Type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype`, lower case.
    pub media_type: String,
    /// Names in lower case, values unquoted, in the order of the header.
    pub parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Reads a header value. Tolerates what peers write against RFC 2045: unquoted values with `/` or `@`
    /// (`type=application/soap+xml`), a semicolon at the end, blanks anywhere, comments.
    pub fn parse(value: &str) -> Result<Self, Error> {
        let wrong = |problem| Error::ContentType { value: value.chars().take(200).collect(), problem };
        let mut pieces = pieces(value).map_err(wrong)?.into_iter();
        let media_type = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.split_once('/') {
            Some((main, sub)) if is_token(main) && is_token(sub) => {}
            _ => return Err(wrong("no type/subtype")),
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for piece in pieces.filter(|piece| !piece.trim().is_empty()) {
            let (name, value) = piece.split_once('=').ok_or_else(|| wrong("a parameter without ="))?;
            let name = name.trim().to_ascii_lowercase();
            if !is_token(&name) {
                return Err(wrong("a parameter's name is no token"));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(wrong("a parameter stands twice"));
            }
            parameters
                .push((name, unquoted(value.trim()).ok_or_else(|| wrong("a quoted value is not closed"))?));
        }
        Ok(Self { media_type, parameters })
    }

    /// The parameter's value, unquoted; `name` in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The boundary of a multipart: 1 to 70 characters of RFC 2046 5.1.1 (we take any visible ASCII and inner blanks).
    pub fn boundary(&self) -> Result<&str, Error> {
        let boundary = self.parameter("boundary").unwrap_or_default();
        let allowed = (1..=70).contains(&boundary.len())
            && boundary.bytes().all(|c| (b' '..=b'~').contains(&c))
            && !boundary.ends_with(' ');
        match allowed {
            true => Ok(boundary),
            false => Err(Error::Boundary(boundary.chars().take(100).collect())),
        }
    }
}

impl std::fmt::Display for ContentType {
    /// Values that are no token are quoted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.media_type)?;
        for (name, value) in &self.parameters {
            match is_token(value) {
                true => write!(f, "; {name}={value}")?,
                false => write!(f, "; {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?,
            }
        }
        Ok(())
    }
}

/// Cuts at semicolons outside quotes and drops comments.
fn pieces(value: &str) -> Result<Vec<String>, &'static str> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    let (mut quoted, mut escaped, mut depth) = (false, false, 0usize);
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            ';' if !quoted && depth == 0 => {
                pieces.push(std::mem::take(&mut piece));
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            piece.push(c);
        }
    }
    if quoted || depth > 0 {
        return Err("a quote or comment is not closed");
    }
    pieces.push(piece);
    Ok(pieces)
}

fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let inner = inner.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            c => {
                out.push(c);
                escaped = false;
            }
        }
    }
    (!escaped).then_some(out)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_peers_write_is_read() {
        let read = |v| ContentType::parse(v).unwrap();
        let holodeck = read(
            r#"multipart/related; boundary=MIMEBoundary_1; type="application/soap+xml"; start="<0.a@b>""#,
        );
        assert_eq!(holodeck.boundary().unwrap(), "MIMEBoundary_1");
        assert_eq!(holodeck.parameter("start"), Some("<0.a@b>"));
        let sloppy =
            read("Multipart/Related;type=application/soap+xml;boundary=\"a;b\\\"c\" (comment; x=1);");
        assert_eq!(sloppy.media_type, "multipart/related");
        assert_eq!(sloppy.parameter("type"), Some("application/soap+xml"));
        assert_eq!(sloppy.boundary().unwrap(), "a;b\"c");
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for wrong in ["", "multipart", "a/b; boundary=1; boundary=2", "a/b; x", "a/b; x=\"y", "a/b; =y"] {
            assert!(ContentType::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ContentType::parse("multipart/related").unwrap().boundary().is_err());
        let long = format!("multipart/related; boundary={}", "x".repeat(71));
        assert!(ContentType::parse(&long).unwrap().boundary().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(
            parameters in prop::collection::btree_map("[a-z-]{1,8}", "[ -~]{1,12}", 0..4),
        ) {
            let one = ContentType { media_type: "multipart/related".into(), parameters: parameters.into_iter().collect() };
            prop_assert_eq!(ContentType::parse(&one.to_string()).unwrap(), one);
        }
    }
}
