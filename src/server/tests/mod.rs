//! The whole server: real switches, journal and sockets. A worker that breaks; supervisors' orders.

mod breaking;
pub(super) mod log;
mod orders;
mod scene;

pub(super) use breaking::fragile;
