//! Every family: its name, type and help, and where its value comes from. The reference for what `/metrics` shows.
//!
//! A fact that a probe did not reach is an absent series. No text that a server chose becomes a label value, except,
//! cleaned, in `mail_tls_certificate_info`. Names that DNS chose are labels, and bounded in number.

use std::collections::BTreeSet;

use super::rows::{Group, View};
use super::{Family, Head, Kind};
use crate::export::time::unix_seconds;
use crate::mail::Printable;
use crate::mail::smtp::registry;
use crate::outcome::domain::{DomainFacts, MOST_HOSTS};
use crate::outcome::failure::Reason;
use crate::outcome::on_disk::{self, OnDisk};
use crate::outcome::port_state::PortState;
use crate::outcome::{pace, phase_of};
use crate::store::{Skip, Snapshot};

macro_rules! families {
    ($($name:literal $kind:ident $help:literal: $write:expr;)*) => {
        &[$(Family { head: Head { name: $name, kind: Kind::$kind, help: $help }, write: $write }),*]
    };
}

/// The families of an endpoint.
pub(super) const ENDPOINT_FAMILIES: &[Family<View>] = families! {
    "mail_probe_success" Gauge "Whether the last probe met every expectation.":
        |view, out| out.maybe(view.outcome().map(|outcome| f64::from(u8::from(outcome.success()))));
    "mail_probe_duration_seconds" Gauge "How long the last probe took, without waiting for its turn.":
        |view, out| out.maybe(view.findings().map(|findings| findings.duration.as_secs_f64()));
    "mail_probe_last_phase_duration_seconds" Gauge "How long each phase of the last probe took, the failed one included.":
        |view, out| {
            let phases = view.findings().map(|findings| findings.phases.as_slice()).unwrap_or_default();
            phases.iter().try_for_each(|(phase, time)| out.gauge(&[("phase", phase.as_str())], time.as_secs_f64()))
        };
    "mail_probe_phase_duration_seconds" Histogram "How long the phases of all probes took.":
        |view, out| {
            view.history.phases.iter().try_for_each(|(phase, times)| out.histogram(&[("phase", phase.as_str())], times))
        };
    "mail_probe_failure_info" Gauge "Where and why the last probe failed; absent after a success.":
        |view, out| {
            let Some(failure) = view.outcome().and_then(|outcome| outcome.failure.as_ref()) else { return Ok(()) };
            let code = failure.code.map(|code| format!("{code:03}")).unwrap_or_default();
            let enhanced = failure.enhanced_code.as_deref().unwrap_or_default();
            let (phase, reason) = (failure.phase.as_str(), failure.reason.as_str());
            out.gauge(&[("phase", phase), ("reason", reason), ("code", &code), ("enhanced_code", enhanced)], 1.0)
        };
    "mail_probe_attempts_total" Counter "Probes that ended.":
        |view, out| out.counter(&[], view.history.attempts);
    "mail_probe_failures_total" Counter "Probes that failed.":
        |view, out| {
            view.history.failures.iter().try_for_each(|((phase, reason), count)| {
                out.counter(&[("phase", phase.as_str()), ("reason", reason.as_str())], *count)
            })
        };
    "mail_probe_timestamp_seconds" Gauge "When the last probe ended, in seconds since 1970.":
        |view, out| out.maybe(view.findings().map(|findings| unix_seconds(findings.ended)));
    "mail_probe_success_timestamp_seconds" Gauge "When the last successful probe ended, in seconds since 1970.":
        |view, out| out.maybe(view.history.last_success.map(unix_seconds));
    "mail_probe_interval_seconds" Gauge "How often the endpoint is probed, as configured.":
        |view, out| out.gauge(&[], view.history.endpoint.interval.as_secs_f64());
    "mail_probe_current_interval_seconds" Gauge "How often the endpoint is probed now, be it well or failing.":
        |view, out| out.gauge(&[], pace::interval(&view.history.endpoint, view.outcome()).as_secs_f64());
    "mail_probe_retries_total" Counter "Probes that were repeated because they had failed, and whose failure is counted nowhere else.":
        |view, out| {
            let history = &view.history;
            let any = history.endpoint.pace.retries > 0 || history.retries > 0;
            if any { out.counter(&[], history.retries) } else { Ok(()) }
        };
    "mail_probe_light" Gauge "Whether the last probe left out TLS; only with certificate_interval.":
        |view, out| {
            let some = view.findings().filter(|_| view.history.endpoint.pace.certificate_interval.is_some());
            out.maybe(some.map(|findings| f64::from(u8::from(findings.light))))
        };
    "mail_probe_info" Gauge "How the endpoint is probed.":
        |view, out| {
            let module = &view.history.endpoint.module;
            let (protocol, security) = (module.protocol.as_str(), module.security.as_str());
            out.gauge(&[("module", &module.name), ("protocol", protocol), ("security", security)], 1.0)
        };
    "mail_probe_address_info" Gauge "The address that the last probe used.":
        |view, out| {
            // With an address of its own, the endpoint has the label already.
            let fixed = view.history.endpoint.address.is_some();
            let Some(address) = view.findings().and_then(|findings| findings.address) else { return Ok(()) };
            if fixed { out.gauge(&[], 1.0) } else { out.gauge(&[("address", &address.to_string())], 1.0) }
        };
    "mail_expectation_met" Gauge "Whether each expectation that could be judged was met by the last probe.":
        |view, out| {
            let judgements = view.outcome().map(|outcome| &*outcome.judgements).unwrap_or_default();
            judgements.iter().try_for_each(|j| out.flag(&[("expectation", j.expectation)], j.failure.is_none()))
        };
    "mail_port_state" Gauge "The verdict on the port, from the last outcomes of all endpoints; one state is 1.":
        |view, out| {
            let Some(state) = view.port_state else { return Ok(()) };
            PortState::ALL.iter().try_for_each(|one| out.flag(&[("state", one.as_str())], *one == state))
        };
    "mail_smtp_reply_code" Gauge "The code of the last reply of each phase of the last probe.":
        |view, out| {
            let codes = view.findings().map(|findings| findings.smtp.codes.as_slice()).unwrap_or_default();
            codes.iter().try_for_each(|(step, code)| out.gauge(&[("phase", phase_of(*step).as_str())], f64::from(*code)))
        };
    "mail_smtp_starttls_offered" Gauge "Whether STARTTLS was offered in the EHLO before TLS.":
        |view, out| {
            let clear = view.findings().and_then(|findings| findings.smtp.clear.as_ref());
            out.maybe(clear.map(|offered| f64::from(u8::from(offered.starttls))))
        };
    "mail_smtp_auth_offered" Gauge "Whether AUTH was offered, in clear and inside TLS.":
        |view, out| view.stages().try_for_each(|(stage, offered)| out.flag(&[("stage", stage)], !offered.auth.is_empty()));
    "mail_smtp_auth_mechanism_offered" Gauge "The SASL mechanisms offered; those that IANA does not know are other.":
        |view, out| view.stages().try_for_each(|(stage, offered)| {
            distinct(offered.auth.iter().map(|name| registry::mechanism(name.as_str())))
                .into_iter()
                .try_for_each(|mechanism| out.gauge(&[("stage", stage), ("mechanism", mechanism)], 1.0))
        });
    "mail_smtp_capability_offered" Gauge "The EHLO keywords offered; those that IANA does not know are other.":
        |view, out| view.stages().try_for_each(|(stage, offered)| {
            distinct(offered.all.iter().map(|capability| registry::capability(capability.keyword.as_str())))
                .into_iter()
                .try_for_each(|capability| out.gauge(&[("stage", stage), ("capability", capability)], 1.0))
        });
    "mail_smtp_size_limit_bytes" Gauge "The largest message the server takes (SIZE); absent where it fixes no limit.":
        |view, out| {
            let last = view.stages().last().and_then(|(_, offered)| offered.size_limit);
            out.maybe(last.map(|limit| limit as f64))
        };
    "mail_tls_timestamp_seconds" Gauge "When what is shown of TLS and the certificate was seen, in seconds since 1970.":
        |view, out| out.maybe(view.findings().and_then(|findings| findings.tls_at).map(unix_seconds));
    "mail_tls_info" Gauge "What the handshake agreed on.":
        |view, out| {
            let Some(tls) = view.findings().and_then(|findings| findings.tls.as_ref()) else { return Ok(()) };
            let group = tls.group.as_deref().unwrap_or_default();
            out.gauge(&[("version", tls.version.as_str()), ("cipher", &tls.cipher), ("group", group)], 1.0)
        };
    "mail_tls_certificate_not_after_timestamp_seconds" Gauge "When the server's certificate expires, whatever its worth, in seconds since 1970.":
        |view, out| out.maybe(view.leaf().and_then(|(_, leaf)| leaf.not_after).map(|seconds| seconds as f64));
    "mail_tls_certificate_not_before_timestamp_seconds" Gauge "From when the server's certificate is valid, in seconds since 1970.":
        |view, out| out.maybe(view.leaf().and_then(|(_, leaf)| leaf.not_before).map(|seconds| seconds as f64));
    "mail_tls_chain_not_after_timestamp_seconds" Gauge "When the first certificate of the chain as sent expires, in seconds since 1970.":
        |view, out| {
            let certificate = view.findings().and_then(|findings| findings.certificate.as_ref());
            out.maybe(certificate.and_then(|certificate| certificate.chain_not_after()).map(|seconds| seconds as f64))
        };
    "mail_tls_certificate_valid" Gauge "Whether the certificate is valid for the host now.":
        |view, out| {
            let certificate = view.findings().and_then(|findings| findings.certificate.as_ref());
            out.maybe(certificate.map(|certificate| f64::from(u8::from(certificate.invalid.is_empty()))))
        };
    "mail_tls_certificate_invalid_info" Gauge "Every reason why the certificate is not valid.":
        |view, out| {
            let certificate = view.findings().and_then(|findings| findings.certificate.as_ref());
            let findings = certificate.map(|certificate| certificate.invalid.as_slice()).unwrap_or_default();
            findings.iter().try_for_each(|f| out.gauge(&[("reason", Reason::from(f.reason).as_str())], 1.0))
        };
    "mail_tls_certificate_info" Gauge "The server's certificate.":
        |view, out| {
            let Some((sha256, leaf)) = view.leaf() else { return Ok(()) };
            let labels = [
                ("subject", leaf.subject.as_str()),
                ("issuer", leaf.issuer.as_str()),
                ("serial", leaf.serial.as_str()),
                ("sha256", sha256),
                ("key", leaf.key.as_str()),
                ("signature", leaf.signature.as_str()),
            ];
            out.gauge(&labels, 1.0)
        };
    "mail_tls_chain_length" Gauge "How many certificates the server sent.":
        |view, out| {
            let certificate = view.findings().and_then(|findings| findings.certificate.as_ref());
            out.maybe(certificate.map(|certificate| certificate.chain.len() as f64))
        };
    "mail_tls_certificate_matches_siblings" Gauge "Whether the certificate is the newest valid one that the ports and addresses of the host show.":
        |view, out| out.maybe(view.matches_siblings.map(|matches| f64::from(u8::from(matches))));
    "mail_tls_certificate_changed_timestamp_seconds" Gauge "When the exporter first saw this certificate here, in seconds since 1970.":
        |view, out| out.maybe(view.history.certificate.as_ref().map(|seen| unix_seconds(seen.since)));
    "mail_tls_certificate_matches_file" Gauge "Whether the certificate is the one in certificate_file.":
        |view, out| {
            let compared = view.outcome().and_then(on_disk::compare);
            out.maybe(compared.map(|compared| f64::from(u8::from(compared == OnDisk::Same))))
        };
    "mail_tls_certificate_file_not_after_timestamp_seconds" Gauge "When the certificate in certificate_file expires, in seconds since 1970.":
        |view, out| {
            let file = view.history.endpoint.certificate_file().and_then(|file| file.facts());
            out.maybe(file.and_then(|facts| facts.not_after).map(|seconds| seconds as f64))
        };
};

