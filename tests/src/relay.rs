//! What stands between two who speak to each other, and can break or hold all their connections.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// A relay to a server. Ends with this value.
pub struct Relay {
    /// The server's URL at the relay.
    pub url: String,
    /// Host and port of the server.
    place: Arc<Mutex<String>>,
    cut: broadcast::Sender<()>,
    held: watch::Sender<Held>,
    /// Of the connections that there are, as their server sees them.
    ports: Arc<Mutex<BTreeSet<u16>>>,
    _listener: JoinSet<()>,
}

/// What is not let through.
#[derive(Default)]
struct Held {
    all: bool,
    ports: BTreeSet<u16>,
}

/// A port that is in use while this is there.
struct Port {
    ports: Arc<Mutex<BTreeSet<u16>>>,
    number: u16,
}

impl Relay {
    /// A relay to the server with that URL.
    pub async fn to(server: &str) -> Self {
        let (place, path) = parts(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let (cut, place) = (broadcast::channel(1).0, Arc::new(Mutex::new(place.to_owned())));
        let (cuts, places) = (cut.clone(), Arc::clone(&place));
        let (held, is_held) = watch::channel(Held::default());
        let ports = Arc::<Mutex<BTreeSet<u16>>>::default();
        let open = Arc::clone(&ports);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut is_cut = cuts.subscribe();
                let mut is_held = is_held.clone();
                let place = places.lock().unwrap().clone();
                let open = Arc::clone(&open);
                connections.spawn(async move {
                    // Where nobody listens, what has come near is let go.
                    let Ok(mut far) = TcpStream::connect(place).await else { return };
                    let port = Port::of(open, &far);
                    let mut copying = pin!(copy_bidirectional(&mut near, &mut far));
                    loop {
                        let may_copy = is_held.borrow_and_update().lets_through(port.number);
                        tokio::select! {
                            copied = &mut copying, if may_copy => return drop(copied),
                            cut = is_cut.recv() => return drop(cut),
                            // Without the relay there is nobody who could let it go on.
                            changed = is_held.changed() => if changed.is_err() { return },
                        }
                    }
                });
            }
        });
        Self { url, place, cut, held, ports, _listener: tasks }
    }

    /// Breaks all connections, if there are any: those to a server that died have broken by themselves.
    pub fn cut(&self) {
        drop(self.cut.send(()));
    }

    /// Lets nothing through any more, in either direction, and breaks nothing: as a network that loses
    /// everything. Or lets it through again, what has come meanwhile first.
    pub fn hold(&self, is_held: bool) {
        self.held.send_modify(|it| it.all = is_held);
    }

    /// The same of one connection alone, which its server sees come from this port.
    pub fn hold_one(&self, port: u16) {
        self.held.send_modify(|it| it.ports.extend([port]));
    }

    /// The ports from which its connections come to the server.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.ports.lock().unwrap().clone()
    }

    /// Host and port of the relay.
    pub fn place(&self) -> &str {
        parts(&self.url).0
    }

    /// Leads from now on to the server with that URL.
    pub fn lead_to(&self, server: &str) {
        parts(server).0.clone_into(&mut self.place.lock().unwrap());
    }
}

impl Held {
    fn lets_through(&self, port: u16) -> bool {
        !self.all && !self.ports.contains(&port)
    }
}

impl Port {
    fn of(ports: Arc<Mutex<BTreeSet<u16>>>, far: &TcpStream) -> Self {
        let number = far.local_addr().unwrap().port();
        ports.lock().unwrap().insert(number);
        Self { ports, number }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.ports.lock().unwrap().remove(&self.number);
    }
}

/// Host and port of a URL, and its path.
fn parts(url: &str) -> (&str, &str) {
    url.strip_prefix("http://").and_then(|it| it.split_once('/')).unwrap()
}
