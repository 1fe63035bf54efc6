//! The few DER values that OpenSSL's safe interface does not take apart: names, and the wrappers of old key stores.

/// Universal tags used here.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// SEQUENCE, constructed.
pub const SEQUENCE: u8 = 0x30;

/// One value: its tag and its content octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Identifier octet; tags above 30 are not read.
    pub tag: u8,
    /// Content octets.
    pub content: &'a [u8],
    /// The whole value, with tag and length.
    pub whole: &'a [u8],
}

/// Reads the value at the start of `octets`; gives it and what follows. `None` when it is cut short or not DER.
pub fn value(octets: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => long_length(rest, usize::from(first & 0x7f))?,
        _ => return None,
    };
    if rest.len() < length {
        return None;
    }
    let (content, after) = rest.split_at(length);
    Some((Value { tag, content, whole: &octets[..octets.len() - after.len()] }, after))
}

/// Reads one value with the tag given, at the start of `octets`.
pub fn tagged(octets: &[u8], tag: u8) -> Option<(Value<'_>, &[u8])> {
    value(octets).filter(|(v, _)| v.tag == tag)
}

/// All values that stand one after the other; `None` when the last is cut short.
pub fn values(mut octets: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let (one, rest) = value(octets)?;
        found.push(one);
        octets = rest;
    }
    Some(found)
}

/// An object identifier in dotted form.
pub fn dotted(content: &[u8]) -> Option<String> {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0u64;
    for (index, &octet) in content.iter().enumerate() {
        arc = arc.checked_mul(128)? | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        } else if index + 1 == content.len() {
            return None;
        }
    }
    let (first, rest) = arcs.split_first()?;
    let top = (first / 40).min(2);
    let mut text = format!("{top}.{}", first - top * 40);
    for arc in rest {
        text.push_str(&format!(".{arc}"));
    }
    Some(text)
}

/// One X.509 extension.
#[derive(Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Whether it must be understood.
    pub critical: bool,
    /// Its identifier, dotted.
    pub oid: String,
    /// The DER within its OCTET STRING.
    pub value: &'a [u8],
}

/// The extensions of a certificate or a list: those below the `EXPLICIT` tag `wrapper` of what is signed in it. None is an
/// empty list; `None` when it is not DER.
pub fn extensions(signed: &[u8], wrapper: u8) -> Option<Vec<Extension<'_>>> {
    let (signed, _) = tagged(signed, SEQUENCE)?;
    let (inner, _) = tagged(signed.content, SEQUENCE)?;
    let fields = values(inner.content)?;
    let Some(field) = fields.iter().find(|field| field.tag == wrapper) else { return Some(Vec::new()) };
    let (all, _) = tagged(field.content, SEQUENCE)?;
    values(all.content)?.iter().map(|one| extension(one.content)).collect()
}

/// The fields of one extension.
pub fn extension(fields: &[u8]) -> Option<Extension<'_>> {
    let (oid, rest) = tagged(fields, OID)?;
    let (critical, rest) = match tagged(rest, BOOLEAN) {
        Some((value, rest)) => (value.content != [0], rest),
        None => (false, rest),
    };
    let (value, _) = tagged(rest, OCTET_STRING)?;
    Some(Extension { critical, oid: dotted(oid.content)?, value: value.content })
}

fn long_length(rest: &[u8], count: usize) -> Option<(usize, &[u8])> {
    if rest.len() < count {
        return None;
    }
    let (head, tail) = rest.split_at(count);
    let length = head.iter().fold(0usize, |sum, &octet| (sum << 8) | usize::from(octet));
    Some((length, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_are_written_dotted() {
        assert_eq!(dotted(&[0x55, 0x04, 0x03]).as_deref(), Some("2.5.4.3"));
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]).as_deref(), Some("1.2.840.113549"));
        assert_eq!(dotted(&[0x88, 0x37, 0x03]).as_deref(), Some("2.999.3"));
        assert_eq!(dotted(&[0x2a, 0x86]), None, "cut short");
    }

    #[test]
    fn a_value_that_is_cut_short_is_none() {
        assert!(value(&[0x30, 0x03, 1, 2]).is_none());
        assert!(value(&[0x30, 0x82, 0xff]).is_none());
        assert_eq!(
            value(&[0x04, 0x01, 7, 9]).map(|(v, rest)| (v.content.to_vec(), rest.len())),
            Some((vec![7], 1))
        );
    }
}
