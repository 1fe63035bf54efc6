//! One change to a multipart request: an octet, or something of its structure.

use super::scan::{Span, elements};
use crate::as4::Request;
use crate::random::Random;

/// A bent request, and what was done to it.
pub struct Mutant {
    /// The request.
    pub request: Request,
    /// What was done.
    pub what: String,
}

/// Changes one octet: three times of four in the envelope, else anywhere.
pub fn octet(original: &Request, random: &mut Random) -> Mutant {
    let envelope = envelope_of(&original.body);
    let range = if random.below(4) == 0 { 0..original.body.len() } else { envelope };
    let at = range.start + below(random, range.len());
    let mut request = original.clone();
    let body = &mut request.body;
    let was = body[at];
    let what = match random.below(5) {
        0 => {
            body[at] ^= 1 << random.below(8);
            "a bit turned"
        }
        1 => {
            body[at] = random_octet(random);
            "another octet"
        }
        2 => {
            body.remove(at);
            "an octet less"
        }
        3 => {
            body.insert(at, random_octet(random));
            "an octet more"
        }
        _ => {
            body.swap(at, (at + 1).min(original.body.len() - 1));
            "two octets swapped"
        }
    };
    Mutant { request, what: format!("{what} at {at} ({:?})", char::from(was)) }
}

/// Changes the structure: of the envelope three times of four, else of the parts.
pub fn structure(original: &Request, random: &mut Random) -> Mutant {
    let envelope = envelope_of(&original.body);
    if random.below(4) == 0 {
        return parts(original, envelope.end, random);
    }
    let text = String::from_utf8_lossy(&original.body[envelope.clone()]).into_owned();
    let (text, what) = of_envelope(&text, random);
    let body = [&original.body[..envelope.start], text.as_bytes(), &original.body[envelope.end..]].concat();
    Mutant { request: Request { body, ..original.clone() }, what }
}

/// Where the envelope stands in a multipart body: from its first `<` to behind its last `>`.
pub fn envelope_of(body: &[u8]) -> std::ops::Range<usize> {
    let find = |needle: &[u8]| body.windows(needle.len()).position(|octets| octets == needle);
    let start = find(b"<?xml").or_else(|| find(b"<")).unwrap_or(0);
    let end = find(b"Envelope>\r\n").or_else(|| find(b"Envelope>")).map_or(body.len(), |at| at + 9);
    start..end.max(start)
}

fn of_envelope(text: &str, random: &mut Random) -> (String, String) {
    let spans = elements(text);
    let one = &spans[below(random, spans.len())];
    let other = &spans[below(random, spans.len())];
    let (a, b) = (&text[one.whole.clone()], &text[other.whole.clone()]);
    let without = || cut(text, &one.whole);
    match random.below(9) {
        0 => (without(), format!("{} taken away", one.name)),
        1 => (insert(text, one.whole.end, a), format!("{} doubled", one.name)),
        2 => (insert(text, place(other), a), format!("a copy of {} beside {}", one.name, other.name)),
        3 => (moved(text, one, other), format!("{} moved beside {}", one.name, other.name)),
        4 => (attribute(text, one, random), format!("an attribute of {} changed", one.name)),
        5 => (swapped(text, one, other), format!("{} and {} swapped", one.name, other.name)),
        6 => (insert(text, place(one), "<!-- comment -->"), format!("a comment at {}", one.name)),
        7 => (insert(text, place(one), "<?instruction to?>"), format!("an instruction at {}", one.name)),
        _ => (replace(text, &one.whole, b), format!("{} in place of {}", other.name, one.name)),
    }
}

/// In the element where it has an inside, else behind it.
fn place(span: &Span) -> usize {
    span.inside().map_or(span.whole.end, |inside| inside.start)
}

