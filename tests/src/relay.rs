//! What stands between two who speak to each other, and can break or hold all their connections.

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
    held: watch::Sender<bool>,
    _listener: JoinSet<()>,
}

impl Relay {
    /// A relay to the server with that URL.
    pub async fn to(server: &str) -> Self {
        let (place, path) = parts(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let (cut, place) = (broadcast::channel(1).0, Arc::new(Mutex::new(place.to_owned())));
        let (cuts, places) = (cut.clone(), Arc::clone(&place));
        let (held, is_held) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut is_cut = cuts.subscribe();
                let mut is_held = is_held.clone();
                let place = places.lock().unwrap().clone();
                connections.spawn(async move {
                    // Where nobody listens, what has come near is let go.
                    let Ok(mut far) = TcpStream::connect(place).await else { return };
                    let mut copying = pin!(copy_bidirectional(&mut near, &mut far));
                    loop {
                        let may_copy = !*is_held.borrow_and_update();
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
        Self { url, place, cut, held, _listener: tasks }
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.cut.send(()).unwrap();
    }

    /// Lets nothing through any more, in either direction, and breaks nothing: as a network that loses
    /// everything. Or lets it through again, what has come meanwhile first.
    pub fn hold(&self, is_held: bool) {
        self.held.send(is_held).unwrap();
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

/// Host and port of a URL, and its path.
fn parts(url: &str) -> (&str, &str) {
    url.strip_prefix("http://").and_then(|it| it.split_once('/')).unwrap()
}
