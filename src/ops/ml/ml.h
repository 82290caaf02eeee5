/* What the operators of ai.onnx.ml share.  Their weights are attributes: lists of floats
 * that become parameters named after the node, "Scaler.offset".
 * Where the text of the specification is silent, onnxruntime decides. */
#ifndef OX_OPS_ML_ML_H
#define OX_OPS_ML_ML_H

#include "ops/core/op.h"

/* A list of numbers: FLOATS `name`, or TENSOR `name_as_tensor`.  n is 0 when absent. */
typedef struct MlFloats {
    size_t n;
    DType dtype;
    const float *floats;  /* of an attribute FLOATS */
    const Tensor *tensor; /* else */
} MlFloats;

MlFloats ml_floats(const Node *n, const char *name);
double ml_float_at(const MlFloats *f, size_t i);

/* The classes that a classifier tells apart: numbers or texts. */
typedef struct MlClasses {
    size_t n;
    const int64_t *ints;
    const Str *strings; /* NULL when they are numbers */
} MlClasses;

MlClasses ml_classes(const Node *n);

typedef enum MlPost {
    POST_NONE,
    POST_SOFTMAX,
    POST_LOGISTIC,
    POST_SOFTMAX_ZERO,
    POST_PROBIT,
    POST_UNKNOWN,
} MlPost;

/* post_transform, which is a text or, in TreeEnsemble, its number. */
MlPost ml_post(const Node *n);

/* ---- inference --------------------------------------------------------------------- */

/* (N, columns) from X (N, F), where a vector X is one row. */
void ml_set_matrix(Model *m, Node *n, int out, DType dtype, Dim columns);
/* Labels (N) and scores (N, columns) of a classifier. */
void ml_set_classifier(Model *m, Node *n, size_t columns);
/* The columns of output `out` belong to the classes: a remark in the docstring. */
void ml_note_columns(Model *m, Node *n, int out);

/* ---- emission ---------------------------------------------------------------------- */

/* X as a matrix of floats, always an atom; NULL after reporting an error. */
const Expr *ml_matrix(Emit *e);
/* A tensor over elements that live in the arena. */
const Tensor *ml_tensor(Emit *e, DType dtype, const void *data, int rank,
                        const int64_t *dims);
/* The numbers as a parameter: a matrix of so many rows, or a vector for 0.  NULL when
 * there are none, or after reporting that they do not fit. */
const Expr *ml_weights(Emit *e, const char *name, size_t rows);
/* The same in the type of X, where that is double. */
const Expr *ml_operand(Emit *e, const char *name, size_t rows);
/* The transform on scores (N, columns); NULL after reporting one that is not known. */
const Expr *ml_transformed(Emit *e, const Expr *scores, MlPost post);
/* x in the type float32 of the outputs. */
const Expr *ml_float32(Emit *e, const Expr *x);
/* Reports labels that are strings, where they are read; false then. */
bool ml_labels_fit(Emit *e);
/* The label at a class index. */
const Expr *ml_label_at(Emit *e, const Expr *index);
/* The label of class 1 where the condition holds, else that of class 0. */
const Expr *ml_label_where(Emit *e, const Expr *condition);
/* x, under a name where several outputs need it. */
const Expr *ml_shared(Emit *e, const char *hint, const Expr *x);

#endif
