/* Diagnostics: one sticky list per compiler.  A message has a code, what happened,
 * where in the model, and a hint.  Code that has reported an error keeps going as it
 * likes; its result is not used, since the driver checks diag_status after each stage.
 *
 *     error[OX0301]: Resize mode "cubic" is not supported
 *       --> model.onnx: node #412 "/up2/Resize" (Resize, ai.onnx 17)  X float32[b,64]
 *       help: re-export with mode="linear" */
#ifndef OX_SUPPORT_DIAG_H
#define OX_SUPPORT_DIAG_H

#include "support/arena.h"

typedef enum DiagCode {
#define X(code, status, severity, title, text) code,
#include "support/diag.def"
#undef X
    DIAG_CODE_COUNT
} DiagCode;

typedef struct Diag {
    DiagCode code;
    Str what;  /* one sentence without a full stop */
    Str where; /* node or tensor, with types; may be empty */
    Str hint;  /* what the user can do; may be empty */
} Diag;

typedef struct Diags {
    Arena *arena;
    Str file; /* the model's name, for "where" */
    Diag *items;
    size_t count, cap;
    OxStatus status; /* of the first error; OX_OK while there are only warnings */
    size_t dropped;  /* messages past DIAG_MAX */
} Diags;

enum { DIAG_MAX = 100 };

/* Adds a message; `where` and `hint` are borrowed and must live as long as the arena.
 * The format gives `what`.  Text from the model may hold any bytes: it is escaped when
 * printed. */
void diag_add(Diags *d, DiagCode code, Str where, Str hint, const char *fmt, ...)
    OX_PRINTF(5, 6);

/* Adds all messages of another list. */
void diag_take(Diags *d, const Diags *from);

/* false for warnings. */
bool diag_is_error(DiagCode code);

/* OX_ERR_MEMORY once the arena has failed, else the status of the first error. */
OxStatus diag_status(const Diags *d);

/* All messages in the grammar above. */
void diag_print(const Diags *d, bool color, Text *out);

/* Appends text of any origin with the bytes that a terminal would act on escaped. */
void diag_escape(Text *out, Str s);

/* Markdown of the whole table: docs/errors.md. */
void diag_doc(Text *out);

#endif
