//! Where an upstream's URL may lead.

use tests::{Client, Gateway, Upstream};

#[tokio::test]
async fn h103_h104_h105_h109_h114_an_upstream_that_leads_inside_is_refused() {
    let upstream = Upstream::of_both_eras().echoing().start().await;
    let port = upstream.url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.to_owned();
    for place in [
        // Other names and spellings of this machine. Its plain ones are let through here.
        "0.0.0.0",
        "[::]",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        // Metadata of clouds, and networks of others.
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        // What two readers of a URL could read differently.
        "user@127.0.0.1",
        "user:secret@127.0.0.1",
        "127.0.0.1:80@127.0.0.1",
        "127.0.0.1\\@127.0.0.1",
        "a@b#@127.0.0.1",
        "127.0.0.1 ",
        "127.0.0.1\t",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
    ] {
        let url = format!("http://{place}:{port}/mcp");
        if let Some(gateway) = Gateway::dev_or_refused(&url).await {
            let client = Client::modern(&gateway);
            let answer = client.send(client.tool("echo", "{}")).await;
            assert_eq!(answer.verdict(), "502/1502", "{url}: {}", answer.text());
        }
        assert!(upstream.seen().is_empty(), "{url} has led here");
    }
    // The same server by its plain address.
    let gateway = Gateway::dev(&upstream.url).await;
    Client::modern(&gateway).warm_up().await;
}

#[tokio::test]
async fn h103_other_schemes_are_refused() {
    for url in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "javascript:1", ""]
    {
        if let Some(gateway) = Gateway::dev_or_refused(url).await {
            let client = Client::modern(&gateway);
            let answer = client.send(client.tool("echo", "{}")).await;
            assert_eq!(answer.verdict(), "502/1502", "{url}: {}", answer.text());
        }
    }
}
