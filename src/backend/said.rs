//! What was said lately: a folder is looked at twice a second, and what is wrong with it is wrong for hours.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The same is said again after so long.
const AGAIN: Duration = Duration::from_secs(60);
/// So many things are remembered.
const MOST: usize = 1000;

/// Whether something should be said, which is so when it was not said for a minute.
pub fn is_due(what: &str) -> bool {
    due(&mut known(), what, Instant::now())
}

fn known() -> MutexGuard<'static, HashMap<String, Instant>> {
    static SAID: OnceLock<Mutex<HashMap<String, Instant>>> = OnceLock::new();
    SAID.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn due(said: &mut HashMap<String, Instant>, what: &str, now: Instant) -> bool {
    if said.len() >= MOST {
        said.retain(|_, at| now.duration_since(*at) < AGAIN);
    }
    match said.get(what) {
        Some(at) if now.duration_since(*at) < AGAIN => false,
        _ if said.len() >= MOST => true,
        _ => {
            said.insert(what.to_owned(), now);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute_and_nothing_new_is_kept_back() {
        let (mut said, now) = (HashMap::new(), Instant::now());
        assert!(due(&mut said, "a", now) && due(&mut said, "b", now));
        assert!(!due(&mut said, "a", now + AGAIN / 2));
        assert!(due(&mut said, "a", now + AGAIN));
        for number in 0..2 * MOST {
            assert!(due(&mut said, &number.to_string(), now));
        }
        assert!(said.len() <= MOST);
    }
}
