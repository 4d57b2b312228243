//! What outlives a run: clients and people (`clients.db`), the journal, the call register.
//!
//! Three files, so that a foreign program's lock on the first never stops the others. This room is
//! part of the shell: it opens files, asks the clock and runs threads. It knows no SIP and no board;
//! what routing needs of it is an in-memory index ([`ClientIndex`]) and directory rows.
//!
//! | file | written by | read by |
//! |---|---|---|
//! | `clients.db` | [`ClientsDb`], the import, any CRM | [`Follower`], the command line |

// The shell samples clocks and shares by locks where no call waits for them.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod error;
mod migrate;
mod schema;

pub use error::StoreError;
pub use migrate::{Migration, migrate};
