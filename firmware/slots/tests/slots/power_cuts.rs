//! Power fails at every change of the flash during an update, the start after it and the recovery: a model that works always
//! remains.
//!
//! Proved, with each change cut before it, within it and after it, and each change of the start that follows cut again in the same
//! manner:
//!
//! * the old model runs or the new one, with all its bytes; where the new one fails its self-test at the start, always the old one;
//! * the version of the model that runs is the value of the counter, and no model of that version or below is accepted;
//! * the next update succeeds.
//!
//! That holds for the first update, into a slot that is blank, with words of 1, 4, 8 and 32 bytes; for later ones, which erase
//! the header and marks of a model that was confirmed once; for those that find an area of the counter full and erase the other,
//! blank or full; and for a model that passes its self-test when it is installed and fails it at the start, which is rolled back.

use std::cell::RefCell;
use std::fmt::Debug;

use crate::flash::{CUTS, Cut, FlashError, RamFlash};
use ed25519_dalek::SigningKey;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use teff_slots::{Header, Installed, Store, StoreError, UpdateError};

/// A model for these tests: any bytes that begin with `good` work.
fn model(version: u32, len: usize) -> Vec<u8> {
    let noise = (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(version * 97) >> 13) as u8);
    b"good".iter().copied().chain(noise).take(len).collect()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

fn works<F: ReadNorFlash>(flash: &mut F, installed: &Installed) -> bool {
    let mut start = [0; 4];
    flash.read(installed.range.start, &mut start).is_ok() && &start == b"good"
}

/// An update whose power is cut.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    /// The version that runs before it; versions from 1 on were installed one after another.
    old: u32,
    /// Whether the new model works at the start too, not only when it is installed.
    works: bool,
    /// Bytes of every model.
    len: usize,
}

impl Scenario {
    const fn new_version(self) -> u32 {
        self.old + 1
    }

    /// What the firmware says of a model at a start.
    fn judge<F: ReadNorFlash>(self) -> impl FnMut(&mut F, &Installed) -> bool {
        move |flash, installed| works(flash, installed) && (self.works || installed.version != self.new_version())
    }

    /// Starts the device: as firmware does, with power on.
    fn start<F: NorFlash>(self, flash: F) -> Result<Store<F>, StoreError<F::Error>> {
        Store::open(flash, &key().verifying_key().to_bytes(), self.judge())
    }

    /// Sends a model, and starts with it.
    fn install<F: NorFlash<Error: Debug>>(self, mut store: Store<F>, version: u32) -> Store<F> {
        update(&mut store, &model(version, self.len), version).expect("an update");
        self.start(store.into_flash()).expect("it starts")
    }

    /// A flash with the old version running.
    fn provisioned<const W: usize, const S: usize>(self, sectors: usize) -> RamFlash<W, S> {
        let blank = self.start(RamFlash::new(sectors)).expect("large enough");
        let store = (1..=self.old).fold(blank, |store, version| self.install(store, version));
        assert_eq!(store.active().map(|active| active.version), Some(self.old));
        store.into_flash()
    }

