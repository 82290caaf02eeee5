/* Tree ensembles as arrays over the nodes of all trees, from the lists of either
 * encoding: by tree and node id up to ai.onnx.ml 3, by position in TreeEnsemble. */
#ifndef OX_OPS_ML_FOREST_H
#define OX_OPS_ML_FOREST_H

#include "ops/ml/ml.h"

/* In the numbering of TreeEnsemble. */
typedef enum TreeMode {
    TREE_LEQ,
    TREE_LT,
    TREE_GTE,
    TREE_GT,
    TREE_EQ,
    TREE_NEQ,
    TREE_MEMBER,
    TREE_LEAF, /* up to ai.onnx.ml 3 leaves are nodes */
} TreeMode;

typedef struct Vote {
    int32_t leaf;
    int64_t target;
    double weight;
} Vote;

/* A child or root is the index of a node, or ~i for leaf i. */
typedef struct Forest {
    size_t trees, nodes, leaves;
    int32_t *roots;     /* trees */
    int32_t *features;  /* nodes */
    int32_t *children;  /* nodes x 2: where the test is false, where it is true */
    uint8_t *modes;     /* nodes */
    uint8_t *missing;   /* nodes; 1: NaN goes where the test is true */
    double *thresholds; /* nodes */
    int depth;          /* tests on the longest way to a leaf */
    Vote *votes;        /* in the order of the file */
    size_t n_votes;
    int64_t targets;       /* one more than the largest of a vote */
    const Tensor *members; /* sets of TREE_MEMBER in order, each ended by NaN */
    DType threshold_dtype, weight_dtype; /* float32 or float64 */
} Forest;

/* Reads the attributes of n; returns what is wrong with them, or NULL. */
const char *forest_read(Arena *a, const Node *n, Forest *f);

/* Elements as a parameter: a vector, or a matrix where there are columns. */
const Expr *forest_array(Emit *e, const char *name, DType dtype, const void *data,
                         int64_t rows, int64_t columns);
/* The same for doubles that are stored as dtype, float32 or float64. */
const Expr *forest_floats(Emit *e, const char *name, DType dtype, const double *data,
                          size_t rows, size_t columns);
/* The leaf of each row of X in each tree; NULL after an error. */
const Expr *forest_leaves(Emit *e, Forest *f);

#endif
