"""What a command ends with when it cannot do what was asked: one sentence with the remedy, and an exit code.

CliError                    1
├── VoiceFailed             1  a voice did not become what was waited for
├── PushFailed              …  several voices were pushed, and some failed
├── FaultsFound             1  doctor or audit found something wrong
├── UsageError              2  as click's own: the arguments make no sense together
├── FolderRefused           3  a folder of recordings must change; FoldersRefused: several
├── ClusterRefused          4  the API server says no: rights, rules, conflicts
├── NotFound                5  there is no such thing
├── Unavailable             6  the cluster, the store or a program does not answer; try again
└── TimedOut                7  it was waited for as long as was allowed
"""

from collections.abc import Sequence

EXIT_CODES = {
    0: "done",
    1: "a voice failed, or something is wrong; the last line says what",
    2: "the arguments make no sense",
    3: "the folder must change: voice.yaml, metadata.csv or recordings",
    4: "refused by the API server or the object store: rights, rules, conflicts",
    5: "there is no such voice, revision, commit or file",
    6: "cluster, object store or program cannot be reached; try again",
    7: "not done within --timeout; it goes on in the cluster",
    130: "interrupted",
}


class CliError(Exception):
    """Base of all errors that commands raise on purpose; the message is for people."""

    exit_code = 1


class VoiceFailed(CliError):
    """A voice ended in another state than was waited for."""


class PushFailed(CliError):
    """Voices of a push failed; a sentence for each, and the exit code of the last."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class FaultsFound(CliError):
    """An examination found something wrong, and has printed it."""


class UsageError(CliError):
    """The arguments make no sense together."""

    exit_code = 2


class FolderRefused(CliError):
    """A voice's folder cannot be pushed as it is."""

    exit_code = 3

    def __init__(self, folder: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        one = f"{folder}: {self.problems[0]}"
        more = "".join(f"\n{folder}: {problem}" for problem in self.problems[1:])
        super().__init__(one + more)


class FoldersRefused(CliError):
    """Several folders cannot be pushed as they are."""

    exit_code = 3

    def __init__(self, refused: Sequence[FolderRefused]) -> None:
        super().__init__("\n".join(map(str, refused)))


class ClusterRefused(CliError):
    """The API server refused a request."""

    exit_code = 4


class FieldConflict(ClusterRefused):
    """Fields of an object are somebody else's too; their paths are those of the API server."""

    def __init__(self, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields


class NotFound(CliError):
    """There is no such object, commit or file."""

    exit_code = 5


class Unavailable(CliError):
    """Something that is needed does not answer."""

    exit_code = 6


class TimedOut(CliError):
    """The time that the caller gave is over; what was begun goes on."""

    exit_code = 7
