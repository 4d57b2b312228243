//! The order of a start, and what to say when it cannot be.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::SignedDuration;
use tokio::runtime::Runtime;

use super::folder::{Keys, StateFolder, random};
use super::hub::{Current, Hub, Parts};
use super::make::Maker;
use super::notify::Notifier;
use super::project::Projecting;
use super::recording::{self, Recordings};
use super::texts::{self, Compiled};
use super::told::{error_of, warn_of};
use super::{Server, control, names, reload, status};
use crate::acd::{Board, BoardLimits, CREDIT_MAX, SHARDS_MAX, Wake};
use crate::config::ShellSettings;
use crate::domain::{Directory, DirectoryRows, Orders, Settings, ShardId};
use crate::meters::{MeterLimits, Meters};
use crate::net::{BindError, Dispatch, Net};
use crate::policy::Problem;
use crate::registrar::Location;
use crate::store::journal::{Journal, JournalError, Source, restore, server_started};
use crate::store::register::Projector;
use crate::store::{ClientsDb, FOLLOW_EVERY, Follower, Following};
use crate::switch::{Event, RingLimits, Shared, shard_of};
use crate::telemetry::{self, Metrics};
use crate::worker::{Clock, Inbox, Outlet, Worker};

/// Workers must have read their share of the journal by then.
const BEGIN_MAX: Duration = Duration::from_secs(60);

/// Where a server finds what it needs.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The folder of `telefonist.toml`, `policy.toml` and `calendars.toml`.
    pub config_dir: PathBuf,
    /// The folder of databases and journal; wins over the file's.
    pub state_dir: Option<PathBuf>,
    /// How far the server's wall clock is ahead of the system's: zero, but for a rehearsal of another day.
    pub wall_ahead: SignedDuration,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong.
    Problems(Vec<Problem>),
    /// An address cannot be listened on.
    Bind(BindError),
    /// The state folder, or something in it, cannot be used.
    State(PathBuf, String),
    /// Another server runs there, or the disk cannot be read.
    Journal(JournalError),
    /// Anything else that the system refused.
    System(&'static str, std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => {
                problems.iter().try_for_each(|problem| writeln!(f, "{problem}"))
            }
            Self::Bind(error) => error.fmt(f),
            Self::State(path, why) => write!(f, "{}: {why} (`--state DIR`)", path.display()),
            Self::Journal(error) => error.fmt(f),
            Self::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Starts with the configuration in `options`; returns when calls are taken. Errors: the first
    /// thing that makes it impossible; nothing is left running.
    pub fn start(options: StartOptions) -> Result<Arc<Server>, StartError> {
        let compiled = texts::compile(&options.config_dir).map_err(StartError::Problems)?;
        Self::start_compiled(options, compiled)
    }

    /// The same with what was compiled already.
    pub fn start_compiled(
        options: StartOptions,
        compiled: Compiled,
    ) -> Result<Arc<Server>, StartError> {
        let shell = compiled.config.shell.clone();
        let root = options.state_dir.clone().or_else(|| shell.state.clone());
        let folder = StateFolder::at(&root.unwrap_or_else(StateFolder::usual));
        let wrong = |e: std::io::Error| StartError::State(folder.root().to_owned(), e.to_string());
        folder.create().map_err(wrong)?;
        let keys = folder.keys().map_err(wrong)?;
        let runtimes = Runtimes::new()?;
        let clock = Clock::start_ahead(options.wall_ahead);
        let build = Building { options, compiled, folder, keys, clock };
        build.start(runtimes)
    }
}

/// Two of one thread each: a second thread beside the sockets' would be woken for every message, to
/// find nothing left to do; and whoever knocks at a door must not hold up a call.
pub(super) struct Runtimes {
    /// Receives and sends.
    net: Runtime,
    /// Control socket, probes, signals.
    pub(super) doors: Runtime,
}

