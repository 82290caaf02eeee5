/* Sliding windows over the spatial axes of (N, C, ...): what Conv, ConvTranspose and the
 * pools share.  Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode,
 * whichever the operator has, and derives output sizes and padding.
 * Source: ONNX operators Conv and MaxPool; onnxruntime where the text is silent. */
#ifndef OX_OPS_ONNX_WINDOW_H
#define OX_OPS_ONNX_WINDOW_H

#include "ops/core/op.h"

typedef enum PadMode {
    PAD_EXPLICIT,
    PAD_VALID,
    PAD_SAME_UPPER,
    PAD_SAME_LOWER
} PadMode;

typedef struct Window {
    int n; /* spatial axes; arrays below have n entries */
    PadMode mode;
    bool ceil;
    int64_t stride[OX_MAX_RANK], dilation[OX_MAX_RANK];
    Dim in[OX_MAX_RANK], kernel[OX_MAX_RANK];
    Dim extent[OX_MAX_RANK]; /* of the dilated kernel */
    Dim lo[OX_MAX_RANK], hi[OX_MAX_RANK];
    Dim asked[OX_MAX_RANK]; /* hi without what ceil_mode adds */
    Dim out[OX_MAX_RANK];
} Window;

/* Reads the attributes; the kernel's size comes from kernel_shape or else from input 1.
 * lo and hi are the explicit pads, zeros without.  false when the rank of X or W is not
 * known, or after reporting OX0303 or OX0401. */
bool window_read(Model *m, const Node *n, Window *w);
/* Resolves auto_pad and ceil_mode for windows that slide over the input: sets out, and
 * lo, hi and asked such that the last window ends inside the padding.  false after
 * reporting OX0401. */
bool window_slide(Model *m, const Node *n, Window *w);
/* The elements of a window are not all neighbours. */
bool window_is_dilated(const Window *w);
/* X (N, C, ...) as an output type: N, channels, out. */
void window_shape(const Node *n, const Window *w, Dim channels, Shape *s);

/* A node whose arrays have channels last, as one that has them second: for the rules
 * that read (N, C, ...).  Its outputs are those of the node itself. */
typedef struct ChannelsView {
    Node node;
    Value in[2];
    Value *ins[3];
} ChannelsView;

/* Views the first `count` inputs so; false when the rank of one is not known. */
bool channels_view(Model *m, const Node *n, int count, ChannelsView *view);
/* Output 0 has been given the type with channels second; unranked where it has none. */
void channels_last_type(Model *m, Node *n);

/* One size for each spatial axis as an int where all agree, else a tuple. */
const Expr *window_ints(Emit *e, const int64_t *v, int n);
const Expr *window_kernel(Emit *e, const Window *w);
/* Padding as an int, or a (low, high) pair for each axis. */
const Expr *window_padding(Emit *e, const Dim *lo, const Dim *hi, int n);
/* The pairs, also where an int would do. */
const Expr *window_pairs(Emit *e, const Dim *lo, const Dim *hi, int n);
/* Pairs for all axes of X, as jnp.pad wants them. */
const Expr *window_pad_width(Emit *e, const Dim *lo, const Dim *hi, int n);
bool window_is_padded(const Window *w);

#endif
