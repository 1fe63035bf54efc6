//! The push parser of multipart bodies (RFC 2046 5.1), as tolerant as peers' captures need it (as4-wire 1.4):
//! a byte order mark and blank lines before the first boundary, LF line ends, padding behind a boundary.

use memchr::memmem::Finder;

use super::transfer::{Decoder, Undecodable};
use super::{ContentType, Error, PartHeaders, headers, without_brackets};

/// Padding behind a boundary that is still taken for a boundary line.
const MAX_PADDING: usize = 128;
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// What a body may grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one part's header block.
    pub header_octets: usize,
    /// Headers of one part.
    pub headers: usize,
    /// Parts of the body.
    pub parts: usize,
    /// Octets of the first part (the SOAP envelope), decoded.
    pub root_octets: u64,
    /// Octets of the whole body, as received.
    pub body_octets: u64,
}

impl Default for Limits {
    /// 16 KiB in 64 headers, 256 parts, 4 MiB of envelope, 4 GiB of body.
    fn default() -> Self {
        Self { header_octets: 16 << 10, headers: 64, parts: 256, root_octets: 4 << 20, body_octets: 4 << 30 }
    }
}

/// What the parser says, in order: for each part a start, data in pieces, an end; then `End`.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part's headers are complete.
    PartStart(PartHeaders),
    /// Octets of the part, transfer encoding undone.
    Data(&'a [u8]),
    /// The part is complete.
    PartEnd,
    /// The closing boundary was read; what follows is passed over.
    End,
}

/// Reads a multipart body in chunks of any size.
pub struct PushParser {
    limits: Limits,
    /// `LF--boundary`.
    delimiter: Finder<'static>,
    state: State,
    /// Octets not yet decided on: part of a header block or of a boundary line.
    held: Vec<u8>,
    /// The next octet is the first behind a header block or of the body: a boundary may stand here without a line feed.
    fresh: bool,
    part: usize,
    root_octets: u64,
    body_octets: u64,
    decoder: Decoder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Preamble,
    Headers,
    Body,
    Epilogue,
}

