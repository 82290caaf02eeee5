"""`inspect --format html`: one file that needs nothing else, whatever names say.

The page is the playground's viewer where `make viewer` has built it, else the plain one
of src/inspect/page; `make test-web` opens the viewer in a browser.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))
PAGE = ROOT / "src" / "inspect" / "page"
VOID = {"meta", "input", "link", "br", "img", "hr"}


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Page(HTMLParser):
    """Elements with their text; what is opened must be closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        assert len(element) == len(attrs) + 2, attrs
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        if self.open:
            self.open[-1]["text"] += data

    def find(self, **wanted):
        return [e for e in self.elements if wanted.items() <= e.items()]

    def data(self, name):
        (element,) = self.find(tag="script", id=name)
        assert element["type"] == "application/json"
        return json.loads(element["text"])


def page_of(path, *options):
    text = run(PROGRAM, "inspect", path, "--format", "html", *options).decode()
    return text, Page(text)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_page_holds_the_report_and_the_code(path):
    _, page = page_of(path)
    report = json.loads(run(PROGRAM, "inspect", path, "--format", "json"))
    assert page.data("report") == report
    compiled = page.data("compiled")
    source = run(PROGRAM, "compile", path, "-o", "-").decode()
    assert compiled["source"] == source
    assert compiled["map"]["version"] == 1
    assert page.find(tag="title")[0]["text"] == path.stem


def test_ids_are_unique_and_labels_find_theirs():
    _, page = page_of(FIXTURES[0])
    ids = [element["id"] for element in page.elements if "id" in element]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        if "aria-labelledby" in element:
            assert element["aria-labelledby"] in ids
    assert page.find(tag="html", lang="en")


def test_the_plain_page_finds_its_elements_and_writes_text_alone():
    page = Page((PAGE / "page.html").read_text())
    ids = {element["id"] for element in page.elements if "id" in element}
    script = (PAGE / "page.js").read_text()
    assert set(re.findall(r'\bat\("([\w-]+)"\)', script)) <= ids
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval", script
    )
    assert not re.search(r"\bfetch\b|XMLHttp|import\(|WebSocket|localStorage", script)


def test_nothing_is_fetched_and_only_its_own_script_runs():
    text, page = page_of(FIXTURES[0])
    (policy,) = [
        element["content"]
        for element in page.elements
        if element.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        (element,) = [e for e in page.find(tag=tag) if "type" not in e]
        digest = hashlib.sha256(element["text"].encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    attributes = {key for element in page.elements for key in element}
    assert not attributes & {"src", "href", "style", "onclick", "onload", "action"}
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)  # names of XML


@pytest.mark.parametrize(
    "name",
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "\"'><img src=x onerror=alert(1)>",
        "]]></style>{{script}}{{report}}",
        "a\x00b\x1b[31m\x7f\u2028\ufeff",
        "\\u003c/script\\u003e&lt;&amp;",
    ],
)
def test_names_are_only_data(name, tmp_path):
    kind = onnx.TensorProto.FLOAT
    node = helper.make_node("Mul", ["x", name + ".w"], ["y"], name=name)
    graph = helper.make_graph(
        [node],
        name,
        [helper.make_tensor_value_info("x", kind, [name, 3])],
        [helper.make_tensor_value_info("y", kind, [name, 3])],
        [numpy_helper.from_array(np.ones(3, np.float32), name + ".w")],
        doc_string=name,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], producer_name=name
    )
    safe = re.sub(r"[\x00/]", "_", name)[:60]
    path = tmp_path / f"{safe}.onnx"
    onnx.save(model, path)
    text, page = page_of(path)
    plain = Page(run(PROGRAM, "inspect", FIXTURES[0], "--format", "html").decode())
    tags = [element["tag"] for element in page.elements]
    assert tags == [element["tag"] for element in plain.elements]
    assert page.data("report")["nodes"][0]["name"] == name
    title = re.sub(r"[\x00-\x1f\x7f]", "\ufffd", safe)
    assert page.find(tag="title")[0]["text"] == title
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


def test_a_model_that_does_not_compile_says_why(tmp_path):
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Unheard", ["x"], ["y"], domain="some.domain")],
        "g",
        [helper.make_tensor_value_info("x", kind, [3])],
        [helper.make_tensor_value_info("y", kind, [3])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("some.domain", 1)]
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    _, page = page_of(path)
    compiled = page.data("compiled")
    assert compiled["source"] == ""
    assert compiled["map"] is None
    assert "error[OX0301]" in compiled["messages"]
    assert page.data("report")["unsupported"]


def test_shapes_reach_the_code():
    path = ROOT / "tests" / "fixtures" / "linear.onnx"
    name = json.loads(run(PROGRAM, "inspect", path, "-f", "json"))["inputs"][0]
    shape = ",".join(["7", *map(str, name["shape"][1:])])
    _, page = page_of(path, "--shape", f"{name['name']}={shape}")
    assert f"float32[{shape}]" in page.data("compiled")["source"]


def test_it_stays_small(tmp_path):
    """Ten thousand nodes: the page is what it says and little more."""
    kind = onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node(
            "Neg", [f"v{i}"], [f"v{i + 1}"], name=f"/layer.{i // 10}/Neg_{i}"
        )
        for i in range(10_000)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("v0", kind, ["n", 3])],
        [helper.make_tensor_value_info("v10000", kind, ["n", 3])],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path
    )
    text, page = page_of(path)
    report = len(run(PROGRAM, "inspect", path, "--format", "json"))
    compiled = page.data("compiled")
    lines = len(json.dumps(compiled["map"]))
    own = sum(len(e["text"]) for e in page.elements if e["tag"] in ("script", "style"))
    own -= sum(len(e["text"]) for e in page.find(type="application/json"))
    assert own < 400_000
    assert len(text) < own + report + 1.2 * len(compiled["source"]) + lines + 10_000
    assert len(text) < 12e6
