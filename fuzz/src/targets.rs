//! What must hold for any octets at all: no panic, no hang, and the properties asserted here.

use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::{X509Builder, X509NameBuilder};
use tilts::clock::Timestamp;
use tilts::div;
use tilts::ebms::{Messaging, write_user_message};
use tilts::evidence;
use tilts::inspect::{Options, inspect};
use tilts::mime::{ContentType, Event, Inflate, InflateLimits, Limits as MimeLimits, PushParser};
use tilts::pki::{Certificate, Crl, KeyStore, Ocsp, OcspQuestion};
use tilts::sbdh::{self, Envelope, Opening, Rules};
use tilts::wssec::{self, Header, SecurityPolicy};
use tilts::xml::{C14n, Document, Limits, StreamC14n, canonicalize_document};

/// Names and entry points.
pub const ALL: &[(&str, fn(&[u8]))] = &[
    ("xml", xml),
    ("mime", mime),
    ("gzip", gzip),
    ("ebms", ebms),
    ("wssec", security),
    ("message", message),
    ("smp", smp),
    ("div", envelope),
    ("evidence", rem),
    ("keys", keys),
    ("sbdh", business),
    ("certificate", certificate),
    ("crl", list),
];

/// What is parsed canonicalises, the result parses again and is its own canonical form, whole or in pieces.
fn xml(octets: &[u8]) {
    let parsed = Document::parse(octets, &Limits::default());
    let streamed = stream(octets, 7);
    assert_eq!(streamed, stream(octets, 4096), "the size of the pieces matters");
    let Ok(document) = parsed else { return };
    let once = canonical(&document);
    if let Some(streamed) = streamed {
        assert_eq!(once, streamed, "two canonical forms");
    }
    // Exclusive C14N repeats namespace declarations where they are used: only limits may stand between it and its reader.
    let unlimited = Limits {
        max_octets: usize::MAX,
        max_nodes: usize::MAX,
        max_attributes: usize::MAX,
        max_namespaces: usize::MAX,
        ..Limits::default()
    };
    let again = Document::parse(&once, &unlimited).expect("the canonical form is XML");
    assert_eq!(canonical(&again), once, "not its own canonical form");
}

fn canonical(document: &Document) -> Vec<u8> {
    let mut out = Vec::new();
    canonicalize_document(document, &C14n::exclusive(), None, &mut |octets| out.extend_from_slice(octets));
    out
}

fn stream(octets: &[u8], step: usize) -> Option<Vec<u8>> {
    let mut stream = StreamC14n::new();
    let mut out = Vec::new();
    for chunk in octets.chunks(step) {
        stream.push(chunk, &mut |ready| out.extend_from_slice(ready)).ok()?;
    }
    stream.finish(&mut |ready| out.extend_from_slice(ready)).ok()?;
    Some(out)
}

/// The first line is the Content-Type, the rest the body; in whatever pieces it comes, it says the same.
fn mime(octets: &[u8]) {
    let end = octets.iter().position(|b| *b == b'\n').unwrap_or(octets.len());
    let (line, body) = octets.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(content_type) = ContentType::parse(&String::from_utf8_lossy(line)) else { return };
    let whole = events(&content_type, body, usize::MAX);
    // Small pieces of large bodies would take all the time there is.
    for step in [1, 3, 64].into_iter().filter(|step| body.len() / step < 4096) {
        let pieces = events(&content_type, body, step);
        assert_eq!(whole.is_ok(), pieces.is_ok(), "pieces of {step} are judged otherwise");
        if whole.is_ok() {
            assert_eq!(whole, pieces, "pieces of {step} say something else");
        }
    }
}

