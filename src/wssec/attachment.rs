//! One payload part: decrypted, canonicalised as its signer did, digested, chunk by chunk (as4-wire 2.3).

use std::io;

use crate::xml::StreamC14n;
use crate::xmlsec::{ContentKey, Decryptor, DigestAlgorithm, Hasher};

use super::error::Error;

/// Whether the octets of a part with this media type are digested over their exclusive C14N when it is not compressed
/// (SwA profile 5.4.2).
pub fn is_xml(media_type: &str) -> bool {
    let essence = media_type.trim().to_ascii_lowercase();
    let starts = |prefix: &str| essence.strip_prefix(prefix);
    starts("text/xml").is_some()
        || starts("application/xml").is_some()
        || starts("application/").is_some_and(|rest| rest.contains("+xml"))
        || starts("image/").is_some_and(|rest| rest.contains("+xml"))
}

/// A part on its way in. What it gives before [`AttachmentVerifier::finish`] has succeeded must be shown to nobody; what
/// it gives is exactly what was digested.
pub struct AttachmentVerifier {
    media_type: String,
    decryptor: Option<Decryptor>,
    form: Form,
    hasher: Option<(Hasher, Vec<u8>)>,
    /// A problem behind the decryption: told only after the tag has passed, so that it betrays nothing.
    problem: Option<Error>,
}

impl AttachmentVerifier {
    /// For a part of `media_type` before encryption. `key` for an encrypted part, `expected` for a signed one.
    pub fn new(
        media_type: &str,
        compressed: bool,
        key: Option<&ContentKey>,
        expected: Option<(DigestAlgorithm, Vec<u8>)>,
    ) -> Result<Self, Error> {
        Ok(Self {
            media_type: media_type.to_owned(),
            decryptor: key.map(ContentKey::decryptor).transpose()?,
            form: if compressed { Form::Octets } else { Form::of(media_type) },
            hasher: expected.map(|(by, value)| Ok::<_, Error>((Hasher::new(by)?, value))).transpose()?,
            problem: None,
        })
    }

    /// Media type of the octets that come out.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// SHA-256 of everything that comes out, where the signature says it: true once [`AttachmentVerifier::finish`] has succeeded.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        let (hasher, value) = self.hasher.as_ref()?;
        (hasher.algorithm() == DigestAlgorithm::Sha256).then(|| value.as_slice().try_into().ok()).flatten()
    }

    /// Takes octets from the wire and gives `out` what is certain by now.
    ///
    /// # Errors
    /// [`Error::Decryption`]; everything else is told by [`AttachmentVerifier::finish`].
    pub fn push(&mut self, octets: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let Self { decryptor, form, hasher, problem, .. } = self;
        let mut take = |plain: &[u8]| {
            if problem.is_none() {
                let given = form.push(plain, &mut |ready| give(hasher, ready, out));
                *problem = given.err();
            }
        };
        match decryptor {
            Some(decryptor) => Ok(decryptor.push(octets, &mut take)?),
            None => {
                take(octets);
                Ok(())
            }
        }
    }

    /// Ends the part: the tag, then the digest.
    ///
    /// # Errors
    /// [`Error::Decryption`], [`Error::Signature`].
    pub fn finish(self, out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let Self { decryptor, form, mut hasher, problem, .. } = self;
        decryptor.map_or(Ok(()), Decryptor::finish)?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        form.finish(&mut |ready| give(&mut hasher, ready, out))?;
        let Some((hasher, expected)) = hasher else { return Ok(()) };
        match hasher.finish()? == expected {
            true => Ok(()),
            false => Err(Error::signature("the digest of a part is not the one signed")),
        }
    }
}

fn give(
    hasher: &mut Option<(Hasher, Vec<u8>)>,
    ready: &[u8],
    out: &mut dyn FnMut(&[u8]),
) -> Result<(), Error> {
    if let Some((hasher, _)) = hasher {
        hasher.update(ready)?;
    }
    out(ready);
    Ok(())
}

