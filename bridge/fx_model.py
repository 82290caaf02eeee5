"""Build a PyTorch module from a dotted path, a configuration and a weights file."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__:
    from . import torchvision_cpu
    from .fx_errors import ModelError, UsageError, reason
else:
    import torchvision_cpu
    from fx_errors import ModelError, UsageError, reason

if TYPE_CHECKING:
    import torch


def load_object(path: str) -> Any:
    """Import what a dotted path names: the longest module, then attributes of it.

    UsageError if there is no such thing, ModelError if importing it fails.
    """
    parts = path.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise UsageError(f"{path!r} is no dotted path, such as package.module.Model")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            torchvision_cpu.repair()
            value = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                continue  # no such module: perhaps a class, whose attribute is meant
            raise ModelError(f"importing {name} fails: {reason(error)}") from error
        except Exception as error:
            raise ModelError(f"importing {name} fails: {reason(error)}") from error
        return _attribute(value, name, parts[length:])
    raise UsageError(f"there is no module {parts[0]!r}")


def _attribute(value: Any, path: str, names: Sequence[str]) -> Any:
    """Follow attribute names from `value`, which is at `path`."""
    for name in names:
        try:
            value = getattr(value, name)
        except AttributeError as error:
            close = difflib.get_close_matches(name, dir(value), 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{path} has no {name!r}{hint}") from error
        except Exception as error:  # a lazy module, as in transformers
            raise ModelError(
                f"importing {path}.{name} fails: {reason(error)}"
            ) from error
        path = f"{path}.{name}"
    return value


def build_module(target: Any, config: Mapping[str, Any]) -> torch.nn.Module:
    """Make the module from a module, a class, a factory or a transformers config.

    `config` goes to the config class, or to the class or factory itself.
    """
    import torch

    hub = sys.modules.get("transformers")
    if isinstance(target, torch.nn.Module):
        if config:
            raise UsageError("--config does not apply: the model is already built")
        return target
    if hub and isinstance(target, hub.PretrainedConfig):
        return _from_config(hub.AutoModel, _configured(target, config))
    if not callable(target):
        raise UsageError(f"{target!r} is no module, class, factory or config")
    if hub and isinstance(target, type):
        if issubclass(target, hub.PretrainedConfig):
            return _from_config(hub.AutoModel, _new_config(target, config))
        if issubclass(target, hub.PreTrainedModel) and target.config_class:
            return _make(target, {}, [_new_config(target.config_class, config)])
        if hasattr(target, "_model_mapping"):  # an auto class
            return _from_config(target, _make(hub.AutoConfig.for_model, config))
    arguments = dict(config)
    if "weights_backbone" in _parameters(target):  # torchvision would download them
        arguments.setdefault("weights_backbone", None)
    module = _make(target, arguments)
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"{target!r} makes no torch.nn.Module, but {module!r}")
    return module


def _parameters(function: Callable) -> Mapping[str, inspect.Parameter]:
    """The parameters of a callable; none if it does not tell."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _make(function: Callable, config: Mapping[str, Any], args: Sequence = ()) -> Any:
    """Call a class or factory; UsageError if the arguments do not fit it."""
    name = getattr(function, "__qualname__", str(function))
    try:
        inspect.signature(function).bind(*args, **config)
    except TypeError as error:
        raise UsageError(
            f"{name}: {error} (give them by --config key=value)"
        ) from error
    except ValueError:
        pass  # built in C: it has no signature, so the call will tell
    try:
        return function(*args, **config)
    except Exception as error:
        raise ModelError(f"{name}(...) fails: {reason(error)}") from error


def _from_config(auto: type, config: Any) -> torch.nn.Module:
    """The model that a transformers auto class makes from a config."""
    try:
        return auto.from_config(config)
    except Exception as error:
        name = f"{auto.__name__}.from_config({type(config).__name__})"
        raise ModelError(f"{name} fails: {reason(error)}") from error


def _new_config(kind: type, values: Mapping[str, Any]) -> Any:
    """Make a transformers config, refusing the keys that it would silently keep."""
    _check_keys(_make(kind, {}), values)
    return _make(kind, values)


def _configured(config: Any, values: Mapping[str, Any]) -> Any:
    """Change the values of an existing transformers config."""
    _check_keys(config, values)
    for key, value in values.items():
        setattr(config, key, value)
    return config


def _check_keys(config: Any, values: Mapping[str, Any]) -> None:
    """UsageError for a key that a default config of this class does not have."""
    for key in values:
        if not hasattr(config, key) and key != "attn_implementation":
            close = difflib.get_close_matches(key, vars(config), 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{type(config).__name__} has no {key!r}{hint}")


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Load a state_dict from a .safetensors file or from torch.save, into `module`.

    Raises OSError if the file cannot be read, ModelError if it does not fit.
    """
    path.open("rb").close()  # a missing file is an OSError in either format
    try:
        state = _read_state(path)
        result = module.load_state_dict(state, strict=False)
    except OSError:
        raise
    except Exception as error:
        raise ModelError(f"{path}: {reason(error)}") from error
    own = module.state_dict(keep_vars=True)
    loaded = {own[name].data_ptr() for name in state if name in own}
    missing = [n for n in result.missing_keys if own[n].data_ptr() not in loaded]
    for what, names in (("lacks", missing), ("adds", result.unexpected_keys)):
        if names:
            some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ModelError(f"{path} {what} {len(names)} parameters: {some}")


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state_dict, also from inside a checkpoint or a DataParallel module."""
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise ModelError(f"it holds a {type(state).__name__}, not a state_dict")
    prefix = "module."
    if state and all(name.startswith(prefix) for name in state):
        return {name[len(prefix) :]: value for name, value in state.items()}
    return dict(state)
