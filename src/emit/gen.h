/* State of one code generation, shared by the files of emit/. */
#ifndef OX_EMIT_GEN_H
#define OX_EMIT_GEN_H

#include "emit/codegen.h"
#include "passes/modules/blocks.h"
#include "python/printer.h"

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

/* The body of forward or of a local function while it is generated: the code of one
 * graph. */
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

/* The calls of one function in another. */
typedef struct Calls {
    struct Function *caller; /* NULL: forward */
    size_t count;            /* were each loop written out */
    size_t lines;            /* that they take */
} Calls;

enum {
    CHOICES_MAX = 3, /* more arguments than that say less than two functions */
    SIZES_MAX = 4
};

/* A number in which the kinds of a function differ: an argument of it. */
typedef struct Choice {
    Str name, hint;    /* hint: what it was called before it was made unique */
    const Expr *value; /* the default; of a twin: its own */
} Choice;

/* A size of an argument that is named at the top of a function. */
typedef struct ShownSize {
    Str name;
    size_t arg;
    int axis;
    uint32_t note; /* of the code that needed it first */
} ShownSize;

/* What kinds that are one function differ in. */
typedef struct Differences {
    Choice choices
        [CHOICES_MAX]; /* behind the parameters; of a twin: as many as it knows */
    size_t n_choices;
    ShownSize sizes[SIZES_MAX]; /* the first statements */
    size_t n_sizes;
    Str addend;  /* an argument that is added to the result, where the choice of */
    size_t adds; /* this number says so; empty: none is */
    bool addend_first;          /* x + result */
    uint32_t note;              /* of the sum */
    Str optional;               /* path of a module that only some have; empty: none */
    size_t has_it;              /* where this choice says so */
    const struct Function *has; /* one that does */
} Differences;

/* A module under `if` in a function: optional_parts.c. */
typedef struct OptionalPart {
    const Part *part; /* of the first block; NULL: none */
    Value *in, *out;
    Str name; /* of the argument that says whether it is there */
    const Expr *target;
    bool tried, made;
} OptionalPart;

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
    Def *def;              /* what came out */
    size_t lines;          /* of the body */
    size_t lines_in_place; /* that the body takes where it is called */
    size_t statements;     /* of the body */
    size_t whole, whole_in_place, steps; /* these with what stands aside: pays.c */
    struct {
        Calls *items; /* by who calls */
        size_t count, cap;
    } calls;
    uint32_t number;      /* in Gen.functions */
    bool fails, in_place; /* it does not pay: pays.c */
    Map used_names;       /* in the function */
    Differences differs;
    OptionalPart optional;
    struct Function *twin; /* prints the same but for choices, and stands for this one;
                              NULL: none */
} Function;

/* Parameters that load_params stacks for a scan: head + "*" + tail. */
typedef struct Stack {
    Str head, tail;
    int64_t first, end;
} Stack;

/* One tensor of a cache: an input, and the output that takes its place.  Only read, it has
 * no output; only made, no input. */
typedef struct CacheEntry {
    Value *past;
    size_t next; /* among the outputs of the graph */
} CacheEntry;

/* What a step does to a field. */
typedef enum CacheRole { CACHE_REPLACED, CACHE_KEPT, CACHE_MADE } CacheRole;

/* The same tensor of all layers: "key" or "value". */
typedef struct CacheField {
    Str name;
    Str variable; /* that has its arrays in forward: key_cache */
    CacheEntry *items;
    size_t count, cap;
    CacheRole role;
    bool stacked; /* one array with an axis for the layers, which a scan goes over */
} CacheField;

/* Which entry of which field. */
typedef struct CachePlace {
    size_t field, index;
} CachePlace;

/* What forward(params, ids, cache, position) keeps from one call to the next. */
typedef struct Cache {
    CacheField *items;
    size_t count, cap; /* 0: there is none */
    int64_t length;    /* of an empty one, unless another is asked for */
    Value *optional;   /* an input that is zeros when it is not given; or NULL */
    Map past, next;    /* id of a value -> CachePlace */
} Cache;

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
    const struct Helper *helper;
    Stmts code; /* its definition, the last of them, and what is above it */
} UsedHelper;