/// The families of a host and port, whatever the number of its addresses.
pub(super) const GROUP_FAMILIES: &[Family<Group>] = families! {
    "mail_dns_addresses" Gauge "How many addresses the name had.":
        |group, out| {
            let Some(dns) = group.dns else { return Ok(()) };
            out.gauge(&[("family", "ipv4")], dns.ipv4 as f64)?;
            out.gauge(&[("family", "ipv6")], dns.ipv6 as f64)
        };
    "mail_dns_failure_info" Gauge "Why the last question to DNS brought no address; while no name server answers, those found before are still probed.":
        |group, out| {
            let Some(reason) = group.dns_failure else { return Ok(()) };
            out.gauge(&[("reason", reason.as_str())], 1.0)
        };
    "mail_target_addresses_total" Gauge "Addresses of the host that are probed, each as an endpoint of its own.":
        |group, out| out.maybe((group.addresses > 0).then_some(group.addresses as f64));
    "mail_target_addresses_up" Gauge "Those whose last probe met every expectation.":
        |group, out| out.maybe(group.up.map(|up| up as f64));
};

/// The families of a domain, whatever the number of its mail servers.
pub(super) const DOMAIN_FAMILIES: &[Family<DomainFacts>] = families! {
    "mail_mx_hosts" Gauge "How many hosts the MX records of the domain name; 0 for a null MX and without MX.":
        |facts, out| {
            let hosts = facts.mx.as_ref().and_then(|mx| mx.hosts.as_ref());
            out.maybe(hosts.map(|hosts| hosts.len() as f64))
        };
    "mail_mx_info" Gauge "The hosts that the MX records of the domain name.":
        |facts, out| {
            let hosts = facts.mx.iter().flat_map(|mx| mx.hosts.iter().flatten().take(MOST_HOSTS));
            hosts.map(|host| (&host.exchange, host.preference.to_string())).try_for_each(|(host, preference)| {
                out.gauge(&[("host", host), ("preference", &preference)], 1.0)
            })
        };
    "mail_mx_problem_info" Gauge "What is wrong with the MX records of the domain.":
        |facts, out| {
            let problems = bounded(facts.mx.iter().flat_map(|mx| &mx.problems));
            problems.into_iter().try_for_each(|(host, problem)| {
                out.gauge(&[("host", host.as_str()), ("problem", problem.as_str())], 1.0)
            })
        };
    "mail_mx_failure_info" Gauge "Why the last question for the MX records brought none; while no name server answers, the hosts found before are still probed.":
        |facts, out| {
            let Some(fault) = facts.mx.as_ref().and_then(|mx| mx.fault.as_ref()) else { return Ok(()) };
            out.gauge(&[("reason", Reason::from(fault.kind).as_str())], 1.0)
        };
    "mail_srv_hosts" Gauge "How many hosts and ports the SRV records of the service name; 0 where it is not offered and without SRV.":
        |facts, out| facts.services.iter().try_for_each(|one| {
            let Some(hosts) = &one.hosts else { return Ok(()) };
            out.gauge(&[("service", one.service.as_str())], hosts.len() as f64)
        });
    "mail_srv_info" Gauge "The hosts and ports that the SRV records of the service name.":
        |facts, out| facts.services.iter().try_for_each(|one| {
            one.hosts.iter().flatten().take(MOST_HOSTS).try_for_each(|host| {
                let [port, priority, weight] = [host.port, host.priority, host.weight].map(|number| number.to_string());
                let labels = [
                    ("service", one.service.as_str()),
                    ("host", host.target.as_str()),
                    ("port", &port),
                    ("priority", &priority),
                    ("weight", &weight),
                ];
                out.gauge(&labels, 1.0)
            })
        });
    "mail_srv_problem_info" Gauge "What is wrong with the SRV records of the service.":
        |facts, out| facts.services.iter().try_for_each(|one| {
            bounded(&one.problems).into_iter().try_for_each(|(host, problem)| {
                let labels = [("service", one.service.as_str()), ("host", host.as_str()), ("problem", problem.as_str())];
                out.gauge(&labels, 1.0)
            })
        });
    "mail_srv_failure_info" Gauge "Why the last question for the SRV records brought no answer; the hosts found before are still probed.":
        |facts, out| facts.services.iter().try_for_each(|one| {
            let Some(fault) = &one.fault else { return Ok(()) };
            out.gauge(&[("service", one.service.as_str()), ("reason", Reason::from(fault.kind).as_str())], 1.0)
        });
};

