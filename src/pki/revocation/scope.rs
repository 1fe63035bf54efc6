//! What a revocation list speaks of: the issuing distribution point, and extensions that change its meaning
//! (RFC 5280 5.2). A list that is not for a certificate says nothing about it, not even by silence.

use crate::pki::{Certificate, der};

/// id-ce-issuingDistributionPoint.
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
/// id-ce-deltaCRLIndicator.
const DELTA: &str = "2.5.29.27";
/// UTCTime and GeneralizedTime.
const TIMES: [u8; 2] = [0x17, 0x18];
/// Extensions of the list: `[0] EXPLICIT` in TBSCertList.
const EXTENSIONS: u8 = 0xa0;

/// Which certificates of its issuer a list is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Addresses of the part, where the list is one of several; a part may have none that is read here.
    points: Option<Vec<String>>,
    only_users: bool,
    only_authorities: bool,
}

impl Scope {
    /// Reads the scope of a list, DER. The error says why such a list is not used.
    pub fn of_list(list: &[u8]) -> Result<Self, &'static str> {
        let mut scope = Self::default();
        for extension in der::extensions(list, EXTENSIONS).ok_or("it is not DER")? {
            match extension.oid.as_str() {
                ISSUING_DISTRIBUTION_POINT => scope = Self::of_point(extension.value)?,
                DELTA => return Err("it says only what has changed"),
                _ if extension.critical => return Err("it has a critical extension that is not understood"),
                _ => {}
            }
        }
        no_critical_entries(list)?;
        Ok(scope)
    }

    /// `IssuingDistributionPoint` (RFC 5280 5.2.5).
    fn of_point(value: &[u8]) -> Result<Self, &'static str> {
        let (point, _) = der::tagged(value, der::SEQUENCE).ok_or("its distribution point is damaged")?;
        let mut scope = Self::default();
        for field in der::values(point.content).ok_or("its distribution point is damaged")? {
            let set = field.content.first().is_some_and(|octet| *octet != 0);
            match field.tag {
                0xa0 => {
                    scope.points =
                        Some(full_names(field.content).ok_or("its distribution point is no address")?)
                }
                0x81 => scope.only_users = set,
                0x82 => scope.only_authorities = set,
                0x84 | 0x85 if !set => {}
                _ => return Err("it is indirect, for some reasons only, or about attribute certificates"),
            }
        }
        Ok(scope)
    }

    /// Whether the list speaks of `certificate`; else why not.
    pub fn covers(&self, certificate: &Certificate) -> Result<(), &'static str> {
        let authority = certificate.is_authority();
        if (self.only_users && authority) || (self.only_authorities && !authority) {
            return Err("the list is about other certificates of its issuer");
        }
        let urls = certificate.crl_urls();
        let is_its_part = |points: &Vec<String>| points.iter().any(|point| urls.contains(point));
        if self.points.as_ref().is_some_and(|points| !is_its_part(points)) {
            return Err("the list is another part than the one that the certificate names");
        }
        Ok(())
    }
}

/// An entry with a critical extension may be about another issuer's certificate (RFC 5280 5.3).
fn no_critical_entries(list: &[u8]) -> Result<(), &'static str> {
    let mut rest = entries(list).unwrap_or_default();
    while !rest.is_empty() {
        let (entry, after) = der::tagged(rest, der::SEQUENCE).ok_or("an entry of it is not DER")?;
        let fields = der::values(entry.content).ok_or("an entry of it is not DER")?;
        for extensions in fields.iter().skip(2) {
            let all = der::values(extensions.content).ok_or("an entry of it is not DER")?;
            if all.iter().any(|one| der::extension(one.content).is_none_or(|extension| extension.critical)) {
                return Err("an entry of it has a critical extension");
            }
        }
        rest = after;
    }
    Ok(())
}

/// The octets of `revokedCertificates`; `None` where there is none.
fn entries(list: &[u8]) -> Option<&[u8]> {
    let (list, _) = der::tagged(list, der::SEQUENCE)?;
    let (inner, _) = der::tagged(list.content, der::SEQUENCE)?;
    let fields = der::values(inner.content)?;
    let behind_times = fields.iter().rposition(|field| TIMES.contains(&field.tag))? + 1;
    fields.get(behind_times).filter(|field| field.tag == der::SEQUENCE).map(|field| field.content)
}

/// `DistributionPointName`: the URIs of `[0] fullName`; `None` for a name relative to the issuer's.
fn full_names(name: &[u8]) -> Option<Vec<String>> {
    let (full, _) = der::tagged(name, 0xa0)?;
    let names = der::values(full.content)?;
    let uris = names.iter().filter(|name| name.tag == 0x86);
    Some(uris.map(|uri| String::from_utf8_lossy(uri.content).into_owned()).collect())
}
