/* The ONNX parser on hand-built messages: every field, what is malformed, and memory
 * that runs out.  Tensors have test_onnx_tensor.c. */
#include "pb.h"

/* --- structure ------------------------------------------------------------------ */

static void model_fields(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena}, opset = {.arena = &f->arena};
    put_int(&t, 1, 13);
    put_str(&t, 2, "pytorch");
    put_str(&t, 3, "2.9");
    put_str(&t, 4, "org");
    put_int(&t, 5, -3);
    put_str(&t, 6, "doc");
    put_str(&opset, 1, "ai.onnx.ml");
    put_int(&opset, 2, 5);
    put_str(&t, 7, "");
    put_bytes(&t, 8, text_view(&opset));
    put_entry(&t, 14, "k", "v");
    put_str(&t, 20, "training");
    put_str(&t, 99, "unknown");
    const PbModel *m = parse_ok(f, text_view(&t));
    assert_int_equal(m->ir_version, 13);
    assert_int_equal(m->model_version, -3);
    assert_true(str_is(m->producer_name, "pytorch"));
    assert_true(str_is(m->producer_version, "2.9"));
    assert_true(str_is(m->domain, "org"));
    assert_true(str_is(m->doc, "doc"));
    assert_true(m->has_graph);
    assert_int_equal(m->opsets.count, 1);
    assert_true(str_is(m->opsets.items[0].domain, "ai.onnx.ml"));
    assert_int_equal(m->opsets.items[0].version, 5);
    assert_int_equal(m->metadata.count, 1);
    assert_true(str_is(m->metadata.items[0].value, "v"));
}

static void node_fields(void **state) {
    Fixture *f = *state;
    Text n = {.arena = &f->arena};
    put_str(&n, 1, "x");
    put_str(&n, 1, ""); /* an absent optional input */
    put_str(&n, 1, "b");
    put_str(&n, 2, "y");
    put_str(&n, 3, "first");
    put_str(&n, 3, "conv1"); /* the last one wins */
    put_str(&n, 4, "Conv");
    put_str(&n, 6, "doc");
    put_str(&n, 7, "ai.onnx");
    put_str(&n, 8, "v2");
    const PbNode *node = parse_node(f, text_view(&n));
    assert_int_equal(node->inputs.count, 3);
    assert_int_equal(node->inputs.items[1].n, 0);
    assert_true(str_is(node->inputs.items[2], "b"));
    assert_int_equal(node->outputs.count, 1);
    assert_true(str_is(node->name, "conv1"));
    assert_true(str_is(node->op_type, "Conv"));
    assert_true(str_is(node->doc, "doc"));
    assert_true(str_is(node->domain, "ai.onnx"));
    assert_true(str_is(node->overload, "v2"));
}

static void node_offset_is_its_place_in_the_file(void **state) {
    Fixture *f = *state;
    Text n = {.arena = &f->arena};
    put_str(&n, 4, "Relu");
    Str bytes = model_with(&f->arena, 1, text_view(&n));
    const PbModel *m = parse_ok(f, bytes);
    const char *at = bytes.p + m->graph.nodes.items[0].offset;
    assert_memory_equal(at, text_view(&n).p, text_view(&n).n);
}

static void node_metadata_is_read_on_demand(void **state) {
    Fixture *f = *state;
    Text n = {.arena = &f->arena};
    put_entry(&n, 9, "scope", "encoder");
    put_str(&n, 4, "Relu");
    put_str(&n, 9, "\x0a\x7f"); /* malformed: left out */
    put_entry(&n, 99, "x", "no metadata");
    put_entry(&n, 9, "class", "ReLU");
    const PbModel *m = parse_ok(f, model_with(&f->arena, 1, text_view(&n)));
    const PbNode *node = &m->graph.nodes.items[0];
    Entries entries = onnx_node_metadata(&f->arena, m, node);
    assert_int_equal(entries.count, 2);
    assert_true(str_is(entries.items[1].key, "class"));
    static const char *const keys[] = {"class", "scope", "x"};
    Str values[3];
    onnx_node_metadata_get(&f->arena, m, node, keys, 3, values);
    assert_true(str_is(values[0], "ReLU"));
    assert_true(str_is(values[1], "encoder"));
    assert_int_equal(values[2].n, 0);
    onnx_node_metadata_get(&f->arena, m, &(PbNode){0}, keys, 3, values);
    assert_int_equal(values[0].n, 0);
}

