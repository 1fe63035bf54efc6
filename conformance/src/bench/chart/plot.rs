//! Lines over two axes.

use super::svg::{Anchor, Svg};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 360.0;
/// Around the axes: left for the numbers, right for the legend.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 270.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
const GRID: &str = "#dddddd";
const FRAME: &str = "#555555";

/// How numbers become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From nought, in equal steps.
    Linear,
    /// In equal factors; what is not above nought has no place.
    Log,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it counts, with the unit.
    pub label: String,
    /// How.
    pub scale: Scale,
    /// Where it has marks, and what is written there; none: round numbers.
    pub marks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis with round numbers.
    pub fn new(label: &str, scale: Scale) -> Self {
        Self { label: label.into(), scale, marks: Vec::new() }
    }

    /// An axis with marks where there is something.
    pub fn marked(label: &str, scale: Scale, marks: Vec<(f64, String)>) -> Self {
        Self { marks, ..Self::new(label, scale) }
    }
}

/// One line, or dots where there is no way between them.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its colour.
    pub colour: &'static str,
    /// Whether it is dashed: bounds and extremes.
    pub dashed: bool,
    /// Whether each point has a dot.
    pub dots: bool,
    /// In the order of x.
    pub points: Vec<(f64, f64)>,
}

/// A chart of lines.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From below.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// Charts below each other, as one document.
pub fn stacked(plots: &[Plot]) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT * plots.len().max(1) as f64);
    for (index, plot) in plots.iter().enumerate() {
        plot.draw(&mut svg, HEIGHT * index as f64);
    }
    svg.finish()
}

/// Where the numbers of an axis are, from 0 to 1.
struct Range {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Range {
    fn of(scale: Scale, numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let high = numbers.clone().fold(f64::MIN, f64::max);
        match scale {
            Scale::Linear if high > 0.0 => Self { scale, from: 0.0, to: high * 1.05 },
            Scale::Log if high > 0.0 => {
                let low = numbers.filter(|n| *n > 0.0).fold(high, f64::min);
                Self { scale, from: low / 1.3, to: high * 1.3 }
            }
            _ => Self { scale, from: 0.1, to: 1.0 },
        }
    }

    fn place(&self, number: f64) -> Option<f64> {
        match self.scale {
            Scale::Linear => Some((number - self.from) / (self.to - self.from)),
            Scale::Log if number > 0.0 => Some((number / self.from).ln() / (self.to / self.from).ln()),
            Scale::Log => None,
        }
    }

    /// Round numbers within: one, two and five of each power of ten, or steps of such a number.
    fn marks(&self) -> Vec<(f64, String)> {
        let numbers: Vec<f64> = match self.scale {
            Scale::Linear => {
                let step = step((self.to - self.from) / 5.0);
                (0..=(self.to / step) as u32).map(|n| f64::from(n) * step).collect()
            }
            Scale::Log => {
                let decades = (self.to / self.from).log10();
                let factors: &[f64] = if decades > 4.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let powers = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
                powers.flat_map(|power| factors.iter().map(move |f| f * 10_f64.powi(power))).collect()
            }
        };
        let inside = numbers.into_iter().filter(|n| *n >= self.from && *n <= self.to);
        inside.map(|n| (n, number(n))).collect()
    }
}

/// The round number above: one, two or five of a power of ten.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].map(|f| f * power).into_iter().find(|s| *s >= least).unwrap_or(10.0 * power)
}

/// As short as it can be written.
pub(super) fn number(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{}M", short(n / 1e6)),
        n if n >= 1e4 => format!("{}k", short(n / 1e3)),
        n => short(n),
    }
}

