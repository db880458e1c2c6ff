//! Large answers pass, and take memory in proportion.

use futures::future::join;
use tests::{Client, Plan, Upstream};

use crate::scene::{Pair, Scene, each_era};

/// An image of 50 MB, as base64 of it.
const IMAGE_BYTES: usize = 50_000_000 / 3 * 4;

#[tokio::test]
async fn h123_an_image_of_50_mb_passes_and_takes_a_few_times_its_size() {
    // Each in front of a gateway of its own, whose peak is of this answer alone.
    for (at, (server, plan)) in each_era().into_iter().cycle().take(4).enumerate() {
        let scene = Scene::of(plan).await;
        let [modern, legacy] = scene.clients().await;
        let client = if at < 2 { modern } else { legacy };
        let in_stream = client.era == server;
        let before = scene.gateway.peak_memory();
        let image = "QUJD".repeat(IMAGE_BYTES / 4);
        let result = format!(
            r#"{{"resultType":"complete","content":[{{"type":"image","mimeType":"image/png","data":"{image}"}}]}}"#
        );
        let (answer, ()) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await;
            if in_stream {
                call.stream().result(&result).await;
            } else {
                call.result(&result);
            }
        })
        .await;
        assert_eq!(answer.status, 200, "{:.300}", answer.text());
        let text = answer.text();
        assert!(text.ends_with(&format!(r#"{image}"}}]}}}}"#)), "{:.300}", text);
        let grown = scene.gateway.grown_since(before);
        let times = times(grown, IMAGE_BYTES);
        let form = if in_stream { "stream" } else { "JSON" };
        eprintln!(
            "{client}, a {server:?} server: an answer of {} MiB as {form}: {} MiB more at the peak, {times:.2} times its size",
            IMAGE_BYTES >> 20,
            grown >> 20
        );
        assert!(times < 4.0, "{times:.2} times its size");
    }
}

#[tokio::test]
async fn h028_an_answer_without_end_is_given_up_at_the_limit() {
    for media in ["application/json", "text/event-stream"] {
        let scene = Scene::of(Upstream::of_both_eras()).await;
        let client = Client::modern(&scene.gateway);
        client.warm_up().await;
        let known = scene.gateway.records().len();
        let before = scene.gateway.peak_memory();
        let (answer, sent) = join(client.send(client.tool("echo", "{}")), async {
            let call = scene.upstream.next().await.begin(media);
            let opening = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":""#;
            let prefix = if media == "application/json" { "" } else { "data: " };
            call.bytes(format!("{prefix}{opening}")).await;
            let piece = bytes::Bytes::from(vec![b'x'; 1 << 20]);
            let mut sent = 0_u64;
            let endless = async {
                loop {
                    call.bytes(piece.clone()).await;
                    sent += 1;
                    // To see that nobody reads any more.
                    tokio::task::yield_now().await;
                    assert!(sent < 1_024, "{media}: nobody stops reading");
                }
            };
            tokio::select! {
                () = call.given_up() => {}
                () = endless => {}
            }
            sent
        })
        .await;
        assert_eq!(answer.verdict(), "502/1502", "{media}: {:.300}", answer.text());
        assert_eq!(scene.gateway.records_since(known).last().unwrap().end(), "upstream", "{media}");
        let grown = scene.gateway.grown_since(before);
        eprintln!(
            "an endless answer as {media}: {sent} MiB taken, {} MiB at the peak",
            grown >> 20
        );
        assert!(sent < 200, "{media}: {sent} MiB were taken");
        assert!(grown < 400 << 20, "{media}: {grown} bytes");
    }
}

#[tokio::test]
async fn a_list_of_2000_tools_passes_and_takes_a_few_times_its_size() {
    let description = "what it does, told at some length, ".repeat(20);
    let tool = |index: usize| {
        format!(
            r#"{{"name":"tool-{index}","description":"{description}","inputSchema":{{"type":"object","properties":{{"a":{{"type":"string"}},"b":{{"type":"number"}}}}}}}}"#
        )
    };
    let tools: Vec<String> = (0..2_000).map(tool).collect();
    let tools = format!("[{}]", tools.join(","));
    let scene = Scene::of(Upstream::of_both_eras().with_tools(&tools).echoing()).await;
    let before = scene.gateway.peak_memory();
    let mut peaks = Vec::new();
    let inner = tools.strip_prefix('[').unwrap();
    for client in Client::of_each_era(&scene.gateway).await {
        for path in [scene.gateway.path.as_str(), "/mcp/dev/dev"] {
            let client = client.at(path).await;
            for _ in 0..5 {
                let answer = client.send(client.request("tools/list", "")).await;
                assert_eq!(answer.status, 200, "{client}");
                let text = answer.text();
                assert!(path == "/mcp/dev/dev" || text.contains(inner), "{client}");
                assert_eq!(text.matches(r#""inputSchema""#).count(), 2_000, "{client}");
            }
            peaks.push(times(scene.gateway.grown_since(before), tools.len()));
        }
        scene.passes(&client, client.tool("tool-1999", "{}"), "{}").await;
    }
    eprintln!(
        "a list of 2000 tools, {} KiB, read five times in each of four views: at the peak \
         {peaks:.1?} times its size more after each",
        tools.len() >> 10
    );
    assert!(peaks[3] < 24.0, "{peaks:?} times its size");
}

#[tokio::test]
async fn h128_a_list_of_endless_pages_ends() {
    for repeats in [true, false] {
        let plan = |it: Plan| {
            let page = std::sync::atomic::AtomicUsize::new(0);
            it.on("tools/list", move |call| {
                let number = page.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let next = if repeats { 0 } else { number };
                async move {
                    call.result(&format!(
                        r#"{{"resultType":"complete","ttlMs":60000,"cacheScope":"private","tools":[{{"name":"t{number}","inputSchema":{{}}}}],"nextCursor":"{next}"}}"#
                    ));
                }
            })
        };
        for Pair { scene, client, row, .. } in &Scene::pairs(plan).await {
            let asked = scene.upstream.seen_of("tools/list").len();
            // Both clients have listed by now.
            assert!(asked <= 2 * if repeats { 2 } else { 200 }, "{row}: asked {asked} times");
            // No cursor of the server's is the client's to use.
            let post = client.request("tools/list", r#""cursor":"0""#);
            scene.refuses(client, post, ("200/-32602", "bad_params")).await;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn times(grown: u64, size: usize) -> f64 {
    grown as f64 / size as f64
}
