/* Runs a StableHLO module with static shapes on a PJRT plugin, without Python:
 *
 *     pjrt_run PLUGIN.so MODULE.mlir TYPE:SIZES:FILE[@OFFSET]...
 *
 * One argument of `main` each, such as f32:4x8:linear.safetensors@136 or s32::n.bin for
 * a scalar: raw little-endian bytes, of which m.json says the order, types, shapes, and
 * offsets in m.safetensors.  The results go to result_0.bin and so on.
 *
 *     oxide_xla compile m.onnx --target stablehlo -o m.mlir
 *     cc -std=c11 -O2 -I FOLDER_OF_pjrt_c_api.h pjrt_run.c -ldl -o pjrt_run
 *
 * The header is xla/pjrt/c/pjrt_c_api.h of OpenXLA; header and a plugin for CPUs are in
 * the Python package xla-cpu-pjrt. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pjrt_c_api.h"

/* What a function of the API takes, with its size. */
#define ARGS(f, ...) ((f##_Args){.struct_size = f##_Args_STRUCT_SIZE, __VA_ARGS__})

static const PJRT_Api *api;
enum { MAX_ARGUMENTS = 4096, MAX_RANK = 16 };

static void fail(const char *what, const char *why) {
    fprintf(stderr, "error: %s: %s\n", what, why);
    exit(1);
}

static void check(PJRT_Error *error) {
    if (!error)
        return;
    PJRT_Error_Message_Args m = ARGS(PJRT_Error_Message, .error = error);
    api->PJRT_Error_Message(&m);
    fprintf(stderr, "error: %.*s\n", (int)m.message_size, m.message);
    exit(1);
}

static void await(PJRT_Event *event) {
    PJRT_Event_Await_Args a = ARGS(PJRT_Event_Await, .event = event);
    check(api->PJRT_Event_Await(&a));
    PJRT_Event_Destroy_Args d = ARGS(PJRT_Event_Destroy, .event = event);
    check(api->PJRT_Event_Destroy(&d));
}

/* `size` bytes of a file from `offset` on, or all there are for a size of 0. */
static char *read_file(const char *path, long offset, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path, "cannot be read");
    size_t rest = (size_t)(ftell(file) - offset);
    *size = *size ? *size : rest;
    char *data = malloc(*size + 1);
    if (!data || *size > rest || fseek(file, offset, SEEK_SET) != 0 ||
        fread(data, 1, *size, file) != *size)
        fail(path, "is too short");
    fclose(file);
    return data;
}

static const struct {
    const char *name; /* as StableHLO has it, but s for signed */
    PJRT_Buffer_Type type;
    size_t bytes;
} types[] = {
    {"pred", PJRT_Buffer_Type_PRED, 1}, {"s8", PJRT_Buffer_Type_S8, 1},
    {"s32", PJRT_Buffer_Type_S32, 4},   {"s64", PJRT_Buffer_Type_S64, 8},
    {"u8", PJRT_Buffer_Type_U8, 1},     {"u32", PJRT_Buffer_Type_U32, 4},
    {"f16", PJRT_Buffer_Type_F16, 2},   {"bf16", PJRT_Buffer_Type_BF16, 2},
    {"f32", PJRT_Buffer_Type_F32, 4},   {"f64", PJRT_Buffer_Type_F64, 8},
};

/* TYPE:SIZES:FILE[@OFFSET] as a buffer on the device. */
static PJRT_Buffer *make_argument(PJRT_Client *client, PJRT_Device *device,
                                  char *spec) {
    char *sizes = strchr(spec, ':'), *path = sizes ? strchr(sizes + 1, ':') : NULL;
    if (!path)
        fail(spec, "is not TYPE:SIZES:FILE");
    *sizes++ = *path++ = '\0';
    char *at = strrchr(path, '@');
    if (at)
        *at++ = '\0';
    size_t i = 0, rank = 0, count = 1;
    while (i < sizeof types / sizeof *types && strcmp(types[i].name, spec) != 0)
        i++;
    if (i == sizeof types / sizeof *types)
        fail(spec, "is no type that this program knows");
    int64_t dims[MAX_RANK];
    for (char *p = sizes; *p && rank < MAX_RANK; p += *p == 'x')
        count *= (size_t)(dims[rank++] = strtoll(p, &p, 10));
    size_t size = count * types[i].bytes;
    char *data = read_file(path, at ? atol(at) : 0, &size);
    PJRT_Client_BufferFromHostBuffer_Args a =
        ARGS(PJRT_Client_BufferFromHostBuffer, .client = client, .data = data,
             .type = types[i].type, .dims = dims, .num_dims = rank,
             .host_buffer_semantics = PJRT_HostBufferSemantics_kImmutableOnlyDuringCall,
             .device = device);
    check(api->PJRT_Client_BufferFromHostBuffer(&a));
    await(a.done_with_host_buffer);
    free(data);
    return a.buffer;
}

