//! Ranks that are processes, on one machine or several, with one TCP connection between each two.
//!
//! ```text
//! frame   kind u8 | length u64 | body      kind: a message, postcard; a tensor; a farewell; a failure
//! tensor  format u8 | rows u64 | columns u64 | numbers, little-endian
//! ```
//!
//! A message is a command of rank 0 or a reply to one. Postcard is compact and fast to read, which matters because
//! every decode step sends a command. It does not describe itself, so both ranks must have the same version, which
//! they check when they connect.

use super::{
    cpu_group::Transport,
    failure::{FailureState, POLL_INTERVAL},
};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, BufReader, Read, Write},
    net::{IpAddr, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

const MESSAGE: u8 = 0;
const TENSOR: u8 = 1;
const FAREWELL: u8 = 2;
const FAILURE: u8 = 3;

/// Bytes of the longest body that is accepted, for each kind of frame. Real bodies are far shorter: the tokens of a
/// pass, the activations or logits of a pass, nothing, and a sentence.
const LONGEST: [u64; 4] = [1 << 26, 1 << 34, 0, 1 << 20];

/// The connection to another rank.
pub(super) struct Peer {
    pub rank: usize,
    /// Address of the rank's machine, or `None` if it is this machine.
    pub other_machine: Option<IpAddr>,
    /// UUID of the rank's GPU, as it told rank 0.
    pub identity: Option<String>,
    writer: Mutex<TcpStream>,
    messages: Mutex<Receiver<Vec<u8>>>,
    tensors: Mutex<Receiver<Vec<u8>>>,
    failure: Arc<FailureState>,
}

impl Peer {
    /// Creates a peer over a connection on which both processes have introduced themselves.
    pub(super) fn new(
        rank: usize,
        stream: TcpStream,
        failure: &Arc<FailureState>,
    ) -> io::Result<Self> {
        // The activations of one token are small, and the other rank waits for them.
        stream.set_nodelay(true)?;
        stream.set_read_timeout(None)?;
        let address = stream.peer_addr()?.ip();
        // If this machine can bind an address, the address is its own.
        let is_here = address.is_loopback() || UdpSocket::bind((address, 0)).is_ok();
        let other_machine = (!is_here).then_some(address);
        let (message, messages) = mpsc::channel();
        let (tensor, tensors) = mpsc::channel();
        let (reader, shared) = (stream.try_clone()?, Arc::clone(failure));
        // A thread reads frames as soon as they arrive. Otherwise two ranks that send each other much data at the
        // same time would wait for one another.
        thread::Builder::new().name(format!("llem-from-{rank}")).spawn(move || {
            if let Err(error) = receive(rank, BufReader::new(reader), &message, &tensor, &shared) {
                let reason = match error.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                        "its process ended".to_owned()
                    }
                    _ => format!("its connection broke: {error}"),
                };
                shared.fail(rank, reason);
            }
        })?;
        let (messages, tensors) = (Mutex::new(messages), Mutex::new(tensors));
        let (writer, failure) = (Mutex::new(stream), Arc::clone(failure));
        Ok(Self { rank, other_machine, identity: None, writer, messages, tensors, failure })
    }

    /// Sends a command or a reply.
    pub(super) fn send_message(&self, message: &impl Serialize) -> Result<()> {
        let body = postcard::to_stdvec(message).map_err(|error| self.unreadable(&error))?;
        self.send(MESSAGE, &[&body])
    }

    /// Waits for a command or a reply, at most `more` longer than the deadline.
    pub(super) fn receive_message<T: DeserializeOwned>(&self, more: Duration) -> Result<T> {
        let began = Instant::now();
        self.read(&self.next(&self.messages, || self.failure.check_wait(self.rank, began, more))?)
    }

    /// Waits for a command or a reply without a deadline, until the other rank fails.
    pub(super) fn wait_for_message<T: DeserializeOwned>(&self) -> Result<T> {
        self.read(&self.next(&self.messages, || self.failure.check())?)
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T> {
        postcard::from_bytes(body).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &postcard::Error) -> Error {
        Error::Rank {
            rank: self.rank,
            reason: format!("what was said is unreadable ({error}): start all ranks from one llem"),
        }
    }

    /// Tells the other rank that nothing more will come, so that it does not take the connection's end for a failure.
    pub(super) fn send_farewell(&self) {
        // If the other process has ended already, it does not need the message.
        let _ = self.write(FAREWELL, &[]);
    }

    /// Tells the other rank which rank has failed before this process ends. Otherwise it would take this process's
    /// end for the cause.
    pub(super) fn send_failure(&self) {
        if let Err(Error::Rank { rank, reason }) = self.failure.check() {
            let _ = self.write(FAILURE, &[&(rank as u64).to_le_bytes(), reason.as_bytes()]);
        }
    }

    fn send_tensor(&self, head: &[u8], numbers: &[u8]) -> Result<()> {
        self.send(TENSOR, &[head, numbers])
    }

    fn next_tensor(&self) -> Result<Tensor> {
        let began = Instant::now();
        let waiting = || self.failure.check_wait(self.rank, began, Duration::ZERO);
        decode(&self.next(&self.tensors, waiting)?).ok_or_else(|| {
            self.failure.fail(self.rank, "it sent something that is no tensor");
            self.failure()
        })
    }

    fn next(
        &self,
        frames: &Mutex<Receiver<Vec<u8>>>,
        waiting: impl Fn() -> Result<()>,
    ) -> Result<Vec<u8>> {
        let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match frames.recv_timeout(POLL_INTERVAL) {
                Ok(frame) => return Ok(frame),
                Err(RecvTimeoutError::Timeout) => waiting()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.failure.fail(self.rank, "it has left");
                    return Err(self.failure());
                }
            }
        }
    }

    fn send(&self, kind: u8, parts: &[&[u8]]) -> Result<()> {
        self.failure.check()?;
        self.write(kind, parts).map_err(|_| {
            // The reader thread may have a better reason, so it gets the first chance to report it.
            thread::sleep(POLL_INTERVAL);
            self.failure.fail(self.rank, "its process ended");
            self.failure()
        })
    }

    fn write(&self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut frame = Vec::with_capacity(9 + length);
        frame.push(kind);
        frame.extend((length as u64).to_le_bytes());
        parts.iter().for_each(|part| frame.extend_from_slice(part));
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&frame)
    }

    fn failure(&self) -> Error {
        let reason = "it has left".to_owned();
        self.failure.check().err().unwrap_or(Error::Rank { rank: self.rank, reason })
    }
}

