/* Reads tree ensembles.  Every index is checked here, so that the generated code never
 * leaves its arrays, and the trees are walked once to see how deep they are.
 * Source: ONNX operators TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier. */
#include "ops/ml/forest.h"

static const char lengths_differ[] = "its lists differ in length";

static size_t int_count(const Attr *a) {
    return a ? a->ints.count : 0;
}

static bool is_wide(const MlFloats *f) {
    return f->dtype == DT_DOUBLE;
}

static bool forest_alloc(Arena *a, Forest *f, size_t nodes, size_t votes) {
    size_t n = nodes ? nodes : 1;
    f->features = ARENA_ARRAY(a, n, int32_t);
    f->children = ARENA_ARRAY(a, n * 2, int32_t);
    f->modes = ARENA_ARRAY(a, n, uint8_t);
    f->missing = ARENA_ARRAY(a, n, uint8_t);
    f->thresholds = ARENA_ARRAY(a, n, double);
    f->votes = ARENA_ARRAY(a, votes ? votes : 1, Vote);
    return !a->failed;
}

static const char *set_feature(Forest *f, size_t i, int64_t feature) {
    if (feature < 0 || feature > INT32_MAX)
        return "a feature id is out of range";
    f->features[i] = (int32_t)feature;
    return NULL;
}

static const char *add_vote(Forest *f, int32_t leaf, int64_t target, double weight) {
    if (target < 0 || target >= INT32_MAX)
        return "a target id is out of range";
    f->votes[f->n_votes++] = (Vote){leaf, target, weight};
    f->targets = target >= f->targets ? target + 1 : f->targets;
    return NULL;
}

/* ---- depth ------------------------------------------------------------------------- */

enum { HEIGHT_NONE = 0, HEIGHT_OPEN = -1 };

typedef struct Walk {
    const Forest *f;
    int32_t *height; /* of finished nodes, 1 or more */
    int32_t *stack;
    size_t n;
} Walk;

/* Puts the children of a node on the stack; false when one is above the node. */
static bool open_node(Walk *w, int32_t node) {
    w->height[node] = HEIGHT_OPEN;
    for (int k = 0; k < 2; k++) {
        int32_t child = w->f->children[2 * node + k];
        if (child >= 0 && w->height[child] == HEIGHT_OPEN)
            return false;
        if (child >= 0 && w->height[child] == HEIGHT_NONE)
            w->stack[w->n++] = child;
    }
    return true;
}

static void close_node(Walk *w, int32_t node) {
    int32_t most = 0;
    for (int k = 0; k < 2; k++) {
        int32_t child = w->f->children[2 * node + k];
        if (child >= 0 && w->height[child] > most)
            most = w->height[child];
    }
    w->height[node] = most + 1;
}

static bool walk_from(Walk *w, int32_t root) {
    w->n = 0;
    if (root >= 0)
        w->stack[w->n++] = root;
    while (w->n) {
        int32_t node = w->stack[w->n - 1];
        if (w->height[node] == HEIGHT_NONE) {
            if (!open_node(w, node))
                return false;
            continue;
        }
        w->n--;
        if (w->height[node] == HEIGHT_OPEN)
            close_node(w, node);
    }
    return true;
}

/* A node waits on the stack at most once for each of its parents. */
static const char *measure(Arena *a, Forest *f) {
    Walk w = {.f = f,
              .height = ARENA_ARRAY(a, f->nodes + 1, int32_t),
              .stack = ARENA_ARRAY(a, 2 * f->nodes + 2, int32_t)};
    if (!w.height || !w.stack)
        return NULL;
    for (size_t i = 0; i < f->trees; i++) {
        if (!walk_from(&w, f->roots[i]))
            return "a node is its own descendant";
        if (f->roots[i] >= 0 && w.height[f->roots[i]] > f->depth)
            f->depth = w.height[f->roots[i]];
    }
    return f->trees ? NULL : "it has no tree";
}

/* ---- by tree and node id ----------------------------------------------------------- */

/* The attributes of the older encoding. */
typedef struct Lists {
    const Attr *tree, *node, *feature, *mode, *if_true, *if_false, *missing;
    const Attr *vote_tree, *vote_node, *vote_target;
    MlFloats values, weights;
    size_t n, votes;
} Lists;

/* Where nodes are: (tree id, node id) -> place, plus one. */
typedef struct Places {
    Map map;
    int64_t (*ids)[2]; /* the keys */
    int32_t *place;    /* by position in the lists: index or ~leaf */
} Places;

