/* The operator registry: everything the compiler knows about an operator stands in one
 * const struct, in the file of its family.
 *
 *     static const OpDef ops[] = {
 *         {.name = "Softmax", .since = 13, .in = "input", .out = "output",
 *          .attrs = {INT("axis", -1)}, .infer = infer_same,
 *          .jax = "softmax($input, axis=$axis)"},
 *     };
 *     const OpFamily ops_nn = FAMILY(ops);
 *
 * Services that several families share are declared beside what they are about:
 *
 *     window.h     kernels, strides, padding; channels last; call_with (name=value)
 *     norm.h       epsilon, casts, statistics of normalizations
 *     linear.h     matrix products and Gemm
 *     attention.h  heads apart, sums of masks
 *     layout.h     evaluation by strides; subscripts, method calls, shapes
 *     nested.h     subgraphs, sequences, numbers of Python's
 *     quant.h      scales and zero points
 *     ml.h         weights, labels and transforms of ai.onnx.ml
 *     macs.h       how much work a node is
 *     apart.h      which axes hold entries; padded.h: nodes about padding (--bound)
 *
 * Of NULL: emit_in and its kin, emit_ints and emit_list give NULL for an input that is
 * absent.  EX takes it inside $(...), and call_with leaves the argument out; all else
 * that takes an expression makes it a defect.
 * Of messages: OX0303 a node that breaks the specification, OX0401 shapes or types that
 * do not fit, OX0402 an input that must be known at compile time, OX0403 a rank that must
 * be, OX0302 any other form that cannot be compiled.
 *
 * The build finds the families by that last line.  Versions that differ only in allowed
 * types share an entry; `until` closes a range where meaning changed. */
#ifndef OX_OPS_CORE_OP_H
#define OX_OPS_CORE_OP_H

#include "code/expr.h"
#include "ir/ir.h"

enum { OP_MAX_ATTRS = 24, OP_NEWEST_OPSET = 28 };

/* Algebraic facts that passes read instead of operator names. */
typedef enum OpFact {
    OP_BROADCAST = 1 << 0,    /* numpy broadcasting of all inputs; constants of the same
                                 type may be written as Python scalars */
    OP_COMMUTATIVE = 1 << 1,  /* of its two inputs */
    OP_IDENTITY = 1 << 2,     /* output 0 is input 0 */
    OP_IMPURE = 1 << 3,       /* random: never merged, never moved */
    OP_ELEMENTWISE = 1 << 4,  /* unary, shape and layout preserving */
    OP_CONSTANT = 1 << 5,     /* its output is its value* attribute; import makes it a
                                 VALUE_CONST or VALUE_PARAM and no node remains */
    OP_MOVES = 1 << 6,        /* every element of output 0 is an element of input 0 */
    OP_UNIT0 = 1 << 7,        /* x op 0 is x; 0 op x too when commutative */
    OP_UNIT1 = 1 << 8,        /* x op 1 is x; 1 op x too when commutative */
    OP_REFUSED = 1 << 9,      /* known only to say why it cannot be compiled */
    OP_ON_INTS = 1 << 10,     /* its code works on Python numbers of one type, too */
    OP_CONTAINERS = 1 << 11,  /* takes sequences and optionals, not tensors only */
    OP_SELECTS = 1 << 12,     /* each element is one of input 1 or of input 2 */
    OP_KEEPS = 1 << 13,       /* output 0 is input 0 when it has the same type */
    OP_RESHAPES = 1 << 14,    /* output 0 is input 0 in row-major order, reshaped */
    OP_WIDENS = 1 << 15,      /* output 0 is input 0, broadcast */
    OP_LINEAR = 1 << 16,      /* input 1 is a matrix [in, out], where a linear layer of
                             PyTorch has a weight [out, in] */
    OP_WEIGHT_BIAS = 1 << 17, /* inputs 1 and 2 are weight and bias of one module */
    OP_PACKED_WEIGHTS = 1 << 18, /* inputs 1 to 3: weights in its own order */
    OP_CONTRACTS =
        1 << 19,        /* sums products over inputs 0 and 1: see passes/weights.c */
    OP_TABLE = 1 << 20, /* input 0 may be the weight of an embedding */
    OP_JOINS = 1 << 21, /* every element of output 0 is an element of some input */
    OP_ALL = 1 << 22,   /* true where both inputs are */
    OP_NOT = 1 << 23,   /* true where input 0 is not */
    OP_STATISTICS = 1 << 24, /* inputs 3 and 4 are running statistics: nothing trains
                                them but the operator itself */
    OP_OWN_TYPE = 1 << 25, /* its code names the types of its outputs, whatever those of
                              its inputs are when it runs */
    OP_PROBABILITIES = 1 << 26, /* output 0 is a distribution over some axes */
    OP_RANKS = 1 << 27,   /* chooses among the elements of input 0 by their order */
    OP_BY_ROW = 1 << 28,  /* numpy broadcasting of all inputs, but that it looks at the
                            last axis as a whole */
    OP_ATTENDS = 1 << 29, /* inputs 0 to 2 are (batch, length, heads, size) */
} OpFact;

