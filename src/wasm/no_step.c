/* --cache in a module without it, oxide_xla_core.wasm: passes/sizes/step.c takes 5 KB of
 * brotli, and pages have no such option. */
#include "passes/sizes/sizes.h"

void infer_step(Model *m, Str spec) {
    diag_add(m->diags, OX0003, (Str){0}, STR("take oxide_xla.wasm"),
             "--cache %.*s is not for this module", (int)spec.n, spec.p);
}
