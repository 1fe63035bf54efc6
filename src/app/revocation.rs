//! What asks after certificates: one revoker for each domain, and for each partner that is known by its authority.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::clock::Clock;
use crate::config::{Problems, Settings, file};
use crate::msh::Finder;
use crate::store::PARTNER;
use crate::transport::{Egress, Revoker, RevokerConfig};

/// Revokers by the name of the domain, or `partner:<PartyId>`.
pub(super) fn revokers(
    problems: &mut Problems,
    settings: &Settings,
    finders: &BTreeMap<String, Finder>,
    clock: &Clock,
) -> BTreeMap<String, Revoker> {
    let mut all: BTreeMap<String, Revoker> =
        finders.iter().map(|(name, finder)| (name.clone(), finder.resolver.revoker().clone())).collect();
    // Whoever is pinned can be revoked by nobody but us.
    for partner in settings.file.partners.iter().filter(|partner| partner.anchor.is_some()) {
        let at = format!("partner {:?}", partner.party_id);
        if let Some(revoker) = problems.keep(&at, of_partner(settings, partner, clock)) {
            all.insert(format!("{PARTNER}{}", partner.party_id), revoker);
        }
    }
    all
}

fn of_partner(
    settings: &Settings,
    partner: &file::Partner,
    clock: &Clock,
) -> Result<Revoker, crate::transport::Error> {
    let egress = Egress {
        allow: partner.egress_allow.clone(),
        ports: partner.ports.clone(),
        plain_http: partner.allow_http,
    };
    let name = format!("{PARTNER}{}", partner.party_id);
    let folder = Some(folder(settings, &name));
    Revoker::new(
        RevokerConfig { name, rule: partner.revocation, egress, resolver: None, folder },
        clock.clone(),
    )
}

/// Where the data of a domain or partner is kept. The name may hold anything, a folder's name not.
pub(super) fn folder(settings: &Settings, name: &str) -> PathBuf {
    let digest = hex::encode(openssl::sha::sha256(name.as_bytes()));
    settings.base.join(&settings.file.store.path).join("revocation").join(&digest[..16])
}
