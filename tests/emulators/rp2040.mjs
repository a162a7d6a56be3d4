// Runs a firmware for the Raspberry Pi Pico in rp2040js, whose clocks, PLLs, pins and UART are those that the firmware sets up.
//
//   node rp2040.mjs PACKAGES FLASH FRAMES OUTPUTS COUNTS RTT [BEGIN END]    >LOG
//
// PACKAGES: the folder in which tests/setup/emulators.sh installed rp2040js
// FLASH: what is in the flash, from its first byte; FRAMES: what comes in on UART0; OUTPUTS: to be written, what goes out there
// COUNTS: to be written, instructions from each run of the one at BEGIN to the next run of the one at END, in the form of
// tests/qemu-icount
// RTT: address of the control block of RTT, whose first channel up is the log
//
// Exit code 0: the firmware has read all of FRAMES and waits for more. 1: nothing came in or went out for too long.
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [packages, flash, frames, outputs, counts, ...addresses] = process.argv.slice(2);
const [rtt, begin, end] = addresses.map(Number);
const { Simulator } = await import(pathToFileURL(`${packages}/node_modules/rp2040js/dist/esm/index.js`));

/** A firmware that neither takes nor gives a byte for this many instructions has failed. */
const PATIENCE = 200e6;
/** So often in a row it looks for a byte that does not come, once it has had them all, before it is taken to be waiting. */
const LOOKS = 1000;
/** The log is taken out of RAM this often, in instructions, long before its buffer is full. */
const LOG_EVERY = 1000;
/** Of a cycle, at 125 MHz. */
const NANOSECONDS = 8;
/** The vector table, behind the second stage of the boot loader. */
const VECTORS = 0x10000100;

const simulator = new Simulator();
const mcu = simulator.rp2040;
const complain = (part, text) => process.stderr.write(`[${part}] ${text}\n`);
mcu.logger = { debug() {}, info() {}, warn() {}, error: complain };

mcu.flash.set(readFileSync(flash), 0);
// Where the boot ROM and the second stage would have left the processor.
mcu.core.VTOR = VECTORS;
mcu.core.SP = mcu.readUint32(VECTORS);
mcu.core.PC = mcu.readUint32(VECTORS + 4) & ~1;

// ---- The boot ROM ---------------------------------------------------------------------------------------------------------
// Its copyright is another's: in place of it, the tables of data sheet section 2.8.3, and for each function a breakpoint, at
// which the function is done here, and a return. A call costs two instructions, whatever it does.

const bytes = (address, length) => mcu.sram.subarray(address - 0x20000000, address - 0x20000000 + length);
const copy = (to, from, length) => {
  for (let i = 0; i < length; i++) mcu.writeUint8(to + i, mcu.readUint8(from + i));
  return to;
};
const set = (to, value, length) => {
  bytes(to, length).fill(value);
  return to;
};
const singles = new DataView(new ArrayBuffer(4));
const single = (bits) => (singles.setUint32(0, bits), singles.getFloat32(0));
const bits = (value) => (singles.setFloat32(0, value), singles.getUint32(0));
const absent = () => {
  throw new Error(`the firmware calls a function of the boot ROM that is not here, from 0x${mcu.core.LR.toString(16)}`);
};
const ones = (value) => (value === 0 ? 0 : (value & 1) + ones(value >>> 1));
const leadingZeros = (value) => Math.clz32(value);
const trailingZeros = (value) => (value === 0 ? 32 : 31 - Math.clz32(value & -value));
const FUNCTIONS = { MS: set, S4: set, MC: copy, C4: copy, P3: ones, L3: leadingZeros, T3: trailingZeros };
// Writing the flash, data sheet section 2.8.3.1.3. From `exit` to `enter` the processor cannot read it.
const PAGE = 256, SECTOR = 4096, RAM = 0x20000000, XIP = 0x10000000;
let connected = false, flushed = true, readable = true;
const whole = (unit, ...numbers) => {
  if (readable || numbers.some((number) => number % unit)) throw new Error(`the flash cannot be written so: ${numbers}`);
  flushed = false;
};
/** In place of the methods of the processor's bus, for data and instructions. */
const guarded = Object.fromEntries(['readUint32', 'readUint16', 'readUint8'].map((name) => [name, (address) => {
  if (address >= XIP && address < RAM) throw new Error(`0x${address.toString(16)} is read while the flash is written`);
  return Object.getPrototypeOf(mcu)[name].call(mcu, address);
}]));
const connect = () => (connected = true, 0);
const exit = () => {
  if (!connected) throw new Error('the flash is not connected');
  readable = false;
  Object.assign(mcu, guarded);
  return 0;
};
const erase = (at, length) => (whole(SECTOR, at, length), mcu.flash.fill(0xff, at, at + length), 0);
const program = (at, from, length) => {
  whole(PAGE, at, length);
  if (from < RAM) throw new Error('what is programmed is not in RAM');
  bytes(from, length).forEach((byte, i) => (mcu.flash[at + i] &= byte));
  return 0;
};
const flush = () => (flushed = true, 0);
const enter = () => {
  if (!flushed) throw new Error('the cache still has what was in the flash');
  connected = false;
  readable = true;
  Object.keys(guarded).forEach((name) => delete mcu[name]);
  return 0;
};
Object.assign(FUNCTIONS, { IF: connect, EX: exit, RE: erase, RP: program, FC: flush, CX: enter });
/** The table SF begins with add, subtract, multiply and divide. */
const SINGLES = [
  (a, b) => bits(single(a) + single(b)),
  (a, b) => bits(single(a) - single(b)),
  (a, b) => bits(single(a) * single(b)),
  (a, b) => bits(single(a) / single(b)),
];
const SINGLE_ENTRIES = 32;
const FUNCTION_TABLE = 0x40, DATA_TABLE = 0x44, SINGLE_TABLE = 0x80, CODE = 0x100;
const lookUp = (table, code) => {
  const name = String.fromCharCode(code & 0xff, code >> 8);
  if (table === DATA_TABLE && name === 'SF') return SINGLE_TABLE;
  if (table === FUNCTION_TABLE && name in FUNCTIONS) return entry(FUNCTIONS[name]);
  throw new Error(`the firmware looks for ${name} in the boot ROM, which is not here`);
};
const calls = [lookUp, absent, ...Object.values(FUNCTIONS), ...SINGLES];
const entry = (call) => (CODE + 4 * calls.indexOf(call)) | 1;
const rom = new DataView(mcu.bootrom.buffer);
rom.setUint16(0x14, FUNCTION_TABLE, true);
rom.setUint16(0x16, DATA_TABLE, true);
rom.setUint16(0x18, entry(lookUp), true);
for (let i = 0; i < SINGLE_ENTRIES; i++) rom.setUint32(SINGLE_TABLE + 4 * i, entry(SINGLES[i] ?? absent), true);
calls.forEach((_, i) => {
  rom.setUint16(CODE + 4 * i, 0xbe00 | i, true); // bkpt #i
  rom.setUint16(CODE + 4 * i + 2, 0x4770, true); // bx lr
});
mcu.onBreak = (i) => {
  if (mcu.core.PC >= 0x4000 || i >= calls.length) throw new Error(`breakpoint ${i} at 0x${mcu.core.PC.toString(16)}`);
  const [a, b, c] = mcu.core.registers;
  mcu.core.registers[0] = calls[i](a >>> 0, b >>> 0, c >>> 0);
};

