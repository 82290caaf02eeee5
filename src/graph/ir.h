/* The intermediate representation: an SSA DAG of nodes and values.
 *
 * A Model is one loaded file.  Values are made once; a node's inputs point to values of
 * its own graph or, in a subgraph, of any graph around it.  Passes rewrite in place:
 * they redirect inputs, replace node->op, and drop nodes from Graph.nodes; the verifier
 * checks the rules after each of them. */
#ifndef OX_GRAPH_IR_H
#define OX_GRAPH_IR_H

#include "graph/dim.h"
#include "parser/onnx.h"

struct OpDef;
struct Part;
struct Blocks;
typedef struct Node Node;
typedef struct Graph Graph;

enum {
    OX_MAX_RANK = 32,    /* numpy and XLA stop well before */
    KNOWN_MAX = 1024,    /* largest tensor whose elements are tracked at compile time */
    GRAPH_DEPTH_MAX = 32 /* subgraphs and functions inside each other */
};

/* Domain of the operators that the bridge makes: src/ops/bridge.c. */
#define OP_BRIDGE "oxide_xla"

typedef enum TypeKind { TYPE_TENSOR, TYPE_SEQUENCE, TYPE_OPTIONAL, TYPE_MAP } TypeKind;

/* rank -1: not known.  dtype DT_UNDEFINED: not known. */
typedef struct Type {
    TypeKind kind;
    DType dtype;
    int rank;
    const Dim *dims;         /* rank entries, owned by the arena, shared freely */
    const struct Type *elem; /* sequence, optional */
} Type;

/* The elements of a small tensor that are known at compile time, in row-major order.
 * Integers and booleans are Dims, so they may hold symbols; floats are doubles that
 * the dtype represents exactly. */
typedef struct Known {
    size_t n;
    const Dim *ints;      /* integer and bool types */
    const double *floats; /* float types */
} Known;

/* A float that follows from sizes. */
typedef enum RealKind {
    REAL_EXACT,   /* it is num / den, and den a power of two */
    REAL_ROUNDED, /* the float next to num / den */
    REAL_OWN,     /* Python computes it for the value that the symbol num reads; num is
                     its integral part, and it is not negative */
} RealKind;

typedef struct Real {
    Dim num;
    int64_t den; /* positive; of REAL_OWN the length of the longest chain of nodes */
    RealKind kind;
} Real;

/* The elements of a small tensor of floats that follow from sizes. */
typedef struct Reals {
    size_t n;
    const Real *items;
} Reals;

typedef enum ValueKind {
    VALUE_NODE,  /* made by a node */
    VALUE_INPUT, /* graph input, or formal input of a subgraph */
    VALUE_PARAM, /* initializer or large constant: an entry of params */
    VALUE_CONST, /* small constant, written into the code: has `known`, or `splat`, or
                    else counts up by one in `tensor` */
} ValueKind;

/* Another name of the state_dict whose values the exporter found equal. */
typedef struct ParamAlias {
    Str name;
    struct ParamAlias *next;
} ParamAlias;

/* What is known of a parameter beyond its tensor: see passes/params.c. */
typedef struct ParamNote {
    Str key;            /* its name in the state_dict; empty: the value's own */
    const char *change; /* "transposed", ...: NULL when it has PyTorch's layout */
    ParamAlias *aliases;
} ParamNote;

typedef struct Value {
    ValueKind kind;
    Str name; /* unique in its graph and those around it */
    Type type;
    const Tensor *tensor; /* VALUE_PARAM, and VALUE_CONST that came from the file */
    const Known *known;   /* NULL when not known */
    const Known *partly;  /* a list of integers of which some are known: the others are
                             symbols of no value; NULL when `known` is there */
    const Known *splat;   /* the one element that all elements equal, whatever the size;
                             NULL when they differ or are not known */
    const Reals *reals;   /* of floats that are not known but follow from sizes; NULL */
    Node *def;            /* VALUE_NODE */
    Graph *graph;         /* where it is made */
    uint32_t out_index;   /* which output of def */
    uint32_t uses;        /* inputs of nodes plus graph outputs; see graph_count_uses */
    uint32_t id;          /* dense: 0 .. model->value_count - 1 */
    bool generated_name;  /* constant of the exporter rather than a named parameter */
    bool is_origin;       /* some anonymous symbol reads its shape */
    bool is_buffer;       /* a parameter that no state_dict has: not trained or saved */
    bool is_frozen;       /* a parameter that is not trained: see passes/state.c */
    bool follows;     /* its type at run time is that in which the parameters and inputs
                     are given, not the file's: see passes/follow.c */
    bool holds_limit; /* some element may be the largest or lowest number of its type,
                         and the type stays: see passes/follow.c */
    bool is_assumed;  /* the file declares a part of its shape that no rule computes:
                             good for names, not to prove that two shapes are equal */
    struct Value *alias;  /* a pass has replaced this value by that one; symbols may
                             still name this one: see value_final */
    const Type *declared; /* what value_info or the output says; NULL: nothing */
    Str remark;    /* about an output of the model, or what is given for an input,
                              for its docstring */
    int64_t bound; /* the user's, of a size that data decide; 0: none */
    const ParamNote *note; /* of a parameter; NULL: nothing */
    Str key; /* of a parameter that has a place but no name in the model, such as a
                weight that the exporter transposed: its key in params; else empty */
} Value;

