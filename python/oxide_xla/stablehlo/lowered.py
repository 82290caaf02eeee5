"""`StableHlo`, what lowering gives: text, bytes, and the files beside them."""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jaxlib.version
import numpy as np
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

from oxide_xla._errors import OxideError
from oxide_xla._library import version
from oxide_xla.stablehlo import editing, files
from oxide_xla.stablehlo.signature import Signature

SCHEMA_VERSION = 1
FORMATS = ("text", "bytecode", "portable")


class StableHlo:
    """A model as a StableHLO module whose function is `main`.

    The arguments of `main` are the parameters in the order of first use, then the
    inputs: `signature` names them. Nothing in it depends on the machine or the hour:
    the same model gives the same bytes.
    """

    def __init__(
        self,
        context: ir.Context,
        module: ir.Module,
        signature: Signature,
        *,
        origin: str,
        name: str,
        platforms: tuple[str, ...],
        x64: bool,
        weights: str,
        values: Callable[[], dict[str, np.ndarray]],
    ):
        self._context = context
        self._module = module
        self._values = values
        self._weights = weights
        self._origin = origin
        #: What `main` takes and returns.
        self.signature = signature
        #: The name of the compiled model.
        self.name = name
        #: The platforms it is lowered for, as "cpu".
        self.platforms = platforms
        #: Whether 64-bit types are kept; else int64 is int32, and so on.
        self.x64 = x64
        #: Custom calls by target: what StableHLO has no operation for.
        self.custom_calls: dict[str, int]
        #: Composites by name; their decompositions are functions of the module.
        self.composites: dict[str, int]
        self.custom_calls, self.composites, self._dialects = editing.census(module)

    @functools.cached_property
    def text(self) -> str:
        """The module as MLIR text; comments at its head say what it is."""
        with self._context:
            body = str(self._module.operation.get_asm(use_name_loc_as_prefix=True))
        versions = f"StableHLO {self.version} by JAX {jax.__version__}"
        width = "64-bit types" if self.x64 else "64-bit types as 32-bit"
        head = [self._origin, f"{versions} for {', '.join(self.platforms)}; {width}"]
        head += ["", *self.signature.comment()]
        return "".join(f"// {line}".rstrip() + "\n" for line in head) + body

    @property
    def bytecode(self) -> bytes:
        """MLIR bytecode: for programs of the same version of StableHLO."""
        output = io.BytesIO()
        with self._context:
            self._module.operation.write_bytecode(file=output)
        return output.getvalue()

    def portable(self, version: str | None = None) -> bytes:
        """A portable artifact, which later versions of StableHLO read, and earlier ones
        down to `version`: by default the current version of twelve weeks ago.

        OxideError where that version lacks what the module holds.
        """
        target = version or self.portable_version
        try:
            with self._context:
                artifact = stablehlo.serialize_portable_artifact(self._module, target)
        except (ValueError, ir.MLIRError) as error:
            raise OxideError(
                f"error: StableHLO {target} cannot hold {self.name}\n"
                f"  help: leave the version out for {self.portable_version}, or give "
                f"one of up to {self.version}"
            ) from error
        return bytes(artifact)

    @property
    def version(self) -> str:
        """The version of StableHLO that it is written in."""
        return str(stablehlo.get_current_version())

    @property
    def portable_version(self) -> str:
        """The version that `portable` asks of readers by default."""
        weeks = stablehlo.StablehloCompatibilityRequirement.WEEK_12
        return str(stablehlo.get_version_from_compatibility_requirement(weeks))

    @functools.cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The parameters under their names, in the order, shapes and types of the
        arguments; empty where they are constants of the module."""
        return {} if self._weights == "inline" else self._values()

    def encode(self, format: str, version: str | None = None) -> bytes:
        """The module as "text", "bytecode" or "portable"; `version` is for the last.

        ValueError for another word, OxideError where that version lacks what the module
        holds.
        """
        if format not in FORMATS:
            raise ValueError(f"{format!r} is not one of {', '.join(FORMATS)}")
        if format == "portable":
            return self.portable(version)
        return self.text.encode() if format == "text" else self.bytecode

    def describe(self, **entries: Any) -> dict[str, Any]:
        """What the JSON file says: arguments and results with names, dtypes and shapes;
        open dimensions; platforms; versions; what is no operation of StableHLO."""
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": self._origin,
            "entry": "main",
            **entries,
            "platforms": list(self.platforms),
            "x64": self.x64,
            **self.signature.as_json(),
            "dialects": self._dialects,
            "custom_calls": self.custom_calls,
            "composites": self.composites,
            "versions": {
                "oxide_xla": version(),
                "stablehlo": self.version,
                "jax": jax.__version__,
                "jaxlib": jaxlib.version.__version__,
            },
        }

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: str = "text",
        version: str | None = None,
        force: bool = False,
        keep: Mapping[str, Path] | None = None,
    ) -> list[Path]:
        """Write the module to `path`, `describe()` beside it as JSON, and the weights
        as safetensors unless they are inline or "none"; returns the paths.

        All files appear or none. OxideError where one is there that `save` did not
        write; `force` replaces it. `version` is for "portable"; `keep` are files that
        must not be replaced in any case, by what they are.
        """
        path = Path(path)
        contents: dict[Path, Any] = {path: [self.encode(format, version)]}
        side = path.with_suffix(".safetensors")
        store = self._weights == "safetensors" and bool(self.weights)
        details: dict[str, Any] = {
            "module": path.name,
            "format": format,
            "weights": side.name if store else None,
        }
        if format == "portable":
            details["readable_from"] = version or self.portable_version
        if store:
            weights = files.safetensors(self.weights)
            contents[side] = weights.pieces
            details["offsets"] = weights.offsets
            if weights.stored_as:
                details["stored_as"] = weights.stored_as
        about = json.dumps(self.describe(**details), indent=1, ensure_ascii=True)
        described = path.with_suffix(".json")
        contents[described] = [about.encode() + b"\n"]
        files.write(contents, described, force=force, keep=keep or {})
        return list(contents)

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self.signature.of_kind("input")))
        return f"<StableHlo {self.name}: {inputs}>"
