//! The room in a terminal: a line that is edited, and others that arrive above it. Leaves the
//! terminal as it was, whoever ends the stay. Knows nothing of the room.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, ExternalPrinter, Helper};

use super::lines;

/// The terminal of this process, which is stdin and stdout.
pub(super) struct Terminal {
    /// How it was.
    before: Termios,
    turns: Arc<Turns>,
    printer: Mutex<Box<dyn ExternalPrinter + Send>>,
    /// Until somebody types.
    editor: Mutex<Option<Editor<Watch, MemHistory>>>,
}

/// Whose turn it is to write.
#[derive(Default)]
struct Turns {
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// What becomes of a line that arrives. The editor's printer keeps the order only while it edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// Nobody edits: it is written.
    #[default]
    Plain,
    /// The editor is about to take the terminal over: it waits.
    Begins,
    /// The editor has the terminal: it goes through its printer.
    Edits,
    /// The editor gives the terminal back, and what was typed is dealt with: it waits.
    Ends,
    /// The stay has ended. Nobody writes or edits any more.
    Closed,
}

impl Terminal {
    /// The terminal, if there is one in which a line can be edited.
    pub(super) fn open() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let (config, turns) = (Config::default(), Arc::new(Turns::default()));
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).ok()?;
        editor.set_helper(Some(Watch(Arc::clone(&turns))));
        let printer: Box<dyn ExternalPrinter + Send> =
            Box::new(editor.create_external_printer().ok()?);
        Some(Self { before, turns, printer: printer.into(), editor: Some(editor).into() })
    }

    /// Shows a line that has arrived.
    pub(super) fn show(&self, line: &str) -> io::Result<()> {
        let phase = self.turns.wait_while(|phase| matches!(phase, Phase::Begins | Phase::Ends));
        match *phase {
            Phase::Edits => {}
            Phase::Closed => return Ok(()),
            _ => return lines::write(line),
        }
        // The editor takes it, and needs its turn for that.
        drop(phase);
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        printer.print(format!("{line}\n")).map_err(io::Error::other)
    }

    /// Hands each line that is typed behind `prompt` to `each`, until that breaks or the typing is
    /// ended by a key.
    pub(super) fn edit(&self, prompt: &str, mut each: impl FnMut(&str) -> ControlFlow<()>) {
        let editor = self.editor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut editor) = editor else { return };
        loop {
            self.turns.go_to(Phase::Begins);
            // What ends the typing but a key is that the terminal is gone.
            let Ok(typed) = editor.readline(prompt) else { break };
            self.turns.go_to(Phase::Ends);
            // A history that takes no more does without.
            drop(editor.add_history_entry(&typed));
            // What is pasted may be several.
            if typed.lines().any(|line| each(line).is_break()) {
                break;
            }
        }
        drop(editor);
        self.turns.go_to(Phase::Plain);
    }

    /// Leaves the terminal as it was, for good: whoever still edits stands still.
    pub(super) fn restore(&self) {
        let begins = |phase: &mut Phase| *phase == Phase::Begins;
        let waited =
            self.turns.changed.wait_timeout_while(self.turns.lock(), BEGIN_TIME_MAX, begins);
        let mut phase = waited.unwrap_or_else(PoisonError::into_inner).0;
        let edits = matches!(*phase, Phase::Begins | Phase::Edits);
        *phase = Phase::Closed;
        self.turns.changed.notify_all();
        if edits {
            // A terminal that is gone has nothing to be put back.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
            let mut stdout = io::stdout().lock();
            drop(stdout.write_all(LEFT).and_then(|()| stdout.flush()));
        }
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, waits: impl Fn(&Phase) -> bool) -> MutexGuard<'_, Phase> {
        let waited = self.changed.wait_while(self.lock(), |phase| waits(phase));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on to another phase. Whoever types does not return from this once the stay has ended.
    fn go_to(&self, next: Phase) {
        let mut phase = self.lock();
        if *phase == Phase::Closed {
            drop(phase);
            loop {
                thread::park();
            }
        }
        *phase = next;
        self.changed.notify_all();
    }
}

/// Hears from the editor when it has the terminal and when it is about to give it back.
struct Watch(Arc<Turns>);

/// The editor looks for a hint whenever it has drawn anew, also at first.
impl Hinter for Watch {
    type Hint = String;

    fn hint(&self, _line: &str, _at: usize, _context: &Context<'_>) -> Option<String> {
        self.0.go_to(Phase::Edits);
        None
    }
}

/// The editor asks whether a line is valid while it still has the terminal. It always is.
impl Validator for Watch {
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.0.go_to(Phase::Ends);
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Watch {
    type Candidate = String;
}

impl Highlighter for Watch {}

impl Helper for Watch {}

/// How long the editor may take to begin: until then there is nothing to put back.
const BEGIN_TIME_MAX: Duration = Duration::from_millis(300);
/// Ends pasting in brackets, as the editor does, and goes on to the next line; what of the typed one
/// stands there is taken away.
const LEFT: &[u8] = b"\x1b[?2004l\r\n\x1b[J";