static bool read_lists(const Node *n, Lists *l) {
    bool classes = op_attr(n->op, STR("class_ids")) != NULL;
    *l = (Lists){
        .tree = attr_get(n, "nodes_treeids"),
        .node = attr_get(n, "nodes_nodeids"),
        .feature = attr_get(n, "nodes_featureids"),
        .mode = attr_get(n, "nodes_modes"),
        .if_true = attr_get(n, "nodes_truenodeids"),
        .if_false = attr_get(n, "nodes_falsenodeids"),
        .missing = attr_get(n, "nodes_missing_value_tracks_true"),
        .vote_tree = attr_get(n, classes ? "class_treeids" : "target_treeids"),
        .vote_node = attr_get(n, classes ? "class_nodeids" : "target_nodeids"),
        .vote_target = attr_get(n, classes ? "class_ids" : "target_ids"),
        .values = ml_floats(n, "nodes_values"),
        .weights = ml_floats(n, classes ? "class_weights" : "target_weights"),
    };
    l->n = int_count(l->tree);
    l->votes = int_count(l->vote_tree);
    bool same = l->mode && l->mode->strings.count == l->n && l->values.n == l->n &&
                int_count(l->node) == l->n && int_count(l->feature) == l->n &&
                int_count(l->if_true) == l->n && int_count(l->if_false) == l->n &&
                (!l->missing || int_count(l->missing) == l->n);
    return same && l->n < INT32_MAX / 2 && int_count(l->vote_node) == l->votes &&
           int_count(l->vote_target) == l->votes && l->weights.n == l->votes;
}

static bool mode_of(Str name, TreeMode *mode) {
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ",
                                        "",           "LEAF"};
    for (size_t i = 0; i < OX_COUNT(names); i++) {
        *mode = (TreeMode)i;
        if (name.n && str_is(name, names[i]))
            return true;
    }
    return false;
}

static Str key_of(const int64_t *ids) {
    return (Str){(const char *)ids, 2 * sizeof *ids};
}

/* Numbers the nodes and leaves, and finds the trees: their first nodes are the roots. */
static const char *number_nodes(Arena *a, const Lists *l, Places *p, Forest *f) {
    Map trees = {.arena = a};
    for (size_t i = 0; i < l->n && !a->failed; i++) {
        TreeMode mode;
        if (!mode_of(l->mode->strings.items[i], &mode))
            return "a mode is none of those in the specification";
        p->place[i] = mode == TREE_LEAF ? ~(int32_t)f->leaves++ : (int32_t)f->nodes++;
        p->ids[i][0] = l->tree->ints.items[i];
        p->ids[i][1] = l->node->ints.items[i];
        if (map_get(&p->map, key_of(p->ids[i])))
            return "a node id stands twice in one tree";
        map_set(&p->map, key_of(p->ids[i]), &p->place[i]);
        Str tree = {(const char *)p->ids[i], sizeof p->ids[i][0]};
        if (!map_get(&trees, tree)) {
            map_set(&trees, tree, &p->place[i]);
            f->roots[f->trees++] = p->place[i];
        }
        if (mode != TREE_LEAF)
            f->modes[f->nodes - 1] = (uint8_t)mode;
    }
    return NULL;
}

static const int32_t *place_of(const Places *p, int64_t tree, int64_t node) {
    int64_t ids[2] = {tree, node};
    return map_get(&p->map, key_of(ids));
}

static const char *connect_nodes(const Lists *l, const Places *p, Forest *f) {
    for (size_t i = 0; i < l->n; i++) {
        int32_t at = p->place[i];
        if (at < 0)
            continue;
        int64_t tree = l->tree->ints.items[i];
        const int32_t *yes = place_of(p, tree, l->if_true->ints.items[i]);
        const int32_t *no = place_of(p, tree, l->if_false->ints.items[i]);
        if (!yes || !no)
            return "a child is no node of its tree";
        f->children[2 * at] = *no;
        f->children[2 * at + 1] = *yes;
        f->thresholds[at] = ml_float_at(&l->values, i);
        f->missing[at] = l->missing && l->missing->ints.items[i] == 1;
        const char *error = set_feature(f, (size_t)at, l->feature->ints.items[i]);
        if (error)
            return error;
    }
    return NULL;
}

static const char *read_votes(const Lists *l, const Places *p, Forest *f) {
    for (size_t i = 0; i < l->votes; i++) {
        const int32_t *at =
            place_of(p, l->vote_tree->ints.items[i], l->vote_node->ints.items[i]);
        if (!at)
            return "a weight belongs to no node";
        const char *error = *at >= 0 ? NULL
                                     : add_vote(f, ~*at, l->vote_target->ints.items[i],
                                                ml_float_at(&l->weights, i));
        if (error)
            return error;
    }
    return NULL;
}

static const char *read_by_id(Arena *a, const Node *n, Forest *f) {
    Lists l;
    if (!read_lists(n, &l))
        return lengths_differ;
    Places p = {.map = {.arena = a},
                .ids = arena_array(a, l.n, sizeof *p.ids),
                .place = ARENA_ARRAY(a, l.n, int32_t)};
    f->roots = ARENA_ARRAY(a, l.n, int32_t);
    if (!forest_alloc(a, f, l.n, l.votes))
        return l.n ? NULL : lengths_differ;
    f->threshold_dtype = is_wide(&l.values) ? DT_DOUBLE : DT_FLOAT;
    f->weight_dtype = is_wide(&l.weights) ? DT_DOUBLE : DT_FLOAT;
    const char *error = number_nodes(a, &l, &p, f);
    if (!error && !a->failed)
        error = connect_nodes(&l, &p, f);
    return error || a->failed ? error : read_votes(&l, &p, f);
}

