//! The choice of an endpoint: process, transport profile, dates, address, certificate, in this order (discovery 2.7).

use super::smp::{Process, PublishedEndpoint};
use super::{Domain, Identifier, Trusts};
use crate::clock::Timestamp;
use crate::pki::{Certificate, Trust};

/// The filters, in order; an error names the first that left nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The process.
    Process,
    /// The transport profile.
    TransportProfile,
    /// Active now.
    Dates,
    /// An https address, or http where permitted.
    Address,
    /// A certificate that is trusted and valid now and may be encrypted to.
    Certificate,
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Process => "none for this process",
            Self::TransportProfile => "none with a transport profile that we speak",
            Self::Dates => "none that is active now",
            Self::Address => "none with an address that is permitted",
            Self::Certificate => "none with a certificate that can be used",
        })
    }
}

/// An endpoint chosen: the published one, its process and its certificate.
pub struct Chosen<'m> {
    /// As published.
    pub endpoint: &'m PublishedEndpoint,
    /// The process published; absent where any is taken.
    pub process: Option<Identifier>,
    /// The certificate to encrypt to.
    pub certificate: Certificate,
}

/// Whether a published process takes the wanted one; no wish is always met.
pub fn takes(process: &Process, wanted: Option<&Identifier>) -> bool {
    wanted.is_none_or(|wanted| process.ids.is_empty() || process.ids.iter().any(|id| wanted.means(id)))
}

/// Chooses among the processes; the detail of an error says what the filter saw.
pub fn choose<'m>(
    processes: &'m [Process],
    wanted: Option<&Identifier>,
    domain: &Domain,
    trusts: &Trusts,
    at: Timestamp,
) -> Result<Chosen<'m>, (Filter, String)> {
    let fitting = processes.iter().filter(|process| takes(process, wanted));
    let mut left: Vec<(&Process, &PublishedEndpoint)> = fitting
        .flat_map(|process| process.endpoints.iter().map(move |endpoint| (process, endpoint)))
        .collect();
    if left.is_empty() {
        let published =
            processes.iter().flat_map(|p| &p.ids).map(Identifier::to_string).collect::<Vec<_>>().join(", ");
        return Err((Filter::Process, format!(" (published: {published})")));
    }
    let seen = distinct(left.iter().map(|(_, endpoint)| endpoint.transport_profile.as_str()));
    let rank = |endpoint: &PublishedEndpoint| {
        domain.transport_profiles.iter().position(|profile| *profile == endpoint.transport_profile)
    };
    left.retain(|(_, endpoint)| rank(endpoint).is_some());
    left.sort_by_key(|(_, endpoint)| rank(endpoint));
    if left.is_empty() {
        return Err((Filter::TransportProfile, format!(" (published: {seen})")));
    }
    left.retain(|(_, endpoint)| endpoint.is_active(at));
    if left.is_empty() {
        return Err((Filter::Dates, String::new()));
    }
    let seen = distinct(left.iter().map(|(_, endpoint)| endpoint.url.as_str()));
    left.retain(|(_, endpoint)| permitted(&endpoint.url, domain.plain_http));
    if left.is_empty() {
        return Err((Filter::Address, format!(" (published: {seen})")));
    }
    let mut why = String::from(" (none is published)");
    for (process, endpoint) in left {
        match usable_certificate(endpoint, trusts, at) {
            Ok(certificate) => {
                let process =
                    process.ids.iter().find(|id| wanted.is_none_or(|wanted| wanted.means(id))).cloned();
                return Ok(Chosen { endpoint, process, certificate });
            }
            Err(detail) => why = detail,
        }
    }
    Err((Filter::Certificate, why))
}

fn permitted(url: &str, plain_http: bool) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.as_deref() == Some("https") || (plain_http && scheme.as_deref() == Some("http"))
}

/// The certificate to encrypt to: of several, the first whose type code speaks of encryption, else the first that can be
/// encrypted to (AS4 2.0 has one for signatures beside it).
fn usable_certificate(
    endpoint: &PublishedEndpoint,
    trusts: &Trusts,
    at: Timestamp,
) -> Result<Certificate, String> {
    let for_encryption =
        |code: &Option<String>| code.as_deref().is_some_and(|code| code.to_lowercase().contains("encrypt"));
    let all = &endpoint.certificates;
    let coded = all.iter().find(|(code, _)| for_encryption(code));
    let chosen = coded.or_else(|| all.iter().find(|(_, c)| c.may_encrypt())).or(all.first());
    let Some((_, certificate)) = chosen else { return Err(" (none is published)".to_owned()) };
    let verdict = match &trusts.ap {
        Some(anchors) => anchors.judge(certificate, &[], at),
        None if at > certificate.not_after() => Trust::Expired,
        None if at < certificate.not_before() => Trust::NotYetValid,
        None => Trust::Trusted,
    };
    let of = || format!("{} sha256 {}", certificate.subject(), certificate.sha256_hex());
    match verdict {
        Trust::Trusted if certificate.may_encrypt() => Ok(certificate.clone()),
        Trust::Trusted => Err(format!(" ({} may not be encrypted to by its key usage)", of())),
        other => Err(format!(" ({} is {other})", of())),
    }
}

