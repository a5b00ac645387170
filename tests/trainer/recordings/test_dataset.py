"""Lists and files are matched whatever people call them; what does not match is named."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from voice_store import open_store
from voice_trainer.errors import BadData
from voice_trainer.recordings.dataset import Dataset, read_dataset
from voice_trainer.recordings.fetching import DatasetDigest
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.names import id_of

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café01") for form in ("NFC", "NFD"))

Read = Callable[..., tuple[Dataset, list[tuple[str, str]], list[tuple[str, str]]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a dataset of empty sound files; returns it, the refusals and the warnings."""

    def run(texts: dict[str, str | bytes], *sounds: str, language: str = "en") -> tuple[Dataset, list, list]:
        for name, content in {**texts, **dict.fromkeys(sounds, b"")}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        findings = FindingList()
        dataset = read_dataset(open_store(tmp_path.as_uri()), DatasetDigest(), findings, language)
        said = {"refusal": [], "warning": []}
        for one in findings.found:
            said[one.severity].append((one.reason, one.sentence))
        return dataset, said["refusal"], said["warning"]

    return run


@pytest.mark.parametrize(
    ("named", "file", "clip"),
    [
        pytest.param("one", "wavs/one.wav", "one", id="an id"),
        pytest.param("one.wav", "wavs/one.wav", "one", id="an id with its extension"),
        pytest.param("wavs/one.wav", "wavs/one.wav", "one", id="a path in the dataset"),
        pytest.param("./wavs/one", "wavs/one.FLAC", "one", id="a path without extension"),
        pytest.param("one.wav", "wavs/one.flac", "one", id="converted since the list was written"),
        pytest.param("one", "one.m4a", "one", id="at the top level"),
        pytest.param("clips/one.opus", "clips/one.opus", "one", id="in another folder"),
        pytest.param("/data/out/one.wav", "wavs/one.wav", "one", id="a path of another machine"),
        pytest.param("D:\\voice\\sliced\\one.wav", "sliced/one.wav", "one", id="a path of Windows"),
        pytest.param("one.two", "wavs/one.two.wav", "one.two", id="a dot in the id"),
        pytest.param("New Recording (3)", "wavs/New Recording (3).m4a", "New_Recording_3_", id="blanks"),
        pytest.param(COMPOSED, f"wavs/{DECOMPOSED}.wav", COMPOSED, id="NFC in the list, NFD in the name"),
        pytest.param(DECOMPOSED, f"wavs/{COMPOSED}.wav", COMPOSED, id="NFD in the list, NFC in the name"),
        pytest.param("录音1", "wavs/录音1.wav", "录音1", id="Chinese"),
    ],
)
def test_a_clip_is_found_by_what_a_list_calls_it(read: Read, named: str, file: str, clip: str) -> None:
    dataset, refusals, warnings = read({"metadata.csv": f"{named}|Good morning.\n"}, file)
    assert (refusals, warnings) == ([], [])
    ((found),) = dataset.clips
    assert (found.id, found.text, found.key) == (clip, "Good morning.", file)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.txt", "metadata.list", "alice.list"])
def test_lists_are_found_by_their_names(read: Read, name: str) -> None:
    dataset, refusals, _ = read({name: "one|x|EN|Good morning."}, "wavs/one.wav")
    assert refusals == []
    assert dataset.shape == f"{name} has lines of path|speaker|language|text"


def test_a_folder_of_hugging_face_may_have_its_list_beside_the_clips_of_a_split(read: Read) -> None:
    rows = '{"file_name": "one.wav", "text": "x"}\n{"file_name": "parts/two.wav", "text": "y"}\n'
    dataset, refusals, warnings = read(
        {"data/train/metadata.jsonl": rows, "README.md": "#"}, "data/train/one.wav", "data/train/parts/two.wav"
    )
    assert (refusals, warnings) == ([], [])
    assert [clip.key for clip in dataset.clips] == ["data/train/one.wav", "data/train/parts/two.wav"]
    assert dataset.shape == "data/train/metadata.jsonl has lines of JSON lines with file_name and text"


