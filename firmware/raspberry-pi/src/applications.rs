//! The applications of `firmware/app` on what Linux gives them.

use anyhow::{Context, Result, anyhow, bail};
use embedded_io_adapters::std::FromStd;
use teff_app::vibration::sensor::{Recording, Sensor};
use teff_app::vibration::spectrum::BandEnergies;
use teff_app::{Unconnected, compare, digits, keyword, storyteller, vibration};

use crate::model::Loaded;
use crate::pin::Busy;
use crate::sensor::{Found, Place};
use crate::settings::{Application, Format, Settings};
use crate::stream::{self, Writer};
use crate::text;

/// Runs `application` until its stream ends.
///
/// # Errors
/// The first thing that went wrong.
pub fn run(application: Application, settings: &Settings, loaded: Loaded) -> Result<()> {
    if settings.format == Format::Text && application != Application::Digits {
        bail!("only the results of digits can be written as text");
    }
    if let Some(place) = Place::parse(&settings.frames)? {
        if application != Application::Vibration {
            bail!("{}: only vibration takes an accelerometer", settings.frames);
        }
        return watch(place, settings, loaded);
    }
    let (reader, writer) = stream::open(settings, loaded.model())?;
    let reader = FromStd::new(reader);
    let embedded = loaded.embedded;
    let done = match application {
        Application::Digits => return frames(settings, loaded, reader, writer),
        Application::Vibration => return vibrations(Recording(reader), settings, loaded, writer),
        Application::Compare => {
            let answers = compare::run(embedded, loaded.memory, reader, FromStd::new(writer));
            format!("{} answers", answers.map_err(|error| anyhow!("{error}"))?)
        }
        Application::Keyword => {
            let heard = Busy::open(settings.busy.as_deref())?;
            let board = keyword::Board { sound: reader, results: FromStd::new(writer), heard };
            let summary = keyword::run(embedded, loaded.memory, board).map_err(|error| anyhow!("{error}"))?;
            format!("{} words in {} runs, output CRC-32 {:08x}", summary.words, summary.runs, summary.crc)
        }
        Application::Storyteller => {
            let settings = storyteller::Settings::DEMO;
            let summary = storyteller::run(embedded, loaded.memory, settings, reader, FromStd::new(writer));
            let summary = summary.map_err(|error| anyhow!("{error}"))?;
            format!("{} stories, {} tokens, output CRC-32 {:08x}", summary.stories, summary.tokens, summary.crc)
        }
    };
    say!("{done}");
    Ok(())
}

type Reader = FromStd<stream::Reader>;

fn frames(settings: &Settings, loaded: Loaded, frames: Reader, writer: Writer) -> Result<()> {
    let writer = match settings.format {
        Format::Bytes => writer,
        Format::Text => Box::new(text::Text::new(loaded.model(), writer).context("the model's output as text")?),
    };
    let busy = Busy::open(settings.busy.as_deref())?;
    let board = digits::Board { frames, results: FromStd::new(writer), busy };
    let summary = digits::run(loaded.embedded, loaded.memory, board).map_err(|error| anyhow!("{error}"))?;
    say!("{} frames, output CRC-32 {:08x}", summary.frames, summary.crc);
    Ok(())
}

fn watch(place: Place<'_>, settings: &Settings, loaded: Loaded) -> Result<()> {
    let sensor = place.open()?;
    let writer = stream::results(settings)?;
    match sensor {
        Found::I2c(sensor) => vibrations(sensor, settings, loaded, writer),
        Found::Adxl345(sensor) => vibrations(sensor, settings, loaded, writer),
        Found::Lis3dh(sensor) => vibrations(sensor, settings, loaded, writer),
    }
}

fn vibrations<S: Sensor>(sensor: S, settings: &Settings, loaded: Loaded, writer: Writer) -> Result<()> {
    let alarm = Busy::open(settings.busy.as_deref())?;
    let board = vibration::Board { sensor, results: FromStd::new(writer), level: Unconnected, alarm };
    let mut energies = Box::new(BandEnergies::new());
    let summary = vibration::run(loaded.embedded, loaded.memory, &mut energies, board);
    let summary = summary.map_err(|error| anyhow!("{error}"))?;
    say!("{} scores, {} with the alarm raised", summary.scores, summary.alarms);
    Ok(())
}
