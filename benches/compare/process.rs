//! Child processes, and what they used, as Linux counts it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A port of 127.0.0.1 for a process that is started in a moment; one that nobody listens at until then.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Process {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// User and system time used so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("Linux and a living process");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // Fields 14 and 15 of proc(5), in hundredths of a second.
        let ticks: u64 = [11, 12].iter().map(|field| fields[*field].parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// A size of `/proc/PID/status` in bytes: `VmRSS` now, `VmHWM` at most.
    pub(crate) fn size(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// From now on `VmHWM` counts anew.
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").expect("a process of our own");
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(&mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(killed.unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The machine's processor: the time it has had, and what of it others took (Linux's `steal`).
pub(crate) struct Machine {
    all: u64,
    stolen: u64,
}

impl Machine {
    pub(crate) fn now() -> Machine {
        let stat = fs::read_to_string("/proc/stat").expect("Linux");
        // proc(5): user, nice, system, idle, iowait, irq, softirq, steal.
        let fields: Vec<u64> =
            stat.lines().next().unwrap().split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
        Machine { all: fields[..8].iter().sum(), stolen: fields[7] }
    }

    /// The share that was taken since then.
    pub(crate) fn stolen_since(&self, earlier: &Machine) -> f64 {
        (self.stolen - earlier.stolen) as f64 / (self.all - earlier.all).max(1) as f64
    }
}

/// This benchmark itself in another role, which answers a line with a line.
pub(crate) struct Role {
    pub(crate) process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Role {
    pub(crate) fn start(arguments: &[&str]) -> Role {
        Self::begin(Command::new(std::env::current_exe().unwrap()), arguments)
    }

    /// One that has the processor whenever it wants it, before all others; root may do so.
    pub(crate) fn start_first(arguments: &[&str]) -> Role {
        const REAL_TIME: [&str; 2] = ["--fifo", "1"];
        let granted = Command::new("chrt").args(REAL_TIME).arg("true").stderr(Stdio::null()).status();
        if !granted.is_ok_and(|status| status.success()) {
            return Self::start(arguments);
        }
        let mut command = Command::new("chrt");
        command.args(REAL_TIME).arg(std::env::current_exe().unwrap());
        Self::begin(command, arguments)
    }

    fn begin(mut command: Command, arguments: &[&str]) -> Role {
        command.arg("role").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let stdin = process.child.stdin.take().unwrap();
        let stdout = BufReader::new(process.child.stdout.take().unwrap());
        Role { process, stdin, stdout }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the other process has ended");
        line.trim_end().to_owned()
    }

    pub(crate) fn ask(&mut self, question: &str) -> String {
        writeln!(self.stdin, "{question}").unwrap();
        self.line()
    }
}

/// A folder for the files of one run.
pub(crate) fn folder() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
