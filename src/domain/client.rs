//! A client of the company, as the call path sees one (clauses A1–A4).

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{ClientId, DepartmentId, Number, PersonId};

/// An amount in the smallest unit of the company's currency (kopecks, cents).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", minor / 100, minor % 100)
    }
}

/// Clause A2: `key`, `marketer`, `own_outlet`, `retail`, `regional`, and what an admin adds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientType(pub Arc<str>);

impl ClientType {
    /// From its name in the configuration.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Clause A2's VIP level. A status that is still pending (clause G1) counts as `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vip {
    /// On no list.
    #[default]
    None,
    /// Large or prestigious within one unit.
    Local,
    /// On the branch's list.
    Branch,
}

impl Vip {
    /// The name used in files: `none`, `local`, `branch`.
    pub fn as_str(self) -> &'static str {
        match self {
            Vip::None => "none",
            Vip::Local => "local",
            Vip::Branch => "branch",
        }
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The row.
    pub id: ClientId,
    /// As people know the client.
    pub name: Arc<str>,
    /// All numbers that identify this client, E.164.
    pub numbers: Vec<Number>,
    /// Clause A2.
    pub client_type: ClientType,
    /// Clause A2; `None` while pending.
    pub vip: Vip,
    /// Asked for and not yet agreed to (clause G1).
    pub vip_pending: bool,
    /// Whom the client is assigned to.
    pub manager: Option<PersonId>,
    /// The department responsible.
    pub department: Option<DepartmentId>,
    /// Where the client is.
    pub region: Option<Arc<str>>,
    /// What the client owes now; negative if we owe.
    pub balance: Money,
    /// What the client may owe; no limit if absent.
    pub credit_limit: Option<Money>,
    /// The part of the balance whose date has passed.
    pub overdue: Money,
    /// Since when something is overdue.
    pub overdue_since: Option<Date>,
    /// The last order; absent if there was none.
    pub last_order: Option<Date>,
    /// Clause A3: the head has decided that operators serve this client.
    pub served_by_operators: bool,
    /// For the person who answers.
    pub notes: Arc<str>,
    /// How fresh this row is: the age that explanations show.
    pub as_of: Timestamp,
}

/// What clause A4 says of one client on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "debt")]
pub enum Debt {
    /// Owes nothing beyond what is allowed.
    Clear,
    /// Overdue for this many days, with the amount.
    Overdue {
        /// Whole days since the payment was due.
        days: u32,
        /// How much is overdue.
        amount: Money,
    },
    /// Above the credit limit by this amount.
    OverLimit {
        /// Balance less limit.
        amount: Money,
    },
}

impl Client {
    /// Clause A3: neither a manager nor an order, and not marked "served by operators".
    pub fn is_new(&self) -> bool {
        self.is_new_with(self.manager.as_ref())
    }

    /// The same, where `manager` is the client's if there is such a person.
    pub fn is_new_with(&self, manager: Option<&PersonId>) -> bool {
        manager.is_none() && self.last_order.is_none() && !self.served_by_operators
    }

    /// Clause A4 on `today`. What is overdue is a debt once it is so for more than `grace_days`; at once
    /// if they are 0 or nobody knows since when. Exactly at the limit is no debt.
    pub fn debt(&self, today: Date, grace_days: u32) -> Debt {
        if self.overdue > Money(0) {
            let since = self.overdue_since.unwrap_or(today);
            let days = u32::try_from(today.since(since).map_or(0, |s| s.get_days())).unwrap_or(0);
            if grace_days == 0 || self.overdue_since.is_none() || days > grace_days {
                return Debt::Overdue { days, amount: self.overdue };
            }
        }
        match self.credit_limit {
            Some(limit) if self.balance > limit => {
                Debt::OverLimit { amount: Money(self.balance.0.saturating_sub(limit.0)) }
            }
            _ => Debt::Clear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client {
            id: ClientId(1),
            name: Arc::from("ACME"),
            numbers: Vec::new(),
            client_type: ClientType::new("retail"),
            vip: Vip::None,
            vip_pending: false,
            manager: None,
            department: None,
            region: None,
            balance: Money(0),
            credit_limit: None,
            overdue: Money(0),
            overdue_since: None,
            last_order: None,
            served_by_operators: false,
            notes: Arc::from(""),
            as_of: Timestamp::UNIX_EPOCH,
        }
    }

    fn overdue(since: Option<&str>, grace_days: u32) -> Debt {
        let since = since.map(|day| day.parse().expect("a day"));
        let client = Client { overdue: Money(1), overdue_since: since, ..client() };
        client.debt("2026-03-04".parse().expect("a day"), grace_days)
    }

    #[test]
    fn a4_overdue_days_count_from_the_due_day_and_grace_days_are_free() {
        let owes = |days| Debt::Overdue { days, amount: Money(1) };
        assert_eq!(overdue(Some("2026-02-20"), 0), owes(12));
        assert_eq!(overdue(Some("2026-02-20"), 11), owes(12));
        assert_eq!(overdue(Some("2026-02-20"), 12), Debt::Clear);
        assert_eq!(overdue(Some("2026-03-04"), 0), owes(0), "overdue is overdue");
        assert_eq!(overdue(Some("2026-03-04"), 1), Debt::Clear);
        assert_eq!(overdue(None, 30), owes(0), "nobody knows since when");
        assert_eq!(overdue(Some("2026-04-01"), 1), Debt::Clear, "a day to come");
    }

    #[test]
    fn a4_above_the_limit_is_a_debt_and_at_the_limit_is_none() {
        let debt = |balance, limit: Option<i64>| {
            let client =
                Client { balance: Money(balance), credit_limit: limit.map(Money), ..client() };
            client.debt(Date::constant(2026, 3, 4), 0)
        };
        assert_eq!(debt(100, Some(100)), Debt::Clear);
        assert_eq!(debt(101, Some(100)), Debt::OverLimit { amount: Money(1) });
        assert_eq!(debt(i64::MAX, Some(-5)), Debt::OverLimit { amount: Money(i64::MAX) });
        assert_eq!(debt(1_000_000, None), Debt::Clear, "no limit");
        assert_eq!(debt(-5, Some(0)), Debt::Clear, "we owe");
    }

    #[test]
    fn a3_new_is_without_manager_order_and_mark() {
        assert!(client().is_new());
        assert!(!Client { manager: Some("anna".into()), ..client() }.is_new());
        assert!(!Client { served_by_operators: true, ..client() }.is_new());
        let ordered = Client { last_order: Some(Date::constant(2020, 1, 1)), ..client() };
        assert!(!ordered.is_new());
    }

    #[test]
    fn money_is_written_with_its_minor_unit() {
        let shown: Vec<String> =
            [0, 5, -5, 123_456, i64::MIN].iter().map(|m| Money(*m).to_string()).collect();
        assert_eq!(shown, ["0.00", "0.05", "-0.05", "1234.56", "-92233720368547758.08"]);
    }
}