def test_several_splits_are_refused(read: Read) -> None:
    lists = dict.fromkeys(("test/metadata.csv", "train/metadata.csv"), "file_name,text\none.wav,x\n")
    _, refusals, _ = read(lists, "train/one.wav")
    assert refusals[0] == (
        "SeveralLists",
        "'test/metadata.csv' and 'train/metadata.csv' both list clips; keep the one that is right",
    )


def test_what_was_recognised_is_one_sentence(read: Read) -> None:
    dataset, _, _ = read({"metadata.csv": "id|text\none|Good morning.".encode("utf-16")}, "wavs/one.wav")
    assert dataset.shape == "metadata.csv has lines of id and text; in UTF-16; its first line is a header"


@pytest.mark.parametrize(
    ("texts", "sounds", "reason", "said"),
    [
        ({"metadata.csv": "a|x"}, ("wavs/a.wav", "wavs/b.wav"), "ClipWithoutTranscript", "'wavs/b.wav' has no line"),
        ({"metadata.csv": "a|x"}, ("my/a.wav", "my/b.wav"), "ClipWithoutTranscript", "'my/b.wav' has no line"),
        ({"metadata.csv": "a|x\nb|y"}, ("wavs/a.wav",), "TranscriptWithoutClip", "no file wavs/b.wav, .flac"),
        ({"metadata.csv": "a|x"}, ("wavs/a.wav", "wavs/a.flac"), "DuplicateId", "have the same id; delete one"),
        ({"metadata.csv": "a|x\na.wav|y"}, ("wavs/a.wav",), "DuplicateId", "line 2 repeats the id 'a.wav' of line 1"),
        ({"metadata.csv": "../../etc/passwd|x"}, (), "InvalidClipId", "line 1 has the id '../../etc/passwd'"),
        ({"metadata.csv": "/etc/passwd|x"}, (), "InvalidClipId", "line 1 has the id '/etc/passwd'"),
        ({"metadata.csv": "../a.wav|x"}, ("a.wav",), "InvalidClipId", "line 1 has the id '../a.wav'"),
        ({"metadata.csv": "|x"}, (), "InvalidClipId", "line 1 has the id ''"),
        ({"metadata.csv": "a|"}, ("wavs/a.wav",), "EmptyTranscript", "line 1 has no text for 'a'"),
        ({"metadata.csv": "a|" + "x" * 1001}, ("wavs/a.wav",), "TranscriptTooLong", "1001 characters for 'a'"),
        ({"metadata.csv": "a|x", "b.list": "a|x"}, ("wavs/a.wav",), "SeveralLists", "keep the one that is right"),
        ({"metadata.csv": "a|x", "wavs/notes.txt": "x"}, ("wavs/a.wav",), "UnreadableClip", "'wavs/notes.txt' is no"),
        (
            {"a.list": "a.wav|alice|en|x\nb.wav|bob|en|y\nc.wav|bob|en|z"},
            ("a.wav", "b.wav", "c.wav"),
            "SeveralSpeakers",
            "a.list names 2 speakers: 'bob' (2), 'alice' (1); a voice has one",
        ),
        (
            {"a.list": "a.wav|alice|EN|x\nb.wav|alice|ZH|y"},
            ("a.wav", "b.wav"),
            "OtherLanguage",
            "a.list line 2 has the language 'zh', the voice has 'en'",
        ),
        ({"a.txt": "x"}, ("a.wav", "b.wav"), "TranscriptMissing", "'b.wav' has no text: put it beside"),
    ],
)  # fmt: skip
def test_what_does_not_match_is_named(
    read: Read, texts: dict[str, str | bytes], sounds: tuple[str, ...], reason: str, said: str
) -> None:
    _, refusals, _ = read(texts, *sounds)
    ((found, sentence),) = refusals
    assert found == reason
    assert said in sentence


