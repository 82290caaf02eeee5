/* The passes, in the order of pipeline.c.  Each keeps the rules that graph_verify
 * checks, and reports through m->diags. */
#ifndef OX_PASSES_PASSES_H
#define OX_PASSES_PASSES_H

#include "ops/core/engine.h"

/* Branches that are known to be taken become part of the graph around them. */
void pass_branches(Model *m);
/* Parameters get the names that they have in PyTorch's state_dict. */
void pass_params(Model *m);
/* Nodes whose elements are all known and few become literals. */
void pass_fold(Model *m);
/* Nodes that return their input are bypassed. */
void pass_simplify(Model *m);
/* Equal pure nodes are merged. */
void pass_cse(Model *m);
/* Nodes that nobody reads are dropped, and parameters with them. */
void pass_dce(Model *m);
/* Recurrences that the exporter has written out step by step become Scan. */
void pass_recurrences(Model *m);
/* LSTM and GRU of PyTorch take its parameters as they are. */
void pass_rnn_layers(Model *m);
/* Finds repeated modules: see blocks.h. */
void pass_blocks(Model *m);

/* Parameters get the axes along which a mesh shards them: see roles.c. */
void pass_roles(Model *m);

/* Subgraphs that one operator computes become that operator. */
void pass_fuse(Model *m);
/* The same with the patterns that match a part of others. */
void pass_fuse_late(Model *m);

/* Transposes that undo each other meet, where elementwise nodes stand between them. */
void pass_transposes(Model *m);
void pass_views(Model *m);

/* Literals that XLA would compute with wrongly become parameters. */
void pass_weights(Model *m);

/* Warns of integers that JAX's default mode cannot hold. */
void pass_wide(Model *m);
/* Values whose type at run time is that of the parameters get marked. */
void pass_follow(Model *m);

/* Values have the types that their nodes give them, as far as both are known; false (with
 * a message in *why) when one does not.  For debug builds: it takes as long as inference. */
bool types_verify(Model *m, const char **why);

/* v, whose elements are known, needs no node any more. */
void make_literal(Model *m, Graph *g, Value *v);
/* Symbols may say that they are read from an axis of v, or of what is in it: v must not
 * vanish or change its axes. */
bool is_read_for_size(const Value *v);
/* A new literal of g: a list of integers.  NULL when memory is refused. */
Value *ints_literal(Model *m, Graph *g, const int64_t *v, size_t n);
/* Redirects every reader of a value that has an alias, over the whole model. */
void replace_values(Model *m);

#endif