fn short(n: f64) -> String {
    let decimals =
        if n >= 100.0 || n == 0.0 { 0 } else { (2.0 - n.log10().floor()).clamp(0.0, 6.0) as usize };
    let text = format!("{n:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

impl Plot {
    fn draw(&self, svg: &mut Svg, top: f64) {
        svg.title((LEFT, top + 24.0), &self.title);
        let (right, bottom) = (WIDTH - RIGHT, top + HEIGHT - BOTTOM);
        let points = self.series.iter().flat_map(|series| &series.points);
        let x = Range::of(self.x.scale, points.clone().map(|point| point.0));
        let y = Range::of(self.y.scale, points.map(|point| point.1));
        let across = |at: f64| LEFT + at * (right - LEFT);
        let up = |at: f64| bottom - at * (bottom - top - TOP);
        for (number, words) in marks(&self.x, &x) {
            let Some(at) = x.place(number).map(across) else { continue };
            svg.line(&[(at, top + TOP), (at, bottom)], GRID, 1.0, false);
            svg.text((at, bottom + 18.0), Anchor::Middle, &words);
        }
        for (number, words) in marks(&self.y, &y) {
            let Some(at) = y.place(number).map(up) else { continue };
            svg.line(&[(LEFT, at), (right, at)], GRID, 1.0, false);
            svg.text((LEFT - 8.0, at + 4.0), Anchor::End, &words);
        }
        svg.line(&[(LEFT, top + TOP), (LEFT, bottom), (right, bottom)], FRAME, 1.0, false);
        svg.text((LEFT.midpoint(right), bottom + 42.0), Anchor::Middle, &self.x.label);
        svg.upright((20.0, bottom.midpoint(top + TOP)), &self.y.label);
        for (index, series) in self.series.iter().enumerate() {
            let place = |(px, py): &(f64, f64)| Some((across(x.place(*px)?), up(y.place(*py)?)));
            let points: Vec<_> = series.points.iter().filter_map(place).collect();
            series.draw(svg, &points);
            series.legend(svg, (right + 16.0, top + TOP + 10.0 + 20.0 * index as f64));
        }
    }
}

fn marks(axis: &Axis, range: &Range) -> Vec<(f64, String)> {
    if axis.marks.is_empty() { range.marks() } else { axis.marks.clone() }
}

impl Series {
    fn draw(&self, svg: &mut Svg, points: &[(f64, f64)]) {
        if points.len() > 1 {
            svg.line(points, self.colour, 2.0, self.dashed);
        }
        if self.dots || points.len() == 1 {
            points.iter().for_each(|point| svg.dot(*point, self.colour));
        }
    }

    fn legend(&self, svg: &mut Svg, (x, y): (f64, f64)) {
        let sample = [(x, y), (x + 28.0, y)];
        svg.line(&sample, self.colour, 2.0, self.dashed);
        if self.dots {
            svg.dot((x + 14.0, y), self.colour);
        }
        svg.text((x + 36.0, y + 4.0), Anchor::Start, &self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_lie_on_the_axis() {
        let words = |range: Range| range.marks().into_iter().map(|mark| mark.1).collect::<Vec<_>>();
        let linear = Range::of(Scale::Linear, [3.0, 47.0].into_iter());
        assert_eq!(words(linear), ["0", "10", "20", "30", "40"]);
        let log = Range::of(Scale::Log, [0.3, 41.0].into_iter());
        assert_eq!(words(log), ["0.5", "1", "2", "5", "10", "20", "50"]);
        let wide = Range::of(Scale::Log, [0.2, 30_000.0].into_iter());
        assert_eq!(words(wide), ["1", "10", "100", "1000", "10k"]);
    }

    #[test]
    fn a_place_is_a_part_of_the_axis() {
        let log = Range { scale: Scale::Log, from: 1.0, to: 100.0 };
        assert!((log.place(10.0).unwrap() - 0.5).abs() < 1e-9);
        assert!(log.place(0.0).is_none());
        let linear = Range { scale: Scale::Linear, from: 0.0, to: 8.0 };
        assert!((linear.place(2.0).unwrap() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn a_chart_without_numbers_is_still_a_chart() {
        let axis = || Axis::new("nothing", Scale::Log);
        let plot = Plot { title: "empty".into(), x: axis(), y: axis(), series: Vec::new() };
        let svg = stacked(&[plot]);
        assert!(svg.contains("empty") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
