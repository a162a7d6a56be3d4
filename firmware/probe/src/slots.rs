//! The model of a slot, in place of the firmware's own, and updates of it over the application's line.
#![allow(unsafe_code)]

use core::fmt::{Debug, Display};
use core::ops::Range;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use teff::{Model, Session};
use teff_app::compare;
use teff_app::digits::{self, Board, Embedded};
use teff_app::storyteller::{self, Prompts};
pub use teff_slots::Region;
use teff_slots::{Installed, Served, Server, Store, Tap};

/// How a firmware gets at the bytes of the models in its flash.
pub trait Access<F>: sealed::Access<F> {}

impl<F, A: sealed::Access<F>> Access<F> for A {}

mod sealed {
    pub trait Access<F> {
        /// The bytes of a model that is installed, until the next call.
        fn bytes(&mut self, flash: &mut F, range: &core::ops::Range<u32>) -> Option<&'static [u8]>;
    }
}

/// The slots as the processor reads them: model files are used where they lie.
#[derive(Debug)]
pub struct Mapped {
    start: *const u8,
    len: usize,
}

impl Mapped {
    /// # Safety
    /// `start` is the address of the first byte of the flash that is given to [`run`] with it, `len` its size; it is a multiple of 16,
    /// reading there gives what the flash holds, and nothing but [`run`] writes to that flash.
    pub const unsafe fn new(start: *const u8, len: usize) -> Self {
        Self { start, len }
    }
}

impl<F> sealed::Access<F> for Mapped {
    fn bytes(&mut self, _: &mut F, range: &Range<u32>) -> Option<&'static [u8]> {
        let (start, end) = (range.start as usize, range.end as usize);
        let len = end.checked_sub(start).filter(|_| end <= self.len)?;
        // SAFETY: the range is within the mapped flash, as `new` was promised. A store writes to the bytes of a model only
        // before it is installed, or while the other one is active; `run` keeps no slice across a call of it.
        Some(unsafe { core::slice::from_raw_parts(self.start.add(start), len) })
    }
}

/// Memory to which a model is copied, where the processor cannot read the slots in place.
#[derive(Debug)]
pub struct Copied(&'static mut [u8]);

impl Copied {
    /// The memory; a longer model does not work.
    pub const fn new<const LEN: usize>(memory: &'static mut teff::Aligned<[u8; LEN]>) -> Self {
        Self(&mut memory.0)
    }
}

impl<F: ReadNorFlash> sealed::Access<F> for Copied {
    fn bytes(&mut self, flash: &mut F, range: &Range<u32>) -> Option<&'static [u8]> {
        let bytes = self.0.get_mut(..range.end.checked_sub(range.start)? as usize)?;
        flash.read(range.start, bytes).ok()?;
        // SAFETY: the memory is there for ever, and is written to by this function alone; `run` keeps no slice across a call of it.
        Some(unsafe { core::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) })
    }
}

/// The `len` bytes of a flash from `start` on; stops where they are no whole sectors of it.
pub fn region<F: NorFlash>(flash: F, start: usize, len: usize) -> Region<F> {
    match Region::new(flash, start as u32, len as u32) {
        Some(region) => region,
        None => crate::fail(&"the slots are no whole sectors of the flash"),
    }
}

/// Runs digits for ever, or until something fails, with the model that the slots in `flash` select, or with `own` where they hold
/// none that `key` signed and that works here: with the operators of `own`, the only ones that the firmware links, and within
/// `memory`. A new model may come over the line of the frames at any time (`teff push`).
pub fn run<F: NorFlash<Error: Debug>, A: Access<F>, R: Read, W: Write, P: OutputPin>(
    flash: (F, A),
    key: &[u8; 32],
    own: Embedded,
    memory: &mut [u8],
    board: Board<R, W, P>,
) -> ! {
    let Board { frames, results, mut busy } = board;
    between_updates(flash, key, own, memory, (frames, results), |embedded, memory, frames, results| {
        digits::run(embedded, memory, Board { frames, results, busy: &mut busy })
    })
}

