//! The content key, and which octets it is for.

use openssl::pkey::{PKey, Public};

use crate::ebms::Code;
use crate::mime::cid_of_href;
use crate::wssec::{ContentKey, key_hints, unwrap_key};
use crate::xml::Element;
use crate::xmlsec::{EncryptedData, EncryptedKey, KeyHint, TokenKind, resolve};

use super::Judge;
use super::report::EncryptionRow;

/// The one text for whatever fails.
const FAILED: &str = "the message cannot be decrypted";

/// What is known of the encryption.
pub(super) struct Encryption<'d> {
    /// For the reader; `status` is settled by [`Encryption::settle`].
    pub row: EncryptionRow,
    /// The key, when it was unwrapped and fits the content's algorithm.
    pub key: Option<ContentKey>,
    /// The encrypted contents.
    pub data: Vec<EncryptedData<'d>>,
    present: bool,
    /// Contents that the EncryptedKey says it is for; some of them may not have been captured.
    announced: usize,
}

impl<'d> Encryption<'d> {
    /// Reads the structures and unwraps the key, if it can be.
    pub(super) fn examine(keys: &[Element<'d>], data: &[Element<'d>], judge: &mut Judge<'_>) -> Self {
        let data: Vec<_> = data.iter().map(|element| EncryptedData::parse(*element)).collect();
        let mut row = EncryptionRow::absent();
        row.algorithm = data.first().map(|first| first.algorithm.to_owned());
        let present = !keys.is_empty() || !data.is_empty();
        let mut encryption = Self { row, key: None, data, present, announced: 0 };
        if let Some(policy) = judge.policy() {
            let verdicts: Vec<_> = encryption.data.iter().map(|data| policy.judge_content(data)).collect();
            verdicts.iter().filter_map(|v| v.as_ref().err()).for_each(|error| judge.add_security(error));
        }
        if keys.len() > 1 {
            judge.add(Code::InvalidHeader, "there is more than one EncryptedKey");
        }
        if let Some(first) = keys.first() {
            encryption.unwrap(*first, judge);
        }
        encryption
    }

    fn unwrap(&mut self, element: Element<'d>, judge: &mut Judge<'_>) {
        let wrapped = match EncryptedKey::parse(element) {
            Ok(wrapped) => wrapped,
            Err(error) => return judge.add(Code::InvalidHeader, error.to_string()),
        };
        if let Some(Err(error)) = judge.policy().map(|policy| policy.judge_key(&wrapped)) {
            judge.add_security(&error);
        }
        self.announced = wrapped.data_references.len();
        self.describe(&wrapped, judge);
        let originators: Vec<PKey<Public>> =
            judge.options.entries.iter().filter_map(|e| e.public_key.clone()).collect();
        let Ok(octets) = unwrap_key(&wrapped, &judge.options.entries, &originators) else { return };
        self.row.content_key_sha256 = Some(hex::encode(openssl::sha::sha256(&octets)));
        let algorithm = self.data.first().and_then(|data| data.content_algorithm().ok());
        self.key = algorithm.and_then(|algorithm| ContentKey::from_octets(algorithm, octets).ok());
    }

    fn describe(&mut self, wrapped: &EncryptedKey<'d>, judge: &Judge<'_>) {
        let text = |uri: Option<&str>| uri.map(str::to_owned);
        let row = &mut self.row;
        row.key_algorithm = Some(wrapped.algorithm.to_owned());
        (row.digest, row.mgf) = (text(wrapped.digest), text(wrapped.mgf));
        row.agreement = wrapped.agreement.as_ref().map(|a| a.algorithm.to_owned());
        row.kdf = wrapped.agreement.as_ref().and_then(|a| text(a.kdf));
        let named = wrapped.agreement.as_ref().map_or(wrapped.key_info, |a| a.recipient);
        let hints = named.map(key_hints).unwrap_or_default();
        row.token_reference = named_by(&hints, &judge.options.certificates).map(TokenKind::as_str);
    }

    /// The encrypted content of a part.
    pub(super) fn of_part(&self, cid: &str) -> Option<&EncryptedData<'d>> {
        self.data.iter().find(|data| data.cipher_reference.and_then(cid_of_href).as_deref() == Some(cid))
    }

    /// The octets of one content; `None` when it does not decrypt.
    pub(super) fn open(&self, data: &EncryptedData<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let key = self.key.as_ref().filter(|key| data.content_algorithm() == Ok(key.algorithm()))?;
        let mut plain = Vec::with_capacity(sealed.len());
        let mut decryptor = key.decryptor().ok()?;
        decryptor.push(sealed, &mut |octets| plain.extend_from_slice(octets)).ok()?;
        decryptor.finish().ok()?;
        Some(plain)
    }

    /// Says how it went: `opened` of the contents were decrypted.
    pub(super) fn settle(&mut self, opened: usize, judge: &mut Judge<'_>) {
        if !self.present {
            return;
        }
        let failed = opened < self.data.len().max(self.announced) || self.row.content_key_sha256.is_none();
        self.row.status = if failed { "failed" } else { "decrypted" };
        if failed {
            judge.add(Code::FailedDecryption, FAILED);
        }
    }
}

/// How a key is named: by the first hint that can be resolved, else by the first that says more than a name.
pub(super) fn named_by(hints: &[KeyHint], known: &[crate::pki::Certificate]) -> Option<TokenKind> {
    let telling = || hints.iter().filter(|hint| !matches!(hint, KeyHint::Name(_)));
    telling()
        .find(|hint| resolve(hint, known).is_some())
        .or_else(|| telling().next())
        .or(hints.first())
        .map(KeyHint::kind)
}
