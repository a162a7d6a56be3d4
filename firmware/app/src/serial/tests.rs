//! The streams against a mocked line, call by call.

use embedded_hal_mock::eh1::serial::{Mock as Line, Transaction};
use embedded_hal_nb::nb::Error::{Other, WouldBlock};
use embedded_hal_nb::serial::ErrorKind;
use embedded_io::{Error, ErrorKind as IoKind, Read, Write};

use super::{LineError, Receiver, Transmitter};

#[test]
fn a_receiver_waits_for_a_byte_and_takes_what_is_there() {
    let mut line = Line::new(&[
        Transaction::read_error(WouldBlock),
        Transaction::read_error(WouldBlock),
        Transaction::read_many([1, 2]),
        Transaction::read_error(WouldBlock),
        Transaction::read_many([3, 4, 5, 6]),
    ]);
    let (mut receiver, mut bytes) = (Receiver(line.clone()), [0; 4]);
    assert_eq!((receiver.read(&mut bytes), bytes), (Ok(2), [1, 2, 0, 0]));
    assert_eq!((receiver.read(&mut bytes), bytes), (Ok(4), [3, 4, 5, 6]));
    assert_eq!(receiver.read(&mut []), Ok(0));
    line.done();
}

#[test]
fn a_transmitter_waits_until_each_byte_and_all_of_them_are_sent() {
    let mut line = Line::new(&[
        Transaction::write_error(1, WouldBlock),
        Transaction::write_many([1, 2]),
        Transaction::flush_error(WouldBlock),
        Transaction::flush(),
    ]);
    let mut transmitter = Transmitter(line.clone());
    assert_eq!(transmitter.write(&[1, 2]), Ok(2));
    assert_eq!(transmitter.flush(), Ok(()));
    line.done();
}

#[test]
fn errors_of_the_line_keep_their_kind() {
    let mut line = Line::new(&[
        Transaction::read(1),
        Transaction::read_error(Other(ErrorKind::Overrun)),
        Transaction::read_error(WouldBlock),
        Transaction::read_error(Other(ErrorKind::Parity)),
        Transaction::write_error(7, Other(ErrorKind::Other)),
        Transaction::flush_error(Other(ErrorKind::FrameFormat)),
    ]);
    let (mut receiver, mut transmitter) = (Receiver(line.clone()), Transmitter(line.clone()));
    assert_eq!(receiver.read(&mut [0; 4]), Err(LineError(ErrorKind::Overrun)));
    let error = receiver.read(&mut [0; 4]).unwrap_err();
    assert_eq!((error, error.kind()), (LineError(ErrorKind::Parity), IoKind::InvalidData));
    assert_eq!(transmitter.write(&[7]), Err(LineError(ErrorKind::Other)));
    assert_eq!(transmitter.flush(), Err(LineError(ErrorKind::FrameFormat)));
    line.done();
}
