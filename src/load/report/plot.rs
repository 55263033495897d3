//! Plots as inline SVG: lines over two axes, with colours from the page's style sheet, so that they are dark where
//! the page is.

use std::fmt::Write as _;

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 260.0;
/// Left, right, top and bottom of what is drawn in.
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 80.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 34.0;
/// The least distance between labels at the ends of lines.
const LABEL: f64 = 14.0;
/// The width of a character, about.
const CHARACTER: f64 = 7.5;

/// How values are spread over an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// An axis: what it shows, and how a value on it is written.
pub(crate) struct Axis {
    pub scale: Scale,
    /// From the smallest to the largest value.
    pub range: (f64, f64),
    pub write: fn(f64) -> String,
}

/// A line; `None` breaks it.
pub(crate) struct Line {
    pub name: String,
    pub points: Vec<Option<(f64, f64)>>,
}

/// A named place on the x axis.
pub(crate) struct Mark {
    pub at: f64,
    pub name: String,
}

pub(crate) struct Plot {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    pub marks: Vec<Mark>,
}

impl Axis {
    /// An axis from 0 to a bit above the largest of these values.
    pub fn from_zero(values: impl Iterator<Item = f64>, write: fn(f64) -> String) -> Axis {
        let most = values.fold(0.0, f64::max);
        Axis { scale: Scale::Linear, range: (0.0, if most > 0.0 { most * 1.05 } else { 1.0 }), write }
    }

    /// An axis over the range of these values, which must be above 0.
    pub fn logarithmic(values: impl Iterator<Item = f64> + Clone, write: fn(f64) -> String) -> Axis {
        let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low.is_finite() && low > 0.0 { (low / 1.2, high * 1.2) } else { (1.0, 10.0) };
        // At least half a decade, so that there is something to read.
        Axis { scale: Scale::Logarithmic, range: (low, high.max(low * 3.0)), write }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let part = match self.scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Logarithmic => (value.max(low) / low).ln() / (high / low).ln(),
        };
        part.clamp(0.0, 1.0)
    }

    /// A handful of round values.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.range;
        match self.scale {
            Scale::Linear => {
                let rough = (high - low) / 5.0;
                let power = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough);
                let step = step.unwrap_or(rough);
                let first = (low / step).ceil() as i64;
                (first..).map(|n| n as f64 * step).take_while(|tick| *tick <= high * 1.000_1).collect()
            }
            Scale::Logarithmic => {
                let decades = (high / low).log10();
                let within: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let first = low.log10().floor() as i32;
                let all = (first..=first + decades.ceil() as i32 + 1)
                    .flat_map(|power| within.iter().map(move |m| m * 10_f64.powi(power)));
                all.filter(|tick| (low..=high).contains(tick)).collect()
            }
        }
    }
}

impl Plot {
    /// The plot as an `svg` element. Each point shows its value when it is pointed at.
    pub fn svg(&self) -> String {
        let title = escape(&self.title);
        let mut svg = format!(
            "<figure><figcaption>{title}</figcaption>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n"
        );
        self.axes(&mut svg);
        self.marks(&mut svg);
        for (index, line) in self.lines.iter().enumerate() {
            self.line(&mut svg, index, line);
        }
        self.names(&mut svg);
        svg.push_str("</svg></figure>\n");
        svg
    }

