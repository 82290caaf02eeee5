"""Names of locals: a number is given again once nobody reads what had it."""

from test_fusion import check

X = {"x": "float[2,3,8]"}


def test_a_name_is_free_after_its_last_reader(tmp_path):
    body = "h_1 = Relu(x) h_2 = Mul(h_1, h_1) h_3 = Mul(h_2, h_2) y = Add(h_3, h_3)"
    code = check(body, X, tmp_path)
    assert code.count("h = h * h\n") == 2
    assert "h_1" not in code


def test_a_name_that_is_read_later_stays(tmp_path):
    body = (
        "h_1 = Relu(x) h_2 = Mul(h_1, h_1) h_3 = Mul(h_2, h_2) a = Add(h_3, h_3)"
        "y = Sub(a, h_1)"
    )
    code = check(body, X, tmp_path)
    assert "h_1 = h * h\n" in code
    assert "h_1 = h_1 * h_1\n" in code


def test_an_argument_is_a_name_like_others(tmp_path):
    body = "x_1 = Relu(x) x_2 = Mul(x_1, x_1) y = Add(x_2, x_2)"
    code = check(body, X, tmp_path)
    assert "x = jax.nn.relu(x)\n" in code
    assert "x_1" not in code


BRANCHES = """
    h_1 = Relu(x) h_2 = Mul(h_1, h_1) s = ReduceSum<keepdims = 0>(h_2)
    zero = Constant<value = float {0.0}>() c = Greater(s, zero)
    b = If(c) <
        then_branch = then () => (t) { u = Mul(h_2, h_2) t = Add(u, u) },
        else_branch = otherwise () => (e) { e = Neg(h_2) }
    >
    h_3 = Sigmoid(b) y = Mul(h_3, h_3)
"""


def test_what_a_closure_reads_keeps_its_name(tmp_path):
    code = check(BRANCHES, X, tmp_path)
    assert "h = h * h\n" not in code


LOOP = """
    h_1 = Relu(x) three = Constant<value = int64 {3}>()
    yes = Constant<value = bool {1}>()
    h_2 = Loop(three, yes, h_1) <
        body = step (int64 i, bool c, float[2,3,8] h_4) => (k, h_5)
            { k = Identity(c) q = Mul(h_4, h_4) h_5 = Sub(q, x) }
    >
    h_3 = Mul(h_2, h_2) y = Add(h_3, h_3)
"""


def test_loops(tmp_path):
    check(LOOP, X, tmp_path)
