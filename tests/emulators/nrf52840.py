"""Runs a firmware for the nRF52840 in unicorn: the core, the memories, and models of the UARTE and of the flash's controller.

    python nrf52840.py PACKAGES FLASH FRAMES OUTPUTS COUNTS RTT [BEGIN END]    >LOG

PACKAGES: the folder in which tests/setup/emulators.sh installed unicorn
FLASH: what is in the flash, from its first byte; FRAMES: what comes in on UARTE0; OUTPUTS: to be written, what goes out there
COUNTS: to be written, instructions from each call of the function at BEGIN to the next call of that at END, in the form of
tests/qemu-icount
RTT: address of the control block of RTT, whose first channel up is the log

Exit code 0: the firmware has read all of FRAMES and waits for more. 1: it stopped, or nothing came in or went out for too long.
"""

import struct
import sys
import threading

sys.path.insert(0, sys.argv[1] + "/python")
from unicorn import UC_ARCH_ARM, UC_HOOK_BLOCK, UC_HOOK_MEM_WRITE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, UcError
from unicorn.arm_const import UC_ARM_REG_PC, UC_ARM_REG_SP, UC_CPU_ARM_CORTEX_M4

FLASH, FLASH_BYTES = 0x0000_0000, 1 << 20
RAM, RAM_BYTES = 0x2000_0000, 256 << 10
# Registers are memory, but for tasks of the UARTE and the NVMC: factory data, peripherals, pins, and the processor's own.
REGISTERS = [(0x1000_0000, 0x2000), (0x4000_0000, 0x2_0000), (0x5000_0000, 0x1000), (0xE000_E000, 0x1000)]

# Product specification, section UARTE, registers from the address of UARTE0.
UARTE0 = 0x4000_2000
STARTRX, STOPRX, STARTTX, STOPTX = 0x000, 0x004, 0x008, 0x00C
ENDRX, ENDTX, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED = 0x110, 0x120, 0x144, 0x14C, 0x150, 0x158
RXD, TXD = 0x534, 0x544  # pointer, greatest count, count that was moved

# Section NVMC: it is always ready, erases pages, and lets the processor write where the flash is erased.
NVMC = 0x4001_E000
READY, READYNEXT, ERASEPAGE, PAGE = 0x400, 0x408, 0x508, 4096

# A firmware that neither takes nor gives a byte for so many seconds, on a busy machine too, has failed.
PATIENCE = 120


def instructions(code):
    """How many instructions Thumb code has: one that begins with 0b11101, 0b11110 or 0b11111 has two halfwords."""
    at = count = 0
    while at < len(code):
        at += 4 if code[at + 1] >= 0xE8 else 2
        count += 1
    return count


