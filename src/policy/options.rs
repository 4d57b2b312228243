//! `[settings]`: what the paper leaves to the company, each with its clause.
//!
//! Complete once read: what the file does not say has the default written here. Knows no rules.

use std::collections::BTreeMap;
use std::time::Duration;

use super::display::Template;
use super::fields::{At, Fields, Reader, Value};
use super::target::{Which, Who};
use crate::domain::{Client, ClientType, DepartmentId, Role, Vip};

/// The longest head start that the board takes.
const HEAD_START_MAX: Duration = Duration::from_secs(3_600);

/// Bounds of `ring`: one offer.
const RING_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(180));

/// The longest `wait` of a step.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Who takes a VIP client who owes money (clause B9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VipDebtor {
    /// The personal manager, as for every other purpose.
    PersonalManager,
    /// The debt goes first: clause B3.
    Finance,
}

/// Who takes a debtor first (clause B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebtorFirst {
    /// The finance department.
    Finance,
    /// The client's manager.
    Manager,
}

/// `[settings]`, checked.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// Clause B1: relevant when neither called number nor region says which.
    pub default_department: DepartmentId,
    /// Clause A4: days after the due date that are no debt yet.
    pub grace_days: u32,
    /// Clause B3: a balance older than this is old.
    pub debt_data_max_age: Duration,
    /// Clause B3: an old balance makes a debtor all the same.
    pub use_old_debt: bool,
    /// Clause B9.
    pub vip_debtor: VipDebtor,
    /// Clause B3.
    pub debtor_first: DebtorFirst,
    /// Clause A2: every client type that rules may name.
    pub client_types: Vec<ClientType>,
    pub(super) default_department_at: std::ops::Range<usize>,
    pub(super) callback_owner: Option<At<Who>>,
    pub(super) ring: Duration,
    pub(super) wait: Duration,
    pub(super) display: Template,
    head_start_type: BTreeMap<ClientType, Duration>,
    head_start_vip: BTreeMap<Vip, Duration>,
    /// By so much people prefer calls for themselves.
    own_calls: Duration,
    /// By so much they prefer the calls of these of their groups.
    pub(super) head_start_role: BTreeMap<Role, At<Duration>>,
}

impl PolicySettings {
    /// A client's head start in every queue: the larger of the type's and the VIP level's.
    pub fn head_start(&self, client: Option<&Client>) -> Duration {
        let by_type = client.and_then(|c| self.head_start_type.get(&c.client_type));
        let by_vip = client.and_then(|c| self.head_start_vip.get(&c.vip));
        by_type.max(by_vip).copied().unwrap_or_default()
    }

    /// By so much a person prefers calls of a group of this role to calls without a head start; those
    /// for themselves if `None`.
    pub fn agent_head_start(&self, role: Option<&Role>) -> Duration {
        match role {
            Some(role) => self.head_start_role.get(role).map(|start| **start).unwrap_or_default(),
            None => self.own_calls,
        }
    }

    /// The largest head start that this policy gives: no call is overtaken by one that came so much
    /// later.
    pub fn head_start_max(&self) -> Duration {
        let clients = self.head_start_type.values().chain(self.head_start_vip.values());
        let roles = self.head_start_role.values().map(|start| &start.value);
        let agents = roles.chain([&self.own_calls]);
        let max = |all: &mut dyn Iterator<Item = &Duration>| all.max().copied().unwrap_or_default();
        max(&mut { clients }) + max(&mut { agents })
    }

    /// Reads the table; what is wrong is noted and replaced by its default.
    pub(super) fn read(value: Option<Value<'_>>, reader: &mut Reader<'_>) -> Self {
        let mut settings = Self::default();
        match value.and_then(|value| reader.table(value, "[settings]")) {
            Some(fields) => settings.fill(fields, reader),
            None if value.is_none() => {
                let hint = "it needs at least default_department and callback_owner".to_owned();
                reader.error(0..0, "[settings] is missing", Some(hint));
            }
            None => {}
        }
        settings
    }

