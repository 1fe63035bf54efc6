//! E-addresses and participants (model 5).

use serde::Deserialize;

/// What stands before an alias in originalSender.
pub const ALIAS_PREFIX: &str = "urn:oasis:names:tc:ebcore:partyid-type:unregistered:lv-eaddress:";

/// The scheme of national registration numbers abroad, with the ICD of Latvia.
const NATIONAL: &str = "iso6523-actorid-upis::0218:";

/// A gateway's owner code in e-addresses and the participant scheme of its domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// The part after `@`.
    pub code: String,
    /// Participant scheme of the domain.
    pub scheme: String,
}

/// One line of the table `[[address]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The e-address.
    pub eaddress: String,
    /// `scheme::value`.
    pub participant: String,
}

/// Both ways between e-addresses and participants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressBook {
    /// Gateway codes.
    pub gateways: Vec<Gateway>,
    /// The table; it stands above every rule.
    pub table: Vec<Entry>,
}

/// Who sends, as the other side will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `scheme::value`.
    Participant(String),
    /// A private person, or a private account: a random alias takes the address's place (ask the store for it).
    Private,
}

/// Whom a message from abroad is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalRecipient {
    /// This e-address.
    Address(String),
    /// Whoever the store knows under this alias.
    Alias(String),
}

impl AddressBook {
    /// The participant that an e-address means: by the table, else `<icd>.<value>@<gateway code>`, split at the first dot.
    /// `None`: this recipient fails alone.
    pub fn participant(&self, eaddress: &str) -> Option<String> {
        let listed = self.table.iter().find(|entry| entry.eaddress.eq_ignore_ascii_case(eaddress));
        if let Some(entry) = listed {
            return Some(entry.participant.clone());
        }
        if !is_eaddress(eaddress) {
            return None;
        }
        let (local, code) = eaddress.split_once('@')?;
        let gateway = self.gateways.iter().find(|gateway| gateway.code.eq_ignore_ascii_case(code))?;
        let (icd, value) = local.split_once('.')?;
        let known = !value.is_empty() && !icd.is_empty() && icd.bytes().all(|b| b.is_ascii_digit());
        known.then(|| format!("{}::{icd}:{value}", gateway.scheme))
    }

    /// The national recipient that a participant means: by the table, by its alias, or `_DEFAULT@` its registration number.
    pub fn local_recipient(&self, participant: &str) -> Option<LocalRecipient> {
        if let Some(entry) = self.table.iter().find(|entry| entry.participant == participant) {
            return Some(LocalRecipient::Address(entry.eaddress.clone()));
        }
        if let Some(alias) = participant.split("::").last().and_then(|id| id.strip_prefix(ALIAS_PREFIX)) {
            return Some(LocalRecipient::Alias(alias.to_owned()));
        }
        let number = participant.strip_prefix(NATIONAL)?;
        is_registration_number(number).then(|| LocalRecipient::Address(format!("_DEFAULT@{number}")))
    }

    /// The e-address under which a foreign participant can be answered, through the gateway of its scheme.
    pub fn foreign_eaddress(&self, participant: &str) -> Option<String> {
        if let Some(entry) = self.table.iter().find(|entry| entry.participant == participant) {
            return Some(entry.eaddress.clone());
        }
        let (scheme, value) = participant.split_once("::")?;
        let (icd, value) = value.split_once(':')?;
        let gateway = self.gateways.iter().find(|gateway| gateway.scheme == scheme)?;
        let eaddress = format!("{icd}.{value}@{}", gateway.code);
        is_eaddress(&eaddress).then_some(eaddress)
    }
}

/// Who an e-address is to the other side: `X@<registration number>` its registration number; `_PRIVATE@` and personal codes
/// must not leave.
pub fn origin(eaddress: &str) -> Origin {
    match eaddress.split_once('@') {
        Some((local, code)) if !local.eq_ignore_ascii_case("_PRIVATE") && is_registration_number(code) => {
            Origin::Participant(format!("{NATIONAL}{code}"))
        }
        _ => Origin::Private,
    }
}

/// Eleven digits that are no personal code: those begin with a day of a month or, the new ones, with 3.
fn is_registration_number(code: &str) -> bool {
    code.len() == 11 && code.bytes().all(|b| b.is_ascii_digit()) && code.as_bytes()[0] >= b'4'
}

/// Whether `text` has the form of an e-address (national-div 8.1).
pub fn is_eaddress(text: &str) -> bool {
    let good = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'\'' | b'.' | b'-' | b'_');
        (1..=127).contains(&part.len()) && part.bytes().all(allowed)
    };
    text.split_once('@').is_some_and(|(local, code)| good(local) && good(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> AddressBook {
        AddressBook {
            gateways: vec![Gateway { code: "EU".to_owned(), scheme: "iso6523-actorid-upis".to_owned() }],
            table: vec![Entry {
                eaddress: "COURT@90000000001".to_owned(),
                participant: "other::court".to_owned(),
            }],
        }
    }

    #[test]
    fn addresses_of_the_gateway_are_participants() {
        let book = book();
        let mapped = |address: &str| book.participant(address);
        assert_eq!(
            mapped("0088.7300010000001@EU").as_deref(),
            Some("iso6523-actorid-upis::0088:7300010000001")
        );
        assert_eq!(mapped("9915.a.b@eu").as_deref(), Some("iso6523-actorid-upis::9915:a.b"));
        assert_eq!(mapped("court@90000000001").as_deref(), Some("other::court"));
        for unknown in ["0088.1@XX", "nodot@EU", ".1@EU", "0088.@EU", "abcd.1@EU", "no address", "0088:1@EU"]
        {
            assert_eq!(mapped(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_foreign_participant_can_be_answered() {
        let book = book();
        for participant in ["iso6523-actorid-upis::0088:73", "iso6523-actorid-upis::9915:a.b", "other::court"]
        {
            let address = book.foreign_eaddress(participant).unwrap();
            assert_eq!(book.participant(&address).as_deref(), Some(participant));
        }
        assert_eq!(book.foreign_eaddress("unknown::1:2"), None);
    }

    #[test]
    fn private_persons_have_no_address_abroad() {
        assert_eq!(
            origin("_DEFAULT@90000000001"),
            Origin::Participant("iso6523-actorid-upis::0218:90000000001".to_owned())
        );
        for private in
            ["_PRIVATE@90000000001", "_DEFAULT@01019012345", "x@32123456789", "nobody", "_private@1"]
        {
            assert_eq!(origin(private), Origin::Private, "{private}");
        }
    }

    #[test]
    fn messages_from_abroad_find_their_recipient() {
        let book = book();
        let of = |participant: &str| book.local_recipient(participant);
        let address = |text: &str| Some(LocalRecipient::Address(text.to_owned()));
        assert_eq!(of("iso6523-actorid-upis::0218:90000000001"), address("_DEFAULT@90000000001"));
        assert_eq!(of("other::court"), address("COURT@90000000001"));
        assert_eq!(of(&format!("{ALIAS_PREFIX}abc")), Some(LocalRecipient::Alias("abc".to_owned())));
        assert_eq!(of("iso6523-actorid-upis::0218:01019012345"), None, "a personal code is no address");
        assert_eq!(of("iso6523-actorid-upis::0088:1"), None);
    }
}
