//! A device against this computer, step by step: which step is the first that gives other bits, and where.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use serde::Serialize;
use teff::format::{StepView, Tensor};
use teff::{Model, Session};
use teff_app::compare::{Info, PROTOCOL, Refusal, Request};
use teff_link::{CHUNK, Collector, FRAME, decode, encode};

use crate::aligned::AlignedBytes;
use crate::board::{self, Board, Elf};
use crate::line::{Client, Line, Patience};

/// What a device answers.
pub type Response = teff_app::compare::Response<Vec<u8>>;

/// A device that is there greets at once; a step, or anything else, takes its time on the slowest processor.
const PATIENCE: Patience = Patience { quick: Duration::from_secs(3), slow: Duration::from_secs(30), tries: 3 };

/// Something that answers requests in their order.
pub trait Device {
    /// The answers to `requests`.
    ///
    /// # Errors
    /// If it does not answer all of them.
    fn ask(&mut self, requests: &[Request<'_>]) -> Result<Vec<Response>>;
}

/// A device on a serial line.
pub struct Serial<'l> {
    client: Client<'l, dyn Line + 'l>,
    patience: Patience,
    bar: ProgressBar,
}

impl<'l> Serial<'l> {
    /// A device that answers on `line`; `bar` counts the answers.
    pub fn new(line: &'l mut (dyn Line + 'l), bar: ProgressBar) -> Self {
        Self::with_patience(line, bar, PATIENCE)
    }

    /// The same with `quick` for the greeting, and `slow` for all that follows.
    pub fn with_patience(line: &'l mut (dyn Line + 'l), bar: ProgressBar, patience: Patience) -> Self {
        Self { client: Client::new(line, patience.tries), patience, bar }
    }
}

impl Device for Serial<'_> {
    fn ask(&mut self, requests: &[Request<'_>]) -> Result<Vec<Response>> {
        self.bar.inc_length(requests.len() as u64);
        let ask = |request: &Request<'_>| {
            self.bar.inc(1);
            let patience = if matches!(request, Request::Hello) { self.patience.quick } else { self.patience.slow };
            self.client.ask(request, patience).context(
                "the device does not answer: does it run firmware for comparing, as `teff flash --compare` makes it?",
            )
        };
        requests.iter().map(ask).collect()
    }
}

/// A firmware in an emulator, which gives it all requests at once.
pub struct Emulated {
    board: &'static Board,
    firmware: Elf,
}

impl Emulated {
    /// Builds the firmware of `board` with the model at `path`.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn build(board: &'static Board, path: &std::path::Path) -> Result<Self> {
        Ok(Self { board, firmware: board::build_comparing(board, path)? })
    }
}

impl Device for Emulated {
    fn ask(&mut self, requests: &[Request<'_>]) -> Result<Vec<Response>> {
        let mut stream = Vec::new();
        for request in requests {
            let mut frame = [0; FRAME];
            let frame = encode(0, request, &mut frame).context("the request is too long")?;
            stream.extend(frame.iter().map(|byte| byte.cast_signed()));
        }
        let run = board::run_binary(self.board, &self.firmware, &stream)?;
        let mut collector = Collector::new();
        let bytes = run.outputs.unwrap_or_default();
        let frames = bytes.iter().filter_map(|byte| decode::<Response>(collector.take(byte.cast_unsigned())?));
        let responses: Vec<Response> = frames.map(|(_, response)| response).collect();
        let (wanted, found) = (requests.len(), responses.len());
        ensure!(wanted == found, "{found} answers to {wanted} requests; its log:\n{}", run.log.join("\n"));
        Ok(responses)
    }
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Steps that were compared: all, or those up to the first difference.
    pub steps: usize,
    /// None if every step gave the same bits.
    pub difference: Option<Difference>,
}

/// The first step that gave other bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its place in the file.
    pub step: usize,
    /// Its operator.
    pub op: &'static str,
    /// The node it comes from, if the file has names.
    pub name: Option<String>,
    /// Which of its outputs.
    pub output: usize,
    /// The first element that differs, row-major, in the layout of the device.
    pub index: usize,
    /// That element here.
    pub host: i32,
    /// That element on the device.
    pub device: i32,
    /// Elements of that output that differ.
    pub differing: usize,
    /// Elements of that output.
    pub elements: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("no name");
        write!(f, "step {} ({}, {name}) is the first that differs: ", self.step, self.op)?;
        if self.output > 0 {
            write!(f, "output {}, ", self.output)?;
        }
        let (index, host, device) = (self.index, self.host, self.device);
        write!(f, "element {index} is {host} here and {device} on the device; ")?;
        write!(f, "{} of {} elements differ", self.differing, self.elements)
    }
}

