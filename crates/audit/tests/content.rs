//! What the store of content promises.
#![expect(clippy::unwrap_used, reason = "what tests call fails as they do")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::{
    Check, ContentError, ContentOptions, ContentRef, ContentStore, Durability, LogError, verify,
};
use bytes::Bytes;
use uuid::Uuid;

mod world;
use world::{ANN, BOB, Keys, RealClock, World};

#[test]
fn content_comes_back_from_a_running_store_and_after_a_restart() {
    let scene = Scene::new();
    let store = scene.open();
    let mut stored = vec![];
    for n in 0..200u128 {
        let parts = [Bytes::from(vec![b'a'; usize::try_from(n).unwrap() * 50]), Bytes::from("end")];
        let workspace = if n % 3 == 0 { BOB } else { ANN };
        let durability = if n % 20 == 0 { Durability::Synced } else { Durability::Written };
        let (place, durable) =
            store.append(workspace, Uuid::from_u128(n), &parts, durability).unwrap();
        durable.wait().unwrap();
        stored.push((place, parts.concat()));
    }
    for (place, content) in &stored {
        assert_eq!(store.read(place).unwrap(), *content);
    }
    store.close().unwrap();
    let store = scene.open();
    for (place, content) in &stored {
        assert_eq!(store.read(place).unwrap(), *content);
        let json = place.to_json();
        assert_eq!(ContentRef::from_json(place.workspace, &json).as_ref(), Some(place));
    }
}

#[test]
fn appends_from_many_threads_do_not_mix() {
    let scene = Scene::new();
    let store = Arc::new(scene.open());
    let threads: Vec<_> = (0..4u128)
        .map(|thread| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for n in 0..200u128 {
                    let id = Uuid::from_u128(thread << 64 | n);
                    let content = format!("{thread} {n}").repeat(100);
                    let parts = [Bytes::from(content.clone())];
                    let (place, durable) =
                        store.append(ANN, id, &parts, Durability::Written).unwrap();
                    durable.wait().unwrap();
                    assert_eq!(store.read(&place).unwrap(), content.as_bytes());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn files_roll_and_large_content_has_one_of_its_own() {
    let scene = Scene::new();
    let store = scene.open_with(|options| options.segment_bytes = 1_000);
    let places: Vec<_> = [400, 400, 400, 5_000_000, 10]
        .into_iter()
        .map(|size| {
            let parts = [Bytes::from(vec![7; size])];
            let (place, durable) =
                store.append(ANN, Uuid::nil(), &parts, Durability::Synced).unwrap();
            durable.wait().unwrap();
            assert_eq!(store.read(&place).unwrap().len(), size);
            place.segment
        })
        .collect();
    assert_eq!(places, [1, 1, 2, 3, 4]);
    store.close().unwrap();
    assert!(scene.files().iter().all(|path| path.extension().unwrap() == "content"));
}

#[test]
fn nothing_readable_is_on_disk() {
    let scene = Scene::new();
    let store = scene.open();
    let secret = Bytes::from_static(b"the quick brown fox jumps over the lazy dog");
    let (_, durable) = store.append(ANN, Uuid::nil(), &[secret], Durability::Synced).unwrap();
    durable.wait().unwrap();
    store.close().unwrap();
    for path in scene.files() {
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"quick"));
    }
}

#[test]
fn h156_an_erased_day_is_unreadable_and_the_next_content_is_not_confused_with_it() {
    let scene = Scene::new();
    let store = scene.open();
    let append = |store: &ContentStore, text: &'static str| {
        let parts = [Bytes::from_static(text.as_bytes())];
        let (place, durable) = store.append(ANN, Uuid::nil(), &parts, Durability::Written).unwrap();
        durable.wait().unwrap();
        place
    };
    let old = append(&store, "old");
    store.erase_day(ANN, old.day).unwrap();
    assert!(matches!(store.read(&old), Err(ContentError::Erased)));
    let new = append(&store, "new");
    assert_eq!(store.read(&new).unwrap(), b"new");
    assert!(matches!(store.read(&old), Err(ContentError::Erased)));
    store.erase_day(ANN, new.day).unwrap();
    store.close().unwrap();
    let store = scene.open();
    let later = append(&store, "later");
    assert_eq!(store.read(&later).unwrap(), b"later");
    assert!(matches!(store.read(&new), Err(ContentError::Erased)));
    store.erase_day(BOB, 5).unwrap();
    assert!(matches!(store.read(&ContentRef { day: 5, ..old }), Err(ContentError::Missing)));
}

#[test]
fn h156_content_whose_key_is_gone_is_erased() {
    let scene = Scene::new();
    let store = scene.open();
    let (place, durable) =
        store.append(ANN, Uuid::nil(), &[Bytes::from("x")], Durability::Written).unwrap();
    durable.wait().unwrap();
    store.close().unwrap();
    let options = ContentOptions::new(scene.dir());
    let store =
        ContentStore::open(options, Arc::new(Keys::none()), Arc::new(RealClock::new())).unwrap();
    assert!(matches!(store.read(&place), Err(ContentError::Erased)));
    let refused = store.append(ANN, Uuid::nil(), &[Bytes::from("x")], Durability::Written);
    assert!(matches!(refused, Err(ContentError::Key(_))));
}

