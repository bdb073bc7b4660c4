//! A whole session: however the network cuts a server's words, the same is done and found.

use std::time::Duration;

use mail_endpoint_exporter::mail::line::LineBuffer;
use mail_endpoint_exporter::mail::smtp::command::EhloName;
use mail_endpoint_exporter::mail::smtp::reply::ReplyReader;
use mail_endpoint_exporter::mail::smtp::session::{Action, Facts, Session, TlsUse};
use mail_endpoint_exporter::outcome::transcript::Transcript;

use super::assert_clean;

/// Ends what the server says before it waits for us.
const TURN: u8 = 0x1e;

/// The first byte says when TLS starts, the next four where the words are cut; then come the server's turns.
pub fn check(bytes: &[u8]) {
    let Some(([mode, cuts @ ..], words)) = bytes.split_first_chunk::<5>() else { return };
    let modes = [TlsUse::Never, TlsUse::IfOffered, TlsUse::Required, TlsUse::FromTheStart];
    let tls = modes[usize::from(*mode) % modes.len()];
    let turns: Vec<&[u8]> = words.split(|b| *b == TURN).collect();
    let whole = converse(turns.iter().map(|turn| vec![*turn]), tls);
    assert!(whole.actions.iter().filter(|action| matches!(action, Action::Fail(..))).count() <= 1);
    assert!(whole.actions.iter().filter(|action| matches!(action, Action::Send(_))).count() <= 5);
    let ends = ends_of_replies(&turns);
    let with_ends = || turns.iter().zip(&ends);
    assert_eq!(converse(with_ends().map(|(turn, end)| single_bytes(turn, *end)), tls), whole);
    assert_eq!(converse(with_ends().map(|(turn, end)| cut(turn, *end, cuts)), tls), whole);
    for line in Transcript::lines(&transcript(words, cuts)) {
        assert_clean(line.text);
    }
    assert_eq!(texts(&transcript(words, cuts)), texts(&transcript(words, &[])));
}

#[derive(Debug, PartialEq)]
struct Talk {
    actions: Vec<Action>,
    facts: Facts,
}

fn converse<'a>(turns: impl Iterator<Item = Vec<&'a [u8]>>, tls: TlsUse) -> Talk {
    let mut session = Session::new(tls, EhloName::parse("probe.example.org").expect("a good name"));
    let mut turns = turns.peekable();
    let mut pieces = Vec::new().into_iter();
    let mut actions = Vec::new();
    let mut action = session.next_action();
    loop {
        action = match &action {
            Action::Done => {
                actions.push(action);
                return Talk { actions, facts: session.into_facts() };
            }
            Action::Receive => {
                let mut piece: Option<&[u8]> = pieces.next();
                while piece.is_none() && turns.peek().is_some() {
                    pieces = turns.next().unwrap_or_default().into_iter();
                    piece = pieces.next();
                }
                match piece {
                    Some(piece) => {
                        session.feed(piece);
                        session.next_action()
                    }
                    None => session.end_of_stream(),
                }
            }
            Action::StartTls => {
                actions.push(action);
                session.tls_started()
            }
            Action::Send(command) => {
                let line = command.to_line();
                assert!(line.ends_with("\r\n") && line.matches(['\r', '\n']).count() == 2 && line.len() <= 512);
                actions.push(action);
                session.next_action()
            }
            Action::Fail(..) => {
                actions.push(action);
                session.next_action()
            }
        };
    }
}

/// Where the first reply ends that ends within each turn. What stands behind it must come with its last byte:
/// whether a server speaks out of turn can only be told from what has arrived.
fn ends_of_replies(turns: &[&[u8]]) -> Vec<usize> {
    let (mut lines, mut reader) = (LineBuffer::default(), ReplyReader::default());
    let mut end_of_reply = |turn: &&[u8]| {
        for (at, byte) in turn.iter().enumerate() {
            lines.push(&[*byte]);
            match lines.next_line() {
                Ok(None) => {}
                Ok(Some(line)) if matches!(reader.line(line), Ok(None)) => {}
                _ => {
                    (lines, reader) = (LineBuffer::default(), ReplyReader::default());
                    return at;
                }
            }
        }
        turn.len()
    };
    turns.iter().map(&mut end_of_reply).collect()
}

fn single_bytes(turn: &[u8], end: usize) -> Vec<&[u8]> {
    let (first, last) = turn.split_at(end);
    first.chunks(1).chain([last]).filter(|piece| !piece.is_empty()).collect()
}

fn cut<'a>(turn: &'a [u8], most: usize, cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut).min(most)).collect();
    places.sort_unstable();
    let (mut pieces, mut begin) = (Vec::new(), 0);
    for end in places.into_iter().chain([turn.len()]) {
        pieces.push(&turn[begin..end]);
        begin = end;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn transcript(words: &[u8], cuts: &[u8]) -> Transcript {
    let mut transcript = Transcript::default();
    let (mut rest, mut cuts) = (words, cuts.iter());
    while !rest.is_empty() {
        let size = cuts.next().map_or(rest.len(), |cut| usize::from(*cut).clamp(1, rest.len()));
        let (piece, others) = rest.split_at(size);
        transcript.received(Duration::ZERO, piece);
        rest = others;
    }
    transcript.end();
    transcript
}

fn texts(transcript: &Transcript) -> Vec<&str> {
    transcript.lines().map(|line| line.text).collect()
}
