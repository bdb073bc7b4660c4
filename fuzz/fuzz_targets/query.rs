#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mail_endpoint_exporter_fuzz::query::check(bytes));
