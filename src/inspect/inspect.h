/* Describes a loaded and inferred model: a table for people, JSON for programs. */
#ifndef OX_INSPECT_INSPECT_H
#define OX_INSPECT_INSPECT_H

#include "ops/op.h"

/* Fields as in docs/architecture.md, "inspect"; format OX_ASCII or OX_JSON. */
void inspect_print(Model *m, OxFormat format, Text *out);

#endif
