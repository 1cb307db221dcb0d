//! Tickets of arbitrary text.
//!
//! `{pid}`, `{fd}`, `{id}` and `{offset}` in the input stand for those of a live object of this process, so that what lies
//! behind the parser is reached. Only such a ticket is attached: other numbers would lead into other processes.

use ipc_core::{ErrorKind, Segment, Ticket, Value};
use std::sync::OnceLock;

/// The object that tickets may lead to, and its ticket's fields.
struct Target {
    value: Value<u32>,
    pid: String,
    fd: String,
    id: String,
    offset: String,
}

/// Text is printed as it was parsed, up to upper case and leading zeroes; and leads to its object, or is a typed error.
pub fn ticket(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let target = target();
    let leads_here = text.contains("{pid}") && text.contains("{id}");
    let text = text
        .replace("{pid}", &target.pid)
        .replace("{fd}", &target.fd)
        .replace("{id}", &target.id)
        .replace("{offset}", &target.offset);
    let ticket = match text.parse::<Ticket>() {
        Ok(ticket) => ticket,
        Err(error) => return assert!(matches!(error.kind(), ErrorKind::BadTicket { .. }), "{error:?}"),
    };
    let printed = ticket.to_string();
    assert_eq!(printed.parse::<Ticket>().as_ref().ok(), Some(&ticket), "{text}");
    assert_eq!(printed.parse::<Ticket>().map(|again| again.to_string()).ok(), Some(printed.clone()));
    if leads_here && printed.starts_with("ipc:fd:") {
        attach(&ticket, &printed, target);
    }
}

fn attach(ticket: &Ticket, printed: &str, target: &Target) {
    let right = target.value.ticket() == *ticket;
    match Value::<u32>::attach(ticket) {
        Ok(found) => {
            assert!(right, "{printed} leads to an object of another ticket");
            assert_eq!(found.get(), Ok(7));
        }
        Err(error) => {
            let typed = matches!(
                error.kind(),
                ErrorKind::Gone { .. }
                    | ErrorKind::BadTicket { .. }
                    | ErrorKind::UnsafeFile { .. }
                    | ErrorKind::Corrupt(_)
                    | ErrorKind::WrongKind { .. }
                    | ErrorKind::WrongType { .. }
            );
            assert!(typed && !right, "{printed}: {error:?}");
        }
    }
}

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let segment = Segment::new(4096).expect("a small segment");
        Value::new_in(&segment, 0u64).expect("room");
        let value = Value::new_in(&segment, 7u32).expect("room");
        let text = value.ticket().to_string();
        let fields: Vec<&str> = text.split([':', '.']).collect();
        let ["ipc", "fd", pid, fd, id, offset] = fields[..] else { panic!("an anonymous object's ticket: {text}") };
        let [pid, fd, id, offset] = [pid, fd, id, offset].map(str::to_owned);
        Target { value, pid, fd, id, offset }
    })
}
