//! A DNS server that answers A, AAAA, MX and SRV questions from a table, over UDP and TCP (RFC 1035 §4), well or badly.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// What a name has; a name that is not in the table does not exist.
#[derive(Clone, Debug)]
pub enum Answer {
    /// IPv4 addresses answer A, IPv6 ones AAAA; a family without any has no data.
    Addresses(Vec<IpAddr>),
    /// MX records: preference and host, the empty name being the root. The name has no address.
    Mx(Vec<(u16, String)>),
    /// SRV records: priority, weight, port and host. The name has no address.
    Srv(Vec<([u16; 3], String)>),
    /// The name exists, an address does not.
    NoData,
    NxDomain,
    ServFail,
    Refused,
    /// No reply at all.
    Silent,
    /// Another name; its addresses are not in the reply.
    Cname(String),
    /// UDP has room for none of them and says so (TC); TCP has all, or closes if there are none.
    Truncated(Vec<IpAddr>),
    /// A reply to another question: its id is not ours (RFC 5452 §9.1).
    WrongId(Vec<IpAddr>),
    /// A reply from a port that was not asked.
    WrongPort(Vec<IpAddr>),
    /// Bytes that are no message behind the id.
    Garbage,
}

impl Answer {
    pub fn addresses(list: &[&str]) -> Answer {
        Answer::Addresses(list.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    pub fn mx(list: &[(u16, &str)]) -> Answer {
        Answer::Mx(list.iter().map(|(preference, host)| (*preference, (*host).to_owned())).collect())
    }

    pub fn srv(list: &[([u16; 3], &str)]) -> Answer {
        Answer::Srv(list.iter().map(|(numbers, host)| (*numbers, (*host).to_owned())).collect())
    }

    fn rcode(&self) -> u8 {
        match self {
            Answer::Refused => 5,
            Answer::ServFail => 2,
            Answer::NxDomain => 3,
            _ => 0,
        }
    }

    fn list(&self) -> &[IpAddr] {
        match self {
            Answer::Addresses(list) | Answer::Truncated(list) | Answer::WrongId(list) | Answer::WrongPort(list) => list,
            _ => &[],
        }
    }
}

/// Lower-case names without a trailing dot, each with what it has and its TTL in seconds.
type Table = HashMap<String, (Answer, u32)>;

/// A running server; it stops when dropped.
pub struct DnsServer {
    address: SocketAddr,
    table: Arc<Mutex<Table>>,
    queries: Arc<Mutex<Vec<(String, u16)>>>,
    answering: [JoinHandle<()>; 2],
}

impl DnsServer {
    /// Serves `table`: names, what they have, and for how many seconds.
    pub async fn start(table: &[(&str, Answer, u32)]) -> DnsServer {
        DnsServer::start_at(([127, 0, 0, 1], 0).into(), table).await
    }

    /// The same at an address of one's choice.
    pub async fn start_at(bind: SocketAddr, table: &[(&str, Answer, u32)]) -> DnsServer {
        let (udp, tcp) = sockets(bind).await;
        let (table, queries) = (Arc::new(Mutex::new(entries(table))), Arc::default());
        DnsServer {
            address: udp.local_addr().unwrap(),
            table: Arc::clone(&table),
            queries: Arc::clone(&queries),
            answering: [tokio::spawn(serve_tcp(tcp, table.clone())), tokio::spawn(serve(udp, table, queries))],
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves another table from now on.
    pub fn set(&self, table: &[(&str, Answer, u32)]) {
        *self.table.lock().unwrap() = entries(table);
    }

    /// The questions so far: name and type (1 A, 28 AAAA).
    pub fn queries(&self) -> Vec<(String, u16)> {
        self.queries.lock().unwrap().clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.answering.iter().for_each(JoinHandle::abort);
    }
}

/// The same port for both; one that is free for UDP may be taken for TCP.
async fn sockets(bind: SocketAddr) -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind(bind).await.unwrap();
        match TcpListener::bind(udp.local_addr().unwrap()).await {
            Ok(tcp) => return (udp, tcp),
            Err(error) => assert_eq!(bind.port(), 0, "{bind}: {error}"),
        }
    }
}

fn entries(table: &[(&str, Answer, u32)]) -> Table {
    table.iter().map(|(name, answer, ttl)| (name.to_ascii_lowercase(), (answer.clone(), *ttl))).collect()
}

/// What a name has; what is not in the table does not exist.
fn look_up(table: &Table, name: &str) -> (Answer, u32) {
    table.get(name).cloned().unwrap_or((Answer::NxDomain, 60))
}

async fn serve_tcp(listener: TcpListener, table: Arc<Mutex<Table>>) {
    while let Ok((mut tcp, _)) = listener.accept().await {
        let table = table.clone();
        tokio::spawn(async move {
            // RFC 1035 §4.2.2: each message behind its length.
            while let Ok(length) = tcp.read_u16().await {
                let mut packet = vec![0; usize::from(length)];
                if tcp.read_exact(&mut packet).await.is_err() {
                    return;
                }
                let Some(question) = Question::read(&packet) else { return };
                let (answer, ttl) = look_up(&table.lock().unwrap(), &question.name);
                if matches!(&answer, Answer::Garbage) || matches!(&answer, Answer::Truncated(none) if none.is_empty()) {
                    return;
                }
                let reply = question.reply(&answer, ttl);
                let _ = tcp.write_u16(reply.len() as u16).await;
                let _ = tcp.write_all(&reply).await;
            }
        });
    }
}

async fn serve(socket: UdpSocket, table: Arc<Mutex<Table>>, queries: Arc<Mutex<Vec<(String, u16)>>>) {
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet).await {
        let Some(question) = Question::read(&packet[..length]) else {
            continue;
        };
        let asked = (question.name.clone(), question.kind);
        queries.lock().unwrap().push(asked);
        let (answer, ttl) = look_up(&table.lock().unwrap(), &question.name);
        let mut reply = question.reply(&answer, ttl);
        let from = if matches!(answer, Answer::WrongPort(_)) { &stranger } else { &socket };
        match answer {
            Answer::Silent => continue,
            Answer::Garbage => reply.splice(2.., [0xff; 9]).for_each(drop),
            Answer::WrongId(_) => reply[1] ^= 0xff,
            Answer::Truncated(_) => {
                let question_ends = 12 + question.section.len();
                reply.truncate(question_ends);
                reply[2] |= 2; // TC
                reply[6..12].fill(0);
            }
            _ => {}
        }
        let _ = from.send_to(&reply, client).await;
    }
}

struct Question<'a> {
    id: &'a [u8],
    /// The question section as it came: its case is the client's (0x20 encoding).
    section: &'a [u8],
    name: String,
    kind: u16,
}

