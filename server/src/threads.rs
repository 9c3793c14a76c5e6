//! Starts threads, and says what to do where the system grants none. Knows nothing of their work.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use thiserror::Error;

/// The system grants no further thread.
#[derive(Debug, Error)]
#[error("starting the thread {name}: {reason}: {NO_THREAD_HINT}")]
pub struct NoThread {
    name: String,
    // Not a `source`: where causes are listed it would be shown twice.
    reason: io::Error,
}

/// What a person can do where the system grants no further thread.
pub(crate) const NO_THREAD_HINT: &str = "raise the limit on processes (`ulimit -u`, and a \
    container's limit on pids) or free memory, then start again";

/// Starts a thread.
///
/// # Errors
/// [`NoThread`]
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, NoThread> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|reason| NoThread { name: name.to_owned(), reason })
}

/// A fixed number of threads for any number of jobs, taken in order. They end when the pool is
/// dropped and its jobs are done.
pub(crate) struct Pool {
    jobs: Arc<Jobs>,
    threads: usize,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Jobs {
    state: Mutex<JobsState>,
    /// A job came, or the pool ends.
    called: Condvar,
    /// No thread is at work, and no job waits.
    rested: Condvar,
}

#[derive(Default)]
struct JobsState {
    waiting: VecDeque<Job>,
    at_work: usize,
    ended: bool,
}

impl Pool {
    /// Starts all threads at once, so that a system without threads refuses here and not later.
    ///
    /// # Errors
    /// [`NoThread`]; those that were started end.
    pub(crate) fn start(name: &str, threads: usize) -> Result<Self, NoThread> {
        let pool = Self { jobs: Arc::default(), threads };
        for _ in 0..threads {
            let jobs = Arc::clone(&pool.jobs);
            start(name, move || jobs.work())?;
        }
        Ok(pool)
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Queues a job for the next free thread.
    pub(crate) fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.lock().waiting.push_back(Box::new(job));
        self.jobs.called.notify_one();
    }

    /// Waits until all jobs are done.
    pub(crate) fn join(&self) {
        let busy = |state: &mut JobsState| state.at_work > 0 || !state.waiting.is_empty();
        drop(self.jobs.rested.wait_while(self.jobs.lock(), busy));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs.lock().ended = true;
        self.jobs.called.notify_all();
    }
}

impl Jobs {
    fn work(&self) {
        let idle = |state: &mut JobsState| state.waiting.is_empty() && !state.ended;
        loop {
            let state = self.called.wait_while(self.lock(), idle);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            let Some(job) = state.waiting.pop_front() else { return };
            state.at_work += 1;
            drop(state);
            // Jobs catch the panics that they know of. One more must not cost the pool a thread.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                log::error!("action: serve | result: fail | error: a job of a thread panicked");
            }
            let mut state = self.lock();
            state.at_work -= 1;
            if state.at_work == 0 && state.waiting.is_empty() {
                self.rested.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobsState> {
        // No job runs under the lock, so the state is whole whatever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn jobs_run_at_once_on_as_many_threads_as_there_are() {
        let pool = Pool::start("test", 2).unwrap();
        let (send, receive) = channel();
        let (first_in, wait_for_second) = channel::<()>();
        let told = send.clone();
        pool.execute(move || told.send(wait_for_second.recv_timeout(PATIENCE).is_ok()).unwrap());
        pool.execute(move || send.send(first_in.send(()).is_ok()).unwrap());
        for _ in 0..2 {
            assert!(receive.recv_timeout(PATIENCE).unwrap());
        }
    }

    #[test]
    fn a_pool_is_joined_when_all_jobs_are_done_also_one_that_panicked() {
        let done = Arc::new(AtomicUsize::new(0));
        let pool = Pool::start("test", 1).unwrap();
        for n in 0..10 {
            let done = Arc::clone(&done);
            pool.execute(move || {
                assert_ne!(n, 3, "as this test wishes");
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        pool.join();
        assert_eq!(done.load(Ordering::Relaxed), 9);
    }

    #[test]
    fn the_threads_of_a_dropped_pool_do_what_was_queued_and_end() {
        let (send, receive) = channel();
        let pool = Pool::start("test", 3).unwrap();
        for n in 0..10 {
            let send = send.clone();
            pool.execute(move || send.send(n).unwrap());
        }
        let jobs = Arc::clone(&pool.jobs);
        drop((pool, send));
        // Ends when no job is left.
        assert_eq!(receive.iter().count(), 10);
        let begin = Instant::now();
        while Arc::strong_count(&jobs) > 1 {
            assert!(begin.elapsed() < PATIENCE, "a thread goes on");
            thread::yield_now();
        }
    }
}