/* The module: helpers in front of the code that calls them, then what is about the
 * parameters. */
typedef struct Program {
    Stmts constants; /* NUM_HEADS, HEAD_DIM = 12, 64 */
    Stmts code;      /* of the model: Outputs, the functions, forward */
    Stmts params;    /* trainable, load_params and what they need */
    struct {
        UsedHelper *items; /* that the code calls, callees first */
        size_t count, cap;
    } helpers;
    unsigned imports; /* one bit for each row of the table in imports.c */
} Program;

/* Several notes on one expression: a chain. */
typedef struct NotePair {
    uint32_t note, next;
} NotePair;

/* What something was before it changed: bytes, or the value of a key (undo.c). */
typedef struct Change {
    void *at;
    size_t size;
    char old[sizeof(ValueCode)];
    Map *map; /* NULL: bytes */
    Str key;
    void *value;
} Change;

/* What an operator has read in a transaction and got a name there: a value, or the
 * module of a parameter. */
typedef struct Named {
    Value *value; /* NULL: the module */
    Str path;     /* of the parameter */
} Named;

/* A point in a transaction. */
typedef struct Mark {
    size_t changes, named;
} Mark;

typedef struct Gen {
    Model *m;
    Arena *arena;
    const CodegenOptions *options;
    ValueCode *code; /* by value id */
    size_t n_code;   /* entries of it */
    Map used_names; /* identifiers of the function -> how often each base was asked for */
    Map global_names; /* of the functions for blocks */
    Map roles;        /* id of a value -> what a fused operator calls it: "mask" */
    int64_t heads[3]; /* the sizes of attention: heads.c */
    Map symbols;      /* named dimension -> EX_NAME of its variable */
    Map helpers;      /* names of those in use */
    Program program;
    struct {
        ModuleParam *items;
        size_t count, cap;
    } params;
    Map param_keys; /* key -> index + 1 into params */
    Map twins;      /* of parameters with one name: see twin_key */
    Map modules; /* path -> what its parameters are called in the body: named_modules.c */
    struct {
        Str *items; /* keys and paths that the body will read */
        size_t count, cap;
    } read_keys;
    bool unprepared; /* a key that prepare would make is another parameter's */
    Cache cache;     /* among the inputs and outputs: cache.c */
    Map tensors;     /* of nodes, by index and name -> Value; see emit_tensor */
    Stmts prelude;   /* batch = x.shape[0] */
    Scope *scope;    /* of the graph whose nodes are being generated */
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
    const Node *node; /* whose statements are being added; NULL: of none */
    struct {
        NotePair *items;
        size_t count, cap;
    } notes; /* behind those of kind NOTE_CHAIN */
    struct {
        const Value **items;
        size_t count, cap;
    } reads;    /* parameters that expressions read, for those of kind NOTE_PARAM */
    int traced; /* functions around this point that JAX traces */
    struct {
        RunTime *items;
        size_t count, cap;
    } run_time; /* why forward is not jitted */
    struct {
        Change *items;
        size_t count, cap;
        int open; /* transactions */
    } undo;
    struct {
        Named *items;
        size_t count, cap;
    } named;
    bool shares_loader; /* the code reads the module of shared_loader.c */
} Gen;

/* ---- undo.c -------------------------------------------------------------------------- */

/* Opens a transaction. */
Mark gen_begin(Gen *g);
/* Undoes what has changed since the mark. */
void gen_undo(Gen *g, Mark mark);
/* Closes the transaction: what has changed stays, unless one around it is undone. */
void gen_end(Gen *g);
/* The `size` bytes at `at`, of a ValueCode at most, are going to change. */
void gen_changes(Gen *g, void *at, size_t size);
/* The code of v, which is going to change. */
ValueCode *gen_code(Gen *g, const Value *v);
bool gen_map_set(Gen *g, Map *map, Str key, void *value);
/* The function that is being generated reads parameters. */
void gen_use_params(Gen *g);
/* What was read has got a name. */
void gen_note_named(Gen *g, Named named);
/* An append to a growing list of the generator's; false when refused. */
#define GEN_PUSH(g, list, value)                                                       \
    (gen_changes((g), &(list)->count, sizeof(list)->count),                            \
     ARENA_PUSH((g)->arena, list, value))

