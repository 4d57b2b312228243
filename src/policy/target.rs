//! To whom a step goes: the words behind `to = "…"`, compiled to a type.
//!
//! ```text
//! target = who | "deputies of" who | "role" NAME [ "of" which ]
//! who    = "manager" | "head of" which | "person" NAME
//! which  = "department"            the relevant one: called number → region → default (B1)
//!        | "default department"    the one of [settings]
//!        | "client's department"   the one responsible for the client (A2)
//!        | "manager's department"  where the client's manager belongs
//!        | [ "department" ] NAME
//! ```
//! "the" may stand anywhere. Knows no directory: whether a name exists is asked by `check`.

use std::fmt;
use std::ops::Range;

use super::fields::{At, Reader};
use super::problem::did_you_mean;
use crate::domain::{DepartmentId, PersonId, Role};

/// Which department.
#[derive(Clone, Debug)]
pub(super) enum Which {
    /// The relevant one of clause B1.
    Relevant,
    /// The one of the settings.
    Default,
    /// The one responsible for the client.
    Client,
    /// The manager's.
    Manager,
    /// By name.
    Named(At<DepartmentId>),
}

/// One person.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Whom the client is assigned to.
    Manager,
    /// Who leads a department.
    Head(Which),
    /// By name.
    Person(At<PersonId>),
}

/// The people of a step.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// One person.
    One(Who),
    /// Who was named for that person's absence (clause C1).
    Deputies(Who),
    /// Everybody who holds a role, within a department if one is said.
    Role(At<Role>, Option<Which>),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Relevant => f.write_str("department"),
            Which::Default => f.write_str("default department"),
            Which::Client => f.write_str("client's department"),
            Which::Manager => f.write_str("manager's department"),
            Which::Named(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Manager => f.write_str("manager"),
            Who::Head(which) => write!(f, "head of {which}"),
            Who::Person(name) => write!(f, "person {name}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::One(who) => who.fmt(f),
            Target::Deputies(who) => write!(f, "deputies of {who}"),
            Target::Role(role, None) => write!(f, "role {role}"),
            Target::Role(role, Some(which)) => write!(f, "role {role} of {which}"),
        }
    }
}

impl Target {
    /// From the text of a step's `to`; `None` after noting what is wrong with it.
    pub(super) fn read(text: &At<String>, reader: &mut Reader<'_>) -> Option<Self> {
        read(text, |words| words.target(), reader)
    }
}

impl Who {
    /// From a text that must mean one person (`owner`, `callback_owner`).
    pub(super) fn read(text: &At<String>, reader: &mut Reader<'_>) -> Option<Self> {
        read(text, |words| words.who(), reader)
    }
}

/// Everything that a step's `to` may begin with.
const BEGINNINGS: [&str; 8] =
    ["manager", "deputies", "head", "role", "person", "callback", "pass", "refuse"];

type Wrong = (Range<usize>, String, Option<String>);

fn read<T>(
    text: &At<String>,
    parse: impl FnOnce(&mut Words<'_>) -> Result<T, Wrong>,
    reader: &mut Reader<'_>,
) -> Option<T> {
    let mut words = Words::new(text, reader.source().text());
    match parse(&mut words).and_then(|target| words.end().map(|()| target)) {
        Ok(target) => Some(target),
        Err((span, message, hint)) => {
            reader.error(span, message, hint);
            None
        }
    }
}

/// The words of a text, each with its place in the file.
struct Words<'a> {
    words: Vec<At<&'a str>>,
    next: usize,
    end: Range<usize>,
}

impl<'a> Words<'a> {
    fn new(text: &'a At<String>, file: &str) -> Self {
        // Places within the text are exact unless it was written with escapes.
        let literal = text.span.len() == text.len() + 2
            && file.get(text.span.start + 1..text.span.end - 1) == Some(text.as_str());
        let place = |word: &str| {
            let begin = word.as_ptr() as usize - text.as_ptr() as usize + text.span.start + 1;
            if literal { begin..begin + word.len() } else { text.span.clone() }
        };
        let words = text.split_whitespace().filter(|word| *word != "the");
        let words = words.map(|word| At::new(word, place(word))).collect();
        Self { words, next: 0, end: text.span.clone() }
    }

