//! What every room speaks of: time, numbers, names, clients, people, calendars.
//!
//! Knows nothing of SIP, of sockets or of databases. Everything here is plain data with pure functions.

mod calendar;
mod client;
mod directory;
mod flow;
mod ids;
mod number;
mod settings;
mod shown;
mod time;

pub use calendar::{Calendar, CalendarError, Hours, SpecialDays};
pub use client::{Client, ClientType, Debt, Money, Vip};
pub use directory::{
    Absence, AbsenceKind, Department, Directory, DirectoryLimits, DirectoryRecord, DirectoryRows,
    GROUPS_PER_PERSON_MAX, Group, GroupName, Hand, ORDERS_MAX, Order, Orders, Person, Standing,
};
pub use flow::{Flow, Transport};
pub use ids::{
    AgentId, CallKey, ClientId, DepartmentId, PersonId, QueueId, Role, ShardId, TrunkId,
};
pub use number::{Number, NumberFormat};
#[cfg(test)]
pub(crate) use settings::tests::example as example_settings;
pub use settings::{
    BACKOFF_MIN, Credentials, DigestHash, EndStatuses, Limits, Listener, LockAfter, Settings,
    StarCodes, Timers, Trunk, TrunkAddress, TrunkIdentity, TrunkTarget,
};
pub use shown::{one_line, plain, steers};
pub use time::{Moment, WallOffset};
