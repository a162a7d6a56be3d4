//! What a store accepts, refuses and recovers from.

use crate::flash::RamFlash;
use ed25519_dalek::SigningKey;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use teff_slots::{
    ATTEMPTS, Begun, Header, HeaderError, Installed, Region, RegionError, Slot, Store, StoreError, UpdateError,
};

type Flash = RamFlash<4, 512>;

const SECTOR: u32 = 512;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

fn public() -> [u8; 32] {
    key().verifying_key().to_bytes()
}

fn good(_: &mut Flash, _: &Installed) -> bool {
    true
}

fn bad(_: &mut Flash, _: &Installed) -> bool {
    false
}

fn send(store: &mut Store<Flash>, model: &[u8], from: usize) {
    let pieces = model[from..].chunks(64);
    pieces.fold(from as u32, |at, piece| store.write(at, piece).expect("it is written"));
}

fn install(store: &mut Store<Flash>, model: &[u8], version: u32) {
    store.begin(&Header::sign(model, version, &key())).expect("it begins");
    send(store, model, 0);
    store.finish(good).expect("it finishes");
}

fn running(version: u32) -> Store<Flash> {
    let mut store = Store::open(Flash::new(16), &public(), good).expect("large enough");
    for version in 1..=version {
        install(&mut store, &[version as u8; 900], version);
        store.select(good).expect("the flash works");
    }
    store
}

fn version(store: &Store<Flash>) -> Option<u32> {
    store.active().map(|active| active.version)
}

#[test]
fn updates_take_turns_between_the_slots() {
    let mut store = running(0);
    assert_eq!((store.active(), store.confirmed()), (None, 0));
    for n in 1..=70 {
        install(&mut store, &[n as u8; 900], n);
        let active = store.select(good).expect("the flash works").expect("a model").clone();
        assert_eq!(active.slot, if n % 2 == 1 { Slot::A } else { Slot::B });
        let mut bytes = [0; 900];
        let mut flash = store.into_flash();
        flash.read(active.range.start, &mut bytes).expect("the flash works");
        assert_eq!(bytes, [n as u8; 900]);
        // The counter's areas are full and erased several times on the way.
        store = Store::open(flash, &public(), good).expect("it starts again");
        assert_eq!((version(&store), store.confirmed()), (Some(n), n));
    }
}

#[test]
fn what_is_refused_leaves_the_flash_untouched() {
    let mut store = running(2);
    let model = [3; 900];
    let other = SigningKey::from_bytes(&[1; 32]);
    let refusals = [
        (Header::sign(&model, 3, &other), UpdateError::Header(HeaderError::Signature)),
        (Header::sign(&model, 2, &key()), UpdateError::Rollback { confirmed: 2 }),
        (Header::sign(&model, 1, &key()), UpdateError::Rollback { confirmed: 2 }),
        (Header::sign(&[0; 9_000], 3, &key()), UpdateError::TooLong { capacity: store.capacity() }),
    ];
    let before = store.into_flash();
    store = Store::open(before.clone(), &public(), good).expect("it starts");
    for (header, error) in refusals {
        assert_eq!(store.begin(&header), Err(error));
        assert_eq!(store.write(0, &[0; 32]), Err(UpdateError::NotBegun));
        assert_eq!(store.finish(good), Err(UpdateError::NotBegun));
    }
    assert!(store.into_flash().bytes == before.bytes);
}

#[test]
fn bytes_that_were_not_signed_never_start() {
    let mut store = running(1);
    let model: Vec<u8> = (0..900).map(|i| i as u8).collect();
    store.begin(&Header::sign(&model, 2, &key())).expect("it begins");
    let mut other = model.clone();
    other[500] ^= 1;
    send(&mut store, &other, 0);
    assert_eq!(store.finish(|_, _| panic!("not to be judged")), Err(UpdateError::Digest));
    assert_eq!(store.select(good).expect("the flash works").map(|active| active.version), Some(1));
    // The sender begins again, and only what is wrong is sent.
    assert_eq!(store.begin(&Header::sign(&model, 2, &key())), Ok(Begun::Resumed));
    assert_eq!(store.prefix_crc(500), Ok(teff::crc32(&model[..500])));
    assert_ne!(store.prefix_crc(501), Ok(teff::crc32(&model[..501])));
    send(&mut store, &model, 0);
    assert!(store.finish(good).is_ok());
}

