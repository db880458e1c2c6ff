//! What `ostiary serve` refuses to start with: exit code 78, one plain sentence, nothing written.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tests::serve::binary;
use tests::wait::within;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const KEY: &str = "cTWBMMv3nd0DLhJQnrTTLxhe2KQhkZ2mvvnwNSHnl9U=";

/// Settings for a start, and what is to be said about them.
struct Case {
    /// Variables of the environment.
    set: Vec<(&'static str, String)>,
    /// More words on the command line.
    words: Vec<String>,
    /// A part of the sentence.
    says: &'static str,
}

#[tokio::test]
async fn configuration_that_is_not_understood_leaves_no_trace() {
    let files = [
        ("lissten = '127.0.0.1:0'", "unknown field `lissten`"),
        ("Listen = '127.0.0.1:0'", "unknown field `Listen`"),
        ("[tls]\ncertificate = 'a'\nkey = 'b'\npassword = 'c'", "unknown field `password`"),
        ("[tls]\ncertificate = 'a'", "missing field `key`"),
        ("[database]\nurl = 'sqlite:x'", "unknown field `database`"),
        ("listen = 8080", "is not valid"),
        ("listen = '127.0.0.1:0'\nlisten = '127.0.0.1:0'", "duplicate key"),
        ("listen = ", "is not valid"),
        ("\0", "is not valid"),
        ("workers = 0", "`workers` must be from 1 to 256"),
        ("workers = -1", "is not valid"),
        ("largest_request_bytes = 1", "`largest_request_bytes` must be"),
        ("answer_seconds = 0", "`answer_seconds` must be"),
        ("keep_sessions_seconds = 0", "`keep_sessions_seconds` must be"),
        ("probe_seconds = 86401", "`probe_seconds` must be"),
        ("most_sessions = 0", "`most_sessions` must be"),
        ("most_held_calls = 0", "`most_held_calls` must be"),
        ("hosts = ['https://example.com']", "`hosts` holds `https://example.com`"),
        ("hosts = ['example.com:443']", "`hosts` holds `example.com:443`"),
        ("allowed_networks = ['10.0.0.0/33']", "is not valid"),
        ("[tls]\ncertificate = '/nonexistent'\nkey = '/nonexistent'", "/nonexistent"),
    ];
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ostiary.toml");
    for (text, says) in files {
        std::fs::write(&file, text).unwrap();
        let words = vec!["--config".to_owned(), text_of(&file)];
        refuses_a_new_folder(text, Case { set: Vec::new(), words, says }).await;
    }
    let cases = [
        (["--config", "/nonexistent.toml"], "cannot read the configuration `/nonexistent.toml`"),
        (["--listen", "0.0.0.0:0"], "refusing plain HTTP on 0.0.0.0"),
        (["--apply", "/nonexistent.yaml"], "`/nonexistent.yaml`"),
    ];
    for (words, says) in cases {
        let row = words.join(" ");
        let words = words.map(str::to_owned).to_vec();
        refuses_a_new_folder(&row, Case { set: Vec::new(), words, says }).await;
    }
    for (value, says) in [
        (("OSTIARY_DATABASE_URL", "mysql://localhost/x"), "OSTIARY_DATABASE_URL must begin with"),
        (("OSTIARY_DATABASE_URL", "postgres://nobody@127.0.0.1:1/x"), "the database cannot be"),
        (("OSTIARY_ALLOW_LOOPBACK_UPSTREAMS", "yes"), "OSTIARY_ALLOW_LOOPBACK_UPSTREAMS must be"),
    ] {
        let set = vec![(value.0, value.1.to_owned())];
        refuses_a_new_folder(value.1, Case { set, words: Vec::new(), says }).await;
    }
}

#[tokio::test]
async fn a_key_that_can_be_guessed_or_read_leaves_no_trace() {
    let home = tempfile::tempdir().unwrap();
    let open_to_all = home.path().join("open.key");
    std::fs::write(&open_to_all, KEY).unwrap();
    std::fs::set_permissions(&open_to_all, mode(0o644)).unwrap();
    let closed = home.path().join("closed.key");
    std::fs::write(&closed, "password\n").unwrap();
    std::fs::set_permissions(&closed, mode(0o600)).unwrap();
    let zeroes = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let counted = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let cases = [
        ("none", [("", ""), ("", "")], "set OSTIARY_MASTER_KEY or OSTIARY_MASTER_KEY_FILE"),
        ("zeroes", [("OSTIARY_MASTER_KEY", zeroes), ("", "")], "can be guessed"),
        ("a counter", [("OSTIARY_MASTER_KEY", counted), ("", "")], "can be guessed"),
        ("short", [("OSTIARY_MASTER_KEY", "c2hvcnQ="), ("", "")], "5 bytes where 32"),
        ("no base64", [("OSTIARY_MASTER_KEY", "correct horse"), ("", "")], "is not base64"),
        ("a word", [("OSTIARY_MASTER_KEY_FILE", &text_of(&closed)), ("", "")], "bytes where 32"),
        ("open", [("OSTIARY_MASTER_KEY_FILE", &text_of(&open_to_all)), ("", "")], "mode 644"),
        ("no file", [("OSTIARY_MASTER_KEY_FILE", "/nonexistent"), ("", "")], "/nonexistent"),
        (
            "two",
            [("OSTIARY_MASTER_KEY", KEY), ("OSTIARY_MASTER_KEY_FILE", "/nonexistent")],
            "not both",
        ),
    ];
    for (row, set, says) in cases {
        let mut all = vec![("OSTIARY_MASTER_KEY", String::new())];
        all.extend(set.iter().filter(|it| !it.0.is_empty()).map(|it| (it.0, it.1.to_owned())));
        refuses_a_new_folder(row, Case { set: all, words: Vec::new(), says }).await;
    }
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_no_trace() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = vec!["--listen".to_owned(), address];
    let case = Case { set: Vec::new(), words, says: "is in use by another program" };
    refuses_a_new_folder("a taken port", case).await;
}

#[tokio::test]
async fn documents_that_are_not_understood_leave_no_trace() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("workspace.yaml");
    for (text, says) in [
        ("kind: Nonsense\nname: x", "there is no kind `Nonsense`"),
        ("kind: User\nname: x\npassword: y", "password"),
        ("kind: User\nname: x\nname: y", "name"),
        ("kind: [", "workspace.yaml"),
    ] {
        std::fs::write(&file, text).unwrap();
        let words = vec!["--apply".to_owned(), text_of(&file)];
        refuses_a_new_folder(text, Case { set: Vec::new(), words, says }).await;
    }
}

