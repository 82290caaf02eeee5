"""What to install where a package is missing that only a part of this one needs."""


def hint(package: str | None) -> str:
    """The command that installs this package with all others that verify needs."""
    extra = "torch" if package in ("torch", "onnxscript") else "verify"
    return f"pip install 'oxide_xla[{extra}]'"
