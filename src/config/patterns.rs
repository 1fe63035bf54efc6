//! Participant patterns of which no two may mean the same participant (model.md 7).

use super::problems::Problems;

/// A pattern as it is compared: without case, as participants are (discovery 3.1).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Compared<'p> {
    beginning: String,
    whole: bool,
    written: &'p str,
}

impl<'p> Compared<'p> {
    fn new(written: &'p str) -> Self {
        let lower = written.to_lowercase();
        let whole = !lower.ends_with('*');
        Self { beginning: lower.trim_end_matches('*').to_owned(), whole, written }
    }

    /// Whether it means what `later` means, or some of it; `later` stands behind it in order.
    fn covers(&self, later: &Self) -> bool {
        match self.whole {
            true => later.whole && self.beginning == later.beginning,
            false => later.beginning.starts_with(&self.beginning),
        }
    }
}

/// Notes patterns that overlap. In order, all that a pattern covers stands directly behind it.
pub(super) fn apart<'p>(problems: &mut Problems, patterns: impl Iterator<Item = &'p str>) {
    let mut all: Vec<Compared<'_>> = patterns.map(Compared::new).collect();
    all.sort();
    let mut around: Vec<&Compared<'_>> = Vec::new();
    for one in &all {
        while around.last().is_some_and(|outer| !outer.covers(one)) {
            around.pop();
        }
        if let Some(outer) = around.last() {
            problems.add(
                "participants",
                format!(
                    "{:?} and {:?} overlap; a participant belongs to exactly one domain",
                    outer.written, one.written
                ),
            );
        }
        around.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn overlap(one: &str, other: &str) -> bool {
        let matches = |pattern: &str, value: &str| match pattern.strip_suffix('*') {
            Some(beginning) => value.trim_end_matches('*').starts_with(beginning),
            None => pattern == value,
        };
        let (one, other) = (one.to_lowercase(), other.to_lowercase());
        matches(&one, &other) || matches(&other, &one)
    }

    proptest! {
        #[test]
        fn what_overlaps_is_found(patterns in prop::collection::vec("[aAb]{0,3}\\*?", 0..8)) {
            let mut problems = Problems::default();
            apart(&mut problems, patterns.iter().map(String::as_str));
            let pairs = patterns.iter().enumerate().flat_map(|(at, one)| patterns[at + 1..].iter().map(move |other| (one, other)));
            let wanted = pairs.filter(|(one, other)| overlap(one, other)).count();
            prop_assert_eq!(problems.0.is_empty(), wanted == 0, "{:?} {:?}", patterns, problems);
            prop_assert!(problems.0.len() <= wanted);
        }
    }

    #[test]
    fn a_pattern_of_another_case_overlaps_too() {
        let mut problems = Problems::default();
        apart(&mut problems, ["a::9906:*", "B::1", "A::9906:12", "b::1"].into_iter());
        let said: Vec<_> = problems.0.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            said,
            [
                "\"a::9906:*\" and \"A::9906:12\" overlap; a participant belongs to exactly one domain",
                "\"B::1\" and \"b::1\" overlap; a participant belongs to exactly one domain",
            ]
        );
    }
}
