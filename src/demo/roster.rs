//! The sample tables as a person with a printout reads them: no database, no directory, no policy.
//!
//! [`super::expected`] judges by these rows and the paper, so that a mistake in the import, in the
//! index or in the policy shows.

use serde::Deserialize;

use super::company::table;

/// A line of `people.csv`.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    /// `anna.berg`.
    pub id: String,
    /// Roles, separated by blanks.
    pub roles: String,
    /// Where the person belongs.
    pub department: String,
    /// User of the phone; empty if there is none.
    pub sip_user: String,
    /// Password of the phone.
    pub password: String,
    /// When the person left; empty if they did not.
    pub left_on: String,
}

/// A line of `departments.csv`.
#[derive(Clone, Debug, Deserialize)]
pub struct Department {
    /// `wholesale`.
    pub id: String,
    /// Its head.
    pub head: String,
}

/// A line of `absences.csv`; all of them hold on the day of the demonstration.
#[derive(Clone, Debug, Deserialize)]
pub struct Absence {
    /// Who.
    pub person: String,
    /// The deputy named; may be empty.
    pub deputy: String,
}

/// A line of `clients.csv`.
#[derive(Clone, Debug, Deserialize)]
pub struct Client {
    /// `K001`.
    pub code: String,
    /// The name.
    pub name: String,
    /// `key`, `retail`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Separated by semicolons.
    pub numbers: String,
    /// Empty, `local`, `branch`.
    pub vip: String,
    /// Assigned to; may be empty.
    pub manager: String,
    /// Euros, cents after a point.
    balance: String,
    credit_limit: String,
    overdue: String,
    /// `today-12`; empty if there was none.
    last_order: String,
    served_by_operators: String,
}

impl Person {
    /// The person holds the role.
    pub fn is(&self, role: &str) -> bool {
        self.roles.split_whitespace().any(|r| r == role)
    }
}

impl Client {
    /// The numbers as E.164.
    pub fn numbers(&self) -> impl Iterator<Item = String> {
        self.numbers.split(';').map(|n| n.chars().filter(|c| !c.is_whitespace()).collect())
    }

    /// Clause A3.
    pub fn is_new(&self) -> bool {
        let unknown_to_us = self.manager.is_empty() && self.last_order.is_empty();
        unknown_to_us && self.served_by_operators.is_empty()
    }

    /// Clause A4: overdue, or above the limit (at the limit is not above it).
    pub fn is_debtor(&self) -> bool {
        let over =
            !self.credit_limit.is_empty() && cents(&self.balance) > cents(&self.credit_limit);
        cents(&self.overdue) > 0 || over
    }

    /// The balance is the limit, to the cent.
    pub fn is_at_limit(&self) -> bool {
        cents(&self.balance) > 0 && self.balance == self.credit_limit
    }

    /// Days since the last order; many if there was none.
    pub fn days_since_order(&self) -> u32 {
        self.last_order.strip_prefix("today-").and_then(|d| d.parse().ok()).unwrap_or(u32::MAX)
    }
}

fn cents(euros: &str) -> i64 {
    let (whole, part) = euros.split_once('.').unwrap_or((euros, "0"));
    let part = format!("{part:0<2}");
    whole.parse::<i64>().unwrap_or(0) * 100 + part.parse::<i64>().unwrap_or(0)
}

/// All tables.
#[derive(Clone, Debug)]
pub struct Roster {
    /// People.
    pub people: Vec<Person>,
    /// Departments.
    pub departments: Vec<Department>,
    /// Absences.
    pub absences: Vec<Absence>,
    /// Clients.
    pub clients: Vec<Client>,
}

impl Roster {
    /// The shipped tables.
    pub fn shipped() -> Self {
        Self {
            people: rows("people.csv"),
            departments: rows("departments.csv"),
            absences: rows("absences.csv"),
            clients: rows("clients.csv"),
        }
    }

    /// The person called `id`.
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }

    /// People who hold `role` and have not left.
    pub fn holders<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Person> {
        self.people.iter().filter(move |p| p.is(role) && p.left_on.is_empty())
    }

    /// The head of a department.
    pub fn head(&self, department: &str) -> &str {
        self.departments.iter().find(|d| d.id == department).map_or("", |d| &d.head)
    }

    /// The person's absence.
    pub fn absence(&self, id: &str) -> Option<&Absence> {
        self.absences.iter().find(|a| a.person == id)
    }

    /// Clause A1: of several clients with the number the one with a manager, else who ordered last.
    pub fn client_of(&self, number: &str) -> Option<&Client> {
        let having = self.clients.iter().filter(|c| c.numbers().any(|n| n == number));
        having.min_by_key(|c| (c.manager.is_empty(), c.days_since_order()))
    }
}

fn rows<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let mut reader = csv::Reader::from_reader(table(name).as_bytes());
    reader.deserialize().collect::<Result<_, _>>().expect("the shipped tables are good")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_read_as_documented() {
        let roster = Roster::shipped();
        assert_eq!(roster.clients.len(), 200);
        assert_eq!(roster.clients.iter().filter(|c| c.is_debtor()).count(), 16);
        assert_eq!(roster.clients.iter().filter(|c| c.is_at_limit()).count(), 2);
        assert_eq!(roster.client_of("+493023125122").map(|c| c.code.as_str()), Some("R042"));
        assert_eq!(roster.head("market"), "otto.brandt");
        assert_eq!(roster.holders("operator").count(), 3);
    }
}
