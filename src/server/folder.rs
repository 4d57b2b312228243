//! The state folder: what the server keeps, and where.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of `secret.key`: for leading Call-IDs to shards, then for nonces.
const KEY_BYTES: usize = 48;

/// The folder of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder {
    root: PathBuf,
}

/// Secrets that outlive a run.
#[derive(Clone)]
pub struct Keys {
    /// Leads Call-IDs and addresses of record to shards.
    pub hash: [u8; 16],
    /// Signs nonces.
    pub nonce: [u8; 32],
}

impl StateFolder {
    /// Names the folder; nothing is touched.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where state lies if nobody says so: `$STATE_DIRECTORY` (systemd), `/var/lib/telefonist` for
    /// root, `$XDG_STATE_HOME/telefonist` or `~/.local/state/telefonist` for anybody else.
    pub fn usual() -> PathBuf {
        let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(folder) = set("STATE_DIRECTORY") {
            return folder;
        }
        // Root's files are everybody's telephone system; `$HOME` says little there.
        let root = fs::metadata("/proc/self").is_ok_and(|m| {
            use std::os::unix::fs::MetadataExt;
            m.uid() == 0
        });
        match (root, set("XDG_STATE_HOME"), set("HOME")) {
            (false, Some(state), _) => state.join("telefonist"),
            (false, None, Some(home)) => home.join(".local/state/telefonist"),
            _ => PathBuf::from("/var/lib/telefonist"),
        }
    }

    /// Makes the folder (0700) if it is not there. Errors: the system's.
    pub fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root)
    }

    /// Itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Clients and people.
    pub fn clients_db(&self) -> PathBuf {
        self.root.join("clients.db")
    }

    /// The call register.
    pub fn register_db(&self) -> PathBuf {
        self.root.join("register.db")
    }

    /// The journal's folder.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// What panics leave.
    pub fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    /// Where a running server answers.
    pub fn socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// The secrets, made at the first start (0600). Errors: the file cannot be read or written, or
    /// has another length than ours.
    pub fn keys(&self) -> io::Result<Keys> {
        let path = self.root.join("secret.key");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => make_key(&path)?,
            Err(e) => return Err(e),
        };
        if bytes.len() != KEY_BYTES {
            return Err(io::Error::other(
                "secret.key has a wrong length: delete it, phones register anew",
            ));
        }
        let mut keys = Keys { hash: [0; 16], nonce: [0; 32] };
        keys.hash.copy_from_slice(&bytes[..16]);
        keys.nonce.copy_from_slice(&bytes[16..]);
        Ok(keys)
    }
}

fn make_key(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = random::<KEY_BYTES>()?.to_vec();
    let fresh = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    Ok(bytes)
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_kept() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = StateFolder::at(&temp.path().join("deep/state"));
        folder.create().expect("made");
        let first = folder.keys().expect("made");
        let again = folder.keys().expect("kept");
        assert_eq!((first.hash, first.nonce), (again.hash, again.nonce));
        assert_ne!(first.hash, [0; 16]);
        fs::write(folder.root().join("secret.key"), "short").expect("written");
        assert!(folder.keys().is_err());
    }
}
