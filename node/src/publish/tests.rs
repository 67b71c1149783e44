//! Publishing over a store in memory: what is put, in which order, and what crashes leave.

use std::time::Duration;

use bytes::Bytes;
use coordinator::catalog::Command;
use coordinator::catalog::video::Status;
use coordinator::raft::Handle;
use protocol::id::{GenerationId, VideoId};
use protocol::job::Unit;
use protocol::media::Resolution;
use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Faulty};
use super::hls::names;
use super::hls::names::Kind;
use super::service::{unit_folder, wanted};
use super::{Keep, Options, Service, fixture, uploader};
use crate::origin::Origin;

struct Setup {
    outbox: tempfile::TempDir,
    catalog: Handle,
    origin: Origin,
    video: VideoId,
    generation: GenerationId,
}

async fn setup() -> Setup {
    let outbox = tempfile::tempdir().unwrap();
    let catalog = fixture::library().await;
    let (video, generation) = fixture::probed(&catalog, 1, "a.mov", b"original").await;
    fixture::render(&catalog, video, outbox.path()).await;
    Setup {
        outbox,
        catalog,
        origin: Origin::in_memory(),
        video,
        generation,
    }
}

impl Setup {
    fn service(&self) -> Service {
        let options = Options {
            outbox: self.outbox.path().to_owned(),
            retired_grace: Duration::ZERO,
            growing: true,
            keep: Keep::default(),
        };
        Service::new(options, self.catalog.clone(), self.origin.clone())
    }

    async fn keys(&self) -> Vec<String> {
        let base = names::folder(self.video, self.generation);
        let keys = self.origin.list(&base).await.unwrap();
        keys.into_keys()
            .map(|key| key[base.len() + 1..].to_owned())
            .collect()
    }

    fn status(&self) -> Status {
        self.catalog.read(|c| c.video(self.video).unwrap().status)
    }
}

#[tokio::test]
async fn a_rendered_video_is_published_and_its_outbox_emptied() {
    let setup = setup().await;
    let mut service = setup.service();
    assert!(service.reconcile().await.fine);
    assert!(
        setup
            .keys()
            .await
            .iter()
            .all(|key| Kind::of(key) != Some(Kind::Playlist))
    );
    assert_eq!(setup.status(), Status::Rendering);
    assert!(service.reconcile().await.fine);
    assert_eq!(setup.status(), Status::Ready);
    let key = names::key(setup.video, setup.generation, "1080p/media.m3u8");
    let text = setup.origin.get(&key, 1 << 20).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.contains("#EXTINF:2.002000,\n000000-"), "{text}");
    let keys = setup.keys().await;
    for wanted in [
        "master.m3u8",
        "720p/media.m3u8",
        "audio/media.m3u8",
        "units/piece-0000.json",
        "units/stills.json",
    ] {
        assert!(keys.iter().any(|key| key == wanted), "{wanted} in {keys:?}");
    }
    let generation = setup.outbox.path().join(setup.generation.to_string());
    assert_eq!(std::fs::read_dir(&generation).unwrap().count(), 0);
    service.tidy().await.unwrap();
    assert!(!generation.exists());
}

#[tokio::test]
async fn files_are_kept_for_viewers_as_they_are_put() {
    let setup = setup().await;
    let mut service = setup.service();
    let kept: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::default();
    let heard = std::sync::Arc::clone(&kept);
    service.options.keep = Keep::new(move |key, bytes| {
        assert!(!bytes.is_empty());
        heard.lock().unwrap().push(key.to_owned());
    });
    service.reconcile().await;
    let kept = kept.lock().unwrap();
    let base = names::folder(setup.video, setup.generation);
    let first = format!("{base}/1080p/000000-");
    assert!(kept.iter().any(|key| key.starts_with(&first)));
    // A list of files may be written by several nodes until the catalogue names one.
    let hashed = |key: &String| names::hash_in(key).is_some();
    assert!(kept.iter().all(hashed), "{kept:?}");
}

#[tokio::test]
async fn a_crash_between_any_two_steps_is_made_good() {
    let setup = setup().await;
    let mut service = setup.service();
    let wanted = setup.catalog.read(|c| wanted(c, fixture::ME, true));
    // Killed after the files were put, before the catalogue was told; one file was cut short.
    for (generation, unit, _) in &wanted.units {
        let folder = unit_folder(setup.outbox.path(), generation.id, *unit);
        let keep = Keep::default();
        uploader::upload(
            &setup.origin,
            setup.video,
            setup.generation,
            *unit,
            &folder,
            &keep,
        )
        .await
        .unwrap();
    }
    let keys = setup.keys().await;
    let segment = keys
        .iter()
        .find(|key| Kind::of(key) == Some(Kind::Segment))
        .unwrap();
    let key = names::key(setup.video, setup.generation, segment);
    let whole = setup.origin.size(&key).await.unwrap();
    setup
        .origin
        .put(&key, Bytes::from_static(b"cut"))
        .await
        .unwrap();
    service.reconcile().await;
    service.reconcile().await;
    assert_eq!(setup.status(), Status::Ready);
    assert_eq!(setup.origin.size(&key).await.unwrap(), whole);
}

