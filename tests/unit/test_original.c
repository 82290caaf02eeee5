/* The thirteen tests of the original OxideXLA, under its own names, on the fixtures of
 * tests/generate_fixtures.py: test_parser, test_graph, test_codegen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "inspect/inspect.h"
#include "onnx/import.h"
#include "ops/core/engine.h"
#include "support/file.h"

/* A fixture file through the layers of the library. */
typedef struct Fixture {
    Arena arena;
    Diags diags;
    FileMap file;
    Source source;
    PbModel *pb;
    Model *model;
} Fixture;

static const char *path_of(const char *name, char *room, size_t size) {
    const char *folder = getenv("OX_FIXTURES");
    int n = snprintf(room, size, "%s/%s", folder ? folder : OX_FIXTURES, name);
    assert_true(n > 0 && (size_t)n < size);
    return room;
}

static void open_fixture(Fixture *f, const char *name) {
    char path[1024];
    *f = (Fixture){.diags = {.arena = &f->arena}};
    arena_init(&f->arena, NULL);
    assert_true(file_map(&f->file, path_of(name, path, sizeof path)));
    f->source = source_of_memory(f->file.bytes);
    f->pb = onnx_parse(&f->arena, &f->diags, &f->source);
    assert_non_null(f->pb);
    assert_int_equal(diag_status(&f->diags), OX_OK);
}

static void open_graph(Fixture *f, const char *name) {
    open_fixture(f, name);
    f->model = graph_import(&f->arena, &f->diags, f->pb, str_from(name));
    assert_non_null(f->model);
    assert_int_equal(diag_status(&f->diags), OX_OK);
}

static void open_inferred(Fixture *f, const char *name) {
    open_graph(f, name);
    infer_model(f->model);
    assert_int_equal(diag_status(&f->diags), OX_OK);
}

static void close_fixture(Fixture *f) {
    file_unmap(&f->file);
    arena_free(&f->arena);
}

static void assert_ops(const Graph *g, const char *const *ops, size_t n) {
    assert_int_equal(g->n_nodes, n);
    for (size_t i = 0; i < n; i++)
        assert_true(str_is(g->nodes[i]->op_type, ops[i]));
}

static void assert_type(const Value *v, const char *expected) {
    Arena arena;
    arena_init(&arena, NULL);
    Text t = {.arena = &arena};
    type_print(&t, &v->type);
    assert_string_equal(text_view(&t).p, expected);
    arena_free(&arena);
}

/* ---- test_parser ------------------------------------------------------------------- */

static void parse_linear_model(void **state) {
    (void)state;
    Fixture f;
    open_fixture(&f, "linear.onnx");
    const PbGraph *g = &f.pb->graph;
    assert_true(str_is(g->name, "linear"));
    assert_int_equal(g->nodes.count, 2);
    assert_true(str_is(g->nodes.items[0].op_type, "MatMul"));
    assert_true(str_is(g->nodes.items[1].op_type, "Add"));
    assert_int_equal(g->inputs.count, 1);
    assert_true(str_is(g->inputs.items[0].name, "input"));
    assert_int_equal(g->initializers.count, 2);
    const Tensor *weight = &g->initializers.items[0].t;
    assert_true(str_is(weight->name, "layer0.weight"));
    assert_int_equal(weight->dtype, DT_FLOAT);
    assert_int_equal(weight->count, 32);
    assert_int_equal(weight->size, 128);
    /* Never copied: the data is where the file was mapped. */
    assert_ptr_equal(weight->memory, f.file.bytes.p + weight->offset);
    close_fixture(&f);
}

static void parse_linear_relu_model(void **state) {
    (void)state;
    Fixture f;
    open_fixture(&f, "linear_relu.onnx");
    const PbGraph *g = &f.pb->graph;
    assert_int_equal(g->nodes.count, 3);
    assert_true(str_is(g->nodes.items[2].op_type, "Relu"));
    assert_true(str_is(g->nodes.items[2].outputs.items[0], "output"));
    close_fixture(&f);
}

static void parse_two_layer_mlp(void **state) {
    (void)state;
    Fixture f;
    open_fixture(&f, "two_layer_mlp.onnx");
    const PbGraph *g = &f.pb->graph;
    assert_int_equal(g->nodes.count, 6);
    assert_int_equal(g->initializers.count, 4);
    const PbType *input = &g->inputs.items[0].type;
    assert_int_equal(input->rank, 2);
    assert_int_equal(input->dims[0].kind, PB_DIM_PARAM);
    assert_true(str_is(input->dims[0].param, "batch"));
    assert_int_equal(input->dims[1].value, 4);
    const PbNode *softmax = &g->nodes.items[5];
    assert_int_equal(softmax->attrs.count, 1);
    assert_true(str_is(softmax->attrs.items[0].name, "axis"));
    assert_int_equal(softmax->attrs.items[0].i, -1);
    close_fixture(&f);
}

