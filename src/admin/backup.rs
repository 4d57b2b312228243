//! `telefonist backup`: everything that a new machine needs, in one file, while the server runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::Context;
use super::output::{Failure, Printed};
use super::tar::Tar;
use crate::server::{StateFolder, files};
use crate::store::register::{Projector, Register};

pub(super) fn backup(context: &Context, file: &Path) -> Result<Printed, Failure> {
    let folder = context.folder();
    let aside = folder.root().join(format!("backup-{}", std::process::id()));
    let made = DirBuilder::new().mode(0o700).create(&aside);
    made.map_err(|e| Failure::Refused(format!("{}: {e} (--state DIR)", folder.root().display())))?;
    let done = write(context, &folder, &aside, file);
    // What is left of it would only be in the way.
    let _ = fs::remove_dir_all(&aside);
    let names = done?;
    let text = format!("{}: {}", file.display(), names.join(", "));
    Ok(Printed::new(text, json!({ "file": file.to_string_lossy(), "holds": names })))
}

fn write(
    context: &Context,
    folder: &StateFolder,
    aside: &Path,
    file: &Path,
) -> Result<Vec<String>, Failure> {
    let clients = aside.join("clients.db");
    context.clients_to_read()?.backup_to(&clients)?;
    let register = aside.join("register.db");
    // Where we may not write, the register as it is must do.
    let _ = Projector::new(&folder.register_db(), &folder.journal()).catch_up();
    let mut found = vec![("state/clients.db".to_string(), clients)];
    if folder.register_db().exists() {
        Register::read(&folder.register_db())?.backup(&register)?;
        found.push(("state/register.db".to_string(), register));
    }
    let key = folder.root().join("secret.key");
    found.extend(key.exists().then(|| ("state/secret.key".to_string(), key)));
    for path in files(&context.config_dir) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(path.exists().then(|| (format!("config/{name}"), path)));
    }
    let out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))?;
    if let Err(error) = archive(context, out, &found) {
        // Half a copy helps nobody, and would be in the way of the next.
        let _ = fs::remove_file(file);
        return Err(Failure::Refused(format!("{}: {error}", file.display())));
    }
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

fn archive(context: &Context, out: File, found: &[(String, PathBuf)]) -> io::Result<()> {
    let mut tar = Tar::new(BufWriter::new(out));
    for (name, path) in found {
        tar.file(name, context.at.as_second(), &fs::read(path)?)?;
    }
    tar.finish()?.into_inner()?.sync_all()
}
