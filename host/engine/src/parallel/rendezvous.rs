//! How the processes of a launch find one another.
//!
//! Messages here are JSON, which every version of llem can read. So rank 0 can tell which version another process
//! has. After that the processes speak postcard, which only equal versions understand.

use super::{failure::FailureState, launch_environment::LaunchEnvironment, socket_transport::Peer};
use crate::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Time between two attempts to accept or make a connection.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(50);

impl LaunchEnvironment {
    /// Finds all other processes and connects to each. Tells rank 0 the UUID of this process's GPU. Fails if a
    /// process has not come within `deadline`.
    pub(super) fn join(
        &self,
        deadline: Duration,
        failure: &Arc<FailureState>,
        identity: Option<&str>,
    ) -> Result<Vec<Arc<Peer>>> {
        let until = Instant::now() + deadline;
        let arrived = if self.rank == 0 { self.gather(until) } else { self.come(until, identity) }?;
        let peers = arrived.into_iter().map(|Arrived { rank, identity, stream }| {
            let mut peer =
                Peer::new(rank, stream, failure).map_err(|error| self.broken(rank, &error))?;
            peer.identity = identity;
            Ok(Arc::new(peer))
        });
        peers.collect()
    }

    /// On rank 0: waits for the others and tells each of them where the others listen.
    fn gather(&self, until: Instant) -> Result<Vec<Arrived>> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)).map_err(|error| {
            Error::Invalid(format!(
                "rank 0 cannot wait for the others at port {}: {error}; set MASTER_PORT to a free one",
                self.port
            ))
        })?;
        let mut arrived: Vec<(Hello, SocketAddr, TcpStream)> = Vec::new();
        while arrived.len() + 1 < self.size {
            let missing = || {
                let here = |rank: &usize| arrived.iter().all(|(hello, ..)| hello.rank != *rank);
                let ranks: Vec<String> =
                    (1..self.size).filter(here).map(|rank| rank.to_string()).collect();
                format!("rank {} of {} has", ranks.join(", "), self.size)
            };
            let (mut stream, hello) =
                accept(&listener, until).map_err(|error| self.late(&missing(), &error))?;
            let Some(hello) = hello else { continue };
            if hello.size != self.size || hello.version != version() {
                let refusal = LaunchRefusal::from(&LaunchMismatch { hello, size: self.size });
                // The other process may be too old to read the message, so rank 0 reports it too.
                let _ = write_message(&mut stream, &PeerAddresses::Err(refusal.clone()));
                return Err(refusal.into());
            }
            if hello.rank == 0 || arrived.iter().any(|(other, ..)| other.rank == hello.rank) {
                return Err(Error::Invalid(format!(
                    "two processes say that they are rank {}: give each its own",
                    hello.rank
                )));
            }
            let from = stream.peer_addr().map_err(|error| self.broken(hello.rank, &error))?;
            let place = SocketAddr::new(from.ip(), hello.port);
            arrived.push((hello, place, stream));
        }
        arrived.sort_by_key(|(hello, ..)| hello.rank);
        let table = PeerAddresses::Ok(arrived.iter().map(|(_, place, _)| *place).collect());
        arrived
            .into_iter()
            .map(|(hello, _, mut stream)| {
                write_message(&mut stream, &table)
                    .map_err(|error| self.broken(hello.rank, &error))?;
                Ok(Arrived { rank: hello.rank, identity: hello.identity, stream })
            })
            .collect()
    }

    /// On any other rank: connects to rank 0 and to the ranks before this one, and waits for the ranks after it.
    fn come(&self, until: Instant, identity: Option<&str>) -> Result<Vec<Arrived>> {
        let nobody = |error: &io::Error| self.late("rank 0 has", error);
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| nobody(&e))?;
        let port = listener.local_addr().map_err(|error| nobody(&error))?.port();
        let (version, identity) = (version().to_owned(), identity.map(str::to_owned));
        let hello = Hello { rank: self.rank, size: self.size, port, version, identity };
        let mut first = connect((self.host.as_str(), self.port), until).map_err(|e| nobody(&e))?;
        write_message(&mut first, &hello).map_err(|error| nobody(&error))?;
        first.set_read_timeout(Some(left(until))).map_err(|error| nobody(&error))?;
        // Rank 0 answers once all have come.
        let answer: PeerAddresses = read_message(&mut first).map_err(|error| nobody(&error))?;
        let table = answer?;
        // Only rank 0 needs to know the GPUs of the others.
        let arrived = |rank, stream| Arrived { rank, identity: None, stream };
        let mut streams = vec![arrived(0, first)];
        for (rank, place) in (1..self.rank).zip(&table) {
            let late = |error: &io::Error| self.late(&format!("rank {rank} has"), error);
            let mut stream = connect(place, until).map_err(|error| late(&error))?;
            write_message(&mut stream, &hello).map_err(|error| late(&error))?;
            streams.push(arrived(rank, stream));
        }
        while streams.len() + 1 < self.size {
            let (stream, hello) =
                accept(&listener, until).map_err(|error| self.late("a later rank has", &error))?;
            streams.extend(hello.map(|hello| arrived(hello.rank, stream)));
        }
        Ok(streams)
    }

    fn late(&self, who: &str, error: &io::Error) -> Error {
        Error::Invalid(format!(
            "{who} not come to {}:{} ({error}): start every rank, with the same MASTER_ADDR and MASTER_PORT, or unset the launcher's variables to run ranks as threads",
            self.host, self.port
        ))
    }

    fn broken(&self, rank: usize, error: &io::Error) -> Error {
        Error::Rank { rank, reason: format!("its connection broke: {error}") }
    }
}

