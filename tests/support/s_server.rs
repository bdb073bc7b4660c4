//! `openssl s_server` as a mail server: it shows what its files hold, and speaks SMTP by way of its standard input and
//! output.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::prober::Prober;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{free_address, no_names, one_endpoint, verdict};

/// OpenSSL with these arguments.
pub fn openssl(args: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(args.split(' '));
    command
}

/// Runs a command that must succeed.
pub fn done(command: &mut Command) {
    assert!(command.stderr(Stdio::null()).status().unwrap().success(), "{command:?}");
}

/// A server, until it is dropped.
pub struct SServer {
    child: Child,
    pub address: SocketAddr,
    /// What it complains of.
    errors: PathBuf,
}

impl Drop for SServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.errors);
    }
}

impl SServer {
    /// `{kind}.pem` and `{kind}.key` of the folder are its certificate and key; the certificates of `{kind}.chain`, if
    /// there is such a file, are sent after it as they are.
    pub fn start(folder: &Path, args: &str, kind: &str) -> SServer {
        let address = free_address();
        let file = |end: &str| folder.join(format!("{kind}.{end}"));
        let errors = folder.join(format!("{kind}-{}.errors", address.port()));
        // No roots: it asks for no certificate of ours, and must not complete a chain of its own.
        let roots = "-no-CAfile -no-CApath -no-CAstore";
        let mut command = openssl(&format!("s_server -quiet -accept {address} {roots} {args}"));
        command.arg("-cert").arg(file("pem")).arg("-key").arg(file("key"));
        if file("chain").exists() {
            command.arg("-cert_chain").arg(file("chain"));
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&errors).unwrap());
        let mut child = piped.spawn().unwrap();
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // The greeting waits in the pipe until a client has made the handshake.
            let _ = input.write_all(b"220 mx ESMTP\r\n").and_then(|()| input.flush());
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let answer: &[u8] = if line.starts_with("QUIT") { b"221 bye\r\n" } else { b"250 mx\r\n" };
                let _ = input.write_all(answer).and_then(|()| input.flush());
            }
        });
        SServer { child, address, errors }
    }

    /// Probes it as soon as it listens. An error is what it said when it gave up before.
    pub async fn probe(&mut self, module: &str) -> Result<Outcome, String> {
        self.probe_at(self.address, module).await
    }

    /// The same by way of an address in front of it.
    pub async fn probe_at(&mut self, address: SocketAddr, module: &str) -> Result<Outcome, String> {
        /// The roots of the machine are read once.
        static PROBER: LazyLock<Prober> = LazyLock::new(|| Prober::new(no_names(), 2));
        let config = one_endpoint(address, module);
        for _ in 0..250 {
            let outcome = PROBER.probe(config.endpoints[0].clone(), &CancellationToken::new()).await.unwrap();
            if !["refused in connect", "reset in tls", "closed in tls"].contains(&verdict(&outcome).as_str()) {
                return Ok(outcome);
            }
            if self.child.try_wait().unwrap().is_some() {
                return Err(fs::read_to_string(&self.errors).unwrap());
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("openssl s_server does not listen");
    }
}
