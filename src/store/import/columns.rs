//! The header of a file: which column is which, under whatever name other programs give it.

use super::ImportKind;
use super::rows::Row;
use crate::store::{StoreError, did_you_mean};

/// One column that a kind of file may have.
#[derive(Debug)]
pub(super) struct Column {
    /// As the documentation calls it.
    pub(super) name: &'static str,
    /// Other names, in lower case with single spaces.
    pub(super) aliases: &'static [&'static str],
    /// A file may have it several times (`phone 1`, `phone 2`).
    pub(super) repeats: bool,
}

impl Column {
    pub(super) const fn new(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self { name, aliases, repeats: false }
    }

    pub(super) const fn repeating(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self { name, aliases, repeats: true }
    }

    fn is(&self, title: &str) -> bool {
        let named = |t: &str| plain(self.name) == t || self.aliases.contains(&t);
        let numbered = title.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
        named(title) || (self.repeats && numbered.len() < title.len() && named(numbered))
    }
}

/// How many cells of a first line are known columns: what tells separators apart.
pub(super) fn known(titles: &[String], columns: &[Column]) -> usize {
    titles.iter().filter(|title| columns.iter().any(|c| c.is(&plain(title)))).count()
}

/// Where each known column stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Header {
    places: Vec<(&'static str, usize)>,
    width: usize,
}

impl Header {
    /// Errors: a column that is not known (unless it may be skipped: then a note), one that comes
    /// twice, none at all. The text lists those that are.
    pub(super) fn read(
        titles: &[String],
        kind: ImportKind,
        skip_unknown: bool,
    ) -> Result<(Self, Vec<String>), StoreError> {
        let columns = kind.specification();
        let mut header = Header { places: Vec::new(), width: titles.len() };
        let (mut problems, mut skipped) = (Vec::new(), Vec::new());
        for (place, title) in titles.iter().enumerate() {
            let plain = plain(title);
            match columns.iter().find(|column| column.is(&plain)) {
                Some(column) if column.repeats || !header.has(column.name) => {
                    header.places.push((column.name, place));
                }
                Some(column) => problems.push(format!("column '{}' comes twice", column.name)),
                None if plain.is_empty() => {}
                None if skip_unknown => skipped.push(format!("column '{title}' was left out")),
                None => problems.push(unknown(title, place, columns)),
            }
        }
        if header.places.is_empty() {
            problems.push("the first line names no column".into());
        }
        if problems.is_empty() {
            return Ok((header, skipped));
        }
        Err(StoreError::refused(format!(
            "{}. A file of {} may have the columns {}",
            problems.join("; "),
            kind.as_str(),
            kind.columns().join(", ")
        )))
    }

    /// The file has this column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.iter().any(|(known, _)| *known == name)
    }

    /// A row under this header. Errors: too few cells or too many.
    pub(super) fn cells<'a>(&'a self, row: &'a Row) -> Result<Cells<'a>, Vec<String>> {
        let cells = &row.cells;
        let rest = cells.iter().skip(self.width);
        if cells.len() < self.width || rest.clone().any(|cell| !cell.trim().is_empty()) {
            let (found, wanted) = (cells.len(), self.width);
            return Err(vec![format!("has {found} cells, the first line has {wanted}")]);
        }
        if let Some(fault) = &row.fault {
            return Err(vec![fault.clone()]);
        }
        Ok(Cells { header: self, row })
    }
}

fn unknown(title: &str, place: usize, columns: &[Column]) -> String {
    let names = columns.iter().flat_map(|c| std::iter::once(c.name).chain(c.aliases.to_vec()));
    let names: Vec<_> = names.collect();
    let hint = did_you_mean(&plain(title), names.into_iter());
    format!("column {} '{title}' is not known{hint}", place + 1)
}

/// A title in lower case, with single spaces for everything between words.
fn plain(title: &str) -> String {
    let lower = title.trim().to_lowercase();
    let words = lower.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.' | '/'));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// One row's cells, by column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells<'a> {
    header: &'a Header,
    row: &'a Row,
}

impl<'a> Cells<'a> {
    /// `None`: the file has no such column. `Some("")`: the cell is empty.
    pub(super) fn cell(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The cell, if there is something in it.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.cell(name).filter(|text| !text.is_empty())
    }

    /// Every cell of a column that may come several times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let row = self.row;
        let places = self.header.places.iter().filter(move |(known, _)| *known == name);
        places.map(move |(_, place)| row.cells[*place].trim())
    }
}
