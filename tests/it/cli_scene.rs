//! The scene of the command line's tests: the shipped configuration on free ports, a state folder, the
//! program itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// Long enough for a machine that builds something else meanwhile.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Scene {
    folder: tempfile::TempDir,
    pub sip: u16,
    pub http: u16,
}

/// A server that is killed when the test is over.
pub struct Running {
    pub child: Child,
    pub log: Receiver<String>,
}

impl Scene {
    /// The shipped configuration, listening on loopback ports that are free now.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (sip, http) = (free_port(), free_port());
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let scene = Self { folder, sip, http };
        std::fs::create_dir(scene.config()).expect("made");
        for name in ["telefonist.toml", "policy.toml", "calendars.toml"] {
            std::fs::copy(shipped.join(name), scene.config().join(name)).expect("shipped");
        }
        scene.edit("telefonist.toml", "0.0.0.0:5060", &format!("127.0.0.1:{sip}"));
        scene.edit("telefonist.toml", "[::]:5060", &format!("[::1]:{sip}"));
        let http = format!("http = \"127.0.0.1:{http}\"");
        scene.edit("telefonist.toml", "# http = \"127.0.0.1:9160\"", &http);
        scene
    }

    /// With the sample company in its database.
    pub fn with_company() -> Self {
        let scene = Self::new();
        for what in ["people", "departments", "absences", "clients"] {
            let file = format!("{}/config/{what}.csv", env!("CARGO_MANIFEST_DIR"));
            scene.ok(&["import", what, &file]);
        }
        scene
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.path(name).display().to_string()
    }

    /// Replaces a text in a configuration file.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.config().join(file);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{file} holds `{from}`");
        std::fs::write(&path, text.replace(from, to)).expect("written");
    }

    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_telefonist"));
        program.arg("--config").arg(self.config()).arg("--state").arg(self.state());
        program.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
        program
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().expect("the program runs")
    }

    /// What it says when it succeeds.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
        out(&output)
    }

    /// The same as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut with_json = arguments.to_vec();
        with_json.push("--json");
        serde_json::from_str(&self.ok(&with_json)).expect("JSON")
    }

    /// Exit code and standard error of a command that must not succeed.
    pub fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", out(&output));
        (output.status.code().expect("an exit code"), err(&output))
    }

    /// With a line on standard input.
    pub fn tell(&self, arguments: &[&str], line: &str) -> Output {
        let mut program = self.program(arguments);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().expect("the program runs");
        let mut stdin = child.stdin.take().expect("piped");
        writeln!(stdin, "{line}").expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    /// A server that takes calls.
    pub fn serve(&self) -> Running {
        let running = self.serve_quietly();
        running.says(" ready ");
        running
    }

    /// One that is about to.
    pub fn serve_quietly(&self) -> Running {
        Running::begin(self.program(&["serve"]))
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.sip))
    }
}

impl Running {
    /// Runs `program` and reads its log.
    pub fn begin(mut program: Command) -> Self {
        let mut child = program.stderr(Stdio::piped()).spawn().expect("the program runs");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (say, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The test may be over.
                let _ = say.send(line);
            }
        });
        Self { child, log }
    }

    /// Waits for a log line with this text.
    pub fn says(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            let line = self.log.recv_timeout(LONG);
            let line = line.unwrap_or_else(|_| panic!("`{text}` is not in {before:#?}"));
            if line.contains(text) {
                return line;
            }
            before.push(line);
        }
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(done.expect("kill is there").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `admin.http` answers.
pub fn get(scene: &Scene, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", scene.http)).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

/// A phone's socket.
pub fn phone() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(LONG)).expect("a time");
    socket
}

/// A request as a stranger would send it.
pub fn request(method: &str, from: SocketAddr, transport: &str) -> String {
    format!(
        "{method} sip:101@telefonist.example SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {from};branch=z9hG4bK-{}-{method};rport\r\n\
         From: <sip:stranger@elsewhere.example>;tag=s1\r\nTo: <sip:101@telefonist.example>\r\n\
         Call-ID: {}-{method}@elsewhere.example\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:stranger@{from}>\r\nContent-Length: 0\r\n\r\n",
        from.port(),
        from.port(),
    )
}

/// The next answer.
pub fn heard(socket: &UdpSocket) -> String {
    let mut buffer = vec![0; 65_535];
    let len = loop {
        match socket.recv(&mut buffer) {
            // Another test's child ended, or somebody stopped this process for a while.
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            heard => break heard.expect("an answer"),
        }
    };
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

/// Free for UDP and TCP, below the range that the kernel gives to others; each one is given out once.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let begin = 20_000 + (std::process::id() % 50) as u16 * 200;
    let is_free = |port: &u16| {
        UdpSocket::bind(("127.0.0.1", *port)).is_ok()
            && TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    std::iter::repeat_with(|| begin + GIVEN.fetch_add(1, Ordering::Relaxed) % 2_000)
        .take(2_000)
        .find(is_free)
        .expect("a free port")
}
