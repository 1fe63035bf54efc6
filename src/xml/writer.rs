//! A small builder of XML text.

use std::ops::Range;

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
    /// Where in the text the names of open elements stand.
    open: Vec<Range<usize>>,
    in_tag: bool,
    /// Elements without content have an end tag of their own.
    canonical: bool,
}

impl Writer {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty text whose elements are written as canonical form has them. Attributes and declarations have to come in its order.
    pub fn canonical() -> Self {
        Self { canonical: true, ..Self::default() }
    }

    /// Opens an element, named as it is to be written (`prefix:local`).
    pub fn start(&mut self, name: &str) -> &mut Self {
        self.close_tag();
        self.text.push('<');
        self.open.push(self.text.len()..self.text.len() + name.len());
        self.text.push_str(name);
        self.in_tag = true;
        self
    }

    /// An attribute or namespace declaration of the element just opened; without effect after its content began.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attribute `{name}` after content");
        if self.in_tag {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(&mut self.text, value, true);
            self.text.push('"');
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
        push_escaped(&mut self.text, text, false);
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
            if std::mem::take(&mut self.in_tag) {
                if !self.canonical {
                    self.text.push_str("/>");
                    return self;
                }
                self.text.push('>');
            }
            self.text.push_str("</");
            self.text.extend_from_within(name);
            self.text.push('>');
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
    push_escaped(&mut escaped, text, attribute);
    escaped
}

/// As canonical form has it (Canonical XML 2.3): what needs no reference has none.
fn push_escaped(to: &mut String, text: &str, attribute: bool) {
    let mut begin = 0;
    for (at, octet) in text.bytes().enumerate() {
        let reference = match octet {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'\r' => "&#xD;",
            b'>' if !attribute => "&gt;",
            b'"' if attribute => "&quot;",
            b'\t' if attribute => "&#x9;",
            b'\n' if attribute => "&#xA;",
            b'\t' | b'\n' => continue,
            0..0x20 => "\u{FFFD}",
            // All that XML cannot hold besides: U+FFFE and U+FFFF.
            0xef if text[at..].starts_with(['\u{FFFE}', '\u{FFFF}']) => "\u{FFFD}",
            _ => continue,
        };
        to.push_str(&text[begin..at]);
        to.push_str(reference);
        begin = at + if octet == 0xef { '\u{FFFE}'.len_utf8() } else { 1 };
    }
    to.push_str(&text[begin..]);
}
