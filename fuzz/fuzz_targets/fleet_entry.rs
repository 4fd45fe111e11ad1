#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferroban_fuzz::fleet_entry::run(data));
