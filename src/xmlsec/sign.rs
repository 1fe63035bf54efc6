//! Signing: a SignedInfo written in its canonical form, and templates signed in place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::{Id, PKeyRef, Private};
use openssl::sign::Signer;

use crate::xml::{Document, Element, Limits, escape_attribute};

use super::algorithms::{DigestAlgorithm, SignatureAlgorithm};
use super::dsig::{Signature, Target, Transform};
use super::error::Error;
use super::names::{DS, EXC_C14N};
use super::signed_reference::SignedReference;

/// Signs octets: RSA PKCS#1 v1.5, ECDSA (as r and s side by side) or Ed25519.
///
/// # Errors
/// [`Error::KeyType`] when the key is of another type; SHA-1 is never written.
pub fn sign_octets(
    algorithm: SignatureAlgorithm,
    key: &PKeyRef<Private>,
    octets: &[u8],
) -> Result<Vec<u8>, Error> {
    if !algorithm.fits(key) {
        return Err(Error::KeyType(algorithm.uri().to_owned()));
    }
    match algorithm {
        SignatureAlgorithm::Rsa(digest) if digest != DigestAlgorithm::Sha1 => {
            Ok(Signer::new(digest.message_digest(), key)?.sign_oneshot_to_vec(octets)?)
        }
        SignatureAlgorithm::Ecdsa(digest) if digest != DigestAlgorithm::Sha1 => {
            let der = Signer::new(digest.message_digest(), key)?.sign_oneshot_to_vec(octets)?;
            let signature = openssl::ecdsa::EcdsaSig::from_der(&der)?;
            let length = i32::try_from(key.bits().div_ceil(8)).unwrap_or(i32::MAX);
            Ok([signature.r().to_vec_padded(length)?, signature.s().to_vec_padded(length)?].concat())
        }
        SignatureAlgorithm::Ed25519 if key.id() == Id::ED25519 => {
            Ok(Signer::new_without_digest(key)?.sign_oneshot_to_vec(octets)?)
        }
        other => Err(Error::unsupported("SignatureMethod for signing", other.uri())),
    }
}

/// A ds:SignedInfo with exclusive C14N, already in its canonical form: what is returned is both what to sign and what
/// to write. Prefix `ds`, declared on it.
pub fn signed_info(algorithm: SignatureAlgorithm, references: &[SignedReference]) -> String {
    let mut xml = format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\">\
         </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>",
        algorithm.uri()
    );
    for reference in references {
        xml +=
            &format!("<ds:Reference URI=\"{}\"><ds:Transforms>", escape_attribute_canonical(&reference.uri));
        for transform in &reference.transforms {
            xml += &format!("<ds:Transform Algorithm=\"{transform}\"></ds:Transform>");
        }
        xml += &format!(
            "</ds:Transforms><ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>\
             <ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
            reference.digest_method,
            STANDARD.encode(&reference.digest_value)
        );
    }
    xml + "</ds:SignedInfo>"
}

/// Completes a document that holds one ds:Signature without values: fills each empty DigestValue, then SignatureValue.
/// Everything is computed in place, so any canonicalisation and any place of the signature will do; references may be
/// `""` and `#id`.
///
/// # Errors
/// [`Error::Structure`] when the text is no document with such a signature.
pub fn sign_template(text: &str, key: &PKeyRef<Private>) -> Result<String, Error> {
    let digested = fill_digests(text)?;
    let document = parse(&digested)?;
    let signature = find(&document)?;
    let algorithm = SignatureAlgorithm::from_uri(signature.algorithm)
        .ok_or_else(|| Error::unsupported("SignatureMethod", signature.algorithm))?;
    let Transform::C14n(how) = &signature.canonicalization else {
        return Err(Error::unsupported("CanonicalizationMethod", signature.canonicalization.uri()));
    };
    let octets = crate::xml::canonicalize_to_vec(signature.signed_info, how, None);
    let value = STANDARD.encode(sign_octets(algorithm, key, &octets)?);
    let place = signature.element.child(DS, "SignatureValue");
    Ok(fill(document.source(), place, &value))
}

