//! Bytes as text: UTF-8, UTF-16, or windows-1251 where that is plain to see; refused otherwise.
//!
//! A wrong guess would write garbage into every name, so a guess needs evidence: the bytes decode to
//! Cyrillic words that look like a language, not to Latin words with stray letters in them.

use std::path::Path;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1251};

use crate::store::StoreError;

/// The text, and a note for the report if the encoding had to be found out.
pub(super) fn decode(file: &Path, bytes: Vec<u8>) -> Result<(String, Option<String>), StoreError> {
    if let Some((encoding, bom)) = Encoding::for_bom(&bytes) {
        let text = whole(encoding, &bytes[bom..]);
        let text = text.ok_or_else(|| refused(file, &format!("is damaged {}", encoding.name())))?;
        return Ok((text, None));
    }
    if let Some(encoding) = utf16_without_mark(&bytes) {
        let text = whole(encoding, &bytes);
        let text = text.ok_or_else(|| refused(file, "is neither text nor a spreadsheet"))?;
        return Ok((text, Some(format!("read as {}", encoding.name()))));
    }
    if bytes.contains(&0) {
        return Err(refused(file, "is neither text nor a spreadsheet (it has zero bytes)"));
    }
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok((text, None)),
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
    let (text, _, broken) = WINDOWS_1251.decode(error.as_bytes());
    if !broken && looks_russian(&text) {
        let note = "read as windows-1251 (cp1251): look whether the names are right";
        return Ok((text.into_owned(), Some(note.into())));
    }
    let why = format!("is not UTF-8 (line {line}) and not plainly cp1251: save it as UTF-8");
    Err(refused(file, &why))
}

fn refused(file: &Path, why: &str) -> StoreError {
    StoreError::refused(format!("{} {why}", file.display()))
}

fn whole(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

/// Every second byte of the beginning is zero: Latin text in UTF-16.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(64)];
    let zeros = |odd: usize| start.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let half = start.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, odd) if half > 4 && odd * 4 >= half * 3 => Some(UTF_16LE),
        (even, 0) if half > 4 && even * 4 >= half * 3 => Some(UTF_16BE),
        _ => None,
    }
}

/// Letters that make up two fifths of Russian text, and a fifth of it when read by a wrong table.
const FREQUENT: &str = "оеаинОЕАИН";

fn looks_russian(text: &str) -> bool {
    let cyrillic = |c: char| matches!(c, 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё');
    let foreign = text.chars().filter(|c| !c.is_ascii()).count();
    let letters = text.chars().filter(|c| cyrillic(*c)).count();
    // Quotes, dashes and № are foreign and no letters.
    if letters * 10 < foreign * 8 {
        return false;
    }
    let words = text.split(|c: char| !c.is_alphabetic());
    let words: Vec<&str> = words.filter(|word| word.chars().any(cyrillic)).collect();
    let mixed = words.iter().filter(|w| w.chars().any(|c| c.is_ascii_alphabetic())).count();
    if mixed * 10 > words.len() {
        return false;
    }
    let frequent = text.chars().filter(|c| FREQUENT.contains(*c)).count();
    letters < 20 || frequent * 10 >= letters * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(String, Option<String>), String> {
        decode(Path::new("a.csv"), bytes.to_vec()).map_err(|e| e.to_string())
    }

    fn in_table(encoding: &'static Encoding, text: &str) -> Vec<u8> {
        encoding.encode(text).0.into_owned()
    }

    const RUSSIAN: &str = "Название;Телефон\nООО Ромашка и партнёры;+7 812 123-45-67\n\
                           Магазин «Продукты» № 5;+7 812 123-45-68\n";

    #[test]
    fn utf8_and_utf16_are_read_with_and_without_their_mark() {
        assert_eq!(read("имя;x".as_bytes()), Ok(("имя;x".into(), None)));
        assert_eq!(read("\u{feff}имя".as_bytes()), Ok(("имя".into(), None)));
        let little: Vec<u8> = "\u{feff}имя".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&little), Ok(("имя".into(), None)));
        let bare: Vec<u8> = "name;type;phone".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&bare), Ok(("name;type;phone".into(), Some("read as UTF-16BE".into()))));
    }

    #[test]
    fn cp1251_is_read_and_said() {
        let (text, note) = read(&in_table(WINDOWS_1251, RUSSIAN)).expect("Russian");
        assert_eq!(text, RUSSIAN);
        assert!(note.expect("a note").contains("cp1251"));
    }

    #[test]
    fn other_tables_are_refused_rather_than_turned_into_garbage() {
        for table in [encoding_rs::KOI8_R, encoding_rs::IBM866] {
            let text = RUSSIAN.replace(['«', '»', '№'], "");
            let error = read(&in_table(table, &text)).expect_err(table.name());
            assert!(error.contains("save it as UTF-8"), "{error}");
        }
        let german = "Name;Ort\nMüller & Söhne;Köln\nBäckerei Weiß;Düsseldorf\n";
        let error = read(&in_table(encoding_rs::WINDOWS_1252, german)).expect_err("German");
        assert!(error.contains("not UTF-8 (line 2)"), "{error}");
        assert!(read(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR").is_err());
    }
}
