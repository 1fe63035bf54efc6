//! What a seed draws.

use std::time::Duration;

use conformance::lab::{Side, in_traffic};
use conformance::random::Random;
use tilts::clock::SignedDuration;
use tilts::crash::Point;

use crate::disk::{Kind, Trap, Trouble};
use crate::engine::Moment;
use crate::net::Weather;
use crate::operator::{Act, Deed};

/// From this moment on nothing goes wrong any more.
pub const CALM: Moment = Duration::from_secs(12);
/// When the last letter is handed in.
const LAST_LETTER: u64 = 6000;
/// How far one jump goes at most.
const FAR: SignedDuration = SignedDuration::from_hours(6);
/// No clock is ever so far ahead, not by two jumps at once.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(13);

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What everything follows from.
    pub seed: u64,
    /// What is handed in.
    pub letters: Vec<Letter>,
    /// One exchange in so many goes wrong, to the receiver and back; none for 0.
    pub gaps: [u64; 2],
    /// When every exchange goes wrong in the same way, to the receiver and back.
    pub outages: [Vec<Outage>; 2],
    /// The network otherwise.
    pub weather: Weather,
    /// How each node dies, one time after the other.
    pub strikes: [Vec<Strike>; 2],
    /// When the disk of each is not as it should be.
    pub troubles: [Vec<Trouble>; 2],
    /// What happens to clocks, in order of time.
    pub jumps: Vec<Jump>,
    /// Whether nodes try for days; else they give up after seconds.
    pub patient: bool,
    /// Whether nodes make their stores themselves; else they find one in which nothing is.
    pub bare: bool,
    /// What the operator of the sender does.
    pub acts: Vec<Act>,
    /// Whose backend has a folder instead of the interface.
    pub folders: [bool; 2],
}

/// What is handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub number: u64,
    /// How many get it.
    pub copies: u64,
    /// When it is handed in first.
    pub at: Moment,
}

/// A time in which nothing passes as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From here ...
    pub from: Moment,
    /// ... to here.
    pub to: Moment,
    /// How much does not.
    pub how: Away,
}

/// What does not get through in an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// Answers: requests arrive.
    Answers,
    /// Requests: a connection is made, and reset.
    Requests,
    /// Connections: nobody is there.
    Connections,
}

/// A death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// Where.
    pub place: Place,
    /// Until it is started again.
    pub down: Duration,
    /// Whether nobody hears of it, as when the power goes.
    pub silent: bool,
}

/// Where a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// So long after it was started.
    After(Duration),
    /// By itself.
    At(Trap),
}

/// A clock jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// When.
    pub at: Moment,
    /// Whose.
    pub side: Side,
    /// How far.
    pub by: SignedDuration,
}

impl Plan {
    /// What follows from a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let first = random.below(10);
        let letters = first..first + 2 + random.below(4);
        let letters: Vec<Letter> = letters.map(|number| letter(random, number)).collect();
        let gaps = [(); 2].map(|()| [0, 2, 3, 6][random.below(4) as usize]);
        let outages = outages(random);
        let weather = Weather { jitter: [1, 5, 40, 400][random.below(4) as usize], rough: rough(random) };
        let strikes = Side::BOTH.map(|side| (0..random.below(4)).map(|_| strike(random, side)).collect());
        let troubles = Side::BOTH.map(|_| (0..random.below(3)).map(|_| trouble(random)).collect());
        let mut jumps: Vec<Jump> = (0..random.below(3)).flat_map(|_| jump(random)).collect();
        jumps.sort_by_key(|jump| jump.at);
        let patient = random.below(3) != 0;
        let bare = random.below(10) == 0;
        let folders = [(); 2].map(|()| random.below(4) == 0);
        let acts = acts(random, &letters);
        Self { seed, letters, gaps, outages, weather, strikes, troubles, jumps, patient, bare, acts, folders }
    }
}

fn letter(random: &mut Random, number: u64) -> Letter {
    let copies = if random.below(4) == 0 { 2 + random.below(2) } else { 1 };
    Letter { number, copies, at: millis(random.below(LAST_LETTER)) }
}

/// On every other seed, soon after a letter was handed in: then there is something to be stopped.
fn acts(random: &mut Random, letters: &[Letter]) -> Vec<Act> {
    let count = if random.below(2) == 0 { 1 + random.below(6) } else { 0 };
    let act = |_| {
        let letter = letters[random.below(letters.len() as u64) as usize];
        let late = [1, 1, 1, 3000][random.below(4) as usize];
        let at = letter.at + millis(random.below(late));
        let deed = if random.below(3) == 0 { Deed::Retry } else { Deed::Cancel };
        Act { at, letter: letter.number, copy: random.below(letter.copies), deed }
    };
    (0..count).map(act).collect()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn rough(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => 20 + random.below(200),
        _ => 0,
    }
}

