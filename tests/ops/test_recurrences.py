"""Recurrences that exporters have written out step by step are jax.lax.scan again."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from graphs import check_text, compile_text, load_text

RNG = np.random.default_rng(0)
N = 5
PICKS = {
    "gather": "i{t} = Constant<value = int64 {{{t}}}> ()"
    " x{t} = Gather<axis=1>(x, i{t})",
    "slice": "i{t} = Constant<value = int64[1] {{{t}}}> ()"
    " e{t} = Constant<value = int64[1] {{{u}}}> ()"
    " s{t} = Slice(x, i{t}, e{t}, one) x{t} = Squeeze(s{t}, one)",
    "places": "i{t} = Constant<value = int64[1] {{{t}}}> ()"
    " s{t} = Gather<axis=1>(x, i{t}) x{t} = Squeeze(s{t}, one)",
    "split": "x{t} = Squeeze(p{t}, one)",
}
PREFIX = """
  one = Constant<value = int64[1] {1}> ()
  zero = Constant<value = int64[1] {0}> ()
"""


def some(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def steps(line, picks="gather", order=range(N), start="h"):
    """The line of a loop for each step: {t} is the step, {s} the one before."""
    text, before = "", start
    if picks == "split":
        text += ", ".join(f"p{t}" for t in range(N))
        text += f" = Split<axis=1, num_outputs={N}>(x) "
    for t in order:
        text += PICKS[picks].format(t=t, u=t + 1)
        text += " " + line.format(t=t, h=before) + "\n"
        before = f"h{t}"
    return text


RNN = "a{t} = MatMul(x{t}, w) b{t} = MatMul({h}, u) c{t} = Add(a{t}, b{t})"
RNN += " h{t} = Tanh(c{t}) y{t} = Unsqueeze(h{t}, one)"


def joined(names="y", axis=1, count=N):
    return f"y = Concat<axis={axis}>({', '.join(f'{names}{t}' for t in range(count))})"


RNN_MODEL = f"""g (float[2,5,3] x, float[2,4] h, float[3,4] w, float[4,4] u)
  => (float[2,5,4] y) {{ {PREFIX} {steps(RNN)} {joined()} }}"""


def check(body, outputs="float[2,5,4] y", inputs="", more=(), **options):
    text = (
        f"g (float[2,5,3] x, float[2,4] h, float[3,4] w, float[4,4] u{inputs})"
        f" => ({outputs}) {{ {PREFIX} {body} }}"
    )
    options.setdefault("contains", ["jax.lax.scan(", "def body("])
    given = [some(2, 5, 3), some(2, 4), some(3, 4), some(4, 4), *more]
    return check_text(text, given, **options)


@pytest.mark.parametrize("picks", PICKS)
def test_steps_along_an_axis(picks):
    source = check(steps(RNN, picks) + joined())
    assert source.count("tanh") == 1


def test_backwards():
    source = check(steps(RNN, order=reversed(range(N))) + joined())
    assert "reverse=True" in source


def test_results_along_another_axis():
    line = RNN.replace("Unsqueeze(h{t}, one)", "Unsqueeze(h{t}, zero)")
    check(steps(line) + joined(axis=0), "float[5,2,4] y")


def test_the_last_state_is_read():
    body = steps(RNN) + joined() + f" last = Neg(h{N - 1})"
    check(body, "float[2,5,4] y, float[2,4] last")


def test_the_last_state_is_a_result():
    check(steps(RNN) + joined(), f"float[2,5,4] y, float[2,4] h{N - 1}")


def test_results_that_are_joined_as_they_are():
    """The steps keep the axis along which they are joined."""
    line = RNN.replace("(x{t}, w", "(s{t}, w").split(" y{t}")[0]
    front = "front = Unsqueeze(h, one) "
    source = check(front + steps(line, "places", start="front") + joined("h"))
    assert source.count("tanh") == 1


CELL = """
  g{t} = MatMul(x{t}, w)  r{t} = MatMul({h}, u)  a{t} = Add(g{t}, r{t})
  f{t} = Sigmoid(a{t})  k{t} = Tanh(a{t})
  m{t} = Mul(f{t}, {c})  n{t} = Mul(f{t}, k{t})  c{t} = Add(m{t}, n{t})
  z{t} = Tanh(c{t})  h{t} = Mul(f{t}, z{t})  y{t} = Unsqueeze(h{t}, one)
