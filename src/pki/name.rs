//! Distinguished names: written as RFC 2253 has them, and compared by what they mean.
//!
//! Peers write the same name in either order and with their own spellings of the less common types (discovery 2.5 and
//! 5.1: never compare strings), so a [`Name`] holds (dotted type, value) pairs.

use super::der;

/// Types that RFC 2253 writes by name, then those that peers write by name and we read. First match wins.
const TYPES: &[(&str, &str)] = &[
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
    ("EMAIL", "1.2.840.113549.1.9.1"),
    ("S", "2.5.4.8"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("SN", "2.5.4.4"),
    ("SURNAME", "2.5.4.4"),
    ("GN", "2.5.4.42"),
    ("GIVENNAME", "2.5.4.42"),
    ("T", "2.5.4.12"),
    ("TITLE", "2.5.4.12"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("2.5.4.97", "2.5.4.97"),
];

/// One distinguished name: relative names in the order of the encoding, each a sorted list of (dotted type, value).
///
/// `==` compares the order too; [`Name::means_the_same`] does not mind it being reversed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<Vec<(String, String)>>);

impl Name {
    /// Reads a DER `Name` (X.501). `None` when it is none.
    pub fn from_der(octets: &[u8]) -> Option<Self> {
        let (sequence, _) = der::tagged(octets, der::SEQUENCE)?;
        let rdns = der::values(sequence.content)?;
        rdns.iter().map(|rdn| relative_name(rdn.content)).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Reads the text form (RFC 2253, RFC 1779 or what OpenSSL and Java print). `None` when a part has no `=`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rdns = Vec::new();
        for part in split_unescaped(text, &[',', ';']) {
            let mut rdn = split_unescaped(part, &['+'])
                .into_iter()
                .map(attribute_of)
                .collect::<Option<Vec<(String, String)>>>()?;
            rdn.sort();
            rdns.push(rdn);
        }
        rdns.reverse();
        (!rdns.is_empty()).then_some(Self(rdns))
    }

    /// Whether both name the same entity: the same relative names in the same or the reversed order, letters and
    /// blanks compared as RFC 4518 prepares them (case folded, blanks squeezed).
    pub fn means_the_same(&self, other: &Self) -> bool {
        let (a, b) = (self.folded(), other.folded());
        a == b || a.iter().rev().eq(b.iter())
    }

    /// The first common name (2.5.4.3), if there is one.
    pub fn common_name(&self) -> Option<&str> {
        self.first("2.5.4.3")
    }

    /// The first value of the dotted type, if there is one.
    pub fn first(&self, dotted_type: &str) -> Option<&str> {
        self.0.iter().flatten().find(|(kind, _)| kind == dotted_type).map(|(_, value)| value.as_str())
    }

    fn folded(&self) -> Vec<Vec<(String, String)>> {
        let fold = |(kind, value): &(String, String)| {
            (kind.clone(), value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
        };
        self.0
            .iter()
            .map(|rdn| {
                let mut rdn: Vec<_> = rdn.iter().map(fold).collect();
                rdn.sort();
                rdn
            })
            .collect()
    }
}

impl std::fmt::Display for Name {
    /// RFC 2253: last relative name first, special characters escaped.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, rdn) in self.0.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for (index, (kind, value)) in rdn.iter().enumerate() {
                if index > 0 {
                    f.write_str("+")?;
                }
                let short = TYPES.iter().find(|(_, oid)| oid == kind).map_or(kind.as_str(), |(name, _)| name);
                write!(f, "{short}={}", escaped(value))?;
            }
        }
        Ok(())
    }
}

fn relative_name(octets: &[u8]) -> Option<Vec<(String, String)>> {
    let mut rdn = Vec::new();
    for pair in der::values(octets)? {
        let (kind, rest) = der::tagged(pair.content, der::OID)?;
        let (value, _) = der::value(rest)?;
        rdn.push((der::dotted(kind.content)?, string_of(value)));
    }
    rdn.sort();
    Some(rdn)
}

