//! SIP on the wire: a zero-copy lexer over `Bytes`, stream framing, header access, message
//! building, digest, and the offer/answer view of SDP.
//!
//! Bytes become a [`Message`] (*represent first*), [`Message::judge`] says what an element answers to
//! it (*judge after*, RFC 4475 §3.1.2), [`Builder`] makes bytes again.
//!
//! Knows no transactions, no dialogs, no sockets and no clock. No bytes from the network can panic here.
//! The vocabulary crate `rsip` appears in `vocabulary.rs` and nowhere else.

mod builder;
pub mod digest;
mod fault;
mod framer;
mod header;
mod judge;
mod lexer;
mod list;
mod message;
mod method;
mod nameaddr;
mod param;
pub mod sdp;
mod uri;
mod via;
mod vocabulary;

pub use crate::domain::{Flow, Transport};
pub use builder::{Builder, Forward};
pub use fault::{Fault, ParseError, Rejection};
pub use framer::{BODY_BYTES_MAX, FrameError, FrameFault, Framed, Framer, HEAD_BYTES_MAX};
pub use header::Header;
pub use lexer::{HEADERS_MAX, MESSAGE_BYTES_MAX};
pub use list::{Values, split_values};
pub use message::Message;
pub use method::Method;
pub use nameaddr::NameAddr;
pub use param::{Param, Params, quote, unquote};
pub use uri::{Uri, UriError, escape_user};
pub use via::Via;
pub use vocabulary::reason_phrase;
