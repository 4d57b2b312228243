//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A SIP proxy and call distributor that routes every call by the company's written policy.
#[derive(Debug, Parser)]
#[command(name = "telefonist", version, about, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Folder of telefonist.toml, policy.toml and calendars.toml
    /// [default: ./config if it holds one, else /etc/telefonist]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) config: Option<PathBuf>,
    /// Folder of databases, journal and control socket
    /// [default: `server.state`, else the user's state folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Answer as one JSON document
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server until SIGTERM or SIGINT
    Serve,
    /// Start the server with a sample company, play calls from simulated phones, and serve on
    Demo(DemoArgs),
    /// Compile the configuration and list every problem with file, line, column and a hint
    Check {
        /// The configuration's folder [default: as --config]
        folder: Option<PathBuf>,
        /// Print which clause of the paper is carried out where, and which tests prove it
        #[arg(long)]
        clauses: bool,
    },
    /// Say who would ring for a call, in which order, and why
    Explain(ExplainArgs),
    /// Say which past calls would have gone elsewhere under another policy, and estimate the waits
    Replay(ReplayArgs),
    /// Let the running server read its configuration again
    Reload,
    /// Read clients, people, departments or absences from CSV or XLSX
    Import(ImportArgs),
    /// How the running server is
    Status,
    /// Everybody with state, reason and time
    Agents {
        /// Show it again each second
        #[arg(long)]
        watch: bool,
    },
    /// All queues with callers and people
    Queues {
        /// Show it again each second
        #[arg(long)]
        watch: bool,
    },
    /// The call register, newest last
    Calls(CallsArgs),
    /// One call's whole story
    Show {
        /// Its 16 digits, or the end of them
        call: String,
    },
    /// Promised callbacks
    Callbacks {
        #[command(subcommand)]
        action: Option<CallbackAction>,
    },
    /// The journal's events, one JSON object a line
    Events(EventsArgs),
    /// A person begins to work
    Login {
        /// Whose
        person: String,
    },
    /// A person stops working
    Logout {
        /// Whose
        person: String,
    },
    /// A person is not ready
    Pause {
        /// Whose
        person: String,
        /// Why: break, cash desk …
        #[arg(long, default_value = "break")]
        reason: String,
    },
    /// A person is ready again, also after a missed call
    Resume {
        /// Whose
        person: String,
    },
    /// Free a person whose state nothing explains
    Release {
        /// Whose
        person: String,
    },
    /// Move a person to another group by a supervisor's order (clause B8)
    Agent {
        #[command(subcommand)]
        action: AgentAction,
    },
    /// Close or open a group's queue by a supervisor's order (clause B8)
    Queue {
        #[command(subcommand)]
        action: QueueAction,
    },
    /// Move a waiting call by a supervisor's order (clause B8)
    Call {
        #[command(subcommand)]
        action: CallAction,
    },
    /// Emergency plans of the policy (clause B8)
    Plan {
        #[command(subcommand)]
        action: Option<PlanAction>,
    },
    /// End a call
    Hangup {
        /// Its 16 digits
        call: String,
    },
    /// Business trips, leave, sickness, with deputies
    Absence {
        #[command(subcommand)]
        action: AbsenceAction,
    },
    /// Client cards
    Client {
        #[command(subcommand)]
        action: ClientAction,
    },
    /// People and their phones' passwords
    People {
        #[command(subcommand)]
        action: PeopleAction,
    },
    /// What the workers of the running server were fed last, for whoever looks for a fault
    Recorder {
        #[command(subcommand)]
        action: RecorderAction,
    },
    /// Copy configuration, clients, register and keys into one tar file; the server may run
    Backup {
        /// The file, which must not be there yet
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The calling number as the trunk writes it; empty for withheld
    #[arg(long, value_name = "NUMBER")]
    pub(super) from: String,
    /// The called number
    #[arg(long, value_name = "NUMBER")]
    pub(super) to: Option<String>,
    /// At another time: 2026-03-02T09:00 in the local zone, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// Over which trunk [default: the first one]
    #[arg(long)]
    pub(super) trunk: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ImportWhat {
    Clients,
    People,
    Departments,
    Absences,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// What the file holds
    #[arg(value_enum)]
    pub(super) what: ImportWhat,
    /// CSV (UTF-8 or cp1251, `;` `,` or tab) or XLSX
    pub(super) file: PathBuf,
    /// List every bad row and what would be done; change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Import the good rows although there are bad ones
    #[arg(long)]
    pub(super) skip_bad: bool,
    /// Leave out columns that are not known, instead of refusing the file
    #[arg(long)]
    pub(super) skip_unknown_columns: bool,
}

#[derive(Debug, Args)]
pub(super) struct CallsArgs {
    /// Arrived since: 2h, 3d, 2026-03-02, 2026-03-02T09:00
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Arrived before, written the same way
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Calling or called number, or the end of one
    #[arg(long)]
    pub(super) number: Option<String>,
    /// Client's row number, or a part of the name
    #[arg(long)]
    pub(super) client: Option<String>,
    /// How it ended: answered, abandoned, callback_promised, out_of_hours, overload, refused, failed,
    /// cut_by_restart
    #[arg(long)]
    pub(super) outcome: Option<String>,
    /// The newest so many [default: 100 of the plain list; all with a filter or --json]
    #[arg(long)]
    pub(super) limit: Option<u32>,
    /// The calls that are up now, asked of the server
    #[arg(long, conflicts_with_all = ["since", "until", "number", "client", "outcome"])]
    pub(super) live: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The policy to try
    #[arg(long, value_name = "FILE")]
    pub(super) policy: PathBuf,
    /// Its calendars [default: those of the configuration]
    #[arg(long, value_name = "FILE")]
    pub(super) calendars: Option<PathBuf>,
    /// Calls that arrived since: 2h, 3d, 2026-03-02, 2026-03-02T09:00 [default: all]
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Calls that arrived before, written the same way
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Go on with what is written from now on
    #[arg(long)]
    pub(super) follow: bool,
    /// Begin at a time: 2h, 2026-03-02T09:00 [default: the oldest; with --follow: now]
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum AgentAction {
    /// To another group, until a supervisor takes it back; a call that rings or is talked on goes on
    Move {
        /// Who
        person: String,
        /// The group: `operator`, or "vip_manager of client_service"
        #[arg(long, value_name = "GROUP")]
        to: String,
        /// Only this group is left [default: all that the person serves]
        #[arg(long, value_name = "GROUP")]
        from: Option<String>,
        #[command(flatten)]
        by: Supervisor,
    },
    /// To the groups of the person's own roles
    Back {
        /// Who
        person: String,
        #[command(flatten)]
        by: Supervisor,
    },
    /// Close the person's position: they are offered nothing until a supervisor opens it; a call that
    /// rings or is talked on goes on
    Close {
        /// Whose
        person: String,
        #[command(flatten)]
        by: Supervisor,
    },
    /// Open a closed position; a break of the person's own goes on
    Open {
        /// Whose
        person: String,
        #[command(flatten)]
        by: Supervisor,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum QueueAction {
    /// It takes nobody; who waits there goes on to the next step
    Close {
        /// The group, as `queues` lists it
        group: String,
        #[command(flatten)]
        by: Supervisor,
    },
    /// It takes callers again
    Open {
        /// The group, as `queues` lists it
        group: String,
        #[command(flatten)]
        by: Supervisor,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum CallAction {
    /// To another queue; the call keeps its place
    Move {
        /// Its 16 digits
        call: String,
        /// A person or a group
        #[arg(long, value_name = "GROUP|PERSON")]
        to: String,
        #[command(flatten)]
        by: Supervisor,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PlanAction {
    /// All plans, and what is in force (this is also what `plan` alone says)
    List,
    /// Put a plan into effect, all of its moves or none
    Apply {
        /// Its name
        name: String,
        #[command(flatten)]
        by: Supervisor,
    },
    /// Take back the plan in force
    Revert {
        #[command(flatten)]
        by: Supervisor,
    },
}

#[derive(Debug, Args)]
pub(super) struct Supervisor {
    /// Which supervisor orders it: the head of the department, who stands in, or a shift leader
    #[arg(long, value_name = "PERSON")]
    pub(super) by: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum CallbackAction {
    /// What is open (this is also what `callbacks` alone says)
    List {
        /// Those that are done, too
        #[arg(long)]
        all: bool,
    },
    /// It was kept, or needs no call any more
    Done {
        /// Its number, or its call's
        callback: String,
        /// What came of it
        #[arg(long, short)]
        note: String,
    },
    /// It was tried in vain
    Retry {
        /// Its number, or its call's
        callback: String,
        /// What happened
        #[arg(long, short, default_value = "")]
        note: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AbsenceAction {
    /// Enter one
    Add {
        /// Who is away
        person: String,
        /// First day
        #[arg(long, value_name = "DAY")]
        from: String,
        /// Last day, included
        #[arg(long, value_name = "DAY")]
        to: String,
        /// business_trip, leave, sickness or other
        #[arg(long, default_value = "leave")]
        kind: String,
        /// Who has the calls, the rights and the responsibility meanwhile
        #[arg(long, value_name = "PERSON")]
        deputy: Option<String>,
    },
    /// The person is back
    End {
        /// The absence's number, or the person
        which: String,
        /// Last day away [default: yesterday]
        #[arg(long, value_name = "DAY")]
        on: Option<String>,
    },
    /// Those that are not over
    List {
        /// Those that are over, too
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ClientAction {
    /// Look for clients by row, code, number or part of the name
    Find {
        /// Row, code, number or part of the name
        text: String,
    },
    /// Assign a client to a manager
    Assign {
        /// Row, code, number or name
        client: String,
        /// The manager; `nobody` takes the client away
        person: String,
    },
    /// Clause A3: operators serve this client
    ServedByOperators {
        /// Row, code, number or name
        client: String,
        /// No longer
        #[arg(long)]
        no: bool,
    },
    /// Put a number on a client's card
    Attach {
        /// Row, code, number or name
        client: String,
        /// The number
        number: String,
    },
    /// Take a number off a client's card
    Detach {
        /// Row, code, number or name
        client: String,
        /// The number
        number: String,
    },
    /// Open a card
    Add {
        /// As people know the client
        name: String,
        /// key, marketer, own_outlet, retail, regional, …
        #[arg(long = "type", value_name = "TYPE", default_value = "retail")]
        client_type: String,
        /// A number; may come several times
        #[arg(long = "number", value_name = "NUMBER")]
        numbers: Vec<String>,
        /// What other programs call the client
        #[arg(long)]
        code: Option<String>,
        /// The manager
        #[arg(long, value_name = "PERSON")]
        manager: Option<String>,
        /// The department responsible
        #[arg(long)]
        department: Option<String>,
        /// Where the client is
        #[arg(long)]
        region: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PeopleAction {
    /// Everybody with roles, department and SIP user
    List,
    /// Set a phone's password, read from standard input; only its hashes are kept
    Passwd {
        /// Whose phone
        #[arg(required_unless_present = "trunk")]
        person: Option<String>,
        /// Print a trunk's hashes for telefonist.toml instead: its user name
        #[arg(long, value_name = "USER", conflicts_with = "person")]
        trunk: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum RecorderAction {
    /// Write it into a file, people's names, numbers and passwords replaced; the simulator replays it
    Save {
        /// The file, which must not be there yet
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// End after the calls; exit code 1 if one went elsewhere than the policy says
    #[arg(long)]
    pub(super) once: bool,
    /// Order of the scenes, and who calls
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Where its data go [default: a temporary folder, taken away in the end]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The policy's times are divided by this
    #[arg(long, value_name = "N", default_value_t = crate::demo::SPEED,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::demo::SPEED_MAX)))]
    pub(super) speed: u32,
    /// Play this policy.toml instead of the shipped one (what is expected stays as it is)
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
}
