//! The least of tar (POSIX ustar): regular files, one after another.

use std::io::{self, Write};

/// Everything is written in blocks of this size.
const BLOCK: usize = 512;

/// Writes an archive to `out`.
pub(super) struct Tar<W: Write> {
    out: W,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    /// One file, mode 0600. `name` of at most 99 bytes; `mtime` in seconds since 1970.
    pub(super) fn file(&mut self, name: &str, mtime: i64, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&header(name, mtime, bytes.len())?)?;
        self.out.write_all(bytes)?;
        let rest = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.out.write_all(&[0; BLOCK][..rest])
    }

    /// The end of the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn header(name: &str, mtime: i64, len: usize) -> io::Result<[u8; BLOCK]> {
    if name.len() > 99 {
        return Err(io::Error::other(format!("{name}: the name is too long for tar")));
    }
    let mut block = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{len:011o}\0"));
    put(136, &format!("{:011o}\0", mtime.max(0)));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_tar_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tar");
        let mut tar = Tar::new(std::fs::File::create(&path).expect("made"));
        tar.file("one.txt", 1_767_225_600, b"eins").expect("written");
        tar.file("config/two.toml", 0, &[b'x'; 1_000]).expect("written");
        tar.finish().expect("written");
        let run = |args: &[&str]| {
            std::process::Command::new("tar").args(args).arg("-C").arg(folder.path()).output()
        };
        let done = run(&["-xf", &path.display().to_string()]).expect("tar is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let read = |name: &str| std::fs::read(folder.path().join(name)).expect("unpacked");
        assert_eq!(read("one.txt"), b"eins");
        assert_eq!(read("config/two.toml").len(), 1_000);
    }
}