/// Takes the events of one parser; its error type is the caller's.
type Sink<'s, E> = &'s mut dyn FnMut(Event<'_>) -> Result<(), E>;

/// What became of the input: octets used up, and whether more must come before the next step.
struct Step {
    used: usize,
    starved: bool,
}

impl PushParser {
    /// A parser for a body of this Content-Type, which must have a boundary.
    pub fn new(content_type: &ContentType, limits: Limits) -> Result<Self, Error> {
        let delimiter = format!("\n--{}", content_type.boundary()?);
        Ok(Self {
            limits,
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            state: State::Start,
            held: Vec::new(),
            fresh: true,
            part: 0,
            root_octets: 0,
            body_octets: 0,
            decoder: Decoder::new(Default::default()),
        })
    }

    /// Takes the next octets of the body and says what they complete. After an error the parser must not be used again.
    pub fn push<E: From<Error>>(&mut self, chunk: &[u8], on: Sink<'_, E>) -> Result<(), E> {
        self.body_octets = self.body_octets.saturating_add(chunk.len() as u64);
        if self.body_octets > self.limits.body_octets {
            return Err(too_much(self.limits.body_octets, "octets in the body").into());
        }
        if self.held.is_empty() {
            return self.advance(chunk, on);
        }
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(chunk);
        self.advance(&input, on)
    }

    /// Says whether the body was complete. Call it after the last chunk.
    pub fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Epilogue => Ok(()),
            State::Start | State::Preamble => {
                Err(Error::Truncated("the preamble: no boundary line was found"))
            }
            State::Headers => Err(Error::Truncated("the headers of a part")),
            State::Body => Err(Error::Truncated("a part")),
        }
    }

    /// Works through the input; what is undecided at its end is held.
    fn advance<E: From<Error>>(&mut self, mut input: &[u8], on: Sink<'_, E>) -> Result<(), E> {
        loop {
            let step = match self.state {
                State::Start => self.skip_bom(input),
                State::Preamble | State::Body => self.until_delimiter(input, on)?,
                State::Headers => self.part_start(input, on)?,
                State::Epilogue => return Ok(()),
            };
            input = &input[step.used..];
            if step.starved {
                self.held = input.to_vec();
                return Ok(());
            }
        }
    }

    fn skip_bom(&mut self, input: &[u8]) -> Step {
        if input.len() < BOM.len() && BOM.starts_with(input) {
            return Step { used: 0, starved: true };
        }
        self.state = State::Preamble;
        Step { used: if input.starts_with(BOM) { BOM.len() } else { 0 }, starved: false }
    }

    /// Gives out data up to the next boundary line, or as far as it certainly is none.
    fn until_delimiter<E: From<Error>>(&mut self, input: &[u8], on: Sink<'_, E>) -> Result<Step, E> {
        let (data_end, next) = match self.find(input) {
            Search::Undecided { data_end } => (data_end, None),
            Search::Line { data_end, after } => (data_end, Some((after, State::Headers))),
            Search::Closing { data_end, after } => (data_end, Some((after, State::Epilogue))),
        };
        self.fresh &= data_end == 0;
        if self.state == State::Body {
            self.data(&input[..data_end], on)?;
        }
        let Some((after, state)) = next else { return Ok(Step { used: data_end, starved: true }) };
        if self.state == State::Body {
            self.end_part(on)?;
        }
        self.state = state;
        if state == State::Epilogue {
            on(Event::End)?;
        }
        Ok(Step { used: after, starved: false })
    }

    /// Reads a header block up to its empty line.
    fn part_start<E: From<Error>>(&mut self, input: &[u8], on: Sink<'_, E>) -> Result<Step, E> {
        let end = header_end(input);
        if end.map_or(input.len(), |(block, _)| block) > self.limits.header_octets {
            return Err(too_much(self.limits.header_octets as u64, "octets in the headers of a part").into());
        }
        let Some((block, after)) = end else { return Ok(Step { used: 0, starved: true }) };
        if self.part == self.limits.parts {
            return Err(too_much(self.limits.parts as u64, "parts").into());
        }
        let headers = headers::parse(&input[..block], self.part, self.limits.headers)?;
        self.decoder = Decoder::new(headers.transfer_encoding);
        self.state = State::Body;
        self.fresh = true;
        on(Event::PartStart(headers))?;
        Ok(Step { used: after, starved: false })
    }

    fn data<E: From<Error>>(&mut self, octets: &[u8], on: Sink<'_, E>) -> Result<(), E> {
        let decoded = self.decoder.push(octets).map_err(|e| self.undecodable(e))?;
        self.emit(decoded.as_deref().unwrap_or(octets), on)
    }

    fn end_part<E: From<Error>>(&mut self, on: Sink<'_, E>) -> Result<(), E> {
        let rest = self.decoder.finish().map_err(|e| self.undecodable(e))?;
        self.emit(&rest, on)?;
        self.part += 1;
        on(Event::PartEnd)
    }

    fn emit<E: From<Error>>(&mut self, octets: &[u8], on: Sink<'_, E>) -> Result<(), E> {
        if octets.is_empty() {
            return Ok(());
        }
        if self.part == 0 {
            self.root_octets += octets.len() as u64;
            if self.root_octets > self.limits.root_octets {
                return Err(too_much(self.limits.root_octets, "octets in the first part").into());
            }
        }
        on(Event::Data(octets))
    }

    fn undecodable(&self, Undecodable(encoding): Undecodable) -> Error {
        Error::Undecodable { part: self.part, encoding }
    }
}

/// Where the next boundary line is.
enum Search {
    /// Data up to here; what follows is, or may become, a boundary line.
    Undecided {
        data_end: usize,
    },
    Line {
        data_end: usize,
        after: usize,
    },
    Closing {
        data_end: usize,
        after: usize,
    },
}

/// What stands behind the octets of a boundary.
enum Tail {
    Line(usize),
    Closing(usize),
    /// Not a boundary line: the line goes on.
    Content,
    Undecided,
}

impl PushParser {
    fn find(&self, input: &[u8]) -> Search {
        let delimiter = self.delimiter.needle();
        if self.fresh {
            let bare = &delimiter[1..];
            if input.len() < bare.len() && bare.starts_with(input) {
                return Search::Undecided { data_end: 0 };
            }
            if let Some(behind) = input.strip_prefix(bare) {
                match tail(behind) {
                    Tail::Line(used) => return Search::Line { data_end: 0, after: bare.len() + used },
                    Tail::Closing(used) => return Search::Closing { data_end: 0, after: bare.len() + used },
                    Tail::Undecided => return Search::Undecided { data_end: 0 },
                    Tail::Content => {}
                }
            }
        }
        let mut from = 0;
        while let Some(at) = self.delimiter.find(&input[from..]).map(|at| from + at) {
            let behind = at + delimiter.len();
            let data_end = without_cr(input, at);
            match tail(&input[behind..]) {
                Tail::Line(used) => return Search::Line { data_end, after: behind + used },
                Tail::Closing(used) => return Search::Closing { data_end, after: behind + used },
                Tail::Undecided => return Search::Undecided { data_end },
                Tail::Content => from = at + 1,
            }
        }
        Search::Undecided { data_end: undecided_from(input, delimiter) }
    }
}

