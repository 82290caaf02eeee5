"""scikit-learn's models, converted with skl2onnx, give their predictions in JAX.

Each is fitted on data that scikit-learn ships; labels must be equal, and probabilities
and values close, on the data it was fitted on.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx.helper
import pytest
from skl2onnx import to_onnx
from sklearn import (
    datasets,
    decomposition,
    ensemble,
    impute,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    svm,
    tree,
)
from sklearn import preprocessing as pre
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))

from harness import CompileError, compile_model, load_module, run_module

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
    # How well a model is fitted does not matter here.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# The versions of the operators that skl2onnx may write.
OPSETS = {"": 21, "ai.onnx.ml": 3}

DATA = {
    "iris": datasets.load_iris,
    "cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}


def data(name):
    x, y = DATA[name](return_X_y=True)
    return x.astype(np.float32), y


def logistic():
    return linear_model.LogisticRegression(max_iter=1000)


CLASSIFIERS = {
    "logistic, 2 classes": ("cancer", make_pipeline(pre.StandardScaler(), logistic())),
    "logistic, 3 classes": ("iris", logistic()),
    "forest, 2 classes": ("cancer", ensemble.RandomForestClassifier(20)),
    "forest, 10 classes": ("digits", ensemble.RandomForestClassifier(20)),
    "extra trees": ("iris", ensemble.ExtraTreesClassifier(10)),
    "boosting, 2 classes": (
        "cancer",
        ensemble.GradientBoostingClassifier(n_estimators=20),
    ),
    "boosting, 3 classes": (
        "iris",
        ensemble.GradientBoostingClassifier(n_estimators=10),
    ),
    "histograms, 2 classes": (
        "cancer",
        ensemble.HistGradientBoostingClassifier(max_iter=10),
    ),
    "histograms, 3 classes": (
        "iris",
        ensemble.HistGradientBoostingClassifier(max_iter=5),
    ),
    "tree, 2 classes": ("cancer", tree.DecisionTreeClassifier()),
    "tree, 10 classes": ("digits", tree.DecisionTreeClassifier()),
    "SVM with probabilities": ("iris", svm.SVC(probability=True)),
    "neighbours": ("iris", neighbors.KNeighborsClassifier()),
    "perceptron": ("iris", neural_network.MLPClassifier(max_iter=50)),
    "PCA": ("digits", make_pipeline(decomposition.PCA(10), logistic())),
    "naive Bayes": ("iris", naive_bayes.GaussianNB()),
    "minimum, maximum, norm": (
        "iris",
        make_pipeline(pre.MinMaxScaler(), pre.Normalizer(), logistic()),
    ),
    "imputer and threshold": (
        "iris",
        make_pipeline(impute.SimpleImputer(), pre.Binarizer(threshold=2.0), logistic()),
    ),
}

# Their second output is no probability in scikit-learn.
DECISIONS = {
    "SVM, rbf": ("iris", svm.SVC()),
    "SVM, poly": (
        "cancer",
        make_pipeline(pre.StandardScaler(), svm.SVC(kernel="poly")),
    ),
    "SVM, linear": ("digits", svm.SVC(kernel="linear")),
    "linear SVM": ("digits", svm.LinearSVC()),
}

REGRESSORS = {
    "linear": linear_model.LinearRegression(),
    "ridge": make_pipeline(pre.RobustScaler(), linear_model.Ridge()),
    "SVM, rbf": svm.SVR(C=100),
    "SVM, linear": svm.LinearSVR(),
    "tree": tree.DecisionTreeRegressor(),
    "forest": ensemble.RandomForestRegressor(20),
    "boosting": ensemble.GradientBoostingRegressor(n_estimators=30),
    "histograms": ensemble.HistGradientBoostingRegressor(max_iter=20),
    "neighbours": neighbors.KNeighborsRegressor(),
    "perceptron": neural_network.MLPRegressor(max_iter=30),
}


@pytest.fixture(autouse=True)
def booleans_are_integers(monkeypatch):
    """skl2onnx gives booleans for nodes_missing_value_tracks_true of histogram
    boosting, which protobuf refuses since version 7."""
    make_attribute = onnx.helper.make_attribute

    def with_integers(key, value, *args, **kwargs):
        if isinstance(value, list):
            value = [int(v) if isinstance(v, bool | np.bool_) else v for v in value]
        return make_attribute(key, value, *args, **kwargs)

    monkeypatch.setattr(onnx.helper, "make_attribute", with_integers)


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)  # noqa: NPY002 - scikit-learn's default


def forward(model, x, *options):
    """The outputs of the generated module for a fitted model."""
    onnx_model = to_onnx(model, x[:1], target_opset=OPSETS)
    with tempfile.TemporaryDirectory() as folder:
        module = load_module(compile_model(onnx_model, folder, *options))
        return [np.asarray(y) for y in run_module(module, [x])]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier(name):
    source, model = CLASSIFIERS[name]
    x, y = data(source)
    model.fit(x, y)
    labels, probabilities = forward(model, x)
    np.testing.assert_array_equal(labels, model.predict(x))
    np.testing.assert_allclose(probabilities, model.predict_proba(x), 1e-4, 1e-5)


@pytest.mark.parametrize("name", DECISIONS)
def test_classifier_without_probabilities(name):
    source, model = DECISIONS[name]
    x, y = data(source)
    model.fit(x, y)
    np.testing.assert_array_equal(forward(model, x)[0], model.predict(x))


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressor(name):
    x, y = data("diabetes")
    model = REGRESSORS[name].fit(x, y)
    (values,) = forward(model, x)
    np.testing.assert_allclose(values[:, 0], model.predict(x), 1e-4)


def test_missing_values_of_histogram_boosting():
    x, y = data("diabetes")
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    model = ensemble.HistGradientBoostingRegressor(max_iter=20).fit(x, y)
    (values,) = forward(model, x)
    np.testing.assert_allclose(values[:, 0], model.predict(x), 1e-4)


def test_one_hot_encoding_of_numbers():
    x = np.random.default_rng(0).integers(0, 5, (50, 3))
    model = pre.OneHotEncoder(sparse_output=False).fit(x)
    (values,) = forward(model, x)
    np.testing.assert_array_equal(values, model.transform(x))


def test_labels_that_are_strings():
    x, y = data("iris")
    names = datasets.load_iris().target_names
    model = logistic().fit(x, names[y])
    with pytest.raises(CompileError, match="--outputs output_probability"):
        forward(model, x)
    (probabilities,) = forward(model, x, "--outputs", "output_probability")
    np.testing.assert_allclose(probabilities, model.predict_proba(x), 1e-4, 1e-5)