static PJRT_LoadedExecutable *compile(PJRT_Client *client, const char *path) {
    size_t size = 0;
    char *code = read_file(path, 0, &size);
    PJRT_Program program = {.struct_size = PJRT_Program_STRUCT_SIZE,
                            .code = code,
                            .code_size = size,
                            .format = "mlir",
                            .format_size = 4};
    /* CompileOptionsProto: one replica, one partition. */
    static const char options[] = {0x1a, 4, 0x20, 1, 0x28, 1};
    PJRT_Client_Compile_Args a =
        ARGS(PJRT_Client_Compile, .client = client, .program = &program,
             .compile_options = options, .compile_options_size = sizeof options);
    check(api->PJRT_Client_Compile(&a));
    free(code);
    return a.executable;
}

static size_t count_results(PJRT_LoadedExecutable *loaded) {
    PJRT_LoadedExecutable_GetExecutable_Args g =
        ARGS(PJRT_LoadedExecutable_GetExecutable, .loaded_executable = loaded);
    check(api->PJRT_LoadedExecutable_GetExecutable(&g));
    PJRT_Executable_NumOutputs_Args n =
        ARGS(PJRT_Executable_NumOutputs, .executable = g.executable);
    check(api->PJRT_Executable_NumOutputs(&n));
    return n.num_outputs;
}

static void write_result(size_t index, PJRT_Buffer *buffer) {
    PJRT_Buffer_ToHostBuffer_Args a = ARGS(PJRT_Buffer_ToHostBuffer, .src = buffer);
    check(api->PJRT_Buffer_ToHostBuffer(&a)); /* how large? */
    a.dst = malloc(a.dst_size + 1);
    check(api->PJRT_Buffer_ToHostBuffer(&a));
    await(a.event);
    char name[32];
    snprintf(name, sizeof name, "result_%zu.bin", index);
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(a.dst, 1, a.dst_size, file) != a.dst_size || fclose(file) != 0)
        fail(name, "cannot be written");
    printf("%s: %zu bytes\n", name, a.dst_size);
    free(a.dst);
}

int main(int argc, char **argv) {
    if (argc < 3 || argc - 3 > MAX_ARGUMENTS)
        return fputs("usage: pjrt_run PLUGIN.so MODULE.mlir TYPE:SIZES:FILE...\n",
                     stderr),
               2;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    const PJRT_Api *(*get_api)(void) = NULL;
    if (library)
        *(void **)&get_api = dlsym(library, "GetPjrtApi");
    if (!get_api)
        fail(argv[1], dlerror());
    api = get_api();
    PJRT_Plugin_Initialize_Args init =
        ARGS(PJRT_Plugin_Initialize, .extension_start = NULL);
    check(api->PJRT_Plugin_Initialize(&init));
    PJRT_Client_Create_Args created = ARGS(PJRT_Client_Create, .extension_start = NULL);
    check(api->PJRT_Client_Create(&created));
    PJRT_Client_AddressableDevices_Args found =
        ARGS(PJRT_Client_AddressableDevices, .client = created.client);
    check(api->PJRT_Client_AddressableDevices(&found));

    PJRT_LoadedExecutable *program = compile(created.client, argv[2]);
    PJRT_Buffer *inputs[MAX_ARGUMENTS];
    size_t n = (size_t)argc - 3, n_results = count_results(program);
    for (size_t i = 0; i < n; i++)
        inputs[i] =
            make_argument(created.client, found.addressable_devices[0], argv[i + 3]);
    PJRT_Buffer **results = calloc(n_results + 1, sizeof *results);
    PJRT_Buffer *const *input_lists[] = {inputs};
    PJRT_Buffer **result_lists[] = {results};
    PJRT_ExecuteOptions options = {.struct_size = PJRT_ExecuteOptions_STRUCT_SIZE};
    PJRT_LoadedExecutable_Execute_Args run =
        ARGS(PJRT_LoadedExecutable_Execute, .executable = program, .options = &options,
             .argument_lists = input_lists, .num_devices = 1, .num_args = n,
             .output_lists = result_lists);
    check(api->PJRT_LoadedExecutable_Execute(&run));
    for (size_t i = 0; i < n_results; i++)
        write_result(i, results[i]);
    return 0;
}
