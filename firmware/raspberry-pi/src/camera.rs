//! A camera as a stream of frames: each is the bytes of the model's input.

use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device};
use teff::Model;

use crate::picture::{Fitter, Layout, Size};

/// What is asked for; the driver may choose another size.
const WANTED: (u32, u32) = (320, 240);

/// The layouts that are understood, the best first.
const LAYOUTS: [(PixelFormat, Layout); 3] = [
    (PixelFormat::RGB3, Layout::Rgb),
    (PixelFormat::YUYV, Layout::Yuyv),
    (PixelFormat::from_fourcc(*b"GREY"), Layout::Grey),
];

/// A camera that is running.
pub struct Camera {
    stream: ReadStream,
    layout: Layout,
    size: Size,
    fitter: Fitter,
    /// What is left of the last frame, the next byte last.
    rest: Vec<u8>,
}

impl Camera {
    /// Opens the video device at `path` and starts it.
    ///
    /// # Errors
    /// If it is not there, is no camera, or has no layout that is understood; or the model takes no pictures.
    pub fn open(path: &str, model: &'static Model<'static>) -> Result<Self> {
        let fitter = Fitter::new(model)?;
        if !Path::new(path).exists() {
            bail!(
                "there is no camera at {path}: plug in a USB camera; `ls /dev/video*` shows those that there are. \
                 The camera on the Raspberry Pi's own connector is one only with the legacy driver, or through v4l2loopback"
            );
        }
        let device = Device::open(path).with_context(|| format!("cannot open the camera {path}"))?;
        let offered: Vec<PixelFormat> = device
            .formats(BufType::VIDEO_CAPTURE)
            .map(|format| format.map(|format| format.pixel_format()))
            .collect::<io::Result<_>>()
            .with_context(|| format!("{path} is no camera"))?;
        let Some(&(format, layout)) = LAYOUTS.iter().find(|(format, _)| offered.contains(format)) else {
            bail!("the camera {path} gives {offered:?}, wanted is one of {:?}", LAYOUTS.map(|(format, _)| format));
        };
        let what = || format!("the camera {path} cannot be started");
        let capture = device.video_capture(PixFormat::new(WANTED.0, WANTED.1, format)).with_context(what)?;
        let chosen = capture.format();
        if chosen.pixel_format() != format {
            bail!("the camera {path} offers {format:?} and gives {:?}", chosen.pixel_format());
        }
        let (width, height) = (chosen.width() as usize, chosen.height() as usize);
        let stride = (chosen.bytes_per_line() as usize).max(layout.line(width));
        let size = Size { width, height, stride };
        let stream = capture.into_stream().with_context(what)?;
        say!("camera {path}: {width}×{height}, {format:?}");
        Ok(Self { stream, layout, size, fitter, rest: Vec::new() })
    }
}

impl Read for Camera {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Self { stream, layout, size, fitter, .. } = self;
            // A damaged frame is left out.
            let fitted = stream.dequeue(|frame| {
                let fitted = (!frame.is_error()).then(|| fitter.fit(&frame, *layout, *size));
                fitted.transpose().map_err(io::Error::other)
            })?;
            self.rest = fitted.unwrap_or_default();
            self.rest.reverse();
        }
        let count = to.len().min(self.rest.len());
        let next = self.rest.drain(self.rest.len() - count..).rev();
        to.iter_mut().zip(next).for_each(|(to, byte)| *to = byte);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_camera_is_named_with_a_remedy() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/lightcnn-mnist/model.teff");
        let loaded = crate::model::load(&path).unwrap();
        let why = |path: &str| format!("{:#}", Camera::open(path, loaded.model()).err().unwrap());
        assert!(why("/dev/video-none").starts_with("there is no camera at /dev/video-none: plug in"));
        assert!(why("/dev/null").contains("/dev/null"), "{}", why("/dev/null"));
    }
}
