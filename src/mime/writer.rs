//! The octets around the parts of a multipart/related body, known before any part's octets are (as4-wire 1.4).

use super::{ContentType, Error};

/// One part to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Its Content-Type.
    pub content_type: String,
    /// Its Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Further headers, such as Content-Disposition.
    pub headers: Vec<(String, String)>,
    /// Octets of its content; the transfer encoding is binary always.
    pub length: u64,
}

/// A body laid out: what stands before each part and after the last.
#[derive(Debug, Clone)]
pub struct Layout {
    content_type: String,
    before: Vec<Vec<u8>>,
    after: Vec<u8>,
    content_length: u64,
}

impl Layout {
    /// Lays out `parts`, the first being the root, of media type `root_type`. The boundary must not occur in any part: use
    /// a random one ([`random_boundary`]). A control character in a header is an error.
    pub fn new(boundary: &str, root_type: &str, parts: &[Part]) -> Result<Self, Error> {
        let mut parameters = vec![("type".to_owned(), root_type.to_owned())];
        if let Some(id) = parts.first().and_then(|root| root.content_id.as_deref()) {
            parameters.push(("start".to_owned(), format!("<{id}>")));
        }
        parameters.push(("boundary".to_owned(), boundary.to_owned()));
        let content_type = ContentType { media_type: "multipart/related".to_owned(), parameters };
        content_type.boundary()?;
        let before = parts
            .iter()
            .enumerate()
            .map(|(index, part)| head(boundary, part, index == 0))
            .collect::<Result<Vec<_>, _>>()?;
        let after = format!("\r\n--{boundary}--\r\n").into_bytes();
        let around = before.iter().map(Vec::len).sum::<usize>() + after.len();
        let content_length = around as u64 + parts.iter().map(|part| part.length).sum::<u64>();
        Ok(Self { content_type: content_type.to_string(), before, after, content_length })
    }

    /// The Content-Type header of the whole.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The exact number of octets of the whole body.
    pub fn content_length(&self) -> u64 {
        self.content_length
    }

    /// What stands before the content of part `index`: boundary line and headers. Empty behind the last part.
    pub fn before(&self, index: usize) -> &[u8] {
        self.before.get(index).map_or(&[], Vec::as_slice)
    }

    /// What stands after the last part's content.
    pub fn after(&self) -> &[u8] {
        &self.after
    }
}

/// A boundary that no content holds by chance: 122 random bits.
pub fn random_boundary() -> String {
    crate::id::xml_id("tilts")
}

fn head(boundary: &str, part: &Part, first: bool) -> Result<Vec<u8>, Error> {
    let mut text = String::from(if first { "--" } else { "\r\n--" });
    text.push_str(boundary);
    let mut line = |name: &str, value: &str| match value.chars().chain(name.chars()).any(char::is_control) {
        true => Err(Error::ControlCharacter(name.escape_default().to_string())),
        false => {
            text.push_str(&format!("\r\n{name}: {value}"));
            Ok(())
        }
    };
    line("Content-Type", &part.content_type)?;
    line("Content-Transfer-Encoding", "binary")?;
    if let Some(id) = &part.content_id {
        line("Content-ID", &format!("<{id}>"))?;
    }
    for (name, value) in &part.headers {
        line(name, value)?;
    }
    text.push_str("\r\n\r\n");
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_named_and_no_header_is_smuggled_in() {
        let root = Part {
            content_type: "application/soap+xml".into(),
            content_id: Some("r@x".into()),
            ..Part::default()
        };
        let layout = Layout::new("b", "application/soap+xml", std::slice::from_ref(&root)).unwrap();
        assert_eq!(
            layout.content_type(),
            "multipart/related; type=\"application/soap+xml\"; start=\"<r@x>\"; boundary=b"
        );
        let evil = Part { headers: vec![("X".into(), "a\r\nY: b".into())], ..root };
        assert!(matches!(Layout::new("b", "x/y", &[evil]), Err(Error::ControlCharacter(_))));
    }
}
