//! What the house style says and no compiler checks.
//!
//! Only files that git knows are looked at. `OSTIARY_BLESS=1` writes what is generated anew.
#![expect(clippy::unwrap_used, reason = "what cannot be read is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate, and the crates of ours that it may depend on outside its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("mcp", &[]),
    ("inspect", &[]),
    ("audit", &[]),
    ("vault", &[]),
    ("db", &[]),
    ("passkeys", &[]),
    ("proxy", &["domain", "mcp", "inspect", "audit"]),
    ("control", &["domain", "mcp", "db", "passkeys", "vault", "audit", "inspect"]),
    ("hosting", &["domain", "mcp"]),
    ("routes", &["domain", "audit"]),
];

/// These may use all of the above, and nothing may use them, but for [`BARE`].
const ROOF: &[&str] = &["ostiary", "tests", "bench", "fuzz", "xtask"];

/// What reads the bytes of connections is in the binary, and reaches the fuzz targets as a library.
const BARE: (&str, &str) = ("fuzz", "ostiary");

#[test]
fn crates_depend_downwards_only() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let below: BTreeSet<_> = allowed.keys().copied().collect();
    let mut wrong = Vec::new();
    for (from, to) in arrows() {
        let is_fine = if ROOF.contains(&from.as_str()) {
            below.contains(to.as_str()) || (from.as_str(), to.as_str()) == BARE
        } else {
            allowed.get(from.as_str()).is_some_and(|all| all.contains(&to.as_str()))
        };
        if !is_fine {
            wrong.push(format!("{from} uses {to}"));
        }
    }
    for name in packages().keys() {
        if !below.contains(name.as_str()) && !ROOF.contains(&name.as_str()) {
            wrong.push(format!("{name} has no row in the table"));
        }
    }
    none("dependencies that point sideways or up", &wrong);
}

#[test]
fn no_file_is_long() {
    let mut wrong = Vec::new();
    for file in sources() {
        let most = if is_rust(&file) { 500 } else { 300 };
        let is_generated = file.ends_with("schema.ts") || name(&file).contains(".gen.");
        if !(is_rust(&file) || file.starts_with("console/src/")) || is_generated {
            continue;
        }
        let lines = read(&file).lines().take_while(|l| *l != "#[cfg(test)]").count();
        if lines > most {
            wrong.push(format!("{file}: {lines} lines before its tests, at most {most}"));
        }
    }
    none("files that should be cut", &wrong);
}

#[test]
fn names_say_something() {
    let banned =
        ["common", "core", "utils", "helpers", "manager", "service", "imp", "types", "misc"];
    let mut wrong = Vec::new();
    for file in sources() {
        let parts = file.split('/').map(|part| part.split('.').next().unwrap());
        for part in parts.filter(|part| banned.contains(part)) {
            wrong.push(format!("{file}: `{part}` says nothing"));
        }
    }
    none("files with banned names", &wrong);
}

#[test]
fn a_folder_of_modules_has_its_mod_rs() {
    let files: BTreeSet<_> = sources().into_iter().filter(|f| is_rust(f)).collect();
    let mut wrong = BTreeSet::new();
    for file in &files {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_root = ["src", "src/bin", "tests", "benches", "examples", "fuzz_targets"]
            .iter()
            .any(|root| folder == *root || folder.ends_with(&format!("/{root}")));
        let has = |name: &str| files.contains(&format!("{folder}/{name}"));
        let is_crate = Path::new(&root()).join(folder).join("Cargo.toml").exists();
        if !is_root && !is_crate && !has("mod.rs") && !has("main.rs") {
            wrong.insert(folder.to_owned());
        }
        if files.contains(&format!("{folder}.rs")) {
            wrong.insert(format!("{folder}.rs"));
        }
    }
    none("folders whose module stands elsewhere", &wrong);
}

