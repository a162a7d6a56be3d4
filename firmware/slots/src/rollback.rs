//! The counter that keeps old models out: the highest version that was ever confirmed.
//!
//! Two areas take turns. A record is appended to the area in use; when that is full, the other is erased and begun. The
//! value is the highest of all whole records, so that it never falls, whenever power fails.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::layout::{Layout, WORD};

/// The counter's value; 0 if it was never raised.
pub(crate) fn read<F: NorFlash>(flash: &mut F, layout: &Layout<F>) -> Result<u32, F::Error> {
    Ok(area(flash, layout.counter(0))?.highest.max(area(flash, layout.counter(1))?.highest))
}

/// Raises the counter to `version`.
pub(crate) fn raise<F: NorFlash>(flash: &mut F, layout: &Layout<F>, version: u32) -> Result<(), F::Error> {
    let areas = [area(flash, layout.counter(0))?, area(flash, layout.counter(1))?];
    let [first, second] = &areas;
    let (used, other) = if second.highest > first.highest { (1, 0) } else { (0, 1) };
    let free = if used == 0 { first.free } else { second.free };
    let offset = match free {
        Some(offset) => offset,
        None => {
            // All that it holds is below the value, which is in the other area.
            let range = layout.counter(other);
            flash.erase(range.start, range.end)?;
            range.start
        }
    };
    let mut record = [0; WORD as usize];
    let words = [version, !version].map(u32::to_le_bytes);
    record.iter_mut().zip(words.as_flattened()).for_each(|(to, &from)| *to = from);
    flash.write(offset, &record)
}

struct Area {
    highest: u32,
    /// The first place after all records.
    free: Option<u32>,
}

fn area<F: NorFlash>(flash: &mut F, range: Range<u32>) -> Result<Area, F::Error> {
    let mut area = Area { highest: 0, free: None };
    let mut offset = range.start;
    while offset.saturating_add(WORD) <= range.end {
        let mut record = [0; WORD as usize];
        flash.read(offset, &mut record)?;
        let [value, complement] = match record.as_chunks::<4>().0 {
            [value, complement, ..] => [value, complement].map(|word| u32::from_le_bytes(*word)),
            _ => [0; 2],
        };
        if value == !complement {
            area.highest = area.highest.max(value);
        }
        if record != [0xFF; WORD as usize] {
            area.free = None;
        } else if area.free.is_none() {
            area.free = Some(offset);
        }
        offset = offset.saturating_add(WORD);
    }
    Ok(area)
}
