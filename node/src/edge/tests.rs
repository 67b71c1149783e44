//! What is kept, how often the origin is asked, and what happens when it is away.

use std::path::Path;

use super::*;

const KEY: &str = "hls/v/g/720p/000001-0011223344556677.m4s";

fn options(folder: Option<&Path>, memory_bytes: u64) -> Options {
    Options {
        memory_bytes,
        disk: folder.map(|folder| Disk {
            folder: folder.to_owned(),
            budget_bytes: 1 << 20,
            reserve_bytes: 0,
        }),
        ahead: 0,
    }
}

async fn origin_with(objects: &[(&str, Vec<u8>)]) -> Origin {
    let origin = Origin::in_memory();
    for (key, bytes) in objects {
        origin.put(key, Bytes::from(bytes.clone())).await.unwrap();
    }
    origin
}

/// Waits for the writer in the background.
async fn until(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn what_was_read_once_is_kept() {
    let origin = origin_with(&[("a", b"one".to_vec()), ("large", vec![0; 1000])]).await;
    let edge = Edge::in_memory(origin.clone(), 4000);
    assert_eq!(&edge.get("a").await.unwrap()[..], b"one");
    origin.delete("a").await.unwrap();
    assert_eq!(&edge.get("a").await.unwrap()[..], b"one");
    assert!(matches!(edge.get("b").await, Err(Error::NotFound)));
    for _ in 0..2 {
        let large = edge.get("large").await;
        assert!(matches!(large, Err(Error::TooLarge { size_bytes: 1000 })));
    }
    assert!(lock(&edge.inner.reads).is_empty());
}

#[tokio::test]
async fn memory_stays_within_its_budget() {
    let origin = Origin::in_memory();
    let edge = Edge::in_memory(origin.clone(), 100_000);
    for number in 0..100 {
        let key = format!("object-{number}");
        origin.put(&key, Bytes::from(vec![0; 5000])).await.unwrap();
        edge.get(&key).await.unwrap();
        assert!(edge.used_bytes().0 <= 100_000);
    }
    assert!(edge.used_bytes().0 > 80_000);
}

#[tokio::test]
async fn a_crowd_asks_the_origin_once() {
    let data = tempfile::tempdir().unwrap();
    let origin = Origin::open("file://./origin", data.path()).unwrap();
    origin
        .put(KEY, Bytes::from_static(b"segment"))
        .await
        .unwrap();
    let edge = Edge::in_memory(origin, 1 << 20);
    let crowd = (0..100).map(|_| edge.get(KEY));
    let crowd: Vec<_> = futures::future::join_all(crowd).await;
    assert!(
        crowd
            .iter()
            .all(|got| got.as_deref().unwrap() == b"segment")
    );
    assert_eq!(edge.inner.asked.load(Ordering::Relaxed), 1);
    assert!(lock(&edge.inner.reads).is_empty());
}

#[tokio::test]
async fn a_viewer_who_leaves_does_not_take_the_read_with_him() {
    let origin = origin_with(&[(KEY, b"segment".to_vec())]).await;
    let edge = Edge::in_memory(origin, 1 << 20);
    let mut viewer = Box::pin(edge.get(KEY));
    assert!(futures::poll!(&mut viewer).is_pending());
    drop(viewer);
    until(|| edge.inner.memory.contains_key(KEY)).await;
}

#[tokio::test]
async fn an_outage_costs_nothing_that_is_cached() {
    let data = tempfile::tempdir().unwrap();
    let cache = data.path().join("cache");
    let origin = Origin::open("file://./origin", data.path()).unwrap();
    let objects: Vec<String> = (0..20).map(|n| format!("hls/v/g/720p/{n}.m4s")).collect();
    for key in &objects {
        origin.put(key, Bytes::from(vec![7; 10_000])).await.unwrap();
    }
    // Memory has room for a few of them only.
    let edge = Edge::open(origin.clone(), options(Some(&cache), 100_000)).unwrap();
    for (done, key) in (1..).zip(&objects) {
        edge.get(key).await.unwrap();
        until(|| edge.inner.shelf.as_ref().unwrap().used_bytes() >= done * 10_000).await;
    }
    std::fs::remove_dir_all(data.path().join("origin")).unwrap();
    std::fs::write(data.path().join("origin"), "no folder any more").unwrap();
    for key in &objects {
        assert_eq!(edge.get(key).await.unwrap().len(), 10_000);
    }
    let missing = edge.get("hls/v/g/720p/99.m4s").await;
    assert!(matches!(missing, Err(Error::Away(_))), "{missing:?}");
    // Another process finds them again.
    drop(edge);
    let edge = Edge::open(origin, options(Some(&cache), 100_000)).unwrap();
    until(|| edge.used_bytes().1 >= 200_000).await;
    for key in &objects {
        assert_eq!(edge.get(key).await.unwrap().len(), 10_000);
    }
}

#[tokio::test]
async fn a_damaged_file_is_fetched_again() {
    let data = tempfile::tempdir().unwrap();
    let origin = origin_with(&[(KEY, b"a segment of some length".to_vec())]).await;
    let shelf = || options(Some(data.path()), 1 << 20);
    let edge = Edge::open(origin.clone(), shelf()).unwrap();
    edge.get(KEY).await.unwrap();
    until(|| edge.used_bytes().1 > 0).await;
    let file = std::fs::read_dir(data.path()).unwrap().next().unwrap();
    let path = file.unwrap().path();
    for change in [0, 40] {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[change] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let edge = Edge::open(origin.clone(), shelf()).unwrap();
        until(|| edge.used_bytes().1 > 0).await;
        assert_eq!(
            &edge.get(KEY).await.unwrap()[..],
            b"a segment of some length"
        );
        until(|| path.exists()).await;
    }
}

#[tokio::test]
async fn the_disk_stays_within_its_budget_and_half_files_go() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("7.part"), "half").unwrap();
    std::fs::write(data.path().join("stranger"), "what is this").unwrap();
    let origin = Origin::in_memory();
    let mut options = options(Some(data.path()), 1 << 20);
    options.disk.as_mut().unwrap().budget_bytes = 200_000;
    let edge = Edge::open(origin.clone(), options).unwrap();
    until(|| std::fs::read_dir(data.path()).unwrap().count() == 0).await;
    for number in 0..30 {
        edge.keep(&format!("hls/{number}"), &Bytes::from(vec![number; 20_000]));
        until(|| edge.inner.shelf.as_ref().unwrap().used_bytes() <= 200_000).await;
    }
    let on_disk = || -> u64 {
        let files = std::fs::read_dir(data.path()).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    };
    until(|| on_disk() > 100_000 && on_disk() <= 200_000).await;
}

