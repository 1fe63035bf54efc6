//! Where the elements stand in the text of an envelope. Good enough for well-formed envelopes without CDATA and comments.

use std::ops::Range;

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Name as written, with its prefix.
    pub name: String,
    /// From `<` of the start tag to behind `>` of the end tag.
    pub whole: Range<usize>,
    /// The start tag.
    pub start: Range<usize>,
    /// How deep it stands; the root is 0.
    pub depth: usize,
}

impl Span {
    /// Name without prefix.
    pub fn local(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// Between the tags; `None` for an empty-element tag.
    pub fn inside(&self) -> Option<Range<usize>> {
        let end = self.whole.end.checked_sub(self.name.len() + 3)?;
        (self.start.end < self.whole.end).then_some(self.start.end..end)
    }
}

/// All elements in document order.
pub fn elements(text: &str) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(from) = text[at..].find('<').map(|offset| at + offset) {
        let Some(to) = text[from..].find('>').map(|offset| from + offset + 1) else { break };
        let tag = &text[from + 1..to - 1];
        at = to;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if tag.starts_with('/') {
            if let Some(index) = open.pop() {
                found[index].whole.end = to;
            }
            continue;
        }
        let name = tag.split([' ', '/', '\n', '\r', '\t']).next().unwrap_or_default().to_owned();
        found.push(Span { name, whole: from..to, start: from..to, depth: open.len() });
        if !tag.ends_with('/') {
            open.push(found.len() - 1);
        }
    }
    found
}

/// The first element of that local name.
pub fn first(text: &str, local: &str) -> Option<Span> {
    elements(text).into_iter().find(|span| span.local() == local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_with_their_ends() {
        let text = "<?xml version=\"1.0\"?><a:b x=\"1\"><c/>t<d>u</d></a:b>";
        let spans = elements(text);
        let shown: Vec<_> = spans.iter().map(|s| (&text[s.whole.clone()], s.depth)).collect();
        assert_eq!(shown, [(&text[21..], 0), ("<c/>", 1), ("<d>u</d>", 1)]);
        assert_eq!(spans[0].local(), "b");
        assert_eq!(spans[0].inside().map(|r| &text[r]), Some("<c/>t<d>u</d>"));
        assert_eq!(spans[1].inside(), None);
    }
}
