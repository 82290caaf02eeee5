/* State of one code generation, shared by the files of codegen/. */
#ifndef OX_CODEGEN_GEN_H
#define OX_CODEGEN_GEN_H

#include "codegen/codegen.h"
#include "codegen/printer.h"
#include "passes/blocks.h"

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
    bool touched; /* some code has read it */
    Str wanted;   /* the name it gets as the argument of a block; empty: its own */
} ValueCode;

/* One statement: an assignment, a local function that stands for a subgraph, or a loop
 * `for index in range(first, end)` over one assignment. */
typedef struct Stmt {
    Str *targets;
    size_t n_targets;
    const Expr *expr;
    struct Scope *function; /* NULL for an assignment */
    Str index;              /* of a loop; else empty */
    int64_t first, end;
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
    Str counter;       /* variable of the loops over blocks; empty: none yet */
} Scope;

/* A dimension, and the variable that holds it. */
typedef struct KnownDim {
    Dim dim;
    const Expr *name;
} KnownDim;

/* The function that stands for the blocks of one kind. */
typedef struct Function {
    const BlockKind *kind;
    Scope scope;
    size_t *args; /* which of the block's inputs it takes, in the order of parameters */
    size_t n_args;
    struct {
        const Symbol **items; /* sizes that no argument shows, behind the arguments */
        size_t count, cap;
    } sizes;
    struct {
        KnownDim *items; /* sums and quotients that an argument shows */
        size_t count, cap;
    } dims;
    struct {
        const Symbol **items; /* sizes that have code in the function ... */
        size_t count, cap;
    } known;
    struct {
        const Expr **items; /* ... and what they are called */
        size_t count, cap;
    } names;
    Stmts prelude;         /* batch = x.shape[0] */
    bool uses_params;      /* takes params as its first argument */
    bool run_time;         /* needs numbers that are only there when forward runs */
    Str text;              /* of the body, before defaults.c, to measure it */
    size_t lines;          /* of the body */
    size_t calls;          /* in the file, were each loop written out */
    size_t call_lines;     /* that the calls take */
    struct Function *twin; /* prints the same, and stands for this one; NULL: none */
} Function;

/* Parameters that load_params stacks for a scan: head + "*" + tail. */
typedef struct Stack {
    Str head, tail;
    int64_t first, end;
} Stack;

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

typedef struct UsedHelper {
    Str name, text;
} UsedHelper;

