//! What each worker was fed last, kept for whoever looks for a fault, and written without people's data.
//!
//! ```text
//!   worker: inputs, sends, events ─► Recording { begin, ring } ─► Taken ─► Pseudonyms ─► lines ─► file
//!                                       ▲ what falls out of the ring moves the begin on
//!   file ─► lines ─► Replay: the real switches, fed again
//! ```
//! The ring is the switch's ([`crate::switch::Ring`]); here is what held when it begins. Knows no
//! sockets and no threads.

mod keep;
mod lead;
mod line;
mod message;
mod pseudonym;
mod read;
mod replay;
mod scrub;
mod translate;
mod write;

pub use keep::{Begin, Recording, Taken};
pub use line::{BeginLine, Fed, Head, Line, VERSION};
pub use pseudonym::{Pseudonyms, Secrets};
pub use read::{Began, Damaged, Entry, Happened, Recorded};
pub use replay::{Broken, Decision, Replayed, Told, replay};
pub use write::{Fresh, Source, write};