/* What hides the padding of an axis: see OpDef.past. */
typedef enum OpPast {
    PAST_SEEN, /* nothing does */
    PAST_ANY,  /* whatever is there: the first entries do not look so far */
    PAST_ZERO,
    PAST_ONE,
    PAST_LOWEST,  /* minus infinity; the least integer */
    PAST_HIGHEST, /* infinity; the largest integer */
    PAST_OUTSIDE, /* an index that is out of range */
    PAST_MEAN,    /* zero, and the result is that of so many more entries */
} OpPast;

/* Domain of operators that passes make and no file can hold. */
#define OP_INTERNAL "oxide.internal"

/* One place along an axis of an array. */
typedef struct OpPick {
    int axis;
    int64_t index; /* counted from the front */
    bool keeps;    /* the axis stays, with size 1 */
} OpPick;

/* The signs of A - B for which a comparison of A and B is true. */
typedef enum OpOrder {
    ORDER_LESS = 1 << 0,
    ORDER_EQUAL = 1 << 1,
    ORDER_GREATER = 1 << 2,
} OpOrder;

typedef struct OpAttr {
    const char *name;
    AttrType type;
    bool required, has_default;
    int64_t i;
    double f;
    const char *s;
    const char *words; /* that a string may be, "nearest linear"; NULL: any text */
    DiagCode refusal;  /* of another word */
} OpAttr;

/* Rows of OpDef.attrs: with a default, optional, or required. */
#define INT(n, v)                                                                      \
    { .name = (n), .type = ATTR_INT, .has_default = true, .i = (v) }
#define INT_OPT(n)                                                                     \
    { .name = (n), .type = ATTR_INT }
#define INT_REQ(n)                                                                     \
    { .name = (n), .type = ATTR_INT, .required = true }
#define FLOAT(n, v)                                                                    \
    { .name = (n), .type = ATTR_FLOAT, .has_default = true, .f = (v) }
#define FLOAT_OPT(n)                                                                   \
    { .name = (n), .type = ATTR_FLOAT }
#define FLOAT_REQ(n)                                                                   \
    { .name = (n), .type = ATTR_FLOAT, .required = true }
#define STRING(n, v)                                                                   \
    { .name = (n), .type = ATTR_STRING, .has_default = true, .s = (v) }
#define STRING_OPT(n)                                                                  \
    { .name = (n), .type = ATTR_STRING }
#define STRING_REQ(n)                                                                  \
    { .name = (n), .type = ATTR_STRING, .required = true }
/* A string of few words, `w`: node_check refuses others, so no code need ask.  Where they
 * break the specification, and where they may mean something that has no code. */
#define CHOICE(n, v, w)                                                                \
    {                                                                                  \
        .name = (n), .type = ATTR_STRING, .has_default = true, .s = (v), .words = (w), \
        .refusal = OX0303                                                              \
    }
#define CHOICE_REQ(n, w)                                                               \
    {                                                                                  \
        .name = (n), .type = ATTR_STRING, .required = true, .words = (w),              \
        .refusal = OX0303                                                              \
    }
#define SUPPORTED(n, v, w)                                                             \
    {                                                                                  \
        .name = (n), .type = ATTR_STRING, .has_default = true, .s = (v), .words = (w), \
        .refusal = OX0302                                                              \
    }
#define SUPPORTED_REQ(n, w)                                                            \
    {                                                                                  \
        .name = (n), .type = ATTR_STRING, .required = true, .words = (w),              \
        .refusal = OX0302                                                              \
    }
#define INTS_OPT(n)                                                                    \
    { .name = (n), .type = ATTR_INTS }
#define INTS_REQ(n)                                                                    \
    { .name = (n), .type = ATTR_INTS, .required = true }
