/* Types that cross a boundary: into and out of a subgraph, a sequence or an optional.
 * A dimension names the value whose shape it is read from, and that value may lie on the
 * other side, where the code at hand cannot reach it. */
#ifndef OX_OPS_CORE_NESTED_H
#define OX_OPS_CORE_NESTED_H

#include "ops/core/op.h"

/* The rank of what a sequence holds that nothing has been put into so far. */
enum { RANK_EMPTY = -2 };

/* t as the type of v: a dimension that code beside v cannot read becomes a symbol of
 * v's.  In the elements of a sequence such a symbol only says "unknown". */
Type type_moved(Model *m, const Type *t, Value *v);
/* Makes v's type general enough to hold t, too; true when it has changed. */
bool type_widen(Model *m, Value *v, const Type *t);
/* Provably the same type, all dimensions included. */
bool type_same(const Type *a, const Type *b);
/* Gives output `out` the moved type. */
void set_moved(Model *m, Node *n, int out, const Type *t);
/* The output becomes a sequence or optional of elements of this type. */
void set_container(Model *m, Node *n, int out, TypeKind kind, const Type *elem);
/* What a sequence or optional holds; an unknown tensor when that is not known. */
Type type_elem(const Type *t);

/* v is a single number or boolean that follows from shapes: Python knows it while JAX
 * traces. */
bool value_is_number(const Value *v);
/* s is an int that Python computes from sizes, whatever the array that its value is. */
bool symbol_is_computed(const Symbol *s);
/* A new node of g that gives `to` the elements of `from` in its own type; for its place
 * in the file it is taken for `like`.  The caller puts it among the nodes. */
Node *cast_node(Model *m, Graph *g, const Node *like, Value *from, Value *to);
/* The graph of an attribute; NULL when there is none. */
Graph *attr_graph(const Node *n, const char *name);
/* The code of some node in g, or deeper, needs numbers that are only known at run time,
 * so that JAX cannot trace it. */
bool graph_needs_numbers(const Graph *g);
/* What some node in g, or deeper, does fails for the shapes of some inputs. */
bool graph_may_refuse(const Graph *g);
/* A random operator is in g or deeper. */
bool graph_is_random(const Graph *g);
/* Number of graphs around this one. */
int graph_depth(const Graph *g);

#endif
