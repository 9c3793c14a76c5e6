//! What was typed behind `bolillero pki`.

#![allow(rustdoc::broken_intra_doc_links)] // The comments on options are the text of --help.

use std::path::PathBuf;

use clap::Subcommand;

/// What can be done with an authority.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make an authority: ca.pem, which all may have, and ca-key.pem, which stays here
    Init(InitArgs),
    /// Make a certificate for a server: server.pem and server-key.pem
    Server(ServerCertArgs),
    /// Make a certificate for each of these agencies: agency-N.pem and agency-N-key.pem
    Agency(AgencyCertArgs),
}

/// Options of `bolillero pki init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Directory for the authority; made when missing
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Days that its certificate is good for, 1 to 3650
    #[arg(long, value_name = "N", default_value_t = 3650)]
    pub days: u32,
}

/// Options of `bolillero pki server`.
#[derive(Debug, clap::Args)]
pub struct ServerCertArgs {
    /// Directory of the authority, in which the files are written
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// A name or an address by which clients reach the server; may be given again for each
    #[arg(long, value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
    pub name: Vec<String>,
    /// Days that it is good for, 1 to 825
    #[arg(long, value_name = "N", default_value_t = 365)]
    pub days: u32,
}

/// Options of `bolillero pki agency`.
#[derive(Debug, clap::Args)]
pub struct AgencyCertArgs {
    /// Directory of the authority, in which the files are written
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// An agency's number in the draw, 1 to 65535; may be given again for each
    #[arg(long, value_name = "N", required = true)]
    pub id: Vec<u32>,
    /// Days that each is good for, 1 to 825
    #[arg(long, value_name = "N", default_value_t = 365)]
    pub days: u32,
}
