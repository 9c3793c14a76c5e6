//! A process without descriptors left. Alone in its test binary: the limit is the whole process's.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test is a failure, in its helpers too"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bolillero_server::driver::{self, Driver, Limits, Listener};
use bolillero_server::echo::Echo;
use bolillero_server::lifecycle::Lifecycle;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn accepting_rests_while_there_are_no_descriptors_and_goes_on_when_there_are() {
    let few = Rlimit { current: Some(200), maximum: Some(400) };
    setrlimit(Resource::Nofile, few).unwrap();
    for driver in [Driver::Pool, Driver::Events, Driver::Threads] {
        let life = Lifecycle::new();
        let (address, ended) = start(driver, &life);
        let mut inside = connect(address);
        exchange(&mut inside);
        assert_eq!(getrlimit(Resource::Nofile).current, few.maximum, "raised at start");

        let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(files.len() > 200);
        // The one that is left is the newcomer's own.
        drop(files.pop());
        let mut newcomer = connect(address);
        newcomer.write_all(b"line\n").unwrap();
        for _ in 0..10 {
            exchange(&mut inside);
        }
        drop(files);
        expect_line(&mut newcomer);

        drop((inside, newcomer));
        life.stop();
        ended.recv_timeout(PATIENCE).unwrap();
    }
}

fn start(driver: Driver, life: &Lifecycle) -> (SocketAddr, mpsc::Receiver<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let listeners = vec![Listener { socket, service: Arc::new(Echo::default()) }];
    let prepared = driver::prepare(driver, listeners, &Limits::default()).unwrap();
    let (end, ended) = mpsc::channel();
    let life = life.clone();
    thread::spawn(move || {
        prepared.run(&life).unwrap();
        end.send(()).unwrap();
    });
    (address, ended)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn exchange(client: &mut TcpStream) {
    client.write_all(b"line\n").unwrap();
    expect_line(client);
}

fn expect_line(client: &mut TcpStream) {
    let mut line = [0; 5];
    client.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"line\n");
}

const PATIENCE: Duration = Duration::from_secs(30);