fn events(content_type: &ContentType, body: &[u8], step: usize) -> Result<Vec<String>, tilts::mime::Error> {
    let mut parser = PushParser::new(content_type, MimeLimits::default())?;
    let mut seen: Vec<String> = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    for chunk in body.chunks(step.max(1)) {
        parser.push(chunk, &mut |event| {
            match event {
                Event::Data(octets) => data.extend_from_slice(octets),
                Event::PartStart(headers) => seen.push(format!("{headers:?}")),
                Event::PartEnd => seen.push(format!("{:?}", std::mem::take(&mut data))),
                Event::End => seen.push("end".into()),
            }
            Ok::<(), tilts::mime::Error>(())
        })?;
    }
    parser.finish()?;
    Ok(seen)
}

/// Never more octets than the limits allow.
fn gzip(octets: &[u8]) {
    const MOST: u64 = 1 << 20;
    let limits = InflateLimits { max_octets: MOST, max_ratio: 50, free_octets: 4096 };
    let mut inflate = Inflate::new(limits);
    let mut count = 0;
    for chunk in octets.chunks(61) {
        let pushed = inflate.push(chunk, &mut |ready| {
            count += ready.len() as u64;
            Ok::<(), tilts::mime::Error>(())
        });
        assert!(count <= MOST, "{count} octets came out");
        if pushed.is_err() {
            return;
        }
    }
    let _ = inflate.finish();
}

/// What is read is written and read again as the same.
fn ebms(octets: &[u8]) {
    let Ok(document) = Document::parse(octets, &Limits::default()) else { return };
    let Ok(messaging) = Messaging::read(document.root()) else { return };
    let Some(message) = messaging.user_message() else { return };
    let written = write_user_message(message, "msg");
    let again = Document::parse(written.as_bytes(), &Limits::default()).expect("what we write is XML");
    let read = Messaging::read(again.root()).expect("what we write can be read");
    assert_eq!(read.user_message(), Some(message));
}

/// The Security header under every policy, up to the point where a key would be needed.
fn security(octets: &[u8]) {
    let Ok(document) = Document::parse(octets, &Limits::default()) else { return };
    let Ok(header) = Header::locate(&document) else { return };
    for policy in [
        SecurityPolicy::any(),
        SecurityPolicy::edelivery_1_15(),
        SecurityPolicy::edelivery_2_0(),
        SecurityPolicy::peppol(),
    ] {
        let Ok(signed) = header.judge_policy(&document, &policy, noon()) else { continue };
        let _ = signed.signer(&[]);
        let _ = signed.signature().signed_references();
    }
    let _ = wssec::key_hints(document.root());
}

/// A whole capture without any key at hand.
fn message(octets: &[u8]) {
    let options = Options {
        content_type: None,
        profile: None,
        request: None,
        at: noon(),
        entries: Vec::new(),
        certificates: Vec::new(),
        trust: None,
    };
    // The signer's certificate would be in the message: without it nothing is verified, and parsing is what is tried here.
    let without = octets.windows(19).position(|w| w == b"BinarySecurityToken").is_none();
    if without {
        let _ = inspect(octets, &options);
    }
}

fn smp(octets: &[u8]) {
    let Ok(document) = tilts::discovery::smp::read::parse(octets) else { return };
    let _ = tilts::discovery::smp::read::read(&document);
}

fn envelope(octets: &[u8]) {
    let Ok(document) = Document::parse(octets, &Limits::default()) else { return };
    if let Some(envelope) = div::find(&document) {
        let cut = div::cut_out(envelope);
        assert!(Document::parse(cut.as_bytes(), &Limits::default()).is_ok(), "what was cut out is no XML");
        let _ = div::Envelope::read(envelope);
    }
}

fn rem(octets: &[u8]) {
    let _ = evidence::read(octets);
}

fn keys(octets: &[u8]) {
    // Deriving a key from a password takes as long as the file says: without a password nothing is derived.
    if octets.starts_with(&[0xfe, 0xed]) || octets.starts_with(b"-----") {
        let _ = KeyStore::read(octets, None, &[]);
    }
}