/// In which form a part is digested.
enum Form {
    Octets,
    Xml(Box<StreamC14n>),
    /// Line ends become CRLF; whether the last octet was a CR.
    Text(bool),
}

type Give<'g> = &'g mut dyn FnMut(&[u8]) -> Result<(), Error>;

impl Form {
    fn of(media_type: &str) -> Self {
        match is_xml(media_type) {
            true => Self::Xml(Box::default()),
            false if media_type.trim().to_ascii_lowercase().starts_with("text/") => Self::Text(false),
            false => Self::Octets,
        }
    }

    fn push(&mut self, plain: &[u8], give: Give<'_>) -> Result<(), Error> {
        match self {
            Self::Octets => give(plain),
            Self::Xml(stream) => {
                let mut given = Ok(());
                stream
                    .push(plain, &mut |ready| {
                        if given.is_ok() {
                            given = give(ready);
                        }
                    })
                    .map_err(not_xml)?;
                given
            }
            Self::Text(after_cr) => give(&crlf(plain, after_cr)),
        }
    }

    fn finish(self, give: Give<'_>) -> Result<(), Error> {
        match self {
            Self::Xml(mut stream) => {
                let mut given = Ok(());
                stream
                    .finish(&mut |ready| {
                        if given.is_ok() {
                            given = give(ready);
                        }
                    })
                    .map_err(not_xml)?;
                given
            }
            Self::Octets | Self::Text(_) => Ok(()),
        }
    }
}

fn not_xml(error: crate::xml::Error) -> Error {
    Error::signature(format!("a part is to be digested as XML, but {error}"))
}

/// CR, LF and CRLF become CRLF; a CR at the end of one chunk and a LF at the beginning of the next are one line end.
fn crlf(plain: &[u8], after_cr: &mut bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + plain.len() / 16 + 2);
    for octet in plain {
        match octet {
            b'\n' if *after_cr => {}
            b'\n' | b'\r' => out.extend_from_slice(b"\r\n"),
            other => out.push(*other),
        }
        *after_cr = *octet == b'\r';
    }
    out
}

/// The form in which XML that is not compressed travels: its exclusive C14N, so that the octets sent are the octets
/// digested (model.md 3).
#[derive(Default)]
pub struct Canonical(StreamC14n);

impl Canonical {
    /// A document of which nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets of the document and gives canonical ones.
    ///
    /// # Errors
    /// `InvalidData` when it is no XML that is read here; whatever `out` gives.
    pub fn push(&mut self, octets: &[u8], out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut given = Ok(());
        let pushed = self.0.push(octets, &mut |ready| keep(&mut given, ready, out));
        pushed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)).and(given)
    }

    /// Ends the document.
    ///
    /// # Errors
    /// As [`Canonical::push`].
    pub fn finish(mut self, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut given = Ok(());
        let finished = self.0.finish(&mut |ready| keep(&mut given, ready, out));
        finished.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)).and(given)
    }
}

fn keep(given: &mut io::Result<()>, ready: &[u8], out: &mut dyn FnMut(&[u8]) -> io::Result<()>) {
    if given.is_ok() {
        *given = out(ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_choose_the_form() {
        for xml in [
            "text/xml",
            "application/XML; charset=x",
            "application/vnd.x+xml",
            "image/svg+xml",
            "text/xml-external",
        ] {
            assert!(is_xml(xml), "{xml}");
        }
        for other in ["application/gzip", "text/plain", "text/x+xml", "application/octet-stream", ""] {
            assert!(!is_xml(other), "{other}");
        }
    }

    #[test]
    fn line_ends_become_crlf_in_any_chunks() {
        let text = b"a\nb\r\nc\rd\r\r\n\n";
        for step in 1..text.len() {
            let (mut after, mut out) = (false, Vec::new());
            text.chunks(step).for_each(|chunk| out.extend(crlf(chunk, &mut after)));
            assert_eq!(out, b"a\r\nb\r\nc\r\nd\r\n\r\n\r\n", "{step}");
        }
    }
}