#define ANY_OPT(n, t)                                                                  \
    { .name = (n), .type = (t) }
#define ANY_REQ(n, t)                                                                  \
    { .name = (n), .type = (t), .required = true }

/* Domain and version of the operators that onnxruntime adds to ONNX's. */
#define MICROSOFT .domain = "com.microsoft", .since = 1

typedef struct Emit Emit;

typedef struct OpDef {
    const char *name;
    const char *domain; /* NULL: ai.onnx */
    int since, until;   /* opset range, both included; until 0: still current */
    const char *in;     /* "X W B?": `?` optional; the last may be one or more: `*`, or
                           any number: `?*` */
    const char *out;
    const char *fixed; /* inputs that must be known at compile time to jit: "shape" */
    const char *mixes; /* float inputs that may have another type than the others when
                          the code runs, which outputs do not take: "cos sin" */
    /* Inputs that the code broadcasts, as it does all of OP_BROADCAST: they come lifted
     * to the rank of the widest input (emit_in_lifted): "bias". */
    const char *lifted;
    /* Inputs that are parameters even where they are few integers: "w B". */
    const char *weights;
    OpAttr attrs[OP_MAX_ATTRS];
    unsigned facts; /* OpFact */
    unsigned order; /* OpOrder, of a comparison */
    /* Sets the types of all outputs with set_type and its relatives. */
    void (*infer)(Model *m, Node *n);
    /* Computes the elements of output 0 (or all, through set_known) from known inputs;
     * called after infer when shapes allow. */
    void (*eval)(Model *m, Node *n);
    /* One element of output 0, a float, from those of the inputs, which follow from sizes:
     * false where it is no such quotient. */
    bool (*real)(Model *m, const Real *args, Real *result);
    /* The same as a template over Python numbers and numpy's scalars, of an operator that
     * makes no negative numbers of others; NULL: there is none. */
    const char *number;
    const char *jax;       /* expression template over input and attribute names, plus
                              $out.shape, $out.dtype, $out.rank of output 0 */
    void (*emit)(Emit *e); /* where a template cannot say it */
    /* Gives the node the subgraphs that its attributes only name; called once, before
       inference, when all nodes of its graph have their operators. */
    void (*expand)(Model *m, Node *n);
    /* What fills an output up to the size that --bound gives; NULL: no output has a
       size that data decide.  Such dimensions come from data_dim. */
    const char *padding;
    /* The subgraph without inputs that the node is known to stand for; NULL: none. */
    Graph *(*inlined)(const Node *n);
    /* A value made before that output 0 always equals; NULL: none. */
    Value *(*same)(const Node *n);
    /* Output 0 is input 0 with other axes in the place of each, perm; with axes of size 1
     * put in, bits of the mask.  NULL or false: it is not, or the rank is not known. */
    bool (*permutes)(const Node *n, int *perm);
    bool (*inserts)(const Node *n, uint64_t *mask);
    /* Output `out` is input 0 at one place of an axis.  NULL or false: it is not, or that is
     * not known. */
    bool (*picks)(const Node *n, uint32_t out, OpPick *p);
    /* Turns the node into a simpler one with the same output, where there is one. */
    void (*rewrite)(Model *m, Node *n);
    /* Integers of input i past an end of the type may be that end: the output stays the
     * same.  Asked about inputs with integers that 32 bits do not hold; NULL: never. */
    bool (*saturates)(const Node *n, int i);
    /* For a reader that broadcasts by itself: a value that gives output 0 when it is
     * broadcast; where `only` that reader has output 0, it may be that, made smaller.
     * NULL: none. */
    Value *(*narrow)(Model *m, Node *n, bool only);
    /* The inputs whose first axis is a batch, which is the first axis of all outputs: "X",
     * "Q K mask?" where a mask may be shared by the batch.  NULL: see `apart`. */
    const char *batch;
    /* Which axes hold entries that the operator treats by themselves: see ops/core/apart.h.
     * NULL: its batch, or what OP_ELEMENTWISE, OP_BROADCAST, OP_IDENTITY say; else none. */
    bool (*apart)(Model *m, const Node *n, const int *at, int out, int axis);
    /* For --bound, where the entries of an axis are not treated by themselves: what must
     * stand in input `input` past its end, along at[input], so that the first entries of
     * the outputs are what they are without it.  NULL: it is always seen. */
    OpPast (*past)(Model *m, const Node *n, const int *at, int input);
    /* The form in which the operator's helper takes input i, a kind of emit/prepare.c, which
     * prepare makes of parameters: "kernel".  NULL: it takes arrays as they are. */
    const char *(*form)(const Node *n, int i);
    /* Pairs of an input and the output that is it with new positions put behind those in
     * use, along axis 2; where the array has room for them, in place.  What is behind is not
     * seen: "past_key present_key".  NULL: there are none. */
    const char *appends;
    /* With `padding`: the operator of OP_INTERNAL that counts what there is, from inputs
     * and outputs of the node by their names. */
    const char *count;
    /* Products of two elements that the node adds up: see ops/core/macs.h.  NULL: none;
     * with OP_CONTRACTS: not known. */
    bool (*macs)(Model *m, Node *n, Dim *count);
} OpDef;

