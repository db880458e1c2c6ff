//! Servers that are child processes.

use futures::future::join;
use tests::{Answer, Client, Era, Gateway};

/// The server that the tests have for this.
const DOUBLE: &str = env!("CARGO_BIN_EXE_stdio_double");

const ERAS: [&str; 2] = ["legacy", "modern"];

#[tokio::test]
async fn a_child_of_either_era_serves_clients_of_both() {
    for era in ERAS {
        let patience: &[&[&str]] = if era == "legacy" { &[&[], &["--impatient"]] } else { &[&[]] };
        for more in patience {
            let gateway = Gateway::dev_command(&[&[DOUBLE, era][..], more].concat()).await;
            for client in Client::of_each_era(&gateway).await {
                let row = format!("{client}, a {era} child {more:?}");
                for odd in ["1e400", "-0", "\"\\u000a\\n\"", "{ \"b\" : 1.0 , \"a\" : [ ] }"] {
                    let arguments = format!(r#"{{"odd":{odd}}}"#);
                    let post = client.tool("echo", &arguments);
                    let own = format!(r#""id":{}"#, post.id);
                    let answer = client.send(post.replacing(&own, r#""id":"\u0031""#)).await;
                    let text = answer.text();
                    assert!(text.contains(r#""id":"\u0031","#), "{row}: {text}");
                    let echo = format!(r#""structuredContent":{arguments}"#);
                    assert!(text.contains(&echo), "{row}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_message_of_many_lines_is_one_line_for_a_child() {
    for era in ERAS {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        for client in Client::of_each_era(&gateway).await {
            let call = client.tool("echo", "{\r\n\"a\":\n[1,\r2]}");
            let answer = client.send(call).await;
            let echo = r#""structuredContent":{  "a": [1, 2]}"#;
            assert!(answer.text().contains(echo), "{client}, {era}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_child_that_dies_is_blamed_and_started_again() {
    for era in ERAS {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        for client in Client::of_each_era(&gateway).await {
            for tool in ["crash", "crash in a frame"] {
                let row = format!("{client}, a {era} child: {tool}");
                let before = said(&client, "pid").await;
                let known = gateway.records().len();
                // It hangs already when the other call ends the process.
                let mut hung = client.open(client.tool_with_progress("hang", "1")).await;
                assert_eq!(hung.message().await["params"]["progress"], 1.0, "{row}");
                let crashed = client.send(client.tool(tool, "{}")).await;
                assert_blamed(&client, &crashed, &row);
                let hung = hung.message().await;
                assert_eq!(hung["error"]["code"], 1502, "{row}: {hung}");
                let ends: Vec<_> = gateway.records_since(known);
                let ends = ends.iter().filter(|it| it.end() == "upstream").count();
                assert_eq!(ends, 2, "{row}");
                let after = said(&client, "pid").await;
                assert_ne!(before, after, "{row}: a new process");
            }
        }
    }
}

#[tokio::test]
async fn h145_noise_is_skipped_up_to_a_limit() {
    for era in ERAS {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        for client in Client::of_each_era(&gateway).await {
            let row = format!("{client}, a {era} child");
            let before = said(&client, "pid").await;
            assert_eq!(said(&client, "noise").await, "after the noise", "{row}");
            assert_eq!(said(&client, "pid").await, before, "{row}: the same process");
            let answer = client.send(client.tool("endless noise", "{}")).await;
            assert_blamed(&client, &answer, &row);
            assert_ne!(said(&client, "pid").await, before, "{row}: a new process");
        }
    }
}

#[tokio::test]
async fn h029_a_line_without_end_is_given_up() {
    let gateway = Gateway::dev_command(&[DOUBLE, "legacy"]).await;
    let before = gateway.peak_memory();
    for client in Client::of_each_era(&gateway).await {
        let answer = client.send(client.tool("endless line", "{}")).await;
        assert_blamed(&client, &answer, &client.to_string());
        assert_eq!(said(&client, "twice").await, "first");
    }
    let grown = gateway.grown_since(before);
    eprintln!("lines without end: {} MiB more at the peak", grown >> 20);
    assert!(grown < 256 << 20, "{grown} bytes");
}

#[tokio::test]
async fn h143_a_child_that_floods_its_standard_error_goes_on() {
    let gateway = Gateway::dev_command(&[DOUBLE, "legacy"]).await;
    let before = gateway.peak_memory();
    for client in Client::of_each_era(&gateway).await {
        assert_eq!(said(&client, "complain").await, "after the complaint", "{client}");
    }
    let grown = gateway.grown_since(before);
    assert!(grown < 16 << 20, "{grown} bytes for 16 MiB of complaints");
}

#[tokio::test]
async fn h144_a_child_inherits_nothing_of_the_gateways_surroundings() {
    let gateway = Gateway::dev_command(&[DOUBLE, "legacy"]).await;
    for client in Client::of_each_era(&gateway).await {
        let names = said(&client, "environment").await;
        let mut names: Vec<_> = names.split(' ').collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "PATH"], "{client}");
    }
}

#[tokio::test]
async fn h069_what_a_child_answers_too_often_or_to_nobody_is_discarded() {
    for era in ERAS {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        for client in Client::of_each_era(&gateway).await {
            let row = format!("{client}, a {era} child");
            assert_eq!(said(&client, "twice").await, "first", "{row}");
            assert_eq!(said(&client, "mistaken").await, "right", "{row}");
            assert_eq!(said(&client, "given up").await, "[]", "{row}");
        }
    }
}

#[tokio::test]
async fn h068_h069_a_child_is_told_of_a_cancellation_and_answers_too_late() {
    for era in ERAS {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        let mut given_up = 0;
        for client in Client::of_each_era(&gateway).await {
            let row = format!("{client}, a {era} child");
            let before = said(&client, "pid").await;
            let known = gateway.records().len();
            let post = client.tool_with_progress("hang", "1");
            let word = format!(r#""requestId":{}"#, post.id);
            let mut leaving = client.open(post).await;
            assert_eq!(leaving.message().await["params"]["progress"], 1.0, "{row}");
            drop(leaving);
            if client.era == Era::Legacy {
                let word = client.notification("notifications/cancelled", &word);
                assert_eq!(client.send(word).await.status, 202, "{row}");
            }
            gateway.has_recorded(known, "client_cancelled").await;
            given_up += 1;
            // The word comes after the record.
            loop {
                let heard: Vec<serde_json::Value> =
                    serde_json::from_str(&said(&client, "given up").await).unwrap();
                if heard.len() == given_up {
                    break;
                }
            }
            assert_eq!(said(&client, "pid").await, before, "{row}: the same process");
        }
    }
}

#[tokio::test]
async fn h071_progress_of_a_child_goes_to_the_call_that_has_asked_for_it() {
    for era in ERAS {
        let gateway = Gateway::dev_command(&[DOUBLE, era]).await;
        for client in Client::of_each_era(&gateway).await {
            let row = format!("{client}, a {era} child");
            let answer = client.send(client.tool_with_progress("report", "\"mine\"")).await;
            let (last, before) = answer.messages.split_last().unwrap();
            assert!(last.windows(8).any(|it| it == b"reported"), "{row}: {last:?}");
            assert_eq!(before.len(), 2, "{row}: {before:?}");
            for message in before {
                let text = String::from_utf8(message.to_vec()).unwrap();
                assert!(text.contains(r#""progressToken":"mine","progress":1.0"#), "{row}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_child_that_is_shared_is_told_that_nobody_can_be_asked() {
    let gateway = Gateway::dev_command(&[DOUBLE, "legacy"]).await;
    for client in Client::of_each_era(&gateway).await {
        let answer = client.send(client.tool("ask", "{}")).await;
        let answered = &answer.json()["result"]["structuredContent"];
        assert_eq!(answered["id"], "q", "{client}: {}", answer.text());
        assert_eq!(answered["error"]["code"], -32601, "{client}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_child_of_ones_own_can_ask_on_the_sessions_stream() {
    let gateway = Gateway::dev_command(&[DOUBLE, "legacy"]).await;
    let client = Client::legacy_as(&gateway, "2025-11-25", r#"{"elicitation":{}}"#).await;
    let mut stream = client.open(client.get()).await;
    let answering = async {
        let question = stream.message().await;
        assert_ne!(question["id"], "q", "the id is ours");
        assert_eq!(client.send(client.reply(&question["id"], r#"{"ours":1}"#)).await.status, 202);
        question
    };
    let (answer, question) = join(client.send(client.tool("ask", "{}")), answering).await;
    let answered = &answer.json()["result"]["structuredContent"];
    assert_eq!(answered["id"], "q", "{question}: {}", answer.text());
    assert_eq!(answered["result"]["ours"], 1, "{}", answer.text());
    drop(stream);
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_said_to_be_so() {
    let gateway = Gateway::dev_command(&["/nonexistent/server"]).await;
    let modern = Client::modern(&gateway);
    for post in [modern.request("tools/list", ""), modern.tool("echo", "{}")] {
        let answer = modern.send(post).await;
        assert_blamed(&modern, &answer, "no such command");
    }
    let legacy = Client::stranger(&gateway, Era::Legacy, "2025-11-25");
    let answer = legacy.send(legacy.initialize()).await;
    assert_blamed(&legacy, &answer, "no such command");
}

#[tokio::test]
async fn the_reference_servers_work_behind_the_gateway() {
    let everything = tests::peers::bin("server-everything");
    let gateway = Gateway::dev_command(&[everything.to_str().unwrap(), "stdio"]).await;
    for client in Client::of_each_era(&gateway).await {
        let answer = client.send(client.tool("echo", r#"{"message":"hello"}"#)).await;
        assert_eq!(text_of(&answer), "Echo: hello", "{client}: {}", answer.text());
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "what is in it").unwrap();
    let filesystem = tests::peers::bin("server-filesystem");
    let (command, folder) = (filesystem.to_str().unwrap(), folder.path().to_str().unwrap());
    let gateway = Gateway::dev_command(&[command, folder]).await;
    for client in Client::of_each_era(&gateway).await {
        let path = |name: &str| serde_json::json!({"path": format!("{folder}/{name}")}).to_string();
        let answer = client.send(client.tool("read_text_file", &path("a.txt"))).await;
        assert_eq!(text_of(&answer), "what is in it", "{client}: {}", answer.text());
        let answer = client.send(client.tool("read_text_file", &path("../../etc/passwd"))).await;
        assert_eq!(answer.json()["result"]["isError"], true, "{client}: {}", answer.text());
    }
}

/// The text that a tool answers with.
async fn said(client: &Client, tool: &str) -> String {
    text_of(&client.send(client.tool(tool, "{}")).await)
}

fn text_of(answer: &Answer) -> String {
    let result = &answer.json()["result"];
    let text = result["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

fn assert_blamed(client: &Client, answer: &Answer, row: &str) {
    let expected = if client.era == Era::Modern { "502/1502" } else { "200/1502" };
    assert_eq!(answer.verdict(), expected, "{row}: {}", answer.text());
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("`server` failed: "), "{row}: {message}");
}