typedef struct Gen {
    Model *m;
    Arena *arena;
    const CodegenOptions *options;
    ValueCode *code; /* by value id */
    size_t n_code;   /* entries of it */
    Map used_names; /* identifiers of the function -> how often each base was asked for */
    Map global_names; /* of the functions for blocks */
    Map roles;        /* id of a value -> what a fused operator calls it: "mask" */
    Map symbols;      /* named dimension -> EX_NAME of its variable */
    Map helpers;      /* those in use: name -> text */
    struct {
        UsedHelper *items;
        size_t count, cap;
    } helper_order;
    struct {
        ModuleParam *items;
        size_t count, cap;
    } params;
    Map param_keys; /* key -> index + 1 into params */
    Map twins;      /* of parameters with one name: see twin_key */
    Map modules;    /* path -> what its parameters are called in the body: scopes.c */
    struct {
        Str *items; /* keys and paths that the body will read */
        size_t count, cap;
    } read_keys;
    Map tensors;   /* of nodes, by index and name -> Value; see emit_tensor */
    Stmts prelude; /* batch = x.shape[0] */
    Scope *scope;  /* of the graph whose nodes are being generated */
    struct {
        NodeKey *items;
        size_t count, cap;
    } keys;
    struct {
        const Node **items;
        size_t count, cap;
    } bounded;          /* nodes whose outputs are padded */
    Function *function; /* whose body is being generated; NULL: forward's */
    struct {
        Function **items; /* those for blocks, callees first */
        size_t count, cap;
    } functions;
    struct {
        Stack *items;
        size_t count, cap;
    } stacks;
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
/* What fused operators call their inputs names the values that they read. */
void gen_find_roles(Gen *g);
/* The identifier that a value's ONNX name, or its role, suggests: not unique yet. */
Str gen_name_hint(Gen *g, const Value *v);
/* An identifier from arbitrary text; fallback when nothing of it can be kept. */
Str gen_identifier(Arena *a, Str text, const char *fallback);
/* The same in lower case. */
Str gen_lower_identifier(Arena *a, Str text, const char *fallback);
/* The number at s[i] and where it ends; -1 when there is none, or another text means it. */
int64_t gen_number_at(Str s, size_t i, size_t *end);
/* Text that stands for itself in an f-string. */
bool gen_is_plain(Str s);

/* ---- width.c ------------------------------------------------------------------------- */

/* About how many columns x takes on one line; limit + 1 when it needs more. */
size_t gen_width(const Expr *x, size_t limit);

/* ---- number.c ------------------------------------------------------------------------ */

/* The only element of a value that Python computes while JAX traces (emit.c). */
const Expr *gen_number(Gen *g, Value *v);
/* Element i of v, where that is known; NULL where the node of v says how it is computed. */
const Expr *gen_known_number(Gen *g, const Value *v, size_t i);
/* All elements of floats that follow from sizes: a number, or a tuple. */
const Expr *gen_numbers(Gen *g, Value *v);
/* A float that is a size n: arrays can be divided by n itself. */
bool gen_is_size(const Value *v);
/* The integral part of a float that Python computes, under a name: see REAL_OWN. */
const Expr *gen_computed(Gen *g, Value *v);

/* ---- literal.c ----------------------------------------------------------------------- */

/* A literal value as an array expression: jnp.array([1, 2], jnp.float32). */
const Expr *gen_literal(Gen *g, const Value *v);
/* The same for integers that JAX's mode may have no room for: the nearest it has. */
const Expr *gen_saturated(Gen *g, const Value *v);
/* Its elements as Python numbers: one, or nested lists. */
const Expr *gen_plain(Gen *g, const Value *v);
/* The same in the type that an expression gives. */
const Expr *gen_literal_as(Gen *g, const Value *v, const Expr *dtype);
/* Element i of a Known as a Python scalar of this dtype. */
const Expr *gen_scalar(Gen *g, const Known *k, size_t i, DType dtype);
/* The same beside arrays of `type`, an expression (NULL: dtype): the limits of a type,
 * which masks are made of, become jnp.finfo(type).min. */
const Expr *gen_scalar_as(Gen *g, const Known *k, size_t i, DType dtype,
                          const Expr *type);
const Expr *gen_dtype(Gen *g, DType dtype);
/* A dimension as a Python int expression; names the values that its symbols read. */
const Expr *gen_dim(Gen *g, Dim d);
/* A symbol as a Python int expression. */
const Expr *gen_symbol(Gen *g, const Symbol *s);
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

/* ---- hints.c ------------------------------------------------------------------------- */

/* Names the inputs of the model that decide what n needs at run time; empty where they
 * are none that a user could give at compile time. */
Str gen_input_hint(Gen *g, const Node *n);

/* ---- blocks.c ------------------------------------------------------------------------ */

/* Generates the functions for repeated modules. */
void gen_functions(Gen *g);
/* Whether some of them do not pay; they are marked, and all has to be generated again. */
bool gen_inline_functions(Gen *g);
/* What g->code says of the values of the graph, or of a function's body: how often each
 * is read, and whether its shape is. */
void gen_count_reads(Gen *g, const Block *block);
/* The nodes of the graph, or of a block, with calls for the blocks inside. */
void gen_region(Gen *g, const Block *block);
/* What a body that is complete returns when v is all its result: a last statement
 * `y = ...` becomes part of `return`. */
const Expr *gen_only_result(Gen *g, Value *v);
/* The symbol in the function that is being generated; NULL: it is made in there. */
const Expr *gen_function_symbol(Gen *g, const Symbol *s);
/* The variable of the function that holds d, where an argument has that size; or NULL. */
const Expr *gen_function_dim(Gen *g, Dim d);
void gen_print_functions(Gen *g, Text *t);

/* ---- loops.c ------------------------------------------------------------------------- */

/* Generates the calls of a row of blocks that starts with b as a loop or scan; returns
 * the last, or NULL when there is no such row. */
const Block *gen_loop(Gen *g, const Block *b);

/* ---- scan.c -------------------------------------------------------------------------- */

/* The function that stacks what scans read. */
void gen_print_stacked(Gen *g, Text *t);

/* ---- changes.c ----------------------------------------------------------------------- */

/* What changes are in a table, each kind also what is above it. */
typedef enum ChangeKind {
    CHANGES_NONE,
    CHANGES_TRANSPOSED,
    CHANGES_UNSHARED, /* changes that cannot be undone */
    CHANGES_SHARED,   /* parameters that are two here, one of them transposed */
} ChangeKind;

/* PARAMS = {"fc.weight": "float32[8,4]"}: what load_params looks for. */
void gen_print_params(Gen *g, Text *t);

/* CHANGED = {"fc.weight": "transposed", ...}: what load_params must know of files that
 * PyTorch wrote. */
ChangeKind gen_print_changes(Gen *g, Text *t);
/* TIED = {"lm_head.weight": "embed.weight"}: other names of parameters.  This and the
 * following: false when there is nothing to print. */
bool gen_print_tied(Gen *g, Text *t);
/* BUFFERS = ("rotary.inv_freq",): what no state_dict has. */
bool gen_print_buffers(Gen *g, Text *t);
/* FROZEN = ("running_mean",): endings of floating-point parameters that are not trained;
 * a slash before them marks whole names. */
bool gen_print_frozen(Gen *g, Text *t);
/* LITERALS = {"mask": [True, False]}: buffers of a state_dict that are code here. */
bool gen_print_literals(Gen *g, Text *t);
/* UNUSED = ("num_batches_tracked",): what a state_dict has that forward does not read. */
bool gen_print_unused(Gen *g, Text *t);

/* ---- loader.c ------------------------------------------------------------------------ */

/* trainable, load_params and save_params, with all that they need. */
void gen_print_parameters(Gen *g, Text *t);

/* ---- table.c ------------------------------------------------------------------------- */

typedef struct TableRow {
    Str key, text;
} TableRow;

/* `name = {key: text}` in as few lines as numbered keys allow. */
void gen_print_table(Gen *g, Text *t, const char *name, const TableRow *rows, size_t n);

/* ---- calls.c ------------------------------------------------------------------------- */

/* The function that stands for b. */
Function *gen_function_of(const Block *b);
/* f(scope(params, path), args...); `args` by parameter, NULL: what b reads.  `path` is
 * how the call's parameters are found; NULL: b's own place. */
const Expr *gen_call(Gen *g, const Block *b, const Expr *scope,
                     const Expr *const *args);
/* The parameters of b; NULL when its function takes none. */
const Expr *gen_scope_of(Gen *g, const Block *b);
/* Adds all parameters of b to the module's list. */
void gen_list_params(Gen *g, const Block *b);
/* The path of b's part, relative to the function around, without the mark of a call. */
Str gen_relative_path(const Gen *g, const Block *b);

/* ---- defaults.c ---------------------------------------------------------------------- */

/* Makes keyword arguments that all calls of a helper have in common its defaults. */
void gen_move_defaults(Gen *g, const Expr *result);

/* ---- scopes.c ------------------------------------------------------------------------ */

/* Forgets the modules of the body before. */
void gen_forget_modules(Gen *g);
/* The body reads this key of its parameters, or the keys below this path. */
void gen_note_key(Gen *g, Str key);
/* Chooses the modules that get names, when all keys were noted. */
void gen_choose_modules(Gen *g);
/* The parameters that hold the key, `params` or those of a module; the key then is
 * without the path of the module. */
const Expr *gen_module_of(Gen *g, Str *key);
/* The parameters below a path. */
const Expr *gen_scope(Gen *g, const Expr *params, Str path);

/* ---- statements.c -------------------------------------------------------------------- */

/* `first`: nothing of the function is above. */
void gen_print_statements(Text *t, int level, const Stmts *list, bool first);
/* The same text, whatever the types: statements, and whole functions but for their names. */
bool gen_same_statements(const Stmts *a, const Stmts *b);
bool gen_same_code(const Scope *a, const Scope *b);

/* ---- emit.c -------------------------------------------------------------------------- */

/* No array of JAX's has the type of v. */
bool gen_is_unwritable(const Value *v);
/* Generates the statements of a graph's nodes. */
void gen_nodes(Gen *g, const Graph *graph);
void gen_node(Gen *g, Node *n);
/* A value as an array expression; `inline_ok`: a pending expression may be spliced. */
const Expr *gen_value(Gen *g, Value *v, bool inline_ok);
/* params["..."] for a parameter, which is added to the module's list. */
const Expr *gen_param(Gen *g, Value *v);
/* x["a"]["b"] for "a.b" where params is nested, x["a.b"] where it is flat. */
const Expr *gen_subscript(Gen *g, const Expr *x, Str key);
/* Levels of dicts; a parameter with more in its name is an error. */
enum { NESTED_LEVELS_MAX = 64 };
/* Adds v to the module's parameters; its key. */
Str gen_add_param(Gen *g, const Value *v);
/* Some other value's shape is read from those that the dimensions of v name. */
void gen_keep_origins(Gen *g, const Value *v);
void gen_statement(Gen *g, Stmts *list, const Str *targets, size_t n, const Expr *x);
/* The statements of the function that v belongs to: the current one or one around it. */
Stmts *gen_body_of(Gen *g, const Value *v);
/* Adds the helpers that an expression names. */
void gen_use_helpers(Gen *g, const Expr *x);

#endif
