//! Faults that other tests play, and those that cannot be played here, with the reason.

/// Number, what happens, and the tests that hold it: file and a word that stands in it, mostly a test's name.
pub type Elsewhere = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

pub const ELSEWHERE: &[Elsewhere] = &[
    (
        "A3",
        "what ICMP says, and what a policy of this machine forbids",
        &[
            ("src/prober/io_error.rs", "what_icmp_says_is_not_taken_for_a_fault_of_our_own"),
            ("tests/real_net.rs", "fn "),
        ],
    ),
    (
        "C17",
        "CR, LF or blanks in our own name",
        &[("src/mail/smtp/command.rs", "names_that_servers_refuse_or_that_would_inject")],
    ),
    (
        "C20",
        "the dialogue of an Exchange server under maintenance",
        &[("tests/transcripts/exchange-maintenance-mode.txt", "EHLO")],
    ),
    (
        "I4",
        "a probe panics",
        &[("src/scheduler/tests.rs", "a_probe_that_breaks_down_is_internal_and_the_next_one_runs")],
    ),
    (
        "I8",
        "intervals shorter than a probe; thousands of endpoints",
        &[
            ("tests/exporter.rs", "one_probe_of_an_endpoint_at_a_time_and_the_ticks_it_misses_are_counted"),
            ("tests/exporter.rs", "first_probes_are_spread_over_the_interval"),
            ("tests/exporter.rs", "no_more_probes_run_at_once_than_allowed"),
        ],
    ),
    (
        "I10",
        "a stop or a reload while probes run",
        &[
            ("tests/exporter.rs", "a_stop_is_quick_and_polite"),
            ("tests/prober.rs", "a_stop_lets_the_conversation_end_politely_and_discards_it"),
            ("tests/reload.rs", "a_reload_of_two_thousand_endpoints_under_load_loses_no_count"),
        ],
    ),
    (
        "I11",
        "a configuration half written, missing or invalid",
        &[
            ("tests/reload.rs", "an_invalid_file_keeps_the_old_state_whole_and_is_reported"),
            ("tests/web_config.rs", "a_file_that_is_just_being_written_lets_nobody_in"),
        ],
    ),
    ("I12", "a target is removed", &[("tests/reload.rs", "what_stays_keeps_its_counts_and_what_goes_is_gone_at_once")]),
    (
        "K1",
        "`/probe` as a way to hosts inside",
        &[("tests/probe_route.rs", "it_is_no_port_scanner_and_leads_nowhere_inside")],
    ),
    (
        "K2",
        "a name that resolves to an address inside",
        &[("tests/probe_route.rs", "it_is_no_port_scanner_and_leads_nowhere_inside")],
    ),
    ("K3", "`/probe` as a port scanner", &[("tests/probe_route.rs", "it_is_no_port_scanner_and_leads_nowhere_inside")]),
    (
        "K4",
        "commands slipped in by the configuration",
        &[("src/mail/smtp/command.rs", "names_that_servers_refuse_or_that_would_inject")],
    ),
    (
        "K5",
        "credentials given to a host that somebody names",
        &[("tests/probe_route.rs", "credentials_are_for_configured_hosts_only")],
    ),
    (
        "K7",
        "a greeting that forges lines of the log",
        &[("src/cli/log.rs", "a_value_cannot_end_the_line_or_forge_a_field"), ("tests/faults/greeting.rs", "\"B13\"")],
    ),
    (
        "K8",
        "a greeting or a certificate that writes into the page",
        &[("tests/status_page.rs", "no_text_becomes_markup")],
    ),
    (
        "K9",
        "verification switched off unseen: the verdict on the certificate is reported either way",
        &[("tests/reasons.rs", "several_faults_of_a_certificate_are_all_reported")],
    ),
    ("K11", "more rights than needed", &[("tests/systemd.rs", "the_service_is_exposed_little")]),
    (
        "K12",
        "a server that makes us send much or connect often",
        &[
            ("tests/faults/rules.rs", "MOST_IN_CLEAR"),
            ("tests/properties.rs", "a_session_ends_and_says_little_whatever_it_hears"),
        ],
    ),
    ("L1", "a greeting for everybody, and a refusal at EHLO", &[("tests/faults/ehlo.rs", "\"C4\"")]),
    ("L3", "Exchange under maintenance", &[("tests/faults/ehlo.rs", "\"C20\"")]),
    ("L5", "a load balancer answers, all servers behind it are dead", &[("tests/faults/tcp.rs", "\"A5\"")]),
    ("L6", "STARTTLS is offered and fails only in use", &[("tests/faults/starttls.rs", "\"D2\"")]),
    (
        "L8",
        "judged by the first record alone",
        &[("tests/faults/ehlo.rs", "\"C15\""), ("tests/faults/tcp.rs", "\"A12\"")],
    ),
    (
        "L9",
        "our own network blocks the port, and all hosts look dead",
        &[
            ("src/outcome/port_state/tests.rs", "port_states_are_as_the_table_says"),
            ("examples/prometheus/alerts.yml", "MailPortBlockedByOwnNetwork"),
        ],
    ),
    (
        "L10",
        "a server that makes clients wait before it greets",
        &[("tests/faults/greeting.rs", "\"B4\""), ("tests/prober.rs", "a_delay_is_found_in_its_own_phase")],
    ),
    (
        "L11",
        "a limit reached by our own probes of one host on several ports",
        &[("tests/prober.rs", "an_address_never_has_more_connections_than_allowed")],
    ),
];

/// Number, what happens, and why no test here plays it.
pub const LISTED: &[(&str, &str, &str)] = &[
    ("I1", "no file descriptors left", "needs a real host"),
    ("I2", "no local ports left", "needs a real host"),
    ("I3", "no memory left", "needs a real host"),
    ("I5", "far too little CPU", "needs a real host"),
    (
        "I6",
        "the wall clock jumps",
        "setting it needs root and hits the whole machine. Schedule and durations use the monotonic clock alone: clocks are read only where `clippy.toml` lets them, and `Run::wall_clock` moves the start of a probe on by the monotonic clock",
    ),
    (
        "I7",
        "the machine sleeps; in-process: `a_tick_after_a_sleep_of_the_machine_is_skipped` (src/scheduler/tests.rs)",
        "needs a real host",
    ),
    ("I9", "the log cannot be written", "needs a real host"),
    ("I13", "the network goes away and comes back", "needs a real host"),
    ("I14", "millions of probes", "takes hours"),
    (
        "K6",
        "transcripts tell addresses and session ids",
        "by design: only the API and the pages of the exporter show them, which the web configuration can close",
    ),
    ("K10", "a dependency with a known hole", "needs the network: run `cargo audit` before a release"),
    (
        "L2",
        "postscreen greets a client that it will refuse",
        "its dialogue up to QUIT is that of the real server: no client can tell them apart without sending mail",
    ),
    ("L4", "a blocklist refuses our address only at RCPT", "a probe sends no MAIL and no RCPT"),
    (
        "L7",
        "a resumed session hides a new certificate",
        "sessions are never resumed (`src/prober/tls.rs`): see the rows of E",
    ),
];
