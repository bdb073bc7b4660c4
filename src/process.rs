//! The process itself, as its operating system counts it: the figures behind `process_*`.
//!
//! They are read from `/proc` (Linux); elsewhere there are none. The names and meanings are those of every
//! Prometheus client.

use std::fs;

/// What the system says of this process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// User and system time used, in seconds.
    pub cpu_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// How many it may open; `None` without a limit.
    pub max_fds: Option<u64>,
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
    /// When it started, in seconds since 1970; `None` where the system's start is hidden from it.
    pub start_seconds: Option<f64>,
    /// Threads.
    pub threads: u64,
}

/// Times in `/proc/PID/stat` count in hundredths of a second on every Linux (USER_HZ, proc(5)).
const TICKS: f64 = 100.0;

impl Process {
    /// The figures now; `None` where there is no `/proc`.
    pub fn read() -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).ok();
        let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Self::parse(
            &read("self/stat")?,
            &read("self/status")?,
            &read("self/limits")?,
            &read("stat").unwrap_or_default(),
            open_fds,
        )
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str, open_fds: u64) -> Option<Self> {
        // The name in parentheses may hold anything; what follows the last of them are numbers (proc(5)).
        let numbers: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| numbers.get(field.checked_sub(3)?)?.parse::<f64>().ok();
        let kilobytes = |name: &str| number_after(status, name).map(|kilobytes| kilobytes.saturating_mul(1024));
        let boot = number_after(system, "btime");
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
            open_fds,
            max_fds: number_after(limits, "Max open files"),
            resident_bytes: kilobytes("VmRSS:")?,
            virtual_bytes: kilobytes("VmSize:")?,
            start_seconds: boot.zip(ticks(22)).map(|(boot, ticks)| boot as f64 + ticks / TICKS),
            threads: number_after(status, "Threads:")?,
        })
    }
}

/// The number that follows a name at the beginning of a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1000 1 1 1";
        let status = "Name:\tx\nVmSize:\t 2000 kB\nVmRSS:\t  100 kB\nThreads:\t9\n";
        let limits =
            "Limit Soft Hard Units\nMax open files            1024                 4096                 files\n";
        let process = Process::parse(stat, status, limits, "cpu 1\nbtime 1700000000\n", 12).unwrap();
        let expected = Process {
            cpu_seconds: 3.0,
            open_fds: 12,
            max_fds: Some(1024),
            resident_bytes: 102_400,
            virtual_bytes: 2_048_000,
            start_seconds: Some(1_700_000_010.0),
            threads: 9,
        };
        assert_eq!(process, expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_figures() {
        let process = Process::read().unwrap();
        assert!(process.open_fds > 2 && process.resident_bytes > 1_000_000 && process.start_seconds > Some(1e9));
    }
}
