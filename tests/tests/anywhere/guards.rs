//! The way between replicas is theirs alone, and one step long.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ostiary::peers::Peers;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tests::raw::Raw;
use tests::serve::KEY;
use tests::{Client, Upstream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use vault::{MasterKey, Vault};

use crate::scene::{PATH, Scene};

impl Scene {
    /// Where others come in at one of them.
    fn back_door(&self, number: usize) -> SocketAddr {
        let words = self.sites[number].words();
        let line = words.lines().find(|it| it.contains("Other replicas pass on")).unwrap();
        line.rsplit_once("address=").unwrap().1.trim().parse().unwrap()
    }
}

/// Who has the key of the installation.
fn replica() -> Peers {
    let vault = Vault::new(MasterKey::from_base64(KEY).unwrap(), 1);
    Peers::of(&vault.derive("way between replicas")).unwrap()
}

/// The status of the answer to a message, on a connection of that kind.
async fn ask<S>(stream: S, client: &Client, more: &[(&str, &str)]) -> Option<u16>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let post = client.request("ping", "");
    let mut request = Request::post(PATH).header("host", "127.0.0.1");
    for (name, value) in &post.headers {
        request = request.header(name, value.as_slice());
    }
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let asking = async {
        let response =
            sender.send_request(request.body(Full::new(post.body)).unwrap()).await.ok()?;
        let status = response.status().as_u16();
        let _whole: Bytes = response.into_body().collect().await.ok()?.to_bytes();
        Some(status)
    };
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        answer = &mut asking => answer,
        _ = connection => asking.await,
    }
}

async fn ask_as(
    who: Arc<ClientConfig>,
    address: SocketAddr,
    client: &Client,
    more: &[(&str, &str)],
) -> Option<u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(who).connect(name, stream).await.ok()?;
    ask(stream, client, more).await
}

const PEER: (&str, &str) = ("ostiary-peer", "9.9.9.9");

#[tokio::test]
async fn who_has_not_the_key_of_the_installation_gets_no_answer_where_replicas_come_in() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let client = scene.legacy("{}").await;
    let door = scene.back_door(0);
    assert_eq!(ask_as(replica().client, door, &client, &[PEER]).await, Some(200));
    let stranger = Peers::of(&[7; 32]).unwrap().client;
    assert_eq!(ask_as(stranger, door, &client, &[PEER]).await, None);
    let plain = TcpStream::connect(door).await.unwrap();
    assert_eq!(ask(plain, &client, &[PEER]).await, None);
    // A client's own certificate, of which nobody here knows.
    let roots = rustls::RootCertStore::empty();
    let usual = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ));
    let usual = usual.with_safe_default_protocol_versions().unwrap();
    let usual = usual.with_root_certificates(roots).with_no_client_auth();
    assert_eq!(ask_as(Arc::new(usual), door, &client, &[PEER]).await, None);
    // Nor is anything served there but what has been passed on.
    assert_eq!(ask_as(replica().client, door, &client, &[]).await, Some(400));
}

#[tokio::test]
async fn what_has_been_passed_on_goes_no_further() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let client = scene.legacy("{}").await;
    assert_eq!(ask_as(replica().client, scene.back_door(1), &client, &[PEER]).await, Some(404));
    assert_eq!(scene.passed_on(1).await, 0);
}

#[tokio::test]
async fn an_id_that_is_made_up_or_somebody_elses_leads_nowhere() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let client = scene.legacy("{}").await;
    let id = client.session.clone().unwrap();
    let path = "/mcp/default/side/target";
    let mut others = vec![
        Client::modern_with_token(&scene.served[1], PATH, &scene.other),
        Client::modern_with_token(&scene.served[1], path, &scene.token),
    ];
    others.iter_mut().for_each(|it| it.session = Some(id.clone()));
    for place in [0, 5, id.len() - 1] {
        let mut changed = id.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let mut forged = Client::modern_with_token(&scene.served[1], PATH, &scene.token);
        forged.session = Some(String::from_utf8(changed).unwrap());
        others.push(forged);
    }
    for other in others {
        let mut other = other.in_session();
        scene.at(&mut other, 1);
        let answer = other.send(other.request("ping", "")).await;
        assert_eq!((answer.status, answer.reason()), (404, Some("session_unknown".into())));
    }
    assert_eq!(scene.passed_on(1).await, 0);
}

#[tokio::test]
async fn the_owner_knows_the_client_by_the_address_that_the_other_replica_saw() {
    let Some(scene) = Scene::of(Upstream::legacy().echoing()).await else { return };
    let mut client = scene.legacy("{}").await;
    for number in [0, 1] {
        scene.at(&mut client, number);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(scene.served[number].address).await.unwrap();
        let post = client.tool("echo", "{}").with(PEER.0, PEER.1).with("x-forwarded-for", PEER.1);
        let bytes = post.bytes("127.0.0.1", PATH);
        let answer = Raw::of(stream).exchange(&bytes).await.expect("an answer");
        assert_eq!(answer.status, 200, "{number}");
    }
    let calls = scene.calls(0);
    let peers: Vec<_> = calls.iter().filter_map(|it| it.text("peer")).collect();
    assert!(peers.len() >= 2 && peers.iter().all(|it| *it == "127.0.0.2"), "{peers:?}");
}
