//! Plots as SVG, by hand: a few rectangles and words don't need a library.

use std::fmt::Write as _;

/// What one server reached: least, median, most of the rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Span {
    /// Of any values; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { least, median, most })
    }
}

/// One line of a panel: what it is, and what both servers reached.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) wagate: Option<Span>,
    pub(crate) peer: Option<Span>,
    /// A mark at the target, in the unit of the panel.
    pub(crate) target: Option<f64>,
}

/// Rows with one scale. A scale begins at zero and is linear, or is logarithmic and shows points.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) logarithmic: bool,
    pub(crate) rows: Vec<Row>,
}

const WIDTH: f64 = 820.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 120.0;
const HEAD: f64 = 64.0;
const TITLE: f64 = 34.0;
const ROW: f64 = 50.0;
const AXIS: f64 = 30.0;
const BAR: f64 = 15.0;
/// The card is drawn in the reader's scheme, with a ground of its own, so that it is legible on any
/// page.
const STYLE: &str = "\
    text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#1f2328}.t{font-weight:600;font-size:14px}\
    .h{font-weight:600;font-size:16px}.s{font-size:11.5px;fill:#59636e;paint-order:stroke;stroke:#fff;stroke-width:3px}.g{stroke:#d8dee4}\
    .w{stroke:#1f2328;stroke-width:1.6}.a{fill:#0b7a75}.b{fill:#c9772b}.bg{fill:#fff}\
    .m{stroke:#a40e26;stroke-width:2;stroke-dasharray:3 2}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1;stroke:#0d1117}.g{stroke:#30363d}.w{stroke:#e6edf3}\
    .a{fill:#2bb3ac}.b{fill:#e09a4f}.bg{fill:#0d1117}.m{stroke:#ff7b89}}";

/// The whole picture: panels below one another.
pub(crate) fn draw(heading: &str, panels: &[Panel]) -> String {
    let height = HEAD + panels.iter().map(|panel| TITLE + ROW * panel.rows.len() as f64 + AXIS).sum::<f64>();
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{heading}\">\n<style>{STYLE}</style>\n<rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n"
        ),
    );
    text(&mut svg, 16.0, 26.0, "h", "start", heading);
    let mut x = 16.0;
    for (class, name, width) in [("a", "wagate", 75.0), ("b", "Node: fastify + better-sqlite3", 215.0)] {
        put(
            &mut svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"38\" width=\"12\" height=\"12\" rx=\"2\"/>\n"
            ),
        );
        text(&mut svg, x + 17.0, 49.0, "s", "start", name);
        x += width;
    }
    put(&mut svg, format_args!("<line class=\"w\" x1=\"{x}\" x2=\"{}\" y1=\"44\" y2=\"44\"/>\n", x + 22.0));
    text(&mut svg, x + 28.0, 49.0, "s", "start", "least to most of the rounds, beside the median");
    x += 318.0;
    put(&mut svg, format_args!("<line class=\"m\" x1=\"{x}\" x2=\"{x}\" y1=\"37\" y2=\"51\"/>\n"));
    text(&mut svg, x + 8.0, 49.0, "s", "start", "target");
    let mut top = HEAD;
    for panel in panels {
        panel.draw(&mut svg, top);
        top += TITLE + ROW * panel.rows.len() as f64 + AXIS;
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, svg: &mut String, top: f64) {
        let scale = Scale::new(self);
        text(svg, 16.0, top + 20.0, "t", "start", &format!("{}, {}", self.title, self.unit));
        let (first, last) = (top + TITLE, top + TITLE + ROW * self.rows.len() as f64);
        for tick in scale.ticks() {
            let x = scale.x(tick);
            put(
                svg,
                format_args!(
                    "<line class=\"g\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first}\" y2=\"{last}\"/>\n"
                ),
            );
            text(
                svg,
                x,
                last + 16.0,
                "s",
                "middle",
                &if tick < 1.0 { tick.to_string() } else { number(tick) },
            );
        }
        for (place, row) in self.rows.iter().enumerate() {
            let top = first + ROW * place as f64 + 7.0;
            text(svg, LEFT - 10.0, top + 22.0, "", "end", &row.name);
            if let Some(target) = row.target {
                let x = scale.x(target);
                let (from, to) = (top - 4.0, top + 2.0 * BAR + 8.0);
                put(
                    svg,
                    format_args!(
                        "<line class=\"m\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from}\" y2=\"{to}\"/>\n"
                    ),
                );
            }
            for (class, span, y) in [("a", row.wagate, top), ("b", row.peer, top + BAR + 4.0)] {
                if let Some(span) = span {
                    self.mark(svg, &scale, class, span, y);
                }
            }
        }
    }

    fn mark(&self, svg: &mut String, scale: &Scale, class: &str, span: Span, y: f64) {
        let (x, middle) = (scale.x(span.median), y + BAR / 2.0);
        if self.logarithmic {
            put(svg, format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{middle}\" r=\"6\"/>\n"));
        } else {
            let width = x - LEFT;
            put(
                svg,
                format_args!(
                    "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\n"
                ),
            );
        }
        let (from, to) = (scale.x(span.least), scale.x(span.most));
        put(
            svg,
            format_args!(
                "<line class=\"w\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\n"
            ),
        );
        let at = to.max(x + if self.logarithmic { 6.0 } else { 0.0 }) + 7.0;
        text(svg, at, y + BAR - 2.5, "s", "start", &number(span.median));
    }
}

