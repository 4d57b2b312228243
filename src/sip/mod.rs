//! SIP on the wire: lexer, builder, digest. Knows no transactions.

pub use crate::domain::{Flow, Transport};