fn fill_digests(text: &str) -> Result<String, Error> {
    let count = find(&parse(text)?)?.references.len();
    let mut text = text.to_owned();
    // The last first: what one reference covers may hold another's DigestValue only before it is filled in.
    for at in (0..count).rev() {
        let document = parse(&text)?;
        let signature = find(&document)?;
        let reference = &signature.references[at];
        let target = match (reference.uri, reference.fragment()) {
            (Some(""), _) => Target::Document,
            (_, Some(id)) => match document.by_id(id).as_slice() {
                [one] => Target::Element(*one),
                _ => return Err(Error::structure(format!("`#{id}` does not name one element"))),
            },
            (uri, None) => {
                return Err(Error::structure(format!("Reference URI {uri:?} cannot be signed here")));
            }
        };
        let digest = signature.digest_of(reference, target)?;
        let filled =
            fill(document.source(), reference.element.child(DS, "DigestValue"), &STANDARD.encode(digest));
        text = filled;
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Document, Error> {
    let limits = Limits { max_octets: 64 << 20, ..Limits::default() };
    Document::parse(text.as_bytes(), &limits).map_err(|error| Error::structure(error.to_string()))
}

fn find(document: &Document) -> Result<Signature<'_>, Error> {
    let mut all = std::iter::once(document.root())
        .chain(document.root().descendants())
        .filter(|element| element.is(DS, "Signature"));
    match (all.next(), all.next()) {
        (Some(element), None) => Signature::parse(element),
        _ => Err(Error::structure("there is not exactly one ds:Signature")),
    }
}

/// Puts text into an element without content.
fn fill(source: &str, place: Option<Element<'_>>, value: &str) -> String {
    let Some(place) = place.filter(|element| element.text().is_empty()) else { return source.to_owned() };
    let range = place.source_range();
    let name = match place.prefix() {
        "" => place.local().to_owned(),
        prefix => format!("{prefix}:{}", place.local()),
    };
    let tag = &source[range.clone()];
    let open = tag.strip_suffix("/>").unwrap_or_else(|| tag.split('>').next().unwrap_or(tag)).trim_end();
    format!("{}{open}>{value}</{name}>{}", &source[..range.start], &source[range.end..])
}

/// As canonical XML escapes attribute values: `>` stays.
fn escape_attribute_canonical(value: &str) -> String {
    escape_attribute(value).replace("&gt;", ">")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{C14n, canonicalize_to_vec};

    fn reference(uri: &str) -> SignedReference {
        SignedReference {
            uri: uri.into(),
            transforms: vec![EXC_C14N.into()],
            digest_method: super::super::names::SHA256.into(),
            digest_value: vec![7; 32],
        }
    }

    #[test]
    fn signed_info_is_written_in_canonical_form() {
        let rsa = SignatureAlgorithm::Rsa(DigestAlgorithm::Sha256);
        let xml = signed_info(rsa, &[reference("#a"), reference("cid:x&\"<>ž")]);
        let document = Document::parse(xml.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(canonicalize_to_vec(document.root(), &C14n::exclusive(), None), xml.as_bytes());
    }

    #[test]
    fn a_template_is_signed_in_place_by_any_canonicalisation() {
        let (certificate, key) =
            crate::pki::testing::self_signed("CN=signer", crate::pki::testing::YEAR_2026);
        let rsa = key.id() == Id::RSA;
        let method = if rsa { super::super::names::RSA_SHA256 } else { super::super::names::ECDSA_SHA256 };
        for c14n in [EXC_C14N, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"] {
            let text = format!(
                "<r xmlns='urn:r' xmlns:x='urn:x'><a Id='a'>1</a><ds:Signature xmlns:ds='{DS}'><ds:SignedInfo>\
                 <ds:CanonicalizationMethod Algorithm='{c14n}'/><ds:SignatureMethod Algorithm='{method}'/>\
                 <ds:Reference URI=''><ds:Transforms><ds:Transform Algorithm='{}'/><ds:Transform Algorithm='{c14n}'/>\
                 </ds:Transforms><ds:DigestMethod Algorithm='{}'/><ds:DigestValue/></ds:Reference>\
                 <ds:Reference URI='#a'><ds:Transforms><ds:Transform Algorithm='{c14n}'/></ds:Transforms>\
                 <ds:DigestMethod Algorithm='{}'/><ds:DigestValue></ds:DigestValue></ds:Reference>\
                 </ds:SignedInfo><ds:SignatureValue/></ds:Signature></r>",
                super::super::names::ENVELOPED,
                super::super::names::SHA256,
                super::super::names::SHA256
            );
            let signed = sign_template(&text, &key).unwrap();
            let document = parse(&signed).unwrap();
            let signature = find(&document).unwrap();
            assert_eq!(signature.verify_value(&certificate.public_key().unwrap()), Ok(true));
            let a = document.by_id("a")[0];
            assert_eq!(signature.verify_reference(&signature.references[0], Target::Document), Ok(true));
            assert_eq!(signature.verify_reference(&signature.references[1], Target::Element(a)), Ok(true));
            let forged = parse(&signed.replace(">1<", ">2<")).unwrap();
            let signature = find(&forged).unwrap();
            assert_eq!(signature.verify_reference(&signature.references[0], Target::Document), Ok(false));
            assert_eq!(signature.verify_reference(&signature.references[1], Target::Element(a)), Ok(false));
        }
    }
}
