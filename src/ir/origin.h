/* Where a node comes from: the call of a module in the program that was exported. */
#ifndef OX_IR_ORIGIN_H
#define OX_IR_ORIGIN_H

#include "support/base.h"

typedef enum OriginKind {
    ORIGIN_NAME,    /* the node's name has slashes in it, which may mean modules */
    ORIGIN_TRACED,  /* PyTorch's tracing exporter: "/encoder/layer.0/query/MatMul" */
    ORIGIN_PROGRAM, /* torch.export: metadata, with the classes */
} OriginKind;

/* One for each module and call path: nodes of one module share it. */
typedef struct Origin {
    OriginKind kind;
    Str path; /* "encoder.layer.0.query"; "" for the model itself */
    Str leaf; /* what its name adds to that of the module around, where a container that
                  is called repeats its path: "blocks.0" in /blocks/blocks.0 */
    Str class; /* "torch.nn.modules.linear.Linear"; "" where the file does not say */
    const struct Origin *around; /* the module that calls it; NULL: none is known */
} Origin;

#endif
