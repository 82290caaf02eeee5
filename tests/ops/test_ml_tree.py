"""Tree ensembles of ai.onnx.ml against onnxruntime, and against a walk in Python where
onnxruntime departs from the specification."""

import functools

import numpy as np
import ort
import pytest
from harness import check_node, compile_fails
from onnx import numpy_helper

ML = "ai.onnx.ml"
check = functools.partial(ort.check, domain=ML)
expect = functools.partial(check_node, domain=ML, rtol=2e-5, atol=2e-5)
fails = functools.partial(compile_fails, domain=ML)

MODES = [
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
]
X = np.random.default_rng(0).integers(-2, 3, (40, 3)).astype(np.float32)
X[::7, 0] = np.nan


def trees(count=4, depth=3, modes=MODES[:1], missing=False, seed=1):
    """Attributes of the nodes of trees that are full but for some early leaves, and
    the (tree, node) of each leaf."""
    rng = np.random.default_rng(seed)
    a = {f"nodes_{k}": [] for k in "treeids nodeids featureids modes values".split()}
    a |= {"nodes_truenodeids": [], "nodes_falsenodeids": []}
    tracks, leaves = [], []
    for tree in range(count):
        size = 2 ** (depth + 1) - 1
        early = set(rng.integers(1, size, 1 if tree else 0))
        gone = set()
        for node in range(size):
            if (node - 1) // 2 in gone | early and node:
                gone.add(node)
                continue
            leaf = node in early or 2 * node + 1 >= size
            a["nodes_treeids"].append(tree)
            a["nodes_nodeids"].append(node)
            a["nodes_featureids"].append(0 if leaf else int(rng.integers(0, 3)))
            a["nodes_modes"].append("LEAF" if leaf else modes[node % len(modes)])
            a["nodes_values"].append(0.0 if leaf else float(rng.integers(-1, 3)))
            a["nodes_truenodeids"].append(0 if leaf else 2 * node + 1)
            a["nodes_falsenodeids"].append(0 if leaf else 2 * node + 2)
            tracks.append(int(rng.integers(0, 2)))
            if leaf:
                leaves.append((tree, node))
    if missing:
        a["nodes_missing_value_tracks_true"] = tracks
    return a, leaves


def votes(leaves, targets, prefix="target", seed=2, low=-1.0, each=None):
    """Weights of the leaves: for all targets, or for those that each(tree) gives."""
    rng = np.random.default_rng(seed)
    rows = [
        (tree, node, target, float(np.float32(rng.uniform(low, 1.0))))
        for tree, node in leaves
        for target in (each(tree) if each else range(targets))
    ]
    names = ("treeids", "nodeids", "ids", "weights")
    return {f"{prefix}_{k}": list(v) for k, v in zip(names, zip(*rows), strict=True)}


def regressor(targets=1, each=None, **options):
    nodes, leaves = trees(**options)
    return {**nodes, **votes(leaves, targets, each=each), "n_targets": targets}


def classifier(classes=3, each=None, low=-1.0, labels=None, **options):
    nodes, leaves = trees(**options)
    labels = {"classlabels_int64s": labels or list(range(classes))}
    return {**nodes, **votes(leaves, classes, "class", each=each, low=low), **labels}


def walk(attrs, x):
    """Sums of the weights by the words of the specification."""
    at = {
        key: i
        for i, key in enumerate(
            zip(attrs["nodes_treeids"], attrs["nodes_nodeids"], strict=True)
        )
    }
    tests = dict(
        zip(
            MODES,
            (
                np.less_equal,
                np.less,
                np.greater_equal,
                np.greater,
                np.equal,
                np.not_equal,
            ),
            strict=True,
        )
    )
    y = np.zeros((len(x), attrs["n_targets"]))
    for row, out in zip(x, y, strict=True):
        for tree in dict.fromkeys(attrs["nodes_treeids"]):
            i = at[tree, 0]
            while (mode := attrs["nodes_modes"][i]) != "LEAF":
                v = row[attrs["nodes_featureids"][i]]
                passed = tests[mode](v, attrs["nodes_values"][i])
                if np.isnan(v):
                    passed = attrs["nodes_missing_value_tracks_true"][i]
                kind = "true" if passed else "false"
                i = at[tree, attrs[f"nodes_{kind}nodeids"][i]]
            key = tree, attrs["nodes_nodeids"][i]
            for k, vote in enumerate(
                zip(attrs["target_treeids"], attrs["target_nodeids"], strict=True)
            ):
                if vote == key:
                    out[attrs["target_ids"][k]] += attrs["target_weights"][k]
    return y.astype(np.float32)


