/* Whether a model that was exported for one row, a batch of 1, computes each row of a
 * larger batch as it would have computed that one. */
#ifndef OX_PASSES_SIZES_ROWS_H
#define OX_PASSES_SIZES_ROWS_H

#include "passes/sizes/sizes.h"

/* What an override makes of a size of 1 in the file. */
typedef enum RowSize {
    ROWS_GIVEN, /* what the override says */
    ROWS_STAY,  /* it stays 1 */
    ROWS_NAMED, /* a symbol, also for a number */
    ROWS_PROBE, /* a number, also for a symbol */
} RowSize;

#define ROWS_HINT                                                                      \
    STR("export the model with this dimension dynamic: dynamic_shapes= of "            \
        "torch.onnx.export, --dynamic of bridge/fx_export.py")

/* Compares the two models, inferred with sizes of 1 and with symbols in their place, and
 * reports to m (OX0405) the first node that does not keep the rows apart.  True when
 * there is none. */
bool rows_check(Model *m, const Model *baked, const Model *named);

#endif
