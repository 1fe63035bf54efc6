//! The profile record: the fields without which a network cannot be expressed (networks.md 1).

use serde::{Deserialize, Serialize};

use super::Error;
use crate::clock::SignedDuration;
use crate::ebms::names;
use crate::wssec::{SecurityPolicy, TokenForm};

/// One network's rules, versioned. Fields of a site's `overrides` have the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name by which configuration calls it.
    pub name: String,
    /// Raised whenever a field of the built-in record changes.
    pub version: u32,
    /// Algorithms of signature, encryption and key transport.
    pub crypto_suite: CryptoSuite,
    /// Whether messages must be signed.
    pub sign: bool,
    /// Whether payload parts are encrypted.
    pub encryption: Encryption,
    /// How the signature names its certificate.
    pub signing_token: Token,
    /// How the encrypted key names the recipient's certificate.
    pub encryption_token: Token,
    /// What ConversationId must look like.
    pub conversation_id: ConversationRule,
    /// Whether user messages may carry RefToMessageId.
    pub ref_to_message_id: RefToRule,
    /// What stands in AgreementRef.
    pub agreement_ref: AgreementRule,
    /// Type of the PartyIds, where the network fixes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party_type: Option<String>,
    /// Role of the access point that starts.
    pub initiator_role: String,
    /// Role of the access point that answers.
    pub responder_role: String,
    /// originalSender and finalRecipient.
    pub four_corners: FourCorners,
    /// Compression of payload parts.
    pub compression: Compression,
    /// Business envelope of the payload.
    pub envelope: Envelope,
    /// Most payload parts per message. 28 is what WSS4J peers can verify (as4-wire 1.4).
    pub max_parts: u32,
    /// Most octets of one payload before compression.
    pub max_payload_octets: u64,
    /// How the sender of a received message is recognised.
    pub sender_rule: SenderRule,
    /// Whether a TLS client certificate is demanded.
    pub tls_client_certificate: bool,
    /// Message exchange pattern: whether a message may be the answer to another one.
    #[serde(default)]
    pub mep: Mep,
    /// When a message is sent again.
    pub retry: Retry,
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CryptoSuite {
    /// RSA-SHA256, RSA-OAEP with SHA-256 and MGF1-SHA256, AES-128-GCM (eDelivery AS4 1.15 Common, Peppol).
    RsaGcm128,
    /// Ed25519, X25519 with HKDF, AES-128-GCM (eDelivery AS4 2.0 Common).
    EddsaX25519,
    /// ECDSA-SHA256, ECDH-ES with HKDF, AES-128-GCM (eDelivery AS4 2.0, alternative elliptic curves).
    EcdsaEcdhHkdf,
    /// Either of the two of eDelivery AS4 2.0: the other side's keys decide.
    EddsaOrEcdsa,
}

/// Whether payload parts are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Every part, always.
    Required,
    /// Never.
    Forbidden,
}

/// How a certificate is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Token {
    /// BinarySecurityToken with the certificate.
    X509v3,
    /// BinarySecurityToken with the whole chain.
    X509PkiPath,
    /// SubjectKeyIdentifier.
    SubjectKeyIdentifier,
    /// Issuer and serial number.
    IssuerSerial,
}

impl Token {
    fn form(self) -> TokenForm {
        match self {
            Self::X509v3 => TokenForm::BinarySecurityToken,
            Self::X509PkiPath => TokenForm::PkiPath,
            Self::SubjectKeyIdentifier => TokenForm::SubjectKeyIdentifier,
            Self::IssuerSerial => TokenForm::IssuerSerial,
        }
    }
}

/// What ConversationId must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConversationRule {
    /// Anything; a UUID is written when the producer gives none.
    Any,
    /// A UUID.
    Uuid,
    /// The empty string.
    Empty,
}

/// Whether user messages may carry RefToMessageId.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefToRule {
    /// They may.
    Any,
    /// They must not.
    Forbidden,
}

/// PMode.MEP (EDEL115 1.4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Mep {
    /// One-way push.
    #[default]
    OneWay,
    /// Two-way push-and-push: a message with RefToMessageId is the second leg, in which the roles are exchanged.
    TwoWay,
}

