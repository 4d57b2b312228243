//! One act's stage: the real server on ports of its own, the simulated trunk, and everybody's phones.
//!
//! Phones and trunk reach the server over the wire only; how people stand on the board is asked over
//! the control socket, as the command line does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::DemoError;
use super::company::{DOMAIN, Folder};
use super::phone::{Note, Owner, Phone};
use super::roster::Roster;
use super::script::{Mood, Scene};
use super::story;
use super::trunk::Trunk;
use super::wire::Endpoint;
use crate::server::{Answer, Ask, Server, StartOptions};
use crate::switch::Command;

/// Everybody must be where the scene wants them by then.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// People are looked at this often until they are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A free port may be taken by somebody else in the meantime.
const PORTS_TRIED_MAX: u32 = 5;

/// What phones showed, in the order in which they did: person and note.
pub type Notes = Arc<Mutex<Vec<(String, Note)>>>;

/// See the module.
pub struct Stage {
    /// The server.
    pub server: Arc<Server>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The trunk.
    pub trunk: Trunk,
    /// What phones showed.
    pub notes: Notes,
    /// Marks the Call-IDs of this act.
    pub word: String,
    desks: BTreeMap<String, Desk>,
    speed: u32,
    closed: bool,
}

struct Desk {
    phone: Phone,
    second: Phone,
    absent: bool,
}

/// How an act is set up.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// `day`, `night`.
    pub name: &'a str,
    /// How far its clock is ahead.
    pub ahead: SignedDuration,
    /// Every department is closed.
    pub closed: bool,
    /// Policy seconds go by so many times faster.
    pub speed: u32,
    /// Another policy than the shipped one.
    pub policy: Option<&'a str>,
    /// Say which texts phones show.
    pub talks: bool,
}

impl Stage {
    /// Starts the server and switches the phones on.
    pub fn open(
        runtime: &Runtime,
        folder: &Folder,
        roster: &Roster,
        act: Act<'_>,
    ) -> Result<Self, DemoError> {
        let now = Timestamp::now().checked_add(act.ahead).unwrap_or(Timestamp::MAX);
        let mut tries = 0;
        let (server, address, end) = loop {
            tries += 1;
            let address = free_port().map_err(DemoError::Socket)?;
            let end = runtime.block_on(Endpoint::open(address)).map_err(DemoError::Socket)?;
            folder.furnish(act.name, (address, end.local()), act.speed, act.policy)?;
            if tries == 1 {
                folder.fill(act.name, now)?;
            }
            let options = StartOptions {
                config_dir: folder.config(act.name),
                state_dir: Some(folder.state(act.name)),
                wall_ahead: act.ahead,
            };
            match Server::start(options) {
                Ok(server) => break (server, address, end),
                Err(crate::server::StartError::Bind(_)) if tries < PORTS_TRIED_MAX => {}
                Err(error) => return Err(DemoError::Server(error)),
            }
        };
        let notes = Notes::default();
        let made = runtime.block_on(async {
            let (desks, heard) = switch_on(roster, address).await?;
            tokio::spawn(collect(heard, notes.clone(), act.talks));
            Ok((desks, Trunk::open(end)))
        });
        let (desks, trunk) = made.map_err(DemoError::Socket)?;
        let (speed, closed) = (act.speed, act.closed);
        let word = act.name.to_owned();
        Ok(Self { server, address, trunk, notes, word, desks, speed, closed })
    }

    /// Puts everybody where the scene wants them and waits until the server sees them so.
    pub async fn set(&self, scene: &Scene) -> Result<(), DemoError> {
        let mut registering = JoinSet::new();
        for (person, desk) in &self.desks {
            desk.phone.manner(scene.mood(person).manner(self.speed));
            desk.second.manner(Mood::RingsOut.manner(self.speed));
            let phones = [(&desk.phone, 1), (&desk.second, 2)];
            for (phone, number) in phones {
                let (phone, wanted) = (phone.clone(), wanted(scene, person) >= number);
                let person = person.clone();
                registering.spawn(async move { (person, phone.register(wanted).await) });
            }
        }
        while let Some(done) = registering.join_next().await {
            if let Ok((person, false)) = done {
                return Err(DemoError::Stuck(format!("{person}'s phone is not registered")));
            }
        }
        self.settled(scene).await
    }

