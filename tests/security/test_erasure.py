"""What is left of a voice after deletion, revocation and erasure, with the rights that the chart gives."""

import pytest
from tests.security.installation import STORAGE, TEAM_A, TEAM_B, Installation, refusal, settle
from tests.support.voices import make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.slow, pytest.mark.usefixtures("speech")]


def test_a_deleted_voice_leaves_no_files(installation: Installation) -> None:
    installation.train(TEAM_A, "erased")
    assert installation.bucket.files(f"{TEAM_A}/erased")
    installation.person("ada", TEAM_A).delete("voicemodels", "erased")
    # The bundle goes with its VoiceRevision, of which the garbage collector of a young cluster hears within a minute.
    wait_for("the files' end", lambda: not installation.bucket.files(f"{TEAM_A}/erased"), seconds=90)
    told = wait_for("the Event", lambda: installation.events(TEAM_A, "erased").get("Erased"), seconds=60)
    assert "objects" in told
    assert told.endswith(f"bytes below {STORAGE}/{TEAM_A}/erased/")
    tombstone = [f"{TEAM_A}/erased.json"]
    wait_for("the tombstone", lambda: installation.bucket.files("_erased") == tombstone, seconds=60)
    wait_for("the end of marker and journal", lambda: not _documents(installation, "erased"), seconds=60)


def test_a_revoked_voice_leaves_no_files(installation: Installation) -> None:
    """A revocation takes the copies of the recordings at once, an erasure the published bundle too."""
    revision = installation.train(TEAM_A, "remains")
    ada = installation.person("ada", TEAM_A)
    ada.patch("voicemodels", "remains", {"spec": {"consent": {"revoked": True}}})
    wait_for("the voice to leave the list", lambda: f"{TEAM_A}/remains" not in installation.listed())
    bundle = f"revisions/{revision}/"

    def only_the_bundle() -> bool:
        return all(file.startswith(bundle) for file in installation.bucket.files(f"{TEAM_A}/remains"))

    wait_for("the end of the recordings' copies", only_the_bundle, seconds=10)
    ada.patch("voicemodels", "remains", {"spec": {"consent": {"erase": True}}})
    wait_for("the files' end", lambda: not installation.bucket.files(f"{TEAM_A}/remains"), seconds=10)
    wait_for("the revision's end", lambda: ada.find("voicerevisions", revision) is None)
    wait_for("the word", lambda: "erased at" in installation.condition(TEAM_A, "remains", "Retained")["message"])
    wait_for("the end of the journal", lambda: _documents(installation, "remains") == ["remains.json"], seconds=60)
    for taken_back in ({"erase": False}, {"revoked": False, "erase": False}):
        said = refusal(lambda: ada.patch("voicemodels", "remains", {"spec": {"consent": taken_back}}))  # noqa: B023
        assert "never goes back to false" in said


def _documents(installation: Installation, voice: str) -> list[str]:
    """The marker of a voice's folder, and its journals."""
    found = installation.bucket.files(f"_voices/{TEAM_A}")
    return [name for name in found if name.startswith((f"{voice}.", f"{voice}/"))]


def test_a_voice_that_never_was_served_leaves_no_files(installation: Installation) -> None:
    installation.held.add("unborn")
    ada = installation.person("ada", TEAM_A)
    ada.apply(make_voice("unborn", TEAM_A))
    status = wait_for("its status", lambda: ada.get("voicemodels", "unborn").get("status"))
    installation.bucket.write(f"{STORAGE}/{TEAM_A}/unborn/{status['inputHash']}/prepare/clip.flac", b"fLaC")
    ada.delete("voicemodels", "unborn")
    wait_for("the files' end", lambda: not installation.bucket.files(f"{TEAM_A}/unborn"), seconds=10)


def test_what_is_served_or_held_is_not_deleted_by_the_way(installation: Installation) -> None:
    revision = installation.train(TEAM_A, "standing")
    olga, ada = installation.person("olga", TEAM_A), installation.person("ada", TEAM_A)
    said = refusal(lambda: olga.delete("voicerevisions", revision))
    assert f"VoiceRevision {revision} is served, so it is not deleted; pin another revision of standing" in said
    ada.patch("voicemodels", "standing", {"spec": {"serving": {"pin": revision}}})
    wait_for("the pin", lambda: ada.get("voicerevisions", revision)["status"].get("pinned"))
    assert "is pinned, so it is not deleted" in refusal(lambda: olga.delete("voicerevisions", revision))
    ada.patch("voicemodels", "standing", {"spec": {"retention": {"legalHold": True}}})
    wait_for("the hold", lambda: ada.get("voicerevisions", revision)["status"].get("legalHold"))
    assert "is on legal hold, so it is not deleted" in refusal(lambda: olga.delete("voicerevisions", revision))
    ada.delete("voicemodels", "standing")
    wait_for("its end, with the voice", lambda: ada.find("voicerevisions", revision) is None)
    wait_for("the word", lambda: "FilesHeld" in installation.events(TEAM_A, "standing"))
    settle(3)
    assert installation.bucket.files(f"{TEAM_A}/standing"), "of a held voice everything stays"
    ada.apply(make_voice("standing", TEAM_A))
    wait_for("the refusal", lambda: installation.condition(TEAM_A, "standing").get("reason") == "FolderNotErased")
    ada.delete("voicemodels", "standing")


def test_a_tenant_cannot_say_whose_a_folder_is(installation: Installation) -> None:
    """Neither by keys, which do not reach the documents, nor by a document of another name."""
    installation.train(TEAM_B, "owned")
    assert installation.bucket.files(f"_voices/{TEAM_B}")
    for key in (f"_voices/{TEAM_B}/owned.json", f"_voices/{TEAM_A}/owned.json"):
        with pytest.raises(Exception, match="AccessDenied"):
            installation.s3(TEAM_A).remove_object("voices", key)
