//! Bars of several parts, in groups that have a scale of their own.

use super::plot::number;
use super::svg::{Anchor, Svg};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 10.0;
/// The longest bar.
const LONGEST: f64 = 760.0;
/// A label and its bar.
const STEP: f64 = 40.0;
const BAR: f64 = 16.0;
/// The title.
const HEAD: f64 = 36.0;
/// A line of the legend.
const LEGEND: f64 = 20.0;
/// The name of a group, and the space before it.
const GROUP: f64 = 44.0;

/// A chart of bars.
#[derive(Debug, Clone)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// The unit of the numbers.
    pub unit: &'static str,
    /// What the parts of a bar are, and their colours.
    pub parts: Vec<(&'static str, &'static str)>,
    /// The bars.
    pub groups: Vec<Group>,
}

/// Bars that can be compared.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// A label and the parts of each.
    pub bars: Vec<(String, Vec<f64>)>,
}

impl Bars {
    /// The document.
    pub fn svg(&self) -> String {
        let legend = self.legend();
        let head = HEAD + LEGEND * legend.last().map_or(0.0, |last| last.0 + 1.0);
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = head + GROUP * self.groups.len() as f64 + STEP * bars as f64 + 10.0;
        let mut svg = Svg::new(WIDTH, height);
        svg.title((LEFT, 22.0), &self.title);
        for ((row, x), (name, colour)) in legend.iter().zip(&self.parts) {
            let y = HEAD + LEGEND * row;
            svg.rect((*x, y), (12.0, 12.0), colour);
            svg.text((x + 17.0, y + 10.0), Anchor::Start, name);
        }
        let mut top = head;
        for group in &self.groups {
            svg.title((LEFT, top + 24.0), &group.name);
            top += GROUP;
            let longest = group.bars.iter().map(|(_, parts)| sum(parts)).fold(f64::MIN_POSITIVE, f64::max);
            for (label, parts) in &group.bars {
                svg.text((LEFT, top), Anchor::Start, label);
                self.bar(&mut svg, top + 5.0, parts, LONGEST / longest);
                top += STEP;
            }
        }
        svg.finish()
    }

    /// The line and the place in it of each name.
    fn legend(&self) -> Vec<(f64, f64)> {
        let (mut row, mut x) = (0.0, LEFT);
        let mut places = Vec::new();
        for (name, _) in &self.parts {
            // Letters are some seven pixels wide.
            let width = 40.0 + 7.0 * name.chars().count() as f64;
            if x + width > WIDTH {
                (row, x) = (row + 1.0, LEFT);
            }
            places.push((row, x));
            x += width;
        }
        places
    }

    fn bar(&self, svg: &mut Svg, top: f64, parts: &[f64], scale: f64) {
        let mut x = LEFT;
        for ((_, colour), part) in self.parts.iter().zip(parts) {
            let width = part.max(0.0) * scale;
            svg.rect((x, top), (width, BAR), colour);
            x += width;
        }
        svg.text((x + 8.0, top + 13.0), Anchor::Start, &format!("{} {}", number(sum(parts)), self.unit));
    }
}

/// What is below nought, where a count was corrected by another one, has no length.
fn sum(parts: &[f64]) -> f64 {
    parts.iter().map(|part| part.max(0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_legend_goes_on_in_the_next_line() {
        let parts = vec![("a name of some thirty-five letters", "#111111"); 4];
        let chart = Bars { title: "time".into(), unit: "ms", parts, groups: Vec::new() };
        let rows: Vec<f64> = chart.legend().into_iter().map(|place| place.0).collect();
        assert_eq!(rows, [0.0, 0.0, 0.0, 1.0]);
        assert!(chart.svg().contains("height=\"86\""));
    }

    #[test]
    fn the_longest_bar_of_a_group_fills_the_width() {
        let bar = |label: &str, parts: &[f64]| (label.to_owned(), parts.to_vec());
        let chart = Bars {
            title: "time".into(),
            unit: "ms",
            parts: vec![("one", "#111111"), ("two", "#222222")],
            groups: vec![
                Group { name: "small".into(), bars: vec![bar("a", &[1.0, 1.0]), bar("b", &[1.0, -0.1])] },
                Group { name: "large".into(), bars: vec![bar("c", &[0.0, 5000.0])] },
            ],
        };
        let svg = chart.svg();
        assert_eq!(svg.matches("width=\"380.0\"").count(), 3, "{svg}");
        assert_eq!(svg.matches("width=\"760.0\"").count(), 1, "{svg}");
        assert!(svg.contains(">2 ms</text>") && svg.contains(">5000 ms</text>"), "{svg}");
    }
}
