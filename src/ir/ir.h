/* The intermediate representation: an SSA DAG of nodes and values.
 *
 * A Model is one loaded file.  Values are made once; a node's inputs point to values of
 * its own graph or, in a subgraph, of any graph around it.  Passes rewrite in place:
 * they redirect inputs, replace node->op, and drop nodes from Graph.nodes; the verifier
 * checks the rules after each of them. */
#ifndef OX_IR_IR_H
#define OX_IR_IR_H

#include "ir/attr.h"
#include "ir/dim.h"
#include "ir/facts.h"
#include "ir/origin.h"

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

/* What walks over the graph read comes first, and fills a line of the cache. */
typedef struct Value {
    ValueKind kind;
    uint32_t uses; /* inputs of nodes plus graph outputs; see graph_count_uses */
    Type type;
    Node *def;               /* VALUE_NODE */
    struct Value *alias;     /* a pass has replaced this value by that one; symbols may
                            still name this one: see value_final */
    uint32_t id;             /* dense: 0 .. model->value_count - 1 */
    bool generated_name : 1; /* constant of the exporter, not a named parameter */
    bool is_origin : 1;      /* some anonymous symbol reads its shape */
    bool is_buffer : 1; /* a parameter that no state_dict has: not trained or saved */
    bool is_frozen : 1; /* a parameter that is not trained: see passes/state.c */
    bool follows : 1; /* its type at run time is that in which the parameters and inputs
                           are given, not the file's: see passes/follow.c */
    bool
        holds_limit : 1; /* some element may be the largest or lowest number of its type,
                             and the type stays: see passes/follow.c */
    bool is_assumed : 1; /* the file declares a part of its shape that no rule computes:
                             good for names, not to prove that two shapes are equal */
    bool is_table : 1;   /* a parameter whose entries are picked by indices */
    bool is_row : 1;     /* it contracts what column-parallel matrices give */
    /* Axes of a parameter that a mesh shards, counted from 1: see passes/roles.c. */
    uint8_t tensor_axis, fsdp_axis, expert_axis;
    const Known *known;   /* NULL when not known */
    const Known *splat;   /* the one element that all elements equal, whatever the size;
                             NULL when they differ or are not known */
    const Known *partly;  /* a list of integers of which some are known: the others are
                             symbols of no value; NULL when `known` is there */
    const Reals *reals;   /* of floats that are not known but follow from sizes; NULL */
    Graph *graph;         /* where it is made */
    Str name;             /* unique in its graph and those around it */
    uint32_t out_index;   /* which output of def */
    const Tensor *tensor; /* VALUE_PARAM, and VALUE_CONST that came from the file */
    const Type *declared; /* what value_info or the output says; NULL: nothing */
    const ParamNote *note; /* of a parameter; NULL: nothing */
    int64_t bound;         /* the user's, of a size that data decide; 0: none */
    Str key;    /* of a parameter that has a place but no name in the model, such as a
                   weight that the exporter transposed: its key in params; else empty */
    Str remark; /* about an output of the model, or what is given for an input, for its
                   docstring */
} Value;

/* A loop whose condition only counts. */
typedef struct Trips {
    Dim count;      /* of iterations */
    uint64_t index; /* bit k: state k is the number of the iteration */
} Trips;

/* What walks over the graph read comes first, and fills a line of the cache. */
struct Node {
    const struct OpDef *op; /* NULL: unsupported; reported, never emitted */
    Value **in;             /* NULL entries: absent optional inputs */
    Value **out;            /* NULL entries: outputs the file leaves unnamed */
    uint32_t n_in, n_out;
    Attr *attrs;
    uint32_t n_attrs;
    uint32_t order; /* position in graph->nodes; kept by the blocks pass only */
    Graph *graph;
    uint32_t index;      /* position in the file, for messages */
    bool is_reached : 1; /* a value that it makes is alive; kept by pass_dce only */
    bool is_exact : 1;   /* of floats: in the type of the file, whatever its inputs are
                             given in; see passes/follow.c */
    bool data_sized : 1; /* the size of an output depends on data, without a bound */
    bool concrete : 1;   /* control flow that Python must run: JAX cannot trace it */
    bool folds_norm : 1; /* the exporter has folded a normalization into its weights */
    Str op_type, domain, name;
    int64_t opset;        /* version of `domain` that governs it */
    const Origin *origin; /* the module it came from; NULL: the file does not say */
    struct Part *part;    /* that module, once the blocks pass has found it */
    Str inlined;          /* the inlined function it came from; "" at top level */
    const Node *original; /* what it is a copy of; NULL: it is none */
    int64_t bound;      /* of its outputs that inference has made their size; 0: none */
    const Trips *trips; /* NULL: it is no such loop */
    Graph *only;        /* of its subgraphs, the one that can run: a choice of another
                             fails; NULL: any can */
};

struct Graph {
    struct Model *model;
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
    Str kept; /* the name under which checkpoints keep it, of a tied one; else empty */
} StateName;

typedef struct StateNames {
    StateName *items;
    size_t count, cap;
} StateNames;