impl Runtimes {
    fn new() -> Result<Self, StartError> {
        let one = |name| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let builder = builder.worker_threads(1).thread_name(name).enable_all();
            builder.build().map_err(|e| StartError::System("threads", e))
        };
        Ok(Self { net: one("net")?, doors: one("doors")? })
    }

    /// Ends all tasks without waiting for them.
    pub(super) fn shutdown(self) {
        self.net.shutdown_background();
        self.doors.shutdown_background();
    }
}

struct Building {
    options: StartOptions,
    compiled: Compiled,
    folder: StateFolder,
    keys: Keys,
    clock: Clock,
}

/// The follower's callback needs the hub, which needs the follower's index.
type Late<T> = Arc<OnceLock<T>>;

impl Building {
    fn start(self, runtimes: Runtimes) -> Result<Arc<Server>, StartError> {
        let metrics = Arc::new(Metrics::new());
        let (inboxes, outlets) = self.inboxes();
        let net = self.net(&runtimes.net, &inboxes, &metrics)?;
        let doors = self.doors(&runtimes.doors)?;
        let settings = reload::with_listeners(&self.compiled.config.settings, net.listeners());

        let late: Late<Arc<Server>> = Arc::default();
        let first_rows: Arc<Mutex<Option<DirectoryRows>>> = Arc::default();
        let (mut follower, index) = self.follower(&settings, &late, &first_rows);
        follower.follow_once(self.clock.wall());
        let rows = super::lock(&first_rows).take();
        let journal = Journal::open(&self.folder.journal(), self.clock.wall());
        let journal = journal.map_err(StartError::Journal)?;
        let restored = restore(journal.dir())
            .map_err(|e| StartError::State(journal.dir().to_owned(), e.to_string()))?;
        for cut in journal.cuts() {
            tracing::warn!(?cut, "the journal's torn tail was cut");
        }
        let directory = self.directory(rows.clone().unwrap_or_default(), &restored.state.orders());
        let kept: Vec<Event> = restored.state.ordered.iter().cloned().collect();
        let shell_writer = journal.writer(Source::Shell, self.clock.wall(), &kept);
        let current = Arc::new(Current {
            settings: ArcSwap::from_pointee(settings),
            directory: ArcSwap::from_pointee(directory),
            policy: ArcSwap::new(self.compiled.policy.clone()),
        });
        let parts = Parts {
            current: current.clone(),
            shell: self.compiled.config.shell.clone(),
            inboxes: inboxes.clone(),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            hash_key: self.keys.hash,
            index,
            journal: shell_writer,
            rows,
        };
        let hub = Arc::new(Hub::new(parts, self.notifier(&metrics, &current)?));
        // Set once, here.
        let _ = hub.net.set(net);
        let recordings = self.recordings(&inboxes)?;
        // Set once, here.
        let _ = hub.recordings.set(recordings);
        let maker = Maker {
            shards: inboxes.len() as u16,
            keys: self.keys.clone(),
            shared: self.shared(&inboxes)?,
            current,
            clock: self.clock.clone(),
            journal: Arc::new(Mutex::new(journal)),
            restored: restored.state,
            recorder: ring_limits(&self.compiled.config.shell),
        };
        let clock = self.clock.clone();
        let workers = self.workers(maker, &hub, inboxes, outlets)?;
        let server = self.finish(runtimes, hub, workers, doors)?;
        // Set once, here.
        let _ = late.set(server.clone());
        let following = Following::begin(follower, FOLLOW_EVERY, move || clock.wall())
            .map_err(|e| StartError::System("threads", e))?;
        *super::lock(&server.following) = Some(following);
        Ok(server)
    }

    fn recordings(&self, inboxes: &[Arc<Inbox>]) -> Result<Recordings, StartError> {
        let parts = recording::Parts {
            inboxes: inboxes.to_vec(),
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            folder: self.folder.recordings(),
            files_max: self.compiled.config.shell.recorder.files_max,
        };
        Recordings::begin(parts).map_err(|e| StartError::System("threads", e))
    }