/* ---- notes.c ------------------------------------------------------------------------- */

/* What a note on an expression or statement names; see ex_note. */
typedef enum NoteKind {
    NOTE_NODE,     /* the node it is the code of, by its index */
    NOTE_FUNCTION, /* a call of this function */
    NOTE_PARAM,    /* reads this entry of Gen.reads */
    NOTE_CHAIN,    /* this entry of Gen.notes */
} NoteKind;

typedef struct NoteList {
    uint32_t rest;
} NoteList;
/* The next note of a chain; false past the last. */
bool gen_next_note(const Gen *g, NoteList *list, NoteKind *kind, uint32_t *number);
/* x is, besides what it is already, the code of n; a call of f; or reads v. */
const Expr *gen_note_node(Gen *g, const Expr *x, const Node *n);
const Expr *gen_note_call(Gen *g, const Expr *x, const Function *f);
const Expr *gen_note_read(Gen *g, const Expr *x, const Value *v);
/* The note for statements that the node under way needs; 0: there is none. */
uint32_t gen_statement_note(const Gen *g);

/* ---- line_map.c ---------------------------------------------------------------------- */

/* The lines of the printed module as JSON: see ox_line_map. */
void gen_line_map(Gen *g, Str source, Text *out);

/* ---- names.c ------------------------------------------------------------------------- */

/* A Python identifier, unused so far, near `wanted`; and marks it as used. */
Str gen_unique_name(Gen *g, Str wanted);
/* Marks a name that the module itself uses (params, jax, forward). */
void gen_reserve_name(Gen *g, Str name);
/* A helper, a name of Python's or the module's, or one that gen_unique_name has given. */
bool gen_is_known_name(Gen *g, Str name);
/* add_12 -> add: the numbers of this file are given anew, in the order of its lines. */
Str gen_without_number(Str name);
/* The identifier that a value's ONNX name, or its role, suggests: not unique yet. */
Str gen_name_hint(Gen *g, const Value *v);
/* torch.export calls values after the operators that make them: add_12, view. */
bool gen_is_of_operator(const Value *v);
/* The module of the parameter that v is made from, q_proj; empty where it says nothing
 * that v's own name does not. */
Str gen_param_hint(Gen *g, const Value *v);
/* An identifier from arbitrary text; fallback when nothing of it can be kept. */
Str gen_identifier(Arena *a, Str text, const char *fallback);
/* The same in lower case. */
Str gen_lower_identifier(Arena *a, Str text, const char *fallback);
/* The number at s[i] and where it ends; -1 when there is none, or another text means it. */
int64_t gen_number_at(Str s, size_t i, size_t *end);
/* Text that stands for itself in an f-string. */
bool gen_is_plain(Str s);

/* ---- local_names.c ------------------------------------------------------------------- */

/* What fused operators call their inputs names the values that they read. */
void gen_find_roles(Gen *g);
bool gen_has_role(const Gen *g, const Value *v);
/* What v is in the model, as an identifier: for values without a name of their own. */
Str gen_role(Gen *g, const Value *v);

/* ---- reuse.c ------------------------------------------------------------------------- */

/* Gives locals of the functions names with lower numbers, once these are free again. */
void gen_reuse_names(Gen *g);

/* ---- width.c ------------------------------------------------------------------------- */

/* About how many columns x takes on one line; limit + 1 when it needs more. */
size_t gen_width(const Expr *x, size_t limit);
/* About how many lines the statements take at the indentation `level`, where keys of
 * parameters have `longer` columns more than they say. */
size_t gen_lines(const Stmts *list, int level, size_t longer);

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

/* ---- heads.c ------------------------------------------------------------------------- */

/* Notes the sizes of attention where all of it is alike. */
void gen_find_heads(Gen *g);
/* The size of an axis of `to`, a reshape of `from`: HEAD_DIM where it is that. */
const Expr *gen_reshaped_size(Gen *g, const Type *from, const Type *to, int axis);
/* Defines the names that the code reads. */
void gen_add_heads(Gen *g);

/* ---- function.c ---------------------------------------------------------------------- */