static void parse_nonexistent_file_returns_error(void **state) {
    (void)state;
    char path[1024];
    OxCompiler *c = ox_new(NULL);
    assert_non_null(c);
    OxStatus status = ox_load_file(c, path_of("nonexistent.onnx", path, sizeof path));
    assert_int_equal(status, OX_ERR_IO);
    assert_non_null(strstr(ox_messages(c, false).data, "error[OX0001]"));
    assert_int_equal(ox_compile(c, NULL), OX_ERR_IO);
    assert_int_equal(ox_source(c).size, 0);
    ox_free(c);
}

/* ---- test_graph -------------------------------------------------------------------- */

static void build_ir_from_linear_model(void **state) {
    (void)state;
    Fixture f;
    open_graph(&f, "linear.onnx");
    static const char *const ops[] = {"MatMul", "Add"};
    const Graph *g = f.model->graph;
    assert_ops(g, ops, OX_COUNT(ops));
    assert_int_equal(g->n_inputs, 1);
    assert_int_equal(g->n_params, 2);
    const Node *matmul = g->nodes[0], *add = g->nodes[1];
    assert_ptr_equal(matmul->in[0], g->inputs[0]);
    assert_ptr_equal(matmul->in[1], g->params[0]);
    assert_int_equal(g->params[0]->kind, VALUE_PARAM);
    assert_ptr_equal(add->in[0], matmul->out[0]);
    assert_ptr_equal(add->out[0], g->outputs[0]);
    close_fixture(&f);
}

static void build_ir_from_two_layer_mlp(void **state) {
    (void)state;
    Fixture f;
    open_graph(&f, "two_layer_mlp.onnx");
    static const char *const ops[] = {"MatMul", "Add", "Relu",
                                      "MatMul", "Add", "Softmax"};
    const Graph *g = f.model->graph;
    assert_ops(g, ops, OX_COUNT(ops));
    for (size_t i = 1; i < g->n_nodes; i++)
        assert_ptr_equal(g->nodes[i]->in[0], g->nodes[i - 1]->out[0]);
    assert_int_equal(g->n_params, 4);
    const char *why = NULL;
    assert_true(graph_verify(f.model, &why));
    close_fixture(&f);
}

static void shape_inference_linear_model(void **state) {
    (void)state;
    Fixture f;
    open_inferred(&f, "linear.onnx");
    const Graph *g = f.model->graph;
    assert_type(g->nodes[0]->out[0], "float32[1,8]");
    assert_type(g->nodes[1]->out[0], "float32[1,8]");
    close_fixture(&f);
}

static void ascii_output_not_empty(void **state) {
    (void)state;
    Fixture f;
    open_inferred(&f, "two_layer_mlp.onnx");
    Text t = {.arena = &f.arena};
    inspect_print(f.model, &(InspectOptions){.format = OX_ASCII, .layers = true}, &t);
    const char *text = text_view(&t).p;
    assert_non_null(strstr(text, "two_layer_mlp"));
    assert_non_null(strstr(text, "Softmax"));
    assert_non_null(strstr(text, "layer1.weight"));
    assert_non_null(strstr(text, "float32[batch,3]"));
    close_fixture(&f);
}

/* The smallest reader that tells valid JSON from anything else (RFC 8259). */
typedef struct Json {
    const char *p;
    int depth;
} Json;

static bool json_value(Json *j);

static void json_space(Json *j) {
    j->p += strspn(j->p, " \t\r\n");
}

static bool json_take(Json *j, const char *token) {
    json_space(j);
    size_t n = strlen(token);
    if (strncmp(j->p, token, n) != 0)
        return false;
    j->p += n;
    return true;
}

static bool json_string(Json *j) {
    if (!json_take(j, "\""))
        return false;
    for (; *j->p != '"'; j->p++) {
        if ((unsigned char)*j->p < 0x20)
            return false;
        if (*j->p == '\\' && !strchr("\"\\/bfnrtu", *++j->p))
            return false;
    }
    j->p++;
    return true;
}

static bool json_number(Json *j) {
    char *end;
    strtod(j->p, &end);
    bool ok = end > j->p;
    j->p = end;
    return ok;
}

static bool json_members(Json *j, const char *close, bool named) {
    if (json_take(j, close))
        return true;
    do {
        if (named && !(json_string(j) && json_take(j, ":")))
            return false;
        if (!json_value(j))
            return false;
    } while (json_take(j, ","));
    return json_take(j, close);
}

static bool json_value(Json *j) {
    if (++j->depth > 100)
        return false;
    json_space(j);
    bool ok = json_take(j, "{")   ? json_members(j, "}", true)
              : json_take(j, "[") ? json_members(j, "]", false)
              : *j->p == '"'      ? json_string(j)
                                  : json_take(j, "null") || json_take(j, "true") ||
                                   json_take(j, "false") || json_number(j);
    j->depth--;
    return ok;
}