    fn inboxes(&self) -> (Vec<Arc<Inbox>>, Vec<Outlet>) {
        let shell = &self.compiled.config.shell;
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let workers = shell.workers.unwrap_or_else(cores).clamp(1, usize::from(SHARDS_MAX));
        let pairs = (0..workers).map(|_| Inbox::new(shell.net.inbox_len_max));
        pairs.map(|(inbox, outlet)| (Arc::new(inbox), outlet)).unzip()
    }

    fn net(
        &self,
        runtime: &Runtime,
        inboxes: &[Arc<Inbox>],
        metrics: &Arc<Metrics>,
    ) -> Result<Net, StartError> {
        let (shards, key) = (inboxes.len() as u16, self.keys.hash);
        let dispatch = Dispatch {
            inboxes: inboxes.to_vec(),
            route: Box::new(move |message| shard_of(message, shards, &key)),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            key,
        };
        let config = &self.compiled.config;
        let net = Net::new(dispatch, config.shell.net, runtime.handle().clone());
        net.open(&config.settings.listeners, &config.optional_listeners)
            .map_err(StartError::Bind)?;
        Ok(net)
    }

    fn follower(
        &self,
        settings: &Settings,
        late: &Late<Arc<Server>>,
        first_rows: &Arc<Mutex<Option<DirectoryRows>>>,
    ) -> (Follower, Arc<crate::store::ClientIndex>) {
        let file = self.folder.clients_db();
        // Made if it is not there. What is wrong with it is told by the follower, which tries again.
        if let Err(error) = ClientsDb::open(&file) {
            tracing::warn!(%error, "clients and people cannot be opened yet");
        }
        let (late, first_rows) = (late.clone(), first_rows.clone());
        let on_directory = Box::new(move |rows: DirectoryRows| match late.get() {
            Some(server) => server.hub.people_changed(rows, &server.compiled.load()),
            None => *super::lock(&first_rows) = Some(rows),
        });
        let stale_max = self.compiled.config.shell.index_stale_max;
        Follower::new(&file, reload::follow_options(settings), stale_max, on_directory)
    }

    fn directory(&self, rows: DirectoryRows, orders: &Orders) -> Directory {
        let ordered = texts::ordered_directory(None, rows.clone(), orders.clone(), &self.compiled);
        let built = ordered.or_else(|problems| {
            if !orders.is_empty() {
                error_of(&problems, "what supervisors ordered does not count");
            }
            texts::directory(None, rows, &self.compiled)
        });
        let directory = built.unwrap_or_else(|problems| {
            error_of(&problems, "nobody can be called until this is mended");
            Directory::default()
        });
        let errors = self.compiled.policy.check(&directory).into_iter();
        let errors: Vec<Problem> = errors.filter(Problem::is_error).collect();
        warn_of(&errors, "the policy does not fit the people");
        directory
    }

    fn notifier(
        &self,
        metrics: &Arc<Metrics>,
        current: &Arc<Current>,
    ) -> Result<Notifier, StartError> {
        let current = current.clone();
        let email_of = Box::new(move |person: &crate::domain::PersonId| {
            let directory = current.directory.load();
            directory.agent(person).and_then(|a| directory.person(a)?.email.clone())
        });
        Notifier::begin(metrics.clone(), email_of).map_err(|e| StartError::System("threads", e))
    }

    fn shared(&self, inboxes: &[Arc<Inbox>]) -> Result<Shared, StartError> {
        let config = &self.compiled.config;
        let limits = BoardLimits {
            agents: config.directory_limits.agents_max,
            groups: config.directory_limits.groups_max,
            shards: inboxes.len() as u16,
            queue_len_max: config.settings.limits.queue_len_max,
            credit_max: CREDIT_MAX,
        };
        let wakers = inboxes.iter().map(|inbox| inbox.clone() as Arc<dyn Wake>).collect();
        let key = random().map_err(|e| StartError::System("randomness", e))?;
        Ok(Shared {
            board: Arc::new(Board::new(limits, wakers)),
            location: Arc::new(Location::new()),
            meters: Arc::new(Meters::new(MeterLimits::default(), key)),
        })
    }

