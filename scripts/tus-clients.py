"""tuspy, unmodified, against a running node: what it uploads must come back byte for byte.

    python scripts/tus-clients.py BASE_URL
"""

import hashlib
import io
import json
import os
import sys
import urllib.request

from tusclient import client
from tusclient.exceptions import TusCommunicationError

MIB = 1024 * 1024
base = sys.argv[1].rstrip("/")
endpoint = f"{base}/api/v1/uploads"
token = os.environ.get("REELMESH_TOKEN")
headers = {"Authorization": f"Bearer {token}"} if token else {}
content = os.urandom(5 * MIB + 999)
failed = 0


def ask(method, path, extra=None):
    request = urllib.request.Request(f"{base}{path}", method=method, headers={**headers, **(extra or {})})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, answer.read()


def expect_video(url, expected):
    """The upload at `url` is a video whose original is `expected`."""
    found, _ = ask("HEAD", url.removeprefix(base), {"Tus-Resumable": "1.0.0"})
    video = found["Reelmesh-Video-Id"]
    assert video, "no video"
    _, original = ask("GET", f"/api/v1/videos/{video}/original")
    assert hashlib.sha256(original).digest() == hashlib.sha256(expected).digest(), "came back with other bytes"
    ask("DELETE", f"/api/v1/videos/{video}")


def check(name, run):
    global failed
    try:
        run()
        print(f"ok    tuspy: {name}")
    except Exception as error:  # Each case is told, whatever went wrong.
        failed += 1
        print(f"FAIL  tuspy: {name}: {error!r}")


def uploader(data=content, **options):
    each = client.TusClient(endpoint, headers=dict(headers))
    return each.uploader(file_stream=io.BytesIO(data), metadata={"filename": "tuspy.bin"}, **options)


def whole(**options):
    def run():
        each = uploader(**options)
        each.upload()
        expect_video(each.url, content)

    return run


def without_metadata():
    each = client.TusClient(endpoint, headers=dict(headers)).uploader(file_stream=io.BytesIO(content))
    each.upload()
    expect_video(each.url, content)


def resumed():
    first = uploader(chunk_size=MIB)
    first.upload_chunk()
    first.upload_chunk()
    second = uploader(chunk_size=MIB, url=first.url)
    assert second.offset == 2 * MIB, f"offset {second.offset}"
    second.upload()
    expect_video(second.url, content)


def refused():
    try:
        uploader(data=b"").upload()
    except TusCommunicationError as error:
        body = error.response_content
        assert json.loads(body)["code"] == "empty_file", body
    else:
        raise AssertionError("an empty file was taken")


check("one request", whole())
check("pieces of 1 MiB", whole(chunk_size=MIB))
check("pieces with checksums", whole(chunk_size=MIB, upload_checksum=True))
check("without metadata", without_metadata)
check("stopped and gone on with", resumed)
check("a refusal is told in words", refused)
sys.exit(1 if failed else 0)
