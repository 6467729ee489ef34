//! Line charts as inline SVG. Invariant: colours come from the page's style sheet, so a chart is legible in light and dark.

use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From 0.
    Linear,
    /// Whole decades.
    Log,
}

pub struct Series<'a> {
    pub name: &'a str,
    /// Also the number of its colour.
    pub color: usize,
    pub points: Vec<(f64, f64)>,
}

pub struct Chart<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    pub x_label: &'a str,
    /// Labels at places on the horizontal axis; chosen by the chart where there are none.
    pub x_ticks: Vec<(f64, String)>,
    pub y_scale: Scale,
    pub series: Vec<Series<'a>>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 40.0;

impl Chart<'_> {
    /// A `figure` element; points that are not finite, or not above 0 on a logarithmic axis, are left out.
    pub fn draw(&self) -> String {
        let mut out = String::new();
        self.try_draw(&mut out).expect("writing to a String cannot fail");
        out
    }

    fn try_draw(&self, out: &mut String) -> std::fmt::Result {
        let (x, y) = (self.x_axis(), self.y_axis());
        write!(out, "<figure><figcaption>{}<span class=\"legend\">", self.title)?;
        for series in &self.series {
            write!(
                out,
                "<span class=\"key c{}\">{}</span>",
                series.color, series.name
            )?;
        }
        write!(
            out,
            "</span></figcaption><div class=\"plot\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" data-unit=\"{}\" data-x=\"{}\">",
            self.title, self.unit, self.x_label
        )?;
        for (value, label) in y.ticks() {
            let at = y.place(value);
            write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
                WIDTH - RIGHT
            )?;
            write!(
                out,
                "<text class=\"y\" x=\"{}\" y=\"{:.1}\">{label}</text>",
                LEFT - 8.0,
                at + 4.0
            )?;
        }
        let own_ticks = if self.x_ticks.is_empty() {
            x.ticks()
        } else {
            self.x_ticks.clone()
        };
        for (value, label) in own_ticks {
            write!(
                out,
                "<text class=\"x\" x=\"{:.1}\" y=\"{}\">{label}</text>",
                x.place(value),
                HEIGHT - BOTTOM + 18.0
            )?;
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        write!(
            out,
            "<text class=\"x\" x=\"{middle}\" y=\"{}\">{}</text>",
            HEIGHT - 4.0,
            self.x_label
        )?;
        write!(
            out,
            "<text class=\"unit\" x=\"4\" y=\"{}\">{}</text>",
            TOP - 15.0,
            self.unit
        )?;
        for series in &self.series {
            self.draw_series(series, &x, &y, out)?;
        }
        write!(
            out,
            "<line class=\"cursor\" y1=\"{TOP}\" y2=\"{}\" visibility=\"hidden\"/></svg><output></output></div></figure>",
            HEIGHT - BOTTOM
        )
    }

    fn draw_series(&self, series: &Series, x: &Axis, y: &Axis, out: &mut String) -> std::fmt::Result {
        let shown = series.points.iter().filter(|(_, value)| self.is_shown(*value));
        write!(
            out,
            "<polyline class=\"line c{}\" data-name=\"{}\" data-values=\"",
            series.color, series.name
        )?;
        for (at, value) in shown.clone() {
            write!(out, "{at:.6},{value:.6} ")?;
        }
        out.push_str("\" points=\"");
        for (at, value) in shown {
            write!(out, "{:.1},{:.1} ", x.place(*at), y.place(*value))?;
        }
        out.push_str("\"/>");
        Ok(())
    }

    fn is_shown(&self, value: f64) -> bool {
        value.is_finite() && (self.y_scale == Scale::Linear || value > 0.0)
    }

    fn x_axis(&self) -> Axis {
        let xs = self
            .series
            .iter()
            .flat_map(|series| series.points.iter().map(|(at, _)| *at));
        let (min, max) = xs.fold((f64::INFINITY, 0.0), |(min, max): (f64, f64), at| {
            (min.min(at), max.max(at))
        });
        let min = if min.is_finite() { min } else { 0.0 };
        Axis {
            scale: Scale::Linear,
            min,
            max: max.max(min + 1e-9),
            from: LEFT,
            to: WIDTH - RIGHT,
        }
    }

    fn y_axis(&self) -> Axis {
        let ys = self
            .series
            .iter()
            .flat_map(|series| series.points.iter().map(|(_, value)| *value));
        let ys = ys.filter(|value| self.is_shown(*value));
        let (min, max) = ys.fold((f64::INFINITY, 0.0), |(min, max): (f64, f64), y| {
            (min.min(y), max.max(y))
        });
        let (from, to) = (HEIGHT - BOTTOM, TOP);
        let (min, max) = match self.y_scale {
            Scale::Linear => (0.0, round_up(max.max(1.0))),
            Scale::Log if min.is_finite() => {
                (10f64.powf(min.log10().floor()), 10f64.powf(max.log10().ceil()))
            }
            Scale::Log => (1.0, 10.0),
        };
        let max = if max > min { max } else { min * 10.0 };
        Axis {
            scale: self.y_scale,
            min,
            max,
            from,
            to,
        }
    }
}

