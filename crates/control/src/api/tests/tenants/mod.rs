//! Workspaces know nothing of each other: every route is asked with what is another's, and tells as
//! much of it as of what is nowhere; and where ids are the same, the workspace alone tells rows apart.

mod accounts;
mod beside;
mod changes;
mod charts;
mod edges;
mod own;
mod ports;
mod rows;
mod samples;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::Value;
use uuid::Uuid;

use self::samples::{Hole, Sample, Section};
use self::world::{Tenant, World};
use crate::testing::{Api, Reply};

/// How things are referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Name,
    Id,
}

/// What each route is asked: with one reference of another workspace at a time, and with nothing else
/// but such.
#[tokio::test]
async fn h159_nothing_of_another_workspace_can_be_reached() {
    for world in World::on_each_database().await {
        let token = world.ours.admin.clone();
        nothing_is_reached(&world, &token, |_| true).await;
    }
}

/// Whoever is above all workspaces reaches into all of them, and from none into another.
#[tokio::test]
async fn h159_no_request_reaches_from_one_workspace_into_another() {
    for world in World::on_each_database().await {
        let token = world.api.token.clone();
        nothing_is_reached(&world, &token, |hole| hole.kind != "workspace").await;
    }
}

#[tokio::test]
async fn h159_lists_and_answers_show_nothing_of_another_workspace() {
    for World { api, ours, theirs } in World::on_each_database().await {
        let mut pages = 0;
        for token in [&api.token, &ours.admin, &ours.narrow, &ours.member] {
            let may_all = *token != ours.narrow && *token != ours.member;
            for sample in samples::all().iter().filter(|it| it.section == Section::Reads) {
                let (path, _) = ask_for(sample, |hole| ours.named(hole.kind, Form::Name));
                let reply = api.ask_as(token, Method::GET, &path, None).await;
                assert!(reply.status == 200 || !may_all, "{path}: {}", reply.text);
                theirs.is_not_in(&reply.text, &path);
                let (at, _) = ask_for(sample, |hole| theirs.named(hole.kind, Form::Name));
                let first = api.get(&format!("{at}{}limit=1", and(&at))).await;
                if first.status != 200 {
                    continue;
                }
                let page: Value = serde_json::from_str(&first.text).unwrap_or_default();
                let Some(cursor) = page["next_cursor"].as_str() else { continue };
                let path = format!("{path}{}cursor={cursor}", and(&path));
                let reply = api.ask_as(token, Method::GET, &path, None).await;
                theirs.is_not_in(&reply.text, &path);
                pages += 1;
            }
        }
        assert!(30 < pages, "{pages}");
    }
}

/// All that can be done in a workspace is done twice: where it has a twin, whose rows have the same
/// ids, and where it has none. The answers are the same, and the twin stays as it is.
#[tokio::test]
async fn h159_what_is_done_in_one_workspace_is_done_in_no_other() {
    let alone = db::testing::databases().await;
    let beside = db::testing::databases().await;
    for (alone, beside) in alone.into_iter().zip(beside) {
        let mut stories = Vec::new();
        for (fresh, has_twin) in [(alone, false), (beside, true)] {
            let world = World::on(Api::on(fresh).await).await;
            let twin = world.twin_of_ours(has_twin).await;
            stories.push(story(&world, twin).await);
        }
        let [alone, beside] = stories.try_into().unwrap_or_else(|_| panic!("two are told"));
        assert_eq!(alone.len(), beside.len());
        for (alone, beside) in alone.iter().zip(&beside) {
            assert_eq!(beside, alone);
        }
    }
}

async fn nothing_is_reached(world: &World, token: &str, is_asked: impl Fn(Hole) -> bool) {
    let World { api, ours, theirs } = world;
    let before = [rows::of(api, ours.id).await, rows::of(api, theirs.id).await];
    let mut tried = 0;
    for sample in samples::all() {
        let holes = sample.holes();
        for form in [Form::Name, Form::Id] {
            let asked: Vec<Hole> = holes.iter().copied().filter(|it| is_asked(*it)).collect();
            let others: Vec<usize> =
                holes.iter().filter(|it| it.kind != "workspace").map(|it| it.number).collect();
            let each = asked.iter().map(|it| vec![it.number]);
            let all = Some(others).filter(|it| 1 < it.len());
            for numbers in each.chain(all) {
                let mut told = Vec::new();
                for is_there in [true, false] {
                    let mut sent = BTreeSet::new();
                    let (path, body) = ask_for(&sample, |hole| {
                        let is_ours = !numbers.contains(&hole.number);
                        let own = if sample.section == Section::Files { Form::Name } else { form };
                        let text = match (is_ours, is_there) {
                            (true, _) => return ours.named(hole.kind, own),
                            (false, true) => theirs.only(hole.kind, form),
                            (false, false) => nowhere(hole.kind, form),
                        };
                        sent.insert(text.clone());
                        text
                    });
                    let body = body.map(|it| serde_json::from_str(&it).unwrap());
                    let reply = api.ask_as(token, sample.method.clone(), &path, body).await;
                    let text = plain(&reply, &sent);
                    let row = format!("{} {path}, {numbers:?} by {form:?}", sample.method);
                    let is_refused = reply.status.is_client_error();
                    assert!(is_refused || is_a_trial(&sample), "{row}: {text}");
                    theirs.is_not_in(&text, &row);
                    told.push((row, reply.status.as_u16(), text));
                }
                let [there, nowhere] = told.as_slice() else { panic!("{told:?}") };
                assert_eq!(there.1, nowhere.1, "{}", there.0);
                // What is tried is tried on what has been recorded by then.
                if !is_a_trial(&sample) {
                    assert_eq!(there.2, nowhere.2, "{}", there.0);
                }
                tried += 1;
            }
        }
    }
    assert!(400 < tried, "{tried}");
    let after = [rows::of(api, ours.id).await, rows::of(api, theirs.id).await];
    for (before, after) in before.iter().zip(&after) {
        is_unchanged(before, after);
    }
}

