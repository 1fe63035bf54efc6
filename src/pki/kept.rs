//! Certificates of thousands of partners, of which few are asked for today.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Certificate, Error, Name, der};

/// A certificate as its octets, with what messages name it by. As OpenSSL holds it, it takes five times the room. Cheap to clone.
#[derive(Clone)]
pub struct Kept(Arc<Inner>);

struct Inner {
    der: Box<[u8]>,
    sha256: [u8; 32],
    sha1: [u8; 20],
    serial: Box<str>,
    ski: Option<Box<[u8]>>,
}

impl Kept {
    /// Keeps a certificate.
    pub fn of(certificate: &Certificate) -> Self {
        Self(Arc::new(Inner {
            der: certificate.der().into(),
            sha256: certificate.sha256(),
            sha1: certificate.sha1(),
            serial: digits(&certificate.serial_decimal()).into(),
            ski: certificate.ski().map(Vec::into_boxed_slice),
        }))
    }

    /// The certificate; those that were read lately cost nothing.
    ///
    /// # Errors
    /// None but that OpenSSL has no memory left: it has read the same octets before.
    pub fn read(&self) -> Result<Certificate, Error> {
        Certificate::from_der(&self.0.der)
    }

    /// SHA-256 over the DER octets.
    pub fn sha256(&self) -> [u8; 32] {
        self.0.sha256
    }

    /// The issuer: behind version, serial number and algorithm (RFC 5280 4.1).
    fn issuer(&self) -> Option<Name> {
        let (signed, _) = der::tagged(&self.0.der, der::SEQUENCE)?;
        let (fields, _) = der::tagged(signed.content, der::SEQUENCE)?;
        let fields = der::values(fields.content)?;
        let serial = fields.iter().position(|field| field.tag == der::INTEGER)?;
        fields.get(serial + 2).and_then(|issuer| Name::from_der(issuer.whole))
    }
}

/// Kept certificates, found by what messages name them by.
#[derive(Clone, Default)]
pub struct Names {
    kept: Vec<Kept>,
    serials: HashMap<Box<str>, Vec<usize>>,
    skis: HashMap<Box<[u8]>, Vec<usize>>,
    thumbprints: HashMap<[u8; 20], usize>,
}

impl Names {
    /// Of these certificates, each once.
    pub fn new(all: impl IntoIterator<Item = Kept>) -> Self {
        let mut seen = HashSet::new();
        let mut names = Self::default();
        for kept in all.into_iter().filter(|kept| seen.insert(kept.sha256())) {
            let place = names.kept.len();
            names.serials.entry(kept.0.serial.clone()).or_default().push(place);
            if let Some(ski) = &kept.0.ski {
                names.skis.entry(ski.clone()).or_default().push(place);
            }
            names.thumbprints.insert(kept.0.sha1, place);
            names.kept.push(kept);
        }
        names
    }

    /// Those of that issuer with this serial number, in decimal.
    pub fn by_issuer_serial(&self, issuer: &str, serial: &str) -> Vec<Certificate> {
        let Some(issuer) = Name::parse(issuer.trim()) else { return Vec::new() };
        let of_issuer = |place: &&usize| {
            let own = self.kept.get(**place).and_then(Kept::issuer);
            own.is_some_and(|own| own.means_the_same(&issuer))
        };
        self.read(self.serials.get(digits(serial)).into_iter().flatten().filter(of_issuer))
    }

    /// Those with this subject key identifier.
    pub fn by_ski(&self, ski: &[u8]) -> Vec<Certificate> {
        self.read(self.skis.get(ski).into_iter().flatten())
    }

    /// The one with this SHA-1 over its DER octets.
    pub fn by_thumbprint(&self, sha1: &[u8]) -> Vec<Certificate> {
        let sha1: Result<[u8; 20], _> = sha1.try_into();
        self.read(sha1.ok().and_then(|sha1| self.thumbprints.get(&sha1)).into_iter())
    }

    fn read<'p>(&self, places: impl Iterator<Item = &'p usize>) -> Vec<Certificate> {
        places.filter_map(|place| self.kept.get(*place)?.read().ok()).collect()
    }
}

/// A serial number without what does not count.
fn digits(serial: &str) -> &str {
    serial.trim().trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{self, YEAR_2026};

    #[test]
    fn each_is_found_by_its_names() {
        let ca = testing::ca("CN=ca");
        let leaves: Vec<_> =
            (0..4).map(|n| testing::issued(&format!("CN=leaf {n}"), &ca, YEAR_2026).0).collect();
        let names = Names::new(leaves.iter().chain(&leaves).map(Kept::of));
        for leaf in &leaves {
            let own = vec![leaf.clone()];
            let serial = format!(" 0{} ", leaf.serial_decimal());
            assert!(names.by_issuer_serial(&leaf.issuer(), &serial).contains(leaf));
            assert!(names.by_issuer_serial("CN=another", &serial).is_empty());
            assert_eq!(names.by_thumbprint(&leaf.sha1()), own);
            match leaf.ski() {
                Some(ski) => assert!(names.by_ski(&ski).contains(leaf)),
                None => assert!(names.skis.is_empty()),
            }
        }
        assert_eq!(names.kept.len(), leaves.len(), "each once");
        assert!(names.by_thumbprint(b"short").is_empty() && names.by_issuer_serial("CN=ca", "x").is_empty());
        assert!(names.by_ski(b"").is_empty());
    }
}
