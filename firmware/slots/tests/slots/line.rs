//! The server and an application on one line.

use ed25519_dalek::SigningKey;
use teff_link::{CHUNK, Collector, FRAME, decode, encode};
use teff_slots::wire::{Refusal, Request, Response};
use teff_slots::{Header, Heard, Installed, Served, Server, Store};

use crate::flash::RamFlash;

type Flash = RamFlash<4, 512>;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn works(_: &mut Flash, _: &Installed) -> bool {
    true
}

fn empty() -> Store<Flash> {
    Store::open(Flash::new(16), &key().verifying_key().to_bytes(), works).expect("large enough")
}

fn frame(sequence: u8, request: Request<'_>) -> Vec<u8> {
    encode(sequence, &request, &mut [0; FRAME]).expect("it fits").to_vec()
}

/// The responses in what was sent, with their numbers.
fn responses(bytes: &[u8]) -> Vec<(u8, Response)> {
    let mut collector = Collector::new();
    bytes.iter().filter_map(|&byte| collector.take(byte).and_then(decode)).collect()
}

/// What `requests`, numbered from 1, lead to.
fn serve(server: &mut Server, store: &mut Store<Flash>, requests: &[Request<'_>]) -> (Vec<(u8, Response)>, Served) {
    let line: Vec<u8> = (1..).zip(requests).flat_map(|(sequence, &request)| frame(sequence, request)).collect();
    let mut sent = [0; 4 * FRAME];
    let mut free = &mut sent[..];
    let served = server.serve(store, &mut &line[..], &mut free, works).expect("RAM does not fail");
    let rest = free.len();
    (responses(&sent[..4 * FRAME - rest]), served)
}

/// What a request that was heard elsewhere leads to.
fn resume(
    server: &mut Server,
    store: &Store<Flash>,
    sequence: u8,
    hello: bool,
) -> (Vec<(u8, Response)>, Option<Served>) {
    let mut sent = [0; FRAME];
    let mut free = &mut sent[..];
    let served = server.resume(store, Heard { sequence, hello }, &mut free).expect("RAM does not fail");
    let rest = free.len();
    (responses(&sent[..FRAME - rest]), served)
}

#[test]
fn a_hello_that_was_heard_is_answered_and_the_update_goes_on() {
    let (mut server, mut store) = (Server::new(), empty());
    let (answers, served) = resume(&mut server, &store, 200, true);
    let [(200, Response::Hello(info))] = answers[..] else { panic!("{answers:?}") };
    assert_eq!((info.active, info.sector, info.capacity, served), (None, 512, store.capacity(), None));

    let model = [3; 2 * CHUNK];
    let header = Header::sign(&model, 5, &key()).to_bytes();
    let data = |offset: usize| Request::Data { offset: offset as u32, bytes: &model[offset..offset + CHUNK] };
    let requests = [Request::Begin { header: &header }, data(0), data(CHUNK), Request::Finish];
    let (answers, served) = serve(&mut server, &mut store, &requests);
    assert_eq!(served, Served::Finished { version: 5 });
    assert_eq!(answers.last(), Some(&(4, Response::Finished { version: 5 })));

    // The answer was lost: the host asks again, and hears it again.
    let (answers, served) = resume(&mut server, &store, 4, false);
    assert_eq!(answers, [(4, Response::Finished { version: 5 })]);
    assert_eq!(served, Some(Served::Finished { version: 5 }));
}

#[test]
fn a_refusal_ends_it_and_what_a_sender_mends_does_not() {
    let (mut server, mut store) = (Server::new(), empty());
    let model = [3; CHUNK];
    let (good, stranger) =
        (Header::sign(&model, 5, &key()), Header::sign(&model, 5, &SigningKey::from_bytes(&[8; 32])));
    let (good, stranger) = (good.to_bytes(), stranger.to_bytes());
    let begin = Request::Begin { header: &good };
    let (_, served) = serve(&mut server, &mut store, &[Request::Begin { header: &stranger }, begin]);
    assert_eq!(served, Served::Refused(Refusal::Signature));

    // Bytes at the wrong place, and an end before all are there: the sender may still do better.
    let requests = [begin, Request::Data { offset: 64, bytes: &model[..64] }, Request::Finish];
    let (answers, served) = serve(&mut Server::new(), &mut store, &requests);
    assert_eq!(served, Served::LineEnded);
    assert_eq!(
        answers[1..],
        [(2, Response::Refused(Refusal::Offset { next: 0 })), (3, Response::Refused(Refusal::Digest))]
    );
}

#[test]
fn a_board_that_started_anew_says_so_to_a_sender_in_the_midst_of_an_update() {
    let (answers, served) = resume(&mut Server::new(), &empty(), 77, false);
    assert_eq!(answers, [(77, Response::Refused(Refusal::NotBegun))]);
    assert_eq!(served, Some(Served::Refused(Refusal::NotBegun)));
}