/* Where the nodes of the file have gone, by Node.index: for the map from nodes to lines. */
typedef struct Whereabouts {
    uint32_t *place; /* among the nodes of the graph as inference has left it, one more;
                        of a node in a subgraph that of the node around; 0: none */
    uint32_t count;  /* indices; 0: not noted yet */
    uint32_t places;
    struct {
        struct Absorbed {
            uint32_t index, by;
        } * items; /* nodes that another one stands for, in the order of passes */
        size_t count, cap;
    } absorbed;
} Whereabouts;

typedef struct Model {
    Arena *arena;
    Diags *diags;
    Facts facts;
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
    StateNames state;   /* the module's tensors, also those that the outputs do not
                           depend on; none where the file does not tell */
    StateNames program; /* parameters, buffers and constants of the program that
                           torch.export has made; none where the file does not tell */
    struct {
        Value **items; /* buffers of the state_dict that are code: VALUE_CONST, which
                          folding may have used up since */
        size_t count, cap;
    } literals;
    bool of_bridge;        /* the bridge has said what is in `state`, and all of it */
    bool unoptimized;      /* the bridge exported it without an optimizer */
    bool unrolled;         /* repeated modules are written out: no blocks */
    bool has_subgraphs;    /* some node holds graphs, or did */
    bool has_aliases;      /* some reader may read a value that is replaced */
    Whereabouts nodes;     /* once a model is to be compiled */
    struct Blocks *blocks; /* repeated modules of `graph`; NULL: none */
    struct {
        Unsupported *items; /* each operator once, in order of first use */
        size_t count, cap;
    } unsupported;
} Model;

/* Reports OX0301 for every unsupported operator, with its count and first node. */
void graph_report_unsupported(Model *m);

/* Checks the rules above; false (with a message in *why) when one is broken. */
bool graph_verify(Model *m, const char **why);

/* Recomputes Value.uses over the whole model, subgraphs included. */
void graph_count_uses(Model *m);
/* The same for a pass that walks over all nodes anyhow, one graph after the other as
 * graph_each does: before the nodes, for each of them in order, and behind the last. */
void uses_begin(Graph *g);
void uses_of_node(const Node *n);
void uses_end(Graph *g);

/* A subgraph for `owner` with an input for each value of `start` and one output: it
 * computes `end`, which must be made before `owner`, and reads what does not depend on
 * the start from outside.  NULL when that is too large, which is reported. */
Graph *graph_between(Model *m, Node *owner, Value *const *start, size_t n, Value *end);
/* The value of that name that n could read; NULL when there is none. */
Value *value_before(const Node *n, Str name);

/* A model of its own that is equal to m, which is as it was imported: not inferred, and
 * changed in its inputs and outputs at most.  Tensors and text are shared.  What is found
 * wrong with the copy goes to `diags`.  NULL when memory is refused. */
Model *model_copy(const Model *m, Diags *diags);

/* How many attributes of n may hold graphs: 0 where no node of the model holds any, which
 * spares walks over all nodes the look at attributes. */
uint32_t node_graph_attrs(const Node *n);
/* Calls visit on each graph: g, then the subgraphs of its nodes, outermost first. */
void graph_each(Graph *g, void (*visit)(void *user, Graph *g), void *user);

/* Prints graph and subgraphs for --dump and the unit tests. */
void graph_dump(Text *t, const Model *m);

/* A new value made by nobody yet; NULL when refused. */
Value *value_new(Model *m, Graph *g, ValueKind kind, Str name);
/* A node that stands for what `at` is in the file: of its graph, place and module, with
 * room for so many inputs, outputs and attributes, but with no operator and no attributes
 * yet, and nothing connected.  NULL when refused. */
Node *node_beside(Model *m, const Node *at, uint32_t n_in, uint32_t n_out,
                  uint32_t attrs);
/* Notes where the nodes are: before any of them is dropped. */
void nodes_note_places(Model *m);
/* From here on `by` does what n did. */
void node_absorb(Model *m, const Node *n, const Node *by);
/* Makes v the value of that output. */
void node_make(Node *n, uint32_t out, Value *v);
/* How a tensor of the file appears in the code.  Literals are what the exporter made of
 * Python numbers and shapes: small Constant nodes, small integers, and single floats under
 * generated names.  All other tensors are parameters. */
ValueKind value_kind_of(const Tensor *t, Str name, bool constant_node);
/* Makes v a parameter or literal that holds t, and lists it in its graph. */
bool value_set_tensor(Model *m, Value *v, const Tensor *t, bool constant_node);
/* Makes v a literal of these elements, and lists it in its graph. */
void value_set_known(Model *m, Value *v, const Known *k);
/* The symbol of a name that the file or the user gives to axis `axis` of v: one in the
 * whole model.  Of nothing that could be read when v is NULL and the name is new. */
Dim named_dim(Model *m, Str name, Value *v, int axis);
/* Gives v another value in its place; its readers are redirected by replace_values. */
void value_replace(Model *m, Value *v, Value *by);
/* The value that v has been replaced by, at the end of the chain; v when it has not. */
Value *value_final(Value *v);
/* A fresh symbol for axis `axis` of v; of nothing that could be read when v is NULL. */
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
