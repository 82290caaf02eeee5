"""The types of nest.py, whose text stands in generated modules as it is."""

from collections.abc import Mapping
from typing import Any

def nest(flat: Mapping[str, Any]) -> dict[str, Any]: ...
def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]: ...