typedef struct OpFamily {
    const OpDef *ops;
    size_t count;
} OpFamily;
#define FAMILY(table)                                                                  \
    { (table), sizeof(table) / sizeof((table)[0]) }

/* Gives every node of the model its definition and turns constants into values;
 * operators that are not in the registry are listed in m->unsupported. Idempotent. */
void ops_bind(Model *m);

/* The entry that governs op at this opset; NULL when unknown. */
const OpDef *op_find(Str domain, Str op_type, int64_t opset);
/* true when some version of the operator is known. */
bool op_known_at_all(Str domain, Str op_type);
/* The i-th entry over all families, NULL past the last. */
const OpDef *op_at(size_t i);
/* Makes n a node of op: for passes, which make nodes of the newest versions only.  Inputs
 * and attributes stay as they are. */
void node_set_op(Node *n, const OpDef *op);
/* Prints the table of operators: one row a name.  `name` empty: all. */
void op_print(Text *t, OxFormat format, Str name);
/* Index of the input `name` in the spec string; -1 when there is none.  Members of a
 * variadic input have the index of the first. */
int op_input_index(const OpDef *op, Str name);
/* One name of OpDef.in, .out or .fixed. */
typedef struct OpSlot {
    Str name;
    bool optional, variadic;
} OpSlot;
/* Reads the next name of a spec string and moves *at past it; false at the end. */
bool op_spec_next(const char **at, OpSlot *slot);
/* The place of a name in a spec string, and its slot; -1 when it is not there. */
int op_spec_find(const char *spec, Str name, OpSlot *slot);
/* The declared attribute with this name; NULL when there is none. */
const OpAttr *op_attr(const OpDef *op, Str name);
/* Whether an attribute may be this text: see CHOICE. */
bool op_attr_allows(const OpAttr *declared, Str text);
/* "int", "floats", ... as in the printed table. */
const char *op_attr_type_name(AttrType type);
/* First broken rule of the registry as text (version overlap, undeclared $name, both or
 * neither of jax and emit), NULL when all is well.  For the tests. */
const char *op_check(Arena *a);

/* ---- reading a node (inference, evaluation, emission) ------------------------------ */

typedef struct Shape {
    int rank; /* -1: unknown */
    Dim d[OX_MAX_RANK];
} Shape;

typedef struct Ints {
    size_t n;
    int64_t v[64];
} Ints;

/* The value of input i, NULL when absent or past the end. */
Value *node_in(const Node *n, int i);
/* The value of the input with this spec name. */
Value *node_input(const Node *n, const char *name);
Value *node_out(const Node *n, int i);
/* Input i is written as ints, or not at all: its array is not read.  See OpDef.fixed. */
bool node_is_fixed(const Node *n, uint32_t i);
/* Input i decides the run-time type of other floats of its type, and must have theirs.
 * See OpDef.mixes and passes/follow.c. */
bool node_shares_type(const Node *n, uint32_t i);
/* The input whose run-time type input i must be given; -1: it keeps its own. */
int node_type_giver(const Node *n, int i);
/* The name of input i in the ONNX specification; the last name for variadic ones. */
Str op_input_name(const OpDef *op, uint32_t i);
/* dtype of input i, DT_UNDEFINED when absent. */
DType in_dtype(const Node *n, int i);
/* Rank of input i, -1 when absent or unknown. */
int in_rank(const Node *n, int i);
/* Shape of input i; false (rank -1) when absent or unranked. */
bool in_shape(const Node *n, int i, Shape *s);
/* Dimension of input i along axis (ranked, in range). */
Dim in_dim(const Node *n, int i, int axis);

