//! Serial lines to devices, and questions over them.

mod client;

pub use client::{Client, Patience};

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serial2::SerialPort;

/// A line to a device: a read that gets nothing for a while is an error of the kind `TimedOut` or `WouldBlock`.
pub trait Line: Read + Write + Send {}

impl<T: Read + Write + Send> Line for T {}

/// How long a read waits.
const READ: Duration = Duration::from_millis(50);

/// Opens `port`: the path or name of a serial port, or `tcp:HOST:PORT` for one that is reached over a network or is an
/// emulator's.
///
/// # Errors
/// If it cannot be opened.
pub fn open(port: &str, baud: u32) -> Result<Box<dyn Line>> {
    if let Some(address) = port.strip_prefix("tcp:") {
        let parts = address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        let is_address = matches!(parts, Some((host, Ok(_))) if !host.is_empty());
        ensure!(is_address, "{port} is no line: wanted is tcp:HOST:PORT, such as tcp:localhost:4000");
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_read_timeout(Some(READ))?;
        stream.set_nodelay(true)?;
        return Ok(Box::new(stream));
    }
    let opened = SerialPort::open(port, baud).and_then(|mut line| {
        line.set_read_timeout(READ)?;
        Ok(line)
    });
    Ok(Box::new(opened.with_context(|| format!("cannot open the serial port {port}: is the board plugged in?"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_told_what_is_wanted() {
        for port in ["tcp:", "tcp:nohost", "tcp::4000", "tcp:localhost:", "tcp:localhost:port", "tcp:localhost:70000"] {
            let error = format!("{:#}", open(port, 0).err().expect(port));
            assert_eq!(error, format!("{port} is no line: wanted is tcp:HOST:PORT, such as tcp:localhost:4000"));
        }
    }
}
