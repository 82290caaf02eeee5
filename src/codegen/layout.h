/* Lays expressions out as documents, the way ruff's formatter does. */
#ifndef OX_CODEGEN_LAYOUT_H
#define OX_CODEGEN_LAYOUT_H

#include "codegen/doc.h"
#include "codegen/pytree.h"

/* e after `target =` or `return` */
void layout_value(Doc *d, const Py *e);
/* `a, b = e` */
void layout_unpack(Doc *d, const Str *targets, size_t n, const Py *e);
/* e as a statement */
void layout_statement(Doc *d, const Py *e);
/* `(a, b)` of a def */
void layout_params(Doc *d, const Str *params, size_t n);

#endif
