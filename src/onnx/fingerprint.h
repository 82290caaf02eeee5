/* A short digest that names the graph a generated file came from. */
#ifndef OX_ONNX_FINGERPRINT_H
#define OX_ONNX_FINGERPRINT_H

#include "onnx/onnx.h"

enum { FINGERPRINT_DIGITS = 16, FINGERPRINT_BIG = 256 };

/* The first 16 hex digits of the SHA-256 of the serialized model, which is read piece by
 * piece, leaving out
 *   - the data of main-graph initializers of FINGERPRINT_BIG bytes or more that lie in
 *     the file as they are (raw_data, packed float_data): a model trained further has
 *     the same graph, and hashing its weights would take longer than compiling it;
 *   - metadata_props of main-graph nodes: exporters put stack traces with the paths of
 *     their machine there.
 * Empty when memory was refused. */
Str model_fingerprint(Arena *arena, const PbModel *model);

#endif