/// A directory string as text; a type that is no string as `#` and the hex of its DER (RFC 2253 2.4).
fn string_of(value: der::Value<'_>) -> String {
    let utf16 = |content: &[u8]| {
        let units: Vec<u16> = content.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match value.tag {
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => String::from_utf8_lossy(value.content).into_owned(),
        0x14 => value.content.iter().map(|&octet| char::from(octet)).collect(),
        0x1e => utf16(value.content),
        _ => format!("#{}", hex::encode(value.whole)),
    }
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let edge_blank = c == ' ' && (index == 0 || index == last);
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || edge_blank {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Cuts at separators that stand neither behind a backslash nor in quotes.
fn split_unescaped<'t>(text: &'t str, separators: &[char]) -> Vec<&'t str> {
    let (mut parts, mut start, mut escape, mut quoted) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escape => escape = false,
            '\\' => escape = true,
            '"' => quoted = !quoted,
            _ if !quoted && separators.contains(&c) => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn attribute_of(part: &str) -> Option<(String, String)> {
    let (kind, value) = part.split_once('=')?;
    let kind = kind.trim().to_ascii_uppercase();
    let kind = kind.strip_prefix("OID.").unwrap_or(&kind);
    let dotted = match TYPES.iter().find(|(name, _)| *name == kind) {
        Some((_, oid)) => (*oid).to_owned(),
        None => kind.to_owned(),
    };
    Some((dotted, unescaped(value.trim_start())))
}

fn unescaped(value: &str) -> String {
    if let Some(decoded) = value.strip_prefix('#').and_then(|h| hex::decode(h.trim()).ok()) {
        return der::value(&decoded).map_or_else(|| value.to_owned(), |(v, _)| string_of(v));
    }
    let trimmed = trim_unescaped_end(value);
    let inner = trimmed.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(trimmed);
    let octets = inner.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(octets.len()), 0);
    while at < octets.len() {
        let pair = octets.get(at + 1..at + 3).and_then(|p| hex::decode(p).ok());
        match (octets[at], pair) {
            (b'\\', Some(octet)) => {
                out.extend(octet);
                at += 3;
            }
            (b'\\', None) => {
                out.extend(octets.get(at + 1));
                at += 2;
            }
            (octet, _) => {
                out.push(octet);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Cuts trailing blanks, but not one that a backslash protects.
fn trim_unescaped_end(value: &str) -> &str {
    let trimmed = value.trim_end_matches(' ');
    match trimmed.ends_with('\\') && trimmed.len() < value.len() {
        true => &value[..=trimmed.len()],
        false => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_orders_and_spellings_mean_the_same() {
        let a = Name::parse("CN=POP000306, OU=PEPPOL TEST SMP, O=OpenPEPPOL AISBL, C=BE").unwrap();
        let b = Name::parse("C=BE,O=OpenPEPPOL  AISBL,OU=PEPPOL TEST SMP,CN=pop000306").unwrap();
        assert!(a.means_the_same(&b));
        assert_ne!(a, b);
        assert!(!a.means_the_same(
            &Name::parse("CN=POP000307,OU=PEPPOL TEST SMP,O=OpenPEPPOL AISBL,C=BE").unwrap()
        ));
        let c = Name::parse("OID.2.5.4.5=1,EMAILADDRESS=a@b").unwrap();
        assert!(c.means_the_same(&Name::parse("serialNumber=1,E=a@b").unwrap()));
    }

    #[test]
    fn quotes_and_escapes_are_undone() {
        let name = Name::parse(r#"CN=Sue\, Grabbit and Runn,O="Lex, et \"al\"",C=GB"#).unwrap();
        assert_eq!(name.common_name(), Some("Sue, Grabbit and Runn"));
        assert_eq!(name.to_string(), r#"CN=Sue\, Grabbit and Runn,O=Lex\, et \"al\",C=GB"#);
        assert_eq!(Name::parse(r"CN=Lu\C4\8Di\C4\87").unwrap().common_name(), Some("Lučić"));
        assert_eq!(Name::parse("1.3.6.1=#04024869").unwrap().to_string(), "1.3.6.1=#04024869");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(values in prop::collection::vec("[a-zA-Zāļņ ,+=\"\\\\;<>]{1,12}", 1..5)) {
            let name = Name(values.into_iter().map(|v| vec![("2.5.4.10".to_owned(), v)]).collect());
            prop_assert_eq!(Name::parse(&name.to_string()).unwrap(), name);
        }
    }
}
