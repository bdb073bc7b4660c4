//! The protocol: pure, so that it can be fed from memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use mail_endpoint_exporter::mail::smtp::capabilities::Capabilities;
use mail_endpoint_exporter::mail::smtp::command::EhloName;
use mail_endpoint_exporter::mail::smtp::reply::{Reply, ReplyReader};
use mail_endpoint_exporter::mail::smtp::session::{Action, Facts, Session, TlsUse};

use crate::lab::{Script, Step};

/// What the server says each time that it has the word.
pub(crate) fn turns() -> Vec<Vec<u8>> {
    let mut turns = vec![Vec::new()];
    for step in Script::recorded("gmail-587-starttls").steps {
        match step {
            Step::Send(bytes) => turns.last_mut().unwrap().extend(bytes),
            _ => turns.push(Vec::new()),
        }
    }
    turns.retain(|turn| !turn.is_empty());
    turns
}

/// A session from its greeting to the reply to QUIT.
pub(crate) fn converse(turns: &[Vec<u8>]) -> Facts {
    let mut session = Session::new(TlsUse::Required, EhloName::parse("probe.example.org").unwrap());
    let mut turns = turns.iter();
    let mut action = session.next_action();
    loop {
        action = match action {
            Action::Send(command) => {
                black_box(command.to_line());
                session.next_action()
            }
            Action::Receive => {
                session.feed(turns.next().unwrap());
                session.next_action()
            }
            Action::StartTls => session.tls_started(),
            Action::Fail(step, fault) => panic!("{step:?}: {fault:?}"),
            Action::Done => return session.into_facts(),
        };
    }
}

fn read(lines: &[&[u8]]) -> Reply {
    let mut reader = ReplyReader::default();
    lines.iter().find_map(|line| reader.line(line).unwrap()).unwrap()
}

pub(crate) fn bench(c: &mut Criterion) {
    let turns = turns();
    let ehlo = turns.iter().find(|turn| turn.starts_with(b"250-")).unwrap();
    let lines: Vec<&[u8]> = ehlo.trim_ascii_end().split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end).collect();
    let reply = read(&lines);
    let facts = converse(&turns);
    assert!(facts.clear.is_some() && facts.tls.is_some_and(|tls| tls.auth.len() == 6));
    let mut group = c.benchmark_group("mail");
    group.throughput(Throughput::Bytes(ehlo.len() as u64));
    group.bench_function("reply of 8 lines, decoded", |b| b.iter(|| read(black_box(&lines))));
    group.bench_function("EHLO facts out of it", |b| b.iter(|| Capabilities::from_ehlo(black_box(&reply))));
    group.throughput(Throughput::Bytes(turns.iter().map(Vec::len).sum::<usize>() as u64));
    group.bench_function("whole session, STARTTLS", |b| b.iter(|| converse(black_box(&turns))));
    group.finish();
}
