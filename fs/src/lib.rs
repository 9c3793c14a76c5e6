//! Directories and files as all programs of Bolillero make them. Knows no format and no name but its own.
//!
//! ```text
//! access     who on this machine may read what is made
//! regular    a regular file, read up to a limit
//! whole      a file that has its name only once it is whole
//! ```

#![forbid(unsafe_code)]

mod access;
mod regular;
mod whole;

pub use access::{Access, create_directory, mode_open_to_others};
pub use regular::read_regular;
pub use whole::{WholeFile, is_unfinished};