/// The first part must be the one that `start` names, if there is a `start` (as4-wire 1.4); peers without it mean the
/// first part as well.
pub fn check_start(content_type: &ContentType, first: &PartHeaders) -> Result<(), Error> {
    let Some(start) = content_type.parameter("start").map(without_brackets) else { return Ok(()) };
    match first.content_id.as_deref() == Some(start) {
        true => Ok(()),
        false => Err(Error::StartNotFirst { start: start.to_owned(), first: first.content_id.clone() }),
    }
}

/// Judges what follows `--boundary`: `--`, or padding and a line end, or anything else, which makes it content.
fn tail(behind: &[u8]) -> Tail {
    match behind {
        [b'-', b'-', ..] => return Tail::Closing(2),
        [] | [b'-'] => return Tail::Undecided,
        _ => {}
    }
    let padding = behind.iter().take(MAX_PADDING + 1).take_while(|c| matches!(**c, b' ' | b'\t')).count();
    match &behind[padding..] {
        _ if padding > MAX_PADDING => Tail::Content,
        [b'\n', ..] => Tail::Line(padding + 1),
        [b'\r', b'\n', ..] => Tail::Line(padding + 2),
        [] | [b'\r'] => Tail::Undecided,
        _ => Tail::Content,
    }
}

/// From where the end of `input` may be the beginning of a delimiter.
fn undecided_from(input: &[u8], delimiter: &[u8]) -> usize {
    let window = input.len().saturating_sub(delimiter.len());
    match memchr::memrchr(b'\n', &input[window..]) {
        Some(at) if delimiter.starts_with(&input[window + at..]) => without_cr(input, window + at),
        _ => without_cr(input, input.len()),
    }
}

/// `at`, or one less when a carriage return stands before it.
fn without_cr(input: &[u8], at: usize) -> usize {
    match at.checked_sub(1).and_then(|before| input.get(before)) {
        Some(b'\r') => at - 1,
        _ => at,
    }
}

/// End of the header block and start of the body behind its empty line.
fn header_end(input: &[u8]) -> Option<(usize, usize)> {
    match input {
        [b'\n', ..] => return Some((0, 1)),
        [b'\r', b'\n', ..] => return Some((0, 2)),
        _ => {}
    }
    memchr::memchr_iter(b'\n', input).find_map(|at| match &input[at + 1..] {
        [b'\n', ..] => Some((at + 1, at + 2)),
        [b'\r', b'\n', ..] => Some((at + 1, at + 3)),
        _ => None,
    })
}

