"""Torch's zip archives, mapped into memory and read without running anything, also with the official two-byte heads."""

import math
import mmap
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sovits_core.errors import OfficialFileRejected
from sovits_core.official.pickles import LARGEST_PICKLE, Name, read_pickle

LARGEST_FILE = 4 * 2**30
"""Bytes; the largest official file has 0.8 GB."""
MOST_DIMENSIONS = 8
SHARED_STORAGE = 4
"""Tensors may overlap (tied weights), but not claim more than this many times the bytes of the file."""

ZIP = b"PK"
LOCAL_HEADER = 30
"""Bytes of a zip member's header before its name."""
HEADS = tuple(f"0{digit}" for digit in range(9))
"""The official tags that may stand in place of `PK`."""
OLD_FORMATS = (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", b"\x80\x02}", b"\x80\x02cc", b"././@")

DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
}


class Archive(NamedTuple):
    """The content of a file: its head, `PK` or two digits, and the pickled object."""

    head: str
    content: Any


class _Mapped(mmap.mmap):
    """A mapped file for `zipfile`, which asks before it seeks."""

    def seekable(self) -> bool:
        return True


def read_archive(path: Path) -> Archive:
    """Read a file of `torch.save` or of the official code; tensors stay on the disk until they are used.

    Raises:
        OfficialFileRejected: there is no such file, it is damaged, of another format, or holds more than weights and
            plain values.
    """
    try:
        mapped = _map(path)
        head = _restore_head(mapped)
        return Archive(head, _Reader(mapped).read())
    except OfficialFileRejected as error:
        raise OfficialFileRejected(f"{path.name}: {error}") from error
    except OSError as error:
        raise OfficialFileRejected(f"{path.name} cannot be read: {error.strerror or error}") from error


def _map(path: Path) -> _Mapped:
    if path.is_dir():
        raise OfficialFileRejected("it is a folder; name the file inside")
    with path.open("rb") as file:
        size = path.stat().st_size
        if not path.is_file() or size == 0:
            raise OfficialFileRejected("it is empty")
        if size > LARGEST_FILE:
            raise OfficialFileRejected(f"it has {size} bytes, at most {LARGEST_FILE} are read")
        return _Mapped(file.fileno(), 0, access=mmap.ACCESS_COPY)  # changes stay in memory


def _restore_head(mapped: _Mapped) -> str:
    """Put `PK` back in front; return what stood there."""
    start = mapped[:16]
    if start.startswith(OLD_FORMATS):
        raise OfficialFileRejected(
            "it is in torch's format of before 1.6: load it in a trusted place and save it again"
        )
    head = start[:2].decode("ascii", errors="replace")
    if start[2:4] != b"\x03\x04" or head not in {"PK", *HEADS}:
        raise OfficialFileRejected("it is not a torch checkpoint (no zip archive, and none with an official head)")
    mapped[:2] = ZIP
    return head


