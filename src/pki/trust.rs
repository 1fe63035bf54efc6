//! Path validation against the anchors of one network and stage (discovery 5.2: anchors are never mixed).

use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509StoreContext, X509VerifyResult};

use super::{Certificate, Error, memo};
use crate::clock::Timestamp;

/// X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL.
const CERT_NOT_YET_VALID: i32 = 9;
/// X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
const CERT_HAS_EXPIRED: i32 = 10;

/// The verdict on a certificate. Whether it is revoked is another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// A path to an anchor, every certificate on it valid at the time asked.
    Trusted,
    /// No path to an anchor, or one that breaks a rule.
    Untrusted,
    /// A path, but a certificate on it had expired.
    Expired,
    /// A path, but a certificate on it was not valid yet.
    NotYetValid,
}

impl Trust {
    /// `trusted`, `untrusted`, `expired`, `not-yet-valid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
        }
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Trust anchors: CA certificates, or leaves that are pinned by standing here.
#[derive(Clone, Debug)]
pub struct TrustStore {
    anchors: Vec<Certificate>,
    /// SHA-256 over those of the anchors: stores of the same anchors find the same paths.
    id: [u8; 32],
}

impl Default for TrustStore {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl TrustStore {
    /// A store of these anchors; an empty one trusts nobody.
    pub fn new(anchors: Vec<Certificate>) -> Self {
        let digests: Vec<[u8; 32]> = anchors.iter().map(Certificate::sha256).collect();
        Self { anchors, id: openssl::sha::sha256(digests.as_flattened()) }
    }

    /// The anchors.
    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    /// Judges `leaf` at the time `at`; `extra` are certificates that may stand between it and an anchor.
    ///
    /// Any purpose will do: key usage is the caller's question ([`Certificate::may_sign`]). When no path holds at `at`
    /// but one would without looking at dates, the verdict says which date was missed.
    pub fn judge(&self, leaf: &Certificate, extra: &[Certificate], at: Timestamp) -> Trust {
        let verify = |at| self.verify(leaf, extra, at).unwrap_or(X509VerifyResult::APPLICATION_VERIFICATION);
        let dated = verify(Some(at));
        if dated == X509VerifyResult::OK {
            return Trust::Trusted;
        }
        let undated = verify(None);
        match (undated == X509VerifyResult::OK, dated.as_raw()) {
            (true, CERT_HAS_EXPIRED) => Trust::Expired,
            (true, CERT_NOT_YET_VALID) => Trust::NotYetValid,
            _ => Trust::Untrusted,
        }
    }

    /// The path from `leaf` to an anchor, both among it, that holds at `at`; an anchor alone is its own path. It ends with the
    /// first anchor: what the sender brought along behind that is nobody's word.
    pub fn path(&self, leaf: &Certificate, extra: &[Certificate], at: Timestamp) -> Option<Vec<Certificate>> {
        let way = (self.id, leaf.sha256());
        if let Some(path) = memo::find_path(&way).filter(|path| self.still_leads(path, extra, at)) {
            return Some(path);
        }
        let path = self.new_path(leaf, extra, at)?;
        memo::keep_path(way, &path);
        Some(path)
    }

    /// Whether a path that was found before holds for this question too. Of all that makes a path only the dates change with
    /// time; and what stands between must have come along this time as well.
    fn still_leads(&self, path: &[Certificate], extra: &[Certificate], at: Timestamp) -> bool {
        let dated = |one: &Certificate| one.not_before() <= at && at < one.not_after();
        let known = |one: &Certificate| self.anchors.contains(one) || extra.contains(one);
        path.iter().all(dated) && path.iter().skip(1).all(known)
    }

    fn new_path(&self, leaf: &Certificate, extra: &[Certificate], at: Timestamp) -> Option<Vec<Certificate>> {
        let (verdict, path) = self.validate(leaf, extra, Some(at)).ok()?;
        if verdict != X509VerifyResult::OK {
            return None;
        }
        let path: Option<Vec<_>> = path.into_iter().map(|one| Certificate::from_x509(one).ok()).collect();
        let mut path = path?;
        let first = path.iter().position(|one| self.anchors.contains(one))?;
        path.truncate(first + 1);
        Some(path)
    }

    /// The anchors as OpenSSL's store whose chains are judged at `at`.
    pub(super) fn to_x509_store_at(&self, at: Timestamp) -> Result<X509Store, Error> {
        let mut builder = self.builder()?;
        let parameters = parameters(Some(at))?;
        builder.set_param(&parameters)?;
        Ok(builder.build())
    }

    /// The anchors as OpenSSL's store, for TLS.
    pub fn to_x509_store(&self) -> Result<X509Store, Error> {
        self.builder().map(X509StoreBuilder::build)
    }

    fn builder(&self) -> Result<X509StoreBuilder, Error> {
        let mut builder = X509StoreBuilder::new()?;
        for anchor in &self.anchors {
            builder.add_cert(anchor.to_x509())?;
        }
        builder.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        Ok(builder)
    }

    fn verify(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        at: Option<Timestamp>,
    ) -> Result<X509VerifyResult, Error> {
        self.validate(leaf, extra, at).map(|(verdict, _)| verdict)
    }