/* A local function, or a lambda when short: see emit_function. */
const Expr *gen_function(Gen *g, const Graph *graph, const char *hint,
                         const EmitPart *in, size_t n_in, const EmitPart *out,
                         size_t n_out);
/* The random key of a node; inside a loop it differs from one iteration to the next. */
const Expr *gen_key(Gen *g, const Node *n);
/* Splits forward's key among the nodes that asked for one, when all have. */
void gen_keys(Gen *g);
/* The only node that asked gets the key itself. */
void gen_use_only_key(Gen *g);
/* The function that a scope has become; prelude: statements at its top, or NULL. */
Def *gen_def(Gen *g, const Scope *s, const Stmts *prelude);

/* ---- hints.c ------------------------------------------------------------------------- */

/* Names the inputs of the model that decide what n needs at run time; empty where they
 * are none that a user could give at compile time. */
Str gen_input_hint(Gen *g, const Node *n);

/* ---- blocks.c ------------------------------------------------------------------------ */

/* Generates the functions for repeated modules. */
void gen_functions(Gen *g);
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
/* Adds the functions to the program. */
void gen_add_functions(Gen *g);
/* Generates the function of a kind, which is not among the module's yet; optional: a
 * module that is under `if` there, or NULL. */
Function *gen_make_function(Gen *g, BlockKind *kind, const OptionalPart *optional);

/* ---- joined_kinds.c ------------------------------------------------------------------------- */

/* Looks for a function that with other numbers is f, which becomes its twin. */
void gen_join_kinds(Gen *g, Function *f);
/* Makes f the twin of host, where it is that with other numbers. */
bool gen_join_with(Gen *g, Function *host, Function *f);
/* The module of f that is under `if` is there unless an argument says otherwise. */
void gen_give_optional(Gen *g, Function *f);
/* Makes `return x` of f `return x + y if residual else x`, where kinds differ in that. */
void gen_add_residual(Gen *g, Function *f);
/* The arguments that b's function has by default otherwise; how many. */
size_t gen_choices(Gen *g, const Block *b, const Expr **items);
/* Blocks of one function have the same numbers. */
bool gen_chooses_alike(const Block *a, const Block *b);
/* A number or truth value, or several as a tuple or list. */
bool gen_is_literal(const Expr *x);

/* ---- renamed_twins.c ----------------------------------------------------------------- */

/* The body of the twin with the names that the host has for its locals and parameters;
 * false where they are no renaming of each other. */
bool gen_rename_twin(Gen *g, const Function *host, const Function *twin, Stmts *body);

/* ---- optional_parts.c ---------------------------------------------------------------- */

/* Looks for a function that is the kind's but for a module that one of them lacks. */
void gen_join_optional(Gen *g, BlockKind *kind);
/* The item of the function that is being generated, so many nodes from there on, is the
 * first of its optional module. */
bool gen_begins_optional(const Gen *g, uint32_t at, uint32_t count);
/* Statements go under `if` from here on; false where they cannot.  outer: those before. */
bool gen_begin_optional(Gen *g, Stmts *outer);
void gen_end_optional(Gen *g, const Stmts *outer);
/* `if name:` */
bool gen_is_optional(const Stmt *s, Str name);
/* Adds the names that statements bind, all but one. */
void gen_note_bound(Gen *g, Map *bound, const Stmts *body, Str but);

/* ---- pays.c -------------------------------------------------------------------------- */

/* Counts the lines of a function. */
void gen_measure(Function *f);
/* The code that is being generated calls f. */
void gen_note_calls(Gen *g, Function *f, size_t count, size_t lines);
/* Nobody is called by f any more. */
void gen_forget_calls(Gen *g, const Function *f);
/* Whether some functions do not pay; they are marked, and all has to be generated again. */
bool gen_inline_functions(Gen *g);

/* ---- loops.c ------------------------------------------------------------------------- */

/* Generates the calls of a row of blocks that starts with b as a loop or scan; returns
 * the last, or NULL when there is no such row. */
const Block *gen_loop(Gen *g, const Block *b);

/* ---- scan.c -------------------------------------------------------------------------- */

/* The function that stacks what scans read. */
void gen_add_stacked(Gen *g);

