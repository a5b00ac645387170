"""Large weights of a graph in a file beside it, in float16 or float32, which several graphs may share."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sovits_core.errors import ExportError

SMALLEST = 256
"""Elements under which a tensor stays in the graph as it is: shape constants, biases of a few channels."""
ALIGNMENT = 64
"""Bytes; a tensor begins at a multiple, so that it can be read where it is mapped."""


class WeightsFile:
    """Tensors one after the other; bytes that are already there are not written again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets: dict[bytes, int] = {}
        path.write_bytes(b"")

    def find(self, data: bytes) -> int | None:
        """Return the offset of these bytes if they are there already."""
        return self._offsets.get(hashlib.sha256(data).digest())

    def add(self, data: bytes) -> int:
        """Return the offset of these bytes."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._offsets:
            with self.path.open("ab") as file:
                file.write(bytes(-file.tell() % ALIGNMENT))
                self._offsets[digest] = file.tell()
                file.write(data)
        return self._offsets[digest]


def shrink(model: onnx.ModelProto, file: WeightsFile, *, half: bool) -> None:
    """Move a graph's large tensors into a weights file, in place; halves are cast back as the graph is loaded.

    A matrix that the file holds the other way round, for another graph, is not stored again but turned as it is loaded.

    Raises:
        ExportError: a weight does not fit float16.
    """
    restored = []
    for tensor in model.graph.initializer:
        if int(np.prod(tensor.dims)) < SMALLEST or tensor.data_type not in {TensorProto.FLOAT, TensorProto.UINT8}:
            continue
        array = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.UINT8:
            _store(tensor, tensor.name, array, file)
            continue
        name = tensor.name
        stored = _half(name, array) if half else array
        turned = stored.ndim == 2 and file.find(stored.tobytes()) is None and file.find(stored.T.tobytes()) is not None
        kept_as = f"{name}.stored" if half or turned else name
        _store(tensor, kept_as, stored.T if turned else stored, file)
        if half:
            wide = f"{name}.turned" if turned else name
            restored.append(helper.make_node("Cast", [kept_as], [wide], to=TensorProto.FLOAT))
            kept_as = wide
        if turned:
            restored.append(helper.make_node("Transpose", [kept_as], [name], perm=[1, 0]))
    # definitions must come before their use
    nodes = [*restored, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _half(name: str, array: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise ExportError(f"the weight {name} holds values beyond float16's range")
    return half


def _store(tensor: TensorProto, name: str, array: NDArray[Any], file: WeightsFile) -> None:
    """Make a tensor a reference to its bytes in the file."""
    data = array.tobytes()
    tensor.Clear()
    tensor.name = name
    tensor.dims.extend(array.shape)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor.data_location = TensorProto.EXTERNAL
    where = {"location": file.path.name, "offset": str(file.add(data)), "length": str(len(data))}
    for key, value in where.items():
        tensor.external_data.add(key=key, value=value)