    fn workers(
        &self,
        maker: Maker,
        hub: &Arc<Hub>,
        inboxes: Vec<Arc<Inbox>>,
        outlets: Vec<Outlet>,
    ) -> Result<Vec<Worker>, StartError> {
        let maker = Arc::new(maker);
        let (begun, heard) = channel();
        let mut workers = Vec::new();
        for (n, (inbox, outlet)) in inboxes.into_iter().zip(outlets).enumerate() {
            let shard = ShardId(n as u8);
            let build = maker.build(shard, begun.clone());
            let ends = (inbox, outlet);
            let worker = Worker::begin(shard, self.clock.clone(), ends, hub.clone(), build);
            workers.push(worker.map_err(|e| StartError::System("threads", e))?);
        }
        wait_for(&heard, workers.len())?;
        Ok(workers)
    }

    /// Where the command line and the probes knock.
    fn doors(&self, runtime: &Runtime) -> Result<Doors, StartError> {
        let _context = runtime.enter();
        let shell = &self.compiled.config.shell;
        let control = control::bind(&self.folder.socket(), shell)
            .map_err(|e| StartError::State(self.folder.socket(), e.to_string()))?;
        let http = status::bind(shell.http).map_err(|e| StartError::System("`admin.http`", e))?;
        Ok(Doors { control, http })
    }

    fn finish(
        self,
        runtimes: Runtimes,
        hub: Arc<Hub>,
        workers: Vec<Worker>,
        doors: Doors,
    ) -> Result<Arc<Server>, StartError> {
        hub.record(server_started(self.clock.wall()).what);
        hub.record(reload::accepted(&self.compiled.policy, "start"));
        hub.prove();
        let projector = Projector::new(&self.folder.register_db(), &self.folder.journal());
        let (counting, register) = (hub.clone(), self.folder.register_db());
        let projecting = Projecting::begin(projector, move || counting.count_today(&register))
            .map_err(|e| StartError::System("threads", e))?;
        // Set once, here.
        let _ = hub.projecting.set(projecting);
        let handle = runtimes.doors.handle().clone();
        let server = Arc::new(Server {
            hub: hub.clone(),
            config_dir: self.options.config_dir,
            folder: self.folder,
            started_with: self.compiled.config.clone(),
            compiled: ArcSwap::from_pointee(self.compiled),
            workers: Mutex::new(workers),
            following: Mutex::default(),
            reloading: Mutex::default(),
            names_wanted: tokio::sync::Notify::new(),
            refused: Mutex::default(),
            runtimes: Mutex::new(Some(runtimes)),
        });
        handle.spawn(control::serve(doors.control, server.clone()));
        handle.spawn(names::follow(server.clone()));
        if let Some(http) = doors.http {
            handle.spawn(telemetry::serve(http, hub.metrics.clone(), hub));
        }
        Ok(server)
    }
}

fn ring_limits(shell: &ShellSettings) -> RingLimits {
    let recorder = shell.recorder;
    RingLimits { bytes_max: recorder.bytes_max as usize, age_max: recorder.age_max }
}

/// Bound, and not answered at yet.
struct Doors {
    control: tokio::net::UnixListener,
    http: Option<tokio::net::TcpListener>,
}

/// Every worker has begun its journal, so the run is complete.
fn wait_for(begun: &Receiver<ShardId>, workers: usize) -> Result<(), StartError> {
    for _ in 0..workers {
        begun.recv_timeout(BEGIN_MAX).map_err(|_| {
            StartError::System("workers", std::io::Error::other("one of them does not begin"))
        })?;
    }
    Ok(())
}

impl Wake for Inbox {
    fn wake(&self) {
        Inbox::wake(self);
    }
}