static void graph_fields(void **state) {
    Fixture *f = *state;
    Text g = {.arena = &f->arena}, value = {.arena = &f->arena},
         quant = {.arena = &f->arena};
    put_str(&g, 2, "main");
    put_str(&g, 10, "doc");
    put_str(&value, 1, "x");
    put_str(&value, 3, "an image");
    put_entry(&value, 4, "k", "v");
    put_bytes(&g, 11, text_view(&value));
    put_bytes(&g, 12, text_view(&value));
    put_bytes(&g, 13, text_view(&value));
    put_bytes(&g, 13, text_view(&value));
    put_str(&quant, 1, "w");
    put_entry(&quant, 2, "SCALE_TENSOR", "s");
    put_bytes(&g, 14, text_view(&quant));
    put_entry(&g, 16, "k", "v");
    const PbGraph *graph = &parse_ok(f, model_around(&f->arena, text_view(&g)))->graph;
    assert_true(str_is(graph->name, "main") && str_is(graph->doc, "doc"));
    assert_int_equal(graph->inputs.count, 1);
    assert_true(str_is(graph->inputs.items[0].name, "x"));
    assert_true(str_is(graph->inputs.items[0].doc, "an image"));
    assert_int_equal(graph->inputs.items[0].metadata.count, 1);
    assert_int_equal(graph->outputs.count, 1);
    assert_int_equal(graph->value_info.count, 2);
    assert_true(str_is(graph->quantization.items[0].tensor, "w"));
    assert_true(str_is(graph->quantization.items[0].params.items[0].value, "s"));
    assert_int_equal(graph->metadata.count, 1);
}

/* A file may be several messages in a row; protobuf merges them. */
static void concatenated_graphs_are_merged(void **state) {
    Fixture *f = *state;
    Text n = {.arena = &f->arena}, both = {.arena = &f->arena};
    put_str(&n, 4, "Relu");
    text_str(&both, model_with(&f->arena, 1, text_view(&n)));
    text_str(&both, model_with(&f->arena, 1, text_view(&n)));
    const PbModel *m = parse_ok(f, text_view(&both));
    assert_int_equal(m->graph.nodes.count, 2);
    assert_true(str_is(m->graph.nodes.items[0].op_type, "Relu"));
    assert_int_equal(m->opsets.count, 2);
}

static void function_fields(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena}, fn = {.arena = &f->arena},
         sub = {.arena = &f->arena};
    put_str(&fn, 1, "Gelu");
    put_str(&fn, 4, "x");
    put_str(&fn, 5, "y");
    put_str(&fn, 6, "alpha");
    put_str(&sub, 4, "Relu");
    put_bytes(&fn, 7, text_view(&sub));
    put_str(&fn, 8, "doc");
    put_int(&t, 2, 20);
    put_bytes(&fn, 9, text_view(&t));
    put_str(&fn, 10, "local");
    put_str(&fn, 11, "\x0a\x01x\xa0\x01\x02"); /* name x, type INT */
    put_str(&fn, 12, "\x0a\x01y");
    put_str(&fn, 13, "v2");
    put_entry(&fn, 14, "k", "v");
    Text model = {.arena = &f->arena};
    text_str(&model, model_around(&f->arena, STR("")));
    put_bytes(&model, 25, text_view(&fn));
    const PbFunction *got = &parse_ok(f, text_view(&model))->functions.items[0];
    assert_true(str_is(got->name, "Gelu") && str_is(got->domain, "local"));
    assert_true(str_is(got->overload, "v2") && str_is(got->doc, "doc"));
    assert_true(str_is(got->inputs.items[0], "x"));
    assert_true(str_is(got->outputs.items[0], "y"));
    assert_true(str_is(got->attr_names.items[0], "alpha"));
    assert_true(str_is(got->attr_defaults.items[0].name, "x"));
    assert_int_equal(got->attr_defaults.items[0].type, ATTR_INT);
    assert_true(str_is(got->nodes.items[0].op_type, "Relu"));
    assert_int_equal(got->opsets.items[0].version, 20);
    assert_true(str_is(got->value_info.items[0].name, "y"));
    assert_int_equal(got->metadata.count, 1);
}

/* --- attributes ----------------------------------------------------------------- */

