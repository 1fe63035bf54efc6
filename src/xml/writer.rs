//! A small builder of XML text.

use std::fmt::Write as _;

/// Writes XML text; names are the caller's, values are escaped.
///
/// ```
/// let mut xml = tilts::xml::Writer::new();
/// xml.start("a").attr("b", "1 < 2").text("x & y").end();
/// assert_eq!(xml.into_string(), r#"<a b="1 &lt; 2">x &amp; y</a>"#);
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
    open: Vec<String>,
    in_tag: bool,
}

impl Writer {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an element, named as it is to be written (`prefix:local`).
    pub fn start(&mut self, name: &str) -> &mut Self {
        self.close_tag();
        self.text.push('<');
        self.text.push_str(name);
        self.open.push(name.to_owned());
        self.in_tag = true;
        self
    }

    /// An attribute or namespace declaration of the element just opened; without effect after its content began.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attribute `{name}` after content");
        if self.in_tag {
            let _ = write!(self.text, " {name}=\"{}\"", escape_attribute(value));
        }
        self
    }

    /// [`Writer::attr`] when there is a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Character data.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.close_tag();
        self.text.push_str(&escape_text(text));
        self
    }

    /// XML text as it is.
    pub fn raw(&mut self, xml: &str) -> &mut Self {
        self.close_tag();
        self.text.push_str(xml);
        self
    }

    /// Closes the innermost open element.
    pub fn end(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            match std::mem::take(&mut self.in_tag) {
                true => self.text.push_str("/>"),
                false => {
                    let _ = write!(self.text, "</{name}>");
                }
            }
        }
        self
    }

    /// An element with nothing but text.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.start(name).text(text).end()
    }

    /// The text; elements still open are closed.
    pub fn into_string(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.text
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.text.push('>');
        }
    }
}

/// Escapes character data, so that it reads back the same; what XML cannot hold becomes U+FFFD.
pub fn escape_text(text: &str) -> String {
    escape(text, false)
}

/// Escapes an attribute value for double quotes, so that it reads back the same.
pub fn escape_attribute(value: &str) -> String {
    escape(value, true)
}

fn escape(text: &str, attribute: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#xD;"),
            '"' if attribute => escaped.push_str("&quot;"),
            '\t' if attribute => escaped.push_str("&#x9;"),
            '\n' if attribute => escaped.push_str("&#xA;"),
            other if super::names::is_xml_char(other) => escaped.push(other),
            _ => escaped.push('\u{FFFD}'),
        }
    }
    escaped
}