/// The first message of a process.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    rank: usize,
    size: usize,
    /// The port on which the process listens for others.
    port: u16,
    version: String,
    /// UUID of the process's GPU, or `None` if it is not on a GPU.
    identity: Option<String>,
}

/// The answer of rank 0 once all have come: where the other ranks listen, from rank 1 on, or why rank 0 refuses.
type PeerAddresses = std::result::Result<Vec<SocketAddr>, LaunchRefusal>;

/// Why rank 0 refuses a launch, as it tells the other rank. Its JSON is the sentence, because the other rank may have
/// another version of llem, which knows other causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
struct LaunchRefusal(String);

impl From<&LaunchMismatch> for LaunchRefusal {
    fn from(mismatch: &LaunchMismatch) -> Self {
        Self(mismatch.to_string())
    }
}

impl From<LaunchRefusal> for Error {
    fn from(LaunchRefusal(sentence): LaunchRefusal) -> Self {
        Self::Invalid(sentence)
    }
}

/// A process has another version of llem than rank 0, or belongs to a launch of another size.
#[derive(Debug, thiserror::Error)]
#[error(
    "rank {} is one of {} processes of llem {}, and rank 0 one of {size} of llem {}: start all alike",
    .hello.rank,
    .hello.size,
    .hello.version,
    version()
)]
struct LaunchMismatch {
    /// What the process said of itself.
    hello: Hello,
    /// The number of processes, as rank 0 knows it.
    size: usize,
}

/// A process that has connected.
struct Arrived {
    rank: usize,
    /// UUID of the process's GPU, as it told rank 0.
    identity: Option<String>,
    stream: TcpStream,
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn connect(place: impl ToSocketAddrs, until: Instant) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(&place) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > until => return Err(error),
            // The other process may not listen yet.
            Err(_) => thread::sleep(ACCEPT_INTERVAL),
        }
    }
}

/// Accepts the next connection and reads its first message. The message is `None` if the connection is not from a
/// rank.
fn accept(listener: &TcpListener, until: Instant) -> io::Result<(TcpStream, Option<Hello>)> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(left(until).min(Duration::from_secs(5))))?;
                let hello = read_message(&mut stream).ok();
                return Ok((stream, hello));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() > until {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                thread::sleep(ACCEPT_INTERVAL);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Bytes of the longest first message that is accepted.
const LONGEST_HELLO: u32 = 1 << 20;

fn write_message(stream: &mut TcpStream, what: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(what)?;
    stream.write_all(&(body.len() as u32).to_le_bytes())?;
    stream.write_all(&body)
}

fn read_message<T: DeserializeOwned>(stream: &mut TcpStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_HELLO {
        return Err(io::Error::other("not a greeting of llem"));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_tell_the_uuids_of_their_gpus_to_the_one_that_leads() {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let join = move |rank: usize, identity: Option<&str>| {
            let host = "127.0.0.1".to_owned();
            let launch = LaunchEnvironment { rank, size: 3, host, port, local: 0 };
            let deadline = Duration::from_secs(20);
            let peers = launch.join(deadline, &Arc::new(FailureState::new(deadline)), identity)?;
            let told = |peer: &Arc<Peer>| (peer.rank, peer.identity.clone());
            Ok::<_, Error>(peers.iter().map(told).collect::<Vec<_>>())
        };
        let told = thread::scope(|scope| {
            scope.spawn(move || join(1, Some("GPU-bb")).map(drop));
            scope.spawn(move || join(2, None).map(drop));
            join(0, Some("GPU-aa"))
        });
        let expected = [(1, Some("GPU-bb".to_owned())), (2, None)];
        assert_eq!(told.expect("all have come"), expected);
    }

    /// Every version of llem reads this answer.
    #[test]
    fn the_answer_of_rank_0_is_addresses_or_a_sentence_in_json() {
        let json = |answer: &PeerAddresses| serde_json::to_string(answer).expect("JSON");
        let place = SocketAddr::from(([127, 0, 0, 1], 80));
        assert_eq!(json(&Ok(vec![place])), r#"{"Ok":["127.0.0.1:80"]}"#);
        assert_eq!(json(&Err(LaunchRefusal("no".to_owned()))), r#"{"Err":"no"}"#);
    }

    #[test]
    fn another_version_is_refused_by_name_on_both_sides() {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let (told, refused) = thread::scope(|scope| {
            let other = scope.spawn(move || {
                let until = Instant::now() + Duration::from_secs(20);
                let mut stream = connect(("127.0.0.1", port), until).expect("rank 0 waits");
                let version = "0.0.9".to_owned();
                let hello = Hello { rank: 1, size: 2, port: 1, version, identity: None };
                write_message(&mut stream, &hello).expect("said");
                read_message::<PeerAddresses>(&mut stream)
                    .expect("an answer")
                    .expect_err("it is refused")
            });
            let host = "127.0.0.1".to_owned();
            let launch = LaunchEnvironment { rank: 0, size: 2, host, port, local: 0 };
            let deadline = Duration::from_secs(20);
            let refused = launch.join(deadline, &Arc::new(FailureState::new(deadline)), None);
            (other.join().expect("it ends"), refused)
        });
        let sentence = refused.err().expect("it is of another version").to_string();
        assert_eq!(told.to_string(), sentence);
        let expected = format!("llem 0.0.9, and rank 0 one of 2 of llem {}", version());
        assert!(sentence.contains(&expected), "{sentence}");
    }
}
