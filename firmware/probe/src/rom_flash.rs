//! The flash of the RP2040 and RP2350, written by functions of their boot ROM.
//!
//! The firmware runs from the flash that it writes: while the ROM works on it, nothing may be read from it. Source: RP2040
//! datasheet, 2.8.3.1.3 "Flash Access Functions"; RP2350 datasheet, 5.4.8.
#![allow(unsafe_code)]

use core::hint::black_box;
use core::ptr;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::slots::Mapped;

/// Bytes that the ROM programs at once, within one page.
const PAGE: usize = 256;
/// Bytes that it erases at once.
const SECTOR: usize = 4096;
/// No larger block is erased at once: none fits.
const NO_BLOCK: u32 = 1 << 31;

/// The functions of the boot ROM.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // Their names are those of the datasheet.
pub struct Functions {
    pub connect_internal_flash: unsafe extern "C" fn(),
    pub flash_exit_xip: unsafe extern "C" fn(),
    /// Offset in the flash, bytes, bytes of a larger block, and the command that erases one.
    pub flash_range_erase: unsafe extern "C" fn(u32, usize, u32, u8),
    /// Offset in the flash, what to program, bytes.
    pub flash_range_program: unsafe extern "C" fn(u32, *const u8, usize),
    pub flash_flush_cache: unsafe extern "C" fn(),
    pub flash_enter_cmd_xip: unsafe extern "C" fn(),
}

/// [`Functions`] out of the module `rom_data` of the chip's HAL.
#[macro_export]
macro_rules! rom_functions {
    ($($rom:ident)::+) => {{
        use $($rom)::+ as rom;
        $crate::rom_flash::Functions {
            connect_internal_flash: rom::connect_internal_flash::ptr(),
            flash_exit_xip: rom::flash_exit_xip::ptr(),
            flash_range_erase: rom::flash_range_erase::ptr(),
            flash_range_program: rom::flash_range_program::ptr(),
            flash_flush_cache: rom::flash_flush_cache::ptr(),
            flash_enter_cmd_xip: rom::flash_enter_cmd_xip::ptr(),
        }
    }};
}

/// Where the processor reads the flash: addresses there are not translated, unless a partition table of the RP2350 says so.
const FLASH: usize = 0x1000_0000;

/// The `len` bytes of flash that the processor reads at `address`, to write and to read them.
///
/// # Safety
/// As for [`RomFlash::new`], of the bytes at `address`.
pub unsafe fn slots(functions: Functions, address: usize, len: usize) -> (RomFlash, Mapped) {
    let mapped = address as *const u8;
    // SAFETY: the caller's promise; the flash is mapped at `FLASH`.
    let Some(flash) = (unsafe { RomFlash::new(functions, mapped, (address - FLASH) as u32, len) }) else {
        crate::fail(&"the slots are no whole sectors")
    };
    // SAFETY: they are in the processor's memory at `address`, and the only handle to write them goes with it.
    (flash, unsafe { Mapped::new(mapped, len) })
}

/// A part of the flash, at offset 0 here.
#[derive(Debug)]
pub struct RomFlash {
    functions: Functions,
    /// Where the processor reads it.
    mapped: *const u8,
    /// Where it begins in the flash.
    start: u32,
    len: usize,
}

impl RomFlash {
    /// The `len` bytes of flash from `start` on, which the processor reads at `mapped`. `None` if they are no whole
    /// sectors.
    ///
    /// After the first write, and until the next reset, the processor reads all of the flash as `flash_enter_cmd_xip` sets
    /// it up: with the command 03h, which every flash has, at the clock of the ROM.
    ///
    /// # Safety
    /// `functions` are those of the boot ROM. `mapped` is where the processor reads the flash at `start`, and `len` bytes
    /// from there on are flash that belongs to no item of the firmware. As long as this lives, nothing else drives the
    /// flash, no DMA channel reads it, and the other core does not run.
    pub unsafe fn new(functions: Functions, mapped: *const u8, start: u32, len: usize) -> Option<Self> {
        let whole = (start as usize).is_multiple_of(SECTOR) && len.is_multiple_of(SECTOR);
        whole.then_some(Self { functions, mapped, start, len })
    }

    /// Erases, or programs `page`, with the flash to itself; as [`perform`].
    ///
    /// # Safety
    /// The bytes are within this part of the flash, and the page is in RAM.
    unsafe fn run(&mut self, offset: u32, len: usize, page: *const u8) {
        // The compiler may not know them and put a copy in flash.
        let functions = black_box(&mut self.functions);
        // SAFETY: no interrupt handler, which would be read from flash, runs in a critical section; the functions are in
        // RAM as `self` is; the rest `new` and this function were promised.
        critical_section::with(|_| unsafe { perform(functions, offset, len, page) });
    }
}

/// Programs the `len` bytes at `page`, or erases as many where it is null, `offset` bytes from the start of the flash.
///
/// Runs from RAM, as all of `.data` does, and calls nothing but the ROM. Numbers come in registers, and there is no `match`,
/// whose table could be in flash.
///
/// # Safety
/// As for [`RomFlash::new`]; `functions` and `page` are in RAM, and interrupts are off.
#[unsafe(link_section = ".data.teff_rom_flash")]
#[inline(never)]
unsafe fn perform(functions: &Functions, offset: u32, len: usize, page: *const u8) {
    // SAFETY: the order is that of the datasheet; the caller keeps everything else from the flash.
    unsafe {
        (functions.connect_internal_flash)();
        (functions.flash_exit_xip)();
        // Not `is_null`, which without optimization would be a function in flash.
        if page as usize == 0 {
            (functions.flash_range_erase)(offset, len, NO_BLOCK, 0);
        } else {
            (functions.flash_range_program)(offset, page, len);
        }
        (functions.flash_flush_cache)();
        (functions.flash_enter_cmd_xip)();
    }
}

/// An access that is not within the flash, or not of whole words or sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadAccess(NorFlashErrorKind);

impl NorFlashError for BadAccess {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl ErrorType for RomFlash {
    type Error = BadAccess;
}

impl ReadNorFlash for RomFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), BadAccess> {
        check_read(self, offset, bytes.len()).map_err(BadAccess)?;
        // SAFETY: `check_read` has seen that these bytes are within the `len` that `new` was promised.
        unsafe { self.mapped.add(offset as usize).copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl NorFlash for RomFlash {
    // Bytes of a page that are programmed as 0xFF stay what they are.
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), BadAccess> {
        check_erase(self, from, to).map_err(BadAccess)?;
        if from < to {
            // SAFETY: `check_erase` has seen that it is within.
            unsafe { self.run(self.start + from, (to - from) as usize, ptr::null()) };
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), BadAccess> {
        check_write(self, offset, bytes.len()).map_err(BadAccess)?;
        let (mut offset, mut bytes) = (self.start + offset, bytes);
        while !bytes.is_empty() {
            let within = offset as usize % PAGE;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - within));
            let mut page = [0xFF; PAGE];
            page.iter_mut().skip(within).zip(now).for_each(|(target, &byte)| *target = byte);
            // SAFETY: `check_write` has seen that it is within, and the page is on the stack.
            unsafe { self.run(offset - within as u32, PAGE, black_box(&mut page).as_ptr()) };
            offset += now.len() as u32;
            bytes = later;
        }
        Ok(())
    }
}
