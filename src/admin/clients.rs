//! `telefonist client`.

use serde_json::json;

use super::args::ClientAction;
use super::ask::tell_changed;
use super::context::Context;
use super::output::{Failure, Printed, one_line, table};
use crate::domain::{ClientType, DepartmentId, Number, NumberFormat, PersonId};
use crate::store::{ClientCard, ClientsDb, NewClient};

/// Clients that one search lists.
const FOUND_MAX: usize = 100;

pub(super) fn client(context: &Context, action: ClientAction) -> Result<Printed, Failure> {
    let numbers = context.config()?.settings.numbers.clone();
    let mut db = match action {
        ClientAction::Find { .. } => context.clients_to_read()?,
        _ => context.clients_db()?,
    };
    let mut desk = Desk { context, db: &mut db, numbers: &numbers };
    match action {
        ClientAction::Find { text } => desk.find(&text),
        ClientAction::Assign { client, person } => desk.assign(&client, &person),
        ClientAction::ServedByOperators { client, no } => desk.served_by_operators(&client, !no),
        ClientAction::Attach { client, number } => desk.attach(&client, &number),
        ClientAction::Detach { client, number } => desk.detach(&client, &number),
        ClientAction::Add { name, client_type, numbers, code, manager, department, region } => {
            let parsed: Result<Vec<Number>, Failure> =
                numbers.iter().map(|n| desk.number(n)).collect();
            desk.add(&NewClient {
                code,
                name,
                client_type: ClientType::new(&client_type),
                numbers: parsed?,
                manager: manager.as_deref().map(PersonId::new),
                department: department.as_deref().map(DepartmentId::new),
                region,
            })
        }
    }
}

struct Desk<'a> {
    context: &'a Context,
    db: &'a mut ClientsDb,
    numbers: &'a NumberFormat,
}

impl Desk<'_> {
    fn find(&self, text: &str) -> Result<Printed, Failure> {
        let found = self.db.find_clients(text, self.numbers, FOUND_MAX)?;
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        let head = ["id", "code", "name", "type", "vip", "manager", "balance", "numbers"];
        Ok(Printed { found: found.is_empty(), ..Printed::new(table(&head, &rows), json!(found)) })
    }

    fn assign(&mut self, client: &str, person: &str) -> Result<Printed, Failure> {
        let card = self.one(client)?;
        let manager = (person != "nobody").then(|| PersonId::new(person));
        self.db.assign(self.context.actor(), card.client.id, manager.as_ref())?;
        let to = manager.map_or_else(|| "nobody".to_string(), |m| m.to_string());
        self.done(&card, format!("{} is assigned to {to}", card.client.name))
    }

    fn served_by_operators(&mut self, client: &str, yes: bool) -> Result<Printed, Failure> {
        let card = self.one(client)?;
        self.db.serve_by_operators(self.context.actor(), card.client.id, yes)?;
        let not = if yes { "" } else { "not " };
        self.done(&card, format!("{} is {not}served by operators", card.client.name))
    }

    fn attach(&mut self, client: &str, number: &str) -> Result<Printed, Failure> {
        let (card, number) = (self.one(client)?, self.number(number)?);
        let others = self.db.attach(self.context.actor(), card.client.id, &number)?;
        let shared = match others.len() {
            0 => String::new(),
            n => format!("; {n} other clients have it too (A1)"),
        };
        self.done(&card, format!("{number} is on the card of {}{shared}", card.client.name))
    }

    fn detach(&mut self, client: &str, number: &str) -> Result<Printed, Failure> {
        let (card, number) = (self.one(client)?, self.number(number)?);
        self.db.detach(self.context.actor(), card.client.id, &number)?;
        self.done(&card, format!("{number} is off the card of {}", card.client.name))
    }

    fn add(&mut self, new: &NewClient) -> Result<Printed, Failure> {
        let id = self.db.add_client(self.context.actor(), new)?;
        let text = format!("{} is client {}", new.name, id.0);
        tell_changed(self.context, "client", &text);
        Ok(Printed::new(one_line(&text), json!({ "client": id })))
    }

    fn one(&self, text: &str) -> Result<ClientCard, Failure> {
        Ok(self.db.one_client(text, self.numbers)?)
    }

    fn number(&self, text: &str) -> Result<Number, Failure> {
        let country = self.numbers.country();
        Number::parse(text, self.numbers)
            .ok_or_else(|| Failure::Usage(format!("`{text}` is no number in {country}")))
    }

    /// The card as it is now.
    fn done(&self, card: &ClientCard, text: String) -> Result<Printed, Failure> {
        tell_changed(self.context, "client", &text);
        let now = self.db.client(card.client.id, self.numbers)?;
        Ok(Printed::new(one_line(&text), json!(now)))
    }
}

fn row(card: &ClientCard) -> Vec<String> {
    let client = &card.client;
    let numbers: Vec<&str> = client.numbers.iter().map(Number::as_str).collect();
    vec![
        client.id.0.to_string(),
        card.code.clone().unwrap_or_default(),
        client.name.to_string(),
        client.client_type.as_str().to_string(),
        client.vip.as_str().to_string(),
        client.manager.as_ref().map(ToString::to_string).unwrap_or_default(),
        client.balance.to_string(),
        numbers.join(" "),
    ]
}
