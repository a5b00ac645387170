"""Reads a pickle as data: a small machine that knows tensors and plain values, and calls nothing that a file names.

Python's own unpickler finds and calls what a file asks for, and `torch.load(weights_only=True)` cannot take the
`utils.HParams` of the official files without being told of a class to fill. Here a name in a file is never looked up:
it stays a `Name`, and only the few that torch and the official code write mean anything.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

from sovits_core.errors import OfficialFileRejected

LARGEST_PICKLE = 16 * 2**20
"""Bytes; the official files' pickles, without the tensors' numbers, are below one megabyte."""

SCALARS = (str, int, float, bool, type(None))


class Name(NamedTuple):
    """A module and something in it, as a pickle spells it; not looked up."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


class Hyperparameters(dict[str, Any]):
    """`utils.HParams` of the official code: an object whose attributes are settings."""


class _Ordered(dict[Any, Any]):
    """An OrderedDict, whose attributes (a module's `_metadata`) do not matter."""


HPARAMS = Name("utils", "HParams")
ORDERED_DICT = Name("collections", "OrderedDict")
REBUILD_TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = Name("torch._utils", "_rebuild_parameter")
SIZE = Name("torch", "Size")
STORAGES = {
    Name("torch", f"{kind}Storage")
    for kind in ("Half", "BFloat16", "Float", "Double", "Bool", "Byte", "Char", "Short", "Int", "Long")
}
KNOWN = STORAGES | {HPARAMS, ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, SIZE}

_PUSHED = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(data: bytes, load_storage: Callable[[Any], Any], rebuild_tensor: Callable[..., Any]) -> Any:
    """The object of a pickle.

    Args:
        data: protocols 2 to 4, as `torch.save` writes them.
        load_storage: from a persistent id to a storage, for `rebuild_tensor`.
        rebuild_tensor: from the arguments of torch's `_rebuild_tensor_v2`.

    Returns:
        Plain values, dicts (`Hyperparameters` for the official settings), lists and tuples, and what `rebuild_tensor`
        returns.

    Raises:
        OfficialFileRejected: it is damaged, too large, or names anything else.
    """
    if len(data) > LARGEST_PICKLE:
        raise OfficialFileRejected(f"its pickle has {len(data)} bytes, at most {LARGEST_PICKLE} are read")
    machine = _Machine(load_storage, rebuild_tensor)
    try:
        for operation, argument, _ in pickletools.genops(data):
            machine.step(operation.name, argument)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        # one stack for well-formed files is enough; what the machine cannot do is damage
        raise OfficialFileRejected(f"its pickle is damaged ({error})") from error
    return machine.result()


class _Machine:
    """The stack, the marks on it and the memo of one pickle."""

    def __init__(self, load_storage: Callable[[Any], Any], rebuild_tensor: Callable[..., Any]) -> None:
        self._load_storage = load_storage
        self._rebuild_tensor = rebuild_tensor
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        """Return the object on top of the stack at the end."""
        if len(self._stack) != 1 or self._below:
            raise OfficialFileRejected("its pickle is damaged (it does not end with one object)")
        return self._stack[0]

    def step(self, operation: str, argument: Any) -> None:  # noqa: C901, PLR0912 -- one case per opcode
        """Do one operation; raises ValueError, IndexError, KeyError or TypeError where the pickle is damaged."""
        stack = self._stack
        if operation in _PUSHED:
            stack.append(argument)
        elif operation in _CONSTANTS:
            stack.append(_CONSTANTS[operation])
        elif operation in _TUPLES:
            size = _TUPLES[operation]
            if len(stack) < size:
                raise ValueError("a tuple is short of items")
            items = tuple(stack[len(stack) - size :])
            del stack[len(stack) - size :]
            stack.append(items)
        elif operation in {"BINPUT", "LONG_BINPUT"}:
            self._memo[argument] = stack[-1]
        elif operation == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif operation in {"BINGET", "LONG_BINGET"}:
            stack.append(self._memo[argument])
        elif operation == "EMPTY_DICT":
            stack.append({})
        elif operation == "EMPTY_LIST":
            stack.append([])
        elif operation == "MARK":
            self._below.append(stack)
            self._stack = []
        elif operation == "TUPLE":
            self._append(tuple(self._marked()))
        elif operation in {"APPENDS", "APPEND"}:
            items_added = self._marked() if operation == "APPENDS" else [stack.pop()]
            _expect(self._stack[-1], list).extend(items_added)
        elif operation in {"SETITEMS", "SETITEM"}:
            pairs = self._marked() if operation == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _set_items(_expect(self._stack[-1], dict), pairs)
        elif operation == "GLOBAL":
            self._append(_known(*argument.split(" ", 1)))
        elif operation == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            self._append(_known(module, attribute))
        elif operation == "BINPERSID":
            self._append(self._load_storage(stack.pop()))
        elif operation in {"REDUCE", "NEWOBJ"}:
            arguments, name = stack.pop(), stack.pop()
            self._append(self._make(operation, name, arguments))
        elif operation == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        elif operation not in {"PROTO", "FRAME", "STOP"}:
            raise OfficialFileRejected(f"its pickle does what no checkpoint needs ({operation}); it is not read")

    def _append(self, value: Any) -> None:
        self._stack.append(value)

    def _marked(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _make(self, operation: str, name: Any, arguments: Any) -> Any:
        _expect(arguments, tuple)
        if operation == "NEWOBJ" and name == HPARAMS and not arguments:
            return Hyperparameters()
        if operation == "REDUCE" and name == ORDERED_DICT:
            ordered = _Ordered()
            for pair in _expect(arguments[0], list) if arguments else ():
                _set_items(ordered, list(pair))
            return ordered
        if operation == "REDUCE" and name == REBUILD_TENSOR:
            return self._rebuild_tensor(*arguments)
        if operation == "REDUCE" and name == REBUILD_PARAMETER:
            return arguments[0]
        if operation == "REDUCE" and name == SIZE:
            return tuple(arguments[0])
        raise OfficialFileRejected(f"its pickle calls {_shown(name)}; nothing in a checkpoint is called")


def _known(module: Any, attribute: Any) -> Name:
    name = Name(str(module), str(attribute))
    if name not in KNOWN:
        raise OfficialFileRejected(
            f"its pickle contains code or an unknown class ({_shown(name)}); nothing of it was run"
        )
    return name


def _build(target: Any, state: Any) -> None:
    """Attributes: those of HParams are its settings, those of an OrderedDict are dropped, nothing else may have any."""
    if isinstance(target, Hyperparameters):
        settings = _expect(state, dict)
        if not all(isinstance(key, str) for key in settings):
            raise ValueError("a setting's name is no text")
        target.update(settings)
    elif not isinstance(target, _Ordered):
        raise OfficialFileRejected(
            f"its pickle sets attributes of {_shown(target)}; only settings have attributes in a checkpoint"
        )


def _set_items(target: dict[Any, Any], pairs: list[Any]) -> None:
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, SCALARS):  # a nested tuple as a key could exhaust the C stack when it is hashed
            raise TypeError("a dictionary's key is neither text nor a number")
        target[key] = value


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} was expected")
    return value


def _shown(value: Any) -> str:
    return str(value)[:80] if isinstance(value, Name) else type(value).__name__
