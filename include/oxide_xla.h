/* oxide_xla.h -- compile ONNX models to readable JAX source.
 *
 * The one public header.  A program makes an OxCompiler, loads one model into it,
 * compiles, and reads the results, which stay valid until ox_free:
 *
 *     OxCompiler *c = ox_new(NULL);
 *     if (ox_load_file(c, "model.onnx") == OX_OK && ox_compile(c, NULL) == OX_OK)
 *         fwrite(ox_source(c).data, 1, ox_source(c).size, stdout);
 *     else
 *         fwrite(ox_messages(c, false).data, 1, ox_messages(c, false).size, stderr);
 *     ox_free(c);
 *
 * Ownership: the compiler owns everything it returns.  Input bytes given to
 * ox_load_memory are borrowed and must outlive the compiler.  Tensor data is never
 * copied: an OxParam points into the input, or ox_read_param reads it.
 * Sizes: positions and sizes in files have 64 bits, also where size_t has 32.
 * Threads: there are no globals; use each OxCompiler from one thread at a time.
 * Errors: a call that fails returns a status, and adds at least one message that
 * ox_messages prints.  The library never exits and never aborts on any input. */
#ifndef OXIDE_XLA_H
#define OXIDE_XLA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(OX_API) /* builds for Windows say dllexport */
#define OX_API __attribute__((visibility("default")))
#elif !defined(OX_API)
#define OX_API
#endif

/* Why a call failed.  The command line maps these to exit codes 1, 1, 2, 3, 3. */
typedef enum OxStatus {
    OX_OK = 0,
    OX_ERR_MODEL,       /* the model is malformed, or needs what we cannot compile */
    OX_ERR_UNSUPPORTED, /* operators that have no exact translation; all are listed */
    OX_ERR_USAGE,       /* an option that makes no sense for this model */
    OX_ERR_IO,          /* a file could not be read or written */
    OX_ERR_MEMORY,      /* the allocator refused; the compiler can only be freed */
} OxStatus;

/* Bytes owned by the compiler.  Text is UTF-8 and is also NUL-terminated. */
typedef struct OxText {
    const char *data;
    size_t size;
} OxText;

/* Memory hook.  resize(user, NULL, 0, n) allocates, (p, old, 0) frees and returns
 * NULL; it returns NULL when it cannot serve, which becomes OX_ERR_MEMORY.  Results
 * must be aligned as malloc's. */
typedef struct OxAllocator {
    void *(*resize)(void *user, void *block, size_t old_size, size_t new_size);
    void *user;
} OxAllocator;

typedef struct OxCompiler OxCompiler;

/* A new compiler; NULL allocator means malloc.  Returns NULL when out of memory. */
OX_API OxCompiler *ox_new(const OxAllocator *allocator);

/* Frees the compiler and all that it returned.  NULL is allowed. */
OX_API void ox_free(OxCompiler *compiler);

/* Loads a serialized ModelProto.  `bytes` is borrowed.  `name` is used in messages
 * and in the generated header (NULL: "model").  External tensor data cannot be
 * reached from memory; models that need it get OX_ERR_IO. */
OX_API OxStatus ox_load_memory(OxCompiler *compiler, const void *bytes, size_t size,
                               const char *name);

/* Maps and loads a file.  External data is looked up beside it, never outside its
 * folder.  Fails with OX_ERR_IO (cannot read) or OX_ERR_MODEL (not an ONNX model). */
OX_API OxStatus ox_load_file(OxCompiler *compiler, const char *path);

/* A file that is read in pieces, by the caller: in a browser, where the model need not be
 * in memory, or where files come over a network. */
typedef struct OxReader {
    uint64_t size; /* of the file, in bytes */
    /* Puts bytes of the file from `offset` on into `to`, at least one and at most `size`,
     * and returns how many; 0 when they cannot be read.  It is never asked for bytes
     * behind the end, and gives the same bytes each time: the model is read in passes.
     * It is called within calls of ox_*, on their thread, and must not call them. */
    size_t (*read)(void *user, uint64_t offset, void *to, size_t size);
    void *user;
    void (*close)(void *user); /* called once, when nothing more is read; may be NULL */
} OxReader;

/* Finds the data files of a model with external data. */
typedef struct OxFolder {
    /* Fills `reader` for the file at `location`, a path from the folder of the model in
     * UTF-8 as the model has it, but for "." and empty parts: "weights.bin",
     * "data/part.0".  It is relative and never holds "..".  false when there is no such
     * file, which is OX_ERR_IO.  Each location is opened once. */
    bool (*open)(void *user, const char *location, OxReader *reader);
    void *user;
} OxFolder;

