"""ai.onnx.ml against onnxruntime: features, linear models, support vector machines.

Where onnxruntime departs from the specification, the expected values are written here.
"""

import functools
import tempfile

import harness
import numpy as np
import ort
import pytest
import scipy.special
from harness import CompileError, check_model, check_node, compile_fails, compile_model
from onnx import TensorProto, helper, numpy_helper

ML = "ai.onnx.ml"
check = functools.partial(ort.check, domain=ML, opset=1)
expect = functools.partial(check_node, domain=ML, opset=1, rtol=2e-5, atol=2e-5)
fails = functools.partial(compile_fails, domain=ML, opset=1)


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = rand(5, 4)
FLOATS = [np.float32, np.float64]
NUMBERS = [*FLOATS, np.int32, np.int64]


def numbers(dtype):
    return (X * 3).round().astype(dtype)


# ---- features ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NUMBERS)
def test_scaler(dtype):
    attrs = {"offset": [0.5, 1.0, -1.0, 0.0], "scale": [2.0, 0.5, 1.0, 3.0]}
    check("Scaler", [numbers(dtype)], attrs, x64=None)
    check("Scaler", [numbers(dtype)], {"offset": [0.5], "scale": [2.0]})


def test_scaler_reads_well():
    source = expect(
        "Scaler",
        [X],
        {"offset": [0.5, 1.0, -1.0, 0.0], "scale": [2.0] * 4},
        expected=[(X - np.float32([0.5, 1.0, -1.0, 0.0])) * np.float32(2)],
    )
    assert '(X - params["node.offset"]) * params["node.scale"]' in source


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_normalizer(norm, dtype):
    x = numbers(dtype)
    x[1] = 0
    check("Normalizer", [x], {"norm": norm}, x64=None)


@pytest.mark.parametrize("dtype", FLOATS)
def test_imputer_of_floats(dtype):
    x = X.astype(dtype)
    x[0, 1] = x[3, 3] = np.nan
    x[2, 2] = -1
    for values in ([0.1], [0.1, 0.2, 0.3, 0.4]):
        attrs = {"imputed_value_floats": values, "replaced_value_float": np.nan}
        expected = np.where(np.isnan(x), np.float32(values), x).astype(dtype)
        expect("Imputer", [x], attrs, expected=[expected])
    attrs = {"imputed_value_floats": [7.0], "replaced_value_float": -1.0}
    expect("Imputer", [x], attrs, expected=[np.where(x == -1, dtype(7), x)])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_imputer_of_ints(dtype):
    x = np.array([[1, -1, 3], [-1, -1, 0]], dtype)
    for values in ([9], [7, 8, 9]):
        attrs = {"imputed_value_int64s": values, "replaced_value_int64": -1}
        expected = np.where(x == -1, np.array(values, dtype), x)
        expect("Imputer", [x], attrs, expected=[expected])
    fails("Imputer", [x], {"imputed_value_floats": [1.0]}, message="no imputed value")


@pytest.mark.parametrize("dtype", NUMBERS)
def test_binarizer(dtype):
    expected = (numbers(dtype) > 0.5).astype(dtype)
    expect("Binarizer", [numbers(dtype)], {"threshold": 0.5}, expected=[expected])


@pytest.mark.parametrize("categories", [[0, 1, 2, 3], [3, 7, -1]])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_one_hot_encoder(dtype, categories):
    attrs = {"cats_int64s": categories}
    x = np.array([[0, 3, 7], [-1, 1, 2]]).astype(dtype)
    expected = (x[..., None] == np.array(categories)).astype(np.float32)
    expect("OneHotEncoder", [x], attrs, expected=[expected])
    expect("OneHotEncoder", [x[0]], attrs, expected=[expected[0]])
    text = {"cats_strings": ["a", "b"]}
    fails("OneHotEncoder", [x], text, message="strings, which JAX lacks")


