/* Lays expressions out as documents, the way ruff's formatter does. */
#ifndef OX_PYTHON_LINE_LAYOUT_H
#define OX_PYTHON_LINE_LAYOUT_H

#include "code/program.h"
#include "python/doc.h"
#include "python/pytree.h"

/* e after `target =` or `return` */
void layout_value(Doc *d, const Py *e);
/* `a, b = e` */
void layout_unpack(Doc *d, const Py *targets, const Py *e);
/* e as a statement */
void layout_statement(Doc *d, const Py *e);
/* e in front of `=`, in `for e in`, behind `as` */
void layout_target(Doc *d, const Py *e);
/* `(a, b=1)` of a def */
void layout_params(Doc *d, const Def *def);

#endif
