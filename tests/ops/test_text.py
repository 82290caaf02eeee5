"""TfIdfVectorizer against onnxruntime."""

import numpy as np
import ort
import pytest
from harness import compile_fails

ATTRS = {
    "ngram_counts": [0, 4, 10],
    "ngram_indexes": [0, 2, 1, 3, 5, 4, 6, 7],
    "pool_int64s": [2, 3, 5, 4, 5, 6, 7, 8, 6, 7, 2, 5, 8],
    "weights": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    "max_skip_count": 2,
}
X = np.array([[2, 3, 5, 6, 7, 8, 5], [5, 6, 2, 7, 5, 6, 8]], np.int32)


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("shortest, longest", [(1, 3), (2, 2), (1, 1), (3, 3)])
def test_tfidf(mode, shortest, longest):
    attrs = {"min_gram_length": shortest, "max_gram_length": longest, "mode": mode}
    for x in (X, X[0].astype(np.int64)):
        ort.check("TfIdfVectorizer", [x], {**ATTRS, **attrs}, opset=9, dynamic=False)


def test_errors():
    attrs = {**ATTRS, "min_gram_length": 1, "max_gram_length": 1, "mode": "TF"}
    op, options = "TfIdfVectorizer", {"opset": 9}
    compile_fails(op, [X[None]], attrs, message="rank 3", **options)
    attrs["ngram_counts"] = [4, 0]
    compile_fails(op, [X], attrs, message="does not fit the pool", **options)
