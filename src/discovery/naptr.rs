//! From NAPTR records to the SMP's address (RFC 3403, RFC 4848; discovery 1.3). Pure.

/// One NAPTR record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Processed from low to high.
    pub order: u16,
    /// Among equal orders, from low to high.
    pub preference: u16,
    /// `U` for a record whose regexp yields a URL.
    pub flags: String,
    /// Such as `Meta:SMP`.
    pub service: String,
    /// Delimiter, pattern, delimiter, replacement, delimiter.
    pub regexp: String,
}

/// Why no address can be taken from the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// There are records, but none for this service.
    NoSuchService,
    /// The record for the service is wrong: the registry's fault.
    Wrong(String),
}

/// The address in the first record for `service`, by order and preference, without a slash at its end.
///
/// The patterns `.*` (RFC 4848) and `^.*$` (older registries) are understood, and nothing else: both mean the replacement
/// itself. `https_only` refuses `http:` addresses.
pub fn address(records: &[Naptr], service: &str, https_only: bool) -> Result<String, Unusable> {
    let fits = |record: &&Naptr| {
        record.flags.eq_ignore_ascii_case("u") && record.service.eq_ignore_ascii_case(service)
    };
    let first = records.iter().filter(fits).min_by_key(|record| (record.order, record.preference));
    let record = first.ok_or(Unusable::NoSuchService)?;
    let wrong = |why: &str| Unusable::Wrong(format!("{why}: {:?}", record.regexp));
    let url = replacement(&record.regexp).ok_or_else(|| wrong("a regexp other than !.*!URL!"))?;
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("https") => {}
        Some("http") if !https_only => {}
        Some("http") => return Err(wrong("an address without TLS, which this domain does not permit")),
        _ => return Err(wrong("no http or https address")),
    }
    let authority =
        url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    if authority.is_empty() || authority.contains('@') || url.contains(['#', '?', ' ']) {
        return Err(wrong("an address with user information, query or fragment, or without a host"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn replacement(regexp: &str) -> Option<&str> {
    let delimiter = regexp.chars().next()?;
    let mut parts = regexp[delimiter.len_utf8()..].split(delimiter);
    let (pattern, replacement, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let understood =
        matches!(pattern, ".*" | "^.*$") && matches!(flags, "" | "i" | "I") && parts.next().is_none();
    (understood && !replacement.is_empty()).then_some(replacement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(order: u16, preference: u16, flags: &str, service: &str, regexp: &str) -> Naptr {
        let text = str::to_owned;
        Naptr { order, preference, flags: text(flags), service: text(service), regexp: text(regexp) }
    }

    #[test]
    fn the_first_usable_record_wins() {
        let records = [
            record(200, 1, "U", "Meta:SMP", "!.*!https://late.example!"),
            record(100, 20, "u", "MEtA:SmP", "!^.*$!https://second.example/smp/!"),
            record(100, 10, "U", "meta:cppa3", "!.*!https://other.example!"),
            record(100, 10, "S", "Meta:SMP", "!.*!https://flag.example!"),
            record(100, 10, "U", "Meta:SMP", "!.*!https://first.example/Path!"),
        ];
        assert_eq!(address(&records, "Meta:SMP", true).unwrap(), "https://first.example/Path");
        assert_eq!(address(&records[..2], "meta:smp", true).unwrap(), "https://second.example/smp");
        assert_eq!(address(&records[2..4], "Meta:SMP", true), Err(Unusable::NoSuchService));
        assert_eq!(address(&[], "Meta:SMP", true), Err(Unusable::NoSuchService));
    }

    #[test]
    fn wrong_records_are_the_registrys_fault() {
        let wrong = [
            "",
            "!",
            "!.*!!",
            "!.*!https://x",
            "!(.*)!https://\\1!",
            "!.*!ftp://x!",
            "!.*!https://u@x!",
            "!.*!https:///p!",
            "!.*!https://x/#f!",
            "!.*!https://x!g!",
            "!.*!x!",
        ];
        for regexp in wrong {
            let found = address(&[record(1, 1, "U", "Meta:SMP", regexp)], "Meta:SMP", false);
            assert!(matches!(found, Err(Unusable::Wrong(_))), "{regexp}: {found:?}");
        }
        let plain = [record(1, 1, "U", "Meta:SMP", "!.*!http://test:8080/smp!")];
        assert_eq!(address(&plain, "Meta:SMP", false).unwrap(), "http://test:8080/smp");
        assert!(address(&plain, "Meta:SMP", true).is_err());
    }

    #[test]
    fn recorded_records_read_as_noted() {
        let Some(folder) = crate::discovery::vectors() else { return };
        let table = std::fs::read_to_string(folder.join("smp/naptr/naptr-records.tsv")).unwrap();
        let mut seen = 0;
        for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let fields: Vec<&str> = line.split('\t').collect();
            let one = record(
                fields[0].parse().unwrap(),
                fields[1].parse().unwrap(),
                fields[2],
                fields[3],
                fields[4],
            );
            let expected = Some(fields[6]).filter(|url| *url != "NONE");
            assert_eq!(address(&[one], "Meta:SMP", false).ok().as_deref(), expected, "{line}");
            seen += 1;
        }
        assert!(seen >= 6);
    }
}
