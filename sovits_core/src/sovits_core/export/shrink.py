"""Large weights of a graph in float16 in a file beside it, which several graphs may share."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
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

    def add(self, data: bytes) -> int:
        """Return the offset of these bytes."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._offsets:
            with self.path.open("ab") as file:
                file.write(bytes(-file.tell() % ALIGNMENT))
                self._offsets[digest] = file.tell()
                file.write(data)
        return self._offsets[digest]


def shrink(model: onnx.ModelProto, file: WeightsFile) -> None:
    """Move a graph's large float tensors into a weights file, in place; they are cast back as the graph is loaded.

    Raises:
        ExportError: a weight does not fit float16.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < SMALLEST:
            continue
        name = tensor.name
        with np.errstate(over="ignore"):
            half = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(half).all():
            raise ExportError(f"the weight {name} holds values beyond float16's range")
        data = half.tobytes()
        shape = list(tensor.dims)
        tensor.Clear()
        tensor.name = f"{name}.half"
        tensor.dims.extend(shape)
        tensor.data_type = TensorProto.FLOAT16
        tensor.data_location = TensorProto.EXTERNAL
        where = {"location": file.path.name, "offset": str(file.add(data)), "length": str(len(data))}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=value)
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    # definitions must come before their use
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
