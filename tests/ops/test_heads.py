"""NUM_HEADS, NUM_KV_HEADS and HEAD_DIM at the top of a module, where all attention in
it is alike, and where the code reads them."""

import pytest
import test_fusion

SPLIT = """
    four{n} = Constant<value = int64[4] {{0, 0, {heads}, {size}}}> ()
    q{n} = Reshape({x}, four{n})
    few{n} = Constant<value = int64[4] {{0, 0, {few}, {size}}}> ()
    k{n} = Reshape({keys}, few{n}) v{n} = Reshape({values}, few{n})
"""
ATTEND = """
    qt{n} = Transpose<perm = [0,2,1,3]>(q{n}) vt{n} = Transpose<perm = [0,2,1,3]>({v})
    kt{n} = Transpose<perm = [0,2,3,1]>({k}) m{n} = MatMul(qt{n}, kt{n})
    c{n} = Constant<value = float {{0.25}}> () s{n} = Mul(m{n}, c{n})
    p{n} = Softmax<axis = -1>(s{n}) z{n} = MatMul(p{n}, vt{n})
    t{n} = Transpose<perm = [0,2,1,3]>(z{n})
    flat{n} = Constant<value = int64[3] {{0, 0, {merged}}}> ()
    {y} = Reshape(t{n}, flat{n})
"""
REPEAT = """
    two = Constant<value = int64[1] {2}> ()
    wide = Constant<value = int64[5] {2, 2, 2, 6, 8}> ()
    all = Constant<value = int64[4] {2, 4, 6, 8}> ()
    k3 = Transpose<perm = [0,2,1,3]>(k1) k4 = Unsqueeze(k3, two)
    k5 = Expand(k4, wide) k6 = Reshape(k5, all)
    v3 = Transpose<perm = [0,2,1,3]>(v1) v4 = Unsqueeze(v3, two)
    v5 = Expand(v4, wide) vt1 = Reshape(v5, all)
    qt1 = Transpose<perm = [0,2,1,3]>(q1) kt1 = Transpose<perm = [0,1,3,2]>(k6)
    m1 = MatMul(qt1, kt1)
"""
KEYS = {"k": "float[2,6,32]", "v": "float[2,6,32]"}
INPUTS = {"x": "float[2,5,32]", **KEYS}
MORE = {**INPUTS, "i": "float[2,6,32]", "j": "float[2,6,32]"}
Y = "float[2,5,32] y"


def check(body, inputs, folder):
    test_fusion.check(body, inputs, folder, Y)
    return (folder / "model_jax.py").read_text()


def attention(n, x, y, heads=4, size=8, keys="kv"):
    sizes = {"heads": heads, "few": heads, "size": size}
    split = SPLIT.format(n=n, x=x, keys=keys[0], values=keys[1], **sizes)
    return split + ATTEND.format(n=n, k=f"k{n}", v=f"v{n}", y=y, merged=heads * size)


def test_sizes_have_names(tmp_path):
    code = check(attention(1, "x", "y"), INPUTS, tmp_path)
    assert "\nNUM_HEADS, HEAD_DIM = 4, 8\n" in code
    assert code.count("reshape(2, 5, NUM_HEADS, HEAD_DIM)") == 1
    assert code.count("reshape(2, 6, NUM_HEADS, HEAD_DIM)") == 2
    assert ".reshape(2, 5, NUM_HEADS * HEAD_DIM)" in code


def test_fewer_heads_of_keys(tmp_path):
    body = (
        SPLIT.format(n=1, x="x", keys="k", values="v", heads=4, few=2, size=8) + REPEAT
    )
    rest = ATTEND.format(n=1, k="k1", v="v1", y="y", merged=32)
    body += rest[rest.index("c1 =") :]
    few = {"x": "float[2,5,32]", "k": "float[2,6,16]", "v": "float[2,6,16]"}
    code = check(body, few, tmp_path)
    assert "\nNUM_HEADS, NUM_KV_HEADS, HEAD_DIM = 4, 2, 8\n" in code
    assert code.count("reshape(2, 6, NUM_KV_HEADS, HEAD_DIM)") == 2


def test_all_attention_that_is_alike(tmp_path):
    body = attention(1, "x", "h") + attention(2, "h", "y", keys="ij")
    code = check(body, MORE, tmp_path)
    assert code.count("NUM_HEADS, HEAD_DIM)") == 5


def test_other_attention_leaves_numbers(tmp_path):
    body = attention(1, "x", "h") + attention(2, "h", "y", heads=2, size=16, keys="ij")
    code = check(body, MORE, tmp_path)
    assert "HEADS" not in code
    assert "reshape(2, 5, 4, 8)" in code
    assert "reshape(2, 5, 2, 16)" in code


def test_what_is_broadcast_is_no_attention(tmp_path):
    body = attention(1, "x", "h") + (
        "all = Constant<value = int64[3] {2, 5, 32}> () wide = Expand(bias, all)"
        "y = Concat<axis = 1>(h, wide)"
    )
    inputs = {**INPUTS, "bias": "float[1,1,32]"}
    test_fusion.check(body, inputs, tmp_path, "float[2,10,32] y")
    code = (tmp_path / "model_jax.py").read_text()
    assert "\nNUM_HEADS, HEAD_DIM = 4, 8\n" in code


def test_one_head_has_no_name(tmp_path):
    code = check(attention(1, "x", "y", heads=1, size=32), INPUTS, tmp_path)
    assert "dot_product_attention" in code
    assert "HEAD" not in code


@pytest.mark.parametrize("name", ["NUM_HEADS", "HEAD_DIM"])
def test_an_input_of_that_name(tmp_path, name):
    body = attention(1, name, "y")
    inputs = {name: INPUTS["x"], **KEYS}
    code = check(body, inputs, tmp_path)
    assert f"(params, {name}_1, k, v)" in code
    assert "\nNUM_HEADS, HEAD_DIM = 4, 8\n" in code


def test_a_reshape_that_is_none_of_heads(tmp_path):
    body = attention(1, "x", "h") + (
        "other = Constant<value = int64[4] {2, 20, 2, 4}> () w = Reshape(h, other)"
        "back = Constant<value = int64[3] {2, 5, 32}> () u = Sin(w)"
        "y = Reshape(u, back)"
    )
    code = check(body, INPUTS, tmp_path)
    assert "reshape(2, 20, 2, 4)" in code
    assert "reshape(2, 5, 32)" in code
