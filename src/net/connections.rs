//! The table of connections: who is connected, how many from where, and each one's queue.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::config::NetSettings;
use crate::domain::{Flow, ShardId, Transport};

/// One message that waits to be written, and who wants to know if it is not.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) from: Option<ShardId>,
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
}

/// The queue of one connection, as its task sees it.
pub(super) type Queue = mpsc::Receiver<Parcel>;

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Total,
    PerSource,
}

/// Why a parcel is not taken.
#[derive(Debug)]
pub(super) enum Unsent {
    /// No such connection: with number 0, one may be opened.
    Gone(Parcel),
    /// The peer does not read; the connection is given up.
    Slow,
}

/// All of them.
pub(super) struct Connections {
    settings: NetSettings,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    open: BTreeMap<u64, Open>,
    by_remote: BTreeMap<SocketAddr, u64>,
    per_source: BTreeMap<IpAddr, usize>,
}

struct Open {
    remote: SocketAddr,
    queue: mpsc::Sender<Parcel>,
}

impl Connections {
    pub(super) fn new(settings: NetSettings) -> Self {
        Self { settings, table: Mutex::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// A place for one more to or from `remote`. Incoming ones count per source.
    pub(super) fn enter(
        &self,
        listener: u16,
        remote: SocketAddr,
    ) -> Result<(Flow, Queue), Refused> {
        let mut table = self.lock();
        if table.open.len() >= self.settings.connections_max {
            return Err(Refused::Total);
        }
        let count = table.per_source.entry(remote.ip()).or_default();
        if *count >= self.settings.connections_per_source_max {
            return Err(Refused::PerSource);
        }
        *count += 1;
        table.last += 1;
        let connection = table.last;
        let (queue, parcels) = mpsc::channel(self.settings.connection_queue_max);
        table.open.insert(connection, Open { remote, queue });
        table.by_remote.insert(remote, connection);
        Ok((Flow { transport: Transport::Tcp, listener, remote, connection }, parcels))
    }

    /// It is over.
    pub(super) fn leave(&self, connection: u64) {
        let mut table = self.lock();
        let Some(open) = table.open.remove(&connection) else { return };
        if table.by_remote.get(&open.remote) == Some(&connection) {
            table.by_remote.remove(&open.remote);
        }
        if let Some(count) = table.per_source.get_mut(&open.remote.ip()) {
            *count -= 1;
            if *count == 0 {
                table.per_source.remove(&open.remote.ip());
            }
        }
    }

    /// Into the connection's queue; never waits.
    pub(super) fn send(&self, parcel: Parcel) -> Result<(), Unsent> {
        let mut table = self.lock();
        let number = match parcel.flow.connection {
            0 => table.by_remote.get(&parcel.flow.remote).copied(),
            number => Some(number),
        };
        let Some(open) = number.and_then(|n| table.open.get(&n)) else {
            return Err(Unsent::Gone(parcel));
        };
        match open.queue.try_send(parcel) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(parcel)) => Err(Unsent::Gone(parcel)),
            Err(mpsc::error::TrySendError::Full(_)) => {
                // Its task ends when nobody holds the queue any more, and tells everybody.
                let slow = number.and_then(|n| table.open.get_mut(&n));
                if let Some(open) = slow {
                    (open.queue, _) = mpsc::channel(1);
                }
                Err(Unsent::Slow)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