static Str scalar_tensor(Arena *a) {
    Text t = {.arena = a};
    put_int(&t, 2, DT_INT8);
    put_bytes(&t, 9, STR("\x07"));
    return text_view(&t);
}

static void scalar_attributes(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena};
    put_str(&t, 1, "alpha");
    put_str(&t, 13, "doc");
    put_int(&t, 20, ATTR_FLOAT);
    put_float(&t, 2, 1.5f);
    put_int(&t, 3, -7);
    put_bytes(&t, 4, STR("by\0tes"));
    const PbAttr *a = parse_attr(f, text_view(&t));
    assert_true(str_is(a->name, "alpha") && str_is(a->doc, "doc"));
    assert_int_equal(a->type, ATTR_FLOAT);
    assert_true(a->f == 1.5f && a->i == -7);
    assert_true(str_eq(a->s, STR("by\0tes")));
}

static void message_attributes(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena};
    put_bytes(&t, 5, scalar_tensor(&f->arena));
    put_str(&t, 6,
            "\x12\x04"
            "body");
    put_bytes(&t, 14, STR("\x0a\x02\x08\x01"));
    put_bytes(&t, 22, sparse_tensor(&f->arena));
    put_int(&t, 20, ATTR_GRAPH);
    const PbAttr *a = parse_attr(f, text_view(&t));
    assert_int_equal(tensor_i64(&a->t->t, 0), 7);
    assert_true(str_is(a->g->name, "body"));
    assert_int_equal(a->tp->dtype, DT_FLOAT);
    assert_int_equal(a->sparse->rank, 2);
    assert_int_equal(a->sparse->dims[1], 2);
    assert_int_equal(tensor_i64(&a->sparse->values.t, 1), 6);
    assert_int_equal(tensor_i64(&a->sparse->indices.t, 1), 3);
}

static void list_attributes(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena};
    put_str(&t, 9, "NOTSET");
    put_str(&t, 9, "");
    put_bytes(&t, 10, scalar_tensor(&f->arena));
    put_bytes(&t, 10, scalar_tensor(&f->arena));
    put_str(&t, 11,
            "\x12\x04"
            "then");
    put_str(&t, 11,
            "\x12\x04"
            "else");
    put_bytes(&t, 15, STR("\x0a\x02\x08\x01"));
    put_bytes(&t, 23, sparse_tensor(&f->arena));
    put_int(&t, 20, ATTR_STRINGS);
    const PbAttr *a = parse_attr(f, text_view(&t));
    assert_int_equal(a->strings.count, 2);
    assert_true(str_is(a->strings.items[0], "NOTSET"));
    assert_int_equal(a->tensors.count, 2);
    assert_int_equal(tensor_i64(&a->tensors.items[1].t, 0), 7);
    assert_true(str_is(a->graphs.items[1].name, "else"));
    assert_int_equal(a->types.items[0].dtype, DT_FLOAT);
    assert_int_equal(a->sparses.items[0].rank, 2);
}

static void number_lists_packed_and_not(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena}, packed = {.arena = &f->arena};
    put_varint(&packed, 300);
    put_varint(&packed, (uint64_t)-2);
    put_int(&t, 8, 1);
    put_bytes(&t, 8, text_view(&packed));
    put_int(&t, 8, INT64_MIN);
    put_float(&t, 7, 0.5f);
    put_bytes(&t, 7, (Str){(const char *)(const float[]){1.5f, -2.0f}, 8});
    put_int(&t, 20, ATTR_INTS);
    const PbAttr *a = parse_attr(f, text_view(&t));
    const int64_t ints[] = {1, 300, -2, INT64_MIN};
    const float floats[] = {0.5f, 1.5f, -2.0f};
    assert_int_equal(a->ints.count, 4);
    assert_memory_equal(a->ints.items, ints, sizeof ints);
    assert_int_equal(a->floats.count, 3);
    assert_memory_equal(a->floats.items, floats, sizeof floats);
}

static void references_have_no_value(void **state) {
    Fixture *f = *state;
    Text t = {.arena = &f->arena};
    put_str(&t, 1, "value");
    put_int(&t, 20, ATTR_TENSOR);
    put_str(&t, 21, "alpha");
    const PbAttr *a = parse_attr(f, text_view(&t));
    assert_true(str_is(a->ref, "alpha"));
    assert_int_equal(a->type, ATTR_TENSOR);
}

