/* The pass pipeline.  This table is the architecture of the middle of the compiler: no pass
 * runs another.  A number behind a name says that the pass runs again. */
#include "passes/pipeline.h"

#include "passes/passes.h"

typedef struct Pass {
    const char *name;
    void (*run)(Model *m);
} Pass;

static void nothing(Model *m) {
    (void)m;
}

static const Pass passes[] = {
    {"import", nothing},
    {"infer", infer_model},
    {"places", nodes_note_places},
    {"branches", pass_branches},
    {"params", pass_params},
    {"fold", pass_fold},
    {"simplify", pass_simplify},
    {"cse", pass_cse},
    {"dce", pass_dce},
    {"recurrences", pass_recurrences},
    {"dce2", pass_dce},
    {"fuse", pass_fuse},
    {"rnn", pass_rnn_layers},
    {"dce3", pass_dce},
    {"fuse2", pass_fuse_late},
    {"dce4", pass_dce},
    {"transposes", pass_transposes},
    {"views", pass_views},
    {"simplify2", pass_simplify},
    {"dce5", pass_dce},
    {"roles", pass_roles},
    {"weights", pass_weights},
    {"wide", pass_wide},
    {"follow", pass_follow},
    {"blocks", pass_blocks},
};

const char *pass_name(size_t i) {
    return i < OX_COUNT(passes) ? passes[i].name : NULL;
}

/* `typed`: after inference. */
static void verify(Model *m, const char *pass, bool typed) {
    const char *why;
    if (!graph_verify(m, &why) || (typed && !types_verify(m, &why)))
        diag_add(m->diags, OX0201, str_from(pass),
                 STR("this is a defect of the compiler: please report it"),
                 "after this pass %s", why);
}

void passes_run(Model *m, const PassOptions *o) {
    for (size_t i = 0; i < OX_COUNT(passes); i++) {
        if (o->timing)
            o->timing(o->user, passes[i].name, true);
        passes[i].run(m);
        if (o->timing)
            o->timing(o->user, passes[i].name, false);
        graph_report_unsupported(m);
        m->unsupported.count = 0;
        if (diag_status(m->diags) != OX_OK)
            return;
        if (o->verify)
            verify(m, passes[i].name, i > 0);
#ifndef OX_NO_DUMP /* where every byte counts, and nobody asks for it */
        if (o->dump && o->dump_text && str_is(str_from(o->dump), passes[i].name))
            graph_dump(o->dump_text, m);
#endif
    }
}
