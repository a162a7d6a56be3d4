//! The applications of `firmware/app`, and which models they take.

use anyhow::{Result, bail};
use clap::ValueEnum;
use teff::Model;
use teff_app::{Mismatch, digits, keyword, storyteller, vibration};

/// An application of `firmware/app`, for which the crate of a board may have a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum App {
    /// Runs the model on inputs that come over a serial line, and sends its outputs back
    #[default]
    Digits,
    /// Hears words
    Keyword,
    /// Tells stories, on lines that come over a serial line
    Storyteller,
    /// Watches a machine with an accelerometer
    Vibration,
}

impl App {
    /// Its name on the command line; that of its source file, and the end of its program's name, unless it is the first.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Keyword => "keyword",
            Self::Storyteller => "storyteller",
            Self::Vibration => "vibration",
        }
    }

    /// Whether it takes `model`: what its firmware asks when it starts.
    ///
    /// # Errors
    /// What the model lacks.
    pub fn check(self, model: &Model<'_>) -> Result<(), Mismatch> {
        match self {
            Self::Digits => digits::check(model),
            Self::Keyword => keyword::check(model),
            Self::Storyteller => storyteller::check(model).map(|_| ()),
            Self::Vibration => vibration::check(model),
        }
    }

    /// That its programs can have model slots: a model comes over the line that the application reads.
    ///
    /// # Errors
    /// If it reads none.
    pub fn takes_updates(self) -> Result<()> {
        match self {
            Self::Digits | Self::Storyteller => Ok(()),
            Self::Keyword | Self::Vibration => bail!(
                "{} is fed by a microphone or a sensor, not by a line on which an update could come, so that its firmware has no model \
                 slots: to replace its model write the firmware with the new one in it (docs/boards.md)",
                self.name()
            ),
        }
    }

    /// The models that it takes, for a person.
    pub const fn wants(self) -> &'static str {
        match self {
            Self::Digits => "a model with one input, of which a frame holds the bytes",
            Self::Keyword => {
                "a streaming model from frames of 40 levels (int8, pixels) to the probabilities of 3 to 32 classes (int8, in \
                 256ths)"
            }
            Self::Storyteller => "a language model with a tokenizer, as `teff convert --lm` makes them",
            Self::Vibration => "a model from a spectrum of 32 bands to one score",
        }
    }

    /// A model that it takes, from the root of the repository.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Digits => "models/lightcnn-mnist/model.teff",
            Self::Keyword => "models/keyword/streaming.teff",
            Self::Storyteller => "models/storyteller/model.teff",
            Self::Vibration => "models/vibration/model.teff",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::aligned::AlignedBytes;

    /// Each of the shipped models is for its application; and for [`App::Digits`], if it has one input.
    #[test]
    fn the_shipped_models_are_for_their_applications_and_for_no_other() {
        let root = crate::board::repository().expect("the repository");
        let apps = [App::Digits, App::Keyword, App::Storyteller, App::Vibration];
        for shipped in apps {
            let bytes = fs::read(root.join(shipped.example())).expect("it is shipped");
            let bytes = AlignedBytes::from(bytes.as_slice());
            let model = Model::verify(&bytes).expect("it is valid");
            for app in apps {
                let taken = app == shipped || (app == App::Digits && shipped != App::Storyteller);
                assert_eq!(app.check(&model).is_ok(), taken, "{} for {}", shipped.example(), app.name());
            }
        }
    }
}