    fn fill(&mut self, mut fields: Fields<'_>, reader: &mut Reader<'_>) {
        let department = fields.required("default_department", reader);
        if let Some(department) = department.and_then(|v| reader.text(v)) {
            self.default_department = DepartmentId::new(&department);
            self.default_department_at = department.span;
        }
        let owner = fields.required("callback_owner", reader).and_then(|v| reader.text(v));
        self.callback_owner = owner.and_then(|text| callback_owner(text, reader));
        if let Some(types) = fields.optional("client_types").and_then(|v| reader.texts(v)) {
            for (n, name) in types.iter().enumerate() {
                if name.trim().is_empty() {
                    reader.error(name.span.clone(), "a client type needs a name", None);
                } else if types[..n].iter().any(|other| other.value == name.value) {
                    let message = format!("`{}` is in this list already", name.value);
                    reader.error(name.span.clone(), message, None);
                }
            }
            self.client_types = types.iter().map(|t| ClientType::new(t)).collect();
        }
        let ring = fields.optional("ring").and_then(|v| ring(v, reader));
        self.ring = ring.unwrap_or(self.ring);
        let wait = fields.optional("wait").and_then(|v| wait(v, reader));
        self.wait = wait.unwrap_or(self.wait);
        self.fill_debt(&mut fields, reader);
        if let Some(text) = fields.optional("display").and_then(|v| reader.text(v)) {
            self.display = Template::read(&text, reader).unwrap_or_else(|| self.display.clone());
        }
        if let Some(value) = fields.optional("head_start") {
            self.fill_head_starts(value, reader);
        }
        fields.finish(reader);
    }

    fn fill_debt(&mut self, fields: &mut Fields<'_>, reader: &mut Reader<'_>) {
        if let Some(days) = fields.optional("grace_days").and_then(|v| reader.integer(v, 0..=3_650))
        {
            self.grace_days = u32::try_from(*days).unwrap_or(0);
        }
        let bounds = Duration::from_secs(60)..=Duration::from_secs(3_650 * 86_400);
        let age = fields.optional("debt_data_max_age").and_then(|v| reader.duration(v, bounds));
        self.debt_data_max_age = age.map_or(self.debt_data_max_age, |age| *age);
        let old = fields.optional("use_old_debt").and_then(|v| reader.boolean(v));
        self.use_old_debt = old.map_or(self.use_old_debt, |old| *old);
        let vip = fields.optional("vip_debtor").and_then(|v| reader.choice(v, &VIP_DEBTOR));
        self.vip_debtor = vip.map_or(self.vip_debtor, |vip| *vip);
        let debtor = fields.optional("debtor").and_then(|v| reader.table(v, "debtor"));
        let Some(mut debtor) = debtor else { return };
        let first = debtor.optional("first").and_then(|v| reader.choice(v, &DEBTOR_FIRST));
        self.debtor_first = first.map_or(self.debtor_first, |first| *first);
        let on_order = debtor
            .optional("when")
            .and_then(|v| reader.choice(v, &[("on_arrival", false), ("on_order", true)]));
        if let Some(At { value: true, span }) = on_order {
            let hint = "\"on_arrival\", until orders are recorded here".to_owned();
            reader.error(span, "`on_order` needs the order form, which is not there", Some(hint));
        }
        debtor.finish(reader);
    }