# ---- tests at nodes ------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_one_mode(mode):
    attrs = regressor(modes=[mode], missing=True)
    expected = [walk(attrs, X)]
    source = expect("TreeEnsembleRegressor", [X], attrs, opset=1, expected=expected)
    assert "tree_test" not in source


def test_modes_together():
    attrs = regressor(modes=MODES, missing=True, depth=4)
    expected = [walk(attrs, X)]
    expect("TreeEnsembleRegressor", [X], attrs, opset=1, expected=expected)


def test_missing_values():
    attrs = regressor(missing=True)
    check("TreeEnsembleRegressor", [X], attrs, opset=1)
    attrs["nodes_missing_value_tracks_true"] = [1] * len(attrs["nodes_treeids"])
    source = check("TreeEnsembleRegressor", [X], attrs, opset=1)
    assert "(v <= params" in source and "| jnp.isnan(v)," in source
    del attrs["nodes_missing_value_tracks_true"]
    assert "isnan" not in check("TreeEnsembleRegressor", [X], attrs, opset=1)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64])
def test_types_of_x(dtype):
    x = np.nan_to_num(X).astype(dtype)
    attrs = regressor()
    expected = [walk(attrs, x)]
    expect("TreeEnsembleRegressor", [x], attrs, opset=1, expected=expected)


def as_tensors(attrs, dtype=np.float64):
    """The same attributes with floats as tensors."""
    names = ("nodes_values", "target_weights", "class_weights", "base_values")
    return {
        f"{k}_as_tensor" if k in names else k: numpy_helper.from_array(
            np.array(v, dtype), k
        )
        if k in names
        else v
        for k, v in attrs.items()
    }


def test_doubles_as_tensors():
    attrs = as_tensors({**regressor(2), "base_values": [0.1, 0.2]})
    x = X.astype(np.float64)
    check("TreeEnsembleRegressor", [x], attrs, opset=3, x64=None)
    attrs = as_tensors(classifier())
    check("TreeEnsembleClassifier", [x], attrs, opset=3, outputs=2, x64=None)


@pytest.mark.parametrize("mode", range(5))
@pytest.mark.parametrize("step", [-1e-12, 0.0, 1e-12])
def test_float32_against_a_double_threshold(mode, step):
    """The threshold lies just beside a float32: rounding it to the nearest would
    change the outcome."""
    values = np.float32([0.1, np.nextafter(np.float32(0.1), 1), -0.5])
    threshold = float(values[0]) + step
    attrs = ensemble(modes=[mode], splits=np.array([threshold]))
    tests = [np.less_equal, np.less, np.greater_equal, np.greater, np.equal]
    passed = tests[mode](values.astype(np.float64), threshold)
    expected = np.where(passed, np.float32(1), np.float32(2))[:, None]
    expect("TreeEnsemble", [values[:, None]], attrs, opset=5, expected=[expected])


# ---- votes ---------------------------------------------------------------------------


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("each", [None, lambda tree: [tree % 3]], ids=["all", "one"])
def test_aggregates(aggregate, each):
    attrs = {**regressor(3, each), "aggregate_function": aggregate}
    check("TreeEnsembleRegressor", [X], attrs, opset=1)
    attrs["base_values"] = [0.5, -1.0, 2.0]
    check("TreeEnsembleRegressor", [X], attrs, opset=1)


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_aggregates_of_one_target(aggregate):
    attrs = {**regressor(), "aggregate_function": aggregate, "base_values": [0.5]}
    check("TreeEnsembleRegressor", [X], attrs, opset=1)


@pytest.mark.parametrize("aggregate", ["MIN", "MAX"])
def test_a_target_without_votes_is_zero(aggregate):
    attrs = regressor(3, lambda tree: [2 * (tree % 2)])
    attrs["aggregate_function"] = aggregate
    check("TreeEnsembleRegressor", [X], attrs, opset=1)


