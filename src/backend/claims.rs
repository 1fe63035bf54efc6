//! Which route claims a participant, of thousands, without asking each.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Patterns of participants and the places of the routes that claim them. No two patterns of a configuration overlap.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    /// Whole participants, in lower case.
    whole: HashMap<String, usize>,
    /// What stands before a trailing `*`, in lower case.
    beginnings: BTreeMap<String, usize>,
}

impl Claims {
    /// Adds a pattern: `scheme::value`, with a trailing `*` for all that begin so.
    pub(super) fn add(&mut self, pattern: &str, place: usize) {
        let pattern = pattern.to_lowercase();
        match pattern.strip_suffix('*') {
            Some(beginning) => self.beginnings.entry(beginning.to_owned()).or_insert(place),
            None => self.whole.entry(pattern).or_insert(place),
        };
    }

    /// The place of the route that claims the participant, spelled in whatever case (discovery 3.1).
    pub(super) fn of(&self, participant: &str) -> Option<usize> {
        let participant = participant.to_lowercase();
        if let Some(place) = self.whole.get(&participant) {
            return Some(*place);
        }
        // All that begins as the participant does lies directly before it; of beginnings that do not overlap, that is one at most.
        let before = (Bound::Unbounded, Bound::Included(participant.as_str()));
        let (beginning, place) = self.beginnings.range::<str, _>(before).next_back()?;
        participant.starts_with(beginning.as_str()).then_some(*place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::serves::matches;
    use super::*;
    use proptest::prelude::*;

    /// Patterns of which none overlaps another.
    fn apart(patterns: Vec<String>) -> Vec<String> {
        let mut apart: Vec<String> = Vec::new();
        for pattern in patterns {
            let bare = |p: &str| p.trim_end_matches('*').to_owned();
            if !apart.iter().any(|other| matches(other, &bare(&pattern)) || matches(&pattern, &bare(other))) {
                apart.push(pattern);
            }
        }
        apart
    }

    proptest! {
        #[test]
        fn the_claim_is_the_one_that_matches(
            patterns in prop::collection::vec("[aAb]{0,4}\\*?", 0..12),
            participant in "[abB]{0,6}",
        ) {
            let patterns = apart(patterns);
            let mut claims = Claims::default();
            patterns.iter().enumerate().for_each(|(place, pattern)| claims.add(pattern, place));
            let found = patterns.iter().position(|pattern| matches(pattern, &participant));
            prop_assert_eq!(claims.of(&participant), found, "{:?}", patterns);
        }
    }
}
