//! Namespaces and fixed values of ebMS 3.0, AS4 and the four-corner model (as4-wire 1.1, 1.3, 1.5).

/// Namespace of the ebMS 3.0 header.
pub const EB: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/";
/// Namespace of the ebBP signals, where NonRepudiationInformation lives.
pub const EBBP: &str = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0";
/// Namespace of `wsu:Id`.
pub const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// Namespace of XML Signature.
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The message partition channel of a message that names none.
pub const DEFAULT_MPC: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/defaultMPC";
/// Service of the test service.
pub const TEST_SERVICE: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/service";
/// Action of the test service.
pub const TEST_ACTION: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/test";
/// Role of the party that starts an exchange.
pub const INITIATOR: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/initiator";
/// Role of the party that answers.
pub const RESPONDER: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/responder";
/// Message property: the first corner.
pub const ORIGINAL_SENDER: &str = "originalSender";
/// Message property: the fourth corner.
pub const FINAL_RECIPIENT: &str = "finalRecipient";
/// Message property of evidence: MessageId of the message it is about (model.md 4).
pub const ORIGINAL_MESSAGE_ID: &str = "originalMessageId";
/// Message property: until when the recipient may take the message (model.md 4).
pub const DEADLINE: &str = "deadline";
/// Part property: media type before compression.
pub const MIME_TYPE: &str = "MimeType";
/// Part property: character set of an XML payload.
pub const CHARACTER_SET: &str = "CharacterSet";
/// Part property: set by the sending access point on what it compressed.
pub const COMPRESSION_TYPE: &str = "CompressionType";
/// The only compression of AS4.
pub const GZIP: &str = "application/gzip";
