//! What boards with a debug probe share: logs over RTT, and what becomes of panics and of an application's end.
//!
//! The probe reads the log from the board's RAM while it runs; without a probe the log goes nowhere and nothing waits for
//! it. A panic or an error of the application is logged and stops the board.
#![no_std]

use defmt_rtt as _;

#[cfg(feature = "rom-flash")]
pub mod rom_flash;
#[cfg(feature = "slots")]
pub mod slots;

pub use static_cell::ConstStaticCell;
pub use teff_app::serial::{Half, Receiver, Transmitter};

use core::fmt::Display;
use core::panic::PanicInfo;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use teff_app::compare;
use teff_app::digits::{self, Board, Embedded};

/// Runs the application that the features name for ever, or until something fails: `compare`, else digits.
pub fn run<R: Read, W: Write, P: OutputPin>(embedded: Embedded, memory: &mut [u8], board: Board<R, W, P>) -> ! {
    if cfg!(feature = "compare") {
        ended(compare::run(embedded, memory, board.frames, board.results));
    }
    ended(digits::run(embedded, memory, board))
}

/// Stops, with the reason why an application ended: on a board none should.
pub fn ended<T, E: Display>(outcome: Result<T, E>) -> ! {
    match outcome {
        Ok(_) => fail(&"what came in has ended"),
        Err(error) => fail(&error),
    }
}

/// Logs `error` and stops.
pub fn fail(error: &dyn Display) -> ! {
    defmt::error!("{}", defmt::Display2Format(error));
    stop()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The place only: the message would link the formatting machinery.
    if let Some(place) = info.location() {
        defmt::error!("panicked at {=str}:{=u32}", place.file(), place.line());
    }
    stop()
}

#[defmt::panic_handler]
fn defmt_panic() -> ! {
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
