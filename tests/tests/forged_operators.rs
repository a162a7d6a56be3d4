//! Every operator on files that lie: whatever is written over the tables of its golden cases, the file is refused, or it runs
//! without a panic and without an inconsistency. (`verify.rs` does the same to whole models.)

use teff::format::layout::section;
use teff::{Model, RunError, Session};
use teff_tests::cases::all;
use teff_tests::surgery::Patient;
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::convert;
use teff_tools::quantize::Width;

/// Forged files a case.
const FORGERIES: u64 = 300;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    /// Words that stand for something, and some that do not.
    fn word(&mut self) -> u32 {
        let words = [0, 1, 2, 3, 4, 8, 16, 255, 256, 1 << 15, 1 << 30, 1 << 31, u32::MAX, 0xFFFF_FFF0];
        match self.below(2) {
            0 => words[self.below(words.len())],
            _ => self.below(1 << 32) as u32,
        }
    }
}

/// Whether the file verifies; what verifies must run.
fn runs(file: &[u8], name: &str) -> bool {
    let Ok(model) = Model::verify(file) else { return false };
    // A forged size may be more than a test wants to allocate.
    if model.memory_len() > 1 << 24 {
        return false;
    }
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory).expect("exact memory");
    match session.run() {
        Ok(()) | Err(RunError::IndexOutOfRange { .. }) => true,
        Err(error) => panic!("{name}: a verified file does not run: {error}"),
    }
}

#[test]
fn a_forged_step_is_refused_or_runs() {
    let (mut files, mut accepted) = (0_u64, 0_u64);
    for case in all().into_iter().flat_map(|(_, cases)| cases) {
        let converted = convert(&case.graph, &case.samples, &case.options(Width::Int8), &|| {}).expect(&case.name);
        let sound = Patient::new(&converted.file);
        assert!(runs(&sound.bytes, &case.name), "{}: the sound file is refused", case.name);
        let tables = [section::SHAPES, section::TENSORS, section::OPERANDS, section::STEPS, section::PARAMS];
        let sections: Vec<_> =
            sound.sections().into_iter().filter(|s| tables.contains(&s.kind) && s.len >= 4).collect();
        let mut random = Random(files);
        for _ in 0..FORGERIES {
            let mut forged = sound.clone();
            for _ in 0..1 + random.below(2) {
                let section = sections[random.below(sections.len())];
                let at = section.offset as usize + random.below(section.len as usize);
                match random.below(2) {
                    0 => forged.bytes[at] = random.word() as u8,
                    _ => {
                        let at = at & !3;
                        forged.bytes[at..at + 4].copy_from_slice(&random.word().to_le_bytes());
                    }
                }
            }
            forged.seal();
            files += 1;
            accepted += u64::from(runs(&forged.bytes, &case.name));
        }
    }
    println!("{files} forged files, {accepted} of them sound");
    // A forgery of what does not matter, such as a scale, is accepted; were all refused, nothing would be shown.
    assert!(accepted > files / 100 && accepted < files);
}
