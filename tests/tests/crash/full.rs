//! A disk without space: real file systems, which only this test sees.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::archive::Kept;
use tests::{Served, Site};
use tokio::time::Instant;

use crate::failing::until_page;
use crate::workload::{Done, Origin, verify};

#[tokio::test]
async fn h148_a_full_disk_refuses_calls_and_says_so_and_recovers_by_itself() {
    if std::env::var_os(INSIDE).is_some() {
        for full in ["", "log", "content"] {
            fill_and_recover(full).await;
        }
        return;
    }
    let is_root = rustix::process::geteuid().is_root();
    let output = Command::new("unshare")
        .arg(if is_root { "-m" } else { "-rm" })
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("full::h148_a_full_disk_refuses_calls_and_says_so_and_recovers_by_itself")
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{}", said.join("\n"));
}

/// `full` is the folder that has a small disk of its own, within the data folder.
async fn fill_and_recover(full: &str) {
    let case = format!("data/{full}");
    let site = Site::new(None);
    let disk = site.data().join(full);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&disk).unwrap();
    mount(&disk);
    let (origin, served) = Origin::at(site, "written").await;
    let site = &origin.site;
    let filler = disk.join("filler");
    fill(&filler);

    let mut done = Done::default();
    // What is left of a page takes a record or two.
    let began = Instant::now();
    while done.refused.len() < REFUSED {
        done.add(origin.call(&served, 1).await);
        assert!(began.elapsed() < Duration::from_secs(20), "{case}: {done:?}");
    }
    let arrived = origin.ledger.arrivals().len();
    until_page(&served, "/readyz", 503).await;
    let refused = origin.call(&served, 5).await;
    assert_eq!(refused.acknowledged.len(), 0, "{case}");
    assert_eq!(origin.ledger.arrivals().len(), arrived, "{case}: what cannot be recorded leaves");
    // Sooner than at the deadline of a record.
    assert!(refused.longest < Duration::from_millis(1_800), "{case}: {:?}", refused.longest);
    done.add(refused);
    done.check_refusals(&case);
    if full == "log" {
        cut_off_and_restore(&served).await;
    }

    std::fs::remove_file(filler).unwrap();
    until_page(&served, "/readyz", 200).await;
    let again = origin.call(&served, 5).await;
    assert!(again.is_well(), "{case}: {again:?}");
    done.add(again);
    assert!(served.stop().await.success(), "{case}");
    verify(site, &case).await;
    origin.check(site, &done, &case).await;
    let of_cut = |it: &Kept| it.text("action").is_some_and(|it| it.ends_with("/cutoffs"));
    let recorded = site.records().iter().filter(|it| of_cut(it)).count();
    assert_eq!(recorded, if full == "log" { 2 } else { 0 }, "{case}: begun and ended");
    unmount(&disk);
}

/// Of what the log keeps space in reserve for.
async fn cut_off_and_restore(served: &Served) {
    let target = json!({"kind": "server", "name": "target"});
    let mut cut = target.clone();
    cut["reason"] = json!("a drill");
    served.must(Method::POST, "cutoffs", Some(cut)).await;
    served.must(Method::POST, "restores", Some(target)).await;
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

fn mount(disk: &Path) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs"]).arg(disk);
    assert!(mount.status().unwrap().success(), "{}", disk.display());
}

fn unmount(disk: &Path) {
    assert!(Command::new("umount").arg(disk).status().unwrap().success(), "{}", disk.display());
}

/// So many calls are refused before it is full for sure.
const REFUSED: usize = 5;
/// Tells this program that it runs where it may mount.
const INSIDE: &str = "OSTIARY_CRASH_FULL";