/* Loads a model that `model` reads.  Parameters stay where they are: what is read is the
 * graph, small tensors, and as much of others as tells them apart, so a model may be
 * larger than memory.  The source is the same as after ox_load_memory or ox_load_file.
 *
 * `beside` opens the files of external data; NULL: models that need it get OX_ERR_IO.
 * `name` is as for ox_load_memory.
 * Ownership: both structs are copied; what their `user` points to must outlive the
 * compiler.  Readers are closed once each, the model's whatever this returns, by ox_free
 * at the latest.
 * Errors: a read that fails makes this or the later call that needed it fail with
 * OX_ERR_IO, and the message names the file and the position.  Every later call that
 * needs the model then fails, too. */
OX_API OxStatus ox_load_reader(OxCompiler *compiler, const OxReader *model,
                               const OxFolder *beside, const char *name);

typedef enum OxParamStyle { OX_PARAMS_FLAT, OX_PARAMS_NESTED } OxParamStyle;

/* Where the parameters go. */
typedef enum OxWeightFormat {
    OX_SAFETENSORS,
    OX_NPZ,
    /* An index, itself a safetensors file, that says where parameters lie in the files
     * of the model, which stay needed and must not change; load_params notices when
     * they did.  What no file holds as it is lies in the index.  OX_ERR_USAGE for models
     * that were not loaded from a path. */
    OX_REFERENCE,
} OxWeightFormat;

/* How repeated modules are written. */
typedef enum OxLayers {
    OX_LAYERS_FUNCTIONS, /* one function for each kind, called in a loop */
    OX_LAYERS_SCAN, /* jax.lax.scan over rows of layers, whose parameters load_params
                            stacks: XLA compiles the layer once, whatever the depth */
    OX_LAYERS_UNROLLED, /* straight code */
} OxLayers;

/* Whether the module says how it lies on a mesh of devices: PARTITION_RULES, shardings,
 * abstract_params, and a forward for meshes whose axes are explicit. */
typedef enum OxSharding {
    OX_SHARDING_AUTO, /* where repeated modules hold matrices for tensor parallelism */
    OX_SHARDING_ON,
    OX_SHARDING_OFF,
} OxSharding;

/* The jax_numpy_rank_promotion under which the module runs. */
typedef enum OxRankPromotion {
    OX_RANKS_ALLOW, /* JAX's default: x + params["bias"] */
    OX_RANKS_RAISE, /* arrays that broadcast have one rank: x + params["bias"][None] */
} OxRankPromotion;

/* Where the code is that reads, checks and writes weights. */
typedef enum OxLoader {
    OX_LOADER_INLINE, /* in the module, as much as it needs */
    OX_LOADER_MODULE, /* in a file beside it that models share: see ox_loader_source */
} OxLoader;

/* What ox_compile is told.  A field that is zero has its default:
 *
 *     OxOptions options = {.size = sizeof options, .layers = OX_LAYERS_SCAN};
 *
 * `size` is that of the struct as the caller was compiled, so that a library and a program
 * of different versions get on.  Fields are only ever added, at the end and behind what was
 * padding.  Those that an older caller's struct ends before have their defaults; those
 * that a newer caller's has beyond this library's must be zero, as what they ask for is
 * not known here.  OX_ERR_USAGE otherwise, and where `size` was forgotten. */
typedef struct OxOptions {
    size_t size;               /* sizeof(OxOptions) */
    OxParamStyle params;       /* how params is keyed: flat names or nested dicts */
    const char *const *shapes; /* "x=8,3,h,w": overrides of input shapes */
    size_t shape_count;
    const char *const *outputs; /* names of values to return instead of the outputs */
    size_t output_count;
    const char *dump;       /* name of a pass to print the graph after, or NULL */
    bool no_load_params;    /* leave load_params out (no weights file is written) */
    OxWeightFormat weights; /* what load_params reads */
    /* "value=N": the size that data decide of this value (NonZero, Unique, Compress,
     * NonMaxSuppression; Range, Expand, ConstantOfShape of a computed length) is at most N.
     * The module pads it to N, with what its docstring says, and so can be jitted.  A node
     * that cannot ignore the padding is an error, OX0415. */
    const char *const *bounds;
    size_t bound_count;
    /* "input=3", "input=true", "input=[1,2]": the value of an input, which forward then
     * does not take.  It fits the input's type and shape; a number will do for an input
     * of one element. */
    const char *const *input_values;
    size_t input_value_count;
    OxLayers layers;     /* how repeated modules are written */
    uint32_t unused;     /* was padding: of any value */
    OxSharding sharding; /* what the module says about meshes */
    OxRankPromotion rank_promotion;
    OxLoader loader; /* OX_ERR_USAGE for OX_LOADER_MODULE with no_load_params */
    /* "past_key_values.*=present.*:512", or NULL: the inputs that hold keys and values of
     * the past, the outputs that give them with those of new tokens appended, and the
     * length of an empty cache.  A * stands for the same text on both sides.  The module is
     * then a step, forward(params, input_ids, cache, position) -> (logits, cache), that
     * writes into arrays of a fixed length, which its init_cache makes.  An input
     * attention_mask (batch, present) follows from an optional `start`, the number of
     * padding tokens in front of each row, and position_ids (batch, tokens) from both.
     * A node that would see what is behind the last token is an error, OX0416. */
    const char *cache;
} OxOptions;

