//! The transport of 2024-11-05, on both sides of the gateway: a stream on which everything comes, and
//! a URL for everything that is sent.

mod broken;
mod clients;
mod peers;
mod servers;
mod sessions;

use tests::{Client, Era, Gateway, Paired, Plan, Upstream};

/// A client of this transport that has said hello.
async fn paired(gateway: &Gateway, revision: &'static str) -> Paired {
    Paired::greet(&Client::stranger(gateway, Era::Legacy, revision)).await
}

/// One that can be asked.
async fn paired_with(gateway: &Gateway, capabilities: &str) -> Paired {
    let mut client = Client::stranger(gateway, Era::Legacy, tests::client::LEGACY);
    capabilities.clone_into(&mut client.capabilities);
    Paired::greet(&client).await
}

/// A modern server that has nothing to say to those who listen, and lets them.
fn modern() -> Plan {
    Upstream::modern().on("subscriptions/listen", |it| async move {
        it.stream().given_up().await;
    })
}

/// All that such a client may speak: the transport says nothing about it.
const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