/* A loop whose condition only counts. */
typedef struct Trips {
    Dim count;      /* of iterations */
    uint64_t index; /* bit k: state k is the number of the iteration */
} Trips;

typedef struct Attr {
    const PbAttr *pb; /* the attribute; ref resolved */
    Graph **graphs;   /* imported subgraphs: 1 for ATTR_GRAPH */
    size_t graph_count;
} Attr;

struct Node {
    const struct OpDef *op; /* NULL: unsupported; reported, never emitted */
    const PbNode *pb;       /* the message it came from, also for rewritten nodes */
    Str name, op_type, domain;
    int64_t opset; /* version of `domain` that governs it */
    Value **in;    /* NULL entries: absent optional inputs */
    Value **out;   /* NULL entries: outputs the file leaves unnamed */
    uint32_t n_in, n_out;
    Attr *attrs;
    uint32_t n_attrs;
    uint32_t index;     /* position in the file, for messages */
    int64_t bound;      /* of its outputs that inference has made their size; 0: none */
    const Trips *trips; /* NULL: it is no such loop */
    bool data_sized;    /* the size of an output depends on data, without a bound */
    bool concrete;      /* control flow that Python must run: JAX cannot trace it */
    Graph *only; /* of its subgraphs, the one that can run: a choice of another fails;
                        NULL: any can */
    Graph *graph;
    Str scope;            /* of the inlined function it came from; "" at top level */
    const Node *original; /* what it is a copy of; NULL: it is none */
    struct Part *part;    /* the module it came from: see passes/parts.h */
    uint32_t order;       /* position in graph->nodes; kept by the blocks pass only */
    bool is_reached;      /* a value that it makes is alive; kept by pass_dce only */
};

struct Graph {
    Str name, doc;
    Graph *parent; /* NULL at top level */
    Node *owner;   /* node that holds this subgraph */
    Value **inputs;
    size_t n_inputs;
    Value **outputs; /* may repeat, may be inputs or parameters */
    size_t n_outputs;
    Str *output_names; /* names to present; equal to the file's */
    Node **nodes;      /* topological order */
    size_t n_nodes;
    Value **params; /* initializers and constants, in file order */
    size_t n_params, cap_params;
};

/* An operator of the model that the registry does not have. */
typedef struct Unsupported {
    Str domain, op_type;
    int64_t opset;
    size_t count;
    const Node *first;
} Unsupported;

/* A tensor of the PyTorch module that the file was exported from. */
typedef enum StateKind {
    STATE_TRAINED,
    STATE_FROZEN,    /* an nn.Parameter without gradient */
    STATE_BUFFER,    /* in the state_dict */
    STATE_TEMPORARY, /* a buffer that the state_dict lacks */
    STATE_UNKNOWN,
} StateKind;

typedef struct StateName {
    Str name;
    StateKind kind;
} StateName;

typedef struct Model {
    Arena *arena;
    Diags *diags;
    const PbModel *pb;
    Str name; /* stem of the file name, "model" when there is none */
    Dims dims;
    Map dim_names; /* dim_param -> Dim */
    Graph *graph;
    uint32_t value_count;
    uint32_t node_count;
    struct {
        Str *items; /* parameters of the program that the exporter has left out, where
                       the module that has them computes something */
        size_t count, cap;
    } left_out;
    bool guessing; /* inference tries types that a choice may give: see infer_fits */
    int guesses;   /* choices for which it did */
    struct {
        Value **items; /* inputs that the user has fixed; the remark is what they are */
        size_t count, cap;
    } given;
    struct {
        StateName *items; /* the module's tensors, also those that the outputs do not
                             depend on; none where the file does not tell */
        size_t count, cap;
    } state;
    bool of_bridge;        /* the bridge has said what is in `state`, and all of it */
    bool unrolled;         /* repeated modules are written out: no blocks */
    struct Blocks *blocks; /* repeated modules of `graph`; NULL: none */
    struct {
        Unsupported *items; /* each operator once, in order of first use */
        size_t count, cap;
    } unsupported;
} Model;