static void json_output_is_valid(void **state) {
    (void)state;
    static const char *const names[] = {"linear.onnx", "two_layer_mlp.onnx",
                                        "hostile_names.onnx"};
    for (size_t i = 0; i < OX_COUNT(names); i++) {
        Fixture f;
        open_inferred(&f, names[i]);
        Text t = {.arena = &f.arena};
        inspect_print(f.model, &(InspectOptions){.format = OX_JSON}, &t);
        Json j = {text_view(&t).p, 0};
        assert_true(json_value(&j));
        json_space(&j);
        assert_int_equal(*j.p, '\0');
        close_fixture(&f);
    }
}

/* ---- test_codegen ------------------------------------------------------------------ */

static OxCompiler *compile(const char *name) {
    char path[1024];
    OxCompiler *c = ox_new(NULL);
    assert_non_null(c);
    assert_int_equal(ox_load_file(c, path_of(name, path, sizeof path)), OX_OK);
    OxStatus status = ox_compile(c, NULL);
    if (status != OX_OK)
        print_error("%s", ox_messages(c, false).data);
    assert_int_equal(status, OX_OK);
    return c;
}

static void assert_contains(const OxCompiler *c, const char *part) {
    if (!strstr(ox_source(c).data, part))
        fail_msg("\"%s\" is not in:\n%s", part, ox_source(c).data);
}

static void codegen_linear_model(void **state) {
    (void)state;
    OxCompiler *c = compile("linear.onnx");
    assert_contains(c, "def forward(params: dict[str, jax.Array], input: jax.Array)");
    assert_contains(c, "input @ params[\"layer0.weight\"] + params[\"layer0.bias\"]");
    assert_int_equal(ox_param_count(c), 2);
    assert_string_equal(ox_param(c, 0).key.data, "layer0.weight");
    assert_string_equal(ox_param(c, 0).dtype, "float32");
    assert_int_equal(ox_param(c, 0).rank, 2);
    assert_int_equal(ox_param(c, 0).shape[1], 8);
    assert_int_equal(ox_param(c, 0).nbytes, 128);
    ox_free(c);
}

static void codegen_linear_relu_model(void **state) {
    (void)state;
    OxCompiler *c = compile("linear_relu.onnx");
    assert_contains(c, "jax.nn.relu(");
    ox_free(c);
}

static void codegen_two_layer_mlp(void **state) {
    (void)state;
    OxCompiler *c = compile("two_layer_mlp.onnx");
    assert_contains(c, "params[\"layer0.weight\"]");
    assert_contains(c, "params[\"layer1.bias\"]");
    assert_contains(c, "jax.nn.relu(");
    assert_contains(c, "jax.nn.softmax(");
    ox_free(c);
}

static void codegen_output_is_syntactically_complete(void **state) {
    (void)state;
    OxCompiler *c = compile("two_layer_mlp.onnx");
    OxText source = ox_source(c);
    const char *start = "# Generated by OxideXLA";
    assert_int_equal(strncmp(source.data, start, strlen(start)), 0);
    assert_int_equal(strlen(source.data), source.size);
    assert_int_equal(source.data[source.size - 1], '\n');
    static const char *const parts[] = {"import jax\n", "import jax.numpy as jnp\n",
                                        "@jax.jit\ndef forward(", "    return ",
                                        "def load_params("};
    const char *at = source.data;
    for (size_t i = 0; i < OX_COUNT(parts); i++) {
        at = strstr(at, parts[i]);
        if (!at)
            fail_msg("\"%s\" is missing or not in order", parts[i]);
    }
    static const char pairs[] = "()[]{}";
    for (int i = 0; i < 6; i += 2) {
        int open = 0;
        for (size_t k = 0; k < source.size; k++)
            open += (source.data[k] == pairs[i]) - (source.data[k] == pairs[i + 1]);
        assert_int_equal(open, 0);
    }
    ox_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_linear_model),
        cmocka_unit_test(parse_linear_relu_model),
        cmocka_unit_test(parse_two_layer_mlp),
        cmocka_unit_test(parse_nonexistent_file_returns_error),
        cmocka_unit_test(build_ir_from_linear_model),
        cmocka_unit_test(build_ir_from_two_layer_mlp),
        cmocka_unit_test(shape_inference_linear_model),
        cmocka_unit_test(ascii_output_not_empty),
        cmocka_unit_test(json_output_is_valid),
        cmocka_unit_test(codegen_linear_model),
        cmocka_unit_test(codegen_linear_relu_model),
        cmocka_unit_test(codegen_two_layer_mlp),
        cmocka_unit_test(codegen_output_is_syntactically_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