/* ---- changes.c ----------------------------------------------------------------------- */

/* What changes are in a table, each kind also what is above it. */
typedef enum ChangeKind {
    CHANGES_NONE,
    CHANGES_TRANSPOSED,
    CHANGES_UNSHARED, /* changes that cannot be undone */
    CHANGES_SHARED,   /* parameters that are two here, one of them transposed */
} ChangeKind;

/* Each of these adds a table to the program.
 * PARAMS = {"fc.weight": "float32[8,4]"}: what load_params looks for. */
void gen_add_params(Gen *g);
/* CHANGED = {"fc.weight": "transposed", ...}: what load_params must know of files that
 * PyTorch wrote. */
ChangeKind gen_add_changes(Gen *g);
/* TIED = {"lm_head.weight": "embed.weight"}: other names of parameters.  This and the
 * following: false when there is nothing to add. */
bool gen_add_tied(Gen *g);
/* CHECKPOINT_NAMES = {"encoder.layer": "layers"}: beginnings of names in the checkpoints
 * of a model whose module has others, as the metadata `oxide_xla.checkpoint` say. */
bool gen_add_checkpoint_names(Gen *g);
/* BUFFERS = ("rotary.inv_freq",): what no state_dict has. */
bool gen_add_buffers(Gen *g);
/* Whether endings of keys must, must not or may find a parameter. */
typedef enum Ending { ENDING_MEANT, ENDING_OTHER, ENDING_EITHER } Ending;
typedef Ending EndingSide(const ModuleParam *p, const void *user);
/* name = (".conv1.weight",): the shortest endings of keys, of which a slash marks whole
 * ones, that find those parameters alone.  `prepared`: also under the keys that prepare
 * gives them. */
bool gen_add_endings(Gen *g, const char *comment, const char *name, EndingSide *side,
                     const void *user, bool prepared);
/* The endings alone, as a tuple; NULL when there are none. */
const Expr *gen_endings(Gen *g, EndingSide *side, const void *user, bool prepared);
/* FROZEN = ("running_mean",): endings of floating-point parameters that are not trained;
 * a slash before them marks whole names. */
bool gen_add_frozen(Gen *g);
/* LITERALS = {"mask": [True, False]}: buffers of a state_dict that are code here. */
bool gen_add_literals(Gen *g);
/* UNUSED = ("num_batches_tracked",): what a state_dict has that forward does not read. */
bool gen_add_unused(Gen *g);

/* ---- imports.c ----------------------------------------------------------------------- */

/* Adds a helper to the functions about the parameters. */
void gen_add_helper(Gen *g, const char *name);
/* A helper as it is. */
Stmts gen_helper(Gen *g, Str name);
/* The same as trees of their own, to be edited: of a function its head and the first n
 * statements of its body. */
Stmts gen_parse_helper(Gen *g, Str name, size_t n);
/* Adds the helpers that the code calls to the program, with those that these call, and
 * notes what has to be imported. */
void gen_find_helpers(Gen *g);
/* Notes what the helpers that are left import. */
void gen_note_imports(Gen *g);
/* Adds the imports of all that is in the program: Python's own modules, and others. */
void gen_add_imports(Gen *g, Stmts *standard, Stmts *others);

/* ---- loader.c ------------------------------------------------------------------------ */

/* Adds the helper `from` under another name to the functions about the parameters. */
void gen_add_renamed(Gen *g, const char *from, const char *name);
/* The type of params, dict[str, jax.Array] where they are flat. */
const Expr *gen_params_type(Gen *g);
/* Annotates what users call of the functions about the parameters. */
void gen_annotate(Gen *g, Stmts *code);
/* Adds trainable, load_params and save_params to the program, with all they need. */
void gen_add_parameters(Gen *g);

/* ---- shared_loader.c ----------------------------------------------------------------- */

/* --loader module: what load_params calls is in a file of its own. */
bool gen_shares_loader(const Gen *g);
/* gen_add_renamed of what that file has, where the module has it itself. */
void gen_add_loader_part(Gen *g, const char *from, const char *name);
/* Makes the calls of what the file has, in a function that is complete. */
void gen_call_loader(Gen *g, Def *def);
/* Adds a helper that is in the module in any case, and calls what the file has. */
void gen_add_loader_caller(Gen *g, const char *name);
/* Adds its import where something calls it. */
void gen_import_loader(Gen *g, Stmts *list);