    /// Updates to the new version and starts with it, how far power allows; whether it did to the end.
    fn run<const W: usize, const S: usize>(self, flash: &RefCell<RamFlash<W, S>>) -> bool {
        let run = || -> Result<(), FlashError> {
            let mut store = self.start(Shared(flash)).map_err(lost)?;
            match update(&mut store, &model(self.new_version(), self.len), self.new_version()) {
                Ok(()) => {}
                Err(UpdateError::Flash(error)) => return Err(error),
                Err(error) => panic!("{error:?}"),
            }
            self.start(Shared(flash)).map_err(lost)?;
            Ok(())
        };
        match run() {
            Ok(()) => true,
            Err(FlashError::PowerLost) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Starts after a cut: gives the version that runs, and proves what holds for it.
    fn recover<const W: usize, const S: usize>(self, flash: &RamFlash<W, S>, change: u32, cut: Cut) -> u32 {
        let what = || format!("{self:?}, words of {W}, change {change}, {cut:?}");
        let mut store = self.start(flash.clone()).unwrap_or_else(|error| panic!("{}: {error:?}", what()));
        let Some(Installed { version, range, .. }) = store.active().cloned() else { panic!("{}: no model", what()) };
        assert!(version == self.old || (self.works && version == self.new_version()), "{}: {version}", what());
        // Starting changes marks and counter only: the models are those of before.
        let bytes = &flash.bytes[range.start as usize..range.end as usize];
        assert!(bytes == model(version, self.len), "{}: version {version} is damaged", what());
        // What has run once is never replaced by what is older.
        assert_eq!(store.confirmed(), version, "{}", what());
        for old in [self.old, version] {
            let header = Header::sign(&model(old, self.len), old, &key());
            assert_eq!(store.begin(&header), Err(UpdateError::Rollback { confirmed: version }), "{}", what());
        }
        // The update is repeated; in place of one that does not work comes the next.
        let next = if self.works { version + 1 } else { self.new_version() + 1 };
        let store = self.install(store, next);
        assert_eq!(store.active().map(|active| active.version), Some(next), "{}", what());
        assert_eq!(store.confirmed(), next, "{}", what());
        version
    }

    /// Cuts power at every change of the update and of the start after it; then again at every change of the start that follows
    /// the cut. Gives the flash before and after, uncut.
    fn every_cut<const W: usize, const S: usize>(self, sectors: usize) -> [RamFlash<W, S>; 2] {
        let mut before = self.provisioned::<W, S>(sectors);
        before.restore();
        let mut recoveries = [0; 2];
        let mut change = 0;
        let after = loop {
            let mut finished = None;
            for cut in CUTS {
                let flash = RefCell::new(before.clone());
                flash.borrow_mut().cut_after(change, cut);
                let done = self.run(&flash);
                let mut flash = flash.into_inner();
                flash.restore();
                recoveries[(self.recover(&flash, change, cut) - self.old) as usize] += 1;
                // The recovery is cut too.
                for again in 0.. {
                    let shared = RefCell::new(flash.clone());
                    shared.borrow_mut().cut_after(again, cut);
                    let started = self.start(Shared(&shared)).is_ok();
                    let mut twice = shared.into_inner();
                    twice.restore();
                    self.recover(&twice, change, cut);
                    if started {
                        break;
                    }
                }
                finished = finished.or(done.then_some(flash));
            }
            if let Some(flash) = finished {
                break flash;
            }
            change += 1;
        };
        println!(
            "{self:?}, words of {W}, sectors of {S}: {change} changes; {recoveries:?} recoveries to the old and the new"
        );
        assert!(change as usize > self.len / W, "all words of the model are cut at");
        assert!(recoveries[0] > 0 && (recoveries[1] > 0) == self.works, "{self:?}: {recoveries:?}");
        [before, after]
    }
}

/// Sends a whole update, in pieces of 96 bytes.
fn update<F: NorFlash>(store: &mut Store<F>, model: &[u8], version: u32) -> Result<(), UpdateError<F::Error>> {
    store.begin(&Header::sign(model, version, &key()))?;
    for at in (0..model.len()).step_by(96) {
        store.write(at as u32, &model[at..model.len().min(at + 96)])?;
    }
    store.finish(works)?;
    Ok(())
}

fn lost(error: StoreError<FlashError>) -> FlashError {
    match error {
        StoreError::Flash(error) => error,
        error => panic!("{error:?}"),
    }
}

/// A flash that outlives its store, for one that fails to open keeps it.
struct Shared<'f, const W: usize, const S: usize>(&'f RefCell<RamFlash<W, S>>);

impl<const W: usize, const S: usize> embedded_storage::nor_flash::ErrorType for Shared<'_, W, S> {
    type Error = FlashError;
}

impl<const W: usize, const S: usize> ReadNorFlash for Shared<'_, W, S> {
    const READ_SIZE: usize = RamFlash::<W, S>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl<const W: usize, const S: usize> NorFlash for Shared<'_, W, S> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = S;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

/// The first update, into a slot that is blank.
const FIRST: Scenario = Scenario { old: 1, works: true, len: 300 };

#[test]
fn words_of_4_bytes() {
    Scenario { len: 1_100, ..FIRST }.every_cut::<4, 512>(16);
}

#[test]
fn words_of_8_bytes() {
    Scenario { len: 2_000, ..FIRST }.every_cut::<8, 1024>(10);
}

#[test]
fn words_of_32_bytes() {
    Scenario { len: 2_050, ..FIRST }.every_cut::<32, 256>(30);
}

#[test]
fn bytes() {
    FIRST.every_cut::<1, 256>(20);
}

/// The slot of the new model holds one that was confirmed, with its marks: of each slot in turn.
#[test]
fn over_an_old_model() {
    for old in [2, 3] {
        let scenario = Scenario { old, works: true, len: 300 };
        scenario.every_cut::<8, 512>(16);
        scenario.every_cut::<32, 256>(30);
    }
}

/// The new model passes its self-test when it is installed and fails it at the start: the cuts are around the marks of the attempts
/// and of the rejection too.
#[test]
fn rolled_back() {
    for old in [1, 2] {
        let scenario = Scenario { old, works: false, len: 300 };
        scenario.every_cut::<8, 512>(16);
        scenario.every_cut::<32, 256>(30);
    }
}

/// Records in the two areas of the counter, each of one sector.
fn records<const W: usize, const S: usize>(flash: &RamFlash<W, S>) -> [usize; 2] {
    [0, S].map(|start| flash.bytes[start..start + S].chunks(32).filter(|record| record != &[0xFF; 32]).count())
}

/// An area of the counter is full when the new version is confirmed, and the other is erased: blank the first time, full the second.
#[test]
fn over_a_full_counter() {
    for (areas, expected) in [(1, [8, 1]), (2, [1, 8]), (3, [8, 1])] {
        let scenario = Scenario { old: 8 * areas, works: true, len: 200 };
        let [before, after] = scenario.every_cut::<32, 256>(30);
        assert_eq!((records(&before), records(&after)), (if areas == 1 { [8, 0] } else { [8, 8] }, expected));
    }
    let [before, after] = Scenario { old: 32, works: true, len: 200 }.every_cut::<8, 512>(16);
    assert_eq!((records(&before), records(&after)), ([16, 16], [1, 16]));
    let [before, after] = Scenario { old: 4, works: true, len: 100 }.every_cut::<4, 64>(60);
    assert_eq!((records(&before), records(&after)), ([2, 2], [1, 2]));
}
