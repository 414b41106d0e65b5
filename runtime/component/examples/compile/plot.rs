//! A plot of times over sizes, as SVG.
//!
//! Both axes are logarithmic ([SVG](https://www.w3.org/TR/SVG2/)): what is linear is a straight line of slope one, which is
//! drawn through the last point.
//!
//! Invariant: equal points give equal bytes.
//!
//! Does not know: what the times are of.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;

struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// Whole decades around the values.
    fn around(values: impl Iterator<Item = f64> + Clone) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil();
        Axis { low, high: high.max(low + 1.0) }
    }

    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    fn decades(&self) -> impl Iterator<Item = f64> + use<> {
        let (low, high) = (self.low as i32, self.high as i32);
        (low..=high).map(|power| 10f64.powi(power))
    }
}

/// The plot of points (size, milliseconds).
pub fn plot(points: &[(f64, f64)]) -> String {
    let sizes = Axis::around(points.iter().map(|(size, _)| *size));
    let times = Axis::around(points.iter().map(|(_, time)| *time));
    let x = |size: f64| MARGIN + sizes.place(size) * (WIDTH - 2.0 * MARGIN);
    let y = |time: f64| HEIGHT - MARGIN - times.place(time) * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for size in sizes.decades() {
        let at = x(size);
        let (top, bottom) = (MARGIN, HEIGHT - MARGIN);
        let _ = writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{size}</text>", bottom + 18.0);
    }
    for time in times.decades() {
        let at = y(time);
        let (left, right) = (MARGIN, WIDTH - MARGIN);
        let _ = writeln!(svg, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{time} ms</text>", left - 6.0, at + 4.0);
    }
    if let (Some((first, _)), Some((last, time))) = (points.first(), points.last()) {
        // The part of the line of slope one that is inside.
        let least = (10f64.powf(times.low) * last / time).max(*first);
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#999\" stroke-dasharray=\"4\"/>",
            x(least),
            y(least * time / last),
            x(*last),
            y(*time)
        );
    }
    let line: Vec<String> = points.iter().map(|(size, time)| format!("{:.1},{:.1}", x(*size), y(*time))).collect();
    let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"#06c\" stroke-width=\"2\"/>", line.join(" "));
    for (size, time) in points {
        let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#06c\"/>", x(*size), y(*time));
    }
    let middle = WIDTH / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">adapters (dashed: linear)</text>",
        HEIGHT - 16.0
    );
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"24\" text-anchor=\"middle\">component binary to plan, adapters emitted</text>"
    );
    svg.push_str("</svg>\n");
    svg
}
