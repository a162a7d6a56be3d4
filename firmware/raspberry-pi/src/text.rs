//! Results for people: a line for each frame.

use std::io::{self, Write};

use anyhow::{Context, Result};
use teff::Model;
use teff::format::Tensor;

/// Takes the bytes of outputs, and writes for each the label and the real value of its highest element.
pub struct Text<W> {
    tensor: Tensor<'static>,
    labels: Vec<&'static str>,
    /// Bytes of an output that has not come whole yet.
    output: Vec<u8>,
    to: W,
}

impl<W: Write> Text<W> {
    /// For the first output of `model`.
    ///
    /// # Errors
    /// If it has none.
    pub fn new(model: &'static Model<'static>, to: W) -> Result<Self> {
        let port = model.entry(0).and_then(|entry| entry.outputs().next()).context("the model has no output")?;
        let tensor = port.tensor().context("the model's output is no tensor")?;
        Ok(Self { tensor, labels: model.labels().collect(), output: Vec::new(), to })
    }

    /// Of elements that are equally high the first counts.
    fn line(&self) -> String {
        let reals = self.tensor.read_reals(&self.output).enumerate();
        let highest = reals.reduce(|best, next| if next.1 > best.1 { next } else { best });
        let (index, value) = highest.unwrap_or((0, 0.0));
        match self.labels.get(index) {
            Some(label) => format!("{label} {value:.3}\n"),
            None => format!("{index} {value:.3}\n"),
        }
    }
}

impl<W: Write> Write for Text<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            self.output.push(byte);
            if self.output.len() == self.tensor.byte_len() {
                self.to.write_all(self.line().as_bytes())?;
                self.output.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_output_is_a_line_however_its_bytes_come() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/lightcnn-mnist/model.teff");
        let loaded = crate::model::load(&path).unwrap();
        let mut lines = Vec::new();
        let mut text = Text::new(loaded.model(), &mut lines).unwrap();
        // Ten probabilities of 1/256 from −128 on.
        let mut outputs = [0x80_u8; 20];
        outputs[3] = 0x7F;
        outputs[14] = 0;
        outputs[15] = 0;
        for piece in outputs.chunks(7) {
            text.write_all(piece).unwrap();
        }
        assert_eq!(String::from_utf8(lines).unwrap(), "3 0.996\n4 0.500\n");
    }
}