#[tokio::test]
async fn what_follows_is_there_before_it_is_asked_for() {
    let names = ["a", "b", "c", "d"].map(|name| format!("hls/v/g/720p/{name}.m4s"));
    let objects: Vec<_> = names
        .iter()
        .map(|key| (key.as_str(), b"x".to_vec()))
        .collect();
    let origin = origin_with(&objects).await;
    let mut options = options(None, 1 << 20);
    options.ahead = 2;
    let edge = Edge::open(origin, options).unwrap();
    let list = Bytes::from_static(b"#EXTM3U\na.m4s\nb.m4s\nc.m4s\nd.m4s\n");
    edge.learn("hls/v/g/720p", &list);
    let has = |number: usize| edge.inner.memory.contains_key(&names[number]);
    edge.segment(&names[0]).await.unwrap();
    until(|| has(1) && has(2)).await;
    assert!(!has(3));
    // A hit leads on as well.
    edge.segment(&names[1]).await.unwrap();
    until(|| has(3)).await;
}

#[tokio::test]
async fn what_this_node_made_needs_no_origin() {
    let edge = Edge::in_memory(Origin::in_memory(), 1 << 20);
    edge.keep(KEY, &Bytes::from_static(b"made here"));
    assert_eq!(&edge.get(KEY).await.unwrap()[..], b"made here");
}
