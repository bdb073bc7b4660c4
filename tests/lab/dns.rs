//! A DNS server that answers A and AAAA questions from a table, over UDP (RFC 1035 §4.1).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What a name has; a name that is not in the table does not exist.
#[derive(Clone, Debug)]
pub enum Answer {
    /// IPv4 addresses answer A, IPv6 ones AAAA; a family without any has no data.
    Addresses(Vec<IpAddr>),
    /// The name exists, an address does not.
    NoData,
    NxDomain,
    ServFail,
    Refused,
    /// No reply at all.
    Silent,
}

impl Answer {
    pub fn addresses(list: &[&str]) -> Answer {
        Answer::Addresses(list.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    fn rcode(&self) -> u8 {
        match self {
            Answer::Addresses(_) | Answer::NoData | Answer::Silent => 0,
            Answer::ServFail => 2,
            Answer::NxDomain => 3,
            Answer::Refused => 5,
        }
    }
}

/// Lower-case names without a trailing dot, each with what it has and its TTL in seconds.
type Table = HashMap<String, (Answer, u32)>;

/// A running server; it stops when dropped.
pub struct DnsServer {
    address: SocketAddr,
    queries: Arc<Mutex<Vec<(String, u16)>>>,
    answering: JoinHandle<()>,
}

impl DnsServer {
    /// Serves `table`: names, what they have, and for how many seconds.
    pub async fn start(table: &[(&str, Answer, u32)]) -> DnsServer {
        DnsServer::start_at(([127, 0, 0, 1], 0).into(), table).await
    }

    /// The same at an address of one's choice.
    pub async fn start_at(bind: SocketAddr, table: &[(&str, Answer, u32)]) -> DnsServer {
        let entry = |(name, answer, ttl): &(&str, Answer, u32)| (name.to_ascii_lowercase(), (answer.clone(), *ttl));
        let table: Table = table.iter().map(entry).collect();
        let socket = UdpSocket::bind(bind).await.unwrap();
        let queries = Arc::default();
        DnsServer {
            address: socket.local_addr().unwrap(),
            queries: Arc::clone(&queries),
            answering: tokio::spawn(serve(socket, table, queries)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The questions so far: name and type (1 A, 28 AAAA).
    pub fn queries(&self) -> Vec<(String, u16)> {
        self.queries.lock().unwrap().clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn serve(socket: UdpSocket, table: Table, queries: Arc<Mutex<Vec<(String, u16)>>>) {
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet).await {
        let Some(question) = Question::read(&packet[..length]) else {
            continue;
        };
        let asked = (question.name.clone(), question.kind);
        queries.lock().unwrap().push(asked);
        let missing = (Answer::NxDomain, 60);
        let (answer, ttl) = table.get(&question.name).unwrap_or(&missing);
        if !matches!(answer, Answer::Silent) {
            let _ = socket.send_to(&question.reply(answer, *ttl), client).await;
        }
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
        let Answer::Addresses(addresses) = answer else {
            return Vec::new();
        };
        let same_name = [0xc0, 12]; // a pointer to the question's
        addresses
            .iter()
            .filter_map(|address| match (address, self.kind) {
                (IpAddr::V4(ip), 1) => Some(record(&same_name, 1, ttl, &ip.octets())),
                (IpAddr::V6(ip), 28) => Some(record(&same_name, 28, ttl, &ip.octets())),
                _ => None,
            })
            .collect()
    }
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