/// Where a value stands.
#[derive(Debug)]
struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    fn new(panel: &Panel) -> Self {
        let spans = || panel.rows.iter().flat_map(|row| [row.wagate, row.peer]).flatten();
        let targets = panel.rows.iter().filter_map(|row| row.target);
        let most = spans().map(|span| span.most).chain(targets.clone()).fold(0.0, f64::max).max(1e-9);
        if panel.logarithmic {
            let least = spans().map(|span| span.least).chain(targets).fold(most, f64::min).max(1e-9);
            return Self {
                from: 10_f64.powf(least.log10().floor()),
                to: 10_f64.powf(most.log10().ceil()),
                logarithmic: true,
            };
        }
        Self { from: 0.0, to: most, logarithmic: false }
    }

    fn x(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(self.from) / self.from).log10() / (self.to / self.from).log10().max(1.0)
        } else {
            value / self.to
        };
        LEFT + place * (WIDTH - LEFT - RIGHT)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let mut ticks = vec![self.from];
            while let Some(last) = ticks.last().copied().filter(|last| *last < self.to * 0.99) {
                ticks.push(last * 10.0);
            }
            return ticks;
        }
        // 1, 2 or 5 and zeros, so that there are three to six.
        let power = 10_f64.powf((self.to / 4.0).log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| self.to / step < 6.0);
        let step = step.unwrap_or(self.to);
        (0..7).map(|place| f64::from(place) * step).take_while(|tick| *tick <= self.to).collect()
    }
}

/// As people write it: `12,345`, `1.25`, `0.031`.
pub(crate) fn number(value: f64) -> String {
    grouped(value, if value.fract() == 0.0 { 0 } else { decimals(value) })
}

/// So many that three figures or so remain.
pub(crate) fn decimals(value: f64) -> usize {
    match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 0.1 => 2,
        _ => 3,
    }
}

/// With commas between the thousands.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    put(
        svg,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{words}</text>\n"
        ),
    );
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.0312, "0.031"),
            (1.254, "1.25"),
            (12.34, "12.3"),
            (20.0, "20"),
            (123.4, "123"),
            (12_345.6, "12,346"),
            (1_000_000.0, "1,000,000"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_scale_begins_at_zero_or_at_a_power_of_ten() {
        let span = Span::of([3.0, 30.0, 4.0]).unwrap();
        assert_eq!((span.least, span.median, span.most), (3.0, 4.0, 30.0));
        let row = Row { name: "x".into(), wagate: Some(span), peer: None, target: Some(40.0) };
        let mut panel = Panel { title: "t".into(), unit: "ms", logarithmic: true, rows: vec![row] };
        assert_eq!(Scale::new(&panel).ticks(), [1.0, 10.0, 100.0]);
        panel.logarithmic = false;
        assert_eq!(Scale::new(&panel).ticks(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert!(draw("h", &[panel]).ends_with("</svg>\n"));
    }
}
