//! The `telefonist` program.

fn main() {}