impl Question<'_> {
    fn read(packet: &[u8]) -> Option<Question<'_>> {
        let mut labels = Vec::new();
        let mut at = 12;
        while *packet.get(at)? != 0 {
            let label = packet.get(at + 1..)?.get(..usize::from(packet[at]))?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += 1 + label.len();
        }
        let kind = packet.get(at + 1..at + 3)?;
        Some(Question {
            id: &packet[..2],
            section: packet.get(12..at + 5)?,
            name: labels.join("."),
            kind: u16::from_be_bytes([kind[0], kind[1]]),
        })
    }

    fn reply(&self, answer: &Answer, ttl: u32) -> Vec<u8> {
        let records = self.records(answer, ttl);
        // RFC 2308 §2: a negative answer carries the SOA that says how long it may be kept.
        let negative = records.is_empty() && matches!(answer.rcode(), 0 | 3);
        let mut reply = self.id.to_vec();
        reply.extend([0x85, 0x80 | answer.rcode()]); // a reply, authoritative; recursion both ways
        for count in [1, records.len() as u16, u16::from(negative), 0] {
            reply.extend(count.to_be_bytes());
        }
        reply.extend(self.section);
        reply.extend(records.concat());
        if negative {
            let mut soa = vec![0; 2]; // names of the server and its keeper: the root
            soa.extend([1, 3600, 600, 86400, ttl].map(u32::to_be_bytes).concat());
            reply.extend(record(&[0], 6, ttl, &soa));
        }
        reply
    }

    fn records(&self, answer: &Answer, ttl: u32) -> Vec<Vec<u8>> {
        let same_name = [0xc0, 12]; // a pointer to the question's
        if let Answer::Cname(other) = answer {
            return vec![record(&same_name, 5, ttl, &wire_name(other))];
        }
        if let (Answer::Mx(hosts), 15) = (answer, self.kind) {
            let data = |(preference, host): &(u16, String)| [&preference.to_be_bytes()[..], &wire_name(host)].concat();
            return hosts.iter().map(|mx| record(&same_name, 15, ttl, &data(mx))).collect();
        }
        if let (Answer::Srv(hosts), 33) = (answer, self.kind) {
            let data = |(numbers, host): &([u16; 3], String)| {
                [numbers.map(u16::to_be_bytes).concat(), wire_name(host)].concat()
            };
            return hosts.iter().map(|srv| record(&same_name, 33, ttl, &data(srv))).collect();
        }
        let addresses = answer.list().iter();
        addresses
            .filter_map(|address| match (address, self.kind) {
                (IpAddr::V4(ip), 1) => Some(record(&same_name, 1, ttl, &ip.octets())),
                (IpAddr::V6(ip), 28) => Some(record(&same_name, 28, ttl, &ip.octets())),
                _ => None,
            })
            .collect()
    }
}

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect()
}

fn record(name: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = name.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend([0, 1]); // class IN
    record.extend(ttl.to_be_bytes());
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}
