"""What to install where a package is missing that only a part of this one needs."""

TORCH = ("torch", "onnxscript", "safetensors", "transformers")


def hint(package: str | None) -> str:
    """The command that installs this package with all others that verify needs."""
    extra = "torch" if package in TORCH else "verify"
    return f"pip install 'oxide_xla[{extra}]'"
