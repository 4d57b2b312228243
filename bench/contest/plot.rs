//! Curves as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::table::Row;

/// One colour for each design, in order.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0x8c, 0x56, 0x4b),
];

/// What a picture shows.
pub struct Picture<'a> {
    /// Above it.
    pub title: &'a str,
    /// Below it.
    pub x: &'a str,
    /// Beside it.
    pub y: &'a str,
    /// The value of a row.
    pub value: fn(&Row) -> f64,
}

/// Draws rows, a curve for each design, both axes logarithmic.
pub fn draw(file: &Path, picture: &Picture<'_>, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let value = |row: &Row| (picture.value)(row).max(1e-3);
    let xs = || rows.iter().map(|row| row.x.max(1) as f64);
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v)))
    };
    let ((left, right), (low, high)) = (span(&mut xs()), span(&mut rows.iter().map(value)));
    let area = SVGBackend::new(file, (760, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(picture.title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(84)
        .build_cartesian_2d(
            (left * 0.9..right * 1.1).log_scale(),
            (low * 0.7..high * 1.4).log_scale(),
        )?;
    chart.configure_mesh().x_desc(picture.x).y_desc(picture.y).draw()?;
    let mut designs: Vec<&'static str> = Vec::new();
    for row in rows {
        if !designs.contains(&row.design) {
            designs.push(row.design);
        }
    }
    for (design, colour) in designs.iter().zip(COLOURS) {
        let points: Vec<(f64, f64)> = rows
            .iter()
            .filter(|row| row.design == *design)
            .map(|row| (row.x.max(1) as f64, value(row)))
            .collect();
        let dots = points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(*design)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::UpperLeft)
        .draw()?;
    area.present()?;
    Ok(())
}
