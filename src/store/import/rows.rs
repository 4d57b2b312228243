//! A file as rows of cells, whichever kind it is; may be gone through several times.

use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::columns::{Column, Header, known};
use super::sheet::{self, Sheet};
use super::{ImportKind, Progress, text};
use crate::store::StoreError;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The longest cell; a longer one is a quote that nobody closed.
const CELL_CHARS_MAX: usize = 10_000;

/// One row under the header.
#[derive(Debug)]
pub(super) struct Row {
    /// Line of the file or row of the sheet, from 1.
    pub(super) line: u64,
    /// As they stand there.
    pub(super) cells: Vec<String>,
    /// Why the row cannot be read, if so.
    pub(super) fault: Option<String>,
    done: u64,
    total: u64,
}

impl Row {
    /// How far the file has been read.
    pub(super) fn progress(&self, writing: bool) -> Progress {
        Progress { writing, done: self.done, total: self.total }
    }
}

/// A file, opened.
#[derive(Debug)]
pub(super) struct Rows {
    source: Source,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Source {
    Text { text: String, separator: u8, skip: usize },
    Sheet(Sheet),
}

impl Rows {
    /// Opens `file`. The separator is the one under which most titles are `columns`. Errors: a file
    /// that cannot be read, is no text and no workbook, or is too large.
    pub(super) fn open(file: &Path, columns: &[Column]) -> Result<Self, StoreError> {
        let bytes = bytes(file, FILE_BYTES_MAX)?;
        if bytes.starts_with(b"PK\x03\x04") {
            let (sheet, notes) = sheet::read(file, bytes)?;
            return Ok(Self { source: Source::Sheet(sheet), notes });
        }
        if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
            let why = format!("{}: the old Excel format; save it as XLSX or CSV", file.display());
            return Err(StoreError::refused(why));
        }
        let (text, note) = text::decode(file, bytes)?;
        if text.trim().is_empty() {
            return Err(StoreError::refused(format!("{} is empty", file.display())));
        }
        let (separator, skip) = separator(&text, columns);
        Ok(Self {
            source: Source::Text { text, separator, skip },
            notes: note.into_iter().collect(),
        })
    }

    /// What a person should know of how it was read.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The first line, and notes about it.
    pub(super) fn header(
        &self,
        kind: ImportKind,
        skip_unknown: bool,
    ) -> Result<(Header, Vec<String>), StoreError> {
        let first = self.all().next().map(|row| row.cells).unwrap_or_default();
        Header::read(&first, kind, skip_unknown)
    }

    /// Everything below the header but empty rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        let filled =
            |row: &Row| row.fault.is_some() || row.cells.iter().any(|c| !c.trim().is_empty());
        self.all().skip(1).filter(filled)
    }

    fn all(&self) -> Box<dyn Iterator<Item = Row> + '_> {
        match &self.source {
            Source::Text { text, separator, skip } => Box::new(lines(text, *separator, *skip)),
            Source::Sheet(sheet) => {
                let total = sheet.len();
                let rows = sheet.rows().zip(1..).map(move |((line, cells), done)| Row {
                    line,
                    cells,
                    fault: None,
                    done,
                    total,
                });
                // Above the header of a sheet there may be empty rows.
                Box::new(rows.skip_while(|row| row.cells.iter().all(|c| c.trim().is_empty())))
            }
        }
    }
}

/// A file or a pipe to its end. A device may have none, and says of itself that it is empty.
fn bytes(file: &Path, max: u64) -> Result<Vec<u8>, StoreError> {
    let io = |e: std::io::Error| StoreError::io(file, &e);
    let refused = |why: &str| Err(StoreError::refused(format!("{} {why}", file.display())));
    let meta = std::fs::metadata(file).map_err(io)?;
    if meta.file_type().is_char_device() || meta.file_type().is_block_device() {
        return refused("is a device: name a file");
    }
    let mut bytes = Vec::new();
    if meta.len() <= max {
        let whole = std::fs::File::open(file).map_err(io)?;
        whole.take(max + 1).read_to_end(&mut bytes).map_err(io)?;
    }
    if meta.len() > max || bytes.len() as u64 > max {
        return refused(&format!("is larger than {max} bytes: split it"));
    }
    Ok(bytes)
}

fn lines(text: &str, separator: u8, skip: usize) -> impl Iterator<Item = Row> + '_ {
    let body = text.lines().take(skip).map(|line| line.len() + 1).sum::<usize>();
    let body = text.get(body..).unwrap_or_default();
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(body.as_bytes());
    let total = body.len() as u64;
    // A record's position is where the one before ended: empty lines in between are not counted.
    let place = move |position: Option<&csv::Position>| {
        let (line, byte) = position.map_or((0, 0), |p| (p.line(), p.byte()));
        let rest = body.as_bytes().get(byte as usize..).unwrap_or_default();
        let empty = rest.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
        (line + skip as u64 + empty.filter(|b| **b == b'\n').count() as u64, byte)
    };
    reader.into_records().map(move |record| match record {
        Ok(record) => {
            let (line, done) = place(record.position());
            let long = record.iter().any(|cell| cell.len() > CELL_CHARS_MAX);
            let fault = long.then(|| "a quote is not closed, or a cell is too long".into());
            Row { line, cells: record.iter().map(str::to_owned).collect(), fault, done, total }
        }
        Err(error) => {
            let (line, done) = place(error.position());
            Row { line, cells: Vec::new(), fault: Some(error.to_string()), done, total }
        }
    })
}

/// The separator, and how many lines stand before the header (`sep=;`, which Excel writes).
fn separator(text: &str, columns: &[Column]) -> (u8, usize) {
    let first = text.lines().next().unwrap_or_default();
    if let Some([said]) = first.strip_prefix("sep=").map(|rest| rest.trim_end().as_bytes()) {
        return (*said, 1);
    }
    let score = |separator: &u8| {
        let titles = lines(first, *separator, 0).next().map(|row| row.cells).unwrap_or_default();
        (known(&titles, columns), titles.len())
    };
    let best = [b',', b';', b'\t', b'|'].into_iter().max_by_key(score);
    (best.unwrap_or(b','), 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_read_has_an_end_whatever_the_file_says_of_its_length() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "12345678").expect("written");
        let read = |file: &Path, max| bytes(file, max).map_err(|e| e.to_string());
        assert_eq!(read(&file, 8).as_deref(), Ok(&b"12345678"[..]));
        let why = format!("{} is larger than 7 bytes: split it", file.display());
        assert_eq!(read(&file, 7), Err(why));
        // A pipe has no length of its own.
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"12345678").expect("there is room");
        drop(writer);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let why = read(Path::new(&format!("/proc/self/fd/{fd}")), 7).expect_err("too long");
        assert!(why.ends_with(" is larger than 7 bytes: split it"), "{why}");
        let why = read(Path::new("/dev/zero"), 1 << 30).expect_err("endless");
        assert_eq!(why, "/dev/zero is a device: name a file");
    }
}