static void old_attributes_have_the_type_of_their_content(void **state) {
    Fixture *f = *state;
    static const struct {
        Str bytes;
        AttrType type;
    } cases[] = {
        {{"\x15\x00\x00\x00\x00", 5}, ATTR_FLOAT},
        {{"\x18\x00", 2}, ATTR_INT},
        {{"\x22\x00", 2}, ATTR_STRING},
        {{"\x2a\x05\x10\x03\x4a\x01\x00", 7}, ATTR_TENSOR},
        {{"\x32\x00", 2}, ATTR_GRAPH},
        {{"\x3a\x00", 2}, ATTR_FLOATS},
        {{"\x40\x00", 2}, ATTR_INTS},
        {{"\x4a\x00", 2}, ATTR_STRINGS},
        {{"\x52\x05\x10\x03\x4a\x01\x00", 7}, ATTR_TENSORS},
        {{"\x5a\x00", 2}, ATTR_GRAPHS},
        {{"\x72\x00", 2}, ATTR_TYPE},
        {{"\x7a\x00", 2}, ATTR_TYPES},
        {{"\x0a\x01x", 3}, ATTR_NONE},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++)
        assert_int_equal(parse_attr(f, cases[i].bytes)->type, cases[i].type);
}

static void attributes_without_their_value_are_errors(void **state) {
    Fixture *f = *state;
    const AttrType types[] = {ATTR_TENSOR, ATTR_GRAPH, ATTR_SPARSE, ATTR_TYPE};
    for (size_t i = 0; i < OX_COUNT(types); i++) {
        Text node = {.arena = &f->arena}, attr = {.arena = &f->arena};
        put_str(&attr, 1, "value");
        put_int(&attr, 20, types[i]);
        put_bytes(&node, 5, text_view(&attr));
        assert_rejected(f, model_with(&f->arena, 1, text_view(&node)), OX0303,
                        "attribute \"value\" has no value of its type");
    }
    assert_rejected(f, model_with(&f->arena, 1, STR("\x2a\x03\xa0\x01\x63")), OX0303,
                    "attribute \"\" has an unknown type");
}

/* --- types ---------------------------------------------------------------------- */

static PbType parse_type(Fixture *f, Str type) {
    Text value = {.arena = &f->arena};
    put_bytes(&value, 2, type);
    const PbModel *m = parse_ok(f, model_with(&f->arena, 11, text_view(&value)));
    return m->graph.inputs.items[0].type;
}

static void tensor_types(void **state) {
    Fixture *f = *state;
    PbType t = parse_type(f, STR("\x0a\x16\x08\x01\x12\x12"
                                 "\x0a\x02\x08\x03"       /* 3 */
                                 "\x0a\x03\x12\x01N"      /* N */
                                 "\x0a\x00"               /* unknown */
                                 "\x0a\x05\x1a\x03zzz")); /* denotation alone */
    assert_int_equal(t.kind, PB_TYPE_TENSOR);
    assert_int_equal(t.dtype, DT_FLOAT);
    assert_true(t.has_shape);
    assert_int_equal(t.rank, 4);
    assert_true(t.dims[0].kind == PB_DIM_VALUE && t.dims[0].value == 3);
    assert_true(t.dims[1].kind == PB_DIM_PARAM && str_is(t.dims[1].param, "N"));
    assert_int_equal(t.dims[2].kind, PB_DIM_UNKNOWN);
    assert_int_equal(t.dims[3].kind, PB_DIM_UNKNOWN);
}

