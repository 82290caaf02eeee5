/* What follows a value that --bound pads must not see the padding. */
#ifndef OX_PASSES_SIZES_PADDING_H
#define OX_PASSES_SIZES_PADDING_H

#include "passes/sizes/sizes.h"

/* Makes the nodes of m, which has bounds, ignore the padding of what they read: puts nodes
 * in that fill it with what they do not see, and that count.  `open` is the same model
 * without bounds, inferred; m is bound to the registry, its values are not inferred yet.
 * Reports (OX0415) the first node that would see padding. */
void padding_hide(Model *m, Model *open);

#endif
