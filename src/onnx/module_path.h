/* Reads where the nodes of an ONNX file come from.  PyTorch's tracing exporter writes the
 * modules into the names of nodes ("/encoder/layer.0/attention/self/query/MatMul"),
 * torch.export into their metadata (pkg.torch.onnx.name_scopes and class_hierarchy). */
#ifndef OX_ONNX_MODULE_PATH_H
#define OX_ONNX_MODULE_PATH_H

#include "ir/origin.h"
#include "onnx/onnx.h"

typedef struct Origins {
    Arena *arena;
    const PbModel *model;
    Map said;   /* what a node says, but for itself -> Origin */
    Map places; /* the module around and a leaf -> Origin */
} Origins;

typedef struct Provenance {
    const Origin *origin; /* NULL: the node does not say */
    bool folds_norm;      /* the exporter has folded a normalization into its weights */
} Provenance;

/* `name` is the node's in the model: it has the calls of functions in front. */
Provenance origin_of(Origins *o, const PbNode *node, Str name);

#endif
