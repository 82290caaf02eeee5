/* Files that people give in place of an ONNX model.  Every hint names the step that
 * makes one of it.  Sources: the first bytes that the formats' own readers look for, and
 * the file names that torch.save, torch.jit.save, torch.export.save and Keras put into
 * their zip archives. */
#include "onnx/guess.h"

#define EXPORT "torch.onnx.export(module, args, \"model.onnx\", dynamo=True)"

typedef struct Kind {
    size_t at; /* where the mark is: this many bytes from the start */
    const char *mark;
    const char *hint;
} Kind;

static const char checkpoint[] =
    "this is a PyTorch checkpoint, weights without a graph: load it into its module "
    "and "
    "export that, " EXPORT " or oxide_xla.from_torch(module, args)";
static const char keras[] = "this is a Keras model: in Keras 3, "
                            "keras.models.load_model(FILE).export(\"model.onnx\", "
                            "format=\"onnx\")";

static const Kind kinds[] = {
    {0, "\x80\x02", checkpoint},
    {0, "\x80\x03", checkpoint},
    {0, "\x80\x04", checkpoint},
    {0, "\x80\x05", checkpoint},
    {8, "{\"",
     "this is a safetensors file, weights without a graph: export the module that they "
     "belong to, " EXPORT "; load_params of the generated file then reads this one"},
    {4, "TFL3",
     "this is a TensorFlow Lite model: "
     "python -m tf2onnx.convert --tflite FILE --output model.onnx"},
    {4, "ORTM",
     "this is onnxruntime's own format: give the .onnx file that it was made from"},
    {0, "GGUF",
     "this is a GGUF file, weights without a graph: export the PyTorch module"},
    {0, "\x89HDF", keras},
    {0, "version https://git-lfs", "this is a Git LFS pointer: run `git lfs pull`"},
    {0, "\x1f\x8b", "this is a gzip file: unpack it first"},
    {0, "<", "this is a web page or XML: download the file itself"},
    {0, "{", "this is JSON"},
};

/* Names in a zip archive, the telling ones first; its list of names is at its end. */
static const struct {
    const char *name;
    const char *hint;
} members[] = {
    {"model.weights.h5", keras},
    {"/models/model.json",
     "this is a program of torch.export: torch.onnx.export(torch.export.load(FILE), "
     "f=\"model.onnx\", dynamo=True)"},
    {"/code/", "this is TorchScript: torch.onnx.export(torch.jit.load(FILE), args, "
               "\"model.onnx\", dynamo=False)"},
    {"/data.pkl", checkpoint},
    {".npy", "this is a numpy archive, weights without a graph"},
    {".onnx", "this is a zip archive with an ONNX model in it: unpack it"},
};

enum {
    HEAD = 64,      /* bytes at the start that are looked at */
    TAIL = 1 << 16, /* and at the end of an archive */
};

static bool holds_at(Str bytes, size_t at, Str mark) {
    return bytes.n >= at + mark.n && memcmp(bytes.p + at, mark.p, mark.n) == 0;
}

static bool holds(Str bytes, Str part) {
    for (size_t i = 0; i + part.n <= bytes.n; i++)
        if (bytes.p[i] == part.p[0] && holds_at(bytes, i, part))
            return true;
    return false;
}

static Str part_of(Arena *arena, Source *file, uint64_t at, uint64_t n) {
    const char *p = file->memory ? file->memory + at : NULL;
    return source_text(file, arena, (Span){p, at, n});
}

static const char *archive_hint(Arena *arena, Source *file) {
    uint64_t n = file->size < TAIL ? file->size : TAIL;
    Str tail = part_of(arena, file, file->size - n, n);
    for (size_t i = 0; i < OX_COUNT(members); i++)
        if (holds(tail, str_from(members[i].name)))
            return members[i].hint;
    return "this is a zip archive: unpack it, or export the model that it holds";
}

Str guess_hint(Arena *arena, Source *file) {
    Str head = part_of(arena, file, 0, file->size < HEAD ? file->size : HEAD);
    if (holds_at(head, 0, STR("PK\x03\x04")))
        return str_from(archive_hint(arena, file));
    for (size_t i = 0; i < OX_COUNT(kinds); i++)
        if (holds_at(head, kinds[i].at, str_from(kinds[i].mark)))
            return str_from(kinds[i].hint);
    return STR("");
}
