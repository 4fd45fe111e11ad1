#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferroban_fuzz::command_dispatcher::run(data));
