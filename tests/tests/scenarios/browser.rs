//! What a web page can make a browser send.

use tests::Client;
use tests::raw::Raw;

use crate::scene::Scene;

#[tokio::test]
async fn h073_a_foreign_origin_is_refused() {
    let (scene, clients) = Scene::echoing().await;
    let host = scene.gateway.host();
    let twin = format!("https://{host}");
    let suffixed = format!("http://{host}.evil.example");
    for client in &clients {
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            &suffixed,
            &twin,
            "http://evil.example#localhost",
            "http://localhost@evil.example",
            "file://",
            "",
        ] {
            assert_turned_away(&scene, client, "origin", origin).await;
        }
        let own = client.tool("echo", "{}").with("origin", format!("http://{host}"));
        scene.passes(client, own, "{}").await;
    }
}

#[tokio::test]
async fn h074_a_foreign_host_is_refused() {
    let (scene, clients) = Scene::echoing().await;
    let port = scene.gateway.address.port();
    let (rebound, dotted) = (format!("attacker.tld:{port}"), format!("localhost.:{port}"));
    for client in &clients {
        for host in [
            "attacker.tld",
            &rebound,
            "localhost.attacker.tld",
            "127.0.0.1.attacker.tld",
            "0.0.0.0",
            "127.0.0.2",
            &dotted,
        ] {
            assert_turned_away(&scene, client, "host", host).await;
        }
        let own = client.tool("echo", "{}").with("host", format!("127.0.0.1:{port}"));
        scene.passes(client, own, "{}").await;
    }
}

#[tokio::test]
async fn h073_a_preflight_gets_no_leave() {
    let (scene, _) = Scene::echoing().await;
    let mut raw = Raw::connect(scene.gateway.address).await;
    let (path, host) = (&scene.gateway.path, scene.gateway.host());
    raw.send(format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\n\
         access-control-request-method: POST\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(answer.status, 405);
    let allows = |it: &String| it.to_ascii_lowercase().starts_with("access-control-allow");
    assert!(!answer.headers.iter().any(allows), "{:?}", answer.headers);
}

/// Whoever is turned away for where it comes from reaches nothing, whatever the verb.
async fn assert_turned_away(scene: &Scene, client: &Client, header: &str, value: &str) {
    let (seen, known) = (scene.upstream.seen().len(), scene.gateway.records().len());
    for post in [client.tool("echo", "{}"), client.get(), client.delete()] {
        let answer = client.send(post.with(header, value)).await;
        assert_eq!(answer.status, 403, "{client} {header}: {value}: {}", answer.text());
        assert_eq!(answer.reason().as_deref(), Some(header), "{client} {value}");
    }
    assert_eq!(scene.upstream.seen().len(), seen, "{client} {header}: {value}");
    let records = scene.gateway.records_since(known);
    let ends: Vec<_> = records.iter().map(tests::Record::end).collect();
    assert_eq!(ends, [header; 3], "{client} {header}: {value}");
}
