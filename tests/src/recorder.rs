//! What goes over a line while a model is pushed.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::take;

use teff_link::FRAME;
use teff_slots::{Server, Store};
use teff_tools::update::Ram;

/// A device whose flash is that of a board with sectors of 4 KB, and for which every model works. It records what it is sent and what
/// it answers: a board in its place must answer the same.
pub struct Recorder {
    store: Store<Ram<4096>>,
    server: Server,
    unread: VecDeque<u8>,
    sent: Vec<u8>,
    answers: Vec<u8>,
}

impl Recorder {
    /// A device with empty slots of `len` bytes in all, which trusts `key`.
    ///
    /// # Errors
    /// If there is no room for two slots, or the key is none.
    pub fn new(len: usize, key: &[u8; 32]) -> anyhow::Result<Self> {
        let store = Store::open(Ram::erased(len), key, |_, _| true).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Self { store, server: Server::new(), unread: VecDeque::new(), sent: Vec::new(), answers: Vec::new() })
    }

    /// What was sent to it since the last call, and what it answered; then it starts the newest model.
    pub fn drain(&mut self) -> (Vec<u8>, Vec<u8>) {
        // The flash is RAM, which does not fail.
        self.store.select(|_, _| true).expect("a model is selected");
        self.unread.clear();
        (take(&mut self.sent), take(&mut self.answers))
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            let mut frame = [0; FRAME];
            if let Some((answer, _)) = self.server.answer(&mut self.store, byte, |_, _| true, &mut frame) {
                self.unread.extend(answer);
                self.answers.extend(answer);
            }
        }
        self.sent.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Recorder {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(ErrorKind::TimedOut.into());
        }
        let count = to.len().min(self.unread.len());
        to.iter_mut().zip(self.unread.drain(..count)).for_each(|(to, byte)| *to = byte);
        Ok(count)
    }
}
