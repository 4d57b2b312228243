//! What an agent's phone shows as the caller's name: a small template.
//!
//! `{name}[ ({type})][ debt {debt}]` gives `ACME (KEY) debt 12 d`. A part in square brackets is left
//! out when a field in it is empty. Knows nothing of SIP: quoting is the builder's.

use std::fmt::Write as _;
use std::sync::Arc;

use super::fields::{At, Reader};
use super::problem::did_you_mean;

/// Characters shown at most; phones cut far earlier.
const DISPLAY_LEN_MAX: usize = 80;

/// The fields that a template may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The client's name; `new client`, `unidentified` without one.
    Name,
    /// The client's type in capitals.
    Type,
    /// VIP level; empty for `none`.
    Vip,
    /// `12 d`, or `1200.00 over the limit`.
    Debt,
    /// The calling number.
    Number,
    /// Where the client is.
    Region,
}

const FIELDS: [(&str, Field); 6] = [
    ("name", Field::Name),
    ("type", Field::Type),
    ("vip", Field::Vip),
    ("debt", Field::Debt),
    ("number", Field::Number),
    ("region", Field::Region),
];

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Field(Field),
}

/// A template, compiled: parts, each shown only if none of its fields is empty (`true`) or always.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<(bool, Vec<Piece>)>,
}

impl Template {
    /// The default of `display`.
    pub(super) const DEFAULT: &'static str = "{name}[ ({type})][ VIP {vip}][ debt {debt}]";

    /// Compiles; `None` after noting what is wrong.
    pub(super) fn read(text: &At<String>, reader: &mut Reader<'_>) -> Option<Self> {
        match Self::parse(text) {
            Ok(template) => Some(template),
            Err((message, hint)) => {
                reader.error(text.span.clone(), message, hint);
                None
            }
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        let mut parts: Vec<(bool, Vec<Piece>)> = vec![(false, Vec::new())];
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '[', ']']) {
            let (before, found) = rest.split_at(at);
            push_text(&mut parts, before);
            rest = &found[1..];
            match &found[..1] {
                "[" if !in_brackets(&parts) => parts.push((true, Vec::new())),
                "]" if in_brackets(&parts) => parts.push((false, Vec::new())),
                "{" => {
                    let end = rest.find('}').ok_or_else(|| unpaired("{"))?;
                    push(&mut parts, Piece::Field(field(&rest[..end])?));
                    rest = &rest[end + 1..];
                }
                wrong => return Err(unpaired(wrong)),
            }
        }
        if in_brackets(&parts) {
            return Err(unpaired("["));
        }
        push_text(&mut parts, rest);
        Ok(Self { parts })
    }

    /// The text for one call; `value` gives each field, empty if there is none.
    pub(super) fn show(&self, value: impl Fn(Field) -> String) -> Arc<str> {
        let mut shown = String::new();
        for (optional, pieces) in &self.parts {
            let mut part = String::new();
            let mut complete = true;
            for piece in pieces {
                match piece {
                    Piece::Text(text) => part.push_str(text),
                    Piece::Field(field) => {
                        let text = value(*field);
                        complete &= !text.is_empty();
                        let _ = write!(part, "{text}");
                    }
                }
            }
            if complete || !optional {
                shown.push_str(&part);
            }
        }
        let clean = shown.chars().map(|c| if c.is_control() { ' ' } else { c });
        Arc::from(clean.take(DISPLAY_LEN_MAX).collect::<String>().trim())
    }
}

fn in_brackets(parts: &[(bool, Vec<Piece>)]) -> bool {
    parts.last().is_some_and(|(optional, _)| *optional)
}

fn push(parts: &mut [(bool, Vec<Piece>)], piece: Piece) {
    if let Some((_, pieces)) = parts.last_mut() {
        pieces.push(piece);
    }
}

fn push_text(parts: &mut [(bool, Vec<Piece>)], text: &str) {
    if !text.is_empty() {
        push(parts, Piece::Text(text.to_owned()));
    }
}

fn field(name: &str) -> Result<Field, (String, Option<String>)> {
    let found = FIELDS.iter().find(|(known, _)| *known == name);
    let hint = || did_you_mean(name, FIELDS.iter().map(|(known, _)| *known));
    found.map(|(_, field)| *field).ok_or_else(|| (format!("there is no `{{{name}}}`"), hint()))
}

fn unpaired(bracket: &str) -> (String, Option<String>) {
    let hint = "`{…}` is a field, `[…]` a part that is left out when a field in it is empty";
    (format!("`{bracket}` has no partner"), Some(hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(template: &str, filled: &[(Field, &str)]) -> String {
        let template = Template::parse(template).expect("a template");
        let value = |field| {
            let found = filled.iter().find(|(f, _)| *f == field);
            found.map_or_else(String::new, |(_, text)| (*text).to_owned())
        };
        template.show(value).to_string()
    }

    #[test]
    fn a_phone_shows_name_type_and_debt() {
        let filled = [(Field::Name, "ACME"), (Field::Type, "KEY"), (Field::Debt, "12 d")];
        assert_eq!(show(Template::DEFAULT, &filled), "ACME (KEY) debt 12 d");
        assert_eq!(show(Template::DEFAULT, &filled[..2]), "ACME (KEY)");
        assert_eq!(show(Template::DEFAULT, &[(Field::Name, "new client")]), "new client");
        assert_eq!(show("{name}\r\n<x>", &[(Field::Name, "A\tB")]), "A B  <x>");
        assert_eq!(show("{name}", &[(Field::Name, &"x".repeat(500))]).len(), DISPLAY_LEN_MAX);
    }

    #[test]
    fn unknown_fields_and_unpaired_brackets_are_told() {
        let wrong = |text| Template::parse(text).expect_err("wrong");
        assert_eq!(wrong("{nme}").1.as_deref(), Some("did you mean `name`?"));
        for text in ["{name", "name}", "[{name}", "{name}]", "[[{name}]]"] {
            assert!(wrong(text).0.contains("has no partner"), "{text}");
        }
    }
}
