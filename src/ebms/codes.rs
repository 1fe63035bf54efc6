//! The EBMS code table: code, severity, short description, category and origin of every error in one place
//! (as4-wire 3.2). Which stage raises which code is written at the head of that stage's file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The message was not processed.
    Failure,
    /// The message was processed, with a remark.
    Warning,
}

/// What kind of processing an error concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// What the message says.
    Content,
    /// Taking the message out of its wrapping.
    Unpackaging,
    /// Acting on the message.
    Processing,
    /// Carrying the message.
    Communication,
}

/// Which module an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The messaging module.
    EbMs,
    /// The security module.
    Security,
    /// The reliability module.
    Reliability,
}

impl Severity {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Warning => "warning",
        }
    }
}

impl Category {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Content => "Content",
            Self::Unpackaging => "Unpackaging",
            Self::Processing => "Processing",
            Self::Communication => "Communication",
        }
    }
}

impl Origin {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::EbMs => "ebMS",
            Self::Security => "security",
            Self::Reliability => "reliability",
        }
    }
}

struct Entry {
    code: &'static str,
    short: &'static str,
    severity: Severity,
    category: Category,
    origin: Origin,
    text: &'static str,
}

impl Code {
    /// The code on the wire, such as `EBMS:0010`.
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// The short description of the specification.
    pub fn short_description(self) -> &'static str {
        self.entry().short
    }

    /// The severity of the specification.
    pub fn severity(self) -> Severity {
        self.entry().severity
    }

    /// The category of the specification.
    pub fn category(self) -> Category {
        self.entry().category
    }

    /// The origin of the specification.
    pub fn origin(self) -> Origin {
        self.entry().origin
    }

    /// The only text about it that a peer gets to read.
    pub fn text(self) -> &'static str {
        self.entry().text
    }

    /// The entry for a code on the wire; `None` for a code that no table knows.
    pub fn from_wire(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code.trim())
    }

    fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An error code of ebMS 3.0, AS4 or Part 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// EBMS:0001: A value in the message is not recognised.
    ValueNotRecognized,
    /// EBMS:0002: A value in the message asks for a feature that is not supported.
    FeatureNotSupported,
    /// EBMS:0003: A value is inconsistent with other content, the processing mode or the specification.
    ValueInconsistent,
    /// EBMS:0004: The message cannot be processed.
    Other,
    /// EBMS:0005: No connection could be opened.
    ConnectionFailure,
    /// EBMS:0006: There is no message to pull.
    EmptyMessagePartitionChannel,
    /// EBMS:0007: The MIME packaging is inconsistent.
    MimeInconsistency,
    /// EBMS:0008: An element is present or absent against the capabilities of this access point.
    FeatureNotSupportedByHeader,
    /// EBMS:0009: The ebMS header is not well-formed or does not conform to its schema.
    InvalidHeader,
    /// EBMS:0010: No processing mode matches the message.
    ProcessingModeMismatch,
    /// EBMS:0011: A payload that the message names cannot be resolved.
    ExternalPayloadError,
    /// EBMS:0101: The signature is not valid or its certificate is not trusted.
    FailedAuthentication,
    /// EBMS:0102: The encrypted data cannot be decrypted.
    FailedDecryption,
    /// EBMS:0103: The message does not satisfy the security policy.
    PolicyNoncompliance,
    /// EBMS:0201: The reliability module does not work.
    DysfunctionalReliability,
    /// EBMS:0202: The message cannot be delivered.
    DeliveryFailure,
    /// EBMS:0301: No receipt came for the message.
    MissingReceipt,
    /// EBMS:0302: The receipt does not match the message.
    InvalidReceipt,
    /// EBMS:0303: A payload cannot be decompressed.
    DecompressionFailure,
    /// EBMS:0020: An intermediary could not route the message.
    RoutingFailure,
    /// EBMS:0021: The capacity of the message partition channel is exceeded.
    MPCCapacityExceeded,
    /// EBMS:0022: The message was kept too long by an intermediary.
    MessagePersistenceTimeout,
    /// EBMS:0023: The message has expired.
    MessageExpired,
    /// EBMS:0030: The structure of the bundle is not supported.
    BundlingError,
    /// EBMS:0031: A related message unit in the bundle failed.
    RelatedMessageFailed,
    /// EBMS:0040: The fragment belongs to a rejected group.
    BadFragmentGroup,
    /// EBMS:0041: MessageSize is given twice in a group.
    DuplicateMessageSize,
    /// EBMS:0042: FragmentCount is given twice in a group.
    DuplicateFragmentCount,
    /// EBMS:0043: MessageHeader is given twice in a group.
    DuplicateMessageHeader,
    /// EBMS:0044: Action is given twice in a group.
    DuplicateAction,
    /// EBMS:0045: Compression information is given twice in a group.
    DuplicateCompressionInfo,
    /// EBMS:0046: The same fragment came twice.
    DuplicateFragment,
    /// EBMS:0047: The fragment message is not built as it must be.
    BadFragmentStructure,
    /// EBMS:0048: FragmentNum exceeds FragmentCount.
    BadFragmentNum,
    /// EBMS:0049: FragmentCount is below a number already seen.
    BadFragmentCount,
    /// EBMS:0050: The fragment is larger than allowed.
    FragmentSizeExceeded,
    /// EBMS:0051: The join interval has passed.
    ReceiveIntervalExceeded,
    /// EBMS:0052: A property is not a routing property.
    BadProperties,
    /// EBMS:0053: The header of a fragment differs from that of the source message.
    HeaderMismatch,
    /// EBMS:0054: There is no storage space for the fragment.
    OutOfStorageSpace,
    /// EBMS:0055: The joined message cannot be decompressed.
    DecompressionError,
    /// EBMS:0060: The response uses another message exchange pattern.
    ResponseUsingAlternateMEP,
    /// EBMS:4001: The message is a duplicate (private code of a widely used peer).
    DuplicateDetected,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Code; 43] = [
        Code::ValueNotRecognized,
        Code::FeatureNotSupported,
        Code::ValueInconsistent,
        Code::Other,
        Code::ConnectionFailure,
        Code::EmptyMessagePartitionChannel,
        Code::MimeInconsistency,
        Code::FeatureNotSupportedByHeader,
        Code::InvalidHeader,
        Code::ProcessingModeMismatch,
        Code::ExternalPayloadError,
        Code::FailedAuthentication,
        Code::FailedDecryption,
        Code::PolicyNoncompliance,
        Code::DysfunctionalReliability,
        Code::DeliveryFailure,
        Code::MissingReceipt,
        Code::InvalidReceipt,
        Code::DecompressionFailure,
        Code::RoutingFailure,
        Code::MPCCapacityExceeded,
        Code::MessagePersistenceTimeout,
        Code::MessageExpired,
        Code::BundlingError,
        Code::RelatedMessageFailed,
        Code::BadFragmentGroup,
        Code::DuplicateMessageSize,
        Code::DuplicateFragmentCount,
        Code::DuplicateMessageHeader,
        Code::DuplicateAction,
        Code::DuplicateCompressionInfo,
        Code::DuplicateFragment,
        Code::BadFragmentStructure,
        Code::BadFragmentNum,
        Code::BadFragmentCount,
        Code::FragmentSizeExceeded,
        Code::ReceiveIntervalExceeded,
        Code::BadProperties,
        Code::HeaderMismatch,
        Code::OutOfStorageSpace,
        Code::DecompressionError,
        Code::ResponseUsingAlternateMEP,
        Code::DuplicateDetected,
    ];
}