/* Checks what inference relies on: required inputs and attributes are there, attributes
 * have their types, and no more inputs or outputs than the operator has.  Reports OX0303
 * and returns false otherwise; the node is then not to be inferred. */
bool node_check(Model *m, const Node *n);

/* In debug builds, which tests/ops uses, all that read an attribute or input by its name
 * make it a defect (node_defect) where the row has neither of that name, since a slip of
 * the pen would read as absent.
 * These do not: they are for names that only some versions of an operator have.  node_has:
 * the attribute or input is given.  attr_int_or: the attribute, or the row's default;
 * `otherwise` where there is neither. */
bool node_has(const Node *n, const char *name);
const Attr *attr_find(const Node *n, const char *name);
int64_t attr_int_or(const Node *n, const char *name, int64_t otherwise);

/* Attributes; a default from the registry when the node has none.  Another type than the
 * row's is a defect, too. */
const Attr *attr_get(const Node *n, const char *name); /* NULL when absent */
bool attr_has(const Node *n, const char *name);
int64_t attr_int(const Node *n, const char *name);
double attr_float(const Node *n, const char *name);
Str attr_str(const Node *n, const char *name);
bool attr_is(const Node *n, const char *name, const char *text);
/* false when absent; more than 64 entries are an error of the node. */
bool attr_ints(const Node *n, const char *name, Ints *v);

/* Integers from the attribute or the input of that name, whichever the version has:
 * true and constants only.  false: absent or not constant; see is_absent. */
bool get_ints(const Node *n, const char *name, Ints *v);
/* The same with symbols: false when absent or not known. */
bool get_dims(const Node *n, const char *name, Shape *v);
/* The same where only the number of sizes need be known: bit i of *unknown is set where
 * the i-th is not. */
bool get_sizes(const Node *n, const char *name, Shape *v, uint64_t *unknown);
/* Neither attribute nor input of that name is there. */
bool is_absent(const Node *n, const char *name);
/* One known float (attribute or input of that name). */
bool get_float(const Node *n, const char *name, double *v);

/* Adds rank to a negative axis; reports OX0401 and returns false when out of range. */
bool fix_axis(Model *m, const Node *n, int64_t axis, int rank, int *fixed);
/* axes of that name as a bit mask of fixed axes; `absent_all`: all when absent or
 * empty.  false when not known or out of range. */
bool get_axes(Model *m, const Node *n, const char *name, int rank, bool absent_all,
              uint64_t *mask);

/* ---- inference --------------------------------------------------------------------- */

void set_type(Model *m, Node *n, int out, DType dtype, const Shape *s);
void set_unranked(Model *m, Node *n, int out, DType dtype);
/* rank known, every dimension a fresh symbol of the output */
void set_rank(Model *m, Node *n, int out, DType dtype, int rank);
/* A fresh symbol for one dimension of output `out`. */
Dim fresh_dim(Model *m, Node *n, int out, int axis);
/* The unknown ones of get_sizes become dimensions of output 0, from axis `first` on. */
void fresh_sizes(Model *m, Node *n, Shape *s, uint64_t unknown, int first);
/* The same for a size that data decide, unless the user has bounded it. */
Dim data_dim(Model *m, Node *n, int out, int axis);
/* As data_dim, for a size that the value of an input decides: a number of Python's where
 * that is one, so that the node need not run without jit. */
Dim value_dim(Model *m, Node *n, int out, int axis);
/* As fresh_sizes, where the user may have bounded the only size that is not known. */
void value_sizes(Model *m, Node *n, Shape *s, uint64_t unknown, int first);
/* numpy broadcasting of s and t into s; a dimension that cannot be decided is fresh for
 * output 0.  Reports OX0401 when they do not fit. */
bool broadcast_shape(Model *m, Node *n, Shape *s, const Shape *t);
/* The node takes input i with this rank only: where inference does not know the rank of a
 * value of this graph, it does from here on. */
void demand_rank(Model *m, const Node *n, int i, int rank);
/* false, after reporting OX0401, when input i does not broadcast to s itself. */
bool broadcast_onto(Model *m, Node *n, int i, const Shape *s);
/* The shape that all inputs broadcast to; rank -1 when one has none.  false as above. */
bool broadcast_inputs(Model *m, Node *n, Shape *s);
/* Reports OX0401 unless the inputs from the first-th on have one type. */
bool same_types(Model *m, const Node *n, int first);
void node_error(Model *m, const Node *n, DiagCode code, const char *hint,
                const char *fmt, ...) OX_PRINTF(5, 6);