/* Compiles the loaded model to a Python module.  NULL options mean the defaults.
 * On failure there is no source, and every unsupported operator has been reported. */
OX_API OxStatus ox_compile(OxCompiler *compiler, const OxOptions *options);

/* The generated module; empty before a successful ox_compile. */
OX_API OxText ox_source(const OxCompiler *compiler);

/* The name of the file that modules compiled with OX_LOADER_MODULE import. */
#define OX_LOADER_FILE "safetensors_io.py"
/* Its text, which is the same for every model; empty where the generated module does not
 * import it, as one without parameters, and before a successful ox_compile.
 * ox_write_module writes it beside the module. */
OX_API OxText ox_loader_source(const OxCompiler *compiler);

/* Which lines of the generated module come from which nodes and parameters, as one JSON
 * object; lines count from 1, and ranges hold both ends:
 *
 *     {"version": 1,
 *      "nodes": [{"node": 4, "lines": [[12, 12], [15, 18]]}, ...],
 *      "functions": [{"name": "basic_block", "class": "BasicBlock", "lines": [40, 52],
 *                     "modules": ["layer1.0", "layer1.1"],
 *                     "calls": [[71, 72]]}, ...],
 *      "params": [{"name": "fc.weight", "lines": [[80, 80]]}, ...]}
 *
 * A node is its place in the list `nodes` of ox_inspect.  A line that was written for
 * several nodes belongs to all of them, and so does what a fusion has made of them; nodes
 * that are equal have the lines of the one that is kept.  Nodes of repeated modules have
 * the lines of the function that stands for all; nodes of subgraphs count as the node
 * around.  Nodes of which nothing is left are not listed.  Parameters have their names in
 * params.  Made when it is asked for; empty before a successful ox_compile, and when memory
 * is refused. */
OX_API OxText ox_line_map(OxCompiler *compiler);

/* One line about what was compiled: "4 parameters, 156 values, 624 bytes; open: batch".
 * Empty before a successful ox_compile. */
OX_API OxText ox_summary(const OxCompiler *compiler);

/* What --dump printed; empty without it. */
OX_API OxText ox_dump(const OxCompiler *compiler);

/* One parameter of the compiled module. */
typedef struct OxParam {
    OxText key;           /* its key in params */
    const char *dtype;    /* "float32", "bfloat16", "int4", ... */
    const int64_t *shape; /* rank sizes */
    int rank;
    const void *data; /* little-endian ONNX raw layout, borrowed from the input; NULL
                         where it is not in memory (ox_load_reader): see ox_read_param */
    uint64_t nbytes;  /* 0 where a checkpoint has the data, and the model has not */
} OxParam;

OX_API size_t ox_param_count(const OxCompiler *compiler);
/* The i-th parameter, in the order of first use in the source; zeroed past the last. */
OX_API OxParam ox_param(const OxCompiler *compiler, size_t i);
/* Copies bytes [offset, offset + size) of the data of the i-th parameter, wherever they
 * are.  OX_ERR_USAGE where it has no such bytes, OX_ERR_IO when they cannot be read. */
OX_API OxStatus ox_read_param(OxCompiler *compiler, size_t i, uint64_t offset, void *to,
                              size_t size);

/* Writes the parameters, through a temporary file and a rename; never over a file of
 * the model.  load_params reads the format that ox_compile was told. */
OX_API OxStatus ox_write_weights(OxCompiler *compiler, const char *path,
                                 OxWeightFormat format);

/* Writes ox_line_map, through a temporary file and a rename; never over a file of the
 * model.  "-" is standard output. */
OX_API OxStatus ox_write_line_map(OxCompiler *compiler, const char *path);

/* Writes the source and, unless weights_path is NULL, the parameters: both files appear
 * or neither.  "-" is standard output.  A file at source_path that is no generated module,
 * or was edited since, is left alone with OX_ERR_USAGE unless `force`; so is one at
 * weights_path that PyTorch or save_params wrote. */
OX_API OxStatus ox_write_module(OxCompiler *compiler, const char *source_path,
                                const char *weights_path, OxWeightFormat format,
                                bool force);

