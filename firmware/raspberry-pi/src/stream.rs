//! Where frames come from and results go.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serial2::SerialPort;
use teff::Model;

use crate::camera::Camera;
use crate::settings::Settings;

/// Frames or requests.
pub type Reader = Box<dyn Read>;
/// Results or answers.
pub type Writer = Box<dyn Write>;

/// Opens both directions.
///
/// | name | what it is |
/// |---|---|
/// | `-` | standard input, standard output |
/// | `tcp:ADDRESS:PORT` | waits there for one connection |
/// | `camera:/dev/video0` | frames only: pictures, as the input of the model |
/// | a character device | a serial line |
/// | any other path | a file |
///
/// Where both have the same name they are two directions of one line.
///
/// # Errors
/// If one of them cannot be opened.
pub fn open(settings: &Settings, model: &'static Model<'static>) -> Result<(Reader, Writer)> {
    let (frames, results, baud) = (settings.frames.as_str(), settings.results.as_str(), settings.baud);
    if frames == results && frames != "-" {
        return line(frames, baud).with_context(|| format!("cannot open the line {frames}"));
    }
    let reader: Reader = match frames.split_once(':') {
        Some(("camera", device)) => Box::new(Camera::open(device, model)?),
        Some(("tcp", _)) => line(frames, baud)?.0,
        _ if frames == "-" => Box::new(io::stdin()),
        _ if is_serial(frames) => line(frames, baud)?.0,
        _ => Box::new(File::open(frames).with_context(|| format!("cannot open the frames {frames}"))?),
    };
    Ok((reader, self::results(settings)?))
}

/// Opens where results go.
///
/// # Errors
/// If it cannot be opened.
pub fn results(settings: &Settings) -> Result<Writer> {
    let (results, baud) = (settings.results.as_str(), settings.baud);
    Ok(match results.split_once(':') {
        Some(("camera", _)) => bail!("results cannot go to a camera"),
        Some(("tcp", _)) => line(results, baud)?.1,
        _ if results == "-" => Box::new(Prompt(io::stdout())),
        _ if is_serial(results) => line(results, baud)?.1,
        _ => {
            let file = File::create(results).with_context(|| format!("cannot write the results {results}"))?;
            Box::new(BufWriter::new(file))
        }
    })
}

/// A line with two directions.
fn line(name: &str, baud: u32) -> Result<(Reader, Writer)> {
    if let Some(address) = name.strip_prefix("tcp:") {
        let what = || format!("{name}: wanted tcp:ADDRESS:PORT, such as tcp:0.0.0.0:7437");
        let address: SocketAddr = address.parse().with_context(what)?;
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        say!("waiting for a connection on {}", listener.local_addr()?);
        let (connection, peer) = listener.accept()?;
        say!("connected: {peer}");
        connection.set_nodelay(true)?;
        return Ok((Box::new(connection.try_clone()?), Box::new(connection)));
    }
    if !is_serial(name) {
        bail!("{name}: no serial line; frames and results need files of their own");
    }
    let mut port = SerialPort::open(name, baud).with_context(|| format!("cannot open the serial line {name}"))?;
    // A line never ends: a read waits for as long as it takes.
    port.set_read_timeout(std::time::Duration::from_secs(3600))?;
    Ok((Box::new(Patient(port.try_clone()?)), Box::new(port)))
}

fn is_serial(name: &str) -> bool {
    Path::new(name).metadata().is_ok_and(|metadata| metadata.file_type().is_char_device())
}

/// A serial line on which silence is no error.
struct Patient(SerialPort);

impl Read for Patient {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match Read::read(&mut self.0, to) {
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                done => return done,
            }
        }
    }
}

/// Standard output that shows each result at once.
struct Prompt(io::Stdout);

impl Write for Prompt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