    fn axes(&self, svg: &mut String) {
        for tick in self.y.ticks() {
            let y = self.y_of(tick);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"y\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escape(&(self.y.write)(tick))
            );
        }
        for tick in self.x.ticks() {
            let x = self.x_of(tick);
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {BOTTOM}v5\"/><text class=\"x\" x=\"{x:.1}\" y=\"{}\">{}</text>",
                BOTTOM + 20.0,
                escape(&(self.x.write)(tick))
            );
        }
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>");
    }

    /// A mark's name is left out where the next mark would cut it.
    fn marks(&self, svg: &mut String) {
        for (index, mark) in self.marks.iter().enumerate() {
            let x = self.x_of(mark.at);
            let _ = writeln!(svg, "<path class=\"mark\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/>");
            let room = self.marks.get(index + 1).map_or(WIDTH, |next| self.x_of(next.at)) - x;
            if mark.name.chars().count() as f64 * CHARACTER + 8.0 < room {
                let (x, y) = (x + 4.0, TOP - 8.0);
                let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&mark.name));
            }
        }
    }

    fn line(&self, svg: &mut String, index: usize, line: &Line) {
        let (mut path, mut hits, mut pen_down) = (String::new(), String::new(), false);
        for point in &line.points {
            let Some((x, y)) = *point else {
                pen_down = false;
                continue;
            };
            let (at_x, at_y) = (self.x_of(x), self.y_of(y));
            let _ = write!(path, "{}{at_x:.1} {at_y:.1}", if pen_down { 'L' } else { 'M' });
            // Without this, a point between two gaps would not be visible.
            path.push_str(if pen_down { "" } else { "h.1" });
            pen_down = true;
            let _ = writeln!(
                hits,
                "<circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"5\"><title>{}: {} at {}</title></circle>",
                escape(&line.name),
                escape(&(self.y.write)(y)),
                escape(&(self.x.write)(x))
            );
        }
        let _ = writeln!(svg, "<g class=\"line s{index}\"><path d=\"{path}\"/>\n{hits}</g>");
    }

    /// The lines' names at their ends, moved apart where they would overlap.
    fn names(&self, svg: &mut String) {
        let end = |line: &Line| line.points.iter().rev().flatten().next().map(|(_, y)| self.y_of(*y));
        let mut ends: Vec<(usize, f64)> =
            self.lines.iter().enumerate().filter_map(|(index, line)| Some((index, end(line)?))).collect();
        ends.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut above = TOP - LABEL;
        let most = BOTTOM - LABEL * ends.len().saturating_sub(1) as f64;
        for (place, (index, y)) in ends.into_iter().enumerate() {
            above = y.min(most + LABEL * place as f64).max(above + LABEL);
            let _ = writeln!(
                svg,
                "<text class=\"name s{index}\" x=\"{}\" y=\"{:.1}\">{}</text>",
                RIGHT + 6.0,
                above + 4.0,
                escape(&self.lines[index].name)
            );
        }
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.place(value)
    }

    fn y_of(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.y.place(value)
    }
}

/// Escapes text, so that it is not taken as markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: f64) -> String {
        format!("{value}")
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let linear = Axis { scale: Scale::Linear, range: (0.0, 105.0), write: plain };
        assert_eq!(linear.ticks(), [0.0, 50.0, 100.0]);
        let linear = Axis { scale: Scale::Linear, range: (0.0, 7.0), write: plain };
        assert_eq!(linear.ticks(), [0.0, 2.0, 4.0, 6.0]);
        let decades = Axis { scale: Scale::Logarithmic, range: (0.5, 20_000.0), write: plain };
        assert_eq!(decades.ticks(), [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        let one = Axis { scale: Scale::Logarithmic, range: (3.0, 30.0), write: plain };
        assert_eq!(one.ticks(), [5.0, 10.0, 20.0]);
    }

    #[test]
    fn a_line_goes_from_its_first_point_to_its_last_and_breaks_where_there_is_none() {
        let plot = Plot {
            title: "a < b".to_owned(),
            x: Axis { scale: Scale::Linear, range: (0.0, 10.0), write: plain },
            y: Axis { scale: Scale::Linear, range: (0.0, 10.0), write: plain },
            lines: vec![Line {
                name: "p99".to_owned(),
                points: vec![Some((0.0, 0.0)), Some((5.0, 10.0)), None, Some((10.0, 5.0))],
            }],
            marks: vec![Mark { at: 5.0, name: "knee".to_owned() }],
        };
        let svg = plot.svg();
        assert!(svg.contains("d=\"M70.0 226.0h.1L435.0 24.0M800.0 125.0h.1\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains(">knee</text>"), "{svg}");
        assert!(svg.contains("<title>p99: 10 at 5</title>"), "{svg}");
    }

    #[test]
    fn nothing_at_all_is_drawn_too() {
        for axis in [Axis::from_zero(std::iter::empty(), plain), Axis::logarithmic(std::iter::empty(), plain)]
        {
            assert!(!axis.ticks().is_empty());
        }
    }
}