/// Both ways often fail at the same time, and not always in the same manner.
fn outages(random: &mut Random) -> [Vec<Outage>; 2] {
    let mut outages = [Vec::new(), Vec::new()];
    for _ in 0..random.below(3) {
        let from = random.below(7000);
        let (from, to) = (millis(from), millis(from + 100 + random.below(8000)));
        let ways = 1 + random.below(3);
        for (way, all) in outages.iter_mut().enumerate().filter(|(way, _)| ways >> way & 1 == 1) {
            let how = match random.below(if way == 0 { 2 } else { 3 }) {
                0 => Away::Answers,
                _ if random.below(2) == 0 => Away::Requests,
                _ => Away::Connections,
            };
            all.push(Outage { from, to, how });
        }
    }
    outages
}

fn strike(random: &mut Random, side: Side) -> Strike {
    let points = in_traffic(side);
    let named = points[random.below(points.len() as u64) as usize];
    let point = Point::ALL.iter().find(|point| point.as_str() == named);
    let place = match (random.below(8), point) {
        (0..=3, Some(point)) => Place::At(Trap::Point(*point, 1 + random.below(4))),
        (4, _) => Place::At(Trap::Before(1 + random.below(40))),
        (5, _) => Place::At(Trap::After(1 + random.below(40))),
        _ => Place::After(millis(random.below(4000))),
    };
    let longest = [100, 3000][random.below(2) as usize];
    let down = millis(10 + random.below(longest));
    Strike { place, down, silent: random.below(3) == 0 }
}

fn trouble(random: &mut Random) -> Trouble {
    let from = random.below(9000);
    let length = 50 + random.below(2500);
    let kind = match random.below(3) {
        0 => Kind::Full,
        1 => Kind::Stalls,
        _ => Kind::Slow(1 + random.below(200)),
    };
    Trouble { from: millis(from), to: millis(from + length), kind }
}

/// There and back again, as a clock that is put right.
fn jump(random: &mut Random) -> [Jump; 2] {
    let side = Side::BOTH[random.below(2) as usize];
    let by = match random.below(3) {
        0 => FAR,
        1 => -SignedDuration::from_mins(30),
        _ => SignedDuration::from_secs(random.below(120) as i64 - 60),
    };
    let at = random.below(9000);
    let back = at + 50 + random.below(2000);
    [Jump { at: millis(at), side, by }, Jump { at: millis(back), side, by: -by }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_plan_and_all_is_over_in_time() {
        assert_eq!(Plan::new(5), Plan::new(5));
        assert_ne!(Plan::new(5), Plan::new(6));
        for plan in (0..500).map(Plan::new) {
            let troubles = plan.troubles.iter().flatten().map(|trouble| trouble.to);
            let all = plan
                .letters
                .iter()
                .map(|letter| letter.at)
                .chain(troubles)
                .chain(plan.acts.iter().map(|act| act.at))
                .chain(plan.jumps.iter().map(|jump| jump.at));
            assert!(all.max().is_none_or(|last| last < CALM), "{plan:?}");
            assert!(plan.jumps.is_sorted_by_key(|jump| jump.at));
            let mut ahead = [SignedDuration::ZERO; 2];
            for jump in &plan.jumps {
                ahead[jump.side as usize] += jump.by;
                assert!(ahead[jump.side as usize] < AHEAD, "{plan:?}");
            }
            assert_eq!(ahead, [SignedDuration::ZERO; 2], "{plan:?}");
        }
    }

    #[test]
    fn every_kind_of_death_and_trouble_comes() {
        let plans: Vec<Plan> = (0..2000).map(Plan::new).collect();
        let strikes: Vec<Strike> =
            plans.iter().flat_map(|plan| plan.strikes.iter().flatten()).copied().collect();
        for side in Side::BOTH {
            for named in in_traffic(side) {
                let dies = |strike: &Strike| matches!(strike.place, Place::At(Trap::Point(p, _)) if p.as_str() == named);
                assert!(
                    plans.iter().any(|plan| plan.strikes[side as usize].iter().any(dies)),
                    "{side:?} {named}"
                );
            }
        }
        assert!(strikes.iter().any(|s| matches!(s.place, Place::At(Trap::Before(_)))));
        assert!(strikes.iter().any(|s| matches!(s.place, Place::At(Trap::After(_)))));
        assert!(strikes.iter().any(|s| s.silent && matches!(s.place, Place::After(_))));
        let troubles: Vec<Kind> =
            plans.iter().flat_map(|p| p.troubles.iter().flatten().map(|t| t.kind)).collect();
        assert!(troubles.contains(&Kind::Full) && troubles.contains(&Kind::Stalls));
    }
}
