//! Charts as SVG, without anything but lines, boxes and words.

mod bars;
mod plot;
mod svg;

pub use bars::{Bars, Group};
pub use plot::{Axis, Plot, Scale, Series, stacked};
pub use svg::{Anchor, Svg};

/// Colours that stay apart for most eyes, on white (Okabe and Ito).
pub const COLOURS: [&str; 9] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b5a300", "#999999", "#000000"];