@pytest.mark.parametrize("index", [[1, 3], [[0, 2, 2]], [[1], [0]], 2])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_array_feature_extractor(dtype, index):
    index = np.array(index)
    x = numbers(dtype)
    for array in (x, x[0], np.stack([x, x])):
        rows = array[None] if array.ndim == 1 else array
        expected = rows[..., index.ravel()]
        for constant in ((), ("Y",)):
            expect(
                "ArrayFeatureExtractor",
                [array, index],
                expected=[expected],
                constant=constant,
            )


def test_feature_vectorizer():
    op, attrs = "FeatureVectorizer", {"inputdimensions": [4, 2]}
    inputs = {"a": X, "b": numbers(np.int64)[:, :2]}
    joined = np.concatenate(list(inputs.values()), axis=1).astype(np.float32)
    expect(op, inputs, attrs, expected=[joined], dynamic=False)
    attrs = {"inputdimensions": [3, 4]}
    padded = np.pad(inputs["b"], ((0, 0), (0, 2)))
    joined = np.concatenate([X[:, :3], padded], axis=1).astype(np.float32)
    expect(op, inputs, attrs, expected=[joined], dynamic=False)
    fails(op, {"a": X}, {"inputdimensions": [-1]}, message="must not be negative")
    expect(op, {"a": X[0]}, {"inputdimensions": [4]}, expected=[X[:1]], dynamic=False)


# ---- labels --------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [2, 4])
@pytest.mark.parametrize("x", [np.int64([[7, -3], [0, 5]]), np.float32([7, -3, 0.5])])
def test_label_encoder(opset, x):
    floats = x.dtype == np.float32
    keys = {"keys_floats": [7.0, 0.5, -3.0]} if floats else {"keys_int64s": [7, 5, -3]}
    for values in (
        {"values_int64s": [1, 2, 3]},
        {"values_int64s": [1, 2, 3], "default_int64": 9},
        {"values_floats": [0.1, 0.2, 0.3], "default_float": 0.9},
        {"values_floats": [0.1, 0.2, 0.3]},
    ):
        check("LabelEncoder", [x], {**keys, **values}, opset=opset, x64=None)


def test_label_encoder_finds_nan():
    x = np.float32([np.nan, 1, 2, np.nan])
    attrs = {"keys_floats": [np.nan, 2.0], "values_int64s": [5, 6]}
    expected = [np.int64([5, -1, 6, 5])]
    for opset in (2, 4):
        expect("LabelEncoder", [x], attrs, opset=opset, expected=expected)


@pytest.mark.parametrize("key", [np.int16, np.int32, np.float64, np.float32])
@pytest.mark.parametrize("value", [np.int16, np.int32, np.float64, np.int64])
def test_label_encoder_by_tensors(key, value):
    keys, values = np.array([4, 1, 3, 4], key), np.array([10, 20, 30, 40], value)
    attrs = {
        "keys_tensor": numpy_helper.from_array(keys),
        "values_tensor": numpy_helper.from_array(values),
        "default_tensor": numpy_helper.from_array(np.array([7], value)),
    }
    x = np.array([1, 2, 3, 4], key)
    # Of equal keys the last one counts.
    expected = [np.array([20, 7, 30, 40], value)]
    expect("LabelEncoder", [x], attrs, opset=4, expected=expected)


def test_a_long_label_table_is_a_parameter():
    keys = np.random.default_rng(0).permutation(5000)[:1000]
    attrs = {"keys_int64s": keys.tolist(), "values_floats": (keys / 7).tolist()}
    x = np.arange(5000)
    source = check("LabelEncoder", [x], attrs, opset=2)
    assert 'params["node.keys"]' in source


def test_label_encoder_errors():
    x = np.int64([1])
    twice = {"keys_int64s": [1, 1], "values_int64s": [2, 3]}
    text = {"keys_int64s": [1, 2], "values_strings": ["a", "b"]}
    op = "LabelEncoder"
    fails(op, [x], twice, opset=2, message="twice")
    fails(op, [x], text, opset=4, message="strings, which JAX lacks")
    fails(op, [x], {"classes_strings": ["a"]}, message="strings, which JAX lacks")
    fails(op, [x], {"keys_int64s": [1]}, opset=2, message="1 keys for 0 values")
    wrong = {"default_tensor": numpy_helper.from_array(np.int64([1, 2]))}
    wrong |= {"keys_int64s": [1], "values_int64s": [2]}
    fails(op, [x], wrong, opset=4, message="default_tensor is no single value")
    fails("CategoryMapper", [x], {"cats_int64s": [1]}, message="JAX lacks")