/// All routes, each with success; gives what was answered, with ids in the order of their appearance.
/// The workspace `twin` is the same after each of them.
async fn story(world: &World, twin: Uuid) -> Vec<String> {
    let ours = &world.ours;
    let before = rows::of(&world.api, twin).await;
    let mut told = Told::default();
    let all = samples::all();
    let of = |section: Section| all.iter().filter(move |it| it.section == section).cloned();
    let creations: Vec<Sample> = of(Section::Creations).collect();
    told.all_of(world, of(Section::Reads)).await;
    for sample in of(Section::Acts) {
        told.one(world, &ours.admin, &sample, |hole| ours.named(hole.kind, Form::Id)).await;
        // Some undo what others have done.
        is_unchanged(&before, &rows::of(&world.api, twin).await);
    }
    for sample in of(Section::Files) {
        told.one(world, &ours.admin, &sample, |hole| ours.named(hole.kind, Form::Name)).await;
    }
    told.all_of(world, of(Section::Reads)).await;
    let derived = samples::deletions(&creations);
    // What is in use stays, and its users are named.
    for kind in ["user", "team", "server", "identity", "shared", "gateway", "role"] {
        let is_of = |it: &&(Sample, String)| {
            it.0.holes().last().is_some_and(|hole| hole.kind == kind || kind == "shared")
        };
        let named = ours.named(kind, Form::Name);
        let found = derived.iter().filter(is_of).find(|it| it.1 == named);
        let (sample, _) = found.unwrap_or_else(|| panic!("nothing deletes {kind}"));
        let last = sample.holes().len() - 1;
        let (path, _) = ask_for(sample, |hole| match hole.number == last {
            true => named.clone(),
            false => ours.named(hole.kind, Form::Name),
        });
        let reply = world.api.ask_as(&ours.admin, Method::DELETE, &path, None).await;
        assert_eq!(reply.status, 409, "{path}: {}", reply.text);
        told.add(sample, &reply);
    }
    // An app is not handed over with what is its owner's own.
    let is_given = |it: &Sample| it.body.as_deref() == Some(r#"{"owner": "{other}"}"#);
    let given = of(Section::Acts).find(is_given).unwrap();
    let (path, body) = ask_for(&given, |hole| ours.named(hole.kind, Form::Name));
    let body = body.map(|it| serde_json::from_str(&it).unwrap());
    let reply = world.api.ask_as(&ours.admin, Method::PATCH, &path, body).await;
    assert_eq!(reply.status, 422, "{path}: {}", reply.text);
    told.add(&given, &reply);
    let is_derived = |it: &Sample| derived.iter().any(|known| known.0.route() == it.route());
    let others = of(Section::Deletions).filter(|it| !is_derived(it)).map(|it| (it, "{}".into()));
    let mut deletions: Vec<(Sample, String)> = others.chain(derived.iter().cloned()).collect();
    // The reset of an account takes the tokens of its user along.
    deletions.sort_by_key(|it| !it.0.path.contains("/admin-tokens/"));
    for (sample, name) in &deletions {
        let last = sample.holes().len() - 1;
        let named = |hole: Hole| {
            if hole.number != last || name.starts_with('{') {
                return ours.named(hole.kind, Form::Name);
            }
            name.clone()
        };
        told.one(world, &ours.admin, sample, named).await;
    }
    for sample in &creations {
        told.one(world, &ours.admin, sample, |hole| ours.named(hole.kind, Form::Name)).await;
    }
    told.all_of(world, of(Section::Reads).filter(|it| !it.path.contains("{pin}"))).await;
    let reached: BTreeSet<String> = told.reached;
    let missing: Vec<String> =
        all.iter().map(Sample::route).filter(|it| !reached.contains(it)).collect();
    assert!(missing.is_empty(), "never with success: {missing:?}");
    is_unchanged(&before, &rows::of(&world.api, twin).await);
    told.lines
}

/// What has been answered.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    ids: BTreeMap<String, String>,
    reached: BTreeSet<String>,
}

