//! The few shapes of SVG that the charts are made of.

use std::fmt::Write as _;

/// Where a text stands from its point.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// A picture in the making, on white, so that it can be read on dark pages too.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// An empty picture, its size in pixels.
    pub fn new(width: f64, height: f64) -> Self {
        let mut svg = Self { width, height, body: String::new() };
        svg.rect((0.0, 0.0), (width, height), "#ffffff");
        svg
    }

    /// Words at a point.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, words: &str) {
        self.words((x, y), anchor, "", words);
    }

    /// Words in bold at a point.
    pub fn title(&mut self, (x, y): (f64, f64), words: &str) {
        self.words((x, y), Anchor::Start, " font-size=\"14\" font-weight=\"bold\"", words);
    }

    /// Words that stand upright and are read from below, around a point.
    pub fn upright(&mut self, (x, y): (f64, f64), words: &str) {
        let turn = format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"");
        self.words((x, y), Anchor::Middle, &turn, words);
    }

    fn words(&mut self, (x, y): (f64, f64), anchor: Anchor, more: &str, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\"{more}>{}</text>",
            escaped(words)
        );
    }

    /// A box, by its upper left corner and its size.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        );
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dashed: bool) {
        let mut list = String::new();
        for (x, y) in points {
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        let dashes = if dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
            list.trim_end()
        );
    }

    /// A dot.
    pub fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        let _ = writeln!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
    }

    /// The document.
    pub fn finish(self) -> String {
        let (width, height, body) = (self.width, self.height, self.body);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n{body}</svg>\n"
        )
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_break_the_document() {
        let mut svg = Svg::new(10.0, 20.0);
        svg.text((1.0, 2.0), Anchor::End, "a < b && c > d");
        let svg = svg.finish();
        assert!(svg.contains(">a &lt; b &amp;&amp; c &gt; d</text>"), "{svg}");
        assert!(svg.contains("<rect x=\"0.0\" y=\"0.0\" width=\"10.0\" height=\"20.0\" fill=\"#ffffff\"/>"));
    }
}
