//! The programs from outside, as processes: what goes in and comes out of sockets, files, signals
//! and exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what goes wrong in a test is a failure, in its helpers too, and is told"
)]

mod code_blocks;
mod inputs;
mod lines;
mod office;
mod process;
mod secured;
mod wire;
#[path = "../support/certificates.rs"]
mod certificates;

mod agency_ends;
mod auditing;
mod copying;
mod crash;
mod crowd;
mod deployed;
mod disk_failure;
mod documents;
mod echo;
mod ends;
mod failures;
mod files;
mod full_disk;
mod life;
mod limits;
mod load;
mod main_job;
mod memory;
mod options;
mod permissions;
mod publishing;
mod repairing;
mod room;
mod shutdown;
mod stdout;
mod strangers;
mod system_limits;
mod text;
mod tls;
mod whole_office;

/// A test of each behaviour for each driver, which it is told by its name.
macro_rules! for_every_driver {
    ($($behaviour:ident)*) => {
        for_every_driver! { @cell pool $($behaviour)* }
        for_every_driver! { @cell events $($behaviour)* }
        for_every_driver! { @cell threads $($behaviour)* }
    };
    (@cell $driver:ident $($behaviour:ident)*) => {
        mod $driver {
            $(
                #[test]
                fn $behaviour() {
                    super::$behaviour(stringify!($driver));
                }
            )*
        }
    };
}
pub(crate) use for_every_driver;

/// Says that something is not tried here.
fn tell_skipped(what: &str) {
    tell(&format!("skipped: {what}"));
}

/// Not by `eprintln!`, which a test that passes keeps to itself.
fn tell(what: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{what}\n").as_bytes()).unwrap();
}
