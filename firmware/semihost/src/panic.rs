//! A panic is logged with its place, and ends the program with exit code 101, as on a PC.

use core::panic::PanicInfo;

const PANICKED: i32 = 101;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The place only: the message would link the formatting machinery.
    if let Some(place) = info.location() {
        defmt::error!("panicked at {=str}:{=u32}", place.file(), place.line());
    }
    semihosting::process::exit(PANICKED)
}

#[defmt::panic_handler]
fn defmt_panic() -> ! {
    semihosting::process::exit(PANICKED)
}