struct Axis {
    scale: Scale,
    min: f64,
    max: f64,
    /// Where `min` and `max` lie in the drawing.
    from: f64,
    to: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.min) / (self.max - self.min),
            Scale::Log => (value / self.min).log10() / (self.max / self.min).log10(),
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = round_up((self.max - self.min) / 5.0);
                let count = ((self.max - self.min) / step + 1e-6) as usize;
                (0..=count)
                    .map(|n| self.min + n as f64 * step)
                    .map(|value| (value, short(value)))
                    .collect()
            }
            Scale::Log => {
                let decades = (self.max / self.min).log10().round() as i32;
                (0..=decades)
                    .map(|n| self.min * 10f64.powi(n))
                    .map(|value| (value, short(value)))
                    .collect()
            }
        }
    }
}

/// The next of 1, 2, 2.5, 5, 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * decade);
    steps
        .into_iter()
        .find(|step| *step >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * decade)
}

/// `1500` as `1.5k`.
fn short(value: f64) -> String {
    let (value, unit) = if value >= 1e6 {
        (value / 1e6, "M")
    } else if value >= 1e4 {
        (value / 1e3, "k")
    } else {
        (value, "")
    };
    format!("{}{unit}", (value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.1, 2.0),
            (230.0, 250.0),
            (0.03, 0.05),
            (5001.0, 10_000.0),
        ] {
            assert!((round_up(value) - expected).abs() < 1e-9 * expected, "{value}");
        }
        assert_eq!(
            ["0.1", "1500", "15k", "2.5M"],
            [0.1, 1500.0, 15_000.0, 2.5e6].map(short)
        );
    }

    #[test]
    fn points_stay_inside_of_the_drawing() {
        let points = vec![(0.0, 0.02), (1.0, 0.0), (2.0, 57.0), (3.0, f64::NAN)];
        let series = vec![Series {
            name: "a",
            color: 0,
            points,
        }];
        let chart = Chart {
            title: "t",
            unit: "ms",
            x_label: "s",
            x_ticks: Vec::new(),
            y_scale: Scale::Log,
            series,
        };
        let (x, y) = (chart.x_axis(), chart.y_axis());
        assert_eq!((y.min, y.max.round()), (0.01, 100.0));
        for (at, value) in [(0.0, 0.02), (2.0, 57.0)] {
            assert!((LEFT..=WIDTH - RIGHT).contains(&x.place(at)));
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y.place(value)));
        }
        let drawn = chart.draw();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        let empty = Chart {
            series: Vec::new(),
            ..chart
        };
        assert!(!empty.draw().contains("NaN"));
    }
}
