//! A client on the transport of 2024-11-05.

use serde_json::Value;

use super::{Answer, Client, Post, Streamed};

/// A client that hears everything on one stream, and sends everything to the URL that it was told
/// there. Dropping it closes the stream.
pub struct Paired {
    /// It makes and sends messages; what it gets back is only that they were taken.
    pub client: Client,
    pub stream: Streamed,
}

impl Paired {
    /// Opens a stream where the client would find the other transport.
    pub async fn open(client: &Client) -> Self {
        let path = client.path.replacen("/mcp/", "/sse/", 1);
        let client = client.at_unopened(&path);
        let mut stream = client.open(client.get()).await;
        assert_eq!(stream.status, 200, "a stream is opened");
        assert!(stream.is_stream());
        let first = stream.next().await.expect("the address for messages");
        assert_eq!(first.name.as_deref(), Some("endpoint"));
        let address = String::from_utf8(first.data.to_vec()).unwrap();
        assert!(address.starts_with(&format!("{path}?session=")), "{address}");
        Self { client: client.at_unopened(&address), stream }
    }

    /// The same, and says hello.
    pub async fn greet(client: &Client) -> Self {
        let mut paired = Self::open(client).await;
        let hello = paired.client.initialize();
        let answer = paired.ask(hello).await;
        assert_eq!(answer["result"]["protocolVersion"], paired.client.revision, "{answer}");
        let ready = paired.client.notification("notifications/initialized", "");
        paired.take(ready).await;
        paired
    }

    /// Sends what must be taken.
    pub async fn take(&self, post: Post) {
        let answer = self.send(post).await;
        assert_eq!((answer.status, &*answer.text()), (202, ""), "{answer:?}");
    }

    /// Sends a request, and waits for what comes next on the stream.
    pub async fn ask(&mut self, post: Post) -> Value {
        let id = post.id.clone();
        self.take(post).await;
        let answer = self.answer().await;
        assert_eq!(answer["id"].to_string(), id, "{answer}");
        answer
    }

    /// What comes next on the stream, but for the news that lists have changed.
    pub async fn answer(&mut self) -> Value {
        loop {
            let message = self.message().await;
            if !message["method"].as_str().is_some_and(|it| it.ends_with("/list_changed")) {
                return message;
            }
        }
    }

    /// What comes next on the stream.
    pub async fn message(&mut self) -> Value {
        let event = self.stream.next().await.expect("one more event");
        assert_eq!(event.name.as_deref(), Some("message"));
        serde_json::from_slice(&event.data).unwrap()
    }

    /// Reads until the stream is over.
    pub async fn end(&mut self) {
        while self.stream.next().await.is_some() {}
    }

    pub async fn send(&self, post: Post) -> Answer {
        // Clients of this transport say nothing of what they accept: nothing comes back.
        self.client.send(post.without("accept")).await
    }
}
