"""URIs and keys: one grammar, and one sentence for each way to miss it."""

from pathlib import Path

import pytest

from voice_store import InvalidKey, InvalidUri, StoreUri, check_key


@pytest.mark.parametrize(
    ("text", "bucket", "segments", "written"),
    [
        ("s3://voices", "voices", (), "s3://voices"),
        ("s3://voices/", "voices", (), "s3://voices"),
        ("s3://voices/a/b c/ü", "voices", ("a", "b c", "ü"), "s3://voices/a/b c/ü"),
        ("s3://my.bucket-1/a/", "my.bucket-1", ("a",), "s3://my.bucket-1/a"),
        ("s3://voices/100%", "voices", ("100%",), "s3://voices/100%"),
        ("file:///srv/with%20space/%C3%BC/", "", ("srv", "with space", "ü"), "file:///srv/with%20space/%C3%BC"),
        ("file:///srv/plain space", "", ("srv", "plain space"), "file:///srv/plain%20space"),
        ("file:///50%25", "", ("50%",), "file:///50%25"),
        ("file:///", "", (), "file:///"),
    ],
)
def test_a_uri_is_taken_apart_and_put_together(text: str, bucket: str, segments: tuple[str, ...], written: str) -> None:
    uri = StoreUri.parse(text)
    assert (uri.bucket, uri.segments, str(uri)) == (bucket, segments, written)
    assert StoreUri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not begin with s3:// or file://"),
        ("relative/path", "does not begin with"),
        ("/srv/voices", "does not begin with"),
        ("gs://bucket/x", "does not begin with"),
        ("S3://bucket/x", "does not begin with"),
        ("s3:/bucket/x", "does not begin with"),
        ("file:/srv", "does not begin with"),
        ("s3://", "has no bucket"),
        ("s3:///x", "has no bucket"),
        ("s3://b/x", "has the bucket name 'b'"),
        ("s3://Voices/x", "has the bucket name 'Voices'"),
        ("s3://voi_ces/x", "has the bucket name"),
        ("s3://-voices/x", "has the bucket name"),
        ("s3://vo..ices", "has the bucket name"),
        ("s3://vo.-ices", "has the bucket name"),
        ("s3://192.168.1.1/x", "is no IP address"),
        ("s3://" + "b" * 64, "has the bucket name"),
        ("s3://host.example:9000/voices", "has a port; a server's address belongs in AWS_ENDPOINT_URL_S3"),
        ("s3://voices/x?versionId=1", "has a query"),
        ("s3://voices/x#top", "has a fragment"),
        ("s3://voices/a/../b", "has a segment . or .."),
        ("s3://voices/./b", "has a segment . or .."),
        ("s3://voices/..", "has a segment . or .."),
        ("s3://voices//b", "has an empty segment"),
        ("s3://voices//", "has an empty segment"),
        ("s3://voices/a//", "has an empty segment"),
        ("s3://voices/a\\b", "has a backslash"),
        ("s3://voices/a\nb", "has a character that cannot be printed"),
        ("s3://voices/a\x00b", "has a character that cannot be printed"),
        ("s3://voices/a\u2028b", "has a character that cannot be printed"),
        ("s3://voices/a\ud800b", "has a character that cannot be printed"),
        ("s3://voices/a%20b", "has a percent-encoding; write the character itself"),
        ("s3://voices/%2e%2e/b", "has a percent-encoding"),
        ("s3://voices/" + "k" * 1025, "has 1025 bytes, at most 1024 are allowed"),
        ("s3://voices/" + "ü" * 513, "has 1026 bytes"),
        ("s3://voices/" + "k" * 5000, "characters, at most 4096 are allowed"),
        ("file://host/srv", "names the host 'host'"),
        ("file://", "has no absolute folder"),
        ("file:///srv/%2e%2e/etc", "has a segment . or .."),
        ("file:///srv/a%2Fb", "has an encoded slash"),
        ("file:///srv/a%00b", "has a character that cannot be printed"),
        ("file:///srv/a%0Ab", "has a character that cannot be printed"),
        ("file:///srv/%FF", "that is no UTF-8"),
        ("file:///srv/100%", "has a % that begins no percent-encoding"),
        ("file:///srv/a%5Cb", "has a backslash"),
    ],
)
def test_what_is_no_uri_is_refused_with_value_fault_and_both_forms(text: str, problem: str) -> None:
    with pytest.raises(InvalidUri) as caught:
        StoreUri.parse(text)
    sentence = str(caught.value)
    assert problem in sentence
    assert repr(text[:20])[1:-1].split("\\ud8")[0] in sentence
    assert sentence.endswith("use s3://bucket/prefix or file:///absolute/folder")
    assert sentence.isprintable()
    assert len(sentence) < 700


def test_a_password_in_a_uri_is_not_repeated() -> None:
    with pytest.raises(InvalidUri, match="has a user name; keys belong in AWS_ACCESS_KEY_ID") as caught:
        StoreUri.parse("s3://AKIA:hunter2@voices/x")
    assert "hunter2" not in str(caught.value)


def test_uris_are_joined_and_have_parents() -> None:
    uri = StoreUri.parse("s3://voices/studio")
    assert str(uri.join("alice/1", "manifest.json")) == "s3://voices/studio/alice/1/manifest.json"
    assert uri / "alice" == StoreUri.parse("s3://voices/studio/alice")
    assert (uri / "alice").parent == uri
    assert (uri / "alice").name == "alice"
    assert uri.parent.parent == StoreUri.parse("s3://voices")
    assert (uri.prefix, uri.parent.prefix, uri.parent.name) == ("studio", "", "")
    assert len({uri, StoreUri.parse("s3://voices/studio/")}) == 1
    with pytest.raises(InvalidKey):
        uri.join("../other-tenant")


def test_a_folder_has_a_uri(tmp_path: Path) -> None:
    uri = StoreUri.of_folder(tmp_path / "mit Umlaut ü & 100%")
    assert uri.path == tmp_path / "mit Umlaut ü & 100%"
    assert StoreUri.parse(str(uri)) == uri
    with pytest.raises(InvalidUri, match="is no local folder"):
        _ = StoreUri.parse("s3://voices").path


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "", "a//b", "a/", "./a", "a\\..\\b", "a\x00b", "a\nb", "k" * 1025]
)
def test_a_key_that_is_no_plain_relative_path_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey, match=r"use a path such as clips/0001\.flac"):
        check_key(key)


@pytest.mark.parametrize("key", ["a", "clips/0001.flac", "ü/长/x y", "100%25", "..a/b..", "k" * 1024])
def test_other_keys_are_keys(key: str) -> None:
    assert check_key(key) == key
