//! The smallest workbook that is one: a zip of five stored files.

/// One sheet. A cell that begins with `=` is a number, an empty one is left out.
pub fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    let mut sheet = String::from(
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>",
    );
    for (y, row) in rows.iter().enumerate() {
        sheet += &format!("<row r=\"{}\">", y + 1);
        for (x, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let place = format!("{}{}", (b'A' + x as u8) as char, y + 1);
            sheet += &match cell.strip_prefix('=') {
                Some(number) => format!("<c r=\"{place}\"><v>{number}</v></c>"),
                None => {
                    format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>")
                }
            };
        }
        sheet += "</row>";
    }
    sheet += "</sheetData></worksheet>";
    let book = "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
                xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
                <sheets><sheet name=\"One\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>";
    let links = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
                 <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" \
                 Target=\"worksheets/sheet1.xml\"/></Relationships>";
    let root = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
                <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
                Target=\"xl/workbook.xml\"/></Relationships>";
    let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
                 <Default Extension=\"xml\" ContentType=\"application/xml\"/></Types>";
    zip(&[
        ("[Content_Types].xml", types),
        ("_rels/.rels", root),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", links),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let place = out.len() as u32;
        let size = (text.len() as u32).to_le_bytes();
        let mut entry = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry.extend(crc32fast::hash(text.as_bytes()).to_le_bytes());
        entry.extend(size.iter().chain(&size));
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&entry);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&entry);
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (place, count) = (out.len() as u32, (files.len() as u16).to_le_bytes());
    let size = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.iter().chain(&count));
    out.extend(size.to_le_bytes().iter().chain(&place.to_le_bytes()));
    out.extend([0, 0]);
    out
}
