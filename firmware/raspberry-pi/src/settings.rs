//! What is run on what.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Deserialize;

/// The applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Application {
    /// Each frame through the model.
    Digits,
    /// Step by step, as a PC asks.
    Compare,
    /// Words in sound.
    Keyword,
    /// A machine's vibrations.
    Vibration,
    /// Stories.
    Storyteller,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The bytes of the model's output.
    Bytes,
    /// A line for each frame: label and value of the highest.
    Text,
}

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What `teff-pi run` runs.
    pub application: Application,
    /// Models, of which the first that works is run.
    pub models: Vec<PathBuf>,
    /// Where frames or requests come from: see [`crate::stream::open`], and [`crate::sensor::Place::parse`] for vibration.
    pub frames: String,
    /// Where results or answers go.
    pub results: String,
    /// Bits per second of serial lines.
    pub baud: u32,
    /// How results are written.
    pub format: Format,
    /// `CHIP:LINE` of the pin that is high while the model runs.
    pub busy: Option<String>,
    /// Threads that large steps are split over.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            application: Application::Digits,
            models: Vec::new(),
            frames: "-".to_string(),
            results: "-".to_string(),
            baud: 115_200,
            format: Format::Bytes,
            busy: None,
            threads: 1,
        }
    }
}

/// What the command line says in place of the configuration.
#[derive(Debug, Default, clap::Args)]
pub struct Overrides {
    /// The .teff model
    #[arg(long, value_name = "MODEL.teff")]
    model: Option<PathBuf>,
    /// Where frames come from: - for standard input, a file, a serial line, tcp:ADDRESS:PORT, camera:/dev/video0;
    /// for vibration lis3dh: or adxl345: and a bus, /dev/i2c-1 or /dev/spidev0.0
    #[arg(long, value_name = "FROM")]
    frames: Option<String>,
    /// Where results go: - for standard output, a file, a serial line, tcp:ADDRESS:PORT
    #[arg(long, value_name = "TO")]
    results: Option<String>,
    /// Both of these at once, for a line with two directions
    #[arg(long, value_name = "LINE", conflicts_with_all = ["frames", "results"])]
    line: Option<String>,
    /// Bits per second of serial lines
    #[arg(long, value_name = "BAUD")]
    baud: Option<u32>,
    /// How results are written
    #[arg(long)]
    format: Option<Format>,
    /// The pin that is high while the model runs, e.g. /dev/gpiochip0:17
    #[arg(long, value_name = "CHIP:LINE")]
    busy: Option<String>,
    /// Threads that large steps are split over, with the same results
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
}

impl Settings {
    /// Reads the configuration file.
    ///
    /// # Errors
    /// If it cannot be read, or says what is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let what = || format!("the configuration {}", path.display());
        let text = fs::read_to_string(path).with_context(what)?;
        toml::from_str(&text).with_context(what)
    }

    /// With what the command line says.
    pub fn with(mut self, overrides: Overrides) -> Self {
        let Overrides { model, frames, results, line, baud, format, busy, threads } = overrides;
        if let Some(model) = model {
            self.models = vec![model];
        }
        self.frames = frames.or_else(|| line.clone()).unwrap_or(self.frames);
        self.results = results.or(line).unwrap_or(self.results);
        self.baud = baud.unwrap_or(self.baud);
        self.format = format.unwrap_or(self.format);
        self.busy = busy.or(self.busy);
        self.threads = threads.unwrap_or(self.threads);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_configuration_is_read_and_the_command_line_stands_above_it() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian/teff-pi.toml");
        let packaged = Settings::read(&path).unwrap();
        assert_eq!(packaged.application, Application::Digits);
        assert_eq!(packaged.models[0], Path::new("/var/lib/teff/model.teff"));
        assert_eq!((packaged.frames.as_str(), packaged.baud, packaged.threads), ("/dev/serial0", 115_200, 1));
        let overrides = Overrides {
            model: Some("m.teff".into()),
            line: Some("tcp:127.0.0.1:9".into()),
            format: Some(Format::Text),
            threads: Some(4),
            ..Overrides::default()
        };
        let settings = packaged.with(overrides);
        assert_eq!(settings.models, [Path::new("m.teff")]);
        assert_eq!((settings.frames.as_str(), settings.results.as_str()), ("tcp:127.0.0.1:9", "tcp:127.0.0.1:9"));
        assert_eq!((settings.format, settings.threads), (Format::Text, 4));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, "frame = \"-\"\n").unwrap();
        let error = format!("{:#}", Settings::read(&path).unwrap_err());
        assert!(error.contains("c.toml") && error.contains("frame"), "{error}");
    }
}
