#!/usr/bin/env python3
"""Prints what a new operator begins with: a row for each version of it, and a test.

    .venv/bin/python tools/new_op.py ai.onnx Softplus
    .venv/bin/python tools/new_op.py com.microsoft BiasGelu

Names, defaults and versions are those of the schema: onnx.defs, or onnxruntime's for
the operators that it adds.  What only a person can know is left as `...`.
"""

import argparse
import functools
import json
import sys

import numpy as np
import onnx
from onnx import helper

DEFAULT_DOMAIN = "ai.onnx"
# The macros of src/ops/core/op.h; those of the first line may have a default.
WITH_DEFAULT = ("INT", "FLOAT", "STRING")
MACROS = (*WITH_DEFAULT, "INTS")
# Attribute types that have another name in src/ops/core/op.h.
TYPES = {"SPARSE_TENSOR": "SPARSE", "TYPE_PROTO": "TYPE"}


@functools.cache
def schemas_of(domain):
    """All versions of all operators of a domain, by name, the oldest first."""
    if domain in ("", DEFAULT_DOMAIN) or domain.startswith("ai.onnx."):
        found = onnx.defs.get_all_schemas_with_history()
    else:
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        found = state.get_all_operator_schema()
    wanted = "" if domain == DEFAULT_DOMAIN else domain
    by_name = {}
    for schema in sorted(found, key=lambda s: s.since_version):
        if schema.domain == wanted and not schema.deprecated:
            by_name.setdefault(schema.name, []).append(schema)
    return by_name


def schemas(domain, name):
    """Every version of the operator."""
    return schemas_of(domain).get(name, [])


def spec(formals):
    """The names of inputs or outputs as a row has them: X W B?"""
    marks = {"Single": "", "Optional": "?", "Variadic": "*"}
    return " ".join(f.name + marks[f.option.name] for f in formals)


def default_of(attribute):
    """The default of an attribute of either kind of schema; None when there is none."""
    message = getattr(attribute, "default_value", None)
    if message is None:
        message = onnx.AttributeProto.FromString(attribute._default_value or b"")
    if not message.type:
        return None
    value = helper.get_attribute_value(message)
    return value.decode() if isinstance(value, bytes) else value


def literal(value):
    """A default as C text; a float with the fewest digits that float32 tells apart."""
    if isinstance(value, float):
        texts = (f"{value:.{digits}g}" for digits in range(1, 18))
        with np.errstate(over="ignore"):  # digits too few for the largest float32
            return next(t for t in texts if np.float32(t) == np.float32(value))
    return json.dumps(value)


def attribute_row(attribute):
    """INT("axis", -1), FLOAT_OPT("scale"), ANY_REQ("value", ATTR_TENSOR), ..."""
    kind, name = attribute.type.name, json.dumps(attribute.name)
    default = default_of(attribute)
    need = "REQ" if attribute.required else "OPT"
    if kind in WITH_DEFAULT and default is not None:
        return f"{kind}({name}, {literal(default)})"
    if kind in MACROS:
        return f"{kind}_{need}({name})"
    return f"ANY_{need}({name}, ATTR_{TYPES.get(kind, kind)})"


def version_rows(versions, domain):
    """One row for each run of versions with the same names and attributes."""
    rows = []
    for schema in versions:
        attributes = sorted(schema.attributes.values(), key=lambda a: a.name)
        row = {
            "in": spec(schema.inputs),
            "out": spec(schema.outputs),
            "attrs": ", ".join(attribute_row(a) for a in attributes),
        }
        if rows and rows[-1][1] == row:
            continue
        rows.append((schema.since_version, row))
    for i, (since, row) in enumerate(rows):
        until = rows[i + 1][0] - 1 if i + 1 < len(rows) else 0
        yield c_row(versions[0].name, domain, since, until, row)


def c_row(name, domain, since, until, row):
    """A row of OpDef."""
    if domain == "com.microsoft":
        head = f'{{.name = "{name}", MICROSOFT'
    else:
        own = "" if domain in ("", DEFAULT_DOMAIN) else f', .domain = "{domain}"'
        head = f'{{.name = "{name}"{own}, .since = {since}'
        head += f", .until = {until}" if until else ""
    lines = [f'    {head}, .in = "{row["in"]}", .out = "{row["out"]}",']
    if row["attrs"]:
        lines.append(f"     .attrs = {{{row['attrs']}}},")
    lines.append('     .infer = ..., .jax = "..."},')
    return "\n".join(lines)


def snake(name):
    """BiasGelu as bias_gelu."""
    text = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    return text.strip("_")


def test_skeleton(schema, domain):
    """A test of the newest version, on inputs that are still to be chosen."""
    names = [f.name for f in schema.inputs if f.option.name != "Optional"]
    inputs = ", ".join(f'"{name}": rand(2, 3)' for name in names)
    required = [a.name for a in schema.attributes.values() if a.required]
    attrs = ", ".join(f'"{name}": ...' for name in sorted(required))
    outputs = sum(f.option.name != "Optional" for f in schema.outputs)
    check, extra = "check_node", ""
    if domain == "com.microsoft":  # onnx.reference does not know it; onnxruntime does
        check, extra = "ort.check", f', domain="{domain}"'
    elif domain not in ("", DEFAULT_DOMAIN):
        extra = f', opset={schema.since_version}, domain="{domain}"'
    extra += f", outputs={outputs}" if outputs > 1 else ""
    return "\n".join(
        [
            f"def test_{snake(schema.name)}():",
            f"    inputs = {{{inputs}}}",
            f'    {check}("{schema.name}", inputs, {{{attrs}}}{extra})',
        ]
    )


def main(arguments=None):
    """Prints rows and test; 1 when no schema has the name."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("domain", help='"ai.onnx", "ai.onnx.ml", "com.microsoft", ...')
    parser.add_argument("name", help="the operator")
    given = parser.parse_args(arguments)
    versions = schemas(given.domain, given.name)
    if not versions:
        print(f"{given.domain} has no operator {given.name}", file=sys.stderr)
        return 1
    print("/* src/ops/<family>.c */")
    print("\n".join(version_rows(versions, given.domain)))
    print("\n# tests/ops/test_<family>.py")
    print(test_skeleton(versions[-1], given.domain))
    return 0


if __name__ == "__main__":
    sys.exit(main())
