//! `basic_auth_users`: names and the bcrypt hashes of their passwords.

use std::collections::BTreeMap;
use std::fmt;

use super::super::file::Node;
use super::super::reader::{At, Source};
use super::mapping;

/// From this cost on, checking a password takes more than a second or two.
pub(super) const COSTLY: u32 = 14;

/// What bcrypt's own base64 is written with.
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A bcrypt hash. It never leaves this type: it is neither shown nor given away, only compared with.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

impl PasswordHash {
    /// Reads `$2y$10$…` and the other three spellings of the same algorithm. The error does not show it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = with_canonical_salt(text.trim());
        let wrong = || "this is no bcrypt hash: write one such as `htpasswd -nBC 10 \"\"` makes ($2y$10$…)".to_owned();
        let cost = text.parse::<bcrypt::HashParts>().map_err(|_| wrong())?.get_cost();
        if !(4..=31).contains(&cost) {
            return Err("the cost of this hash is outside 4 to 31: make it again, with `htpasswd -nBC 10 \"\"`".into());
        }
        Ok(Self { text, cost })
    }

    /// How much work a comparison is: 2 to the power of this.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether the password is the one that was hashed; takes the same time whether it is or not. Only its
    /// first 72 bytes count, as everywhere with bcrypt.
    pub fn verify(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// The last letter of the salt has four bits too many. Go, and with it the toolkit, lets them be anything;
/// the library here wants zeros, which make the same salt.
fn with_canonical_salt(text: &str) -> String {
    const LAST: usize = "$2y$10$".len() + 21;
    let canonical = || {
        let (before, rest) = text.split_at_checked(LAST)?;
        let (last, after) = rest.split_at_checked(1)?;
        let index = ALPHABET.iter().position(|letter| [*letter] == *last.as_bytes())?;
        let letter = char::from(*ALPHABET.get(index & 0b11_0000)?);
        Some(format!("{before}{letter}{after}"))
    };
    canonical().unwrap_or_else(|| text.to_owned())
}

/// Reads the users.
pub(super) fn read(source: &mut Source, node: &Node, at: &At) -> BTreeMap<String, PasswordHash> {
    let mut users = BTreeMap::new();
    for (name, node, user) in mapping(source, node, at.clone()).all() {
        match hash(name, node) {
            Ok(hash) => drop(users.insert(name.to_owned(), hash)),
            // The path of a value holds the name; not if it is a hash itself.
            Err(why) => source.problem(if name.starts_with('$') { at } else { &user }, why),
        }
    }
    users
}

fn hash(name: &str, node: &Node) -> Result<PasswordHash, String> {
    if PasswordHash::parse(name).is_ok() {
        return Err("a hash stands where a name should: write `name: hash`".into());
    }
    // RFC 7617 §2: what cannot be sent cannot come in.
    if name.contains(':') || name.chars().any(char::is_control) {
        return Err("a user's name cannot have a colon or a control character: write another name".into());
    }
    match node {
        Node::Scalar(text) => PasswordHash::parse(text),
        other => Err(format!("{} stands here: write a bcrypt hash ($2y$10$…)", other.kind())),
    }
}
