//! `xs:date` and `xs:dateTime` as SMPs write them.

use jiff::civil;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// Reads an `xs:dateTime`, or an `xs:date` as the beginning of that day; without a zone it is UTC.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let (local, offset) = split_zone(text);
    let local = match local.contains('T') {
        true => local.parse::<civil::DateTime>().ok()?,
        false => local.parse::<civil::Date>().ok()?.to_datetime(civil::Time::midnight()),
    };
    let utc = local.to_zoned(TimeZone::UTC).ok()?.timestamp();
    utc.checked_sub(jiff::SignedDuration::from_mins(offset?)).ok()
}

/// The text without its zone, and the zone's minutes east of Greenwich.
fn split_zone(text: &str) -> (&str, Option<i64>) {
    if let Some(local) = text.strip_suffix('Z') {
        return (local, Some(0));
    }
    let Some((at, sign)) =
        text.char_indices().rev().nth(5).filter(|(at, c)| *at >= 10 && matches!(c, '+' | '-'))
    else {
        return (text, Some(0));
    };
    let (local, zone) = text.split_at(at);
    let minutes = zone[1..].split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 14 && minutes < 60).then_some(hours * 60 + minutes)
    });
    (local, minutes.map(|minutes| if sign == '-' { -minutes } else { minutes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_with_and_without_zone() {
        let read = |text| read(text).map(|t| t.to_string());
        assert_eq!(read("2022-02-24+01:00").as_deref(), Some("2022-02-23T23:00:00Z"));
        assert_eq!(read("2022-02-24").as_deref(), Some("2022-02-24T00:00:00Z"));
        assert_eq!(read("2022-02-24Z").as_deref(), Some("2022-02-24T00:00:00Z"));
        assert_eq!(read("2013-11-08T01:00:00.000+01:00").as_deref(), Some("2013-11-08T00:00:00Z"));
        assert_eq!(read(" 2020-08-04T23:59:59 ").as_deref(), Some("2020-08-04T23:59:59Z"));
        assert_eq!(read("2020-08-04T23:59:59Z").as_deref(), Some("2020-08-04T23:59:59Z"));
        for wrong in ["", "soon", "2020-13-01", "2020-01-01+99:00", "2020-01-01T25:00:00"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
