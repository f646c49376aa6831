//! The thread that draws titles, so that no frame waits for a font, an image or a PDF.

use std::io;

/// A handle to the thread; it ends when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Studio {}

impl Studio {
    /// Starts the thread, which reads the system's fonts first.
    pub fn start() -> io::Result<Self> {
        Ok(Studio {})
    }
}
