//! CRC-32 (ISO-HDLC, the CRC of Ethernet, zip and PNG): polynomial 0x04C11DB7 reflected, initial value and final
//! XOR 0xFFFF_FFFF.
//!
//! By half bytes: the table takes 64 bytes of flash, that of whole bytes 1 KB.

/// What the four bits of an index become when they are shifted out.
static HALVES: [u32; 16] = halves();

const fn halves() -> [u32; 16] {
    const POLYNOMIAL: u32 = 0x04C1_1DB7_u32.reverse_bits();
    let mut table = [0; 16];
    let mut rest: &mut [u32] = &mut table;
    let mut index = 0;
    while let [entry, others @ ..] = rest {
        let mut value: u32 = index;
        let mut bit = 0;
        while bit < 4 {
            value = (value >> 1) ^ ((value & 1) * POLYNOMIAL);
            bit += 1;
        }
        *entry = value;
        index += 1;
        rest = others;
    }
    table
}

/// The CRC-32 of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

/// A CRC-32 over several pieces.
pub struct Crc32(u32);

impl Crc32 {
    /// The CRC-32 of nothing yet.
    pub fn new() -> Self {
        Self(!0)
    }

    /// Appends `bytes`.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        let half = |crc: u32| (crc >> 4) ^ HALVES.get((crc & 15) as usize).copied().unwrap_or(0);
        self.0 = bytes.iter().fold(self.0, |crc, &byte| half(half(crc ^ u32::from(byte))));
    }

    /// The CRC-32 of all that was appended.
    pub fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let mut crc = Crc32::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.finish(), 0xCBF4_3926);
    }
}