def test_maps_are_refused():
    for op, attrs in (("DictVectorizer", {"int64_vocabulary": [1]}), ("CastMap", {})):
        node = helper.make_node(op, ["x"], ["y"], domain=ML, **attrs)
        kind = helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
        graph = helper.make_graph(
            [node],
            "maps",
            [helper.make_value_info("x", kind)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid(ML, 1)])
        with (
            tempfile.TemporaryDirectory() as folder,
            pytest.raises(CompileError, match="maps, which are no arrays"),
        ):
            compile_model(model, folder)


# ---- linear models -------------------------------------------------------------------

POST = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]
COEFFICIENTS = rand(12, seed=1).tolist()


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("targets", [1, 3])
def test_linear_regressor(dtype, targets):
    attrs = {"coefficients": COEFFICIENTS[: 4 * targets], "targets": targets}
    weights = np.reshape(attrs["coefficients"], (targets, 4))
    for bias in (None, [0.5, -1.0, 2.0][:targets]):
        extra = {} if bias is None else {"intercepts": bias}
        y = numbers(dtype) @ weights.T + np.array(bias or 0)
        options = {"expected": [y.astype(np.float32)]}
        expect("LinearRegressor", [numbers(dtype)], {**attrs, **extra}, **options)


@pytest.mark.parametrize("post", POST)
def test_linear_regressor_with_a_transform(post):
    attrs = {"coefficients": COEFFICIENTS, "targets": 3, "intercepts": [0.5, 0.0, 1.0]}
    check("LinearRegressor", [X], {**attrs, "post_transform": post})


def test_probit_is_the_inverse_of_the_normal_distribution():
    """onnxruntime computes an approximation of two or three digits."""
    attrs = {"coefficients": [0.1, 0.2], "targets": 2, "post_transform": "PROBIT"}
    x = np.float32([[1.0], [2.0], [4.0]])
    y = scipy.special.ndtri(x * np.float32([0.1, 0.2])).astype(np.float32)
    expect("LinearRegressor", [x], attrs, expected=[y])
    attrs["post_transform"] = "TANH"
    fails("LinearRegressor", [x], attrs, message="post_transform")


LINEAR = {"coefficients": COEFFICIENTS, "intercepts": [0.5, -1.0, 0.0]}


@pytest.mark.parametrize("post", POST)
@pytest.mark.parametrize("labels", [[0, 1, 2], [5, -1, 3]])
def test_linear_classifier(post, labels):
    attrs = {**LINEAR, "classlabels_ints": labels, "post_transform": post}
    check("LinearClassifier", [X], attrs, outputs=2, x64=None)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_linear_classifier_types(dtype):
    attrs = {**LINEAR, "classlabels_ints": [0, 1, 2], "post_transform": "SOFTMAX"}
    check("LinearClassifier", [numbers(dtype)], attrs, outputs=2, x64=None)


def test_scores_alone():
    scores = X @ np.reshape(COEFFICIENTS, (3, 4)).T + np.array([0.5, -1.0, 0.0])
    attrs = {**LINEAR, "classlabels_strings": ["a", "b", "c"]}
    expected = [scores.astype(np.float32)]
    expect("LinearClassifier", [X], attrs, outputs=["", "Z"], expected=expected)


@pytest.mark.parametrize("labels", [[0, 1], [4, 2]])
def test_linear_classifier_of_two_classes(labels):
    op, attrs = "LinearClassifier", {"classlabels_ints": labels}
    two = {"coefficients": COEFFICIENTS[:8], "intercepts": [0.1, 0.2]}
    check(op, [X], {**attrs, **two, "post_transform": "LOGISTIC"}, outputs=2)
    one = {"coefficients": COEFFICIENTS[:4], "intercepts": [0.1]}
    check(op, [X], {**attrs, **one}, outputs=2)
    logistic = {**attrs, **one, "post_transform": "LOGISTIC"}
    fails(op, [X], logistic, outputs=2, message="post_transform of one score")


