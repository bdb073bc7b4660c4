//! The fully qualified name of this machine, as far as its own files tell.

use crate::mail::smtp::command::EhloName;

/// The host name if it is qualified, else the qualified name that /etc/hosts gives it. `None` when there
/// is neither: RFC 5321 §4.1.4 then wants an address literal.
pub(super) fn qualified() -> Option<EhloName> {
    let name = gethostname::gethostname().into_string().ok()?;
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    std::iter::once(name.as_str())
        .chain(aliases(&hosts, &name))
        .filter(|name| !name.starts_with("localhost"))
        .find_map(|name| EhloName::parse(name).ok())
}

/// All names on the lines that name the host.
fn aliases<'a>(hosts: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let names = |line: &'a str| line.split('#').next().unwrap_or_default().split_whitespace().skip(1);
    hosts.lines().filter(move |line| names(line).any(|alias| alias == name)).flat_map(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_knows_the_qualified_name() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 mx.example.org mx # mx.other\n";
        assert_eq!(aliases(hosts, "mx").collect::<Vec<_>>(), ["mx.example.org", "mx"]);
        assert_eq!(aliases(hosts, "other").count(), 0);
    }
}
