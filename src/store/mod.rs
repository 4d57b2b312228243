//! What outlives a run: clients and people (`clients.db`), the journal, the call register.
//!
//! Three files, so that a foreign program's lock on the first never stops the others. This room is
//! part of the shell: it opens files, asks the clock and runs threads. It knows no SIP and no board;
//! what routing needs of it is an in-memory index ([`ClientIndex`]) and directory rows.
//!
//! | file | written by | read by |
//! |---|---|---|
//! | `clients.db` | [`ClientsDb`], the import, any CRM | [`Follower`], the command line |
//! | `journal/` | workers and shell, before a turn's outputs leave ([`journal`]) | the projector, `restore`, `events` |
//! | `register.db` | the projector ([`register`]), from the journal alone | the command line |

// The shell samples clocks and shares by locks where no call waits for them.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod callbacks;
mod circles;
mod clients;
mod db;
mod error;
mod follow;
mod following;
pub mod import;
mod index;
pub mod journal;
mod migrate;
mod password;
mod people;
pub mod register;
mod rows;
mod schema;
mod spelling;

pub use clients::{ClientCard, Dangling, NewClient, SharedNumber};
pub use db::{Actor, AuditRow, ClientsDb};
pub use error::StoreError;
pub use follow::{FOLLOW_EVERY, FollowOptions, Followed, Follower, INDEX_STALE_MAX, OnDirectory};
pub use following::Following;
pub use index::{ClientIndex, Found, IndexStatus};
pub use migrate::{Migration, migrate};
pub use password::credentials;
pub use people::{ABSENCE_KINDS, NewAbsence, WhichAbsence, kind_name, kind_named};
pub use spelling::did_you_mean;
