//! QEMU TCG plugin: counts the guest instructions between two addresses.
//!
//! `-plugin libqemu_icount.so,begin=0x1a2,end=0x1b4,out=count.txt`
//!
//! An interval opens each time the instruction at `begin` is about to run and closes when the one at `end` is. When
//! the guest exits, `out` gets a line `total <instructions> intervals <intervals>` and then a line an interval with its
//! instructions. The count is of guest instructions as QEMU translates them: exact, repeatable, and not cycles.
//!
//! Addresses of Thumb functions are given without the low bit. One CPU is counted; the boards have no other.
#![allow(unsafe_code)] // A C interface: every block below says why it is sound.

mod ffi;
mod options;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use options::Options;

/// The oldest plugin interface that has all the functions that are used here: QEMU 9.0.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 2;

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

struct Plugin {
    options: Options,
    executed: ffi::Counter,
    intervals: Mutex<Intervals>,
}

#[derive(Default)]
struct Intervals {
    /// Instructions executed before the open interval.
    opened_at: Option<u64>,
    lengths: Vec<u64>,
}

impl Plugin {
    /// Instructions executed up to now, without the one that is about to run.
    fn executed(&self) -> u64 {
        // SAFETY: the counter's scoreboard came from QEMU and is never freed.
        unsafe { ffi::qemu_plugin_u64_sum(self.executed) }
    }

    fn intervals(&self) -> MutexGuard<'_, Intervals> {
        self.intervals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> String {
        let intervals = self.intervals();
        let total: u64 = intervals.lengths.iter().sum();
        let mut report = format!("total {total} intervals {}\n", intervals.lengths.len());
        for length in &intervals.lengths {
            report.push_str(&format!("{length}\n"));
        }
        report
    }
}

extern "C" fn on_begin(_cpu: c_uint, _data: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.intervals().opened_at = Some(plugin.executed());
    }
}

extern "C" fn on_end(_cpu: c_uint, _data: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        let executed = plugin.executed();
        let mut intervals = plugin.intervals();
        if let Some(opened_at) = intervals.opened_at.take() {
            intervals.lengths.push(executed - opened_at);
        }
    }
}

extern "C" fn on_exit(_id: ffi::PluginId, _data: *mut c_void) {
    if let Some(plugin) = PLUGIN.get()
        && let Err(error) = std::fs::write(&plugin.options.out, plugin.report())
    {
        eprintln!("qemu-icount: cannot write {}: {error}", plugin.options.out.display());
    }
}

/// Called for each block of instructions that QEMU translates.
extern "C" fn on_translation(_id: ffi::PluginId, block: *mut ffi::Block) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: `block` is valid during this callback, `i` is below its number of instructions, and an instruction of it
    // is valid as long as the block. The callbacks are functions of this library, which QEMU never unloads before
    // exit, and they ignore their data, which is null. The counter's scoreboard is never freed.
    unsafe {
        for i in 0..ffi::qemu_plugin_tb_n_insns(block) {
            let instruction = ffi::qemu_plugin_tb_get_insn(block, i);
            let address = ffi::qemu_plugin_insn_vaddr(instruction);
            // Before the count of this instruction: callbacks run in the order in which they were registered.
            if address == plugin.options.begin {
                ffi::qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_begin, ffi::NO_REGISTERS, null_mut());
            }
            if address == plugin.options.end {
                ffi::qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, ffi::NO_REGISTERS, null_mut());
            }
            ffi::qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(instruction, ffi::ADD_U64, plugin.executed, 1);
        }
    }
}

/// Entry point of the plugin. Any value but 0 makes QEMU refuse it.
///
/// # Safety
/// `argv` points to `argc` C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: ffi::PluginId,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the caller promises `argc` valid pointers to C strings at `argv`, which live during this call.
    let arguments = (0..count).map(|i| unsafe { CStr::from_ptr(*argv.add(i)) }.to_string_lossy());
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("qemu-icount: {error}");
            return 1;
        }
    };
    // SAFETY: QEMU calls this function once it is ready to serve its interface, and a scoreboard of 8 bytes a CPU holds
    // the u64 at offset 0 that the counter names.
    let executed = ffi::Counter { scoreboard: unsafe { ffi::qemu_plugin_scoreboard_new(size_of::<u64>()) }, offset: 0 };
    if PLUGIN.set(Plugin { options, executed, intervals: Mutex::default() }).is_err() {
        eprintln!("qemu-icount: loaded twice");
        return 1;
    }
    // SAFETY: `id` is the plugin's own, and the callbacks are functions of this library, loaded until QEMU exits.
    unsafe {
        ffi::qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
        ffi::qemu_plugin_register_atexit_cb(id, on_exit, null_mut());
    }
    0
}