// ---- The serial line ------------------------------------------------------------------------------------------------------

const input = readFileSync(frames), output = [];
let taken = 0, looks = 0, executed = 0, lastByte = 0;
const ERRORS = 0x04, FLAGS = 0x18, EMPTY = 1 << 4;
const uart = mcu.uart[0];
uart.onByte = (byte) => {
  output.push(byte);
  lastByte = executed;
};
const read = uart.readUint32.bind(uart);
uart.readUint32 = (offset) => {
  if (offset === ERRORS) return 0; // rp2040js has no such register; nothing is lost on this line
  if (offset !== FLAGS) return read(offset);
  // A byte comes whenever the firmware looks for one and none is there: the line is as fast as the firmware.
  if (read(FLAGS) & EMPTY) {
    if (taken < input.length && uart.enabled) {
      uart.feedByte(input[taken++]);
      lastByte = executed;
    } else {
      looks += 1;
    }
  }
  return read(FLAGS);
};

// ---- The log --------------------------------------------------------------------------------------------------------------
// As a debug probe does it: the control block says where the buffer is, how far it is written, and how far it is read.

const word = (address) => mcu.readUint32(address);
const UP = rtt + 24, BUFFER = UP + 4, SIZE = UP + 8, WRITTEN = UP + 12, READ = UP + 16;
const takeLog = () => {
  if (Buffer.from(bytes(rtt, 10)).toString('latin1') !== 'SEGGER RTT') return; // not yet set up
  const [buffer, size, written, read] = [word(BUFFER), word(SIZE), word(WRITTEN), word(READ)];
  if (written === read) return;
  const log = Buffer.from(bytes(buffer, size));
  writeSync(1, written > read ? log.subarray(read, written) : Buffer.concat([log.subarray(read), log.subarray(0, written)]));
  mcu.writeUint32(READ, written);
};

// ---- The run --------------------------------------------------------------------------------------------------------------

const intervals = [];
let opened = null;
while (looks < LOOKS && executed - lastByte < PATIENCE) {
  if (mcu.core.waiting) {
    simulator.clock.tick(simulator.clock.nanosToNextAlarm);
    continue;
  }
  const at = mcu.core.PC;
  if (at === begin) opened = executed;
  if (at === end && opened !== null) {
    intervals.push(executed - opened);
    opened = null;
  }
  simulator.clock.tick(mcu.core.executeInstruction() * NANOSECONDS);
  executed += 1;
  if (executed % LOG_EVERY === 0) takeLog();
}
takeLog();
writeFileSync(outputs, Buffer.from(output));
if (begin) {
  const total = intervals.reduce((sum, length) => sum + length, 0);
  writeFileSync(counts, [`total ${total} intervals ${intervals.length}`, ...intervals, ''].join('\n'));
}
if (looks < LOOKS) {
  complain('rp2040', `neither takes nor gives a byte, at 0x${mcu.core.PC.toString(16)} after ${executed} instructions`);
  process.exitCode = 1;
}