/// The exporter's own.
pub(super) const OWN_FAMILIES: &[Family<Snapshot>] = families! {
    "mail_exporter_build_info" Gauge "The exporter's version.":
        |_, out| out.gauge(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    "mail_exporter_config_last_reload_successful" Gauge "Whether the last attempt to load the configuration succeeded.":
        |snapshot, out| out.flag(&[], snapshot.exporter.load_successful);
    "mail_exporter_config_last_reload_success_timestamp_seconds" Gauge "When the configuration was last loaded, in seconds since 1970.":
        |snapshot, out| out.maybe(snapshot.exporter.loaded.map(unix_seconds));
    "mail_exporter_endpoints" Gauge "Endpoints scheduled.":
        |snapshot, out| out.gauge(&[], snapshot.exporter.endpoints as f64);
    "mail_exporter_probes_in_flight" Gauge "Probes running now.":
        |snapshot, out| out.gauge(&[], snapshot.exporter.in_flight as f64);
    "mail_exporter_schedule_lateness_seconds" Histogram "How long after their time probes started.":
        |snapshot, out| out.histogram(&[], &snapshot.exporter.lateness);
    "mail_exporter_probes_skipped_total" Counter "Probes that were due and did not take place.":
        |snapshot, out| Skip::ALL.iter().try_for_each(|skip| {
            let count = snapshot.exporter.skipped.get(skip).copied().unwrap_or_default();
            out.counter(&[("reason", skip.as_str())], count)
        });
    "process_cpu_seconds_total" Counter "User and system time used, in seconds.":
        |snapshot, out| snapshot.exporter.process.as_ref().map_or(Ok(()), |process| out.counter(&[], process.cpu_seconds));
    "process_open_fds" Gauge "Open file descriptors.":
        |snapshot, out| out.maybe(snapshot.exporter.process.as_ref().map(|process| process.open_fds as f64));
    "process_max_fds" Gauge "How many file descriptors may be open.":
        |snapshot, out| out.maybe(snapshot.exporter.process.as_ref().and_then(|process| process.max_fds).map(|fds| fds as f64));
    "process_resident_memory_bytes" Gauge "Memory in RAM.":
        |snapshot, out| out.maybe(snapshot.exporter.process.as_ref().map(|process| process.resident_bytes as f64));
    "process_virtual_memory_bytes" Gauge "Address space.":
        |snapshot, out| out.maybe(snapshot.exporter.process.as_ref().map(|process| process.virtual_bytes as f64));
    "process_start_time_seconds" Gauge "When the process started, in seconds since 1970.":
        |snapshot, out| out.maybe(snapshot.exporter.process.as_ref().and_then(|process| process.start_seconds));
    "process_threads" Gauge "Threads.":
        |snapshot, out| out.maybe(snapshot.exporter.process.as_ref().map(|process| process.threads as f64));
};

/// Problems that can be labels: names cleaned, each once, and no more than there are hosts probed.
fn bounded<'a, P: Copy + Ord + 'a>(problems: impl IntoIterator<Item = &'a (P, String)>) -> Vec<(Printable, P)> {
    let distinct: BTreeSet<_> = problems.into_iter().collect();
    let shown = distinct.into_iter().map(|(problem, host)| (Printable::from_bytes(host.as_bytes()), *problem));
    shown.take(MOST_HOSTS).collect()
}

/// Without repetition: several unknown names are one `other`.
fn distinct(names: impl Iterator<Item = &'static str>) -> BTreeSet<&'static str> {
    names.collect()
}