class _Reader:
    """One archive being read."""

    def __init__(self, mapped: _Mapped) -> None:
        self._mapped = mapped
        try:
            with zipfile.ZipFile(mapped) as archive:  # type: ignore[call-overload]  # all that it needs is there
                self._members = {member.filename: member for member in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise OfficialFileRejected(
                f"it is truncated or damaged: the archive has no readable end ({error})"
            ) from error
        pickles = [name for name in self._members if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise OfficialFileRejected("it is a zip archive, but not one of torch.save (no data.pkl)")
        self._folder = pickles[0].removesuffix("data.pkl")
        if f"{self._folder}constants.pkl" in self._members:
            raise OfficialFileRejected("it is a TorchScript program, not a checkpoint")
        self._storages: dict[str, Tensor] = {}
        self._claimed = 0

    def read(self) -> Any:
        if self._bytes("byteorder", missing=b"little") != b"little":
            raise OfficialFileRejected("its numbers are in big-endian order: save it again on a common machine")
        data = bytes(self._bytes("data.pkl"))
        if b"pytorch-lightning_version" in data:
            raise OfficialFileRejected(
                "it is a Lightning training checkpoint (of logs/…/ckpt): use the exported one in GPT_weights"
            )
        return read_pickle(data, self._load_storage, self._rebuild_tensor)

    def _bytes(self, name: str, missing: bytes | None = None) -> bytes:
        if missing is not None and self._folder + name not in self._members:
            return missing
        start, size = self._place(name)
        if size > LARGEST_PICKLE:
            raise OfficialFileRejected(f"its {name} has {size} bytes, at most {LARGEST_PICKLE} are read")
        return self._mapped[start : start + size]

    def _place(self, name: str) -> tuple[int, int]:
        """First byte and size of a member, which must be stored plainly, lie within the file and be undamaged."""
        member = self._members.get(self._folder + name)
        if member is None:
            raise OfficialFileRejected(f"it is damaged: {name} is missing in the archive")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise OfficialFileRejected(f"its {name} is compressed or encrypted, which torch never does")
        header = self._mapped[member.header_offset : member.header_offset + LOCAL_HEADER]
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header_offset + LOCAL_HEADER + lengths
        if start + member.file_size > len(self._mapped):
            raise OfficialFileRejected(f"it is truncated or damaged: {name} reaches beyond its end")
        with memoryview(self._mapped) as view, view[start : start + member.file_size] as part:
            if zlib.crc32(part) != member.CRC:
                raise OfficialFileRejected(f"it is damaged: the checksum of {name} is wrong; fetch it again")
        return start, member.file_size

    def _load_storage(self, persistent: Any) -> Tensor:
        """A flat tensor over one member; `persistent` is torch's ('storage', type, key, device, elements)."""
        if not isinstance(persistent, tuple) or len(persistent) != 5 or persistent[0] != "storage":
            raise OfficialFileRejected("its pickle refers to something that is no storage")
        _, kind, key, _, count = persistent
        if not isinstance(kind, Name) or kind.attribute not in DTYPES or not str(key).isalnum():
            raise OfficialFileRejected("its pickle refers to a storage of unknown type")
        dtype, name = DTYPES[kind.attribute], f"data/{key}"
        if name not in self._storages:
            start, size = self._place(name)
            if not isinstance(count, int) or size != count * dtype.itemsize:
                raise OfficialFileRejected(f"it is damaged: {name} has {size} bytes and should have {count} of {dtype}")
            self._storages[name] = self._flat(start, count, dtype)
        found = self._storages[name]
        if found.dtype != dtype:
            raise OfficialFileRejected(f"it is damaged: {name} is of two types at once")
        return found

    def _flat(self, start: int, count: int, dtype: torch.dtype) -> Tensor:
        if count == 0:
            return torch.empty(0, dtype=dtype)
        if start % dtype.itemsize:  # torch aligns its members, an archive packed again may not
            return torch.frombuffer(bytearray(self._mapped[start : start + count * dtype.itemsize]), dtype=dtype)
        return torch.frombuffer(self._mapped, dtype=dtype, count=count, offset=start)

    def _rebuild_tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
        """Return the tensor of torch's `_rebuild_tensor_v2`, after checking that it lies within its storage."""
        if not isinstance(storage, Tensor) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
            raise OfficialFileRejected("it is damaged: a tensor is not made of a storage, a shape and strides")
        numbers = (offset, *shape, *strides)
        if (
            len(shape) != len(strides)
            or len(shape) > MOST_DIMENSIONS
            or not all(_is_count(number) for number in numbers)
        ):
            raise OfficialFileRejected("it is damaged: a tensor's shape or strides are no counts")
        elements = math.prod(shape)
        reach = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
        if elements and (elements > storage.numel() or reach > storage.numel()):
            raise OfficialFileRejected(
                f"it is damaged: a tensor claims shape {list(shape)}, its storage has {storage.numel()} elements"
            )
        self._claimed += elements * storage.itemsize
        if self._claimed > SHARED_STORAGE * len(self._mapped):
            raise OfficialFileRejected("its tensors claim far more than the file holds")
        return torch.as_strided(storage, shape, strides, offset)


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**48
