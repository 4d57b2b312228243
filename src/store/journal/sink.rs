//! Where a writer's bytes go. The one seam at which tests let a disk be full or broken.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::segment::Segment;

/// A place for segments, one after the other. Nothing is ever written to a segment that was left.
pub trait Sink: Send {
    /// Creates `segment`, to which all bytes go from now on. On an error the old one stays.
    ///
    /// # Errors
    /// As the disk says.
    fn begin(&mut self, segment: Segment) -> io::Result<()>;

    /// One write(2) at the end of the current segment; answers how many bytes it took.
    ///
    /// # Errors
    /// As the disk says; nothing was taken then.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Files in the journal's folder.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    file: Option<File>,
}

impl Files {
    /// Segments in `dir`, which exists.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, file: None }
    }
}

impl Sink for Files {
    fn begin(&mut self, segment: Segment) -> io::Result<()> {
        let path = segment.path(&self.dir);
        self.file = Some(File::options().append(true).create_new(true).mode(0o600).open(path)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("no segment was begun")),
        }
    }
}
