/* What a file is that is no ONNX model, and what to do with it. */
#ifndef OX_ONNX_GUESS_H
#define OX_ONNX_GUESS_H

#include "support/source.h"

/* A hint for a person who gave this file in place of a model, by its first bytes and,
 * for archives, the names at its end; empty when nothing is known about it. */
Str guess_hint(Arena *arena, Source *file);

#endif
