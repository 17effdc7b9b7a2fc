"""ONNX models from files: parsing, arrays of tensors, symbolic dimensions. No code of the model is executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput, check_least, unknown
from jacobench.graphs.importers.onnx_nodes.node_call import dtype_name, onnx_package

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Shape

FLOAT_TYPES = {"FLOAT": "float32", "DOUBLE": "float64"}
LEAST_OPSET = 7
"""Earlier operator sets broadcast by an attribute."""


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """Parsed model.

    `title` names it in messages, `folder` is where its external data are, `opset` is the version of the operator set.
    """

    proto: Any
    title: str
    folder: Path | None
    opset: int

    @property
    def inputs(self) -> list[Any]:
        """Inputs that are not initializers, which are listed as inputs in old files."""
        initializers = {tensor.name for tensor in self.proto.graph.initializer}
        return [each for each in self.proto.graph.input if each.name not in initializers]

    @property
    def has_symbolic_batch(self) -> bool:
        """Whether an input has a symbolic leading axis."""
        return any(axis == 0 and isinstance(name, str) for each in self.inputs for axis, name in _axes(each))

    def array(self, tensor: Any, what: str) -> NDArray[Any]:
        """Return a tensor as an array, a view of its bytes where possible; `what` names it.

        Raises BadInput for other floating-point numbers than float32 and float64, and if the data are missing.
        """
        name = dtype_name(tensor.data_type)
        if "FLOAT" in name and name not in FLOAT_TYPES:
            raise BadInput(f"{self.title}: {what} is {name.lower()}: expected float32 or float64; convert the model")
        numpy_helper = onnx_package("onnx.numpy_helper")
        if tensor.data_location == tensor.EXTERNAL:
            self._check_external_data(tensor, what)
        try:
            return np.asarray(numpy_helper.to_array(tensor, base_dir=str(self.folder or "")))
        except Exception as error:  # noqa: BLE001  (ValueError, OSError or an error of onnx)
            raise BadInput(f"{self.title}: {what} cannot be read: {_first_line(error)}") from None

    def _check_external_data(self, tensor: Any, what: str) -> None:
        location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        if self.folder is None:
            raise BadInput(
                f"{self.title}: the data of {what} are in the file {location!r}: give the path of the model, or load them"
            )
        if not (self.folder / location).is_file():
            raise BadInput(
                f"{self.title}: the file {location!r} with the data of {what} is missing: expected it next to the model"
            )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def read_model(source: Any) -> OnnxModel:
    """Parse an ONNX file, or take a ModelProto.

    Raises BadInput if the file is missing or is not an ONNX model, and for a version that is too old.
    """
    onnx = onnx_package()
    if isinstance(source, onnx.ModelProto):
        proto, folder, title = source, None, "the ModelProto"
    else:
        try:
            path = Path(source)
        except TypeError:
            given = type(source).__name__
            raise BadInput(f"the model is a {given}: expected the path of an ONNX file, or a ModelProto") from None
        proto, folder, title = _parsed(onnx, path), path.parent, str(path)
    if not proto.HasField("graph") or not proto.graph.output:
        raise BadInput(f"{title} is not an ONNX model: expected a graph with an output")
    versions = {each.domain or "ai.onnx": each.version for each in proto.opset_import}
    opset = versions.get("ai.onnx", 0)
    if opset < LEAST_OPSET:
        raise BadInput(f"{title} has operator set {opset}: expected {LEAST_OPSET} or more; convert it with onnx")
    if proto.functions:
        proto = onnx_package("onnx.inliner").inline_local_functions(proto)
    return OnnxModel(proto, title, folder, opset)


def _parsed(onnx: Any, path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"there is no file {str(path)!r}: expected an ONNX model")
    try:
        return onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001  (DecodeError of protobuf, which is not a dependency)
        raise BadInput(f"{path} is not an ONNX model: {_first_line(error)}") from None


def _axes(each: Any) -> Iterator[tuple[int, int | str]]:
    """Iterate over the axes of an input and their lengths or names; without either, the name is ``input.axis``."""
    for axis, dim in enumerate(each.type.tensor_type.shape.dim):
        fixed = dim.dim_value > 0
        yield axis, dim.dim_value if fixed else (dim.dim_param or f"{each.name}.{axis}")


def has_symbolic_batch(source: Any) -> bool:
    """Return whether an input of a model has a symbolic leading axis, which `batch` sets. Raises BadInput as `read_model`."""
    return read_model(source).has_symbolic_batch


def input_shapes(inputs: list[Any], title: str, batch: int, dims: Mapping[str, int]) -> list[tuple[str, Shape]]:
    """Return the names and shapes of inputs. `batch` sets symbolic leading axes, unless `dims` sets them.

    A key of `dims` is the name of a dimension, or input and axis, such as ``x.2``. Raises BadInput for an unknown name, and
    for dimensions that are not set.
    """
    for each in inputs:
        if not each.type.tensor_type.HasField("shape"):
            raise BadInput(f"{title}: the input {each.name!r} has no shape: expected one; add it with onnx")
    check_least(1, batch=batch, **{f"dimension {name!r}": length for name, length in dims.items()})
    known = {name for each in inputs for axis, name in _axes(each) if isinstance(name, str)}
    known |= {f"{each.name}.{axis}" for each in inputs for axis, name in _axes(each) if isinstance(name, str)}
    for name in dims:
        if name not in known:
            raise unknown("dimension", name, known or ["none, because all dimensions of this model are fixed"])
    lengths = {name: batch for each in inputs for axis, name in _axes(each) if axis == 0 and isinstance(name, str)}
    lengths |= dims

    def length(each: Any, axis: int, name: int | str) -> int | None:
        return name if isinstance(name, int) else lengths.get(f"{each.name}.{axis}", lengths.get(name))

    shapes = [(each.name, [length(each, *axis) for axis in _axes(each)]) for each in inputs]
    missing = dict.fromkeys(name for each in inputs for axis, name in _axes(each) if length(each, axis, name) is None)
    if missing:
        flags = " ".join(f"--dim {name}=N" for name in missing)
        raise BadInput(f"{title} has the symbolic dimensions {', '.join(map(repr, missing))}: set them, {flags}")
    return [(name, tuple(n for n in shape if n is not None)) for name, shape in shapes]
