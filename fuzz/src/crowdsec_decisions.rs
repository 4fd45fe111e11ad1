//! Any bytes as the answer of a LAPI.

use ferroban::parts::address::Address;
use ferroban::parts::crowdsec::decisions::{DecisionStream, LONGEST, duration, seconds};

pub fn run(data: &[u8]) {
    let Ok(stream) = DecisionStream::read(data) else {
        return;
    };
    for decision in stream.new.iter().chain(&stream.deleted) {
        assert!(!matches!(decision.target, Address::Raw(_)));
        assert!(decision.lasts.abs() <= LONGEST);
        let list = decision.list();
        assert!(list.len() <= 200 && list.bytes().all(|byte| byte.is_ascii_graphic()));
        // what is written is read as the same again
        let written = duration(decision.lasts);
        let read = seconds(&written).expect("a span");
        assert!((read - decision.lasts.max(0.0)).abs() < 0.001);
    }
}