#[tokio::test]
async fn an_admin_token_is_shown_even_if_documents_are_refused_afterwards() {
    let home = tempfile::tempdir().unwrap();
    let (data, file) = (home.path().join("data"), home.path().join("workspace.yaml"));
    let dangling = "kind: Gateway\nname: main\nassignments:\n  - server: nothing\n";
    std::fs::write(&file, dangling).unwrap();
    let words = vec!["--apply".to_owned(), text_of(&file)];
    let output = start(&data, &Case { set: Vec::new(), words, says: "" }).await;
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert_sentence(&output, "there is no server `nothing`", dangling);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("admin token (shown once): osta_"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A way to spoil a folder, or the way in which it is started.
type Spoil = (&'static str, fn(&Path, &mut Case), &'static str);

const SPOILED: &[Spoil] = &[
    ("random bytes", |data, _| overwrite(data, 0, &noise(4_096)), "is damaged"),
    ("pages in the middle", |data, _| overwrite(data, 3 * 4_096, &[0xa5; 20_480]), "is damaged"),
    ("half a file", |data, _| truncate(data, 40_000), "is damaged"),
    ("a byte of the header", |data, _| overwrite(data, 3, b"X"), "is damaged"),
    ("another key", |_, case| case.set = another_key(), "the master key does not open"),
    (
        "no key of the log",
        |data, _| std::fs::remove_file(data.join("signer.sealed")).unwrap(),
        "signer.sealed` is missing",
    ),
    (
        "a spoiled key of the log",
        |data, _| std::fs::write(data.join("signer.sealed"), noise(92)).unwrap(),
        "the master key does not open",
    ),
    (
        "an unknown key beside it",
        |data, case| {
            let file = data.with_extension("toml");
            std::fs::write(&file, "unknown = 1").unwrap();
            case.words = vec!["--config".to_owned(), text_of(&file)];
        },
        "unknown field `unknown`",
    ),
];

#[tokio::test]
async fn a_spoiled_folder_is_refused_as_it_is() {
    for (row, spoil, says) in SPOILED {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        furnish(&data).await;
        let mut case = Case { set: Vec::new(), words: Vec::new(), says };
        spoil(&data, &mut case);
        let before = everything_in(&data);
        let output = start(&data, &case).await;
        assert_eq!(output.status.code(), Some(78), "{row}: {output:?}");
        assert_sentence(&output, case.says, row);
        assert_eq!(output.stdout, b"", "{row}");
        assert_same(&before, &everything_in(&data), row);
    }
}

#[tokio::test]
async fn a_folder_that_another_process_uses_is_refused_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let none = || Case { set: Vec::new(), words: Vec::new(), says: "" };
    let mut command = serve(&data, &none());
    let mut owner = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    loop {
        let line = within("the owner's first lines", lines.next_line()).await.unwrap();
        if line.expect("the owner runs").starts_with("listening on ") {
            break;
        }
    }
    let pid = owner.id().and_then(|it| Pid::from_raw(it.try_into().ok()?)).unwrap();
    // Standing still, so that whatever changes was changed by the other.
    kill_process(pid, Signal::STOP).unwrap();
    let before = everything_in(&data);
    let elsewhere = format!("sqlite:{}", home.path().join("other.db").display());
    for (set, says) in [
        (Vec::new(), "another process is using the database"),
        (vec![("OSTIARY_DATABASE_URL", elsewhere)], "is used by another process"),
    ] {
        let output = start(&data, &Case { set, ..none() }).await;
        assert_eq!(output.status.code(), Some(78), "{says}: {output:?}");
        assert_sentence(&output, says, says);
        assert_same(&before, &everything_in(&data), says);
    }
    kill_process(pid, Signal::CONT).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(within("the owner's end", owner.wait()).await.unwrap().success());
}

/// Makes a folder that is good to start with.
async fn furnish(data: &Path) {
    let mut command = Command::new(binary());
    command.args(["admin-token", "another", "--data"]).arg(data).env("OSTIARY_MASTER_KEY", KEY);
    command.env_remove("OSTIARY_DATABASE_URL").stdin(Stdio::null()).kill_on_drop(true);
    let output = within("a first token", command.output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Starts with a folder that is not there, and must not be there afterwards.
async fn refuses_a_new_folder(row: &str, case: Case) {
    let home = tempfile::tempdir().unwrap();
    let output = start(&home.path().join("data"), &case).await;
    assert_eq!(output.status.code(), Some(78), "{row}: {output:?}");
    assert_sentence(&output, case.says, row);
    assert_eq!(output.stdout, b"", "{row}");
    assert_same(&BTreeMap::new(), &everything_in(home.path()), row);
}

/// Starts a gateway that ends by itself.
async fn start(data: &Path, case: &Case) -> Output {
    within("a refusal to start", serve(data, case).output()).await.unwrap()
}

fn serve(data: &Path, case: &Case) -> Command {
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data").arg(data);
    if !case.words.iter().any(|it| it == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(&case.words).env("OSTIARY_MASTER_KEY", KEY).env("RUST_BACKTRACE", "1");
    command.env_remove("OSTIARY_DATABASE_URL").envs(case.set.iter().map(|(key, it)| (key, it)));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// One line that says this, and nothing of the inside.
fn assert_sentence(output: &Output, says: &str, row: &str) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let sentence = text.strip_prefix("ostiary: ").and_then(|it| it.strip_suffix('\n'));
    let sentence = sentence.unwrap_or_else(|| panic!("{row}: {text}"));
    assert!(sentence.contains(says), "{row}: {sentence}");
    for inside in ["\n", "\u{1b}", "panicked", "src/", "Error {", "Some(", "::"] {
        assert!(!sentence.contains(inside), "{row}: {sentence}");
    }
}

/// Every file and folder with what is in it. Sockets have nothing, and come and go with a process.
fn everything_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            let (path, kind) = (item.path(), item.file_type().unwrap());
            let name = text_of(&path);
            if kind.is_dir() {
                found.insert(name, Vec::new());
                waiting.push(path);
            } else if !kind.is_socket() {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn assert_same(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>, row: &str) {
    let names = |it: &BTreeMap<String, Vec<u8>>| it.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "{row}");
    for (name, bytes) in before {
        assert!(after[name] == *bytes, "{row}: {name} has been written to");
    }
}

fn overwrite(data: &Path, at: usize, with: &[u8]) {
    let path = data.join("ostiary.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(path, bytes).unwrap();
}

fn truncate(data: &Path, length: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(data.join("ostiary.db")).unwrap();
    file.set_len(length).unwrap();
}

/// Bytes without a pattern, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn another_key() -> Vec<(&'static str, String)> {
    vec![("OSTIARY_MASTER_KEY", "yLk0fX0eQe3v2jA6mF1nC9uTqWzR4sVbPdGhJ7xK5oY=".to_owned())]
}

fn mode(mode: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

fn text_of(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