#[tokio::test]
async fn a_lost_or_damaged_outbox_means_to_do_the_work_again() {
    for damage in [true, false] {
        let setup = setup().await;
        let folder = unit_folder(setup.outbox.path(), setup.generation, Unit::Stills);
        if damage {
            let still = std::fs::read_dir(&folder).unwrap().find_map(|entry| {
                let path = entry.unwrap().path();
                (path.extension()? == "jpg").then_some(path)
            });
            std::fs::write(still.unwrap(), "something else altogether, and long").unwrap();
        } else {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        let mut service = setup.service();
        service.reconcile().await;
        let again = fixture::waiting(&setup.catalog, setup.video);
        assert_eq!(again.len(), 1, "the posters are made again");
        // Not at once; a person need not wait.
        let job = again[0].0;
        setup
            .catalog
            .propose(Command::RetryJob { job })
            .await
            .unwrap();
        fixture::render(&setup.catalog, setup.video, setup.outbox.path()).await;
        service.reconcile().await;
        service.reconcile().await;
        assert_eq!(setup.status(), Status::Ready);
    }
}

#[tokio::test]
async fn a_deleted_video_leaves_nothing_in_the_origin() {
    let setup = setup().await;
    let mut service = setup.service();
    service.reconcile().await;
    service.reconcile().await;
    let delete = Command::DeleteVideo { video: setup.video };
    setup.catalog.propose(delete).await.unwrap();
    service.options.retired_grace = Duration::from_hours(1);
    assert!(service.reconcile().await.fine);
    let keys = setup.keys().await;
    assert!(
        !keys.is_empty() && keys.iter().all(|key| Kind::of(key) != Some(Kind::Playlist)),
        "{keys:?}"
    );
    service.options.retired_grace = Duration::ZERO;
    assert!(service.reconcile().await.fine);
    assert!(setup.keys().await.is_empty());
    assert!(
        setup
            .catalog
            .read(|c| c.generation(setup.generation).is_none())
    );
}

#[tokio::test]
async fn the_loop_stops_when_told() {
    let setup = setup().await;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(setup.service().run(shutdown.clone()));
    let mut changes = setup.catalog.changes();
    while setup.status() != Status::Ready {
        changes.changed().await.unwrap();
    }
    shutdown.cancel();
    running.await.unwrap();
}

/// One life of a node: renders what is left, publishes until it is killed or done.
async fn live(
    catalog: &Handle,
    video: VideoId,
    outbox: &std::path::Path,
    origin: &Origin,
    until: impl Fn(&coordinator::catalog::Catalog) -> bool,
) -> bool {
    let options = Options {
        outbox: outbox.to_owned(),
        retired_grace: Duration::ZERO,
        growing: true,
        keep: Keep::default(),
    };
    let mut service = Service::new(options, catalog.clone(), origin.clone());
    for _ in 0..20 {
        if catalog.read(&until) {
            return true;
        }
        // A piece more each time, so that playlists grow.
        let pieces = fixture::waiting(catalog, video);
        let next = pieces.iter().find_map(|(_, kind)| match kind {
            coordinator::catalog::job::Kind::Unit { unit, .. } => Some(*unit),
            coordinator::catalog::job::Kind::Probe => None,
        });
        if let Some(next) = next {
            fixture::render_some(catalog, video, outbox, |unit| unit == next).await;
        }
        if !service.reconcile().await.fine {
            return false;
        }
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    panic!("it goes on for ever");
}

/// Kills a node at every call to the store there is, in three ways, and starts another. At no
/// moment a playlist names what is not there, and in the end all is.
#[tokio::test(start_paused = true)]
async fn killed_at_any_call_it_goes_on_and_no_viewer_sees_half() {
    // Half a minute would be tried for half a minute.
    let mut probe = fixture::long_probe();
    (probe.video.frames, probe.video.duration_ns) = (450, 15_015_000_000);
    probe.video.display = Resolution {
        width: 640,
        height: 360,
    };
    probe.video.coded = probe.video.display;
    for (conditional_put, fault) in [
        (true, Fault::Before),
        (false, Fault::After),
        (true, Fault::Cut),
    ] {
        let mut at = usize::from(fault == Fault::Cut);
        loop {
            let outbox = tempfile::tempdir().unwrap();
            let catalog = fixture::library().await;
            let (video, generation) =
                fixture::probed_as(&catalog, 1, "a.mov", b"original", probe.clone()).await;
            let store = Faulty::default();
            let origin = Origin::over(std::sync::Arc::new(store.clone()), conditional_put);
            let ready =
                |c: &coordinator::catalog::Catalog| c.video(video).unwrap().status == Status::Ready;
            store.fail_at(at, fault);
            live(&catalog, video, outbox.path(), &origin, ready).await;
            let failed = store.heal();
            assert!(live(&catalog, video, outbox.path(), &origin, ready).await);
            // The same while it is deleted.
            let delete = Command::DeleteVideo { video };
            catalog.propose(delete).await.unwrap();
            let gone = |c: &coordinator::catalog::Catalog| c.generation(generation).is_none();
            store.fail_at(at, fault);
            live(&catalog, video, outbox.path(), &origin, gone).await;
            let failed = store.heal() || failed;
            assert!(live(&catalog, video, outbox.path(), &origin, gone).await);
            assert_eq!(store.broken(), Vec::<String>::new(), "call {at}, {fault:?}");
            let left = origin.list("hls").await.unwrap();
            assert!(left.is_empty(), "call {at}, {fault:?}: {left:?}");
            if !failed {
                break;
            }
            at += 1;
        }
        assert!(at > 30, "only {at} calls were tried");
    }
}

#[tokio::test]
async fn the_crawl_sees_what_a_playlist_names_and_is_not_there() {
    let store = Faulty::default();
    let origin = Origin::over(std::sync::Arc::new(store.clone()), true);
    let text = "#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:1,\ns.m4s\n";
    origin.put("g/s.m4s", Bytes::new()).await.unwrap();
    origin.put("g/media.m3u8", Bytes::from(text)).await.unwrap();
    assert_eq!(
        store.broken(),
        ["after put g/media.m3u8, g/media.m3u8 names i.mp4"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_origin_shows_a_video_while_it_is_rendered() {
    let outbox = tempfile::tempdir().unwrap();
    let catalog = fixture::library().await;
    let probe = fixture::long_probe();
    let (video, generation) = fixture::probed_as(&catalog, 1, "a.mov", b"original", probe).await;
    let origin = Origin::in_memory();
    let options = Options {
        outbox: outbox.path().to_owned(),
        retired_grace: Duration::ZERO,
        growing: true,
        keep: Keep::default(),
    };
    let mut service = Service::new(options, catalog.clone(), origin.clone());
    let media = names::key(video, generation, "720p/media.m3u8");
    let first = |unit| matches!(unit, Unit::Piece(0) | Unit::Audio);
    fixture::render_some(&catalog, video, outbox.path(), first).await;
    for _ in 0..2 {
        service.reconcile().await;
    }
    let text = origin.get(&media, 1 << 20).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(
        text.contains("EVENT") && !text.contains("ENDLIST"),
        "{text}"
    );
    let segments = text.matches("#EXTINF").count();
    // One more piece, but the last write was a moment ago.
    let second = |unit| unit == Unit::Piece(1);
    fixture::render_some(&catalog, video, outbox.path(), second).await;
    service.reconcile().await;
    let soon = service.reconcile().await;
    let same = origin.get(&media, 1 << 20).await.unwrap();
    assert_eq!(std::str::from_utf8(&same).unwrap(), text);
    assert!(format!("{soon:?}").contains("soon: Some"), "{soon:?}");
    tokio::time::advance(Duration::from_secs(3)).await;
    service.reconcile().await;
    let more = origin.get(&media, 1 << 20).await.unwrap();
    let more = std::str::from_utf8(&more).unwrap();
    assert!(more.matches("#EXTINF").count() > segments, "{more}");
    fixture::render(&catalog, video, outbox.path()).await;
    for _ in 0..3 {
        service.reconcile().await;
    }
    let whole = origin.get(&media, 1 << 20).await.unwrap();
    let whole = std::str::from_utf8(&whole).unwrap();
    assert!(
        whole.contains("ENDLIST") && !whole.contains("EVENT"),
        "{whole}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_loses_no_publication_and_is_not_asked_for_each_unit() {
    let setup = setup().await;
    let store = Faulty::default();
    let origin = Origin::over(std::sync::Arc::new(store.clone()), true);
    let options = Options {
        outbox: setup.outbox.path().to_owned(),
        retired_grace: Duration::ZERO,
        growing: true,
        keep: Keep::default(),
    };
    store.fail_at(0, Fault::Before);
    let shutdown = CancellationToken::new();
    let service = Service::new(options, setup.catalog.clone(), origin.clone());
    let running = tokio::spawn(service.run(shutdown.clone()));
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(setup.status(), Status::Rendering);
    let trouble = origin.trouble().borrow().clone().unwrap();
    assert!(trouble.contains("HTTP 503"), "{trouble}");
    assert!(store.heal());
    let mut changes = setup.catalog.changes();
    while setup.status() != Status::Ready {
        changes.changed().await.unwrap();
    }
    assert_eq!(*origin.trouble().borrow(), None);
    shutdown.cancel();
    running.await.unwrap();
}
