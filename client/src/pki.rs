//! `bolillero pki`: an authority in a directory, and the certificates that it signs, so that a trial
//! of TLS takes three commands. It keeps no list of them and takes none back.
//!
//! ```text
//! ca.pem         the authority, for all who are to trust it     ca-key.pem         its key
//! server.pem     a server                                       server-key.pem     its key
//! agency-N.pem   agency N                                       agency-N-key.pem   its key
//! ```

mod files;

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use bolillero_tls::authority::{Authority, Validity};

use self::files::{Names, Pair, make_directory, read};
use crate::config::{PkiConfig, PkiTask};

/// Makes what is asked for, and says on stdout what was written and what comes next.
///
/// # Errors
/// No authority where one is needed, or one where it would be replaced; a file that is there, or
/// cannot be written.
pub fn run(config: &PkiConfig) -> anyhow::Result<()> {
    let validity = Validity::of(config.time);
    match &config.task {
        PkiTask::Init => init(&config.dir, validity),
        PkiTask::Server { names } => server(&config.dir, names, validity),
        PkiTask::Agencies { ids } => agencies(&config.dir, ids, validity),
    }
}

fn init(dir: &Path, validity: Validity) -> anyhow::Result<()> {
    let (pair, shown) = (Names::new("ca"), dir.display());
    make_directory(dir)?;
    if pair.one_in(dir).is_some() {
        bail!(
            "{shown} has an authority already. Sign with it (`bolillero pki server`, `bolillero pki \
             agency`), or name another --dir: a new one would not be trusted where this one is"
        );
    }
    let (_, issued) = Authority::generate(validity).context("making an authority")?;
    Pair::prepare(dir, &pair, &issued)?.publish()?;
    say(&[
        written(dir, &pair, "the authority", validity),
        format!("{} signs whatever is trusted: it stays here", dir.join(&pair.key).display()),
        format!("next: bolillero pki server --dir {shown} --name HOST"),
    ])
}

fn server(dir: &Path, names: &[String], validity: Validity) -> anyhow::Result<()> {
    let (authority, pair) = (open(dir)?, Names::new("server"));
    refuse_to_replace(dir, &pair)?;
    let issued = authority.server(names, validity).context("signing for the server")?;
    Pair::prepare(dir, &pair, &issued)?.publish()?;
    let shown = dir.display();
    say(&[
        written(dir, &pair, &names.join(", "), validity),
        format!("next: bolillero pki agency --dir {shown} --id N, for each agency"),
    ])
}

fn agencies(dir: &Path, ids: &[u32], validity: Validity) -> anyhow::Result<()> {
    let authority = open(dir)?;
    let pairs: Vec<_> = ids.iter().map(|id| Names::new(&format!("agency-{id}"))).collect();
    // None is made where one of them cannot be.
    pairs.iter().try_for_each(|pair| refuse_to_replace(dir, pair))?;
    for (id, pair) in ids.iter().zip(&pairs) {
        let signing = || format!("signing for agency {id}");
        let issued = authority.agency(*id, validity).with_context(signing)?;
        Pair::prepare(dir, pair, &issued)?.publish()?;
        say(&[written(dir, pair, &format!("agency {id}"), validity)])?;
    }
    let (shown, first) = (dir.display(), ids.first().copied().unwrap_or(1));
    say(&[format!(
        "next: bolillero agency --id {first} --tls --ca {shown}/ca.pem \
         --cert {shown}/agency-{first}.pem --key {shown}/agency-{first}-key.pem"
    )])
}

/// The authority of a directory.
fn open(dir: &Path) -> anyhow::Result<Authority> {
    let (pair, shown) = (Names::new("ca"), dir.display());
    for name in [&pair.cert, &pair.key] {
        if !dir.join(name).exists() {
            bail!(
                "{shown} has no authority, {name} is missing: `bolillero pki init --dir {shown}` \
                 makes one"
            );
        }
    }
    let key = dir.join(&pair.key);
    let authority = Authority::from_key(&read(&key)?);
    authority.with_context(|| format!("{} is no private key", key.display()))
}

fn refuse_to_replace(dir: &Path, pair: &Names) -> anyhow::Result<()> {
    let Some(path) = pair.one_in(dir) else { return Ok(()) };
    bail!(
        "{} is there already, and is not replaced: move it away, with the other of {} and {}, to \
         have new ones",
        path.display(),
        pair.cert,
        pair.key
    )
}

fn written(dir: &Path, pair: &Names, whose: &str, validity: Validity) -> String {
    let [cert, key] = [&pair.cert, &pair.key].map(|name| dir.join(name).display().to_string());
    let until = humantime::format_rfc3339_seconds(validity.until);
    format!("{cert}, {key}: {whose}, good until {until}")
}

fn say(lines: &[String]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).context("writing to stdout")
}
