//! The origin over a folder, memory, and a store that is away.

use super::*;

const HEADERS: Headers = Headers {
    content_type: "video/mp4",
    cache_control: "public",
};

#[tokio::test]
async fn a_folder_keeps_what_was_put() {
    let data = tempfile::tempdir().unwrap();
    let origin = Origin::open("file://./origin", data.path()).unwrap();
    let key = "hls/v/g/1080p/000000-0011223344556677.m4s";
    let bytes = Bytes::from_static(b"0123456789");
    let written = origin.put_with(key, bytes, HEADERS).await.unwrap();
    let origin = Origin::open("file://./origin", data.path()).unwrap();
    assert!(origin.head(key).await.unwrap().unwrap().is(&written));
    assert_eq!(origin.size(key).await.unwrap(), Some(10));
    assert_eq!(&origin.get(key, 10).await.unwrap()[..], b"0123456789");
    assert!(matches!(
        origin.get(key, 9).await,
        Err(Error::TooLarge { size_bytes: 10, .. })
    ));
    let part = origin.open_object(key, Some(2..5)).await.unwrap();
    assert_eq!((part.size_bytes, part.range), (10, 2..5));
    let bytes: Vec<Bytes> = part.stream.try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"234");
    let list = origin.list("hls/v").await.unwrap();
    assert_eq!(list.into_iter().collect::<Vec<_>>(), [(key.to_owned(), 10)]);
    let walked: Vec<Found> = origin.walk("hls").unwrap().try_collect().await.unwrap();
    assert_eq!((walked[0].key.as_str(), walked[0].size_bytes), (key, 10));
    origin.delete(key).await.unwrap();
    origin.delete(key).await.unwrap();
    origin.delete_all([key.to_owned()]).await.unwrap();
    assert!(origin.get(key, 10).await.unwrap_err().is_not_found());
    assert!(origin.list("hls/v").await.unwrap().is_empty());
}

#[tokio::test]
async fn no_key_leads_out_of_the_origin() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("secret"), "s").unwrap();
    let origin = Origin::open("file://./origin", data.path()).unwrap();
    for key in ["../secret", "a/../../secret", "a//b", "./secret", "a\0b"] {
        assert!(origin.get(key, 10).await.is_err(), "{key:?}");
    }
}

#[test]
fn other_urls_are_refused() {
    let data = tempfile::tempdir().unwrap();
    for url in ["", "s3://", "file://", "file://../x", "http://h/", "/x"] {
        assert!(Origin::open(url, data.path()).is_err(), "{url:?}");
    }
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_replaced() {
    let origin = Origin::in_memory();
    let put = |text: &'static str, standing| {
        origin.replace("k", Bytes::from_static(text.as_bytes()), HEADERS, standing)
    };
    assert!(put("one", None).await.unwrap());
    assert!(!put("other", None).await.unwrap());
    let standing = origin.head("k").await.unwrap();
    assert!(put("two", standing.clone()).await.unwrap());
    assert!(!put("three", standing).await.unwrap());
    assert_eq!(&origin.get("k", 9).await.unwrap()[..], b"two");
}

#[tokio::test]
async fn a_large_file_goes_in_parts() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("film");
    std::fs::write(&file, vec![7; (17 << 20) + 3]).unwrap();
    for origin in [
        Origin::in_memory(),
        Origin::open("file://./origin", data.path()).unwrap(),
    ] {
        let written = origin.put_file("a/film", &file, HEADERS).await.unwrap();
        let stored = origin.head("a/film").await.unwrap().unwrap();
        assert_eq!(stored.size_bytes, (17 << 20) + 3);
        assert!(stored.is(&written));
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_trouble_until_it_answers() {
    let data = tempfile::tempdir().unwrap();
    let section = config::Origin {
        url: "s3://films".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        retries: 0,
        ..config::Origin::default()
    };
    let origin = Origin::from_section(&section, data.path(), &|name| {
        name.starts_with("AWS_").then(|| "x".to_owned())
    })
    .unwrap();
    let error = origin.put("a", Bytes::new()).await.unwrap_err();
    assert!(error.is_outage());
    let text = error.to_string();
    assert!(text.starts_with("cannot write a in the origin: "), "{text}");
    assert!(text.ends_with("mend origin.endpoint"), "{text}");
    assert_eq!(origin.trouble().borrow().as_deref(), Some(text.as_str()));
}

#[test]
fn an_address_that_is_none_is_refused_before_the_client_panics() {
    let data = tempfile::tempdir().unwrap();
    for (endpoint, addressing) in [
        ("http://127.0.0.1:9000", config::Addressing::Host),
        ("https://[::1", config::Addressing::Path),
        ("https://a:b:c", config::Addressing::Path),
    ] {
        for url in ["s3://films", "az://films", "gs://films"] {
            let section = config::Origin {
                url: url.to_owned(),
                endpoint: endpoint.to_owned(),
                addressing,
                ..config::Origin::default()
            };
            match Origin::from_section(&section, data.path(), &|_| None) {
                Err(error) => assert!(error.to_string().contains("origin.endpoint"), "{error}"),
                Ok(_) => assert!(!url.starts_with("s3") && addressing == config::Addressing::Host),
            }
        }
    }
}
