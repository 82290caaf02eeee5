/* What is known of the PyTorch module's tensors, beside the graph: see state.c. */
#ifndef OX_PASSES_STATE_H
#define OX_PASSES_STATE_H

#include "passes/passes.h"

typedef struct State {
    Model *m;
    Map params; /* name -> Value: the parameters of the file */
    Map kinds;  /* name -> StateName */
    Str old_key, new_key;
} State;

/* The name of a parameter in the state_dict, as far as it is known; else its own. */
Str state_key(const Value *v);
/* Names of one tied parameter become names of one value, whose key is
 * the name that checkpoints keep. */
void state_read(State *s, Model *m);
/* When parameters have their keys: says which are not trained, and which no state_dict
 * has.  Without the bridge the first of tied names becomes the key. */
void state_finish(State *s);

#endif
