//! A microphone on GPIO 26: the ADC samples it, and DMA takes the samples while the processor computes.

use core::fmt;

use embedded_io::{Error, ErrorKind, ErrorType, Read};
use rp2040_hal::Adc;
use rp2040_hal::adc::{AdcPin, DmaReadTarget};
use rp2040_hal::dma::double_buffer::{Config, Transfer, WriteNext};
use rp2040_hal::dma::{CH0, CH1, Channel, DMAExt};
use rp2040_hal::gpio::bank0::Gpio26;
use rp2040_hal::gpio::{FunctionNull, Pin, PullDown};
use rp2040_hal::pac::{ADC, DMA, RESETS};
use teff_probe::ConstStaticCell;

/// Samples that DMA takes at once: 64 ms, longer than the application ever computes before it reads again.
const BLOCK: usize = 1024;
type Block = [u16; BLOCK];

static BLOCKS: [ConstStaticCell<Block>; 2] = [const { ConstStaticCell::new([0; BLOCK]) }; 2];

/// Cycles of the ADC's clock, 48 MHz, for a sample: 16 kHz.
const CYCLES: u16 = 3000;

type Running =
    Transfer<Channel<CH0>, Channel<CH1>, DmaReadTarget<u16>, &'static mut Block, WriteNext<&'static mut Block>>;

/// Samples of 16 kHz as bytes, i16 little-endian.
pub(crate) struct Microphone {
    /// Always there, but within `refill`.
    running: Option<Running>,
    block: Block,
    /// Bytes of the block that were read.
    at: usize,
}

/// Samples were lost: nobody read for longer than a block takes.
#[derive(Debug)]
pub(crate) struct Overrun;

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("samples were lost")
    }
}

impl core::error::Error for Overrun {}

impl Error for Overrun {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// Starts to sample.
pub(crate) fn start(adc: ADC, dma: DMA, pin: Pin<Gpio26, FunctionNull, PullDown>, resets: &mut RESETS) -> Microphone {
    let Ok(mut pin) = AdcPin::new(pin.into_floating_disabled()) else { teff_probe::fail(&"GPIO 26 is no input") };
    let mut adc = Adc::new(adc, resets);
    let mut samples = adc.build_fifo().clock_divider(CYCLES - 1, 0).set_channel(&mut pin).enable_dma().start_paused();
    let dma = dma.split(resets);
    let [first, second] = [&BLOCKS[0], &BLOCKS[1]].map(ConstStaticCell::take);
    let running = Config::new((dma.ch0, dma.ch1), samples.dma_read_target(), first).start().write_next(second);
    samples.resume();
    Microphone { running: Some(running), block: [0; BLOCK], at: 2 * BLOCK }
}

impl Microphone {
    /// Waits for the next block, and gives its memory back to DMA.
    fn refill(&mut self) -> Result<(), Overrun> {
        let Some(running) = self.running.take() else { return Err(Overrun) };
        let (full, next) = running.wait();
        self.block = *full;
        self.at = 0;
        if next.is_done() {
            return Err(Overrun);
        }
        self.running = Some(next.write_next(full));
        Ok(())
    }
}

impl ErrorType for Microphone {
    type Error = Overrun;
}

impl Read for Microphone {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Overrun> {
        if self.at == 2 * BLOCK {
            self.refill()?;
        }
        let rest = self.block.iter().flat_map(|&sample| signed(sample).to_le_bytes()).skip(self.at);
        let count = to.iter_mut().zip(rest).map(|(slot, byte)| *slot = byte).count();
        self.at += count;
        Ok(count)
    }
}

/// 12 bits around half the supply, where the amplifier rests, as 16 bits around 0.
fn signed(sample: u16) -> i16 {
    (sample as i16 - (1 << 11)) << 4
}