impl Told {
    /// What can be read, by everybody who may read something.
    async fn all_of(&mut self, world: &World, reads: impl Iterator<Item = Sample>) {
        let World { api, ours, .. } = world;
        for sample in reads {
            for token in [&api.token, &ours.admin] {
                self.one(world, token, &sample, |it| ours.named(it.kind, Form::Name)).await;
            }
            let (path, _) = ask_for(&sample, |hole| ours.named(hole.kind, Form::Name));
            for token in [&ours.narrow, &ours.member] {
                let reply = api.ask_as(token, Method::GET, &path, None).await;
                self.add(&sample, &reply);
            }
        }
    }

    async fn one(
        &mut self,
        world: &World,
        token: &str,
        sample: &Sample,
        named: impl FnMut(Hole) -> String,
    ) {
        let (path, body) = ask_for(sample, named);
        let body = body.map(|it| serde_json::from_str(&it).unwrap());
        let reply = world.api.ask_as(token, sample.method.clone(), &path, body).await;
        let (status, text) = (reply.status, &reply.text);
        assert!(status.is_success(), "{} {path} {:?}: {status} {text}", sample.method, sample.body);
        self.reached.insert(sample.route());
        self.add(sample, &reply);
    }

    fn add(&mut self, sample: &Sample, reply: &Reply) {
        let mut text = plain(reply, &BTreeSet::new());
        let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        let ids: Vec<String> =
            words.filter(|it| it.len() == 36 && it.contains('-')).map(str::to_owned).collect();
        for id in ids {
            let next = format!("<{}>", self.ids.len());
            let known = self.ids.entry(id.clone()).or_insert(next);
            text = text.replace(&id, known);
        }
        // Why something is so is told from memory, which goes by ids that no two things share.
        if sample.path.contains("/why?") {
            text.clear();
        }
        self.lines.push(format!("{} {}: {} {text}", sample.method, sample.path, reply.status));
    }
}

impl World {
    /// The workspace that is beside ours, empty or a twin of ours.
    async fn twin_of_ours(&self, has_twin: bool) -> Uuid {
        let made = self.api.given("/workspaces", serde_json::json!({"name": "twin"})).await;
        let twin = made["id"].as_str().unwrap().parse().unwrap();
        if has_twin {
            rows::twin(&self.api, self.ours.id, twin).await;
        }
        twin
    }
}

impl Tenant {
    /// Something of it that has a name like something elsewhere.
    fn named(&self, kind: &str, form: Form) -> String {
        self.usual[kind].by(form)
    }

    /// What nobody else has: by a name of its own, or by an id of what has a usual name.
    fn only(&self, kind: &str, form: Form) -> String {
        let all = if form == Form::Id && kind != "hash" { &self.usual } else { &self.own };
        all[kind].by(form)
    }

    /// Neither its words nor its ids nor its own names stand in a text.
    fn is_not_in(&self, text: &str, row: &str) {
        assert!(!text.contains(self.word), "{row}: {text}");
        for (kind, known) in self.usual.iter().chain(&self.own) {
            assert!(!text.contains(&known.id) || *kind == "hash", "{row}: {kind} in {text}");
        }
        for known in self.own.values() {
            assert!(!text.contains(&known.name), "{row}: {} in {text}", known.name);
        }
    }
}

impl world::Known {
    fn by(&self, form: Form) -> String {
        match form {
            Form::Name => self.name.clone(),
            Form::Id => self.id.clone(),
        }
    }
}

/// Policies that are tried may speak of what is not there.
fn is_a_trial(sample: &Sample) -> bool {
    sample.path.ends_with("/policy-simulations")
}

/// What is in no workspace.
fn nowhere(kind: &str, form: Form) -> String {
    let id = "0f000000-0000-7000-8000-000000000001";
    match (kind, form) {
        ("hash", _) => format!("sha256:{}", "0".repeat(64)),
        ("pin", _) | (_, Form::Id) => id.to_owned(),
        (_, Form::Name) => "nowhere".to_owned(),
    }
}

fn ask_for(sample: &Sample, named: impl FnMut(Hole) -> String) -> (String, Option<String>) {
    sample.filled("plain", named)
}

/// What was answered, without what was sent and what is new each time.
fn plain(reply: &Reply, sent: &BTreeSet<String>) -> String {
    let mut text = match serde_json::from_str::<Value>(&reply.text) {
        Ok(Value::Object(mut members)) => {
            members.remove("request_id");
            members.remove("secret");
            Value::Object(members).to_string()
        }
        _ => reply.text.clone(),
    };
    for it in sent {
        text = text.replace(it, "…");
    }
    text
}

fn and(path: &str) -> char {
    if path.contains('?') { '&' } else { '?' }
}

/// One workspace's rows are what they were.
fn is_unchanged(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) {
    for (table, rows) in before {
        assert_eq!(after[table], *rows, "{table}");
    }
}
