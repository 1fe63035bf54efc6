//! What goes wrong, and when: a pure function of the seed.

use serde::Serialize;

use crate::random::Random;

/// What the proxy does to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// The connection is reset before an octet of it was read.
    Reset,
    /// Everything passes, after so many milliseconds.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// After this share of the request both sides are cut off.
    CutRequest {
        /// Thousandths of the request.
        share: u64,
    },
    /// After this share of the request the receiver reads the end of the stream; its answer passes.
    Truncate {
        /// Thousandths of the request.
        share: u64,
    },
    /// After this share of the request nothing moves any more until one side gives up.
    Stall {
        /// Thousandths of the request.
        share: u64,
    },
    /// The request arrives, and so many milliseconds later, while it is being worked on, both sides are cut off.
    Leave {
        /// Milliseconds.
        ms: u64,
    },
    /// After so many octets of the answer both sides are cut off.
    CutAnswer {
        /// Octets.
        octets: u64,
    },
    /// The request arrives; its answer does not.
    Lose,
    /// The request arrives again after it was answered.
    Repeat,
    /// The request arrives twice at once; the sender reads one of the answers.
    Twin,
}

impl Fault {
    /// Its name in reports.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Delay { .. } => "delay",
            Self::CutRequest { .. } => "cut-request",
            Self::Truncate { .. } => "truncate",
            Self::Stall { .. } => "stall",
            Self::Leave { .. } => "leave",
            Self::CutAnswer { .. } => "cut-answer",
            Self::Lose => "lose",
            Self::Repeat => "repeat",
            Self::Twin => "twin",
        }
    }

    fn draw(random: &mut Random) -> Self {
        // Whole requests and hardly any of them are moments of their own.
        let share = [1000, 1, random.below(1000), random.below(1000)][random.below(4) as usize];
        match random.below(23) {
            0 | 1 => Self::Reset,
            2..=4 => Self::Delay { ms: 20 + random.below(600) },
            5..=7 => Self::CutRequest { share },
            8..=10 => Self::Truncate { share },
            11 => Self::Stall { share },
            12 | 13 => Self::CutAnswer { octets: random.below(6000) },
            14..=16 => Self::Lose,
            17 | 18 => Self::Repeat,
            19..=21 => Self::Leave { ms: random.below(60) },
            _ => Self::Twin,
        }
    }
}

/// Which exchanges of one direction go wrong, and how.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    seed: u64,
    gap: u64,
}

impl Faults {
    /// One exchange of `gap` goes wrong; none for 0.
    pub fn new(seed: u64, gap: u64) -> Self {
        Self { seed, gap }
    }

    /// What happens to exchange `number`.
    pub fn of(&self, number: u64) -> Option<Fault> {
        if self.gap == 0 {
            return None;
        }
        let mut random = Random::new(self.seed ^ (number / self.gap).wrapping_mul(0x9e37_79b9));
        let chosen = random.below(self.gap);
        (number % self.gap == chosen).then(|| Fault::draw(&mut random))
    }
}

/// One of the two access points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Takes submissions and sends.
    Sender,
    /// Receives and delivers.
    Receiver,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Sender, Self::Receiver];
}

/// One process of a side; the processes of a side are nodes on one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct At {
    /// The side.
    pub side: Side,
    /// Which of its nodes, from 0.
    pub member: usize,
}

impl From<Side> for At {
    fn from(side: Side) -> Self {
        Self { side, member: 0 }
    }
}

impl At {
    /// Its name in reports.
    pub fn word(self) -> String {
        let side = match self.side {
            Side::Sender => "sender",
            Side::Receiver => "receiver",
        };
        match self.member {
            0 => side.to_owned(),
            other => format!("{side} {}", other + 1),
        }
    }
}

/// A `kill -9`, and what the victim comes back with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strike {
    /// Who dies.
    pub victim: At,
    /// Milliseconds after the moment when it is due.
    pub after: u64,
    /// Milliseconds until it is started again.
    pub down: u64,
    /// Where it then dies by itself, `<point>:<n>`.
    pub trap: Option<String>,
}

/// The strikes of a run, without end.
#[derive(Debug)]
pub struct Strikes {
    random: Random,
    /// Points that a side passes, by side.
    points: [Vec<&'static str>; 2],
    /// Nodes of each side.
    members: u64,
}

/// How long a node of several stays away now and then: longer than the others wait for a sign of life before they take over its
/// work.
const AWAY: u64 = 5000;

impl Strikes {
    /// `points` are the named points that sender and receiver pass; each side has so many nodes.
    pub fn new(seed: u64, points: [Vec<&'static str>; 2], members: usize) -> Self {
        Self { random: Random::new(seed), points, members: members as u64 }
    }
}

impl Iterator for Strikes {
    type Item = Strike;

    fn next(&mut self) -> Option<Strike> {
        let random = &mut self.random;
        let side = Side::BOTH[random.below(2) as usize];
        let member = random.below(self.members) as usize;
        let (after, mut down) = (random.below(400), random.below(250));
        if self.members > 1 && random.below(12) == 0 {
            down += AWAY;
        }
        let points = &self.points[side as usize];
        let point = points.get(random.below(points.len() as u64) as usize);
        let times = 1 + random.below(12);
        let victim = At { side, member };
        Some(Strike { victim, after, down, trap: point.map(|point| format!("{point}:{times}")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Vec<Option<Fault>> {
        let faults = Faults::new(seed, 7);
        (0..700).map(|number| faults.of(number)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_one_in_each_gap() {
        assert_eq!(faults(3), faults(3));
        assert_ne!(faults(3), faults(4));
        for gap in faults(3).chunks(7) {
            assert_eq!(gap.iter().flatten().count(), 1);
        }
        assert!((0..100).all(|number| Faults::new(3, 0).of(number).is_none()));
    }

    #[test]
    fn every_kind_of_fault_comes() {
        let mut kinds: Vec<&str> = faults(5).into_iter().flatten().map(Fault::kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 10, "{kinds:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_strikes() {
        let take = |seed| Strikes::new(seed, [vec!["a", "b"], vec!["c"]], 3).take(50).collect::<Vec<_>>();
        assert_eq!(take(9), take(9));
        assert_ne!(take(9), take(10));
        let traps: Vec<Strike> = take(9);
        let fits = |strike: &Strike| match strike.victim.side {
            Side::Sender => strike.trap.as_ref().is_some_and(|trap| !trap.starts_with('c')),
            Side::Receiver => strike.trap.as_ref().is_some_and(|trap| trap.starts_with('c')),
        };
        assert!(traps.iter().all(fits), "each side dies where it passes");
        assert!((0..3).all(|member| traps.iter().any(|strike| strike.victim.member == member)));
    }
}