/// A header that was read is written and read again as the same; a document that was wrapped is found in its envelope.
fn business(octets: &[u8]) {
    match sbdh::open(octets, true) {
        Ok(Opening::Envelope(envelope)) => {
            let _ = envelope.check(Rules::Peppol);
            let (wrapped, inside) =
                wrapped(&envelope.header, b"<a xmlns='urn:a'/>").expect("a document is wrapped");
            assert_eq!(inside.header, envelope.header);
            assert!(Document::parse(&wrapped, &Limits::default()).is_ok(), "the envelope is no XML");
        }
        Ok(Opening::Bare(bare)) => {
            if let Some((_, inside)) = wrapped(&HEADER, octets) {
                assert_eq!(inside.content, bare.root);
            }
        }
        Err(_) => {}
    }
}

fn wrapped(header: &sbdh::Header, document: &[u8]) -> Option<(Vec<u8>, Envelope)> {
    let Ok(Opening::Bare(bare)) = sbdh::open(document, true) else { return None };
    let mut out = Vec::new();
    sbdh::wrap(header, &bare, &mut &document[..], &mut out).ok()?;
    let Ok(Opening::Envelope(inside)) = sbdh::open(&out, true) else {
        panic!("what was wrapped is no envelope")
    };
    Some((out, *inside))
}

static HEADER: LazyLock<sbdh::Header> = LazyLock::new(|| match sbdh::open(SBD.as_bytes(), true) {
    Ok(Opening::Envelope(envelope)) => envelope.header,
    other => panic!("{other:?}"),
});

const SBD: &str = "<StandardBusinessDocument xmlns=\"http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader\">\
<StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion><Sender><Identifier Authority=\"iso6523-actorid-upis\">\
0191:1</Identifier></Sender><Receiver><Identifier Authority=\"iso6523-actorid-upis\">0191:2</Identifier></Receiver>\
<DocumentIdentification><Standard>urn:a</Standard><TypeVersion>2.1</TypeVersion><InstanceIdentifier>i</InstanceIdentifier>\
<Type>a</Type><CreationDateAndTime>2026-01-01T00:00:00Z</CreationDateAndTime></DocumentIdentification><BusinessScope>\
<Scope><Type>DOCUMENTID</Type><InstanceIdentifier>urn:a::a##x::2.1</InstanceIdentifier></Scope>\
<Scope><Type>PROCESSID</Type><InstanceIdentifier>p</InstanceIdentifier></Scope></BusinessScope>\
</StandardBusinessDocumentHeader><a xmlns=\"urn:a\"/></StandardBusinessDocument>";

/// Every fact that is read of a certificate, whoever sent it.
fn certificate(octets: &[u8]) {
    let Ok(certificate) = Certificate::from_der(octets) else { return };
    assert_eq!(certificate.der(), octets);
    let _ = (certificate.subject(), certificate.issuer(), certificate.serial_decimal(), certificate.ski());
    let _ = (certificate.crl_urls(), certificate.ocsp_urls(), certificate.is_authority());
    let _ = (certificate.may_sign(), certificate.may_encrypt(), certificate.is_issued_by(&certificate));
}

/// Lists and answers of an authority whose key nobody has: whatever they say, they are not believed.
fn list(octets: &[u8]) {
    assert!(Crl::read(octets, &AUTHORITY).is_err());
    assert!(Ocsp::read(octets, &OcspQuestion::new(&AUTHORITY, &AUTHORITY), noon()).is_err());
}

/// Of the name that the seeds have, so that reading gets to the signature.
static AUTHORITY: LazyLock<Certificate> = LazyLock::new(|| {
    let key = PKey::from_ec_key(
        EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap(),
    )
    .unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    for (kind, value) in [("C", "LV"), ("O", "tilts test"), ("CN", "fuzz")] {
        name.append_entry_by_text(kind, value).unwrap();
    }
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    Certificate::from_x509(builder.build()).unwrap()
});

fn noon() -> Timestamp {
    Timestamp::UNIX_EPOCH
}
