//! A record's proof, asked for at the gateway and believed, or not, without it.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tests::line::Line;
use tests::wait::within;
use tests::{Served, Site};

#[tokio::test]
async fn h154_a_proof_holds_without_the_gateway_and_no_altered_one_does() {
    let (site, foreign) = (Site::new(None), Site::new(None));
    token_of(&foreign).await;
    let served = site.start().await;
    for name in ["ann", "bob", "carol"] {
        served.must(Method::POST, "users", Some(json!({"name": name}))).await;
    }
    assert!(served.stop().await.success());
    let admin = token_of(&site).await;
    let served = site.start().await;
    let proof = proof(&served, &admin, 1).await;
    assert!(served.stop().await.success());
    let [key, foreign] = [&site, &foreign]
        .map(|it| std::fs::read_to_string(it.data().join("log.key")).unwrap().trim().to_owned());
    let (code, words) = verdict(&site, &proof, &key).await;
    assert_eq!(code, Some(0), "{words}: {proof}");
    assert!(words.contains("the proof holds: entry 1"), "{words}");

    let mut altered = vec![(proof.clone(), foreign), (String::new(), key.clone())];
    // One character of each line, in its middle and near its end, is another one.
    let lines: Vec<&str> = proof.lines().collect();
    for (number, line) in lines.iter().enumerate().filter(|(_, it)| !it.is_empty()) {
        let characters: Vec<char> = line.chars().collect();
        for at in [characters.len() / 2, characters.len().saturating_sub(6)] {
            let mut other = characters.clone();
            other[at] = if other[at] == 'A' { 'B' } else { 'A' };
            let mut lines: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
            lines[number] = other.into_iter().collect();
            altered.push((lines.join("\n") + "\n", key.clone()));
        }
        // A line that is missing, and one that comes twice.
        let mut fewer = lines.clone();
        fewer.remove(number);
        altered.push((fewer.join("\n") + "\n", key.clone()));
        // A note may carry a signature twice, as it may carry those of others.
        if !line.starts_with('—') {
            let mut more = lines.clone();
            more.insert(number, line);
            altered.push((more.join("\n") + "\n", key.clone()));
        }
    }
    altered.push((proof.replace("index 1", "index 0"), key.clone()));
    altered.push((proof.replace("index 1", "index 18446744073709551615"), key.clone()));
    for (altered, key) in altered {
        let (code, words) = verdict(&site, &altered, &key).await;
        assert_eq!(code, Some(8), "{words}: {altered}");
        assert!(words.contains("the proof does not hold: "), "{words}");
    }
}

/// An admin token, from the command that makes one while no gateway runs.
async fn token_of(site: &Site) -> String {
    let data = site.data();
    let words = ["admin-token", "--data", data.to_str().unwrap(), "second"];
    let (code, said) = site.run(&words).await;
    assert_eq!(code, Some(0), "{said}");
    let token = said.split_whitespace().find(|it| it.starts_with("osta_"));
    token.unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// The proof of a record, as soon as a checkpoint covers it.
async fn proof(served: &Served, admin: &str, index: u64) -> String {
    let mut line = Line::to(served.address);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let asking = async {
        loop {
            ticks.tick().await;
            let request = Request::builder()
                .uri(format!("/api/v1/workspaces/default/records/{index}/proof"))
                .header("host", served.host())
                .header("authorization", format!("Bearer {admin}"));
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let (status, body) = line.whole(request).await.unwrap();
            if status == 200 {
                return String::from_utf8(body.to_vec()).unwrap();
            }
        }
    };
    within("a proof", asking).await
}

/// What `ostiary audit verify` says of a proof.
async fn verdict(site: &Site, proof: &str, key: &str) -> (Option<i32>, String) {
    let file = site.home().join("proof");
    std::fs::write(&file, proof).unwrap();
    site.run(&["audit", "verify", "--proof", file.to_str().unwrap(), "--key", key]).await
}