/* ---- by position ------------------------------------------------------------------- */

/* A child of TreeEnsemble; INT32_MAX when it is out of range. */
static int32_t child_at(const Forest *f, int64_t id, int64_t is_leaf) {
    int64_t limit = (int64_t)(is_leaf ? f->leaves : f->nodes);
    if (id < 0 || id >= limit)
        return INT32_MAX;
    return is_leaf ? ~(int32_t)id : (int32_t)id;
}

static const char *read_nodes(const Node *n, Forest *f, const Tensor *modes,
                              const MlFloats *splits) {
    const Attr *feature = attr_get(n, "nodes_featureids");
    const Attr *yes = attr_get(n, "nodes_truenodeids");
    const Attr *no = attr_get(n, "nodes_falsenodeids");
    const Attr *yes_leaf = attr_get(n, "nodes_trueleafs");
    const Attr *no_leaf = attr_get(n, "nodes_falseleafs");
    const Attr *missing = attr_get(n, "nodes_missing_value_tracks_true");
    size_t count = f->nodes;
    if (int_count(yes) != count || int_count(no) != count || splits->n != count ||
        int_count(yes_leaf) != count || int_count(no_leaf) != count ||
        (int_count(missing) && int_count(missing) != count))
        return lengths_differ;
    for (size_t i = 0; i < count; i++) {
        int64_t mode = tensor_i64(modes, (int64_t)i);
        if (mode < 0 || mode > TREE_MEMBER)
            return "a mode is none of those in the specification";
        f->modes[i] = (uint8_t)mode;
        f->children[2 * i] = child_at(f, no->ints.items[i], no_leaf->ints.items[i]);
        f->children[2 * i + 1] =
            child_at(f, yes->ints.items[i], yes_leaf->ints.items[i]);
        if (f->children[2 * i] == INT32_MAX || f->children[2 * i + 1] == INT32_MAX)
            return "a child is out of range";
        f->thresholds[i] = ml_float_at(splits, i);
        f->missing[i] = int_count(missing) && missing->ints.items[i] == 1;
        const char *error = set_feature(f, i, feature->ints.items[i]);
        if (error)
            return error;
    }
    return NULL;
}

static const char *read_roots(Arena *a, const Node *n, Forest *f) {
    const Attr *roots = attr_get(n, "tree_roots");
    f->roots = ARENA_ARRAY(a, roots->ints.count, int32_t);
    for (size_t i = 0; f->roots && i < roots->ints.count; i++) {
        int64_t root = roots->ints.items[i];
        if (root < 0 || root >= (int64_t)f->nodes)
            return "a root is out of range";
        f->roots[f->trees++] = (int32_t)root;
    }
    return NULL;
}

static const char *read_by_position(Arena *a, const Node *n, Forest *f) {
    const Attr *modes = attr_get(n, "nodes_modes");
    const Attr *targets = attr_get(n, "leaf_targetids");
    const Attr *members = attr_get(n, "membership_values");
    MlFloats splits = ml_floats(n, "nodes_splits");
    MlFloats weights = ml_floats(n, "leaf_weights");
    f->nodes = int_count(attr_get(n, "nodes_featureids"));
    f->leaves = int_count(targets);
    if (!modes->t || (size_t)modes->t->count != f->nodes || weights.n != f->leaves ||
        !f->nodes || !f->leaves || f->nodes > INT32_MAX / 2 || f->leaves > INT32_MAX)
        return lengths_differ;
    if (!dtype_is_int(modes->t->dtype))
        return "nodes_modes holds no integers";
    if (members && members->t && !dtype_is_float(members->t->dtype))
        return "membership_values holds no floats";
    f->members = members ? members->t : NULL;
    f->threshold_dtype = is_wide(&splits) ? DT_DOUBLE : DT_FLOAT;
    f->weight_dtype = is_wide(&weights) ? DT_DOUBLE : DT_FLOAT;
    if (!forest_alloc(a, f, f->nodes, f->leaves))
        return NULL;
    const char *error = read_nodes(n, f, modes->t, &splits);
    for (size_t i = 0; !error && i < f->leaves; i++)
        error =
            add_vote(f, (int32_t)i, targets->ints.items[i], ml_float_at(&weights, i));
    return error ? error : read_roots(a, n, f);
}

const char *forest_read(Arena *a, const Node *n, Forest *f) {
    *f = (Forest){0};
    bool by_position = op_attr(n->op, STR("tree_roots")) != NULL;
    const char *error = by_position ? read_by_position(a, n, f) : read_by_id(a, n, f);
    return error || a->failed ? error : measure(a, f);
}
