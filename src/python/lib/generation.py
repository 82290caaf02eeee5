"""Search for sequences of tokens: loops around a whole decoder, which Python unrolls,
since its past grows with each token."""

import jax
import jax.numpy as jnp


def adjust_scores(
    scores,
    sequences,
    step,
    eos,
    min_length=0,
    repetition_penalty=None,
    ngram=0,
    vocab_mask=None,
    prefix_vocab_mask=None,
):
    """Scores (rows, vocabulary) of what may follow sequences (rows, length).

    Tokens that are there already are divided by the penalty, or multiplied where
    negative; no run of `ngram` tokens comes twice; none ends before min_length.
    """
    length = sequences.shape[1]
    lowest = jnp.finfo(scores.dtype).min
    rows = jnp.arange(len(scores))[:, None]
    if repetition_penalty is not None:
        seen = jnp.zeros(scores.shape, bool).at[rows, sequences].set(True)
        less = jnp.where(
            scores < 0, scores * repetition_penalty, scores / repetition_penalty
        )
        scores = jnp.where(seen, less, scores)
    if 0 < ngram <= length:
        starts = jnp.arange(length - ngram + 1)
        runs = sequences[:, starts[:, None] + jnp.arange(ngram)[None]]
        begun = (runs[..., :-1] == runs[:, -1:, 1:]).all(-1)
        banned = jnp.zeros(scores.shape, bool).at[rows, runs[..., -1]].max(begun)
        scores = jnp.where(banned, lowest, scores)
    if vocab_mask is not None:
        scores = jnp.where(vocab_mask[None] == 0, lowest, scores)
    if prefix_vocab_mask is not None and step == 0:
        allowed = jnp.repeat(prefix_vocab_mask, len(rows) // len(prefix_vocab_mask), 0)
        scores = jnp.where(allowed == 0, lowest, scores)
    ends = jnp.arange(scores.shape[1])[None] == eos
    return jnp.where(ends & (length < min_length), lowest, scores)


def run_decoder(decoder, tokens, words, mask, past):
    """Scores of the next token, and the past with what the decoder adds to it.

    words (rows, past and tokens): 0 is padding, which has position 0.
    """
    positions = jnp.cumsum(words, axis=1, dtype=words.dtype) - 1
    positions = jnp.where(words == 0, 0, positions)[:, -tokens.shape[1] :]
    logits, *past = decoder(tokens, positions, mask, *past)
    return logits[:, -1], past


def one_more(mask):
    """The mask with a column of ones behind it."""
    return jnp.pad(mask, ((0, 0), (0, 1)), constant_values=1)


def check_room(max_length, length):
    """An encoder that gives the first logits leaves a step or more for the decoder:
    without one onnxruntime gives what the search does not say."""
    if max_length < length + 2:
        raise ValueError(f"max_length, {max_length}, must be {length + 2} or more here")


def steps_to(max_length, length):
    """The steps that take sequences of a length to max_length."""
    if length >= max_length:
        raise ValueError(f"prompts of {length} tokens reach max_length, {max_length}")
    return range(max_length - length)


def greedy_search(
    decoder,
    ids,
    max_length,
    past,
    eos,
    pad,
    first=None,
    attention_mask=None,
    choose=None,
    **rules,
):
    """Sequences (batch, max_length) that begin with ids, and go on with the token of
    the highest score, or that of choose(scores, step), until eos, which becomes pad.

    decoder(tokens, positions, mask, *past) gives logits and the new past; `first` is
    the decoder of the first step.  rules: see adjust_scores.
    """
    words = (ids != pad).astype(ids.dtype)
    mask = words if attention_mask is None else attention_mask
    sequences = tokens = ids
    ended = jnp.zeros(len(ids), bool)
    for step in steps_to(max_length, ids.shape[1]):
        run = first if first and step == 0 else decoder
        scores, past = run_decoder(run, tokens, words, mask, past)
        scores = adjust_scores(scores, sequences, step, eos, **rules)
        chosen = choose(scores, step) if choose else jnp.argmax(scores, axis=1)
        ended |= chosen == eos
        tokens = jnp.where(ended, pad, chosen).astype(ids.dtype)[:, None]
        sequences = jnp.concatenate([sequences, tokens], axis=1)
        words, mask = one_more(words), one_more(mask)
    return sequences


def sampling_search(
    decoder,
    ids,
    max_length,
    past,
    key,
    top_p,
    keep=0,
    temperature=1.0,
    filter_value=-1e20,
    custom=False,
    **options,
):
    """greedy_search that draws each token from the likeliest, which together have
    probability top_p.

    keep: the last tokens of the order of scores, which stay anyway.  custom: tokens
    stay until those before them have more than top_p.
    """

    def choose(scores, step):
        scores = scores / temperature
        order = jnp.argsort(scores, axis=1, descending=custom)
        likely = jax.nn.softmax(jnp.take_along_axis(scores, order, axis=1))
        total = jnp.cumsum(likely, axis=1)
        if custom:
            drop = jnp.pad(total[:, :-1] > top_p, ((0, 0), (1, 0)))
        else:
            last = max(scores.shape[1] - keep, 1)
            drop = (total <= 1 - top_p) & (jnp.arange(scores.shape[1])[None] < last)
        drop = jnp.take_along_axis(drop, jnp.argsort(order, axis=1), axis=1)
        scores = jnp.where(drop, filter_value, scores)
        return jax.random.categorical(jax.random.fold_in(key, step), scores)

    return greedy_search(decoder, ids, max_length, past, choose=choose, **options)


def keep_best(found, sequences, sums, valid, pad, length_penalty):
    """The best of what was found before and of the valid ones of sequences (batch,
    beams, length).

    found: padded sequences, scores that fall, and which of them there are.
    """
    tokens, scores, used = found
    beams, length = sequences.shape[1:]
    free = ((0, 0), (0, 0), (0, tokens.shape[2] - length))
    sequences = jnp.pad(sequences, free, constant_values=pad)
    tokens = jnp.concatenate([tokens, sequences], axis=1)
    divisor = jnp.float32(length) ** length_penalty
    scores = jnp.concatenate([scores, sums / divisor], axis=1)
    used = jnp.concatenate([used, valid], axis=1)
    order = jnp.lexsort((-scores, ~used), axis=1)[:, :beams]
    return (
        jnp.take_along_axis(tokens, order[..., None], axis=1),
        jnp.take_along_axis(scores, order, axis=1),
        jnp.take_along_axis(used, order, axis=1),
    )


def search_beams(
    decode,
    memory,
    sequences,
    max_length,
    eos,
    pad,
    beams,
    count=1,
    length_penalty=1.0,
    early_stopping=False,
    **rules,
):
    """The `count` best sequences (batch, count, max_length), their scores, and those of
    all tokens (steps, batch, beams, vocabulary), 0 once all have ended.

    decode(step, tokens, memory, rows) gives scores and the new memory; rows says which
    of the sequences go on; None: all.  sequences (batch * beams, length) is the start.
    """
    batch, length = len(sequences) // beams, sequences.shape[1]
    sums = jnp.where(jnp.arange(beams) == 0, 0, -1e9).astype(jnp.float32)
    sums = jnp.tile(sums, (batch, 1))
    done = jnp.zeros(batch, bool)
    found = (
        jnp.full((batch, beams, max_length), pad, sequences.dtype),
        jnp.full((batch, beams), -jnp.inf, jnp.float32),
        jnp.zeros((batch, beams), bool),
    )
    history = []
    own = jnp.arange(batch, dtype=jnp.int32)[:, None]
    tokens, rows = sequences, None
    for step in steps_to(max_length, length):
        scores, memory = decode(step, tokens, memory, rows)
        scores = jax.nn.log_softmax(scores.astype(jnp.float32))
        scores = adjust_scores(scores, sequences, step, eos, **rules)
        scores = scores.reshape(batch, beams, -1) + sums[..., None]
        history.append(jnp.where(done.all(), 0, scores))
        best, place = jax.lax.top_k(scores.reshape(batch, -1), 2 * beams)
        source, token = place // scores.shape[2], place % scores.shape[2]
        whole = sequences.reshape(batch, beams, -1)
        ends = token == eos

        ended = jnp.take_along_axis(whole, source[:, :beams, None], axis=1)
        valid = ends[:, :beams] & ~done[:, None]
        found = keep_best(found, ended, best[:, :beams], valid, pad, length_penalty)

        order = jnp.argsort(ends, axis=1)[:, :beams]
        going = ~done[:, None]
        sums = jnp.where(going, jnp.take_along_axis(best, order, axis=1), 0)
        tokens = jnp.where(going, jnp.take_along_axis(token, order, axis=1), pad)
        source = jnp.take_along_axis(source, order, axis=1)
        rows = jnp.where(going, source + beams * own, 0)

        full = found[2].all(axis=1)
        if not early_stopping:
            # onnxruntime reads the candidates of a batch at this place
            near = beams * own + jnp.arange(2 * beams, dtype=jnp.int32)[None]
            hope = best.reshape(-1)[near].max(axis=1)
            full &= (
                found[1][:, -1] >= hope / jnp.float32(whole.shape[2]) ** length_penalty
            )
        done |= full
        tokens = tokens.astype(sequences.dtype).reshape(-1, 1)
        rows = rows.reshape(-1)
        sequences = jnp.concatenate([sequences[rows], tokens], axis=1)
        rows = rows if beams > 1 else None
    whole, valid = sequences.reshape(batch, beams, -1), ~done[:, None]
    valid = jnp.broadcast_to(valid, sums.shape)
    tokens, scores, _ = keep_best(found, whole, sums, valid, pad, length_penalty)
    return tokens[:, :count], scores[:, :count], jnp.stack(history)


def beam_search(
    decoder,
    ids,
    max_length,
    past,
    eos,
    pad,
    beams,
    first=None,
    attention_mask=None,
    **options,
):
    """search_beams with a decoder like that of greedy_search."""
    words = (ids != pad).astype(ids.dtype)
    mask = words if attention_mask is None else attention_mask
    ids, words, mask = (jnp.repeat(x, beams, axis=0) for x in (ids, words, mask))
    past = [jnp.repeat(x, beams, axis=1) for x in past]

    def decode(step, tokens, memory, rows):
        words, mask, past = memory
        if rows is not None:
            past = [x[:, rows] for x in past]
        run = first if first and step == 0 else decoder
        scores, past = run_decoder(run, tokens, words, mask, past)
        return scores, (one_more(words), one_more(mask), past)

    memory = words, mask, past
    return search_beams(decode, memory, ids, max_length, eos, pad, beams, **options)


def beam_search_encoded(
    encoder,
    decoder,
    ids,
    max_length,
    start,
    eos,
    pad,
    beams,
    past=None,
    attention_mask=None,
    **options,
):
    """search_beams with a decoder that reads what an encoder has made of ids; all
    sequences begin with the token `start`.

    decoder(tokens, mask, *state, *read) gives logits and the new state.  encoder(ids,
    mask) gives `read`; where no state is given, encoder(ids, mask, tokens) gives logits
    of the first step, hidden states, state, and read.
    """
    mask = attention_mask
    if mask is None:  # padding in front only: the end of a text may be the same token
        mask = (jnp.cumsum(ids != pad, axis=1) > 0).astype(ids.dtype)
    tokens = jnp.full((len(ids), 1), start, ids.dtype)
    logits = None
    if past is None:
        check_room(max_length, 1)
        logits, _, *states = encoder(ids, mask, tokens)
        past, read = states[: len(states) // 2], states[len(states) // 2 :]
        logits = jnp.repeat(logits[:, -1], beams, axis=0)
    else:
        read = encoder(ids, mask)
    past, read = ([jnp.repeat(x, beams, axis=0) for x in xs] for xs in (past, read))
    tokens, mask = jnp.repeat(tokens, beams, axis=0), jnp.repeat(mask, beams, axis=0)

    def decode(step, tokens, past, rows):
        if step == 0 and logits is not None:
            return logits, past
        if rows is not None:
            past = [x[rows] for x in past]
        scores, *past = decoder(tokens, mask, *past, *read)
        return scores[:, -1], past

    return search_beams(decode, past, tokens, max_length, eos, pad, beams, **options)


def beam_search_speech(
    encoder, decoder, features, max_length, start, eos, pad, beams, **options
):
    """search_beams with a decoder that reads what an encoder has made of features; the
    sequences begin with start (batch, length).

    encoder(features, start) gives logits, hidden states, past, and read.  decoder(
    tokens, *past, *read) gives logits and the new past.
    """
    check_room(max_length, start.shape[1])
    logits, _, *states = encoder(features, start)
    states = [jnp.repeat(x, beams, axis=0) for x in states]
    past, read = states[: len(states) // 2], states[len(states) // 2 :]
    logits = jnp.repeat(logits[:, -1], beams, axis=0)
    start = jnp.repeat(start, beams, axis=0)

    def decode(step, tokens, past, rows):
        if step == 0:
            return logits, past
        if rows is not None:
            past = [x[rows] for x in past]
        scores, *past = decoder(tokens, *past, *read)
        return scores[:, -1], past

    return search_beams(decode, past, start, max_length, eos, pad, beams, **options)
