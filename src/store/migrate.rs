//! Schema versions: `PRAGMA user_version` counts the steps that were carried out.
//!
//! A step is never changed once released; a new one is added behind it. Steps run in one transaction
//! each, so that a crash leaves a whole version. A version that this program does not know is refused:
//! going back loses data.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// One step forward: SQL that turns version n into n + 1.
pub type Migration = &'static str;

/// Brings `connection` (open on `file`) to the newest version of `steps`. `application` marks the file
/// (`PRAGMA application_id`), so that a stranger's database is not written into. Errors: a newer or a
/// foreign file, and whatever SQLite reports.
pub fn migrate(
    connection: &mut Connection,
    file: &Path,
    application: i32,
    steps: &[Migration],
) -> Result<(), StoreError> {
    let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
    let known = steps.len() as i64;
    loop {
        // Immediate: two processes that open a new file at once must not both create it.
        if version(connection, file, application, known)? == known {
            return Ok(());
        }
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let step = step.map_err(sql)?;
        let at = version(&step, file, application, known)?;
        if let Some(text) = usize::try_from(at).ok().and_then(|at| steps.get(at)) {
            step.execute_batch(text).map_err(sql)?;
            step.pragma_update(None, "application_id", application).map_err(sql)?;
            step.pragma_update(None, "user_version", at + 1).map_err(sql)?;
            step.commit().map_err(sql)?;
        }
    }
}

/// The file's version, if it is ours and not newer than `known`.
pub fn version(
    connection: &Connection,
    file: &Path,
    application: i32,
    known: i64,
) -> Result<i64, StoreError> {
    let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = number("user_version").map_err(sql)?;
    let mark = number("application_id").map_err(sql)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql)?;
    if tables > 0 && mark != i64::from(application) {
        return Err(StoreError::Foreign { file: file.to_path_buf() });
    }
    if found > known {
        return Err(StoreError::TooNew { file: file.to_path_buf(), found, known });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: i32 = 0x7e1e_0001;
    const ONE: Migration = "CREATE TABLE a (x INTEGER)";
    const TWO: Migration = "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'old'";

    fn memory() -> Connection {
        Connection::open_in_memory().expect("memory")
    }

    #[test]
    fn an_older_file_moves_forward_and_keeps_its_rows() {
        let file = Path::new("t.db");
        let mut db = memory();
        migrate(&mut db, file, MARK, &[ONE]).expect("version 1");
        db.execute("INSERT INTO a VALUES (7)", []).expect("row");
        migrate(&mut db, file, MARK, &[ONE, TWO]).expect("version 2");
        let row: (i64, String) = db
            .query_row("SELECT x, y FROM a", [], |r| Ok((r.get(0)?, r.get(1)?)))
            .expect("the row is still there");
        assert_eq!(row, (7, "old".into()));
        migrate(&mut db, file, MARK, &[ONE, TWO]).expect("nothing to do");
    }

    #[test]
    fn a_newer_file_is_refused_and_left_alone() {
        let file = Path::new("t.db");
        let mut db = memory();
        migrate(&mut db, file, MARK, &[ONE, TWO]).expect("version 2");
        let error = migrate(&mut db, file, MARK, &[ONE]).expect_err("newer");
        assert_eq!(
            error.to_string(),
            "t.db: schema version 2 was written by a newer program; this one knows 1"
        );
    }

    #[test]
    fn a_strangers_database_is_not_written_into() {
        let mut db = memory();
        db.execute_batch("CREATE TABLE theirs (x)").expect("table");
        let error = migrate(&mut db, Path::new("t.db"), MARK, &[ONE]).expect_err("foreign");
        assert!(matches!(error, StoreError::Foreign { .. }));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let file = Path::new("t.db");
        let mut db = memory();
        let broken: Migration = "CREATE TABLE b (x); CREATE TABLE a (x)";
        assert!(migrate(&mut db, file, MARK, &[ONE, broken]).is_err());
        assert_eq!(version(&db, file, MARK, 2).expect("ours"), 1);
        assert!(db.prepare("SELECT * FROM b").is_err());
    }
}
