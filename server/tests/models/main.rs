//! Every interleaving of the few threads that hand work to each other, under loom: the sources are the server's own, over
//! the model checker's locks and atomics. A wake that is lost is a deadlock here, since no time passes.
//!
//! ```text
//! cargo test -p bolillero-server --test models [PART OF A NAME]
//! ```
//! Not modelled: the reactor's inbox and the workers' queue, which lie between a mutex and what loom does not know (a
//! pool of threads, an eventfd); the alarm, whose two sides rest on one order of all `SeqCst` accesses, which loom does not keep.

#![allow(clippy::unwrap_used)] // A model that cannot go on ends there.
#![allow(clippy::print_stdout)] // What ran, as the harness of other tests says it.

mod ledger_models;
mod schedule_models;
mod sync;

/// The server's sources. Whoever they name as `crate::…` stands below.
#[allow(dead_code, unused_imports, unreachable_pub)] // Some of it is used here, and its own tests do not run.
#[path = "../../src"]
mod sources {
    pub(crate) mod hint;
    pub(crate) mod ledger;
    pub(crate) mod session;

    #[path = "driver"]
    pub(crate) mod driver {
        pub(crate) mod schedule;
        /// Opens to the models what is open to the driver.
        pub(crate) struct Word(schedule::Schedule);

        use crate::conn::Causes;

        impl Word {
            pub(crate) fn new() -> Self {
                Self(schedule::Schedule::new())
            }

            pub(crate) fn due(&self, causes: Causes) -> bool {
                self.0.due(causes)
            }

            pub(crate) fn take(&self) -> Causes {
                self.0.take()
            }

            pub(crate) fn rest(&self) -> bool {
                self.0.rest()
            }
        }
    }
}

pub(crate) use sources::{hint, ledger, session};

mod conn {
    pub(crate) use bolillero_server::conn::Causes;
}

type Model = (&'static str, fn());

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let models = schedule_models::MODELS.iter().chain(&ledger_models::MODELS);
    for (name, run) in models {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part)) {
            let begun = std::time::Instant::now();
            run();
            println!("model {name} ... ok, {} ms", begun.elapsed().as_millis());
        }
    }
}

/// Runs `model` in each of its interleavings with up to `preemptions` switches that no thread asked for.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
