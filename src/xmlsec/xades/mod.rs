//! XAdES-BES signatures around whole documents or their sections: [`sign()`] makes them, [`check()`] judges them.

mod check;
mod make;

pub use check::{Checked, Covered, Properties, check, is_signed_properties};
pub use make::{Signing, Style, sign};

/// Namespace of XAdES 1.3.2.
pub const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// `Type` of the reference to the signed properties.
pub const SIGNED_PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";

#[cfg(test)]
mod tests;