#[test]
fn an_interrupted_update_goes_on_at_a_sector() {
    let mut store = running(1);
    let model: Vec<u8> = (0..1_500).map(|i| (i / 3) as u8).collect();
    let header = Header::sign(&model, 2, &key());
    assert_eq!(store.begin(&header), Ok(Begun::Fresh));
    send(&mut store, &model[..1_216], 0);
    let mut store = Store::open(store.into_flash(), &public(), good).expect("it starts");
    assert_eq!(version(&store), Some(1));
    assert_eq!(store.begin(&header), Ok(Begun::Resumed));
    assert_eq!(store.prefix_crc(2 * SECTOR), Ok(teff::crc32(&model[..2 * SECTOR as usize])));
    assert_eq!(store.write(1_216, &[0; 32]), Err(UpdateError::Offset { next: 0 }));
    send(&mut store, &model, 2 * SECTOR as usize);
    store.finish(good).expect("it is whole");
    assert_eq!(store.select(good).expect("the flash works").map(|active| active.version), Some(2));
}

#[test]
fn a_model_that_fails_is_never_tried_again() {
    let mut store = running(1);
    store.begin(&Header::sign(&[2; 900], 2, &key())).expect("it begins");
    send(&mut store, &[2; 900], 0);
    assert_eq!(store.finish(bad), Err(UpdateError::Judged));
    assert!(store.finish(good).is_ok());
    let reject_2 = |_: &mut Flash, installed: &Installed| installed.version != 2;
    assert_eq!(store.select(reject_2).expect("the flash works").map(|active| active.version), Some(1));
    assert_eq!(store.confirmed(), 1);
    assert_eq!(store.select(good).expect("the flash works").map(|active| active.version), Some(1));
    // The same version may come again, repaired.
    install(&mut store, &[22; 900], 2);
    assert_eq!(store.select(good).expect("the flash works").map(|active| active.version), Some(2));
}

#[test]
fn a_model_that_stops_the_device_is_given_up() {
    let mut store = running(1);
    install(&mut store, &[2; 900], 2);
    let mut flash = store.into_flash();
    for _ in 0..ATTEMPTS {
        // The device hangs in the self-test, and the watchdog ends it.
        flash = hang(flash);
    }
    let store = Store::open(flash, &public(), good).expect("it starts");
    assert_eq!(version(&store), Some(1));
}

/// What the flash is after a start during which version 2 hung.
fn hang(flash: Flash) -> Flash {
    let mut left = None;
    let judge = |judged: &mut Flash, installed: &Installed| {
        if installed.version == 2 {
            left = Some(judged.clone());
        }
        true
    };
    let store = Store::open(flash, &public(), judge);
    drop(store);
    left.expect("version 2 was tried")
}

#[test]
fn a_damaged_model_gives_way_to_the_one_before() {
    let store = running(2);
    let range = store.active().expect("a model").range.clone();
    let mut flash = store.into_flash();
    flash.bytes[range.start as usize + 17] ^= 4;
    let store = Store::open(flash, &public(), good).expect("it starts");
    assert_eq!((version(&store), store.confirmed()), (Some(1), 2));
}

#[test]
fn a_flash_that_is_too_small_and_a_key_that_is_none_are_errors() {
    assert_eq!(Store::open(Flash::new(5), &public(), good).err(), Some(StoreError::TooSmall));
    assert!(Store::open(Flash::new(6), &public(), good).is_ok());
    let no_point = [2; 32];
    assert_eq!(Store::open(Flash::new(16), &no_point, good).err(), Some(StoreError::Key));
}

#[test]
fn a_region_is_all_that_is_touched() {
    let whole = Flash::new(20);
    for (start, len) in [(1, SECTOR), (0, 1), (0, 21 * SECTOR), (u32::MAX - SECTOR + 1, SECTOR)] {
        assert!(Region::new(whole.clone(), start, len).is_none(), "{start} {len}");
    }
    let mut flash = whole;
    let before: Vec<u8> = (0..2 * SECTOR).map(|n| n as u8).collect();
    flash.write(0, &before).expect("it is erased");
    let region = Region::new(&mut flash, 2 * SECTOR, 16 * SECTOR).expect("whole sectors of the flash");
    let mut store = Store::open(region, &public(), |_, _| true).expect("large enough");
    store.begin(&Header::sign(&[7; 900], 1, &key())).expect("it begins");
    store.write(0, &[7; 900]).expect("it is written");
    let installed = store.finish(|_, _| true).expect("it finishes");
    let mut region = store.into_flash();
    let mut bytes = [0; 900];
    region.read(installed.range.start, &mut bytes).expect("within");
    assert_eq!(bytes, [7; 900]);
    assert_eq!(region.erase(0, 17 * SECTOR), Err(RegionError::OutOfBounds));
    assert_eq!(region.write(16 * SECTOR, &[0; 4]), Err(RegionError::OutOfBounds));
    assert_eq!(region.read(16 * SECTOR - 2, &mut [0; 4]), Err(RegionError::OutOfBounds));
    let place = (2 * SECTOR + installed.range.start) as usize;
    assert_eq!(flash.bytes[place..][..900], [7; 900]);
    assert_eq!(flash.bytes[..before.len()], before);
    assert!(flash.bytes[18 * SECTOR as usize..].iter().all(|&byte| byte == 0xFF));
}