static TABLE: [Entry; 43] = [
    entry(
        "EBMS:0001",
        "ValueNotRecognized",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "A value in the message is not recognised.",
    ),
    entry(
        "EBMS:0002",
        "FeatureNotSupported",
        Severity::Warning,
        Category::Content,
        Origin::EbMs,
        "A value in the message asks for a feature that is not supported.",
    ),
    entry(
        "EBMS:0003",
        "ValueInconsistent",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "A value is inconsistent with other content, the processing mode or the specification.",
    ),
    entry(
        "EBMS:0004",
        "Other",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "The message cannot be processed.",
    ),
    entry(
        "EBMS:0005",
        "ConnectionFailure",
        Severity::Failure,
        Category::Communication,
        Origin::EbMs,
        "No connection could be opened.",
    ),
    entry(
        "EBMS:0006",
        "EmptyMessagePartitionChannel",
        Severity::Warning,
        Category::Communication,
        Origin::EbMs,
        "There is no message to pull.",
    ),
    entry(
        "EBMS:0007",
        "MimeInconsistency",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "The MIME packaging is inconsistent.",
    ),
    entry(
        "EBMS:0008",
        "FeatureNotSupported",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "An element is present or absent against the capabilities of this access point.",
    ),
    entry(
        "EBMS:0009",
        "InvalidHeader",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "The ebMS header is not well-formed or does not conform to its schema.",
    ),
    entry(
        "EBMS:0010",
        "ProcessingModeMismatch",
        Severity::Failure,
        Category::Processing,
        Origin::EbMs,
        "No processing mode matches the message.",
    ),
    entry(
        "EBMS:0011",
        "ExternalPayloadError",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "A payload that the message names cannot be resolved.",
    ),
    entry(
        "EBMS:0101",
        "FailedAuthentication",
        Severity::Failure,
        Category::Processing,
        Origin::Security,
        "The signature is not valid or its certificate is not trusted.",
    ),
    entry(
        "EBMS:0102",
        "FailedDecryption",
        Severity::Failure,
        Category::Processing,
        Origin::Security,
        "The encrypted data cannot be decrypted.",
    ),
    entry(
        "EBMS:0103",
        "PolicyNoncompliance",
        Severity::Failure,
        Category::Processing,
        Origin::Security,
        "The message does not satisfy the security policy.",
    ),
    entry(
        "EBMS:0201",
        "DysfunctionalReliability",
        Severity::Failure,
        Category::Processing,
        Origin::Reliability,
        "The reliability module does not work.",
    ),
    entry(
        "EBMS:0202",
        "DeliveryFailure",
        Severity::Failure,
        Category::Communication,
        Origin::Reliability,
        "The message cannot be delivered.",
    ),
    entry(
        "EBMS:0301",
        "MissingReceipt",
        Severity::Failure,
        Category::Communication,
        Origin::EbMs,
        "No receipt came for the message.",
    ),
    entry(
        "EBMS:0302",
        "InvalidReceipt",
        Severity::Failure,
        Category::Communication,
        Origin::EbMs,
        "The receipt does not match the message.",
    ),
    entry(
        "EBMS:0303",
        "DecompressionFailure",
        Severity::Failure,
        Category::Communication,
        Origin::EbMs,
        "A payload cannot be decompressed.",
    ),
    entry(
        "EBMS:0020",
        "RoutingFailure",
        Severity::Failure,
        Category::Processing,
        Origin::EbMs,
        "An intermediary could not route the message.",
    ),
    entry(
        "EBMS:0021",
        "MPCCapacityExceeded",
        Severity::Failure,
        Category::Processing,
        Origin::EbMs,
        "The capacity of the message partition channel is exceeded.",
    ),
    entry(
        "EBMS:0022",
        "MessagePersistenceTimeout",
        Severity::Failure,
        Category::Processing,
        Origin::EbMs,
        "The message was kept too long by an intermediary.",
    ),
    entry(
        "EBMS:0023",
        "MessageExpired",
        Severity::Warning,
        Category::Processing,
        Origin::EbMs,
        "The message has expired.",
    ),
    entry(
        "EBMS:0030",
        "BundlingError",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "The structure of the bundle is not supported.",
    ),
    entry(
        "EBMS:0031",
        "RelatedMessageFailed",
        Severity::Failure,
        Category::Processing,
        Origin::EbMs,
        "A related message unit in the bundle failed.",
    ),
    entry(
        "EBMS:0040",
        "BadFragmentGroup",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "The fragment belongs to a rejected group.",
    ),
    entry(
        "EBMS:0041",
        "DuplicateMessageSize",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "MessageSize is given twice in a group.",
    ),
    entry(
        "EBMS:0042",
        "DuplicateFragmentCount",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "FragmentCount is given twice in a group.",
    ),
    entry(
        "EBMS:0043",
        "DuplicateMessageHeader",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "MessageHeader is given twice in a group.",
    ),
    entry(
        "EBMS:0044",
        "DuplicateAction",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "Action is given twice in a group.",
    ),
    entry(
        "EBMS:0045",
        "DuplicateCompressionInfo",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "Compression information is given twice in a group.",
    ),
    entry(
        "EBMS:0046",
        "DuplicateFragment",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "The same fragment came twice.",
    ),
    entry(
        "EBMS:0047",
        "BadFragmentStructure",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "The fragment message is not built as it must be.",
    ),
    entry(
        "EBMS:0048",
        "BadFragmentNum",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "FragmentNum exceeds FragmentCount.",
    ),
    entry(
        "EBMS:0049",
        "BadFragmentCount",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "FragmentCount is below a number already seen.",
    ),
    entry(
        "EBMS:0050",
        "FragmentSizeExceeded",
        Severity::Warning,
        Category::Unpackaging,
        Origin::EbMs,
        "The fragment is larger than allowed.",
    ),
    entry(
        "EBMS:0051",
        "ReceiveIntervalExceeded",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "The join interval has passed.",
    ),
    entry(
        "EBMS:0052",
        "BadProperties",
        Severity::Warning,
        Category::Unpackaging,
        Origin::EbMs,
        "A property is not a routing property.",
    ),
    entry(
        "EBMS:0053",
        "HeaderMismatch",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "The header of a fragment differs from that of the source message.",
    ),
    entry(
        "EBMS:0054",
        "OutOfStorageSpace",
        Severity::Failure,
        Category::Unpackaging,
        Origin::EbMs,
        "There is no storage space for the fragment.",
    ),
    entry(
        "EBMS:0055",
        "DecompressionError",
        Severity::Failure,
        Category::Processing,
        Origin::EbMs,
        "The joined message cannot be decompressed.",
    ),
    entry(
        "EBMS:0060",
        "ResponseUsingAlternateMEP",
        Severity::Warning,
        Category::Processing,
        Origin::EbMs,
        "The response uses another message exchange pattern.",
    ),
    entry(
        "EBMS:4001",
        "DuplicateDetected",
        Severity::Failure,
        Category::Content,
        Origin::EbMs,
        "The message is a duplicate (private code of a widely used peer).",
    ),
];

#[allow(clippy::too_many_arguments, reason = "one row of the table")]
const fn entry(
    code: &'static str,
    short: &'static str,
    severity: Severity,
    category: Category,
    origin: Origin,
    text: &'static str,
) -> Entry {
    Entry { code, short, severity, category, origin, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_its_own_row() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
            assert_eq!(Code::from_wire(code.code()), Some(code));
        }
        assert_eq!(Code::ProcessingModeMismatch.code(), "EBMS:0010");
        assert_eq!(Code::FailedDecryption.origin().word(), "security");
        assert_eq!(Code::from_wire("EBMS:9999"), None);
    }
}
