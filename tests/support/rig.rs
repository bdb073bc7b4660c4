//! The real servers that `tests/real.sh` has started, and what they say of us.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder of the servers (`REAL_DIR`), and what its `env` says.
pub struct Rig {
    pub folder: PathBuf,
    pub env: HashMap<String, String>,
}

impl Rig {
    pub fn new() -> Self {
        let folder = PathBuf::from(std::env::var("REAL_DIR").expect("run by tests/real.sh"));
        let mut rig = Self { folder, env: HashMap::new() };
        rig.read();
        rig
    }

    fn read(&mut self) {
        let text = fs::read_to_string(self.folder.join("env")).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        self.env = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    }

    /// Where the server of a port listens.
    pub fn address(&self, key: &str) -> SocketAddr {
        format!("127.0.0.1:{}", self.env[key]).parse().unwrap()
    }

    /// A module that trusts the servers' certificates; `more` begins with a comma.
    pub fn module(&self, security: &str, more: &str) -> String {
        format!("{{security: {security}, ca_file: '{}', timeout: 10s{more}}}", self.env["CA_FILE"])
    }

    pub fn log(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.join("logs").join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes into logs from now on.
    pub fn watch<'a>(&'a self, logs: &[&'a str]) -> Watch<'a> {
        Watch { rig: self, from: logs.iter().map(|name| (*name, self.log(name).len())).collect() }
    }

    /// Runs one of the scripts beside the servers' own.
    pub fn script(&mut self, name: &str, arguments: &[&str]) {
        self.script_with(name, arguments, &[]);
    }

    /// The same, with variables set.
    pub fn script_with(&mut self, name: &str, arguments: &[&str], variables: &[(&str, &str)]) {
        let path = format!("{}/tests/real/{name}.sh", env!("CARGO_MANIFEST_DIR"));
        let folder = self.folder.to_str().unwrap();
        let arguments = [&arguments[..1], &[folder], &arguments[1..]].concat();
        let status = Command::new(path).args(arguments).envs(variables.iter().copied()).status().unwrap();
        assert!(status.success(), "{name}.sh");
        self.read();
    }
}

/// Logs since a moment.
pub struct Watch<'a> {
    rig: &'a Rig,
    from: Vec<(&'a str, usize)>,
}

impl Watch<'_> {
    /// Each log's name, and what is new in it.
    pub fn news(&self) -> impl Iterator<Item = (&str, String)> {
        self.from.iter().map(|(name, from)| (*name, self.rig.log(name)[*from..].to_owned()))
    }

    /// No new line has one of these words, in whatever case.
    pub fn has_none_of(&self, complaints: &[&str]) {
        for (name, new) in self.news() {
            let complains =
                |line: &&str| complaints.iter().any(|complaint| line.to_ascii_lowercase().contains(complaint));
            let lines: Vec<&str> = new.lines().filter(complains).collect();
            assert!(lines.is_empty(), "{name}: {lines:#?}");
        }
    }
}

/// What a command prints, with nothing to read.
pub fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
