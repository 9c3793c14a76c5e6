//! The wire's decoders beside slow readers of the same bytes. Knows no office.

mod batch;
mod packet;
mod text;

use bolillero_protocol::error::Corrupt;
use bolillero_protocol::list::parse_number;
use bolillero_protocol::message::{
    DrawId, Hello, Refusal, Reply, Request, RequestError, SESSION_VERSION, is_reply, is_request,
    opcode,
};
use bolillero_protocol::tlv::{HEADER_SIZE, Packet};

pub use batch::batch;
pub use packet::packet;
pub use text::text;

/// A request, its opcode in the first byte: what is read is written so that it is read the same.
pub fn request(bytes: &[u8]) {
    let Some((&first, data)) = bytes.split_first() else { return };
    let code = i8::from_be_bytes([first]);
    match Request::parse(code, data) {
        Ok(request) => {
            assert!(is_request(code));
            let mut written = Vec::new();
            request.encode(&mut written);
            assert_eq!(written[0], first);
            assert_eq!(Request::parse(code, &written[HEADER_SIZE..]), Ok(request));
        }
        Err(error) => check_error(&error, code, data, is_request(code)),
    }
}

/// A reply, likewise; and the refusal that a session finds in its text.
pub fn reply(bytes: &[u8]) {
    let Some((&first, data)) = bytes.split_first() else { return };
    let code = i8::from_be_bytes([first]);
    match Reply::parse(Packet { opcode: code, data, rest: 0 }) {
        Ok(reply) => {
            assert!(is_reply(code));
            let mut written = Vec::new();
            reply.encode(&mut written);
            assert_eq!(written[0], first);
            let data = &written[HEADER_SIZE..];
            assert_eq!(Reply::parse(Packet { opcode: code, data, rest: 0 }), Ok(reply));
            if let Reply::Error(text) = reply {
                refusal(text);
            }
        }
        Err(error) => check_error(&error, code, data, is_reply(code)),
    }
}

fn refusal(text: &str) {
    let Ok(refusal) = Refusal::parse(text) else { return };
    let mut written = Vec::new();
    refusal.encode(&mut written);
    let travelled = refusal.text.replace(char::is_control, " ");
    let again = std::str::from_utf8(&written[HEADER_SIZE..]).expect("a refusal is text");
    assert_eq!(Refusal::parse(again), Ok(Refusal { text: &travelled, ..refusal }));
}

/// Who is blamed, and for what, is true.
fn check_error(error: &RequestError, code: i8, data: &[u8], known: bool) {
    assert!(!error.to_string().contains(char::is_control), "it would break a log line");
    let is_text = std::str::from_utf8(data).is_ok();
    match error {
        RequestError::Corrupt(Corrupt::Opcode(named)) => assert!(*named == code && !known),
        RequestError::Corrupt(Corrupt::NotUtf8) => assert!(!is_text),
        RequestError::Corrupt(Corrupt::NotAList) => assert!(is_text && !data.ends_with(b"#")),
        RequestError::Corrupt(Corrupt::TooLong { .. }) => panic!("a header is not looked at here"),
        RequestError::Malformed(_) => assert!(is_text && known),
    }
}

/// The data of an opcode 9.
pub fn hello(data: &[u8]) {
    let read = match Request::parse(opcode::HELLO, data) {
        Ok(Request::Hello(hello)) => Some(hello),
        Ok(other) => panic!("a hello was read as {other:?}"),
        Err(_) => None,
    };
    assert_eq!(read, slow_hello(data));
}

fn slow_hello(data: &[u8]) -> Option<Hello> {
    let text = std::str::from_utf8(data).ok()?.strip_suffix('#')?;
    let items: Vec<&str> = text.split('#').collect();
    let version: u32 = parse_number(items[0])?;
    if version != SESSION_VERSION {
        return Some(Hello { version, agency: 0, draw: None });
    }
    let agency = parse_number(items.get(1)?)?;
    let draw = match items.get(2) {
        None => None,
        Some(digits) => {
            let plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let id = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
            Some(DrawId(id.to_be_bytes()))
        }
    };
    (items.len() <= 3).then_some(Hello { version, agency, draw })
}
