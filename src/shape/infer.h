/* Shape, type and value inference over a whole model: calls each operator's rule in
 * topological order, subgraphs included, and tracks the elements of small tensors
 * through the operators' evaluators, so that shape arithmetic ends as Dims. */
#ifndef OX_SHAPE_INFER_H
#define OX_SHAPE_INFER_H

#include "ops/op.h"

/* (Re)infers every value.  Errors go to m->diags.  Idempotent after rewrites. */
void infer_model(Model *m);
/* Infers the outputs of one node made or changed by a pass. */
void infer_node(Model *m, Node *n);
/* Replaces the shape of a graph input before inference ("x=8,3,h,w"): integers, names of
 * symbols, or ? for a fresh one.  Reports OX0003 when name or rank is wrong. */
void infer_override_input(Model *m, Str spec);
/* Bounds the size of a value that depends on data, before inference ("indices=100").
 * Reports OX0003 when there is no such value; inference does when it has no such size. */
void infer_bound_value(Model *m, Str spec);
/* Reports OX0003 for v, which has a bound that means nothing. */
void infer_bound_error(Model *m, Str where, const Value *v);
/* Does so for parameters and literals. */
void infer_check_bounds(Model *m);

#endif
