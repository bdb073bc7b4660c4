//! Tests that are alone on their machine: each runs itself again in a network and a mount namespace of its own, so that
//! ports, mounts and sysctls are its own. Needs root, `unshare` and `ip`.

use std::future::Future;
use std::process::Command;

/// Set for the process that is alone in its namespaces.
const IS_ALONE: &str = "REAL_ALONE";

/// Runs a test of this name, alone.
pub fn alone(name: &str, test: impl Future<Output = ()>) {
    if std::env::var_os(IS_ALONE).is_some() {
        shell("ip link set lo up");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(test);
    }
    let this_test = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--net", "--mount"])
        .arg(this_test)
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(IS_ALONE, "yes")
        .status();
    assert!(status.unwrap().success(), "{name}; see above");
}

/// Runs a script that must succeed.
pub fn shell(script: &str) {
    assert!(Command::new("sh").args(["-e", "-c", script]).status().unwrap().success(), "{script}");
}

/// /etc/resolv.conf in our mount namespace.
pub fn resolver_is(server: &str) {
    let path = super::file("resolv.conf", &format!("nameserver {server}\noptions timeout:1 attempts:1\n"));
    shell(&format!("mount --bind {} /etc/resolv.conf", path.display()));
}