"""


def test_two_states():
    text, h, c = "", "h", "c"
    for t in range(N):
        text += PICKS["gather"].format(t=t) + CELL.format(t=t, h=h, c=c)
        h, c = f"h{t}", f"c{t}"
    source = check(text + joined(), inputs=", float[2,4] c", more=[some(2, 4)])
    assert "carry" in source


def test_what_a_step_gives_before_it_counts():
    """The result of a step is the state that it was given; the last state is unread."""
    line = "a{t} = MatMul(x{t}, w) b{t} = MatMul({h}, u) h{t} = Add(a{t}, b{t})"
    text, before = "", "h"
    for t in range(N):
        text += PICKS["gather"].format(t=t) + f" y{t} = Unsqueeze({before}, one) "
        text += line.format(t=t, h=before)
        before = f"h{t}"
    check(text + joined(), contains=())


def test_the_input_before():
    """x[t] + x[t - 1], with a value in front: a state that no step computes."""
    line = "a{t} = Add(x{t}, {h}) y{t} = Unsqueeze(a{t}, one)"
    text, before = "", "front"
    for t in range(N):
        text += PICKS["gather"].format(t=t) + " " + line.format(t=t, h=before)
        before = f"x{t}"
    more = [some(2, 3)]
    check(text + joined(), "float[2,5,3] y", ", float[2,3] front", more)


def test_a_part_of_the_axis():
    """Fewer steps than places."""
    body = steps(RNN, order=range(4)) + joined(count=4)
    check(body, "float[2,4,4] y")


def test_an_open_axis():
    """As many places as there are steps, as in the file, whatever the size."""
    text = f"""g (float[batch,seq,3] x, float[batch,4] h, float[3,4] w, float[4,4] u)
      => (float[batch,5,4] y) {{ {PREFIX} {steps(RNN)} {joined()} }}"""
    given = [some(2, N, 3), some(2, 4), some(3, 4), some(4, 4)]
    check_text(text, given, names={"batch": 2, "seq": N}, contains=["[:, :5]", "scan("])


def test_one_after_the_other():
    again = re.sub(r"\b([abchixy])(\d)\b", r"\1\1\2", steps(RNN, start="k") + joined())
    again = again.replace("(x,", "(y,").replace(", w)", ", u)").replace("y =", "z =")
    again = re.sub(r"\byy(\d) =", r"yy\1 =", again)
    more = {"inputs": ", float[2,4] k", "more": [some(2, 4)]}
    source = check(steps(RNN) + joined() + again, "float[2,5,4] z", **more)
    assert source.count("jax.lax.scan(") == 2


# ---- what is no such loop ------------------------------------------------------------

NONE = {"contains": (), "lacks": ["lax.scan"]}


def test_a_step_that_is_read_from_outside():
    body = steps(RNN) + joined() + " extra = Neg(h2)"
    check(body, "float[2,5,4] y, float[2,4] extra", **NONE)


def test_steps_out_of_order():
    check(steps(RNN, order=[0, 2, 1, 3, 4]) + joined(), **NONE)


def test_places_twice():
    body = steps(RNN).replace("Gather<axis=1>(x, i3)", "Gather<axis=1>(x, i2)")
    check(body + joined(), **NONE)


def test_another_operator_in_one_step():
    body = steps(RNN).replace("h3 = Tanh", "h3 = Sigmoid")
    check(body + joined(), **NONE)


def test_other_numbers_in_one_step():
    line = RNN.replace("Tanh", "Elu<alpha=0.5>")
    body = steps(line).replace("h3 = Elu<alpha=0.5>", "h3 = Elu<alpha=0.25>")
    check(body + joined(), **NONE)


def test_another_matrix_in_one_step():
    body = steps(RNN).replace("MatMul(h2, u)", "MatMul(h2, v)")
    check(body + joined(), inputs=", float[4,4] v", more=[some(4, 4)], **NONE)


@pytest.mark.parametrize("step", range(3))
def test_what_one_step_made_is_read_by_all(step):
    """It is one value, but the steps make it: y[t] = h[t] - h[step]."""
    line = RNN.replace("y{t} = Unsqueeze(h{t}, one)", "")
    body = steps(line, order=range(N))
    for t in range(N):
        body += f" d{t} = Sub(h{t}, h{step}) y{t} = Unsqueeze(d{t}, one)"
    check(body + joined(), **NONE)


def test_a_start_that_the_first_step_makes():
    """The first step reads what it made itself, the others what the last one had."""
    text, before = "", "g0"
    for t in range(N):
        text += PICKS["gather"].format(t=t)
        text += f" a{t} = MatMul(x{t}, w) g{t} = Tanh(a{t}) h{t} = Add(g{t}, {before})"
        text += f" y{t} = Unsqueeze(h{t}, one) "
        before = f"h{t}"
    check(text + joined(), **NONE)


def test_no_state():
    line = "h{t} = MatMul(x{t}, w) y{t} = Unsqueeze(h{t}, one)"
    check(steps(line) + joined(), **NONE)


def test_three_steps():
    body = steps(RNN, order=range(3)) + joined(count=3)
    check(body, "float[2,3,4] y", **NONE)


def test_a_start_that_is_broadcast():
    """lax.scan wants a state of one shape."""
    body = steps(RNN, start="front") + joined()
    check(body, inputs=", float[1,4] front", more=[some(1, 4)], **NONE)


def test_unrolled():
    source = compile_text(RNN_MODEL, options=("--layers", "unrolled"))
    assert "lax.scan" not in source


# ---- what else the code is for -------------------------------------------------------


def test_gradient_and_vmap():
    forward = load_text(RNN_MODEL).forward
    x, h, w, u = some(2, 5, 3), some(2, 4), some(3, 4), some(4, 4)

    def loop(w):
        state, out = h, []
        for t in range(N):
            state = jnp.tanh(x[:, t] @ w + state @ u)
            out.append(state)
        return jnp.sum(jnp.stack(out, 1) ** 2)

    actual = jax.grad(lambda w: jnp.sum(forward({}, x, h, w, u) ** 2))(w)
    np.testing.assert_allclose(actual, jax.grad(loop)(w), rtol=1e-4, atol=1e-5)
    many = jax.vmap(forward, (None, 0, None, None, None))({}, x[None], h, w, u)
    np.testing.assert_allclose(many[0], forward({}, x, h, w, u), rtol=1e-5)
