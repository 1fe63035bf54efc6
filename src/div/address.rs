//! E-addresses and participants (model 5).

/// What stands before an alias in originalSender.
pub const ALIAS_PREFIX: &str = "urn:oasis:names:tc:ebcore:partyid-type:unregistered:lv-eaddress:";

/// The scheme of national registration numbers abroad, with the ICD of Latvia.
const NATIONAL: &str = "iso6523-actorid-upis::0218:";

/// An e-address abroad: `<icd>.<value>@<gateway code>`; the first dot splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abroad<'a> {
    /// Identifier of the participant's register: digits.
    pub icd: &'a str,
    /// The participant there.
    pub value: &'a str,
    /// Code of the gateway, in any case of letters.
    pub code: &'a str,
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

impl<'a> Abroad<'a> {
    /// Takes an e-address apart; `None` when it has another form.
    pub fn parse(eaddress: &'a str) -> Option<Self> {
        let (local, code) = eaddress.split_once('@').filter(|_| is_eaddress(eaddress))?;
        let (icd, value) = local.split_once('.')?;
        let known = !value.is_empty() && !icd.is_empty() && icd.bytes().all(|b| b.is_ascii_digit());
        known.then_some(Self { icd, value, code })
    }
}

/// The national recipient that a participant means: by the table of e-addresses and participants, by its alias, or `_DEFAULT@`
/// its registration number.
pub fn local_recipient<'t>(
    table: impl IntoIterator<Item = (&'t String, &'t String)>,
    participant: &str,
) -> Option<LocalRecipient> {
    let listed = table.into_iter().find(|(_, listed)| *listed == participant);
    if let Some((eaddress, _)) = listed {
        return Some(LocalRecipient::Address(eaddress.clone()));
    }
    if let Some(alias) = participant.split("::").last().and_then(|id| id.strip_prefix(ALIAS_PREFIX)) {
        return Some(LocalRecipient::Alias(alias.to_owned()));
    }
    let number = participant.strip_prefix(NATIONAL)?;
    is_registration_number(number).then(|| LocalRecipient::Address(format!("_DEFAULT@{number}")))
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
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_address_abroad_is_split_at_the_first_dot() {
        let parts = |text| Abroad::parse(text).map(|a| (a.icd, a.value, a.code));
        assert_eq!(parts("0088.7300010000001@EU"), Some(("0088", "7300010000001", "EU")));
        assert_eq!(parts("9915.a.b@eu"), Some(("9915", "a.b", "eu")));
        for unknown in ["nodot@EU", ".1@EU", "0088.@EU", "abcd.1@EU", "no address", "0088:1@EU", "0088.1@E@U"]
        {
            assert_eq!(parts(unknown), None, "{unknown}");
        }
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
        let table = BTreeMap::from([("COURT@90000000001".to_owned(), "other::court".to_owned())]);
        let of = |participant: &str| local_recipient(&table, participant);
        let address = |text: &str| Some(LocalRecipient::Address(text.to_owned()));
        assert_eq!(of("iso6523-actorid-upis::0218:90000000001"), address("_DEFAULT@90000000001"));
        assert_eq!(of("other::court"), address("COURT@90000000001"));
        assert_eq!(of(&format!("{ALIAS_PREFIX}abc")), Some(LocalRecipient::Alias("abc".to_owned())));
        assert_eq!(of("iso6523-actorid-upis::0218:01019012345"), None, "a personal code is no address");
        assert_eq!(of("iso6523-actorid-upis::0088:1"), None);
    }
}