    async fn settled(&self, scene: &Scene) -> Result<(), DemoError> {
        let until = Instant::now() + SETTLE_MAX;
        let mut look = interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let agents = self.agents().await.map_err(|e| DemoError::Stuck(e.to_string()))?;
            let wrong = agents.iter().find_map(|agent| self.wrong(scene, agent));
            match wrong {
                None => return Ok(()),
                Some(wrong) if Instant::now() > until => return Err(DemoError::Stuck(wrong)),
                Some(_) => {}
            }
        }
    }

    fn wrong(&self, scene: &Scene, agent: &Value) -> Option<String> {
        let person = agent["person"].as_str()?;
        let desk = self.desks.get(person)?;
        let phones = wanted(scene, person);
        let state = if phones > 0 && !desk.absent { "ready" } else { "not_ready" };
        // At night the hours decide, not the phones.
        let stands = self.closed || agent["state"] == state;
        let right = agent["phones"] == phones && stands;
        (!right).then(|| format!("{person} should be {state} with {phones} phones: {agent}"))
    }

    async fn agents(&self) -> std::io::Result<Vec<Value>> {
        match ask(&self.server.folder().socket(), Command::Agents).await? {
            Answer::Ok(Value::Array(agents)) => Ok(agents),
            other => Err(std::io::Error::other(format!("{other:?}"))),
        }
    }

    /// The person dials, and answers from then on.
    pub async fn dial(&self, person: &str, code: &str) -> u16 {
        let Some(desk) = self.desks.get(person) else { return 404 };
        desk.phone.manner(Mood::Answers.manner(self.speed));
        desk.phone.dial(code).await
    }
}

fn wanted(scene: &Scene, person: &str) -> usize {
    match () {
        () if scene.gone.contains(&person) => 0,
        () if scene.two_phones.contains(&person) => 2,
        () => 1,
    }
}

async fn switch_on(
    roster: &Roster,
    server: SocketAddr,
) -> std::io::Result<(BTreeMap<String, Desk>, mpsc::UnboundedReceiver<(String, Note)>)> {
    let (notes, heard) = mpsc::unbounded_channel();
    let mut desks = BTreeMap::new();
    let with_phone = roster.people.iter().filter(|p| p.left_on.is_empty());
    for person in with_phone.filter(|p| !p.sip_user.is_empty()) {
        let owner = Owner {
            person: person.id.clone(),
            user: person.sip_user.clone(),
            password: person.password.clone(),
            domain: DOMAIN.to_owned(),
        };
        let phone = Phone::open(owner.clone(), server, notes.clone()).await?;
        let second = Phone::open(owner, server, notes.clone()).await?;
        let absent = roster.absence(&person.id).is_some();
        desks.insert(person.id.clone(), Desk { phone, second, absent });
    }
    Ok((desks, heard))
}

async fn collect(mut heard: mpsc::UnboundedReceiver<(String, Note)>, notes: Notes, talks: bool) {
    while let Some(note) = heard.recv().await {
        if let (true, (person, Note::Told { text })) = (talks, &note) {
            story::say(&format!("{:20}{person}'s phone shows: {text}", ""));
        }
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

/// A port that is free for UDP and TCP.
fn free_port() -> std::io::Result<SocketAddr> {
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = udp.local_addr()?;
        tries += 1;
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(_) if tries < PORTS_TRIED_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

async fn ask(socket: &Path, command: Command) -> std::io::Result<Answer> {
    let stream = UnixStream::connect(socket).await?;
    let (reading, mut writing) = stream.into_split();
    let mut line = serde_json::to_vec(&Ask::Switch { command })?;
    line.push(b'\n');
    writing.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(reading).read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}
