/* State of one code generation, shared by the files of codegen/. */
#ifndef OX_CODEGEN_GEN_H
#define OX_CODEGEN_GEN_H

#include "codegen/codegen.h"
#include "codegen/printer.h"

/* How far the code of a value has come. */
typedef enum ValueState {
    VS_NONE,    /* not generated, or needs no code (parameters, literals) */
    VS_PENDING, /* an expression that waits for its only reader */
    VS_DONE,    /* a name, or an expression as cheap as a name */
} ValueState;

typedef struct ValueCode {
    ValueState state;
    const Expr *expr;
    const Expr *number; /* a Python int for shapes; NULL where expr is all there is */
    /* Array reads by live nodes and outputs; fixed inputs are not counted. */
    uint32_t reads;
    uint32_t ops; /* operators in a pending expression */
    bool keep;    /* must have a name: its shape is read */
} ValueCode;

/* One statement: an assignment, or a local function that stands for a subgraph. */
typedef struct Stmt {
    Str *targets;
    size_t n_targets;
    const Expr *expr;
    struct Scope *function; /* NULL for an assignment */
} Stmt;

typedef struct Stmts {
    Stmt *items;
    size_t count, cap;
} Stmts;

/* The body of forward or of a local function: the code of one graph. */
typedef struct Scope {
    const Graph *graph;
    struct Scope *up; /* NULL for forward */
    Str name;
    Str *params;
    size_t n_params;
    Stmts body;
    const Expr *result;
    const Expr *index; /* of the iteration; NULL when the function is no loop's body */
} Scope;

/* What a random node draws from. */
typedef struct NodeKey {
    const Node *node;
    const Expr *key;
} NodeKey;

/* A node that needs numbers which are only there when forward runs. */
typedef struct RunTime {
    Str why;
    Str hint; /* what to do about it */
} RunTime;

typedef struct Gen {
    Model *m;
    Arena *arena;
    const CodegenOptions *options;
    ValueCode *code; /* by value id */
    Map used_names; /* identifiers of the module -> how often each base was asked for */
    Map symbols;    /* named dimension -> EX_NAME of its variable */
    Map helpers;    /* those in use: name -> text */
    struct {
        Str *items;
        size_t count, cap;
    } helper_order;
    struct {
        ModuleParam *items;
        size_t count, cap;
    } params;
    Map param_keys; /* key -> index + 1 into params */
    Map tensors;    /* of nodes, by index and name -> Value; see emit_tensor */
    Stmts prelude;  /* batch = x.shape[0] */
    Scope *scope;   /* of the graph whose nodes are being generated */
    struct {
        NodeKey *items;
        size_t count, cap;
    } keys;
    struct {
        const Node **items;
        size_t count, cap;
    } bounded;  /* nodes whose outputs are padded */
    int traced; /* functions around this point that JAX traces */
    struct {
        RunTime *items;
        size_t count, cap;
    } run_time; /* why forward is not jitted */
} Gen;

/* ---- names.c ------------------------------------------------------------------------- */

/* A Python identifier, unused so far, near `wanted`; and marks it as used. */
Str gen_unique_name(Gen *g, Str wanted);
/* Marks a name that the module itself uses (params, jax, forward). */
void gen_reserve_name(Gen *g, Str name);
/* The identifier that a value's ONNX name suggests: not unique yet. */
Str gen_name_hint(Gen *g, const Value *v);
/* An identifier from arbitrary text; fallback when nothing of it can be kept. */
Str gen_identifier(Arena *a, Str text, const char *fallback);

/* ---- width.c ------------------------------------------------------------------------- */

/* About how many columns x takes on one line; limit + 1 when it needs more. */
size_t gen_width(const Expr *x, size_t limit);

/* ---- literal.c ----------------------------------------------------------------------- */

/* A literal value as an array expression: jnp.array([1, 2], jnp.float32). */
const Expr *gen_literal(Gen *g, const Value *v);
/* Element i of a Known as a Python scalar of this dtype. */
const Expr *gen_scalar(Gen *g, const Known *k, size_t i, DType dtype);
const Expr *gen_dtype(Gen *g, DType dtype);
/* A dimension as a Python int expression; names the values that its symbols read. */
const Expr *gen_dim(Gen *g, Dim d);
/* A tuple of dimensions. */
const Expr *gen_dims(Gen *g, const Dim *dims, size_t n);

/* ---- function.c ---------------------------------------------------------------------- */

/* A local function, or a lambda when short: see emit_function. */
const Expr *gen_function(Gen *g, const Graph *graph, const char *hint,
                         const EmitPart *in, size_t n_in, const EmitPart *out,
                         size_t n_out);
/* The random key of a node; inside a loop it differs from one iteration to the next. */
const Expr *gen_key(Gen *g, const Node *n);
/* Splits forward's key among the nodes that asked for one, when all have. */
void gen_keys(Gen *g);

/* ---- emit.c -------------------------------------------------------------------------- */

/* No array of JAX's has the type of v. */
bool gen_is_unwritable(const Value *v);
/* Generates the statements of a graph's nodes. */
void gen_nodes(Gen *g, const Graph *graph);
/* A value as an array expression; `inline_ok`: a pending expression may be spliced. */
const Expr *gen_value(Gen *g, Value *v, bool inline_ok);
/* params["..."] for a parameter, which is added to the module's list. */
const Expr *gen_param(Gen *g, Value *v);
void gen_statement(Gen *g, Stmts *list, const Str *targets, size_t n, const Expr *x);
/* The statements of the function that v belongs to: the current one or one around it. */
Stmts *gen_body_of(Gen *g, const Value *v);
/* Adds the helpers that an expression names. */
void gen_use_helpers(Gen *g, const Expr *x);

#endif