/* What ox_send_weights hands a weights file to, from its first byte to its last. */
typedef struct OxSink {
    /* Takes the next bytes; false makes the call fail with OX_ERR_IO. */
    bool (*write)(void *user, const void *bytes, size_t size);
    /* Takes bytes [offset, offset + size) of a file of the model as the next ones: of the
     * model's own where `location` is NULL, else of what OxFolder opened there.  Nobody
     * reads them then; in a browser they are a slice of the file.  NULL: they are read,
     * and `write` takes them. */
    bool (*copy)(void *user, const char *location, uint64_t offset, uint64_t size);
    void *user;
} OxSink;

/* The parameters as ox_write_weights writes them, without a file.  The functions of `sink`
 * must not call ox_*.  OX_ERR_USAGE for OX_REFERENCE, which needs files. */
OX_API OxStatus ox_send_weights(OxCompiler *compiler, OxWeightFormat format,
                                const OxSink *sink);

/* Ends a call of ox_write_module or ox_write_weights that is under way, from a signal
 * handler or another thread: it removes what it has written and returns OX_ERR_IO, and
 * so do later ones.  A call that has all bytes in place still puts its files there, both
 * of them.  Nothing else is stopped.  NULL is fine. */
OX_API void ox_interrupt(OxCompiler *compiler);

typedef enum OxFormat {
    OX_ASCII,
    OX_JSON,
    OX_MARKDOWN,
    OX_DOT,     /* a drawing for Graphviz */
    OX_MERMAID, /* one for Mermaid */
    OX_HTML,    /* a page that needs nothing else: modules, nodes and the code */
} OxFormat;

/* How ox_inspect describes a model; `size` and zero are as in OxOptions. */
typedef struct OxInspectOptions {
    size_t size;               /* sizeof(OxInspectOptions) */
    OxFormat format;           /* OX_ASCII, OX_JSON, OX_DOT, OX_MERMAID or OX_HTML */
    bool layers;               /* OX_ASCII: all parameters and nodes, not one screen */
    bool color;                /* OX_ASCII: with ANSI codes */
    int width;                 /* OX_ASCII: columns that the text may take; 0: 80 */
    const char *const *shapes; /* as in OxOptions */
    size_t shape_count;
    bool lines; /* OX_JSON: `lines`, what ox_line_map says, or null: no code */
} OxInspectOptions;

/* Describes the loaded model, with inferred types: its modules, what they hold and how
 * much they compute.  NULL: one screen for people.  The text lives until the next call.
 * OX_HTML and `lines` also compile the model, with the defaults of OxOptions but for the
 * shapes; the page has the code in it or the messages that say why there is none.  Results
 * of ox_compile stay as they are. */
OX_API OxStatus ox_inspect(OxCompiler *compiler, const OxInspectOptions *options,
                           OxText *text);

/* How ox_diff describes what it finds; `size` and zero are as in OxOptions. */
typedef struct OxDiffOptions {
    size_t size;     /* sizeof(OxDiffOptions) */
    OxFormat format; /* OX_ASCII or OX_JSON */
    bool color;      /* OX_ASCII: with ANSI codes */
    int width; /* OX_ASCII: columns that the text may take; 0: whatever it needs */
} OxDiffOptions;

/* Describes how the model of `b` differs from that of `a`: opsets, inputs, outputs,
 * modules, nodes, and parameters, whose values are read and compared in steps.  Nodes are
 * compared by what they do and read, not by their names; what runs the same may still be
 * written differently.  *equal: there is no difference.
 *
 * Both have loaded a model; the text belongs to `a` and lives until its next call.  A
 * failure of one of them is a message of that one.  NULL: the defaults. */
OX_API OxStatus ox_diff(OxCompiler *a, OxCompiler *b, const OxDiffOptions *options,
                        bool *equal, OxText *text);

/* Lists the operators that compile; `name` picks one (NULL: all). */
OX_API OxStatus ox_ops(OxCompiler *compiler, const char *name, OxFormat format,
                       OxText *text);

/* All messages so far, in the grammar of docs/errors.md; `color` adds ANSI codes. */
OX_API OxText ox_messages(OxCompiler *compiler, bool color);

/* Documentation of every message code, as Markdown: the source of docs/errors.md. */
OX_API OxText ox_errors_doc(OxCompiler *compiler);

/* Seconds spent in one named stage of the last calls; NULL name past the last. */
typedef struct OxTiming {
    const char *stage;
    double seconds;
} OxTiming;
OX_API OxTiming ox_timing(const OxCompiler *compiler, size_t i);

/* The version of this header, and that of the library that runs.  All else that has a
 * version takes it from this line, or is compared with it by a test. */
#define OX_VERSION "0.2.0"
OX_API const char *ox_version(void);

#ifdef __cplusplus
}
#endif
#endif
