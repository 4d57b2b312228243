//! The server against programs that others wrote: sipp, sipsak, baresip, linphonec, Kamailio, on real sockets.
//!
//! Each test has its own server in a temporary folder, with a small company ([`scene`]): five
//! operators, a key-account manager, ACME as key client, a trunk known by its address. A peer that is
//! not installed: the test says so and passes, unless `TELEFONIST_PEERS=1` demands all of them.

// Other programs and their time: this is about the shell.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod calls;
mod digest;
mod hostile;
mod linphone;
mod linphones;
mod outside;
mod pass;
mod pbx;
mod program;
mod restart;
mod scene;
mod sipp;
mod six;
mod softphone;
mod texts;
mod tone;
mod voices;
mod wire;
