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
        "H11",
        "a null MX",
        &[
            ("tests/discovery.rs", "the_mail_servers_of_a_domain_are_probed_and_their_faults_told"),
            ("src/mail/mx.rs", "what_is_wrong_has_a_word"),
            ("tests/real_dns.rs", "each_kind_of_mx_is_probed_or_has_its_problem"),
        ],
    ),
    (
        "H12",
        "MX to CNAME, to an address, of equal preference, none at all",
        &[
            ("tests/discovery.rs", "the_mail_servers_of_a_domain_are_probed_and_their_faults_told"),
            ("src/mail/mx.rs", "hosts_come_in_the_order_of_their_preference_each_once"),
            ("tests/real_dns.rs", "each_kind_of_mx_is_probed_or_has_its_problem"),
        ],
    ),
    ("H10", "names that are too long", &[("src/cert/name.rs", "what_is_no_host")]),
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
    (
        "L4",
        "a blocklist refuses our address only at RCPT: `mail` asks",
        &[("tests/envelope.rs", "the_answer_is_held_against_what_is_expected")],
    ),
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
        &[("tests/citizen.rs", "two_connections_to_an_address_at_most_over_all_endpoints_ports_and_families")],
    ),
    ("J1", "asks and never reads", &[("tests/slow_clients.rs", "clients_that_never_read")]),
    ("J2", "sends its request drop by drop", &[("tests/slow_clients.rs", "headers_that_come_drop_by_drop")]),
    (
        "J3",
        "thousands of scrapes and connections at once",
        &[
            ("tests/faults/scrapes.rs", "thousands_of_scrapes_at_once_are_answered_and_probing_goes_on"),
            ("tests/slow_clients.rs", "ten_thousand_idle_connections"),
        ],
    ),
    ("J4", "a request line or a head without end", &[("tests/slow_clients.rs", "huge_heads_are_refused")]),
    (
        "J5",
        "HEAD, POST, HTTP/1.0, several requests at once, `Expect`, a compressed request",
        &[
            ("tests/exporter.rs", "routes_and_methods"),
            ("tests/faults/scrapes.rs", "several_requests_at_once_and_an_expectation"),
        ],
    ),
    (
        "J6",
        "a scrape during a reload",
        &[("tests/reload.rs", "a_reload_of_two_thousand_endpoints_under_load_loses_no_count")],
    ),
    (
        "J7",
        "quotes, backslashes, newlines, overrides of direction, invalid UTF-8, a megabyte in a label",
        &[
            ("tests/faults/scrapes.rs", "labels_with_everything_in_them_come_through_a_scrape_unharmed"),
            ("tests/exporter.rs", "hostile_text_changes_nothing_else_in_the_scrape"),
            ("tests/exporter.rs", "a_subject_full_of_quotes_stays_in_its_label"),
        ],
    ),
    (
        "J9",
        "a server that is another one at every probe",
        &[("tests/faults/scrapes.rs", "a_server_that_is_another_one_at_every_probe_adds_no_series")],
    ),
    (
        "J10",
        "the same endpoint configured twice",
        &[("src/config/tests.rs", "every_problem_is_reported_with_its_place_and_its_cure")],
    ),
    (
        "J11",
        "which format, and its rules",
        &[("tests/exporter.rs", "formats_follow_accept"), ("tests/faults/exposition.rs", "the_reader_is_strict")],
    ),
    (
        "J13",
        "leaves in the middle of an answer",
        &[("tests/faults/scrapes.rs", "clients_that_leave_in_the_middle_of_an_answer")],
    ),
    ("J14", "a scrape while no server answers", &[("tests/faults/scrapes.rs", "a_scrape_waits_for_no_probe")]),
    (
        "J15",
        "a scrape before the first probe",
        &[
            ("tests/faults/scrapes.rs", "a_scrape_waits_for_no_probe"),
            ("tests/exporter.rs", "what_was_not_reached_is_absent_and_not_zero"),
            ("tests/exporter.rs", "it_is_ready_once_every_endpoint_has_been_probed"),
        ],
    ),
    (
        "I1",
        "no file descriptors left",
        &[
            ("tests/real_host.rs", "no_file_descriptors_for_probes_leave_some_for_scrapes"),
            ("tests/real_host.rs", "a_machine_without_file_descriptors_is_not_the_servers_fault"),
        ],
    ),
    ("I2", "no local ports left", &[("tests/real_host.rs", "without_free_ports_the_trouble_is_ours")]),
    (
        "I3",
        "no memory, no threads left",
        &[
            ("tests/real_host.rs", "without_memory_it_goes_on_or_ends_for_a_restart"),
            ("tests/real_host.rs", "without_threads_it_goes_on_or_says_why_it_does_not_start"),
        ],
    ),
    ("I5", "far too little CPU", &[("tests/real_host.rs", "a_machine_too_slow_shows_in_the_lateness")]),
    ("I6", "the wall clock jumps", &[("tests/real_host.rs", "a_clock_that_steps_moves_certificates_and_nothing_else")]),
    (
        "I7",
        "the machine sleeps",
        &[
            ("tests/real_host.rs", "a_machine_that_sleeps_wakes_without_a_burst_and_blames_nobody"),
            ("src/scheduler/tests.rs", "a_tick_after_a_sleep_of_the_machine_is_skipped"),
        ],
    ),
    (
        "I9",
        "the log cannot be written, or nobody reads it",
        &[
            ("tests/cli.rs", "a_log_that_nobody_reads_stops_neither_probes_nor_scrapes_nor_the_end"),
            ("tests/real_host.rs", "a_log_that_cannot_be_written_stops_nothing"),
        ],
    ),
    (
        "I13",
        "the network, or its name server, goes away and comes back",
        &[("tests/real_host.rs", "a_name_server_that_falls_silent_and_comes_back")],
    ),
    ("I14", "a long run", &[("tests/soak.rs", "fn ")]),
];

/// Number, what happens, and why no test here plays it.
pub const LISTED: &[(&str, &str, &str)] = &[
    (
        "J8",
        "dates before 1970 and beyond 2106, infinities",
        "certificates are the only source of such values: see the rows of F",
    ),
    (
        "J12",
        "limits of Prometheus on samples and sizes",
        "they are Prometheus' own; J9 holds the number of series of an endpoint",
    ),
    (
        "H14",
        "the resolver's configuration changes",
        "port 53 and /etc/resolv.conf need root; every reload reads them anew (`App::run`)",
    ),
    ("H16", "an entry in /etc/hosts", "the file is this machine's; it is read with the resolver's configuration"),
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
    (
        "L7",
        "a resumed session hides a new certificate",
        "sessions are never resumed (`src/prober/tls.rs`): see the rows of E",
    ),
];