/// Reads frames from a rank and sorts them by kind, until its farewell.
fn receive(
    from: usize,
    mut stream: impl Read,
    messages: &Sender<Vec<u8>>,
    tensors: &Sender<Vec<u8>>,
    failure: &FailureState,
) -> io::Result<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u64::from_le_bytes(length);
        if LONGEST.get(usize::from(kind)).is_none_or(|&longest| length > longest) {
            return Err(io::Error::other("it does not speak as llem does"));
        }
        let mut body = Vec::new();
        body.try_reserve_exact(length as usize)?;
        if stream.by_ref().take(length).read_to_end(&mut body)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The receivers are gone if this process is about to end.
        let _ = match kind {
            MESSAGE => messages.send(body),
            TENSOR => tensors.send(body),
            FAILURE => {
                if let Some((rank, reason)) = body.split_first_chunk() {
                    let rank = u64::from_le_bytes(*rank) as usize;
                    failure.record_report(from, rank, String::from_utf8_lossy(reason).into_owned());
                }
                continue;
            }
            _ => return Ok(()),
        };
    }
}

/// Number formats of activations, in the order of their codes in a frame.
const FORMATS: [DType; 3] = [DType::F32, DType::BF16, DType::F16];

/// Bytes before a tensor's numbers.
const HEAD: usize = 17;

fn encode(x: &Tensor) -> Result<(Vec<u8>, Vec<u8>)> {
    let (rows, columns) = x.dims2()?;
    let format = FORMATS.iter().position(|format| *format == x.dtype()).unwrap_or_default();
    let mut head = vec![format as u8];
    head.extend((rows as u64).to_le_bytes());
    head.extend((columns as u64).to_le_bytes());
    let mut numbers = Vec::with_capacity(rows * columns * x.dtype().size_in_bytes());
    x.write_bytes(&mut numbers)?;
    Ok((head, numbers))
}