@pytest.mark.parametrize("post", ["SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
def test_transforms(post):
    attrs = {**regressor(3), "post_transform": post}
    check("TreeEnsembleRegressor", [X], attrs, opset=1)


def test_a_tree_may_be_a_leaf():
    attrs = regressor(count=1, depth=0)
    expected = [np.full((len(X), 1), attrs["target_weights"][0], np.float32)]
    expect("TreeEnsembleRegressor", [X], attrs, opset=1, expected=expected)


# ---- classes -------------------------------------------------------------------------


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("each", [None, lambda tree: [tree % 3]], ids=["all", "one"])
def test_classifier(post, each):
    attrs = {**classifier(each=each, labels=[4, 7, -2]), "post_transform": post}
    check("TreeEnsembleClassifier", [X], attrs, opset=1, outputs=2)
    attrs["base_values"] = [0.5, -0.1, 0.2]
    check("TreeEnsembleClassifier", [X], attrs, opset=3, outputs=2)


@pytest.mark.parametrize("labels", [[0, 1], [7, 3]])
def test_one_score_for_two_classes(labels):
    op = "TreeEnsembleClassifier"
    options = {"each": lambda tree: [0], "labels": labels}
    margin = classifier(2, **options)
    probability = classifier(2, **options, low=0.0, count=1)
    for attrs in (margin, probability, {**margin, "post_transform": "LOGISTIC"}):
        check(op, [X], attrs, opset=1, outputs=2)
        check(op, [X], {**attrs, "base_values": [0.25]}, opset=1, outputs=2)
    for attrs in (
        {**margin, "post_transform": "SOFTMAX"},
        {**probability, "post_transform": "LOGISTIC"},
    ):
        fails(op, [X], attrs, opset=1, outputs=2, message="one score for two classes")
    both = {**margin, "base_values": [0.1, 0.2]}
    fails(op, [X], both, opset=1, outputs=2, message="class 0 alone")


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_weights_for_the_second_of_two_classes(low):
    attrs = classifier(2, each=lambda tree: [1], low=low, count=1)
    check("TreeEnsembleClassifier", [X], attrs, opset=1, outputs=2)


def test_two_classes_with_weights_for_both():
    """onnxruntime's label is 1 when the second score is positive; here the larger score
    wins, as with more classes."""
    attrs = classifier(2, labels=[5, 9])
    scores = walk({**as_regressor(attrs), "n_targets": 2}, X)
    labels = np.array([5, 9])[scores.argmax(axis=1)]
    op = "TreeEnsembleClassifier"
    expect(op, [X], attrs, opset=1, outputs=2, expected=[labels, scores])


def as_regressor(attrs):
    """A classifier's attributes under a regressor's names, NaN on the false branch."""
    renamed = {
        k.replace("class_", "target_"): v
        for k, v in attrs.items()
        if k != "classlabels_int64s"
    }
    tracks = [0] * len(attrs["nodes_treeids"])
    return {**renamed, "nodes_missing_value_tracks_true": tracks}


# ---- TreeEnsemble --------------------------------------------------------------------


def ensemble(modes, splits, members=None, dtype=np.float32, **more):
    """One node for each mode, all roots: leaf 2i where the test of node i passes, else
    leaf 2i + 1."""
    n = len(modes)
    weights = np.arange(1, 2 * n + 1).astype(dtype)
    attrs = {
        "tree_roots": list(range(n)),
        "nodes_modes": numpy_helper.from_array(np.array(modes, np.uint8)),
        "nodes_splits": numpy_helper.from_array(splits),
        "nodes_featureids": [0] * n,
        "nodes_truenodeids": [2 * i for i in range(n)],
        "nodes_trueleafs": [1] * n,
        "nodes_falsenodeids": [2 * i + 1 for i in range(n)],
        "nodes_falseleafs": [1] * n,
        "leaf_targetids": [i // 2 for i in range(2 * n)],
        "leaf_weights": numpy_helper.from_array(weights),
        "n_targets": n,
    }
    if members is not None:
        attrs["membership_values"] = numpy_helper.from_array(members)
    return {**attrs, **more}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_mode_of_tree_ensemble(dtype):
    x = np.array([[-1], [0], [1], [2], [3], [np.nan]], dtype)
    members = np.array([2, -1, np.nan, 3, np.nan], dtype)
    splits = np.array([1, 1, 1, 1, 1, 1, 0, 0], dtype)
    attrs = ensemble([0, 1, 2, 3, 4, 5, 6, 6], splits, members, dtype)
    v = x[:, 0]
    passed = [v <= 1, v < 1, v >= 1, v > 1, v == 1, (v < 1) | (v > 1)]
    passed = np.stack([*passed, np.isin(v, [2, -1]), v == 3], axis=1)
    for tracks in ([0] * 8, [1] * 8, [0, 1] * 4):
        attrs["nodes_missing_value_tracks_true"] = tracks
        passed[-1] = tracks
        leaves = np.arange(1, 17).reshape(8, 2)
        expected = np.where(passed, leaves[:, 0], leaves[:, 1]).astype(dtype)
        expect("TreeEnsemble", [x], attrs, opset=5, expected=[expected])


def test_sets_alone():
    x = np.float32([[1], [2], [3]])
    attrs = ensemble([6, 6], np.float32([0, 0]), np.float32([1, np.nan, 2, 3, np.nan]))
    expected = [np.float32([[1, 4], [2, 3], [2, 3]])]
    expect("TreeEnsemble", [x], attrs, opset=5, expected=expected)


@pytest.mark.parametrize("aggregate", range(4))
@pytest.mark.parametrize("post", [0, 1, 2, 3])
def test_numbers_of_aggregates_and_transforms(aggregate, post):
    names = ["AVERAGE", "SUM", "MIN", "MAX"]
    transforms = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]
    x = np.nan_to_num(X)
    more = {"aggregate_function": aggregate, "post_transform": post}
    attrs = ensemble([0, 3], np.float32([0, 1]), **more)
    old = {
        "nodes_treeids": [0] * 3 + [1] * 3,
        "nodes_nodeids": [0, 1, 2] * 2,
        "nodes_featureids": [0] * 6,
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"],
        "nodes_values": [0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0] * 2,
        "nodes_falsenodeids": [2, 0, 0] * 2,
        "target_treeids": [0, 0, 1, 1],
        "target_nodeids": [1, 2, 1, 2],
        "target_ids": [0, 0, 1, 1],
        "target_weights": [1.0, 2.0, 3.0, 4.0],
        "n_targets": 2,
        "aggregate_function": names[aggregate],
        "post_transform": transforms[post],
    }
    model = ort.harness.make_model(
        "TreeEnsembleRegressor", {"X": x}, old, opset=3, domain=ML
    )
    expect("TreeEnsemble", [x], attrs, opset=5, expected=ort.run(model, {"X": x}))


# ---- errors --------------------------------------------------------------------------


def test_malformed_trees():
    def refuse(message, **changed):
        attrs = {**regressor(count=1, depth=1), **changed}
        fails("TreeEnsembleRegressor", [X], attrs, opset=1, message=message)

    refuse("differ in length", nodes_modes=["LEAF"])
    refuse("a mode is none", nodes_modes=["LEAF", "LEAF", "BRANCH"])
    refuse("a child is no node", nodes_truenodeids=[7, 0, 0])
    refuse("its own descendant", nodes_truenodeids=[0, 0, 0])
    refuse("stands twice", nodes_nodeids=[0, 1, 1])
    refuse("belongs to no node", target_nodeids=[5, 2])
    refuse("feature 9 of 3", nodes_featureids=[9, 0, 0])
    refuse("feature id is out of range", nodes_featureids=[-1, 0, 0])
    refuse("target 4 of 1", target_ids=[4, 0])
    refuse("target id is out of range", target_ids=[-1, 0])
    refuse("2 base_values for 1 targets", base_values=[1.0, 2.0])
    refuse("aggregate_function", aggregate_function="MEDIAN")
    refuse("post_transform", post_transform="TANH")
    refuse("n_targets must be positive", n_targets=0)
    refuse("n_targets must be positive", n_targets=2**62 + 1)
    refuse("are too many", n_targets=2**30)


def test_malformed_ensembles():
    def refuse(message, **changed):
        attrs = {**ensemble([6, 0], np.float32([0, 0]), np.float32([1, np.nan]))}
        fails("TreeEnsemble", [X], {**attrs, **changed}, opset=5, message=message)

    refuse("a root is out of range", tree_roots=[0, 2])
    refuse("a child is out of range", nodes_truenodeids=[0, 4])
    refuse("its own descendant", nodes_trueleafs=[0, 1])
    refuse("differ in length", nodes_trueleafs=[1])
    refuse("0 sets of members", membership_values=numpy_helper.from_array(X[1, :0]))


def test_classifier_errors():
    op, options = "TreeEnsembleClassifier", {"opset": 1, "outputs": 2}
    attrs = classifier(3)
    one = {**attrs, "classlabels_int64s": [1]}
    fails(op, [X], one, message="two classes or more", **options)
    two = {**attrs, "classlabels_int64s": [1, 2]}
    fails(op, [X], two, message="class 2 of 2", **options)