def test_what_belongs_to_other_programs_is_ignored(read: Read) -> None:
    others = ["wavs/.DS_Store", "wavs/._one.flac", "__MACOSX/wavs/one.wav", ".git/config", "wavs/.cache/one.wav"]
    others += ["wavs/README.md", "wavs/Thumbs.db", "LICENSE.txt"]
    dataset, refusals, warnings = read({"metadata.csv": "one|x", "README.md": "#"}, "wavs/one.wav", *others)
    assert (len(dataset.clips), refusals, warnings) == (1, [], [])


def test_a_sound_elsewhere_is_told(read: Read) -> None:
    _, refusals, warnings = read({"metadata.csv": "one|x"}, "wavs/one.wav", "original/all.wav")
    assert refusals == []
    assert warnings == [("ClipNotListed", "'original/all.wav' has no line in metadata.csv and is not used")]


def test_links_are_no_files_of_a_dataset(read: Read, tmp_path: Path) -> None:
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "one.wav").symlink_to("/etc/passwd")
    _, refusals, _ = read({"metadata.csv": "one|x"})
    assert [reason for reason, _ in refusals] == ["TranscriptWithoutClip"]


@pytest.mark.parametrize(
    ("texts", "sounds", "found"),
    [
        ({"transcript.txt": "x"}, ("talk.m4a",), [("talk", "talk.m4a", "transcript.txt")]),
        ({"talk.txt": "x"}, ("talk.wav",), [("talk", "talk.wav", "talk.txt")]),
        ({"talk.wav.txt": "x"}, ("talk.wav",), [("talk", "talk.wav", "talk.wav.txt")]),
        ({"talk.txt": "x", "talk.srt": "y"}, ("talk.wav",), [("talk", "talk.wav", "talk.srt")]),
        (
            {"one.txt": "x", "two.vtt": "y"},
            ("one.wav", "two.mp3"),
            [("one", "one.wav", "one.txt"), ("two", "two.mp3", "two.vtt")],
        ),
    ],
)
def test_without_a_list_texts_lie_beside_their_recordings(
    read: Read, texts: dict[str, str | bytes], sounds: tuple[str, ...], found: list[tuple[str, str, str]]
) -> None:
    dataset, refusals, _ = read(texts, *sounds)
    assert (refusals, dataset.clips) == ([], ())
    assert [(one.id, one.key, one.text_key) for one in dataset.long] == found


@pytest.mark.parametrize(
    ("sounds", "said"),
    [
        ((), "metadata.csv does not exist; it lists the clips, one line each: id|text"),
        (("a.wav", "b.wav"), "or give each recording a text of its own name, as in talk.wav and talk.txt"),
        (("a.wav",), "has one recording, 'a.wav', and no text of it; put what is said in it into transcript.txt"),
    ],
)
def test_without_any_text_the_message_says_what_is_missing(read: Read, sounds: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadData) as raised:
        read({}, *sounds)
    assert raised.value.reason == "MetadataMissing"
    assert said in str(raised.value)


def test_another_encoding_is_refused_by_name(read: Read) -> None:
    with pytest.raises(
        BadData, match=r"metadata\.csv line 1 is not UTF-8 but looks like Latin-1.*; save the file as"
    ) as it:
        read({"metadata.csv": "one|café".encode("latin-1")}, "wavs/one.wav")
    assert it.value.reason == "MetadataNotUtf8"


def test_a_list_of_more_lines_than_a_voice_has_is_refused(read: Read) -> None:
    with pytest.raises(BadData, match=r"metadata\.csv has 100002 lines, at most 100000 are taken") as it:
        read({"metadata.csv": "a|b\n" * 100_001}, "wavs/one.wav")
    assert it.value.reason == "MetadataTooLarge"


@pytest.mark.parametrize("name", ["", "...", "___", "a" * 121, "録" * 100, ".."])
def test_what_is_no_name_has_no_id(name: str) -> None:
    assert id_of(name) == ""
