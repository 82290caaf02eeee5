/* The signature of a program that torch.export made, which the dynamo exporter writes
 * into the graph's metadata: one line for each input, "p_fc_weight: PARAMETER
 * target='fc.weight'".  Initializers under other names were computed by the exporter. */
#ifndef OX_ONNX_SIGNATURE_H
#define OX_ONNX_SIGNATURE_H

#include "ir/ir.h"
#include "onnx/onnx.h"

typedef struct Signature {
    Map targets; /* names of parameters, buffers and constants; empty: no signature */
} Signature;

/* Strings are those of the model; `targets` lives in the arena. */
Signature signature_of(Arena *arena, const PbGraph *graph);
/* The name of the next parameter in the text of a signature, with its kind ("PARAMETER",
 * "BUFFER"), and advances the text; empty at the end. */
Str signature_next(Str *text, Str *kind);
/* Fills m->program with what the signature lists, m->state with that or with what the
 * bridge has written (`oxide_xla.state`, bridge/fx_state.py), and what goes with them. */
void state_names(Model *m, const PbModel *pb);
/* The exporter has computed the initializer of this name. */
bool signature_lacks(const Signature *s, Str name);
/* The name that torch.fx gives to what a creation operator makes (zeros, full_2,
 * scalar_tensor_default): a constant in which no weight is. */
bool signature_is_created(Str name);

#endif