fn distinct<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::TrustStore;
    use crate::pki::testing;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn endpoint(profile: &str, url: &str, certificate: &Certificate) -> PublishedEndpoint {
        PublishedEndpoint {
            transport_profile: profile.into(),
            url: url.into(),
            certificates: vec![(None, certificate.clone())],
            from: Some(at("2026-02-01T00:00:00Z")),
            until: Some(at("2026-03-01T00:00:00Z")),
        }
    }

    #[test]
    fn the_first_filter_that_leaves_nothing_is_named() {
        let (certificate, _) = testing::self_signed("CN=ap", testing::YEAR_2026);
        let good = endpoint("b", "https://x/", &certificate);
        let process = |ids: &[&str], endpoints: &[&PublishedEndpoint]| Process {
            ids: ids.iter().map(|id| Identifier::parse(id)).collect(),
            endpoints: endpoints.iter().map(|e| (*e).clone()).collect(),
            redirect: None,
        };
        let domain = Domain { transport_profiles: vec!["a".into(), "b".into()], ..Domain::default() };
        let trusts = Trusts { ap: Some(TrustStore::new(vec![certificate.clone()])), ..Trusts::default() };
        let wanted = Identifier::parse("s::p");
        let run = |processes: &[Process], trusts: &Trusts, time: &str| {
            choose(processes, Some(&wanted), &domain, trusts, at(time))
                .map(|c| c.endpoint.transport_profile.clone())
                .map_err(|e| e.0)
        };
        let now = "2026-02-15T00:00:00Z";
        let other = endpoint("a", "https://y/", &certificate);
        assert_eq!(run(&[process(&["s::p"], &[&good, &other])], &trusts, now), Ok("a".into()), "our order");
        assert_eq!(run(&[process(&[], &[&good])], &trusts, now), Ok("b".into()), "any process");
        assert_eq!(run(&[process(&["s::q"], &[&good])], &trusts, now), Err(Filter::Process));
        let strange = endpoint("c", "https://x/", &certificate);
        assert_eq!(run(&[process(&["s::p"], &[&strange])], &trusts, now), Err(Filter::TransportProfile));
        assert_eq!(run(&[process(&["s::p"], &[&good])], &trusts, "2026-01-31T23:59:59Z"), Err(Filter::Dates));
        assert_eq!(
            run(&[process(&["s::p"], &[&good])], &trusts, "2026-02-01T00:00:00Z"),
            Ok("b".into()),
            "inclusive"
        );
        assert_eq!(
            run(&[process(&["s::p"], &[&good])], &trusts, "2026-03-01T00:00:00Z"),
            Err(Filter::Dates),
            "exclusive"
        );
        let plain = endpoint("b", "http://x/", &certificate);
        assert_eq!(run(&[process(&["s::p"], &[&plain])], &trusts, now), Err(Filter::Address));
        let nobody = Trusts { ap: Some(TrustStore::default()), ..Trusts::default() };
        assert_eq!(run(&[process(&["s::p"], &[&good])], &nobody, now), Err(Filter::Certificate));
        let bare = PublishedEndpoint { certificates: vec![], ..good };
        assert_eq!(run(&[process(&["s::p"], &[&bare])], &trusts, now), Err(Filter::Certificate));
    }

    #[test]
    fn of_several_certificates_one_that_can_be_encrypted_to_is_chosen() {
        use testing::{Options, certificate_of, ed25519_key, x25519_key};
        let ca = testing::ca("CN=ca");
        let made = |key| certificate_of(key, "CN=ap", &Options::default(), Some(&ca)).0;
        let (signs, agrees, other) = (made(ed25519_key()), made(x25519_key()), made(x25519_key()));
        let trusts = Trusts { ap: Some(TrustStore::new(vec![ca.0.clone()])), ..Trusts::default() };
        let chosen = |certificates: &[(Option<&str>, &Certificate)]| {
            let all = certificates.iter().map(|(code, c)| (code.map(str::to_owned), (*c).clone()));
            let endpoint =
                PublishedEndpoint { certificates: all.collect(), ..endpoint("b", "https://x/", &signs) };
            usable_certificate(&endpoint, &trusts, at("2026-02-15T00:00:00Z"))
        };
        assert_eq!(chosen(&[(None, &signs), (None, &agrees)]).as_ref(), Ok(&agrees));
        assert_eq!(chosen(&[(None, &agrees), (Some("encryption"), &other)]).as_ref(), Ok(&other));
        assert!(chosen(&[(None, &signs)]).unwrap_err().contains("may not be encrypted to"));
    }
}
