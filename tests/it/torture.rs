//! SIP that hurts: the RFCs' torture messages, our own of the same classes, and arbitrary bytes.

mod arbitrary;
mod broken;
mod rfc4475;
mod rfc5118;
mod shared;
mod strange;
