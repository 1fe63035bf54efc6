//! What can be wrong with a multipart body or a compressed part.

/// Why a body is refused: the peer's fault each time (EBMS:0007; the gzip ones EBMS:0303).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A Content-Type that RFC 2045 does not allow.
    #[error("Content-Type {value:?}: {problem}")]
    ContentType {
        /// The header as received.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No boundary parameter, or one that RFC 2046 does not allow.
    #[error("multipart boundary {0:?} is missing or not allowed")]
    Boundary(String),
    /// A part header that is no header.
    #[error("part {part}: malformed header line {line:?}")]
    Header {
        /// Index of the part, from 0.
        part: usize,
        /// The line, cut to 80 characters.
        line: String,
    },
    /// A header that may stand once stands twice.
    #[error("part {part}: header {name} stands twice")]
    HeaderTwice {
        /// Index of the part, from 0.
        part: usize,
        /// Name of the header.
        name: String,
    },
    /// A Content-Transfer-Encoding that is none of RFC 2045's.
    #[error("part {part}: Content-Transfer-Encoding {encoding:?} is not known")]
    TransferEncoding {
        /// Index of the part, from 0.
        part: usize,
        /// The value as received.
        encoding: String,
    },
    /// Octets that the transfer encoding does not allow.
    #[error("part {part}: not valid {encoding}")]
    Undecodable {
        /// Index of the part, from 0.
        part: usize,
        /// `base64` or `quoted-printable`.
        encoding: &'static str,
    },
    /// The body ends before the closing boundary.
    #[error("the body ends before its closing boundary, in {0}")]
    Truncated(&'static str),
    /// `start` names a part that is not the first (as4-wire 1.4).
    #[error("start parameter {start:?} does not name the first part ({first:?})")]
    StartNotFirst {
        /// The parameter without angle brackets.
        start: String,
        /// Content-ID of the first part.
        first: Option<String>,
    },
    /// More than a limit allows.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// The limit in force.
        limit: u64,
        /// Octets or parts of what.
        what: &'static str,
    },
    /// A value to be written holds a line break or another control character.
    #[error("header {0:?} holds a control character")]
    ControlCharacter(String),
    /// A compressed part that is not one whole gzip member.
    #[error("not a gzip member: {0}")]
    Gzip(&'static str),
    /// A compressed part that expands more than the caps allow.
    #[error("inflated beyond the {what} of {limit}")]
    Inflated {
        /// The cap in force: octets, or output for one octet of input.
        limit: u64,
        /// Which cap.
        what: &'static str,
    },
}