    fn fill_head_starts(&mut self, value: Value<'_>, reader: &mut Reader<'_>) {
        let Some(mut fields) = reader.table(value, "head_start") else { return };
        let bounds = Duration::ZERO..=HEAD_START_MAX;
        if let Some(table) =
            fields.optional("client_type").and_then(|v| reader.table(v, "client_type"))
        {
            for (name, value) in table.entries() {
                let client_type = known_type(&self.client_types, &name, reader);
                let start = reader.duration(value, bounds.clone());
                if let (Some(client_type), Some(start)) = (client_type, start) {
                    self.head_start_type.insert(client_type, *start);
                }
            }
        }
        if let Some(mut table) = fields.optional("vip").and_then(|v| reader.table(v, "vip")) {
            for level in [Vip::Local, Vip::Branch] {
                let start = table.optional(level.as_str());
                if let Some(start) = start.and_then(|v| reader.duration(v, bounds.clone())) {
                    self.head_start_vip.insert(level, *start);
                }
            }
            table.finish(reader);
        }
        let own = fields.optional("own_calls").and_then(|v| reader.duration(v, bounds.clone()));
        self.own_calls = own.map_or(self.own_calls, |own| *own);
        if let Some(table) = fields.optional("role").and_then(|v| reader.table(v, "role")) {
            for (name, value) in table.entries() {
                if let Some(start) = reader.duration(value, bounds.clone()) {
                    let start = At::new(*start, name.span.clone());
                    self.head_start_role.insert(Role::new(name.value), start);
                }
            }
        }
        fields.finish(reader);
        if self.head_start_max() > HEAD_START_MAX {
            let message = "the largest head start of clients and that of people pass 1 h together";
            reader.error(value.span(), message, None);
        }
    }
}

impl Default for PolicySettings {
    fn default() -> Self {
        let types = ["key", "marketer", "own_outlet", "retail", "regional"];
        Self {
            default_department: DepartmentId::new(""),
            default_department_at: 0..0,
            callback_owner: None,
            grace_days: 0,
            debt_data_max_age: Duration::from_secs(86_400),
            use_old_debt: false,
            vip_debtor: VipDebtor::PersonalManager,
            debtor_first: DebtorFirst::Finance,
            client_types: types.map(ClientType::new).to_vec(),
            ring: Duration::from_secs(20),
            wait: Duration::from_secs(30),
            display: Template::parse(Template::DEFAULT).expect("our own default is a template"),
            head_start_type: BTreeMap::new(),
            head_start_vip: BTreeMap::new(),
            own_calls: Duration::ZERO,
            head_start_role: BTreeMap::new(),
        }
    }
}

/// The words of `vip_debtor`.
pub(super) const VIP_DEBTOR: [(&str, VipDebtor); 2] =
    [("personal_manager", VipDebtor::PersonalManager), ("finance", VipDebtor::Finance)];

/// The words of `debtor.first`.
pub(super) const DEBTOR_FIRST: [(&str, DebtorFirst); 2] =
    [("finance", DebtorFirst::Finance), ("manager", DebtorFirst::Manager)];

/// A step's `ring`.
pub(super) fn ring(value: Value<'_>, reader: &mut Reader<'_>) -> Option<Duration> {
    reader.duration(value, RING_BOUNDS.0..=RING_BOUNDS.1).map(|ring| *ring)
}

/// A step's `wait`.
pub(super) fn wait(value: Value<'_>, reader: &mut Reader<'_>) -> Option<Duration> {
    reader.duration(value, Duration::ZERO..=WAIT_MAX).map(|wait| *wait)
}

/// A client type that the settings know.
pub(super) fn known_type<T: AsRef<str>>(
    known: &[ClientType],
    name: &At<T>,
    reader: &mut Reader<'_>,
) -> Option<ClientType> {
    let word = name.value.as_ref();
    let found = known.iter().find(|t| t.as_str() == word).cloned();
    if found.is_none() {
        let guess = super::did_you_mean(word, known.iter().map(ClientType::as_str));
        let hint = guess.or_else(|| Some("add it to client_types in [settings]".to_owned()));
        reader.error(name.span.clone(), format!("no client type is called `{word}`"), hint);
    }
    found
}

/// The owner of last resort must not depend on a client.
fn callback_owner(text: At<String>, reader: &mut Reader<'_>) -> Option<At<Who>> {
    let who = Who::read(&text, reader)?;
    if matches!(&who, Who::Manager | Who::Head(Which::Client | Which::Manager)) {
        let hint = "\"head of …\" or \"person …\"".to_owned();
        reader.error(text.span, format!("not every caller has a `{who}`"), Some(hint));
        return None;
    }
    Some(At::new(who, text.span))
}
