"""The second form of a model of one node: each input is a sum under a long name, so
that expressions come to the operator, and lines that are too wide.

The sums are with zeros, so that it computes the same.  Where its text is that of the
plain form but for these sums, there is nothing to run.
"""

import ast
import re

import ml_dtypes
import numpy as np
import onnx
from onnx import helper

SUMS = {"f": "Add", "i": "Add", "u": "Add", "b": "Or"}


def sum_for(info, array):
    """The operator that adds zeros to an input; None: its type has none."""
    if info.type.WhichOneof("value") != "tensor_type":
        return None
    dtype = np.asarray(array).dtype
    return "Add" if dtype == ml_dtypes.bfloat16 else SUMS.get(dtype.kind)


def behind_sums(model, inputs):
    """The model behind sums; its inputs, {name: array}; and for each sum the places of
    the input and of its zeros among them."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    given = list(copy.graph.input)
    nodes, feeds, pairs = [], dict(inputs), []
    for place, info in enumerate(given):
        name, array = info.name, inputs[info.name]
        operator = sum_for(info, array)
        if operator is None:
            continue
        terms = [f"a_long_name_for_the_input_{name}", f"what_adds_nothing_to_{name}"]
        nodes.append(helper.make_node(operator, terms, [name]))
        pairs.append((place, len(copy.graph.input)))
        zeros = copy.graph.input.add()
        zeros.CopyFrom(info)
        info.name, zeros.name = terms
        nothing = np.zeros_like(np.asarray(array))
        feeds[terms[0]] = array
        feeds[terms[1]] = nothing if operator == "Or" else -nothing  # -0.0 + -0.0: -0.0
    nodes += copy.graph.node
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy, {info.name: feeds[info.name] for info in copy.graph.input}, pairs


# ---- comparing texts -----------------------------------------------------------------


class WithoutSums(ast.NodeTransformer):
    """The names of the plain form for sums, and for variables that only name one."""

    def __init__(self, sums):
        self.sums = sums  # {(name of an input, name of its zeros): plain name}
        self.names = {}

    def visit_BinOp(self, node):
        sides = (node.left, node.right)
        name = self.sums.get(tuple(getattr(side, "id", None) for side in sides))
        return ast.Name(name, ast.Load()) if name else self.generic_visit(node)

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Assign(self, node):
        target, node.value = node.targets[0], self.visit(node.value)
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Name):
            self.names[target.id] = node.value.id
            return None
        return node


class Numbered(ast.NodeTransformer):
    """The local names of a function by the order of their definitions."""

    def __init__(self, function):
        bound = [
            getattr(node, "id", None) or getattr(node, "arg", None) or node.name
            for statement in function.body
            for node in ast.walk(statement)
            if isinstance(node, ast.arg | ast.FunctionDef)
            or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        ]
        self.names = {name: f"_{i}" for i, name in enumerate(dict.fromkeys(bound))}

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self.names[node.arg])

    def visit_FunctionDef(self, node):
        node.name = self.names[node.name]
        return self.generic_visit(node)


def parts(source):
    """forward, and the text of what else stands below the imports of a module."""
    found, others = None, []
    for part in source.split("\n\n\n")[1:]:
        if re.search(r"^def forward\(", part, re.M):
            found = ast.parse(part).body[0]
        else:
            others.append(part)
    if ast.get_docstring(found) is not None:
        del found.body[0]
    return found, others


def is_equal(plain, source):
    """Both are the same code: they differ in comments and in what the file says of
    itself and of its inputs, if at all."""
    (expected, others), (forward, own) = parts(plain), parts(source)
    return others == own and ast.dump(expected) == ast.dump(forward)


def is_same(plain, source, pairs):
    """source is the text of the plain form but for the sums; pairs are (place of an
    input, place of its zeros) among the arguments."""
    (expected, others), (forward, own) = parts(plain), parts(source)
    names = [a.arg for a in expected.args.args[1:]]
    given = [a.arg for a in forward.args.args[1:]]
    sums = {(given[i], given[k]): names[i] for i, k in pairs}
    forward.body = WithoutSums(sums).visit(forward).body
    return others == own and numbered(expected) == numbered(forward)


def numbered(function):
    """Its body as text, whatever the names of its variables are."""
    numbers = Numbered(function)
    return [ast.dump(numbers.visit(statement)) for statement in function.body]