static void unknown_dimensions_in_disguise(void **state) {
    Fixture *f = *state;
    PbType t = parse_type(f, STR("\x0a\x15\x12\x13"
                                 "\x0a\x02\x12\x00" /* "" */
                                 "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                 "\x0a\x00"));
    assert_int_equal(t.rank, 3);
    for (size_t i = 0; i < t.rank; i++)
        assert_int_equal(t.dims[i].kind, PB_DIM_UNKNOWN);
}

static void a_scalar_is_not_an_unknown_shape(void **state) {
    Fixture *f = *state;
    PbType scalar = parse_type(f, STR("\x0a\x04\x08\x07\x12\x00"));
    assert_true(scalar.has_shape && scalar.rank == 0);
    PbType any = parse_type(f, STR("\x0a\x02\x08\x07"));
    assert_false(any.has_shape);
    assert_int_equal(parse_type(f, STR("")).kind, PB_TYPE_NONE);
    assert_int_equal(parse_type(f, STR("\x3a\x00")).kind, PB_TYPE_NONE); /* opaque */
}

static void nested_types(void **state) {
    Fixture *f = *state;
    /* optional(sequence(tensor(int64))) */
    PbType t = parse_type(f, STR("\x4a\x08\x0a\x06\x22\x04\x0a\x02\x0a\x00"));
    assert_int_equal(t.kind, PB_TYPE_OPTIONAL);
    assert_int_equal(t.elem->kind, PB_TYPE_SEQUENCE);
    assert_int_equal(t.elem->elem->kind, PB_TYPE_TENSOR);
    /* map(string, sparse tensor(float)) */
    t = parse_type(f, STR("\x2a\x08\x08\x08\x12\x04\x42\x02\x08\x01"));
    assert_int_equal(t.kind, PB_TYPE_MAP);
    assert_int_equal(t.dtype, DT_STRING);
    assert_int_equal(t.elem->kind, PB_TYPE_SPARSE);
    assert_int_equal(t.elem->dtype, DT_FLOAT);
    /* a sequence of nobody knows what still has an element */
    t = parse_type(f, STR("\x22\x00"));
    assert_int_equal(t.elem->kind, PB_TYPE_NONE);
}

static Str nested_sequences(Arena *a, int levels) {
    Str type = STR("");
    for (int i = 0; i < levels; i++) {
        Text sequence = {.arena = a}, outer = {.arena = a};
        put_bytes(&sequence, 1, type);
        put_bytes(&outer, 4, text_view(&sequence));
        type = text_view(&outer);
    }
    return type;
}

static Str nested_graphs(Arena *a, int levels) {
    Str graph = STR("");
    for (int i = 0; i < levels; i++) {
        Text attr = {.arena = a}, node = {.arena = a}, outer = {.arena = a};
        put_bytes(&attr, 6, graph);
        put_int(&attr, 20, ATTR_GRAPH);
        put_bytes(&node, 5, text_view(&attr));
        put_bytes(&outer, 1, text_view(&node));
        graph = text_view(&outer);
    }
    return graph;
}

static void siblings_are_not_nested(void **state) {
    Fixture *f = *state;
    Text graph = {.arena = &f->arena}, value = {.arena = &f->arena};
    put_bytes(&value, 2, nested_sequences(&f->arena, 2));
    for (int i = 0; i < 2 * PB_DEPTH_MAX; i++) {
        put_bytes(&graph, 11, text_view(&value));
        put_bytes(&graph, 1, STR("\x2a\x02\x32\x00")); /* a node with a graph */
    }
    parse_ok(f, model_around(&f->arena, text_view(&graph)));
}

static void nesting_is_limited(void **state) {
    Fixture *f = *state;
    Arena *a = &f->arena;
    parse_ok(f, model_around(a, nested_graphs(a, PB_DEPTH_MAX - 1)));
    assert_rejected(f, model_around(a, nested_graphs(a, PB_DEPTH_MAX)), OX0104,
                    "graphs or types nest deeper than 64 levels");
    f->diags = (Diags){.arena = a};
    parse_type(f, nested_sequences(a, PB_DEPTH_MAX - 2));
    Text value = {.arena = a};
    put_bytes(&value, 2, nested_sequences(a, PB_DEPTH_MAX - 1));
    assert_rejected(f, model_with(a, 11, text_view(&value)), OX0104,
                    "graphs or types nest deeper than 64 levels");
}

/* --- malformed models ----------------------------------------------------------- */

static void what_is_no_model_says_so(void **state) {
    Fixture *f = *state;
    static const struct {
        Str bytes;
        const char *what, *hint;
    } cases[] = {
        {{NULL, 0}, "the file is empty", ""},
        {{"\x08\x0a", 2}, "the file is protobuf but has no graph", ""},
        {{"\x08\x0a\x38\x01", 4}, "the file is protobuf but has no graph", ""},
        {{"PK\x03\x04", 4}, "the file is no ONNX model", "this is a zip archive"},
        {{"version https://git-lfs.", 24},
         "the file is no ONNX model",
         "this is a Git LFS pointer"},
        {{"<!DOCTYPE html>", 15}, "the file is no ONNX model", "this is a web page"},
        {{"\x3a\x00", 2}, "the model imports no operator set", "the file may be"},
        {{"\x08\x03\x3a\x00", 4},
         "the model imports no operator set",
         "the file may be"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        assert_rejected(f, cases[i].bytes, OX0101, cases[i].what);
        assert_true(str_starts(f->diags.items[0].hint, str_from(cases[i].hint)));
    }
    parse_ok(f, STR("\x08\x02\x3a\x00") /* IR version 2 knew no operator sets */);
}

static void a_model_that_breaks_off_is_malformed(void **state) {
    Fixture *f = *state;
    assert_rejected(f, STR("\x08\x0a\x3a\x7f"), OX0102,
                    "a field runs past the end of its message");
    assert_string_equal(f->diags.items[0].where.p, "byte 4, in a ModelProto");
}

static void malformed_bytes_are_placed(void **state) {
    Fixture *f = *state;
    static const struct {
        Str graph; /* at byte 4 of the model */
        const char *what, *where;
    } cases[] = {
        {{"\x12\x7f", 2},
         "a field runs past the end of its message",
         "byte 6, in a GraphProto"},
        {{"\x0a\x02\x0a\x7f", 4},
         "a field runs past the end of its message",
         "byte 8, in a NodeProto"},
        {{"\x0a\x01\x07", 3}, "a field has an invalid tag", "byte 7, in a NodeProto"},
        {{"\x0a\x04\x2a\x02\x42\x7f", 6},
         "a field runs past the end of its message",
         "byte 10, in a AttributeProto"},
        {{"\x0a\x05\x2a\x03\x42\x01\x80", 7},
         "a field runs past the end of its message",
         "byte 11, in a AttributeProto"},
        {{"\x0a\x06\x2a\x04\x3a\x02zz", 8},
         "a field runs past the end of its message",
         "byte 10, in a AttributeProto"},
        {{"\x2a\x02\x4a\x7f", 4},
         "a field runs past the end of its message",
         "byte 8, in a TensorProto"},
        {{"\x5a\x04\x12\x02\x0a\x7f", 6},
         "a field runs past the end of its message",
         "byte 10, in a TypeProto"},
        {{"\x5a\x08\x12\x06\x0a\x04\x12\x02\x0a\x7f", 10},
         "a field runs past the end of its message",
         "byte 14, in a TensorShapeProto"},
        {{"\x82\x01\x02\x0a\x7f", 5},
         "a field runs past the end of its message",
         "byte 9, in a StringStringEntryProto"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Str bytes = model_around(&f->arena, cases[i].graph);
        assert_rejected(f, bytes, OX0102, cases[i].what);
        assert_string_equal(f->diags.items[0].where.p, cases[i].where);
    }
}

/* A model that uses every kind of field. */
static Str full_model(Arena *a) {
    Text g = {.arena = a}, node = {.arena = a}, attr = {.arena = a},
         value = {.arena = a}, tensor = tensor_of(a, DT_INT64, 2);
    put_bytes(&tensor, 7, STR("\x01\x02"));
    put_str(&attr, 1, "value");
    put_bytes(&attr, 5, text_view(&tensor));
    put_bytes(&attr, 8, STR("\x01\x02\x03"));
    put_bytes(&attr, 6, nested_graphs(a, 2));
    put_str(&node, 1, "x");
    put_str(&node, 2, "y");
    put_str(&node, 4, "Constant");
    put_bytes(&node, 5, text_view(&attr));
    put_entry(&node, 9, "k", "v");
    put_str(&value, 1, "x");
    put_bytes(&value, 2, nested_sequences(a, 3));
    put_bytes(&g, 1, text_view(&node));
    put_bytes(&g, 5, external_tensor(a, "w.bin", "0", "2"));
    put_bytes(&g, 5, text_view(&tensor));
    put_bytes(&g, 11, text_view(&value));
    put_bytes(&g, 12,
              STR("\x0a\x01y\x12\x0b\x0a\x09\x08\x01\x12\x05\x0a\x03\x12\x01N"));
    put_bytes(&g, 15, sparse_tensor(a));
    return model_around(a, text_view(&g));
}

static void every_truncation_is_an_error(void **state) {
    Fixture *f = *state;
    Str bytes = full_model(&f->arena);
    parse_ok(f, bytes);
    for (size_t n = 0; n < bytes.n; n++) {
        /* A copy of exact size, so that ASan sees any read past the end. */
        char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, bytes.p, n);
        Arena a;
        arena_init(&a, NULL);
        Diags d = {.arena = &a};
        Source source = source_of_memory((Str){copy, n});
        assert_null(onnx_parse(&a, &d, &source));
        assert_int_equal(diag_status(&d), OX_ERR_MODEL);
        arena_free(&a);
        free(copy);
    }
}

/* --- failing allocations -------------------------------------------------------- */

typedef struct Meter {
    int live, left;
} Meter;

static void *meter_resize(void *user, void *block, size_t old_size, size_t new_size) {
    Meter *m = user;
    (void)old_size;
    if (new_size == 0) {
        m->live -= block != NULL;
        free(block);
        return NULL;
    }
    if (m->left == 0)
        return NULL;
    m->left--;
    m->live += block == NULL;
    return realloc(block, new_size);
}

/* Enough nodes and tensors for several chunks of the arena. */
static Str large_model(Arena *a) {
    Text g = {.arena = a}, tensor = tensor_of(a, DT_INT64, 20000);
    Text values = {.arena = a};
    for (int i = 0; i < 20000; i++)
        put_varint(&values, (uint64_t)i);
    put_bytes(&tensor, 7, text_view(&values));
    for (int i = 0; i < 500; i++) {
        Text node = {.arena = a};
        put_str(&node, 1, "x");
        put_str(&node, 2, "y");
        put_bytes(&node, 5, STR("\x0a\x01k\x40\x07"));
        put_bytes(&g, 1, text_view(&node));
    }
    put_bytes(&g, 5, text_view(&tensor));
    put_bytes(&g, 5, external_tensor(a, "w.bin", NULL, NULL));
    return model_around(a, text_view(&g));
}

static Source *open_digits(void *user, Diags *diags, Str location) {
    (void)diags, (void)location;
    return user;
}

/* Parses with the allocation after the first `allowed` failing. */
static OxStatus parse_with(Str bytes, int allowed) {
    Meter m = {0, allowed};
    OxAllocator hook = {meter_resize, &m};
    Source source = source_of_memory(bytes);
    Source digits = source_of_memory(STR("0123456789"));
    Arena a;
    arena_init(&a, &hook);
    Diags d = {.arena = &a};
    PbModel *model = onnx_parse(&a, &d, &source);
    if (model)
        onnx_resolve(&a, &d, model, open_digits, &digits);
    OxStatus status = diag_status(&d);
    assert_true(model || status != OX_OK);
    arena_free(&a);
    assert_int_equal(m.live, 0);
    return status;
}

static void every_failing_allocation_is_survived(void **state) {
    Fixture *f = *state;
    Str bytes = large_model(&f->arena);
    int allowed = 0;
    while (parse_with(bytes, allowed) == OX_ERR_MEMORY)
        allowed++;
    assert_int_equal(parse_with(bytes, allowed), OX_OK);
    assert_true(allowed >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(model_fields),
        IN_ARENA(node_fields),
        IN_ARENA(node_offset_is_its_place_in_the_file),
        IN_ARENA(node_metadata_is_read_on_demand),
        IN_ARENA(graph_fields),
        IN_ARENA(concatenated_graphs_are_merged),
        IN_ARENA(function_fields),
        IN_ARENA(scalar_attributes),
        IN_ARENA(message_attributes),
        IN_ARENA(list_attributes),
        IN_ARENA(number_lists_packed_and_not),
        IN_ARENA(references_have_no_value),
        IN_ARENA(old_attributes_have_the_type_of_their_content),
        IN_ARENA(attributes_without_their_value_are_errors),
        IN_ARENA(tensor_types),
        IN_ARENA(unknown_dimensions_in_disguise),
        IN_ARENA(a_scalar_is_not_an_unknown_shape),
        IN_ARENA(nested_types),
        IN_ARENA(siblings_are_not_nested),
        IN_ARENA(nesting_is_limited),
        IN_ARENA(what_is_no_model_says_so),
        IN_ARENA(a_model_that_breaks_off_is_malformed),
        IN_ARENA(malformed_bytes_are_placed),
        IN_ARENA(every_truncation_is_an_error),
        IN_ARENA(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
