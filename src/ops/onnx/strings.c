/* Operators on text and on encoded images: known, so that their types can be inferred and
 * the error can say why they are not compiled.  JAX has neither strings nor decoders.
 * Source: ONNX operators StringConcat, StringNormalizer, StringSplit, RegexFullMatch,
 * ImageDecoder. */
#include "ops/core/op.h"

static void infer_concat(Model *m, Node *n) {
    Shape s;
    broadcast_inputs(m, n, &s);
    set_type(m, n, 0, DT_STRING, &s);
}

/* Stop words are left out of its one row. */
static void infer_normalizer(Model *m, Node *n) {
    Shape s;
    if (in_shape(n, 0, &s) && s.rank > 0)
        s.d[s.rank - 1] = fresh_dim(m, n, 0, s.rank - 1);
    set_type(m, n, 0, DT_STRING, &s);
}

static void infer_split(Model *m, Node *n) {
    Shape s;
    bool known = in_shape(n, 0, &s);
    set_type(m, n, 1, DT_INT64, &s);
    if (known && s.rank < OX_MAX_RANK) {
        s.d[s.rank] = fresh_dim(m, n, 0, s.rank);
        s.rank++;
    } else {
        s.rank = -1;
    }
    set_type(m, n, 0, DT_STRING, &s);
}

static void infer_match(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    set_type(m, n, 0, DT_BOOL, &s);
}

/* (height, width, channels) */
static void infer_image(Model *m, Node *n) {
    set_rank(m, n, 0, DT_UINT8, 3);
}

static void emit_text(Emit *e) {
    emit_fail(e, OX0302, "work on the text before calling forward, and pass numbers",
              "this is no operation on numbers, and JAX has no strings");
}

static void emit_image(Emit *e) {
    emit_fail(e, OX0302, "decode the image before calling forward, and pass its pixels",
              "decoding a file is no tensor operation");
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "StringConcat", .since = 20, .in = "X Y", .out = "Z",
     .infer = infer_concat, .emit = emit_text,
     .facts = OP_REFUSED},
    {.name = "StringNormalizer", .since = 10, .in = "X", .out = "Y",
     .attrs = {STRING("case_change_action", "NONE"), INT("is_case_sensitive", 0),
               STRING_OPT("locale"), ANY_OPT("stopwords", ATTR_STRINGS)},
     .infer = infer_normalizer, .emit = emit_text,
     .facts = OP_REFUSED},
    {.name = "StringSplit", .since = 20, .in = "X", .out = "Y Z",
     .attrs = {STRING_OPT("delimiter"), INT_OPT("maxsplit")},
     .infer = infer_split, .emit = emit_text,
     .facts = OP_REFUSED},
    {.name = "RegexFullMatch", .since = 20, .in = "X", .out = "Y",
     .attrs = {STRING_OPT("pattern")}, .infer = infer_match, .emit = emit_text,
     .facts = OP_REFUSED},
    {.name = "ImageDecoder", .since = 20, .in = "encoded_stream", .out = "image",
     .attrs = {STRING("pixel_format", "RGB")}, .infer = infer_image, .emit = emit_image,
     .facts = OP_REFUSED},
};
/* clang-format on */

const OpFamily ops_strings = FAMILY(ops);
