//! DNS names of participants (discovery 1.1). Pure.

use data_encoding::BASE32_NOPAD;

use super::Identifier;

/// How names are built in a domain; the defaults are those of Peppol and of the EU's domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameRules {
    /// Schemes whose values are not folded to lower case before they are hashed.
    pub case_sensitive_schemes: Vec<String>,
    /// Hash `scheme::value` and write no label for the scheme.
    pub scheme_in_hash: bool,
}

/// The name of the U-NAPTR record: base32 of SHA-256, the scheme as a label (none for ebCore), the zone. Lower case.
pub fn naptr(participant: &Identifier, zone: &str, rules: &NameRules) -> String {
    name(participant, zone, rules, |input| BASE32_NOPAD.encode(&openssl::sha::sha256(input)).to_lowercase())
}

/// The name of the CNAME record of the older SML: `b-` and the hex of MD5 in place of the base32. Lower case.
pub fn cname(participant: &Identifier, zone: &str, rules: &NameRules) -> String {
    name(participant, zone, rules, |input| {
        let digest =
            openssl::hash::hash(openssl::hash::MessageDigest::md5(), input).map(|digest| digest.to_vec());
        format!("b-{}", hex::encode(digest.unwrap_or_default()))
    })
}

fn name(participant: &Identifier, zone: &str, rules: &NameRules, hash: impl Fn(&[u8]) -> String) -> String {
    let zone = zone.trim_end_matches('.').to_lowercase();
    let ebcore = participant.ebcore();
    let label = match (&participant.scheme, &ebcore) {
        (Some(scheme), None) if !rules.scheme_in_hash => format!("{}.", scheme.to_lowercase()),
        _ => String::new(),
    };
    if participant.value == "*" {
        return format!("*.{label}{zone}");
    }
    let input = match ebcore {
        Some(urn) => urn,
        None if rules.scheme_in_hash => participant.to_string(),
        None => participant.value.clone(),
    };
    let keep = rules.case_sensitive_schemes.iter().any(|scheme| scheme == participant.scheme());
    let input = if keep { input } else { input.to_lowercase() };
    format!("{}.{label}{zone}", hash(input.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples_of_the_specifications() {
        let rules = NameRules::default();
        let peppol = Identifier::parse("iso6523-actorid-upis::0010:5798000000001");
        assert_eq!(
            naptr(&peppol, "zone.example.", &rules),
            "xukhfqabqziki3ykvr2fhr4snfa3pf5vpq6k4tonv3lmvsy5arvq.iso6523-actorid-upis.zone.example"
        );
        assert_eq!(
            cname(&peppol, "zone.example", &rules),
            "b-e49b223851f6e97cbfce4f72c3402aac.iso6523-actorid-upis.zone.example"
        );
        let sensitive =
            NameRules { case_sensitive_schemes: vec!["country-state-qns".into()], ..NameRules::default() };
        let brazil = Identifier::parse("country-state-qns::urn:brazil:SAOPAULO");
        assert!(
            naptr(&brazil, "z", &rules).starts_with("2cdn5anihsx2w6d2za5yssgr2bxvlcgtls6stiym2czyhb3l7gma.")
        );
        assert!(
            naptr(&brazil, "z", &sensitive)
                .starts_with("cluo32pljfdwg7l4mmx63a7gzsovtbugaculascqo7jegfwe4gta.")
        );
    }

    #[test]
    fn an_ebcore_identifier_has_one_name_wherever_it_is_split() {
        let rules = NameRules::default();
        let a = Identifier::parse("urn:oasis:names:tc:ebcore:partyid-type:unregistered::urn:brazil:saopaulo");
        let b = Identifier::parse("urn:oasis:names:tc:ebcore:partyid-type:unregistered:urn::brazil:saopaulo");
        let c = Identifier::parse("urn:oasis:names:tc:ebcore:partyid-type:unregistered:urn:brazil:saopaulo");
        assert_eq!(naptr(&a, "z", &rules), naptr(&b, "z", &rules));
        assert_eq!(naptr(&a, "z", &rules), naptr(&c, "z", &rules));
        assert_eq!(cname(&a, "z", &rules), "b-761c04e661616234cd81659d456b0cf6.z");
    }
}
