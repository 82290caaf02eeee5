/* What the program asks of Windows: words and output in UTF-8, its console, other
 * programs, its memory. */
#include "cli/cli.h"

#include "support/utf16.h"

#include <fcntl.h>
#include <io.h>
#include <psapi.h>
#include <shellapi.h>

static HANDLE handle_of(FILE *file) {
    return (HANDLE)_get_osfhandle(_fileno(file));
}

static bool is_console(FILE *file) {
    DWORD mode;
    return GetConsoleMode(handle_of(file), &mode);
}

/* ---- start ------------------------------------------------------------------------- */

static UINT code_page; /* of the console, before */

static void restore_code_page(void) {
    SetConsoleOutputCP(code_page);
}

static void use_utf8(void) {
    if (!is_console(stdout) && !is_console(stderr))
        return;
    code_page = GetConsoleOutputCP();
    if (code_page && atexit(restore_code_page) == 0)
        SetConsoleOutputCP(CP_UTF8);
}

/* The C library's argv is in the code page of the system, which lacks most letters. */
char **host_begin(int *argc, char **argv) {
    (void)argv;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), argc);
    char **words = wide ? calloc((size_t)*argc + 1, sizeof *words) : NULL;
    for (int i = 0; words && i < *argc; i++) {
        words[i] = utf8_of(wide[i]);
        if (!words[i] && errno == EILSEQ)
            words[i] = (char *)"\xEF\xBF\xBD"; /* half a pair of surrogates */
        if (!words[i])
            words = NULL;
    }
    LocalFree(wide);
    (void)_setmode(_fileno(stdin), _O_BINARY);
    (void)_setmode(_fileno(stdout), _O_BINARY);
    (void)_setmode(_fileno(stderr), _O_BINARY);
    use_utf8();
    return words;
}

/* ---- the console ------------------------------------------------------------------- */

/* Windows 10 and later take the codes of other terminals, when asked to. */
bool host_has_colors(FILE *file) {
    enum { CODES = 4 }; /* ENABLE_VIRTUAL_TERMINAL_PROCESSING, which headers may lack */
    DWORD mode;
    HANDLE handle = handle_of(file);
    return GetConsoleMode(handle, &mode) && SetConsoleMode(handle, mode | CODES);
}

int host_columns(FILE *file) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(handle_of(file), &info))
        return 0;
    return info.srWindow.Right - info.srWindow.Left + 1;
}

double host_peak_memory(void) {
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    BOOL ok = K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
    return ok ? (double)counters.PeakWorkingSetSize : 0;
}

/* ---- other programs ---------------------------------------------------------------- */

/* One word of a command line, so that the program's C library gets it back.  Source:
 * Microsoft, "Parsing C command-line arguments". */
static void put_word(Text *t, const char *word) {
    bool plain = *word && !word[strcspn(word, " \t\n\v\"")];
    size_t slashes = 0;
    text_lit(t, plain ? "" : "\"");
    for (const char *p = word; *p; p++) {
        size_t doubled = *p == '"' ? slashes + 1 : 0;
        for (size_t i = 0; i < doubled; i++)
            text_char(t, '\\');
        text_char(t, *p);
        slashes = *p == '\\' ? slashes + 1 : 0;
    }
    for (size_t i = 0; !plain && i < slashes; i++)
        text_char(t, '\\');
    text_lit(t, plain ? "" : "\"");
}

static wchar_t *command_line(char **argv) {
    Arena arena;
    arena_init(&arena, NULL);
    Text t = {.arena = &arena};
    for (char **word = argv; *word; word++) {
        text_lit(&t, word == argv ? "" : " ");
        put_word(&t, *word);
    }
    Str line = text_view(&t);
    wchar_t *wide = arena.failed ? NULL : utf16_of(line.p);
    arena_free(&arena);
    return wide;
}

/* The program from beside this one, or from the PATH and not from the folder that we are
 * in, as Windows would have it. */
static bool find_program(const wchar_t *name, wchar_t *room, DWORD size) {
    DWORD n = GetModuleFileNameW(NULL, room, size);
    wchar_t *slash = n > 0 && n < size ? wcsrchr(room, L'\\') : NULL;
    if (slash && (size_t)(slash + 1 - room) + wcslen(name) < size) {
        wcscpy(slash + 1, name);
        if (GetFileAttributesW(room) != INVALID_FILE_ATTRIBUTES)
            return true;
    }
    DWORD length = GetEnvironmentVariableW(L"PATH", NULL, 0);
    wchar_t *path = length ? malloc(length * sizeof *path) : NULL;
    bool found = path && GetEnvironmentVariableW(L"PATH", path, length) < length;
    if (found) {
        n = SearchPathW(path, name, NULL, size, room, NULL);
        found = n > 0 && n < size;
    }
    free(path);
    return found;
}

/* Runs it to its end, and ends as it does: Windows cannot put one program in the place of
 * another.  Ctrl-C reaches both, and is for the other. */
static void run_instead(const wchar_t *program, wchar_t *line) {
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION process;
    if (!CreateProcessW(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &start,
                        &process))
        return;
    SetConsoleCtrlHandler(NULL, TRUE);
    WaitForSingleObject(process.hProcess, INFINITE);
    DWORD code = EXIT_IO;
    GetExitCodeProcess(process.hProcess, &code);
    exit((int)code);
}

int host_execute(const char *name, char **argv) {
    enum { ROOM = 0x8000 };
    char plain[64];
    snprintf(plain, sizeof plain, "oxide_xla-%s.exe", name);
    argv[0] = plain;
    wchar_t *wide = utf16_of(plain), *line = command_line(argv);
    wchar_t *program = malloc(ROOM * sizeof *program);
    int error = wide && line && program ? ENOENT : ENOMEM;
    if (error == ENOENT && find_program(wide, program, ROOM)) {
        run_instead(program, line);
        error = EACCES;
    }
    free(wide);
    free(line);
    free(program);
    return error;
}
