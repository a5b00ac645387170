"""Turns what kubectl prints when it fails into one sentence with a remedy; pure."""

import re

from voice_cli.errors import CliError, ClusterRefused, FieldConflict, NotFound, Unavailable
from voice_store.printable import printable

_PREFIX = re.compile(r"^(?:error|Error): |^Error from server(?: \((\w+)\))?: ")
_POLICY = re.compile(r"ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request: (.*)", re.DOTALL)
_RIGHT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<what>[^"]*)"'
    r'(?: in API group "[^"]*")?(?: in the namespace "(?P<where>[^"]*)"| at the cluster scope)?'
)
_INVALID = re.compile(r'^The \S+ "[^"]*" is invalid:\s*(?P<rest>.*)', re.DOTALL)
_RULE = re.compile(
    r'Invalid value: (?:"(?:[^"\\]|\\.)*"|\S+): (?P<rule>(?:spec|metadata|min|max|each|a gate|at|a )[^\n]*)'
)
_CONFLICT = re.compile(r'conflicts? with "([^"]*)"')
_FIELD = re.compile(r"(?:^|\s)(\.(?:spec|metadata)\.\S+)")
_MISSING_KIND = "the server doesn't have a resource type"
_UNREACHABLE = (
    "Unable to connect to the server",
    "The connection to the server",
    "connection refused",
    "no such host",
    "i/o timeout",
    "TLS handshake timeout",
    "context deadline exceeded",
    "was refused - did you specify the right host or port",
    "the server is currently unable to handle the request",
    "etcdserver",
)
_NODE = (
    "/containerLogs/",
    "error dialing backend",
    "error sending request: Post",
    "no preferred addresses found",
    "does not have a host assigned",
    "pod is not running",
)
_NODE_PREFIXES = re.compile(
    r"^(?:(?:error upgrading connection|error dialing backend|unable to forward port because): )+"
)
_LOGGED_OUT = ("You must be logged in to the server", "(Unauthorized)", "getting credentials: exec")


def error_of(stderr: str) -> CliError:
    """Return the error that says what kubectl's last words mean; the first reading that fits counts."""
    said = _words(stderr)
    found = next((error for reading in READINGS if (error := reading(said)) is not None), None)
    if found is None and "(NotFound)" in stderr:
        return NotFound(_short(said))
    return found or ClusterRefused(_short(said) or "kubectl failed without a word; run it with `-v=6` to see why")


def _words(stderr: str) -> str:
    """Return what was said, without warnings and without kubectl's own prefix."""
    lines = [line for line in stderr.strip().splitlines() if not line.startswith(("Warning:", "I0", "W0", "E0", "E1"))]
    return _PREFIX.sub("", "\n".join(lines or stderr.strip().splitlines()))


def _short(text: str) -> str:
    return printable(" ".join(text.split()))[:2000].rstrip(".")


def _missing_kind(said: str) -> CliError | None:
    if _MISSING_KIND not in said and "no matches for kind" not in said:
        return None
    return NotFound(
        "the cluster knows no VoiceModels: the CustomResourceDefinitions are missing; install the chart, then "
        "`kubectl voice doctor`"
    )


def _logged_out(said: str) -> CliError | None:
    if not any(mark in said for mark in _LOGGED_OUT):
        return None
    return ClusterRefused(
        f"the API server does not know you: {_short(said)}; log in again, or choose another --context"
    )


def _node_unreachable(said: str) -> CliError | None:
    """Tell a node that cannot be asked (logs, exec, port-forward) from an API server that cannot."""
    if not any(mark in said for mark in _NODE):
        return None
    why = _NODE_PREFIXES.sub("", _short(said.rpartition('": ')[2]))
    return Unavailable(f"the API server cannot reach the pod's node ({why})")


def _unreachable(said: str) -> CliError | None:
    if not any(mark in said for mark in _UNREACHABLE):
        return None
    return Unavailable(f"the API server cannot be reached: {_short(said)}; check --context and the network")


def _by_policy(said: str) -> CliError | None:
    found = _POLICY.search(said)
    return None if found is None else ClusterRefused(_short(found[1]))


def _without_right(said: str) -> CliError | None:
    found = _RIGHT.search(said)
    return None if found is None else ClusterRefused(_right(found))


def _not_found(said: str) -> CliError | None:
    return NotFound(_short(said)) if said.endswith(" not found") else None


def _invalid(said: str) -> CliError | None:
    """Return the rule of each field that is wrong: the CRD's own sentences name field and remedy."""
    found = _INVALID.search(said)
    if found is None:
        return None
    problems = [_rule(line) for line in found["rest"].splitlines() if line.strip()]
    kept = dict.fromkeys(problem for problem in problems if "some validation rules were not checked" not in problem)
    return ClusterRefused("; ".join(kept))


def _rule(line: str) -> str:
    rule = _RULE.search(line)
    return _short(rule["rule"] if rule is not None else line.strip().removeprefix("* "))


def _right(found: re.Match[str]) -> str:
    what, where = printable(found["what"]), printable(found["where"] or "")
    place = f" in {where}" if where else ""
    role = "a role with that right"
    if what.startswith("voice"):
        role = "view" if found["verb"] in {"get", "list", "watch"} else "edit"
        role = f"the role {role}, or the chart's reviewer, exporter or consent-officer"
    return (
        f"{printable(found['user'])} may not {printable(found['verb'])} {what}{place}; ask whoever administers "
        f"{where or 'the cluster'} for {role}"
    )


def _conflict(said: str) -> CliError | None:
    if "Apply failed with" not in said:
        return None
    others = ", ".join(dict.fromkeys(printable(other) for other in _CONFLICT.findall(said)))
    fields = tuple(dict.fromkeys(printable(field) for field in _FIELD.findall(said)))
    fields = fields or (printable(said.rpartition(": ")[2].strip()),)
    return FieldConflict(
        f"{', '.join(fields).lstrip('.')} is set by {others} too; take it out of voice.yaml, or push with "
        "--force-conflicts to take it over",
        fields,
    )


READINGS = (
    _missing_kind,
    _logged_out,
    _node_unreachable,
    _unreachable,
    _conflict,
    _by_policy,
    _without_right,
    _not_found,
    _invalid,
)
