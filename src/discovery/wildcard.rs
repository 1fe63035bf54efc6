//! Wildcard document types of Peppol PINT (discovery 2.6).

use super::Identifier;
use super::smp::{Service, ServiceGroup};

/// The scheme whose published values may end their customization in `*`.
pub const SCHEME: &str = "peppol-doctype-wildcard";

/// The published document type that takes `wanted` best: the exact one, the same with `*`, then with ever more `@` parts
/// cut off and `*`.
pub fn best(group: &ServiceGroup, wanted: &Identifier) -> Option<Identifier> {
    let published: Vec<&Identifier> = group
        .services
        .iter()
        .filter_map(|service| match service {
            Service::DocumentType(id) if id.scheme() == SCHEME => Some(id),
            _ => None,
        })
        .collect();
    candidates(&wanted.value)
        .into_iter()
        .find_map(|candidate| published.iter().find(|id| id.value.trim() == candidate))
        .map(|id| (*id).clone())
}

/// What to look for, in order.
fn candidates(value: &str) -> Vec<String> {
    let Some((syntax, rest)) = value.split_once("##") else { return vec![value.to_owned()] };
    let (customization, version) = match rest.rsplit_once("::") {
        Some((customization, version)) => (customization, format!("::{version}")),
        None => (rest, String::new()),
    };
    let whole = |customization: &str| format!("{syntax}##{customization}{version}");
    let mut found = vec![whole(customization), whole(&format!("{customization}*"))];
    let mut left = customization;
    while let Some((shorter, _)) = left.rsplit_once('@') {
        found.push(whole(&format!("{shorter}*")));
        left = shorter;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_published_type_wins() {
        let id = |customization: &str| {
            Identifier::new(SCHEME, format!("urn:x:Invoice-2::Invoice##{customization}::2.1"))
        };
        let group = |published: &[&str]| ServiceGroup {
            participant: Identifier::parse("a::b"),
            services: published.iter().map(|c| Service::DocumentType(id(c))).collect(),
        };
        let wanted = id("urn:peppol:pint:billing-1@jp-1");
        let all = [
            "urn:peppol:pint:billing-1*",
            "urn:peppol:pint:billing-1@jp-1*",
            "urn:peppol:pint:billing-1@jp-1",
        ];
        assert_eq!(best(&group(&all), &wanted), Some(id(all[2])));
        assert_eq!(best(&group(&all[..2]), &wanted), Some(id(all[1])));
        assert_eq!(best(&group(&all[..1]), &wanted), Some(id(all[0])));
        assert_eq!(best(&group(&["urn:peppol:pint:billing-1", "urn:peppol:pint:*"]), &wanted), None);
    }
}
