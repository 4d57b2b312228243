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

pub use keep::{Begin, Recording, Taken};
