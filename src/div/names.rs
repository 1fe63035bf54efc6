//! Names and ids that the DIV schema fixes (national-div 3).

/// Namespace of the envelope.
pub const DIV: &str = "http://ivis.eps.gov.lv/XMLSchemas/100001/DIV/v1-0";
/// Id of the sender's section.
pub(super) const SENDER_SECTION: &str = "SenderSection";
/// Id of the server's section.
pub(super) const SERVER_SECTION: &str = "ServerSection";
/// Id of the sender's signature.
pub(super) const SENDER_SIGNATURE: &str = "SenderSignature";
/// Id of the server's signature.
pub(super) const SERVER_SIGNATURE: &str = "ServerSignature";
/// The only digest that attachments may have.
pub(super) const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";
/// Most octets of one request at the real service (national-div 8.2): 4 MB of attachments.
pub const BODY_LIMIT: u64 = 4 << 20;