/* Builds the IR of a parsed model: resolves names, checks that each is made once, sorts
 * nodes that stand before what they read (a warning), inlines local functions.  Nodes have no OpDef yet: see ops_bind.
 * Errors go to `diags`.  Returns NULL when memory ran out. */
Model *graph_import(Arena *arena, Diags *diags, const PbModel *pb, Str file);

/* Reports OX0301 for every unsupported operator, with its count and first node. */
void graph_report_unsupported(Model *m);

/* Checks the rules above; false (with a message in *why) when one is broken. */
bool graph_verify(Model *m, const char **why);

/* Recomputes Value.uses over the whole model, subgraphs included. */
void graph_count_uses(Model *m);

/* A subgraph for `owner` with an input for each value of `start` and one output: it
 * computes `end`, which must be made before `owner`, and reads what does not depend on
 * the start from outside.  NULL when that is too large, which is reported. */
Graph *graph_between(Model *m, Node *owner, Value *const *start, size_t n, Value *end);
/* The value of that name that n could read; NULL when there is none. */
Value *value_before(const Node *n, Str name);

/* Calls visit on each graph: g, then the subgraphs of its nodes, outermost first. */
void graph_each(Graph *g, void (*visit)(void *user, Graph *g), void *user);

/* Prints graph and subgraphs for --dump and the unit tests. */
void graph_dump(Text *t, const Model *m);

/* A new value made by nobody yet; NULL when refused. */
Value *value_new(Model *m, Graph *g, ValueKind kind, Str name);
/* How a tensor of the file appears in the code.  Literals are what the exporter made of
 * Python numbers and shapes: small Constant nodes, small integers, and single floats under
 * generated names.  All other tensors are parameters. */
ValueKind value_kind_of(const Tensor *t, Str name, bool constant_node);
/* Makes v a parameter or literal that holds t, and lists it in its graph. */
bool value_set_tensor(Model *m, Value *v, const Tensor *t, bool constant_node);
/* Makes v a literal of these elements, and lists it in its graph. */
void value_set_known(Model *m, Value *v, const Known *k);
/* One dimension of a file's shape, for axis `axis` of v. */
Dim dim_from_pb(Model *m, const PbDim *pb, Value *v, int axis);
/* The type of a TypeProto; unknown dimensions become symbols of `v`. */
Type type_from_pb(Model *m, const PbType *pb, Value *v);
/* The value that v has been replaced by, at the end of the chain; v when it has not. */
Value *value_final(Value *v);
/* A fresh symbol for axis `axis` of v. */
Dim value_symbol(Model *m, Value *v, int axis);

/* "node #412 \"/up2/Resize\" (Resize, ai.onnx 17)  X float32[b,64,40]" */
Str node_where(Model *m, const Node *n);
void type_print(Text *t, const Type *type);
bool type_is_static(const Type *t); /* ranked, all dimensions integers */
/* Tensors of one shape, as far as is known: ranked, the dimensions equal. */
bool type_same_shape(const Type *a, const Type *b);
/* Number of elements as a Dim; 1 for rank 0.  Ranked types only. */
Dim type_count(Dims *ds, const Type *t);

/* Elements of t as Known when it is small and numeric; NULL otherwise. */
const Known *known_from_tensor(Model *m, const Tensor *t);
/* Room for n elements of dtype's class; *k is NULL when refused or n > KNOWN_MAX. */
Known *known_new(Model *m, DType dtype, size_t n);
/* Calls visit for each symbol that the elements of v name. */
void value_each_symbol(const Value *v, void (*visit)(void *user, const Symbol *s),
                       void *user);
/* One element of k when all are equal, sharing its storage; NULL otherwise. */
const Known *known_splat(Model *m, const Known *k);
/* Writable elements of a Known made by known_new. */
Dim *known_ints(Known *k);
double *known_floats(Known *k);

#endif