#[test]
fn slices_meet_through_their_front_doors() {
    let home = "crates/control/src/";
    let inside: Vec<_> = sources().into_iter().filter(|f| f.starts_with(home)).collect();
    let slices: BTreeSet<_> = inside
        .iter()
        .filter_map(|file| file.strip_prefix(home)?.strip_suffix("/store.rs"))
        .filter(|slice| !slice.contains('/'))
        .collect();
    let mut wrong = Vec::new();
    for file in &inside {
        let own = file.strip_prefix(home).and_then(|f| f.split_once('/')).map(|(slice, _)| slice);
        let text = read(file);
        for slice in slices.iter().filter(|slice| Some(**slice) != own) {
            for (number, line) in text.lines().enumerate() {
                if names_inside(line, slice) {
                    wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    none("lines that reach behind a slice's mod.rs", &wrong);
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |engine: &str| -> BTreeSet<String> {
        let folder = format!("crates/db/migrations/{engine}/");
        tracked().iter().filter_map(|f| f.strip_prefix(&folder)).map(str::to_owned).collect()
    };
    assert!(!names("sqlite").is_empty());
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn nothing_tells_on_what_machine_it_was_built() {
    // Cut in two, so that this file does not hold them.
    let places = [["/wor", "k/"], ["/far", "m/"], ["/roo", "t/"], ["../sha", "red"]];
    let places = places.map(|halves| halves.concat());
    // Names that stand for anybody's.
    let anybody = ["ann", "bob", "node", "nonroot", "ostiary", "user", "you"];
    let mut wrong = Vec::new();
    for file in tracked() {
        let Ok(text) = std::fs::read_to_string(path(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let is_home = ["/home/", "/Users/"].iter().any(|home| {
                line.split(home).skip(1).any(|rest| {
                    let owner: String =
                        rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                    !owner.is_empty() && !anybody.contains(&owner.as_str())
                })
            });
            if is_home || places.iter().any(|place| line.contains(place)) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("paths of somebody's machine", &wrong);
}

#[test]
fn locks_name_no_registry_but_the_public_one() {
    let crates_io = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
    let elsewhere =
        ["\"resolved\": \"http", "index-url", "find-links", "trusted-host", "registry="];
    let mut wrong = Vec::new();
    for file in tracked() {
        let is_ours = file.ends_with("Cargo.lock");
        let is_lock = ["package-lock.json", "requirements.txt", ".npmrc", "pip.conf"]
            .iter()
            .any(|end| name(&file).ends_with(end));
        if !is_ours && !is_lock {
            continue;
        }
        for (number, line) in read(&file).lines().enumerate() {
            let is_foreign_crate = is_ours && line.starts_with("source = ") && line != crates_io;
            if is_foreign_crate || is_lock && elsewhere.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{file}:{}: {line}", number + 1));
            }
        }
    }
    none("addresses of registries", &wrong);
}

#[test]
fn every_fragment_of_the_change_log_parses() {
    let kinds = ["added", "changed", "fixed", "security"];
    let mut wrong = Vec::new();
    for file in tracked() {
        let Some(own) = file.strip_prefix("changes/") else { continue };
        if own == "README.md" {
            continue;
        }
        let text = read(&file);
        let (kind, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let has_kind = kind.strip_prefix("kind: ").is_some_and(|kind| kinds.contains(&kind));
        let has_text = rest.starts_with('\n') && rest.trim().ends_with('.');
        if !own.ends_with(".md") || !has_kind || !has_text {
            wrong.push(file);
        }
    }
    none("fragments that are not `kind: …`, an empty line and sentences", &wrong);
}

#[test]
fn every_top_level_document_is_there() {
    let missing: Vec<_> =
        DOCUMENTS.iter().filter(|document| !tracked().contains(&(**document).to_owned())).collect();
    none("documents that are missing", &missing);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for file in tracked().into_iter().filter(|file| file.ends_with(".md")) {
        let text = read(&file);
        let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        for target in targets {
            let target = target.split('#').next().unwrap();
            let is_foreign = target.contains("://") || target.starts_with("mailto:");
            let near = path(&file).parent().unwrap().join(target);
            if !target.is_empty() && !is_foreign && !near.exists() {
                wrong.push(format!("{file}: {target}"));
            }
        }
    }
    none("links to nowhere", &wrong);
}

#[test]
fn hostile_cases_and_their_tests_are_in_the_table() {
    let mut wrong = Vec::new();
    let mut by_case: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    let known = cases();
    for (test, file) in hostile_tests() {
        if let Some(other) = places.insert(test.clone(), file.clone()) {
            wrong.push(format!("`{test}` stands in {other} and in {file}"));
        }
        for part in test.split('_').take_while(|part| is_case(part)) {
            let case = part.to_uppercase();
            if !known.iter().any(|[number, ..]| *number == case) {
                wrong.push(format!("`{test}` in {file}: there is no case {case}"));
            }
            by_case.entry(case).or_default().push(format!("`{test}` in `{file}`"));
        }
    }
    none("tests of hostile cases with a wrong name", &wrong);

    let table = path("docs/hostile-cases.md");
    let fresh = written(&known, &by_case);
    if std::env::var_os("OSTIARY_BLESS").is_some() {
        std::fs::write(&table, &fresh).unwrap();
    }
    let stale = "docs/hostile-cases.md is stale: OSTIARY_BLESS=1 cargo test -p tests --test tidy";
    assert!(std::fs::read_to_string(&table).unwrap_or_default() == fresh, "{stale}");
}

const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "changes/README.md",
    "docs/api.md",
    "docs/logging.md",
];

/// The table of hostile cases as a page.
fn written(known: &[[String; 4]], by_case: &BTreeMap<String, Vec<String>>) -> String {
    let mut page = String::from(HEAD);
    let tested = known.iter().filter(|[number, ..]| by_case.contains_key(number)).count();
    writeln!(page, "\n{tested} of {} cases have tests.", known.len()).unwrap();
    let mut current = "";
    for [number, group, input, expected] in known {
        if group != current {
            current = group;
            writeln!(page, "\n## {group}\n\n| # | What comes in | What must happen | Tests |")
                .unwrap();
            writeln!(page, "|---|---|---|---|").unwrap();
        }
        let tests = by_case.get(number).map_or_else(|| "none".to_owned(), |all| all.join("<br>"));
        writeln!(page, "| {number} | {input} | {expected} | {tests} |").unwrap();
    }
    page
}

const HEAD: &str = "\
# Hostile cases

What a gateway in the path of sensitive traffic must survive, and the tests that show it. A test
that covers a case begins with its number. Refused means that no byte reaches an upstream, that one
record tells why, and that the answer tells nothing of the inside; `400/-32020` is an HTTP status
with a JSON-RPC code.

This page is generated from `tests/hostile/cases.tsv` and the names of the tests.
";

/// Number, group, input and expectation of every case, in order.
fn cases() -> Vec<[String; 4]> {
    let text = read("tests/hostile/cases.tsv");
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<[String; 4]> = rows
        .map(|row| row.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap())
        .collect();
    for (index, [number, ..]) in rows.iter().enumerate() {
        assert_eq!(*number, format!("H{:03}", index + 1));
    }
    rows
}

/// Names of tests that begin with the number of a case, and the files they stand in.
fn hostile_tests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in sources() {
        for line in read(&file).lines() {
            let named = if is_rust(&file) { line.split("fn ").nth(1) } else { quoted(line) };
            let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
            let words = named.unwrap_or_default().replace(' ', "_").to_lowercase();
            let test: String = words.chars().take_while(is_word).collect();
            if test.split('_').next().is_some_and(is_case) {
                found.push((test, file.clone()));
            }
        }
    }
    found
}

/// What stands in the quotes after `test(` or `it(`.
fn quoted(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("test(").or_else(|| rest.strip_prefix("it("))?;
    rest.get(1..)
}

fn is_case(part: &str) -> bool {
    part.len() == 4 && part.strip_prefix('h').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a line names the store or the api of a slice: `slice::store` or `slice::{store, …}`.
fn names_inside(line: &str, slice: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let code = line.split("//").next().unwrap();
    let door = format!("{slice}::");
    code.match_indices(&door).any(|(at, _)| {
        let (before, after) = code.split_at(at);
        let after = after.strip_prefix(&door).unwrap();
        let (paths, end) = after.strip_prefix('{').map_or((after, ','), |group| (group, '}'));
        let mut heads = paths.split(end).next().unwrap().split(',').map(str::trim);
        let is_behind =
            |path: &str| matches!(path.split(|c| !is_word(c)).next(), Some("store" | "api"));
        !before.ends_with(is_word) && heads.any(is_behind)
    })
}

/// Our own packages by name, as cargo describes them.
fn packages() -> BTreeMap<String, serde_json::Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut cargo)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|p| (p["name"].as_str().unwrap().to_owned(), p.clone())).collect()
}

/// Who of ours uses whom of ours, tests apart.
fn arrows() -> Vec<(String, String)> {
    let packages = packages();
    let mut arrows = Vec::new();
    for (from, package) in &packages {
        let dependencies = package["dependencies"].as_array().unwrap();
        for to in dependencies.iter().filter(|to| to["kind"] != "dev") {
            let to = to["name"].as_str().unwrap();
            if packages.contains_key(to) {
                arrows.push((from.clone(), to.to_owned()));
            }
        }
    }
    arrows
}

/// Sources that people write, in any language.
fn sources() -> Vec<String> {
    let endings = ["rs", "ts", "tsx", "mjs", "py", "sh"];
    let is_source =
        |file: &String| file.rsplit_once('.').is_some_and(|(_, e)| endings.contains(&e));
    tracked().into_iter().filter(is_source).collect()
}

/// What git knows and the folder still has.
fn tracked() -> Vec<String> {
    let listing = output(Command::new("git").args(["ls-files", "-z"]));
    let files: Vec<_> = listing.split_terminator('\0').map(str::to_owned).collect();
    assert!(!files.is_empty(), "run from a git checkout");
    files.into_iter().filter(|file| path(file).exists()).collect()
}

fn output(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A text file, or nothing where it is none.
fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_default()
}

fn path(file: &str) -> PathBuf {
    root().join(file)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap()
}

fn is_rust(file: &str) -> bool {
    file.ends_with(".rs")
}

/// Fails with all of them at once.
fn none<T: std::fmt::Display>(what: &str, found: impl IntoIterator<Item = T>) {
    let found: Vec<_> = found.into_iter().map(|one| one.to_string()).collect();
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}