    /// One run of OpenSSL's path validation, with the path that it found; without a time, dates are not looked at.
    fn validate(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        at: Option<Timestamp>,
    ) -> Result<(X509VerifyResult, Vec<X509>), Error> {
        let mut builder = self.builder()?;
        let mut parameters = parameters(at)?;
        parameters.set_purpose(X509PurposeId::ANY)?;
        builder.set_param(&parameters)?;
        let mut between: Stack<X509> = Stack::new()?;
        for certificate in extra {
            between.push(certificate.to_x509())?;
        }
        let mut context = X509StoreContext::new()?;
        let store = builder.build();
        Ok(context.init(&store, leaf.x509(), &between, |context| {
            context.verify_cert()?;
            let path = context.chain().into_iter().flatten().map(ToOwned::to_owned).collect();
            Ok((context.error(), path))
        })?)
    }
}

/// Judged at `at`, or whatever the dates.
fn parameters(at: Option<Timestamp>) -> Result<X509VerifyParam, Error> {
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    match at {
        Some(at) => parameters.set_time(at.as_second()),
        None => parameters.set_flags(X509VerifyFlags::NO_CHECK_TIME)?,
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{self, YEAR_2026};

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn dates_are_told_apart_from_trust() {
        let ca = testing::ca("CN=ca");
        let (leaf, _) = testing::issued("CN=leaf", &ca, YEAR_2026);
        let store = TrustStore::new(vec![ca.0]);
        assert_eq!(store.judge(&leaf, &[], at("2026-06-01T00:00:00Z")), Trust::Trusted);
        assert_eq!(store.judge(&leaf, &[], at("2027-06-01T00:00:00Z")), Trust::Expired);
        assert_eq!(store.judge(&leaf, &[], at("2025-06-01T00:00:00Z")), Trust::NotYetValid);
        let (stranger, _) = testing::self_signed("CN=leaf", YEAR_2026);
        assert_eq!(store.judge(&stranger, &[], at("2027-06-01T00:00:00Z")), Trust::Untrusted, "expired too");
        assert_eq!(TrustStore::default().judge(&leaf, &[], at("2026-06-01T00:00:00Z")), Trust::Untrusted);
    }

    #[test]
    fn a_forged_signature_is_untrusted_whatever_its_dates() {
        let ca = testing::ca("CN=ca");
        let false_ca = testing::ca("CN=ca");
        let (forged, _) = testing::issued("CN=leaf", &false_ca, YEAR_2026);
        let store = TrustStore::new(vec![ca.0]);
        assert_eq!(store.judge(&forged, &[], at("2026-06-01T00:00:00Z")), Trust::Untrusted);
        assert_eq!(store.judge(&forged, &[], at("2028-06-01T00:00:00Z")), Trust::Untrusted);
    }

    #[test]
    fn a_path_that_is_remembered_answers_as_one_that_is_looked_for() {
        let ca = testing::ca("CN=root");
        let middle = testing::sub_ca("CN=middle", &ca);
        let (leaf, _) = testing::issued("CN=leaf", &middle, YEAR_2026);
        let other = testing::ca("CN=root");
        let store = TrustStore::new(vec![ca.0.clone()]);
        let brought = [middle.0.clone()];
        let (first, last) = (leaf.not_before(), leaf.not_after());
        let second = crate::clock::SignedDuration::from_secs(1);
        let times = [first - second, first, first + second, last - second, last, last + second];
        for extra in [&brought[..], &[], std::slice::from_ref(&other.0)] {
            for at in times {
                for _ in 0..2 {
                    assert_eq!(store.path(&leaf, extra, at), store.new_path(&leaf, extra, at), "{at}");
                }
            }
        }
        let good = at("2026-06-01T00:00:00Z");
        assert!(store.path(&leaf, &brought, good).is_some());
        for anchors in [vec![], vec![other.0.clone()], vec![leaf.clone()]] {
            let elsewhere = TrustStore::new(anchors);
            assert_eq!(elsewhere.path(&leaf, &brought, good), elsewhere.new_path(&leaf, &brought, good));
        }
    }

    #[test]
    fn a_leaf_is_pinned_and_an_intermediate_found() {
        let ca = testing::ca("CN=root");
        let middle = testing::sub_ca("CN=middle", &ca);
        let (leaf, _) = testing::issued("CN=leaf", &middle, YEAR_2026);
        let now = at("2026-06-01T00:00:00Z");
        assert_eq!(TrustStore::new(vec![leaf.clone()]).judge(&leaf, &[], now), Trust::Trusted, "pinned");
        let root = TrustStore::new(vec![ca.0.clone()]);
        let brought = std::slice::from_ref(&middle.0);
        assert_eq!(root.path(&leaf, brought, now), Some(vec![leaf.clone(), middle.0.clone(), ca.0.clone()]));
        assert_eq!(root.path(&ca.0, &[], now), Some(vec![ca.0.clone()]), "an anchor");
        assert_eq!(root.path(&leaf, &[], now), None);
        let pinned = TrustStore::new(vec![leaf.clone()]);
        let longer = [middle.0.clone(), ca.0.clone()];
        assert_eq!(pinned.path(&leaf, &longer, now), Some(vec![leaf.clone()]), "no further than the anchor");
        assert_eq!(root.judge(&leaf, &[], now), Trust::Untrusted, "nothing leads there");
        assert_eq!(root.judge(&leaf, std::slice::from_ref(&middle.0), now), Trust::Trusted);
        assert_eq!(TrustStore::new(vec![middle.0]).judge(&leaf, &[], now), Trust::Trusted, "partial chain");
    }
}
