//! A room as it really is, servers that are none, and the program as a script runs it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use bolillero_server::driver::{self, Driver, Limits, Listener};
use bolillero_server::lifecycle::Lifecycle;
use bolillero_server::room::{Room, RoomLimits};
use bolillero_server::session::Service;
use bolillero_server::tls::Secured;
use bolillero_tls::server::Admission;
use rustix::process::{Pid, Signal, kill_process};

use crate::secure::Papers;
use crate::setting::{TIME_MAX, program};

/// A room that is open.
pub(crate) struct Hall {
    address: SocketAddr,
    life: Lifecycle,
    ended: Mutex<Receiver<()>>,
}

impl Hall {
    pub(crate) fn new() -> Self {
        Self::with(RoomLimits { burst_objects: 1000, ..RoomLimits::default() })
    }

    pub(crate) fn with(limits: RoomLimits) -> Self {
        Self::of(Arc::new(Room::new(limits)))
    }

    /// A room behind TLS.
    pub(crate) fn secure(papers: &Papers, admission: Admission) -> Self {
        let limits = RoomLimits { burst_objects: 1000, ..RoomLimits::default() };
        let (room, tls) = (Arc::new(Room::new(limits)), papers.server_tls());
        Self::of(Arc::new(Secured::new(room, &tls, admission, TIME_MAX).unwrap()))
    }

    fn of(service: Arc<dyn Service>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (life, (end, ended)) = (Lifecycle::new(), channel());
        let its_life = life.clone();
        thread::spawn(move || {
            let listeners = vec![Listener { socket, service }];
            let prepared = driver::prepare(Driver::Pool, listeners, &Limits::default()).unwrap();
            prepared.run(&its_life).unwrap();
            end.send(())
        });
        Self { address, life, ended: Mutex::new(ended) }
    }

    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn close(&self) {
        self.life.stop();
    }

    /// A guest who has its name.
    pub(crate) fn guest(&self, name: &str) -> Guest {
        let mut guest = Guest::start(&self.server(), name, &[]);
        assert_eq!(guest.hears(), format!("* you are {name}"));
        guest
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        self.life.stop();
        if !thread::panicking() {
            self.ended.lock().unwrap().recv_timeout(TIME_MAX).unwrap();
        }
    }
}

/// What listens at the address does `how` with each connection.
pub(crate) fn serve(how: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let how = Arc::new(how);
    // The threads end with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, how) = (stream.unwrap(), Arc::clone(&how));
            thread::spawn(move || how(stream));
        }
    });
    address.to_string()
}

/// `bolillero room SERVER --name NAME` with these options.
pub(crate) fn room(server: &str, name: &str, options: &[&str]) -> Command {
    program(&[&["room", server, "--name", name], options].concat())
}

/// The program as a script runs it: each line it writes is an event.
pub(crate) struct Guest {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl Guest {
    pub(crate) fn start(server: &str, name: &str, options: &[&str]) -> Self {
        let mut command = room(server, name, options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            // Ends with the pipe, or with the test that no longer listens.
            stdout.lines().map_while(Result::ok).for_each(|line| drop(send.send(line)));
        });
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    pub(crate) fn types(&mut self, lines: &str) {
        self.input.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// The next line that it shows.
    pub(crate) fn hears(&mut self) -> String {
        self.lines.recv_timeout(TIME_MAX).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends its input, and waits for its end.
    pub(crate) fn leaves(mut self) -> Left {
        self.input = None;
        self.ends()
    }

    /// Waits for its end.
    pub(crate) fn ends(mut self) -> Left {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(TIME_MAX) {
                Ok(line) => lines.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("it goes on: {error}: {lines:#?}"),
            }
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Left { code: self.child.wait().unwrap().code(), lines, stderr }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended; where not, the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
