//! Netlink to the kernel's firewall: messages are built in memory and sent at once, and the kernel's answer to
//! each is returned.
//!
//! The kernel applies a request while it is being sent, so its answers are there when sending returns and
//! nothing here ever waits.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::{
    NLA_F_NESTED, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlasIterator,
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

/// Room for answers that have not been read yet.
const BUFFER: usize = 4 << 20;
/// Bytes of one request, and those a socket takes at once without a privilege.
const REQUEST: [usize; 2] = [64 << 20, 384 << 10];

/// Bytes read at once; the kernel fills no more than 32 KiB into one piece of a list.
const CHUNK: usize = 64 << 10;

/// Bytes in front of a message's attributes: the header of netlink and that of netfilter.
const HEADERS: usize = 20;

/// Messages one behind the other, ready to be sent.
#[derive(Debug, Default)]
pub struct Messages {
    /// As the kernel reads them.
    pub bytes: Vec<u8>,
    start: usize,
    sequence: u32,
}

impl Messages {
    /// Begins a message and answers its number, by which answers are known. `family` and `resource`
    /// belong to netfilter's header.
    pub fn begin(&mut self, kind: u16, flags: u16, family: u8, resource: u16) -> u32 {
        self.start = self.bytes.len();
        self.sequence += 1;
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.sequence
    }

    /// Ends the message begun last.
    pub fn end(&mut self) {
        // a message has a few attributes, none longer than 64 KiB
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds flags to the message begun last and answers its number.
    pub fn add_flags(&mut self, flags: u16) -> u32 {
        let at = self.start + 6;
        for (byte, more) in self.bytes[at..].iter_mut().zip(flags.to_ne_bytes()) {
            *byte |= more;
        }
        self.sequence
    }

    /// Attributes that are encoded already.
    pub fn encoded(&mut self, attributes: &[u8]) {
        self.bytes.extend(attributes);
    }

    /// An attribute of the message begun last.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = (4 + value.len()) as u16;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// A text, ended by a zero as the kernel wants it.
    pub fn text(&mut self, kind: u16, text: &str) {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.attribute(kind, &value);
    }

    /// An attribute made of others.
    pub fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Messages)) {
        let at = self.bytes.len();
        self.attribute(kind | NLA_F_NESTED, &[]);
        inner(self);
        let length = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

/// One answer of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The number of the message it answers; 0 for what nobody asked for.
    pub sequence: u32,
    /// What it says.
    pub body: Body<'a>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Done (0), or why not: an error number, or one of ipset's own beyond 4096.
    Result(i32),
    /// A message of this type, with these attributes.
    Message(u16, &'a [u8]),
}

/// A connection to the firewall in the network namespace of the thread that opens it.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    room: usize,
}

impl Channel {
    /// Opens a connection for requests.
    ///
    /// # Errors
    /// The kernel has no such protocol, or there are too many open files.
    pub fn open() -> io::Result<Channel> {
        let socket = Socket::new(NETLINK_NETFILTER)?;
        // answers need not repeat the question (Linux 4.3), and large batches want room, which
        // takes a privilege; without either it works, in smaller pieces
        let _ = socket.set_cap_ack(true);
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER);
        let forced = setsockopt(&socket, sockopt::SndBufForce, &REQUEST[0]).is_ok();
        if !forced {
            let _ = setsockopt(&socket, sockopt::SndBuf, &REQUEST[1]);
        }
        socket.set_non_blocking(true)?;
        let room = REQUEST[usize::from(!forced)];
        Ok(Channel { socket, room })
    }

    /// How many bytes of messages it takes at once.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Opens a connection on which the kernel tells of what happens to a multicast group.
    ///
    /// # Errors
    /// As [`Channel::open`]; or it may not be listened to.
    pub fn listen(group: u32) -> io::Result<Channel> {
        let mut channel = Channel::open()?;
        channel.socket.bind_auto()?;
        channel.socket.add_membership(group)?;
        Ok(channel)
    }

    /// Sends messages and hands every answer on.
    ///
    /// # Errors
    /// Sending failed, and nothing was done; or answers were lost, and nobody knows what was done.
    pub fn exchange(&self, messages: &Messages, each: impl FnMut(Answer<'_>)) -> io::Result<()> {
        self.socket.send(&messages.bytes, 0)?;
        self.receive(each)
    }

    /// Asks for one object; answers whether there is such a one, `None` when that cannot be told.
    pub fn finds(&self, messages: &Messages) -> Option<bool> {
        let mut found = None;
        let asked = self.exchange(messages, |answer| match answer.body {
            Body::Message(..) => found = Some(true),
            Body::Result(code) if code == Errno::ENOENT as i32 => found = Some(false),
            Body::Result(_) => {}
        });
        asked.ok().and(found)
    }

    /// Hands on all that is there to be read.
    ///
    /// # Errors
    /// Answers were lost.
    pub fn receive(&self, mut each: impl FnMut(Answer<'_>)) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            chunk.clear();
            match self.socket.recv(&mut chunk, 0) {
                Ok(0) => return Ok(()),
                Ok(_) => answers(&chunk, &mut each),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes apart what was read in one go.
fn answers(mut bytes: &[u8], each: &mut impl FnMut(Answer<'_>)) {
    while let Ok(message) = NetlinkBuffer::new_checked(bytes) {
        let length = message.length() as usize;
        let body = match message.message_type() {
            NLMSG_ERROR => message
                .payload()
                .first_chunk()
                .map(|code| Body::Result(-i32::from_ne_bytes(*code))),
            NLMSG_DONE => Some(Body::Result(0)),
            kind => bytes
                .get(HEADERS..length)
                .map(|attributes| Body::Message(kind, attributes)),
        };
        if let Some(body) = body {
            each(Answer {
                sequence: message.sequence_number(),
                body,
            });
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Attributes: kind without its flags, and value. What is damaged ends the list.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let (kind, length) = (attribute.kind(), attribute.value_length());
        Some((kind, attribute.into_inner().get(4..4 + length)?))
    })
}