fn moved(text: &str, one: &Span, to: &Span) -> String {
    let target = place(to);
    if one.whole.contains(&target) {
        return cut(text, &one.whole);
    }
    let copied = insert(text, target, &text[one.whole.clone()]);
    let offset = if target <= one.whole.start { one.whole.len() } else { 0 };
    cut(&copied, &(one.whole.start + offset..one.whole.end + offset))
}

fn swapped(text: &str, one: &Span, other: &Span) -> String {
    let (first, second) = if one.whole.start <= other.whole.start { (one, other) } else { (other, one) };
    if first.whole.end > second.whole.start {
        return cut(text, &second.whole);
    }
    let changed = replace(text, &second.whole, &text[first.whole.clone()]);
    replace(&changed, &first.whole, &text[second.whole.clone()])
}

/// Renames an attribute, empties its value, or gives it another one's value.
fn attribute(text: &str, span: &Span, random: &mut Random) -> String {
    let tag = &text[span.start.clone()];
    let values: Vec<usize> = tag.match_indices("=\"").map(|(at, _)| at).collect();
    let Some(&at) = values.get(below(random, values.len().max(1))) else {
        return insert(text, span.start.end - 1, " extra=\"1\"");
    };
    let value = at + 2..tag[at + 2..].find('"').map_or(tag.len(), |to| at + 2 + to);
    let changed = match random.below(3) {
        0 => insert(tag, at, "x"),
        1 => replace(tag, &value, ""),
        _ => replace(tag, &value, "something-else"),
    };
    replace(text, &span.start, &changed)
}

/// Parts taken away, doubled, swapped, named otherwise, or filled with something else.
fn parts(original: &Request, behind: usize, random: &mut Random) -> Mutant {
    let boundary = original.body[..behind].split(|b| *b == b'\r').next().unwrap_or_default().to_vec();
    let mut pieces = split(&original.body[behind..], &boundary);
    let count = pieces.len();
    // The first piece is the end of the envelope's part, the last the closing of the whole.
    let at = 1 + below(random, count.saturating_sub(2).max(1));
    let what = match random.below(5) {
        0 if count > 2 => {
            pieces.remove(at);
            "a part taken away"
        }
        1 if count > 2 => {
            let copy = pieces[at].clone();
            pieces.insert(at, copy);
            "a part doubled"
        }
        2 if count > 3 => {
            pieces.swap(1, 2);
            "two parts swapped"
        }
        3 => {
            let piece = &mut pieces[at.min(count - 1)];
            let end = piece.len().saturating_sub(2);
            let from = end.saturating_sub(1 + below(random, 20));
            piece[from..end].fill(random_octet(random));
            "the end of a part overwritten"
        }
        _ => {
            let piece = &mut pieces[at.min(count - 1)];
            let id = piece.windows(12).position(|w| w.eq_ignore_ascii_case(b"content-id: "));
            if let Some(id) = id {
                piece.insert(id + 13, b'x');
            }
            "another Content-ID"
        }
    };
    let body = [&original.body[..behind], &pieces.join(&boundary[..])].concat();
    Mutant { request: Request { body, ..original.clone() }, what: what.into() }
}

fn split(octets: &[u8], by: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while at + by.len() <= octets.len() {
        if &octets[at..at + by.len()] == by {
            pieces.push(octets[from..at].to_vec());
            from = at + by.len();
            at = from;
        } else {
            at += 1;
        }
    }
    pieces.push(octets[from..].to_vec());
    pieces
}

fn cut(text: &str, range: &std::ops::Range<usize>) -> String {
    replace(text, range, "")
}

fn insert(text: &str, at: usize, what: &str) -> String {
    replace(text, &(at..at), what)
}

fn replace(text: &str, range: &std::ops::Range<usize>, by: &str) -> String {
    [&text[..range.start], by, &text[range.end..]].concat()
}

fn below(random: &mut Random, most: usize) -> usize {
    usize::try_from(random.below(most.max(1) as u64)).unwrap_or_default()
}

fn random_octet(random: &mut Random) -> u8 {
    u8::try_from(random.below(256)).unwrap_or_default()
}
