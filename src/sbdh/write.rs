//! Putting a business document into an envelope, octet by octet as it came.

use std::io::{Read, Write};

use super::header::{Header, Name};
use super::{Error, NAMESPACE};
use crate::clock::wire_time;
use crate::xml::{Document, StreamC14n, Writer};

/// A business document without an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// Its root.
    pub root: Name,
    /// Octets before the root: byte order mark, declaration, comments.
    at: u64,
    /// Encoding, where it is another one than UTF-8.
    foreign: Option<String>,
}

impl Bare {
    /// Describes a document by its beginning.
    pub(super) fn of(octets: &[u8], head: &Document) -> Result<Self, Error> {
        let root = head.root();
        let before = &head.source()[..root.source_range().start];
        let mark: &[u8] = b"\xef\xbb\xbf";
        let mark = if octets.starts_with(mark) { mark.len() } else { 0 };
        // The root's `<` is compared too: without a prolog nothing else tells UTF-16.
        let compared = &head.source()[..=root.source_range().start];
        let same = octets.get(mark..).is_some_and(|text| text.starts_with(compared.as_bytes()));
        let declared = declared(before).filter(|name| !is_utf8(name));
        let foreign = declared.map(str::to_owned).or_else(|| (!same).then(|| "UTF-16".to_owned()));
        let root = Name { namespace: root.namespace().into(), local: root.local().into() };
        Ok(Self { root, at: (mark + before.len()) as u64, foreign })
    }
}

/// The encoding in an XML declaration, which was found to be well-formed.
fn declared(before: &str) -> Option<&str> {
    let declaration = before.strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next()?;
    value[1..].split(quote).next()
}

fn is_utf8(name: &str) -> bool {
    ["utf-8", "us-ascii", "ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Writes the envelope of `header` around a business document, which is read to its end and has to be well-formed: octets and
/// prefixes stay as they are, so that a signature within it survives. The envelope's own namespace has a prefix of its own, and
/// so changes the name of nothing inside.
///
/// # Errors
/// [`Error::Xml`] when the document is not well-formed, [`Error::Encoding`] when it is not written in UTF-8; then `out` holds
/// half an envelope. [`Error::Io`] of either stream.
pub fn wrap(header: &Header, bare: &Bare, document: &mut dyn Read, out: &mut dyn Write) -> Result<(), Error> {
    if let Some(name) = &bare.foreign {
        return Err(Error::Encoding(name.clone()));
    }
    std::io::copy(&mut document.take(bare.at), &mut std::io::sink())?;
    out.write_all(head(header).as_bytes())?;
    let mut judge = StreamC14n::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = document.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        judge.push(&buffer[..count], &mut |_| {})?;
        out.write_all(&buffer[..count])?;
    }
    judge.finish(&mut |_| {})?;
    out.write_all(b"</sbdh:StandardBusinessDocument>")?;
    Ok(())
}

/// Everything up to the business document.
fn head(header: &Header) -> String {
    let mut xml = Writer::new();
    xml.start("sbdh:StandardBusinessDocumentHeader");
    xml.leaf("sbdh:HeaderVersion", &header.version);
    for (element, party) in [("sbdh:Sender", &header.sender), ("sbdh:Receiver", &header.receiver)] {
        xml.start(element).start("sbdh:Identifier").attr("Authority", &party.scheme).text(&party.value);
        xml.end().end();
    }
    xml.start("sbdh:DocumentIdentification");
    xml.leaf("sbdh:Standard", &header.standard);
    xml.leaf("sbdh:TypeVersion", &header.type_version);
    xml.leaf("sbdh:InstanceIdentifier", &header.instance);
    xml.leaf("sbdh:Type", &header.document);
    xml.leaf("sbdh:CreationDateAndTime", &wire_time(header.created)).end();
    xml.start("sbdh:BusinessScope");
    for scope in &header.scopes {
        xml.start("sbdh:Scope").leaf("sbdh:Type", &scope.kind).leaf("sbdh:InstanceIdentifier", &scope.value);
        if let Some(scheme) = &scope.scheme {
            xml.leaf("sbdh:Identifier", scheme);
        }
        xml.end();
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sbdh:StandardBusinessDocument xmlns:sbdh=\"{NAMESPACE}\">{}",
        xml.into_string()
    )
}
