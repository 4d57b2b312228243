//! The call register: a projection of the journal into SQLite.