/// As [`run`], the storyteller: a new model may come over the line of the prompts while no story is told. Lines that are no prompts
/// are passed over.
pub fn run_storyteller<F: NorFlash<Error: Debug>, A: Access<F>, R: Read, W: Write>(
    flash: (F, A),
    key: &[u8; 32],
    own: Embedded,
    memory: &mut [u8],
    settings: storyteller::Settings,
    line: (R, W),
) -> ! {
    between_updates(flash, key, own, memory, line, |embedded, memory, prompts, text| {
        storyteller::run(embedded, memory, settings, Prompts::new(prompts), text)
    })
}

/// Runs `application` on a line, and answers there whenever a request is heard; the application begins anew after that.
fn between_updates<F: NorFlash<Error: Debug>, A: Access<F>, R: Read, W: Write, T, E: Display>(
    (flash, models): (F, A),
    key: &[u8; 32],
    own: Embedded,
    memory: &mut [u8],
    (input, mut output): (R, W),
    mut application: impl FnMut(Embedded, &mut [u8], &mut Tap<R>, &mut W) -> Result<T, E>,
) -> ! {
    let mut judge = Judge { models, own, memory, last: None };
    let store = match Store::open(flash, key, |flash, installed| judge.works(flash, installed)) {
        Ok(store) => Some(store),
        Err(error) => {
            judge.last = None;
            defmt::error!("model slots: {}", defmt::Display2Format(&error));
            None
        }
    };
    if cfg!(feature = "compare") {
        crate::ended(compare::run(judge.selected(), judge.memory, input, output));
    }
    let mut input = Tap::new(input);
    let Some(mut store) = store else {
        // Without slots nothing that is heard is answered.
        loop {
            let outcome = application(judge.selected(), judge.memory, &mut input, &mut output);
            if input.take_heard().is_none() {
                crate::ended(outcome);
            }
        }
    };
    let mut server = Server::new();
    loop {
        let outcome = application(judge.selected(), judge.memory, &mut input, &mut output);
        let Some(heard) = input.take_heard() else { crate::ended(outcome) };
        let mut works = |flash: &mut F, installed: &Installed| judge.works(flash, installed);
        let served = match server.resume(&store, heard, &mut output) {
            Ok(None) => server.serve(&mut store, input.line(), &mut output, &mut works).ok(),
            Ok(served) => served,
            Err(_) => None,
        };
        match served {
            Some(Served::Finished { .. }) => {}
            Some(Served::Refused(refusal)) => {
                defmt::info!("model slots: an update was refused: {}", defmt::Display2Format(&refusal));
            }
            Some(Served::LineEnded) | None => crate::fail(&"the serial line has ended"),
        }
        // After a refusal too: the model that was refused may have been copied over the one that runs.
        judge.last = None;
        if let Err(error) = store.select(|flash, installed| judge.works(flash, installed)) {
            judge.last = None;
            defmt::error!("model slots: the flash failed: {}", defmt::Debug2Format(&error));
        }
    }
}

/// Tries models.
struct Judge<'m, A> {
    models: A,
    own: Embedded,
    memory: &'m mut [u8],
    /// Version and bytes of the last model that worked: after a selection, of the one that is to run.
    last: Option<(u32, &'static [u8])>,
}

impl<A> Judge<'_, A> {
    /// Whether an installed model works here.
    fn works<F>(&mut self, flash: &mut F, installed: &Installed) -> bool
    where
        A: Access<F>,
    {
        self.last = None;
        let Some(bytes) = self.models.bytes(flash, &installed.range) else { return false };
        let Ok(model) = Model::verify_with(bytes, self.own.ops) else { return false };
        let works = Session::new(&model, self.memory).is_ok_and(|mut session| session.self_test().is_ok());
        self.last = works.then_some((installed.version, bytes));
        works
    }

    /// The model that was selected, or the firmware's own.
    fn selected(&self) -> Embedded {
        match self.last {
            Some((version, model)) => {
                defmt::info!("model slots: version {=u32}", version);
                Embedded { model, ops: self.own.ops }
            }
            None => {
                defmt::info!("model slots: none that works, the firmware's own model runs");
                self.own
            }
        }
    }
}
