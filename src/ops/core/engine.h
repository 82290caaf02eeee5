/* Shape, type and value inference over a whole model: calls each operator's rule in
 * topological order, subgraphs included, and tracks the elements of small tensors
 * through the operators' evaluators, so that shape arithmetic ends as Dims. */
#ifndef OX_OPS_CORE_ENGINE_H
#define OX_OPS_CORE_ENGINE_H

#include "ops/core/op.h"

/* (Re)infers every value.  Errors go to m->diags.  Idempotent after rewrites. */
void infer_model(Model *m);
/* Infers the outputs of one node made or changed by a pass. */
void infer_node(Model *m, Node *n);
/* Reports OX0003 for v, which has a bound that means nothing. */
void infer_bound_error(Model *m, Str where, const Value *v);
/* Does so for parameters and literals. */
void infer_check_bounds(Model *m);

#endif