/// What stands in AgreementRef.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AgreementRule {
    /// Not written; a message that names an agreement is under another one (EBMS3 5.2.2.7).
    Absent,
    /// Not written; on reading anything is tolerated.
    Any,
    /// Always this.
    Fixed {
        /// The agreement.
        value: String,
        /// Its type, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agreement_type: Option<String>,
    },
}

/// The properties originalSender and finalRecipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FourCorners {
    /// Written and demanded, with the identifier scheme as `@type`.
    Typed,
    /// Written and demanded, `scheme::value` without `@type`.
    Untyped,
    /// Neither written nor demanded.
    Off,
}

/// Compression of payload parts (model.md 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Every part is compressed.
    Required,
    /// Whatever a sample shows to shrink.
    Auto,
    /// Nothing is compressed.
    Off,
}

/// Business envelope of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Envelope {
    /// None.
    None,
    /// A standard business document header.
    Sbdh,
}

/// How the sender of a received message is recognised (model.md 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SenderRule {
    /// The certificate or subject registered for the partner.
    Registered,
    /// Under the domain's anchors, and the subject's CN equals From/PartyId.
    SubjectCn,
    /// Under the domain's anchors, and the subject's OU equals From/PartyId.
    SubjectOu,
}

/// When a message is sent again after an attempt that may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Seconds from the first attempt's end to the second.
    pub first_seconds: u32,
    /// Each later pause is the former times this.
    pub factor: u32,
    /// No pause is longer, in seconds.
    pub longest_seconds: u32,
    /// Seconds from the submission after which no new attempt begins, where no `send_within` says otherwise.
    pub within_seconds: u32,
}

impl Retry {
    /// The pause after attempt `number` (counted from 1).
    pub fn pause(&self, number: u32) -> SignedDuration {
        let factor = u64::from(self.factor.max(1)).saturating_pow(number.saturating_sub(1).min(32));
        let seconds =
            u64::from(self.first_seconds).saturating_mul(factor).min(u64::from(self.longest_seconds));
        SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// How long after the submission attempts may begin.
    pub fn within(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.within_seconds))
    }
}

/// Names of the built-in profiles.
pub fn known_profiles() -> &'static [&'static str] {
    &["edelivery-1.15", "edelivery-2.0", "edelivery-2.0-ec", "peppol"]
}

impl Profile {
    /// The built-in record of that name.
    ///
    /// # Errors
    /// [`Error::UnknownProfile`], which lists the known names.
    pub fn named(name: &str) -> Result<Self, Error> {
        match name {
            "edelivery-1.15" => Ok(Self::edelivery_1_15()),
            "edelivery-2.0" => Ok(Self::edelivery_2_0()),
            "edelivery-2.0-ec" => Ok(Self::edelivery_2_0_ec()),
            "peppol" => Ok(Self::peppol()),
            other => Err(Error::UnknownProfile { name: other.into(), known: known_profiles() }),
        }
    }