#[test]
fn what_a_crash_left_open_is_cut_and_completed() {
    let scene = Scene::new();
    let store = scene.open();
    let mut places = vec![];
    for n in 0..3u8 {
        let parts = [Bytes::from(vec![n; 100])];
        let (place, durable) = store.append(ANN, Uuid::nil(), &parts, Durability::Written).unwrap();
        durable.wait().unwrap();
        places.push(place);
    }
    // A copy of the folder as it is now, as if the process had died, and then a torn end.
    let open = scene.files().pop().unwrap();
    assert_eq!(open.extension().unwrap(), "open");
    let bytes = fs::read(&open).unwrap();
    for cut in [0, 1, 100, 250, bytes.len() - 1, bytes.len()] {
        let crashed = Scene::new();
        let copy = crashed.dir().join(open.strip_prefix(scene.dir()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(&copy, &bytes[..cut]).unwrap();
        let store = crashed.open();
        let whole = cut / (bytes.len() / 3);
        for (n, place) in places.iter().enumerate() {
            let read = store.read(place);
            assert_eq!(read.is_ok(), n < whole, "cut at {cut}, {n}: {read:?}");
        }
        let (next, durable) =
            store.append(ANN, Uuid::nil(), &[Bytes::from("x")], Durability::Written).unwrap();
        durable.wait().unwrap();
        assert_eq!(store.read(&next).unwrap(), b"x");
        let check = Check { content: Some(&crashed.dir()), ..Check::default() };
        assert_eq!(verify(&check).unwrap().problems, [], "cut at {cut}");
        if whole > 0 {
            assert_eq!(next.segment, 2, "nothing is appended to what a crash left");
        }
    }
}

#[test]
fn rubbish_at_the_end_of_what_a_crash_left_open_is_cut_and_damage_before_it_stays() {
    let scene = Scene::new();
    let store = scene.open();
    let parts = [Bytes::from(vec![7; 100])];
    for _ in 0..3 {
        let (_, durable) = store.append(ANN, Uuid::nil(), &parts, Durability::Written).unwrap();
        durable.wait().unwrap();
    }
    let open = scene.files().pop().unwrap();
    let bytes = fs::read(&open).unwrap();
    let item = bytes.len() / 3;
    let problems_with = |damage: &dyn Fn(&mut Vec<u8>)| {
        let crashed = Scene::new();
        let copy = crashed.dir().join(open.strip_prefix(scene.dir()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        let mut left = bytes.clone();
        damage(&mut left);
        fs::write(&copy, left).unwrap();
        crashed.open().close().unwrap();
        let check = Check { content: Some(&crashed.dir()), ..Check::default() };
        verify(&check).unwrap().problems.len()
    };
    for from in (0..bytes.len()).step_by(23) {
        let zeros = problems_with(&|left| left[from..].fill(0));
        let rubbish = problems_with(&|left| left[from..].iter_mut().for_each(|it| *it ^= 0x5a));
        assert_eq!((zeros, rubbish), (0, 0), "from byte {from}");
    }
    for at in [0, 10, 70, item - 1, item, 2 * item - 1] {
        assert_eq!(problems_with(&|left| left[at] ^= 1), 1, "byte {at}");
    }
}

#[test]
fn the_queue_is_bounded_but_one_large_content_passes() {
    let scene = Scene::new();
    let store = scene.open_with(|options| options.queue_bytes = 1_000);
    let large = [Bytes::from(vec![1; 3_000_000])];
    let (_, first) = store.append(ANN, Uuid::nil(), &large, Durability::Written).unwrap();
    // The first may be written by now; of many at once some are refused.
    let more: Vec<_> =
        (0..50).map(|_| store.append(ANN, Uuid::nil(), &large, Durability::Written)).collect();
    let is_overload = |result: &Result<_, ContentError>| {
        matches!(result, Err(ContentError::Log(LogError::Overloaded)))
    };
    assert!(more.iter().any(is_overload));
    assert!(more.iter().all(|result| result.is_ok() || is_overload(result)));
    first.wait().unwrap();
    for (_, durable) in more.into_iter().flatten() {
        durable.wait().unwrap();
    }
    store.close().unwrap();
    let closed = store.append(ANN, Uuid::nil(), &large, Durability::Written);
    assert!(matches!(closed, Err(ContentError::Log(LogError::Closed))));
}

#[test]
fn equal_content_has_different_digests() {
    let parts = [Bytes::from("yes")];
    let (one, two) = (audit::digest(&parts), audit::digest(&parts));
    assert_ne!(one.sha256, two.sha256);
    assert_ne!(one.salt, two.salt);
    assert_eq!(one.len, 3);
}

struct Scene {
    world: World,
}

impl Scene {
    fn new() -> Self {
        Self { world: World::new() }
    }

    fn dir(&self) -> PathBuf {
        self.world.root().join("content")
    }

    fn open(&self) -> ContentStore {
        self.open_with(|_| {})
    }

    fn open_with(&self, adjust: impl FnOnce(&mut ContentOptions)) -> ContentStore {
        let mut options = ContentOptions {
            sync_every: Duration::from_millis(5),
            ..ContentOptions::new(self.dir())
        };
        adjust(&mut options);
        ContentStore::open(options, Arc::new(Keys::new()), Arc::new(RealClock::new())).unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = vec![];
        let mut folders = vec![self.dir()];
        while let Some(folder) = folders.pop() {
            for item in fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }
}
