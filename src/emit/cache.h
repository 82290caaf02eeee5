/* The cache of a decoder, between cache.c and what generates forward. */
#ifndef OX_EMIT_CACHE_H
#define OX_EMIT_CACHE_H

#include "emit/gen.h"

/* Finds the cache that the metadata of the file tells of. */
void gen_read_cache(Gen *g);
/* Where v is in the cache, as an input or as an output; NULL: nowhere. */
const CachePlace *gen_cache_past(const Gen *g, const Value *v);
const CachePlace *gen_cache_next(const Gen *g, const Value *v);
/* Whether output i of the graph is part of the cache. */
bool gen_is_cache_output(const Gen *g, size_t i);
/* Gives the inputs their code in forward: key_cache[0]. */
void gen_bind_cache(Gen *g);
/* key_cache[index] */
const Expr *gen_cache_item(Gen *g, size_t field, const Expr *index);
/* What v, an output of the cache, is assigned to in forward; NULL: a name of its own. */
const Expr *gen_cache_target(Gen *g, const Value *v);
/* The name of the argument that v takes the place of in a layer's function; or empty. */
Str gen_cache_name(const Gen *g, const Value *v);
/* key_cache = list(cache["key"]), at the top of forward. */
void gen_unpack_cache(Gen *g, Stmts *list);
/* {"key": key_cache, "value": value_cache} */
const Expr *gen_cache_result(Gen *g);
/* dict[str, list[jax.Array]] */
const Expr *gen_cache_annotation(Gen *g);
/* Adds init_cache to the program. */
void gen_add_init_cache(Gen *g);
/* The lines about it in the docstring, as an input or `after` forward. */
void gen_describe_cache(const Gen *g, Text *t, bool after);
/* What layers give to the cache comes behind what else they give. */
void gen_order_outputs(Gen *g);

#endif
