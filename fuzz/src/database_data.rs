//! Any bytes in the `data` column of the ban table.

use ferroban::parts::address::Address;
use ferroban::parts::store::data;
use ferroban::parts::ticket::Ticket;

pub fn run(json: &[u8]) {
    let ticket = read(json);
    // what is written is read as the same again
    let written = data::encode(&ticket, i64::MAX);
    let again = read(&written);
    assert_eq!(again.matches().len(), ticket.matches().len());
    assert_eq!(data::encode(&again, i64::MAX), written);
    data::encode(&ticket, 1);
}

fn read(json: &[u8]) -> Ticket {
    let mut ticket = Ticket::new(Address::parse("192.0.2.1"), super::NOW);
    data::decode(json, &mut ticket);
    ticket
}