def test_a_vector_is_one_row():
    attrs = {**LINEAR, "classlabels_ints": [0, 1, 2]}
    check("LinearClassifier", [X[0]], attrs, outputs=2)
    fails("LinearClassifier", [X[None]], attrs, outputs=2, message="rank 3")
    fails("LinearClassifier", [X[:, :3]], attrs, outputs=2, message="coefficients")


# ---- support vector machines ---------------------------------------------------------

KERNELS = {
    "LINEAR": [0.0, 0.0, 0.0],
    "POLY": [0.3, 0.5, 3.0],
    "RBF": [0.4, 0.0, 0.0],
    "SIGMOID": [0.2, 0.1, 0.0],
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_svm_regressor(kernel):
    attrs = {
        "kernel_type": kernel,
        "kernel_params": KERNELS[kernel],
        "support_vectors": rand(24, seed=2).tolist(),
        "coefficients": rand(6, seed=3).tolist(),
        "n_supports": 6,
        "rho": [0.3],
    }
    check("SVMRegressor", [X], attrs)
    check("SVMRegressor", [X], {**attrs, "one_class": 1})


def test_svm_regressor_without_vectors():
    attrs = {"coefficients": COEFFICIENTS[:4], "rho": [0.3]}
    y = (X @ np.float32(attrs["coefficients"]) + np.float32(0.3))[:, None]
    expect("SVMRegressor", [X], attrs, expected=[y])
    for dtype in NUMBERS[1:]:
        x = numbers(dtype)
        y = x @ np.array(attrs["coefficients"]) + 0.3
        expect("SVMRegressor", [x], attrs, expected=[y[:, None].astype(np.float32)])


def svm(classes, kernel="RBF", probabilities=False):
    pairs = classes * (classes - 1) // 2
    counts = [2, 3, 1, 2][:classes]
    attrs = {
        "kernel_type": kernel,
        "kernel_params": KERNELS[kernel],
        "vectors_per_class": counts,
        "support_vectors": rand(sum(counts) * 4, seed=4).tolist(),
        "coefficients": rand((classes - 1) * sum(counts), seed=5).tolist(),
        "rho": rand(pairs, seed=6).tolist(),
        "classlabels_ints": [3, 1, 7, 0][:classes],
    }
    if probabilities:
        attrs["prob_a"] = (-1 - rand(pairs, seed=7) ** 2).tolist()
        attrs["prob_b"] = rand(pairs, seed=8).tolist()
    return attrs


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_svm_classifier(classes, kernel):
    check("SVMClassifier", [X], svm(classes, kernel), outputs=2)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_svm_probabilities(classes):
    check("SVMClassifier", [X], svm(classes, probabilities=True), outputs=2)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_svm_classifier_types(dtype):
    attrs = svm(3, probabilities=True)
    check("SVMClassifier", [numbers(dtype)], attrs, outputs=2, x64=None)


@pytest.mark.parametrize("post", POST)
def test_svm_classifier_with_a_transform(post):
    for probabilities in (False, True):
        attrs = {**svm(3, probabilities=probabilities), "post_transform": post}
        check("SVMClassifier", [X], attrs, outputs=2)


def test_svm_classifier_without_vectors():
    attrs = {"coefficients": COEFFICIENTS, "rho": [0.3], "classlabels_ints": [2, 0, 1]}
    scores = X @ np.reshape(COEFFICIENTS, (3, 4)).astype(np.float32).T + np.float32(0.3)
    labels = np.array([2, 0, 1])[scores.argmax(axis=1)]
    expect("SVMClassifier", [X], attrs, outputs=2, expected=[labels, scores])


def test_svm_errors():
    op, options = "SVMClassifier", {"outputs": 2}
    attrs = {**svm(2), "post_transform": "LOGISTIC"}
    fails(op, [X], attrs, message="one decision for two classes", **options)
    fails(op, [X], {**svm(3), "rho": [0.1]}, message="do not fit 3 classes", **options)
    attrs = {**svm(3), "vectors_per_class": [3, -1, 3]}
    fails(op, [X], attrs, message="do not fit 3 classes", **options)
    attrs = {**svm(3), "kernel_type": "LAPLACE"}
    fails(op, [X], attrs, message="kernel_type", **options)
    attrs = {**svm(3), "coefficients": [1.0] * 6}
    fails(op, [X], attrs, message="do not fit the support vectors", **options)


# ---- classes -------------------------------------------------------------------------


def classifier(labels, zip_map=False):
    nodes = [
        helper.make_node(
            "LinearClassifier", ["X"], ["label", "p"], domain=ML, **labels, **LINEAR
        )
    ]
    keys = {k.replace("_ints", "_int64s"): v for k, v in labels.items()}
    scores = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 3])
    if zip_map:
        nodes.append(helper.make_node("ZipMap", ["p"], ["maps"], domain=ML, **keys))
        key = TensorProto.INT64 if "classlabels_ints" in labels else TensorProto.STRING
        item = helper.make_map_type_proto(
            key, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
        scores = helper.make_value_info("maps", helper.make_sequence_type_proto(item))
    kind = TensorProto.INT64 if "classlabels_ints" in labels else TensorProto.STRING
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("label", kind, ["n"]), scores],
    )
    opsets = [helper.make_opsetid(ML, 1), helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("zip_map", [False, True])
def test_string_labels(zip_map):
    model = classifier({"classlabels_strings": ["a", "b", "c"]}, zip_map)
    output = "maps" if zip_map else "p"
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(CompileError, match=f"--outputs {output}"):
            compile_model(model, folder)
        path = compile_model(model, folder, "--outputs", output)
        assert "one column for each class: 'a', 'b', 'c'" in path.read_text()
        scores = harness.run_module(harness.load_module(path), [X])
    harness.compare(
        scores,
        ort.run(classifier({"classlabels_ints": [0, 1, 2]}), {"X": X})[1:],
        2e-5,
        2e-5,
    )


def test_zip_map_gives_the_matrix():
    model = classifier({"classlabels_ints": [5, 6, 7]}, zip_map=True)
    label, maps = ort.run(model, {"X": X})
    matrix = np.array([[row[k] for k in (5, 6, 7)] for row in maps], np.float32)
    source = check_model(
        model, [X], [label, matrix], names={"n": 5}, rtol=2e-5, atol=2e-5
    )
    assert "one column for each class: 5, 6, 7" in source
    wrong = {"classlabels_int64s": [1, 2]}
    fails("ZipMap", [X], wrong, message="one column for each of 2 keys")


def test_parameters_are_named_after_the_node():
    with tempfile.TemporaryDirectory() as folder:
        model = classifier({"classlabels_ints": [0, 1, 2]})
        params = harness.load_module(compile_model(model, folder)).load_params()
        assert params.keys() == {"label.coefficients", "label.intercepts"}
        model.graph.node[0].name = "linear"
        path = compile_model(model, folder, "--params", "nested")
        params = harness.load_module(path).load_params()
        assert params["linear"].keys() == {"coefficients", "intercepts"}


def test_two_nodes_of_one_name_have_their_own_parameters():
    nodes = [
        helper.make_node(
            "Scaler", [x], [y], "Scaler", domain=ML, offset=[k, 2.0], scale=[1.0, k]
        )
        for x, y, k in (("X", "h", 3.0), ("h", "y", 4.0))
    ]
    graph = helper.make_graph(
        nodes,
        "twice",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(ML, 1)], ir_version=10
    )
    h = (X[:, :2] - np.float32([3, 2])) * np.float32([1, 3])
    y = (h - np.float32([4, 2])) * np.float32([1, 4])
    check_model(model, [X[:, :2]], [y], names={"n": 5})
