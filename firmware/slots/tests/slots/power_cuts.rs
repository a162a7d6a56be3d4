//! Power fails at every change of the flash during an update, a start and a recovery: a model that works always remains.

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

/// Starts the device: as firmware does, with power on.
fn start<F: NorFlash>(flash: F) -> Result<Store<F>, StoreError<F::Error>> {
    Store::open(flash, &key().verifying_key().to_bytes(), works)
}

/// Sends a whole update, in pieces of 96 bytes, going on where `resume` says.
fn update<F: NorFlash>(
    store: &mut Store<F>,
    model: &[u8],
    version: u32,
    resume: usize,
) -> Result<(), UpdateError<F::Error>> {
    store.begin(&Header::sign(model, version, &key()))?;
    for at in (resume..model.len()).step_by(96) {
        store.write(at as u32, &model[at..model.len().min(at + 96)])?;
    }
    store.finish(works)?;
    Ok(())
}

/// The active version; that its bytes are those of its model.
fn active<const W: usize, const S: usize>(store: &Store<RamFlash<W, S>>, flash: &[u8], len: usize) -> Option<u32> {
    let installed = store.active()?;
    let range = installed.range.start as usize..installed.range.end as usize;
    assert!(flash[range] == model(installed.version, len), "version {} is damaged", installed.version);
    Some(installed.version)
}

/// A flash with version 1 running.
fn provisioned<const W: usize, const S: usize>(sectors: usize, len: usize) -> RamFlash<W, S> {
    let mut store = start(RamFlash::new(sectors)).expect("large enough");
    update(&mut store, &model(1, len), 1, 0).expect("the first update");
    let store = start(store.into_flash()).expect("it starts");
    assert_eq!(store.active().map(|active| active.version), Some(1));
    store.into_flash()
}

/// Updates to `new` and starts with it; how far power allows.
fn update_and_start<const W: usize, const S: usize>(flash: RamFlash<W, S>, new: &[u8]) -> (RamFlash<W, S>, bool) {
    // A power cut leaves the flash in the store that failed to open: keep a handle outside.
    let flash = std::cell::RefCell::new(flash);
    let run = || -> Result<(), FlashError> {
        let mut store = start(Shared(&flash)).map_err(lost)?;
        match update(&mut store, new, 2, 0) {
            Ok(()) => {}
            Err(UpdateError::Flash(error)) => return Err(error),
            Err(error) => panic!("{error:?}"),
        }
        start(Shared(&flash)).map_err(lost)?;
        Ok(())
    };
    let done = match run() {
        Ok(()) => true,
        Err(FlashError::PowerLost) => false,
        Err(error) => panic!("{error:?}"),
    };
    let mut flash = flash.into_inner();
    if done {
        flash.restore();
    }
    (flash, done)
}

fn lost(error: StoreError<FlashError>) -> FlashError {
    match error {
        StoreError::Flash(error) => error,
        error => panic!("{error:?}"),
    }
}

/// A flash that outlives its store.
struct Shared<'f, const W: usize, const S: usize>(&'f std::cell::RefCell<RamFlash<W, S>>);

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

/// Cuts power at every change of an update from version 1 to 2 and of the start after it; then again at every change of the
/// start that follows the cut. After each of them one of the two runs, whole; and a repeated update succeeds.
fn every_cut<const W: usize, const S: usize>(sectors: usize, len: usize) {
    let before = provisioned::<W, S>(sectors, len);
    let new = model(2, len);
    let mut versions = [0; 2];
    let mut change = 0;
    loop {
        let mut finished = false;
        for cut in CUTS {
            let mut flash = before.clone();
            flash.restore();
            flash.cut_after(change, cut);
            let (mut flash, done) = update_and_start(flash, &new);
            finished |= done;
            flash.restore();
            versions[recover(&flash, len, W, change, cut) as usize - 1] += 1;
            // The recovery is cut too.
            let mut again = 0;
            loop {
                let shared = std::cell::RefCell::new(flash.clone());
                shared.borrow_mut().cut_after(again, cut);
                let outcome = start(Shared(&shared)).map(|store| store.active().map(|active| active.version));
                let mut twice = shared.into_inner();
                twice.restore();
                match outcome {
                    Ok(version) => {
                        assert!(version.is_some());
                        break;
                    }
                    Err(_) => recover(&twice, len, W, change, cut),
                };
                again += 1;
            }
        }
        if finished {
            break;
        }
        change += 1;
    }
    println!("words of {W}, sectors of {S}: {change} changes; {versions:?} recoveries to version 1 and 2");
    assert!(change as usize > len / W, "all words of the model are cut at");
    assert!(versions.iter().all(|&count| count > 0));
}

/// Starts after a cut: gives the version that runs, and proves that the update can be repeated until it succeeds.
fn recover<const W: usize, const S: usize>(
    flash: &RamFlash<W, S>,
    len: usize,
    word: usize,
    change: u32,
    cut: Cut,
) -> u32 {
    let what = || format!("words of {word}, change {change}, {cut:?}");
    let store = start(flash.clone()).unwrap_or_else(|error| panic!("{}: {error:?}", what()));
    // Starting changes marks and counter only: the models are those of before.
    let version = active(&store, &flash.bytes, len).unwrap_or_else(|| panic!("{}: no model", what()));
    let mut store = store;
    if version == 1 {
        update(&mut store, &model(2, len), 2, 0).unwrap_or_else(|error| panic!("{}: {error:?}", what()));
        let store = start(store.into_flash()).expect("it starts");
        assert_eq!(store.active().map(|active| active.version), Some(2), "{}", what());
        assert_eq!(store.confirmed(), 2);
    } else {
        // What has run once is never replaced by what is older.
        let old = Header::sign(&model(1, len), 1, &key());
        assert_eq!(store.begin(&old), Err(UpdateError::Rollback { confirmed: 2 }), "{}", what());
    }
    version
}

#[test]
fn words_of_4_bytes() {
    every_cut::<4, 512>(16, 1_500);
}

#[test]
fn words_of_8_bytes() {
    every_cut::<8, 1024>(10, 2_000);
}

#[test]
fn words_of_32_bytes() {
    every_cut::<32, 256>(30, 2_050);
}

#[test]
fn bytes() {
    every_cut::<1, 512>(10, 700);
}