/// Runs `model` on `inputs`, the bytes of each of its inputs, here and on `device`; state starts at zero.
///
/// # Errors
/// If the device runs another model, refuses or does not answer, or the run fails.
pub fn compare(model: &Model<'_>, inputs: &[Vec<u8>], device: &mut dyn Device) -> Result<Comparison> {
    let steps: Vec<usize> = model.entry(0).context("the model has no entry point")?.steps().collect();
    let host = host_crcs(model, inputs, &steps)?;
    let mut requests = vec![Request::Hello];
    requests.extend(start(inputs));
    let before = requests.len();
    requests.extend((0..steps.len()).map(|place| Request::Step { index: place as u16 }));
    let responses = device.ask(&requests)?;
    let mut responses = responses.into_iter();
    match responses.next() {
        Some(Response::Hello(info)) => check(info, model, steps.len())?,
        other => return Err(unexpected(other)),
    }
    for response in responses.by_ref().take(before - 1) {
        ensure!(response == Response::Ready, unexpected(Some(response)));
    }
    for (place, expected) in host.iter().enumerate() {
        match responses.next() {
            Some(Response::Ran(crc)) if crc == *expected => {}
            Some(Response::Ran(_)) => {
                let difference = locate(model, inputs, &steps, place, device)?;
                return Ok(Comparison { steps: place + 1, difference: Some(difference) });
            }
            other => return Err(unexpected(other).context(format!("step {place}"))),
        }
    }
    Ok(Comparison { steps: steps.len(), difference: None })
}

fn check(info: Info, model: &Model<'_>, steps: usize) -> Result<()> {
    ensure!(
        info.protocol == PROTOCOL,
        "the device speaks version {} of the protocol, this program version {PROTOCOL}",
        info.protocol
    );
    ensure!(
        info.model == model.crc() && usize::from(info.steps) == steps,
        "the device runs another model: CRC-32 {:08x}, not {:08x}; flash it with this one",
        info.model,
        model.crc()
    );
    Ok(())
}

/// The requests that begin a run.
fn start(inputs: &[Vec<u8>]) -> impl Iterator<Item = Request<'_>> {
    let bytes = inputs.iter().enumerate().flat_map(|(index, bytes)| {
        let index = index as u16;
        let chunks = bytes.chunks(CHUNK).enumerate();
        chunks.map(move |(place, bytes)| Request::Input { index, offset: (place * CHUNK) as u32, bytes })
    });
    std::iter::once(Request::Start).chain(bytes)
}

/// A session with its inputs written.
fn begin<'s, 'm>(model: &'s Model<'m>, inputs: &[Vec<u8>], memory: &'s mut [u8]) -> Result<Session<'s, 'm>> {
    let mut session = Session::new(model, memory)?;
    for (index, bytes) in inputs.iter().enumerate() {
        session.input(index)?.copy_from_slice(bytes);
    }
    Ok(session)
}

/// What each step gives here.
fn host_crcs(model: &Model<'_>, inputs: &[Vec<u8>], steps: &[usize]) -> Result<Vec<u32>> {
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = begin(model, inputs, &mut memory)?;
    let run = |&index: &usize| {
        let step = session.run_step(index)?;
        Ok(session.outputs_crc(&step))
    };
    steps.iter().map(run).collect()
}

/// Where the outputs of step `place` of the run differ.
fn locate(
    model: &Model<'_>,
    inputs: &[Vec<u8>],
    steps: &[usize],
    place: usize,
    device: &mut dyn Device,
) -> Result<Difference> {
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = begin(model, inputs, &mut memory)?;
    for &index in &steps[..place] {
        session.run_step(index)?;
    }
    let step = session.run_step(steps[place])?;
    let outputs: Vec<Tensor<'_>> = (0..step.outputs.len()).map_while(|slot| step.output(slot)).collect();

    let mut requests: Vec<Request<'_>> = start(inputs).collect();
    requests.extend((0..=place).map(|place| Request::Step { index: place as u16 }));
    let before = requests.len();
    for (slot, tensor) in outputs.iter().enumerate() {
        let offsets = (0..tensor.byte_len()).step_by(CHUNK);
        requests.extend(offsets.map(|offset| Request::Output { slot: slot as u8, offset: offset as u32 }));
    }
    let mut responses = device.ask(&requests)?.into_iter().skip(before);
    for (slot, tensor) in outputs.iter().enumerate() {
        let mut bytes = Vec::new();
        for response in responses.by_ref().take(tensor.byte_len().div_ceil(CHUNK)) {
            let Response::Bytes(more) = response else { return Err(unexpected(Some(response))) };
            bytes.extend(more);
        }
        ensure!(bytes.len() == tensor.byte_len(), "{} of {} bytes came", bytes.len(), tensor.byte_len());
        let here = session.step_output(&step, slot).context("the step has no such output")?;
        if let Some(difference) = difference(model, &step, slot, tensor, [here, &bytes]) {
            return Ok(difference);
        }
    }
    bail!("step {place} gave other bits at first and the same when it was run again: the device is not deterministic")
}

