//! What stands between two who speak HTTP, and can break all their connections.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// A relay to a server. Ends with this value.
pub struct Relay {
    /// The server's URL at the relay.
    pub url: String,
    /// Host and port of the server.
    place: Arc<Mutex<String>>,
    cut: broadcast::Sender<()>,
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
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut is_cut = cuts.subscribe();
                let place = places.lock().unwrap().clone();
                connections.spawn(async move {
                    // Where nobody listens, what has come near is let go.
                    let Ok(mut far) = TcpStream::connect(place).await else { return };
                    tokio::select! {
                        copied = copy_bidirectional(&mut near, &mut far) => drop(copied),
                        cut = is_cut.recv() => drop(cut),
                    }
                });
            }
        });
        Self { url, place, cut, _listener: tasks }
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.cut.send(()).unwrap();
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
