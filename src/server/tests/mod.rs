//! The whole server with a worker that breaks: real switches, journal and sockets.

mod breaking;
mod scene;

pub(super) use breaking::fragile;
