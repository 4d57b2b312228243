//! The first sheet of an XLSX workbook as rows of text.

use std::io::Cursor;
use std::path::Path;

use calamine::{Data, DataType, Range, Reader, Xlsx};

use crate::store::StoreError;

/// A sheet, whole in memory: a workbook cannot be read otherwise.
#[derive(Debug)]
pub(super) struct Sheet {
    range: Range<Data>,
    /// Row of the sheet, from 1, at which the range begins.
    first: u64,
}

/// Reads the first sheet that holds anything; notes the others. Errors: no workbook, a password.
pub(super) fn read(file: &Path, bytes: Vec<u8>) -> Result<(Sheet, Vec<String>), StoreError> {
    let refused =
        |why: &dyn std::fmt::Display| StoreError::refused(format!("{}: {why}", file.display()));
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|e| refused(&e))?;
    let names = book.sheet_names();
    let mut found = None;
    let mut notes = Vec::new();
    for name in names {
        let range = book.worksheet_range(&name).map_err(|e| refused(&e))?;
        match (&found, range.is_empty()) {
            (_, true) => {}
            (None, false) => found = Some(range),
            (Some(_), false) => notes.push(format!("sheet '{name}' was not read")),
        }
    }
    let range = found.ok_or_else(|| refused(&"has no sheet with anything in it"))?;
    let first = range.start().map_or(1, |(row, _)| u64::from(row) + 1);
    Ok((Sheet { range, first }, notes))
}

impl Sheet {
    /// Row numbers and cells as text.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, Vec<String>)> + '_ {
        let numbered = (self.first..).zip(self.range.rows());
        numbered.map(|(line, cells)| (line, cells.iter().map(text).collect()))
    }

    /// Number of rows.
    pub(super) fn len(&self) -> u64 {
        self.range.height() as u64
    }
}

fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::Float(value) => number(*value),
        Data::Bool(value) => String::from(if *value { "yes" } else { "no" }),
        Data::DateTime(at) => {
            let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        Data::Error(error) => format!("#{error:?}"),
        other => other.as_string().unwrap_or_default(),
    }
}

/// Cells hold binary fractions: 1234.1 is 1234.0999…; cents are rounded, whole numbers are whole.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else if (value - rounded).abs() < 1e-6 {
        format!("{rounded:.2}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_out_as_a_person_reads_them() {
        assert_eq!(text(&Data::Float(442_079_460_001.0)), "442079460001");
        assert_eq!(text(&Data::Float(0.1 + 0.2)), "0.30");
        assert_eq!(text(&Data::Float(1234.1)), "1234.10");
        assert_eq!(text(&Data::Int(7)), "7");
        assert_eq!(text(&Data::String("x".into())), "x");
        assert_eq!(text(&Data::Empty), "");
    }
}