fn difference(
    model: &Model<'_>,
    step: &StepView<'_>,
    output: usize,
    tensor: &Tensor<'_>,
    [host, device]: [&[u8]; 2],
) -> Option<Difference> {
    let pairs = || tensor.read_integers(host).zip(tensor.read_integers(device)).enumerate();
    let (index, (host, device)) = pairs().find(|(_, (host, device))| host != device)?;
    Some(Difference {
        step: step.index,
        op: step.op.name,
        name: model.step_name(step.index).map(str::to_string),
        output,
        index,
        host,
        device,
        differing: pairs().filter(|(_, (host, device))| host != device).count(),
        elements: tensor.len,
    })
}

fn unexpected(response: Option<Response>) -> anyhow::Error {
    match response {
        Some(Response::Refused(refusal @ Refusal::Data)) => anyhow::anyhow!("{refusal}, on the device and not here"),
        Some(Response::Refused(refusal)) => anyhow::anyhow!("the device refuses: {refusal}"),
        other => anyhow::anyhow!("the device answers something else than was asked: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use teff_app::compare::Server;

    use super::*;

    /// The device's side in this process, with a fault: from step `faulty` on, `damage` is done to what it says.
    struct Here<'s, 'm> {
        server: Server<'s, 'm>,
        faulty: Option<u16>,
        last: u16,
    }

    impl Device for Here<'_, '_> {
        fn ask(&mut self, requests: &[Request<'_>]) -> Result<Vec<Response>> {
            let answer = |request: &Request<'_>| {
                let (mut sent, mut answer) = ([0; FRAME], [0; FRAME]);
                let frame = encode(1, request, &mut sent).expect("it fits");
                let (&zero, bytes) = frame.split_last().expect("a frame");
                assert!(bytes.iter().all(|&byte| self.server.answer(byte, &mut answer).is_none()));
                let len = self.server.answer(zero, &mut answer).expect("an answer").len();
                let (_, mut response) = decode::<Response>(&mut answer[..len - 1]).expect("it is intact");
                if let Request::Step { index } = *request {
                    self.last = index;
                }
                let faulty = self.faulty.is_some_and(|faulty| self.last >= faulty);
                match (&mut response, request) {
                    (Response::Ran(crc), _) if faulty => *crc ^= 1,
                    (Response::Bytes(bytes), Request::Output { offset: 0, .. }) if faulty => bytes[5] ^= 0x21,
                    _ => {}
                }
                response
            };
            Ok(requests.iter().map(answer).collect())
        }
    }

    /// Nobody is there.
    struct Silence;

    impl std::io::Read for Silence {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            Err(std::io::ErrorKind::TimedOut.into())
        }
    }

    impl std::io::Write for Silence {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn silence_ends_with_the_greeting() {
        assert!(PATIENCE.quick * PATIENCE.tries <= Duration::from_secs(10));
        // Longer than any test may take.
        let patience = Patience { quick: Duration::from_millis(5), slow: Duration::from_secs(1 << 20), tries: 2 };
        let (mut line, bar) = (Silence, ProgressBar::hidden());
        let error = Serial::with_patience(&mut line, bar, patience).ask(&[Request::Hello, Request::Start]);
        let error = format!("{:#}", error.expect_err("nobody answers"));
        assert!(error.contains("teff flash --compare") && error.contains("2 requests within 5 ms"), "{error}");
    }

    fn run(faulty: Option<u16>) -> Result<Comparison> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/lightcnn-mnist/model.teff");
        let file = AlignedBytes::from(std::fs::read(path)?.as_slice());
        let model = Model::verify(&file)?;
        let (input, _) = model.self_test().context("the shipped model has one")?;
        let mut memory = AlignedBytes::zeroed(model.memory_len());
        let server = Server::new(Session::new(&model, &mut memory)?);
        compare(&model, &[input.to_vec()], &mut Here { server, faulty, last: 0 })
    }

    #[test]
    fn the_same_bits_are_no_difference() {
        let comparison = run(None).expect("it runs");
        assert!(comparison.steps > 5 && comparison.difference.is_none(), "{comparison:?}");
    }

    #[test]
    fn the_first_step_that_differs_is_found_with_its_element() {
        let comparison = run(Some(2)).expect("it runs");
        let difference = comparison.difference.clone().expect("a fault");
        assert_eq!((comparison.steps, difference.step, difference.index, difference.differing), (3, 2, 5, 1));
        assert_eq!(difference.host ^ difference.device, 0x21);
        let text = difference.to_string();
        assert!(text.starts_with("step 2 (") && text.contains("element 5 is "), "{text}");
    }
}