class Board:
    def __init__(self, flash, frames, rtt, begin=None, end=None):
        self.frames, self.outputs, self.log = frames, bytearray(), bytearray()
        self.rtt, self.begin, self.end = rtt, begin, end
        self.fault = None
        self.tasks = 0  # of the UARTE, so far
        self.waits, self.executed, self.opened, self.intervals, self.blocks = False, 0, None, [], {}
        self.core = core = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        core.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
        core.mem_map(FLASH, FLASH_BYTES)
        core.mem_map(RAM, RAM_BYTES)
        for start, length in REGISTERS:
            core.mem_map(start, length)
        core.mem_write(FLASH, flash)
        core.hook_add(UC_HOOK_MEM_WRITE, self.uarte, begin=UARTE0, end=UARTE0 + 0xFFF)
        for register in (READY, READYNEXT):
            self.set_word(NVMC + register, 1)
        core.hook_add(UC_HOOK_MEM_WRITE, self.erase, begin=NVMC + ERASEPAGE, end=NVMC + ERASEPAGE)
        core.hook_add(UC_HOOK_MEM_WRITE, self.write_flash, begin=FLASH, end=FLASH + FLASH_BYTES - 1)
        if begin is not None:
            core.hook_add(UC_HOOK_BLOCK, self.block)

    def word(self, address):
        return struct.unpack("<I", self.core.mem_read(address, 4))[0]

    def set_word(self, address, value):
        self.core.mem_write(address, struct.pack("<I", value))

    def block(self, core, address, size, data):
        """A block of instructions without a branch is about to run; functions begin with one."""
        if address == self.begin:
            self.opened = self.executed
        if address == self.end and self.opened is not None:
            self.intervals.append(self.executed - self.opened)
            self.opened = None
        count = self.blocks.get((address, size))
        if count is None:
            count = self.blocks[address, size] = instructions(core.mem_read(address, size))
        self.executed += count

    def erase(self, core, access, address, size, value, data):
        core.mem_write(value, b"\xFF" * PAGE)

    def write_flash(self, core, access, address, size, value, data):
        """Flash cannot turn a 0 into a 1; nor can it write less than a word."""
        old = self.word(address)
        if size != 4 or (value & 0xFFFF_FFFF) & ~old:
            self.fault = f"{value & 0xFFFF_FFFF:#x} is written to the flash at {address:#x}, where it holds {old:#x}"
            core.emu_stop()

    def uarte(self, core, access, address, size, value, data):
        """A task: what it does is done at once, and its events are set."""
        task = address - UARTE0
        if value != 1 or task > STOPTX:
            return
        self.tasks += 1
        events = {STARTRX: [RXSTARTED, ENDRX], STOPRX: [RXTO], STARTTX: [TXSTARTED, ENDTX], STOPTX: [TXSTOPPED]}[task]
        if task == STARTTX:
            pointer, count = self.word(UARTE0 + TXD), self.word(UARTE0 + TXD + 4)
            self.outputs += core.mem_read(pointer, count)
            self.set_word(UARTE0 + TXD + 8, count)
        if task == STARTRX:
            pointer, count = self.word(UARTE0 + RXD), self.word(UARTE0 + RXD + 4)
            bytes, self.frames = self.frames[:count], self.frames[count:]
            core.mem_write(pointer, bytes)
            self.set_word(UARTE0 + RXD + 8, len(bytes))
            if len(bytes) < count:
                self.waits = True
                core.emu_stop()
                return
        self.take_log()
        for event in events:
            self.set_word(UARTE0 + event, 1)

    def take_log(self):
        """As a debug probe does it: the control block says where the buffer is, how far it is written, and how far it is read."""
        if self.core.mem_read(self.rtt, 10) != b"SEGGER RTT":
            return  # not yet set up
        channel = self.rtt + 24
        _, buffer, size, written, read = struct.unpack("<5I", self.core.mem_read(channel, 20))
        ring = self.core.mem_read(buffer, size)
        self.log += ring[read:written] if written >= read else ring[read:] + ring[:written]
        self.set_word(channel + 16, written)

    def watch(self, ended):
        """Stops the core when no byte has moved for too long."""
        before = None
        while self.tasks != before:
            before = self.tasks
            if ended.wait(PATIENCE):
                return
        self.core.emu_stop()

    def run(self):
        stack, start = struct.unpack("<2I", self.core.mem_read(FLASH, 8))
        self.core.reg_write(UC_ARM_REG_SP, stack)
        ended = threading.Event()
        threading.Thread(target=self.watch, args=[ended], daemon=True).start()
        try:
            self.core.emu_start(start | 1, 0xFFFF_FFFF)
        except UcError as error:
            self.fault = self.fault or error
        ended.set()
        self.take_log()
        if self.waits and not self.fault:
            return None
        return f"{self.fault or 'neither takes nor gives a byte'}, at {self.core.reg_read(UC_ARM_REG_PC):#x}"


def main(flash, frames, outputs, counts, *addresses):
    read = lambda path: open(path, "rb").read()
    board = Board(read(flash), read(frames), *(int(address, 0) for address in addresses))
    complaint = board.run()
    sys.stdout.buffer.write(board.log)
    with open(outputs, "wb") as file:
        file.write(board.outputs)
    if board.begin is not None:
        with open(counts, "w") as file:
            print(f"total {sum(board.intervals)} intervals {len(board.intervals)}", *board.intervals, sep="\n", file=file)
    if complaint:
        sys.exit(complaint)


main(*sys.argv[2:])