/* ---- sharding.c ---------------------------------------------------------------------- */

/* The module says how it lies on a mesh: the option, or what the model is like. */
bool gen_is_sharded(const Gen *g);
/* Adds PARTITION_RULES, shardings and abstract_params to the program, with all they need. */
void gen_add_shardings(Gen *g);

/* ---- prepare.c ----------------------------------------------------------------------- */

/* conv1.weight -> conv1.kernel: as prepared_key in python/lib/prepare.py. */
Str gen_prepared_key(Arena *a, Str key, const char *form);
/* Sets `unprepared`. */
void gen_find_prepared(Gen *g);
/* The code of n reads input i, a parameter, as prepare may have left it: emit_in_form. */
bool gen_is_prepared(const Gen *g, const Node *n, int i);
/* Sets the forms of the parameters; whether there is one. */
bool gen_set_forms(Gen *g);
/* The same, once they are set. */
bool gen_has_forms(const Gen *g);
/* Statements that refuse the flat `params` that prepare has made: see PARAMS. */
void gen_refuse_prepared(Gen *g, Stmts *steps);
/* Adds prepare to the program, with all it needs. */
void gen_add_prepare(Gen *g);

/* ---- table.c ------------------------------------------------------------------------- */

typedef struct TableRow {
    Str key, text;
} TableRow;

/* Adds `name = {key: text}`, in as few lines as numbered keys allow; comment: above. */
void gen_add_table(Gen *g, const char *comment, const char *name, const TableRow *rows,
                   size_t n);

/* ---- calls.c ------------------------------------------------------------------------- */

/* The function that stands for b. */
Function *gen_function_of(const Block *b);
/* f(scope(params, path), args...); `args` by parameter, NULL: what b reads.  `path` is
 * how the call's parameters are found; NULL: b's own place. */
const Expr *gen_call(Gen *g, const Block *b, const Expr *params,
                     const Expr *const *args);
/* a, b[0] = ...: what a call's results are assigned to. */
const Expr *gen_targets(Gen *g, const Expr *const *targets, size_t n);
/* The parameters of b; NULL when its function takes none. */
const Expr *gen_params_of(Gen *g, const Block *b);
/* range(first, end) */
const Expr *gen_range(Gen *g, int64_t first, int64_t end);
/* Adds all parameters of b to the module's list. */
void gen_list_params(Gen *g, const Block *b);
/* The path of b's part, relative to the function around, without the mark of a call. */
Str gen_relative_path(const Gen *g, const Block *b);

/* ---- as_used.c ----------------------------------------------------------------------- */

/* Makes helpers as general as the module uses them, and drops those that nobody calls then.
 * For a program that is complete. */
void gen_use_helpers(Gen *g);

/* ---- helper_docs.c ------------------------------------------------------------------- */

/* Whether the name stands in the text as a word. */
bool gen_has_word(Str s, Str name);
/* Cuts what a docstring says of a parameter; false where it cannot be cut, and the text is
 * as it was.  details_only: the first paragraph stays. */
bool gen_cut_from_doc(Arena *a, Stmt *doc, Str name, bool details_only);

/* ---- defaults.c ---------------------------------------------------------------------- */

/* Makes keyword arguments that all calls of a helper have in common its defaults, and what
 * most calls of a function for repeated modules choose. */
void gen_move_defaults(Gen *g);
/* The keyword argument of that name; NULL when the call has none. */
const Expr *gen_keyword(const Expr *call, Str name);

/* ---- named_modules.c ------------------------------------------------------------------------ */

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
const Expr *gen_params_below(Gen *g, const Expr *params, Str path);

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
/* `target = x`; the same for names, of which several are a tuple. */
void gen_assign(Gen *g, Stmts *list, const Expr *target, const Expr *x);
void gen_statement(Gen *g, Stmts *list, const Str *targets, size_t n, const Expr *x);
/* The statements of the function that v belongs to: the current one or one around it. */
Stmts *gen_body_of(Gen *g, const Value *v);
#endif
