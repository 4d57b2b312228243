//! baresip as a softphone with a voice and ears: it says its own tone and records what it hears.
//!
//! Driven over its `ctrl_tcp` (netstrings of JSON), which also tells what happens.

use std::io::{BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::Program;
use crate::scene::{DOMAIN, PATIENCE, PHONES, Scene, TRUNK, free_port};
use crate::tone;

/// Two seconds of 8 kHz, 16 bit.
const HEARD_BYTES: u64 = 32_000;

/// A running baresip.
pub struct Softphone {
    program: Program,
    control: TcpStream,
    events: Receiver<Value>,
    folder: PathBuf,
    /// What it says, Hz.
    pub tone: u32,
}

/// How it reaches the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Datagrams.
    Udp,
    /// A connection that it opens.
    Tcp,
}

impl Softphone {
    /// One of our people's phones: registers and answers by itself.
    pub fn of_person(scene: &Scene, user: &str, over: Over, hertz: u32) -> Self {
        let transport = if over == Over::Tcp { "tcp" } else { "udp" };
        let account = format!(
            "<sip:{user}@{DOMAIN};transport={transport}>;auth_pass=pw-{user};\
             outbound=\"sip:{};transport={transport}\";answermode=auto;regint=600",
            scene.address
        );
        Self::start(scene, user, PHONES, &account, hertz)
    }

    /// A caller behind the trunk: registers nowhere. (Over TCP baresip binds no source address.)
    pub fn of_trunk(scene: &Scene, number: &str, hertz: u32) -> Self {
        let way = scene.address;
        let account = format!("<sip:{number}@trunk.test>;outbound=\"sip:{way}\";regint=0");
        Self::start(scene, number, TRUNK, &account, hertz)
    }

    fn start(scene: &Scene, name: &str, at: IpAddr, account: &str, hertz: u32) -> Self {
        let folder = scene.path().join(format!("softphone-{name}"));
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let voice = folder.join("voice.wav");
        tone::say(&voice, hertz);
        let control = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), free_port());
        let (sip, rtp) = (free_port(), free_port());
        let modules = ["g711.so", "aufile.so", "aubridge.so", "sndfile.so"];
        let modules: String = modules.iter().map(|m| format!("module {m}\n")).collect();
        let config = format!(
            "poll_method epoll\nsip_listen {at}:{sip}\nnet_interface {at}\n\
             audio_player aubridge,{name}\naudio_source aufile,{}\naudio_alert aubridge,alert\n\
             module_path /usr/lib/baresip/modules\n{modules}module_app account.so\n\
             module_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {control}\n\
             snd_path {}\nrtp_ports {rtp}-{}\n",
            voice.display(),
            folder.display(),
            rtp + 1
        );
        std::fs::write(folder.join("config"), config).expect("the folder is ours");
        std::fs::write(folder.join("accounts"), format!("{account}\n")).expect("ours too");
        let mut command = Command::new("baresip");
        command.arg("-4").arg("-f").arg(&folder);
        let mut program = Program::start(&format!("baresip {name}"), &mut command);
        let control = connect(&mut program, control);
        let events = follow(&control);
        Self { program, control, events, folder, tone: hertz }
    }

    /// Types `command`.
    pub fn command(&mut self, command: &str, parameters: &str) {
        let text = json!({ "command": command, "params": parameters }).to_string();
        let netstring = format!("{}:{text},", text.len());
        self.control.write_all(netstring.as_bytes()).expect("it listens");
    }

    /// Waits for a line that it writes.
    pub fn shows(&mut self, text: &str) {
        self.program.wait_for(text, PATIENCE);
    }

    /// Waits for an event of this type.
    pub fn wait_for(&mut self, kind: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else { panic!("no {kind}: {seen:?}") };
            if event["type"] == kind {
                return event;
            }
            seen.push(event["type"].clone());
        }
    }

    /// What it heard in the last call.
    pub fn ears(&self) -> PathBuf {
        let files = std::fs::read_dir(&self.folder).expect("ours");
        let names = files.filter_map(|f| Some(f.ok()?.path()));
        let mut recorded: Vec<_> =
            names.filter(|f| f.to_string_lossy().ends_with("-dec.wav")).collect();
        recorded.sort();
        recorded.pop().unwrap_or_else(|| self.folder.join("nothing-dec.wav"))
    }

    /// Waits until it has heard something for two seconds.
    pub fn listen(&mut self) {
        let end = Instant::now() + PATIENCE;
        let heard = |phone: &Self| std::fs::metadata(phone.ears()).map_or(0, |file| file.len());
        while heard(self) < HEARD_BYTES {
            assert!(Instant::now() < end, "{} Hz hears {} bytes only", self.tone, heard(self));
            // Its events are of no interest meanwhile; they give the pace.
            let _ = self.events.recv_timeout(Duration::from_millis(200));
        }
    }

    /// After the call: what it heard was what `other` said, nothing else.
    pub fn heard(&self, other: u32) {
        let heard = tone::heard(&self.ears());
        assert!(tone::is(&self.ears(), other), "{} Hz heard {heard:?}, not {other}", self.tone);
    }
}

fn connect(program: &mut Program, to: SocketAddr) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "{error}\n{}", program.log()),
        }
        // It says something while it starts.
        program.wait_until(Duration::from_millis(50), |_| true);
    }
}

fn follow(control: &TcpStream) -> Receiver<Value> {
    let (tell, events) = channel();
    let mut input = BufReader::new(control.try_clone().expect("a socket"));
    thread::spawn(move || {
        while let Some(text) = netstring(&mut input) {
            let Ok(event) = serde_json::from_slice(&text) else { continue };
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    events
}

fn netstring(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = 0_usize;
    let mut byte = [0];
    loop {
        input.read_exact(&mut byte).ok()?;
        match byte[0] {
            digit @ b'0'..=b'9' => len = len * 10 + usize::from(digit - b'0'),
            b':' => break,
            _ => {}
        }
    }
    let mut text = vec![0; len];
    input.read_exact(&mut text).ok()?;
    input.read_exact(&mut byte).ok()?;
    Some(text)
}