/* Reports what only a slip in the row or code of an operator can cause, such as a name
 * that is not declared, unless the model has an error, from which it may follow. */
void node_defect(const Node *n, const char *fmt, ...) OX_PRINTF(2, 3);
/* Stock rules. */
void infer_same(Model *m, Node *n);           /* output 0 as input 0 */
void infer_broadcast(Model *m, Node *n);      /* dtype of input 0 */
void infer_broadcast_bool(Model *m, Node *n); /* comparisons */
/* Infers a subgraph of a node, after its rule has set the types of the graph's inputs
 * (engine.c). */
void infer_subgraph(Model *m, Graph *g);
/* The same with its messages apart; false when some node in g cannot run, whatever the
 * numbers, because shapes or types do not fit (OX0401), and nothing else is wrong. */
bool infer_apart(Model *m, Graph *g, Diags *found);
/* The nodes behind n, in its graph, can run with the types that its outputs have now, in
 * the same sense: tries them, and leaves what they make to be inferred again. */
bool infer_fits(Model *m, const Node *n);

/* ---- evaluation -------------------------------------------------------------------- */

/* Known elements of input i; NULL when not known or absent. */
const Known *in_known(const Node *n, int i);
/* All elements of input i are known to be zero: a bias that adds nothing. */
bool in_is_zero(const Node *n, int i);
void set_known(Node *n, int out, const Known *k);
/* All elements of output `out` equal this one; for results of any size. */
void set_splat(Node *n, int out, const Known *one);
/* x is a value of the integer or bool type; evaluation never wraps around. */
bool int_fits(DType dtype, int64_t x);
typedef bool (*EvalInt)(Model *m, const Dim *args, Dim *result);
typedef bool (*EvalFloat)(const double *args, double *result);
/* Element by element with broadcasting over up to 3 inputs of one type; a NULL function
 * or a false result leaves the output unknown. */
void eval_elementwise(Model *m, Node *n, EvalInt ints, EvalFloat floats);
/* Output elements are input elements picked by index: fills from map[i] (an element
 * index of input 0), count entries. */
void eval_pick(Model *m, Node *n, int in, int out, const size_t *map, size_t count);

/* ---- emission: services of code generation (implemented in emit/emit.c) ---------- */

Arena *emit_arena(Emit *e);
Model *emit_model(Emit *e);
Node *emit_node(Emit *e);
/* Input i as an array expression: a name, or a whole expression where it is used once.
 * NULL when absent. */
const Expr *emit_in(Emit *e, int i);
/* The same with axes of size 1 in front, `rank` axes in all, where the module is to run
 * under jax_numpy_rank_promotion=raise: for what JAX broadcasts.  A scalar stays as it is,
 * and so does all of a rank that is not known.  Inputs of OP_BROADCAST and of
 * OpDef.lifted come so anyway. */
const Expr *emit_in_lifted(Emit *e, int i, int rank);
/* x, an array with `from` axes, as emit_in_lifted would have it. */
const Expr *emit_lift(Emit *e, const Expr *x, int from, int rank);
/* emit_in_lifted whatever the module runs under: for functions that count axes. */
const Expr *emit_in_of_rank(Emit *e, int i, int rank);
/* The same, but always a name or another atom: for arguments that are used twice. */
const Expr *emit_in_named(Emit *e, int i);
/* The same in the form that the row's `form` names, "kernel" for example: of a parameter
 * kernel(params, "w"), which looks for what prepare has made of it, and as_kernel(x) of any
 * other array. */
const Expr *emit_in_form(Emit *e, int i);
/* Input i as an operand of a broadcasting operator: a Python scalar where that keeps
 * the result's type and shape. */
const Expr *emit_operand(Emit *e, int i);
/* By spec name: an attribute or input as Python ints (an int for rank 0 and INT
 * attributes, a tuple otherwise).  An input that is not known at compile time becomes
 * tuple(name.tolist()) and turns jit off, with a reason in the file. NULL when absent. */
const Expr *emit_ints(Emit *e, const char *name);
/* A known input as Python numbers: one, or nested lists. */
const Expr *emit_plain(Emit *e, int i);
/* The same where ONNX wants a list: always a tuple, also for a scalar, which some tools
 * write for a list of one. */