fn decode(frame: &[u8]) -> Option<Tensor> {
    let (head, numbers) = frame.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?) as usize);
    let (format, rows, columns) = (*FORMATS.get(usize::from(head[0]))?, number(1)?, number(9)?);
    let bytes = rows.checked_mul(columns)?.checked_mul(format.size_in_bytes())?;
    if bytes != numbers.len() {
        return None;
    }
    Tensor::from_raw_buffer(numbers, format, &[rows, columns], &Device::Cpu).ok()
}

/// A rank's membership of a group of processes.
pub(super) struct SocketTransport {
    /// The peers of the group in its order, with `None` in this rank's own place.
    peers: Vec<Option<Arc<Peer>>>,
}

impl SocketTransport {
    /// Creates the group of the ranks `ranks`. `peers` are the other ranks of the launch.
    pub(super) fn new(ranks: &[usize], peers: &[Arc<Peer>]) -> Self {
        let find = |rank: &usize| peers.iter().find(|peer| peer.rank == *rank).cloned();
        Self { peers: ranks.iter().map(find).collect() }
    }

    fn peer(&self, index: usize) -> Result<&Peer> {
        self.peers[index]
            .as_deref()
            .ok_or_else(|| Error::Unsupported("a rank does not send tensors to itself".to_owned()))
    }
}

impl Transport for SocketTransport {
    fn exchange(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let (head, numbers) = encode(x)?;
        self.peers.iter().flatten().try_for_each(|peer| peer.send_tensor(&head, &numbers))?;
        let others = self.peers.iter();
        others
            .map(|peer| peer.as_ref().map_or_else(|| Ok(x.clone()), |p| p.next_tensor()))
            .collect()
    }

    fn send(&self, x: &Tensor, to: usize) -> Result<()> {
        let (head, numbers) = encode(x)?;
        self.peer(to)?.send_tensor(&head, &numbers)
    }

    fn recv(&self, from: usize) -> Result<Tensor> {
        self.peer(from)?.next_tensor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a connection that contains these bytes and then ends.
    fn receive_all(said: &[u8]) -> io::Result<()> {
        let (sender, _frames) = mpsc::channel();
        receive(1, said, &sender, &sender, &FailureState::new(Duration::from_secs(1)))
    }

    #[test]
    fn a_frame_longer_than_any_is_refused_before_memory_is_taken_for_it() {
        for (kind, longest) in (0..).zip(LONGEST) {
            let said = [&[kind][..], &(longest + 1).to_le_bytes()].concat();
            let error = receive_all(&said).expect_err("it is too long");
            assert_eq!(error.to_string(), "it does not speak as llem does", "{kind}");
        }
        let unknown = [&[4][..], &0u64.to_le_bytes()].concat();
        assert!(receive_all(&unknown).is_err());
    }

    #[test]
    fn a_frame_that_breaks_off_is_the_end_of_the_other() {
        let said = [&[TENSOR][..], &8u64.to_le_bytes(), &[0; 7]].concat();
        let error = receive_all(&said).expect_err("a byte is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let farewell = [&[FAREWELL][..], &0u64.to_le_bytes()].concat();
        assert!(receive_all(&farewell).is_ok());
    }

    #[test]
    fn a_tensor_is_as_large_as_it_says() {
        let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).expect("a tensor");
        let (head, numbers) = encode(&x).expect("encoded");
        let back = decode(&[&head[..], &numbers].concat()).expect("a tensor");
        assert_eq!(back.to_vec2::<f32>().ok(), x.to_vec2::<f32>().ok());
        assert!(decode(&[&head[..], &numbers[4..]].concat()).is_none());
        // The product of both is 0 in 64 bits.
        let mut endless = head;
        endless[1..9].copy_from_slice(&(1u64 << 63).to_le_bytes());
        assert!(decode(&endless).is_none());
    }
}
