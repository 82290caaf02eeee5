/* Work of operators: how many products of two elements they add up, as profilers count it
 * (a convolution and a matrix product have work, what goes element by element has none).
 * Rules for OpDef.macs; each gives false where a shape that it needs is not known. */
#ifndef OX_OPS_CORE_MACS_H
#define OX_OPS_CORE_MACS_H

#include "ops/core/op.h"

/* Of matrices, the first two inputs: one product for each element of the output and each
 * entry of the axis that is summed over: A's last, or the last but one by `transA`. */
bool macs_product(Model *m, Node *n, Dim *count);
/* Of a window "X W" (or "x w") with its kernels (M, C / group, ...): each element of
 * output 0 takes one of each kernel. */
bool macs_conv(Model *m, Node *n, Dim *count);
/* Each element of the input X adds to one window of the output: kernels (C, M / group, ...). */
bool macs_conv_transpose(Model *m, Node *n, Dim *count);
/* "X W R": each step of each sequence of the batch takes all of W and R. */
bool macs_recurrent(Model *m, Node *n, Dim *count);
/* "Q K V" and "past_key": queries times keys and weights times values, over all keys,
 * also those that a mask hides. */
bool macs_attention(Model *m, Node *n, Dim *count);
/* The same of "query key value" as com.microsoft has them; without a key the three lie
 * side by side in the query. */
bool macs_multi_head(Model *m, Node *n, Dim *count);

/* The body of a Loop as often as it runs, or may run at most; once where M sets no limit. */
bool macs_loop(Model *m, Node *n, Dim *count);

/* What all graphs inside n do, once each. */
bool macs_of_graphs(Model *m, const Node *n, Dim *count);
/* What the registry says of n; without a rule, the graphs inside it.  0 where it has no
 * work; false where its rule cannot tell. */
bool node_macs(Model *m, Node *n, Dim *count);

#endif