const Expr *emit_list(Emit *e, const char *name);
/* A dimension as Python int expression. */
const Expr *emit_dim(Emit *e, Dim d);
/* The size of an axis of output 0, a reshape of input 0: a name where attention has
 * one. */
const Expr *emit_reshaped_size(Emit *e, int axis);
/* Input i as a Python number; only where value_is_number of ops/core/nested.h says so. */
const Expr *emit_number(Emit *e, int i);
/* The type's shape as a tuple; reports OX0403 when unranked. */
const Expr *emit_shape(Emit *e, const Value *v);
const Expr *emit_dtype(Emit *e, DType dtype);
/* The type of input i when the code runs: x.dtype where the file does not fix it. */
const Expr *emit_dtype_of(Emit *e, int i);
/* A tensor that the node itself holds, such as the weights in an attribute: a parameter
 * whose key is the name of the node, a dot, and `name`.  `may_inline`: a small one becomes
 * a literal, as if a Constant node had made it. */
const Expr *emit_tensor(Emit *e, const char *name, const Tensor *t, bool may_inline);
/* A float literal in the precision of `dtype`. */
const Expr *emit_float(Emit *e, double value, DType dtype);
/* The inputs are Python numbers, and so is the output: see OP_ON_INTS. */
bool emit_as_number(const Emit *e);
/* Sets output k.  Several outputs of one call: emit_outs with the call. */
void emit_out(Emit *e, int k, const Expr *x);
void emit_outs(Emit *e, const Expr *tuple);
/* true when output k is read by somebody. */
bool emit_wants(Emit *e, int k);
/* Reports that this form cannot be compiled (usually OX0302), with a hint. */
void emit_fail(Emit *e, DiagCode code, const char *hint, const char *fmt, ...)
    OX_PRINTF(4, 5);
/* The size that a bounded output is padded to; NULL: there is no bound. */
const Expr *emit_bound(Emit *e);
/* Turns jit off; `why` completes "node ... " in a comment of the file. */
void emit_not_jittable(Emit *e, const char *why);
/* A parameter or result of a local function: consecutive inputs or outputs of its
 * graph.  One is passed as it is (unless `tuple`), several as a tuple, none as None. */
typedef struct EmitPart {
    int first, count;
    const char *hint; /* name of the parameter; NULL: the input's own */
    bool tuple;
    bool index; /* the parameter numbers the iterations of a loop */
} EmitPart;
/* Defines a local function for a subgraph of this node and returns its name, made from
 * `hint`, or a lambda when that is short.  `traced`: JAX runs it, so that no node in it
 * may need numbers at run time.  Call it once for each graph; inputs that are part of no
 * parameter must be known. */
const Expr *emit_function(Emit *e, const Graph *graph, const char *hint, bool traced,
                          const EmitPart *in, size_t n_in, const EmitPart *out,
                          size_t n_out);
/* The same with a parameter for each input; it returns the outputs, a tuple when there
 * are several. */
const Expr *emit_subgraph(Emit *e, const Graph *graph, const char *hint, bool traced);
/* Several outputs of one call that come in groups: counts[i] of them each, as in
 * (a, b), c = call.  A count of 0 is a result that nobody wants. */
void emit_groups(Emit *e, const Expr *call, const int *counts, size_t n);
/* Assigns x to a new variable and returns its name. */
const Expr *emit_let(Emit *e, const char *hint, const Expr *x);
/* Assigns the two results of x to new variables, and gives their names; one without a
 * hint is not wanted, and NULL. */
void emit_let_pair(Emit *e, const char *const hints[2], const Expr *x,
                   const Expr *out[2]);
/* The call with name=value at its end.  Without it where value is NULL, and where it is the
 * default of the helper that is called: that is written in src/python/lib alone. */
const Expr *call_with(Emit *e, const Expr *call, const char *name, const Expr *value);
/* The same of a float32: its digits are made only where they are written. */
const Expr *call_with_float(Emit *e, const Expr *call, const char *name, double value);
/* Without such arguments; x itself where it has none, or is no call of a helper. */
const Expr *call_without_defaults(Arena *a, const Expr *x);
/* What a random operator draws from: a part of forward's keyword `key`. */
const Expr *emit_key(Emit *e);
/* Expands a template in this node's scope ($inputs, $attributes, $out.*).  Where it calls a
 * helper, arguments by name that are its defaults are left out. */
const Expr *emit_template(Emit *e, const char *text);

#endif
