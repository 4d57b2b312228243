//! linphonec as a softphone with a voice and ears, told what to do on its standard input.
//!
//! It registers with an instance and asks for GRUUs, so that its contacts carry more than an address, and
//! it knows SHA-256.

use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

use crate::program::{Program, text_of};
use crate::scene::{DOMAIN, PATIENCE, Scene, free_port};
use crate::tone;

/// Two seconds of 8 kHz, 16 bit.
const HEARD_BYTES: u64 = 32_000;

/// A running linphonec.
pub struct Linphone {
    program: Program,
    input: ChildStdin,
    folder: PathBuf,
}

impl Linphone {
    /// One of our people's phones: registers, and answers by itself.
    pub fn of_person(scene: &Scene, user: &str, transport: &str, hertz: u32) -> Self {
        Self::start(scene, user, transport, hertz, &["-a"])
    }

    /// The same, but rings until it is told what to do.
    pub fn that_rings(scene: &Scene, user: &str) -> Self {
        Self::start(scene, user, "udp", 440, &[])
    }

    fn start(scene: &Scene, user: &str, transport: &str, hertz: u32, options: &[&str]) -> Self {
        let folder = scene.path().join(format!("linphone-{user}"));
        std::fs::create_dir_all(folder.join(".local/share/linphone")).expect("the folder is ours");
        let (sip, rtp, server) = (free_port(), free_port(), scene.address);
        let ports = match transport {
            "tcp" => format!("sip_port=0\nsip_tcp_port={sip}"),
            _ => format!("sip_port={sip}\nsip_tcp_port=0"),
        };
        let text = format!(
            "[sip]\n{ports}\nsip_tls_port=0\nguess_hostname=0\ndefault_proxy=0\nuse_ipv6=0\n\
             contact=sip:{user}@127.0.0.1\nverify_server_certs=0\n\
             [net]\nfirewall_policy=0\n[rtp]\naudio_rtp_port={rtp}\n\
             [auth_info_0]\nusername={user}\npasswd=pw-{user}\nrealm={DOMAIN}\n\
             [proxy_0]\nreg_proxy=<sip:{server};transport={transport}>\n\
             reg_route=<sip:{server};transport={transport};lr>\n\
             reg_identity=sip:{user}@{DOMAIN}\nreg_expires=600\nreg_sendregister=1\n"
        );
        let file = folder.join("rc");
        std::fs::write(&file, text).expect("the folder is ours");
        let mut command = Command::new("linphonec");
        command.env("HOME", &folder).current_dir(&folder).arg("-c").arg(&file).args(options);
        command.arg("-d").arg("6").arg("-l").arg(folder.join("log"));
        let (program, input) = Program::told(&format!("linphonec {user}"), &mut command);
        let mut phone = Self { program, input, folder };
        let voice = phone.folder.join("voice.wav");
        tone::say(&voice, hertz);
        phone.say("soundcard use files");
        phone.say(&format!("play {}", voice.display()));
        phone.say(&format!("record {}", phone.ears().display()));
        phone
    }

    /// Types `command`.
    pub fn say(&mut self, command: &str) {
        writeln!(self.input, "{command}").expect("it reads");
    }

    /// Waits until it says `text`.
    pub fn wait_for(&mut self, text: &str) {
        self.program.wait_for(text, PATIENCE);
    }

    /// Request lines of `method` that it got.
    pub fn asked(&self, method: &str) -> Vec<String> {
        let begin = format!("{method} sip:");
        self.log().lines().filter(|l| l.starts_with(&begin)).map(str::to_owned).collect()
    }

    /// Its own log: every message.
    pub fn log(&self) -> String {
        text_of(&self.folder.join("log"))
    }

    /// What it heard.
    pub fn ears(&self) -> PathBuf {
        self.folder.join("heard.wav")
    }

    /// Waits until it has heard something for two seconds.
    pub fn listen(&mut self) {
        let end = Instant::now() + PATIENCE;
        let heard = |phone: &Self| std::fs::metadata(phone.ears()).map_or(0, |file| file.len());
        while heard(self) < HEARD_BYTES {
            assert!(Instant::now() < end, "hears {} bytes only", heard(self));
            // Its lines are of no interest meanwhile; they give the pace.
            self.program.wait_until(Duration::from_millis(200), |_| false);
        }
    }

    /// After the call: what it heard was the tone of `hertz`, nothing else.
    pub fn heard(&self, hertz: u32) {
        let heard = tone::heard(&self.ears());
        assert!(tone::is(&self.ears(), hertz), "heard {heard:?}, not {hertz}");
    }
}