    /// This record with single fields replaced.
    ///
    /// # Errors
    /// [`Error::Override`] when a field is not known or its value does not fit, or where another profile's name is given.
    pub fn with(&self, overrides: &serde_json::Map<String, serde_json::Value>) -> Result<Self, Error> {
        let wrong = |reason: serde_json::Error| Error::Override {
            profile: self.name.clone(),
            reason: reason.to_string(),
        };
        if let Some(field) = ["name", "version"].into_iter().find(|field| overrides.contains_key(*field)) {
            let reason =
                format!("{field:?} says which profile it is: leave it out, or choose another profile");
            return Err(Error::Override { profile: self.name.clone(), reason });
        }
        let mut record = serde_json::to_value(self).map_err(wrong)?;
        if let Some(fields) = record.as_object_mut() {
            fields.extend(overrides.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        serde_json::from_value(record).map_err(wrong)
    }

    /// eDelivery AS4 1.15, Common and Four Corner profile (as4-wire 2.1).
    pub fn edelivery_1_15() -> Self {
        Self {
            name: "edelivery-1.15".into(),
            version: 1,
            crypto_suite: CryptoSuite::RsaGcm128,
            sign: true,
            encryption: Encryption::Required,
            signing_token: Token::X509v3,
            encryption_token: Token::SubjectKeyIdentifier,
            conversation_id: ConversationRule::Any,
            ref_to_message_id: RefToRule::Any,
            agreement_ref: AgreementRule::Absent,
            party_type: None,
            initiator_role: names::INITIATOR.into(),
            responder_role: names::RESPONDER.into(),
            four_corners: FourCorners::Typed,
            compression: Compression::Auto,
            envelope: Envelope::None,
            max_parts: 28,
            max_payload_octets: 8 << 30,
            sender_rule: SenderRule::SubjectCn,
            tls_client_certificate: false,
            mep: Mep::OneWay,
            retry: Retry { first_seconds: 10, factor: 2, longest_seconds: 3600, within_seconds: 86_400 },
        }
    }

    /// eDelivery AS4 2.0, Common and Four Corner profile: the header rules of 1.15 under other keys (as4-wire 2.1).
    pub fn edelivery_2_0() -> Self {
        Self {
            name: "edelivery-2.0".into(),
            crypto_suite: CryptoSuite::EddsaX25519,
            signing_token: Token::X509PkiPath,
            ..Self::edelivery_1_15()
        }
    }

    /// eDelivery AS4 2.0 with the option of alternative elliptic curves, which is off unless agreed (as4-wire 2.6).
    pub fn edelivery_2_0_ec() -> Self {
        Self {
            name: "edelivery-2.0-ec".into(),
            crypto_suite: CryptoSuite::EcdsaEcdhHkdf,
            ..Self::edelivery_2_0()
        }
    }

    /// Roles of From and To in a message; `answers` when it has a RefToMessageId.
    pub fn roles(&self, answers: bool) -> (&str, &str) {
        match answers && self.mep == Mep::TwoWay {
            true => (&self.responder_role, &self.initiator_role),
            false => (&self.initiator_role, &self.responder_role),
        }
    }

    /// Algorithms, tokens and demands for the Security header.
    pub fn security_policy(&self) -> SecurityPolicy {
        let mut policy = match self.crypto_suite {
            CryptoSuite::RsaGcm128 => SecurityPolicy::edelivery_1_15(),
            CryptoSuite::EddsaX25519 => SecurityPolicy::edelivery_2_0_eddsa(),
            CryptoSuite::EcdsaEcdhHkdf => SecurityPolicy::edelivery_2_0_ec(),
            CryptoSuite::EddsaOrEcdsa => SecurityPolicy::edelivery_2_0(),
        };
        policy.sign = self.sign;
        policy.encrypt = self.encryption == Encryption::Required;
        policy.with_tokens(self.signing_token.form(), self.encryption_token.form())
    }

    /// Peppol AS4 2.0.3: header and security rules.
    pub fn peppol() -> Self {
        Self {
            name: "peppol".into(),
            encryption_token: Token::X509v3,
            ref_to_message_id: RefToRule::Forbidden,
            agreement_ref: AgreementRule::Fixed {
                value: "urn:fdc:peppol.eu:2017:agreements:tia:ap_provider".into(),
                agreement_type: None,
            },
            party_type: Some("urn:fdc:peppol.eu:2017:identifiers:ap".into()),
            compression: Compression::Required,
            envelope: Envelope::Sbdh,
            max_parts: 1,
            ..Self::edelivery_1_15()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_fields_are_overridden_by_name() {
        let overrides = serde_json::json!({"compression": "off", "max_parts": 3});
        let profile = Profile::edelivery_1_15().with(overrides.as_object().unwrap()).unwrap();
        assert_eq!((profile.compression, profile.max_parts), (Compression::Off, 3));
        for (field, value) in [("compresion", "off"), ("name", "peppol"), ("version", "2")] {
            let wrong = serde_json::Map::from_iter([(field.to_owned(), value.into())]);
            let error = Profile::edelivery_1_15().with(&wrong).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert!(Profile::named("edelivery").unwrap_err().to_string().contains("edelivery-1.15"));
        for name in known_profiles() {
            assert_eq!(Profile::named(name).unwrap().name, *name);
        }
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let retry = Retry { first_seconds: 10, factor: 2, longest_seconds: 60, within_seconds: 1000 };
        let pauses: Vec<_> = (1..=5).map(|n| retry.pause(n).as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 60, 60]);
        assert_eq!(retry.pause(u32::MAX).as_secs(), 60);
    }
}
