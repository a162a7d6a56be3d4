//! The part of QEMU's `qemu-plugin.h` that this plugin uses, as of interface version 2.

use std::ffi::{c_int, c_uint, c_void};

/// Names the plugin to QEMU.
pub(crate) type PluginId = u64;

/// A block of translated instructions; only behind a pointer.
#[repr(C)]
pub(crate) struct Block {
    _opaque: [u8; 0],
}

/// An instruction of a [`Block`]; only behind a pointer.
#[repr(C)]
pub(crate) struct Instruction {
    _opaque: [u8; 0],
}

/// Memory with a slot for each CPU; only behind a pointer.
#[repr(C)]
pub(crate) struct Scoreboard {
    _opaque: [u8; 0],
}

/// A `u64` at `offset` in each slot of a scoreboard: `qemu_plugin_u64`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Counter {
    pub(crate) scoreboard: *mut Scoreboard,
    pub(crate) offset: usize,
}

// SAFETY: the pointer is only handed back to QEMU, whose scoreboard functions may be called from any thread.
unsafe impl Send for Counter {}
// SAFETY: as above; nothing on this side reads or writes through the pointer.
unsafe impl Sync for Counter {}

/// `QEMU_PLUGIN_CB_NO_REGS`: the callback reads no register.
pub(crate) const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_INLINE_ADD_U64`.
pub(crate) const ADD_U64: c_int = 0;

pub(crate) type OnTranslation = extern "C" fn(PluginId, *mut Block);
pub(crate) type OnInstruction = extern "C" fn(c_uint, *mut c_void);
pub(crate) type OnExit = extern "C" fn(PluginId, *mut c_void);

unsafe extern "C" {
    pub(crate) fn qemu_plugin_scoreboard_new(element_size: usize) -> *mut Scoreboard;
    pub(crate) fn qemu_plugin_u64_sum(counter: Counter) -> u64;
    pub(crate) fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    pub(crate) fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    pub(crate) fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    pub(crate) fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: OnTranslation);
    pub(crate) fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: OnInstruction,
        flags: c_int,
        data: *mut c_void,
    );
    pub(crate) fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
        instruction: *mut Instruction,
        operation: c_int,
        counter: Counter,
        immediate: u64,
    );
    pub(crate) fn qemu_plugin_register_atexit_cb(id: PluginId, callback: OnExit, data: *mut c_void);
}