    fn take(&mut self, wanted: &str) -> Result<At<&'a str>, Wrong> {
        let word = self.words.get(self.next).cloned();
        self.next += 1;
        word.ok_or_else(|| {
            let beginning = self.words.first().map(|word| word.value);
            let (message, like) = match beginning {
                None => ("this text is empty".to_owned(), "manager"),
                Some("head") => (format!("{wanted} is missing at its end"), "head of wholesale"),
                Some("deputies") => {
                    (format!("{wanted} is missing at its end"), "deputies of manager")
                }
                Some("role") => (format!("{wanted} is missing at its end"), "role operator"),
                Some(_) => (format!("{wanted} is missing at its end"), "person anna.berg"),
            };
            (self.end.clone(), message, Some(format!("like \"{like}\"")))
        })
    }

    fn take_if(&mut self, word: &str) -> bool {
        let here = self.words.get(self.next).is_some_and(|w| w.value == word);
        self.next += usize::from(here);
        here
    }

    fn keyword(&mut self, wanted: &'static str) -> Result<(), Wrong> {
        let word = self.take(&format!("`{wanted}`"))?;
        if word.value == wanted {
            return Ok(());
        }
        Err((word.span, format!("`{}` stands where `{wanted}` is needed", word.value), None))
    }

    fn end(&mut self) -> Result<(), Wrong> {
        match self.words.get(self.next) {
            Some(word) => Err((word.span.clone(), format!("`{word}` is too much here"), None)),
            None => Ok(()),
        }
    }

    fn target(&mut self) -> Result<Target, Wrong> {
        if self.take_if("deputies") {
            self.keyword("of")?;
            return self.who().map(Target::Deputies);
        }
        if self.take_if("role") {
            let role = self.take("a role")?.map(Role::new);
            let which = if self.take_if("of") { Some(self.which()?) } else { None };
            return Ok(Target::Role(role, which));
        }
        self.one(&BEGINNINGS).map(Target::One)
    }

    /// One person: after "deputies of", or who owns a promise.
    fn who(&mut self) -> Result<Who, Wrong> {
        match self.words.get(self.next) {
            Some(word) if word.value == "role" => {
                let hint = "like \"head of wholesale\" or \"person anna.berg\"".to_owned();
                let message = "a role is many people, one person is needed here".to_owned();
                Err((word.span.clone(), message, Some(hint)))
            }
            _ => self.one(&["manager", "head", "person"]),
        }
    }

    /// One person; `known` are the words that may stand here.
    fn one(&mut self, known: &[&str]) -> Result<Who, Wrong> {
        let word = self.take("a person")?;
        match word.value {
            "manager" => Ok(Who::Manager),
            "head" => {
                self.keyword("of")?;
                self.which().map(Who::Head)
            }
            "person" => Ok(Who::Person(self.take("a person's name")?.map(PersonId::new))),
            other => {
                let hint = did_you_mean(other, known.iter().copied());
                Err((word.span, format!("nobody can be reached by `{other}`"), hint))
            }
        }
    }

    fn which(&mut self) -> Result<Which, Wrong> {
        let word = self.take("a department")?;
        match word.value {
            "default" => self.keyword("department").map(|()| Which::Default),
            "client's" => self.keyword("department").map(|()| Which::Client),
            "manager's" => self.keyword("department").map(|()| Which::Manager),
            "department" => match self.words.get(self.next).cloned() {
                Some(name) => {
                    self.next += 1;
                    Ok(Which::Named(name.map(DepartmentId::new)))
                }
                None => Ok(Which::Relevant),
            },
            _ => Ok(Which::Named(word.map(DepartmentId::new))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Fields;
    use super::super::problem::Source;
    use super::*;

    #[test]
    fn a_guess_is_a_word_that_may_stand_there() {
        let hint = |line: &str| hint_of(line).expect("a hint");
        assert_eq!(
            hint("to = \"deputies of role operator\""),
            "like \"head of wholesale\" or \"person anna.berg\""
        );
        assert_eq!(hint("to = \"deputies of rol operator\""), "known are: manager, head, person");
        assert_eq!(hint("to = \"rol operator\""), "did you mean `role`?");
        assert_eq!(hint("to = \"deputies of hed of a\""), "did you mean `head`?");
    }

    fn hint_of(line: &str) -> Option<String> {
        let source = Source::new("policy.toml", line);
        let (mut reader, table) = Reader::parse(&source);
        let mut fields = Fields::new(table.get_ref(), table.span(), "a step");
        let text = fields.required("to", &mut reader).and_then(|v| reader.text(v))?;
        assert!(Target::read(&text, &mut reader).is_none(), "it is wrong");
        reader.into_problems().remove(0).hint
    }

    fn read_to(line: &str) -> Result<String, (u32, u32, String)> {
        let source = Source::new("policy.toml", line);
        let (mut reader, table) = Reader::parse(&source);
        let mut fields = Fields::new(table.get_ref(), table.span(), "a step");
        let text = fields.required("to", &mut reader).and_then(|v| reader.text(v));
        let target = text.and_then(|text| Target::read(&text, &mut reader));
        match target {
            Some(target) => Ok(target.to_string()),
            None => {
                let problem = reader.into_problems().remove(0);
                Err((problem.line, problem.column, problem.message))
            }
        }
    }

    #[test]
    fn every_target_reads_back_as_it_was_written() {
        for text in [
            "manager",
            "deputies of manager",
            "head of department",
            "head of wholesale",
            "head of default department",
            "head of client's department",
            "deputies of head of manager's department",
            "deputies of person olga.frank",
            "role key_account_manager",
            "role vip_manager of manager's department",
            "role shift_leader of sales_support",
            "person olga.frank",
        ] {
            assert_eq!(read_to(&format!("to = \"{text}\"")).as_deref(), Ok(text));
        }
        let polite = "to = \"the deputies of the head of the department wholesale\"";
        assert_eq!(read_to(polite).as_deref(), Ok("deputies of head of wholesale"));
    }

    #[test]
    fn a_wrong_word_is_pointed_at_itself() {
        let wrong = |line: &str| read_to(line).expect_err("wrong");
        let column = |line: &str| wrong(line).1;
        assert_eq!(wrong("to = \"manger\"").2, "nobody can be reached by `manger`");
        assert_eq!(column("to = \"deputies for manager\""), 16);
        let of_role = wrong("to = \"deputies of role operator\"");
        assert_eq!(
            (of_role.1, of_role.2.as_str()),
            (19, "a role is many people, one person is needed here")
        );
        assert_eq!(column("to = \"manager please\""), 15);
        assert_eq!(wrong("to = \"head of\"").2, "a department is missing at its end");
        assert_eq!(column("to = \"head of client's shop\""), 24);
        assert_eq!(column("to = \"dep\\u0075ties xx manager\""), 6, "escapes: the whole text");
        assert_eq!(wrong("to = \"\"").2, "this text is empty");
        assert_eq!(wrong("to = \"head\"").2, "`of` is missing at its end");
    }
}
