//! Medians of alternated rounds, as text and as CSV.

use std::fmt::Write as _;

use crate::drive::Figures;

/// One design in one case, over all rounds.
#[derive(Clone, Debug)]
pub struct Row {
    /// The case.
    pub case: String,
    /// What is varied, for plots.
    pub x: usize,
    /// The design.
    pub design: &'static str,
    /// Agents bound, a second: median, least, most.
    pub per_second: [f64; 3],
    /// Freed → bound, ns: 50, 99 and 99.9 of a hundred, and the worst; medians over the rounds.
    pub bound: [u64; 4],
    /// The longest gap, ms: of the median round, of the worst.
    pub gap_ms: [u64; 2],
}

impl Row {
    /// Of the rounds' figures.
    pub fn of(case: &str, x: usize, design: &'static str, rounds: &[Figures]) -> Self {
        let mut rates: Vec<f64> = rounds.iter().map(|f| f.per_second).collect();
        rates.sort_by(f64::total_cmp);
        let sorted = |value: &dyn Fn(&Figures) -> u64| {
            let mut values: Vec<u64> = rounds.iter().map(value).collect();
            values.sort_unstable();
            values
        };
        let over = |value: &dyn Fn(&Figures) -> u64| sorted(value)[rounds.len() / 2];
        let gaps = sorted(&|f: &Figures| f.longest_gap.as_millis() as u64);
        let at = |part: f64| over(&|f: &Figures| f.bound.value_at_quantile(part));
        Self {
            case: case.to_owned(),
            x,
            design,
            per_second: [rates[rates.len() / 2], rates[0], rates[rates.len() - 1]],
            bound: [at(0.5), at(0.99), at(0.999), over(&|f: &Figures| f.bound.max())],
            gap_ms: [gaps[rounds.len() / 2], gaps[rounds.len() - 1]],
        }
    }
}

/// For eyes.
pub fn text(rows: &[Row]) -> String {
    let mut out = String::new();
    let mut case = "";
    for row in rows {
        if row.case != case {
            case = &row.case;
            let _ = writeln!(
                out,
                "\n{case}\n  {:<9}{:>12}{:>25}{:>11}{:>11}{:>11}{:>13}{:>8}{:>7}",
                "design",
                "bound/s",
                "(min … max)",
                "p50 µs",
                "p99 µs",
                "p99.9 µs",
                "worst µs",
                "gap ms",
                "worst"
            );
        }
        let [median, least, most] = row.per_second;
        let us = |ns: u64| ns as f64 / 1e3;
        let _ = writeln!(
            out,
            "  {:<9}{median:>12.0}{:>25}{:>11.2}{:>11.1}{:>11.1}{:>13.0}{:>8}{:>7}",
            row.design,
            format!("({least:.0} … {most:.0})"),
            us(row.bound[0]),
            us(row.bound[1]),
            us(row.bound[2]),
            us(row.bound[3]),
            row.gap_ms[0],
            row.gap_ms[1]
        );
    }
    out
}

/// For programs.
pub fn csv(rows: &[Row]) -> String {
    let mut out =
        "case,x,design,per_second,p50_ns,p99_ns,p999_ns,worst_ns,gap_ms,worst_gap_ms\n".to_owned();
    for r in rows {
        let [p50, p99, p999, worst] = r.bound;
        let _ = writeln!(
            out,
            "{},{},{},{:.0},{p50},{p99},{p999},{worst},{},{}",
            r.case, r.x, r.design, r.per_second[0], r.gap_ms[0], r.gap_ms[1]
        );
    }
    out
}
