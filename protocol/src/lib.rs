//! The wire of Bolillero, byte by byte. Does no I/O but through a `Read` or `Write` it is handed.
//!
//! ```text
//! comm       whole reads, whole writes             | opcode i8 | length u32 | data ... |
//! tlv        packets out of a stream, however cut      data of most packets is a list:
//! list       items, each followed by '#'               1#Ana#Paz#30000001#1990-01-01#1#
//! bet        one bet and a batch of them: valid, or nothing
//! message    what the opcodes mean: requests of an agency, replies of the office
//! text       the other dialect: frames, batches and lines     | length u16 | text ... |
//! chain      the hash chain over what a lane has stored
//! hftp       the files' protocol: command lines, replies, slices
//! room       JSON objects of those who talk
//! log_line   the lines that deployed tools parse            words    counts as people read them
//! time_zone  the zone of their times
//! visible    which characters of a peer's text can be shown
//! byte_queue bytes that wait, in memory that goes back to the system
//! ```
//!
//! `PROTOCOL.md` at the root of the repository describes the same for somebody who writes a client.

#![forbid(unsafe_code)]

pub mod bet;
pub mod byte_queue;
pub mod chain;
pub mod comm;
pub mod error;
pub mod hftp;
pub mod list;
pub mod log_line;
pub mod visible;
pub mod message;
pub mod room;
pub mod text;
pub mod time_zone;
pub mod tlv;
pub mod words;
