//! Finding a certificate by what a message says of it.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::pki::{Certificate, Name};

/// The certificate with this issuer and serial number (decimal as in ds:X509SerialNumber).
pub fn by_issuer_serial(known: &[Certificate], issuer: &str, serial: &str) -> Option<Certificate> {
    let serial = serial.trim().trim_start_matches('0');
    let issuer = Name::parse(issuer.trim())?;
    known
        .iter()
        .filter(|certificate| certificate.serial_decimal().trim_start_matches('0') == serial)
        .find(|certificate| certificate.issuer_name().is_some_and(|name| name.means_the_same(&issuer)))
        .cloned()
}

/// The certificate with this subject key identifier.
pub fn by_ski(known: &[Certificate], ski: &[u8]) -> Option<Certificate> {
    known.iter().find(|certificate| certificate.ski().is_some_and(|own| own == ski)).cloned()
}

/// The certificate with this SHA-1 over its DER octets.
pub fn by_thumbprint(known: &[Certificate], sha1: &[u8]) -> Option<Certificate> {
    known.iter().find(|certificate| certificate.sha1() == sha1).cloned()
}

/// Base64 as XML Schema has it: white space anywhere.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let dense: Vec<u8> = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    LENIENT.decode(dense).ok()
}

/// Padding may be missing and unused bits may be set: peers do both, and nothing hangs on it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Compares without telling by time where the difference is.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && openssl::memcmp::eq(one, other)
}
