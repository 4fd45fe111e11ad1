#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferroban_fuzz::action_script::run(data));