fn too_much(limit: u64, what: &'static str) -> Error {
    Error::TooMuch { limit, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::writer::{Layout, Part};
    use proptest::prelude::*;

    type Parts = Vec<(PartHeaders, Vec<u8>)>;

    fn parse_with(boundary: &str, body: &[u8], size: usize, limits: Limits) -> Result<Parts, Error> {
        let content_type =
            ContentType::parse(&format!("multipart/related; boundary=\"{boundary}\"")).unwrap();
        let mut parser = PushParser::new(&content_type, limits)?;
        let (mut parts, mut ends) = (Parts::new(), 0);
        for chunk in body.chunks(size) {
            parser.push(chunk, &mut |event| -> Result<(), Error> {
                match event {
                    Event::PartStart(headers) => parts.push((headers, Vec::new())),
                    Event::Data(octets) => parts.last_mut().unwrap().1.extend_from_slice(octets),
                    Event::PartEnd => ends += 1,
                    Event::End => assert_eq!(ends, parts.len()),
                }
                Ok(())
            })?;
            assert!(parser.held.len() <= limits.header_octets + MAX_PADDING + 80 + size, "memory is bounded");
        }
        parser.finish().map(|()| parts)
    }

    fn bodies(boundary: &str, body: &[u8]) -> Result<Vec<String>, Error> {
        let whole = parse_with(boundary, body, body.len().max(1), Limits::default());
        for size in 1..body.len() {
            assert_eq!(parse_with(boundary, body, size, Limits::default()), whole, "chunks of {size}");
        }
        Ok(whole?.into_iter().map(|(_, octets)| String::from_utf8(octets).unwrap()).collect())
    }

    #[test]
    fn what_captures_look_like_is_read() {
        assert_eq!(
            bodies("b", b"--b\r\n\r\none\r\n--b\r\nX: y\r\n\r\ntwo\r\n--b--\r\n").unwrap(),
            ["one", "two"]
        );
        assert_eq!(bodies("b", b"\xef\xbb\xbf--b\nX: y\n\none\n--b--").unwrap(), ["one"], "BOM and LF");
        assert_eq!(
            bodies("b", b"\r\n\r\n--b\r\nX: y\r\n\r\none\r\n--b--trailer").unwrap(),
            ["one"],
            "blank lines"
        );
        assert_eq!(bodies("b", b"hello\r\n--b \t\r\n\r\na\r\n--b--").unwrap(), ["a"], "preamble, padding");
        assert_eq!(bodies("b", b"--b\r\nX: y\r\n\r\n--b\r\n\r\n\r\n--b--").unwrap(), ["", ""], "empty parts");
    }

    #[test]
    fn what_only_resembles_a_boundary_is_content() {
        let body = b"--b\r\n\r\nx--b\r\n--bc\r\n--b -\r\n-- b\n\r\n--b--";
        assert_eq!(bodies("b", body).unwrap(), ["x--b\r\n--bc\r\n--b -\r\n-- b\n"]);
        let padded = [b"--b\r\n\r\n\r\n--b".as_slice(), &[b' '; 200], b"\r\n--b--"].concat();
        assert_eq!(bodies("b", &padded).unwrap().len(), 1);
    }

    #[test]
    fn a_truncated_body_is_an_error_wherever_it_ends() {
        let body = b"--b\r\nContent-ID: <1>\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--";
        for length in 0..body.len() {
            let cut = parse_with("b", &body[..length], 3, Limits::default());
            assert!(matches!(cut, Err(Error::Truncated(_))), "{length}: {cut:?}");
        }
    }

    #[test]
    fn each_limit_has_its_error() {
        let body = b"--b\r\nA: 1\r\nB: 2\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--";
        let whole = Limits {
            header_octets: 12,
            headers: 2,
            parts: 2,
            root_octets: 3,
            body_octets: body.len() as u64,
        };
        assert_eq!(parse_with("b", body, 4, whole).unwrap().len(), 2, "all limits just reached");
        let refused = |limits| match parse_with("b", body, 4, limits) {
            Err(Error::TooMuch { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Limits { header_octets: 11, ..whole }), "octets in the headers of a part");
        assert_eq!(refused(Limits { headers: 1, ..whole }), "headers in one part");
        assert_eq!(refused(Limits { parts: 1, ..whole }), "parts");
        assert_eq!(refused(Limits { root_octets: 2, ..whole }), "octets in the first part");
        assert_eq!(refused(Limits { body_octets: 30, ..whole }), "octets in the body");
    }

    #[test]
    fn transfer_encodings_are_undone() {
        let body = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nb25l\r\n--b\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nt=77o=\r\n\r\n--b--";
        assert_eq!(bodies("b", body).unwrap(), ["one", "two"]);
        let wrong = parse_with(
            "b",
            b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n!!\r\n--b--",
            9,
            Limits::default(),
        );
        assert_eq!(wrong, Err(Error::Undecodable { part: 0, encoding: "base64" }));
    }

    #[test]
    fn start_must_name_the_first_part() {
        let with =
            |start: &str| ContentType::parse(&format!("multipart/related; boundary=b{start}")).unwrap();
        let first = PartHeaders { content_id: Some("root@x".into()), ..PartHeaders::default() };
        assert!(check_start(&with(""), &PartHeaders::default()).is_ok(), "phase4 sends neither");
        assert!(check_start(&with("; start=\"<root@x>\""), &first).is_ok());
        assert!(check_start(&with("; start=\"<other@x>\""), &first).is_err());
        assert!(check_start(&with("; start=\"<root@x>\""), &PartHeaders::default()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(
            contents in prop::collection::vec("[-b\r\n a]{0,40}", 1..5),
            size in 1usize..60,
        ) {
            let contents: Vec<Vec<u8>> = contents.into_iter().map(String::into_bytes).collect();
            let parts: Vec<Part> = contents.iter().enumerate().map(|(index, octets)| Part {
                content_type: "application/octet-stream".into(),
                content_id: Some(format!("{index}@x")),
                length: octets.len() as u64,
                ..Part::default()
            }).collect();
            let layout = Layout::new("b-b-0", "text/xml", &parts).unwrap();
            let mut body = Vec::new();
            for (index, octets) in contents.iter().enumerate() {
                body.extend_from_slice(layout.before(index));
                body.extend_from_slice(octets);
            }
            body.extend_from_slice(layout.after());
            prop_assert_eq!(body.len() as u64, layout.content_length());
            let boundary = ContentType::parse(layout.content_type()).unwrap();
            let read = parse_with(boundary.boundary().unwrap(), &body, size, Limits::default()).unwrap();
            prop_assert_eq!(read.len(), contents.len());
            for ((headers, octets), (part, sent)) in read.iter().zip(parts.iter().zip(&contents)) {
                prop_assert_eq!(&headers.content_id, &part.content_id);
                prop_assert_eq!(octets, sent);
            }
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..40) {
            let body = [b"--b\r\n".as_slice(), &octets].concat();
            let _ = parse_with("b", &body, size, Limits::default());
        }
    }
}
