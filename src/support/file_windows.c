/* Files of Windows.  Paths are UTF-8 here and UTF-16 there, where one of more than 260
 * characters is taken as it is, without "/" and "..", after "\\?\".  A descriptor is one
 * of the C library, around a handle that lets others rename and delete the file. */
#include "support/file_system.h"

#include "support/utf16.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>

/* --- errors --------------------------------------------------------------------- */

static int errno_of(DWORD error) {
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_INVALID_DRIVE:
    case ERROR_BAD_PATHNAME:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
        return ENOENT;
    case ERROR_DIRECTORY:
        return ENOTDIR;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_USER_MAPPED_FILE:
    case ERROR_WRITE_PROTECT:
        return EACCES;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
        return EEXIST;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
        return ENOSPC;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
        return ENOMEM;
    case ERROR_TOO_MANY_OPEN_FILES:
        return EMFILE;
    case ERROR_FILENAME_EXCED_RANGE:
        return ENAMETOOLONG;
    case ERROR_CANT_RESOLVE_FILENAME:
        return ELOOP;
    default:
        return EIO;
    }
}

/* false, with the errno of what has just failed. */
static bool failed(void) {
    errno = errno_of(GetLastError());
    return false;
}

/* --- paths ---------------------------------------------------------------------- */

enum { LONG_PATH = MAX_PATH - 12 }; /* a folder's must leave room for a file's name */

/* The rest of `path` when that begins with `prefix`, else NULL. */
static const wchar_t *after(const wchar_t *path, const wchar_t *prefix) {
    size_t n = wcslen(prefix);
    return wcsncmp(path, prefix, n) == 0 ? path + n : NULL;
}

/* `full` is absolute. */
static void put_prefix(wchar_t *to, const wchar_t *full) {
    const wchar_t *share = after(full, L"\\\\");
    bool device = after(full, L"\\\\.\\") || after(full, L"\\\\?\\");
    if (device || wcslen(full) < LONG_PATH)
        wcscpy(to, full);
    else if (share)
        wcscat(wcscpy(to, L"\\\\?\\UNC\\"), share);
    else
        wcscat(wcscpy(to, L"\\\\?\\"), full);
}

/* What CreateFileW takes for a path; NULL on failure.  To be freed. */
static wchar_t *system_path(const char *path) {
    enum { PREFIX = 8 };
    wchar_t *given = utf16_of(path);
    DWORD room = given ? GetFullPathNameW(given, 0, NULL, NULL) : 0;
    wchar_t *full = room ? malloc(room * sizeof *full) : NULL;
    wchar_t *result = room ? malloc((room + PREFIX) * sizeof *result) : NULL;
    if (given && !room)
        errno = ENOENT;
    if (room && (!full || !result))
        errno = ENOMEM;
    DWORD n = full && result ? GetFullPathNameW(given, room, full, NULL) : 0;
    if (n > 0 && n < room) {
        put_prefix(result, full);
    } else {
        free(result); /* or another thread has changed the folder */
        result = NULL;
    }
    free(given);
    free(full);
    return result;
}

/* The path of what is open, as fs_real_path gives it. */
static char *final_path_of(HANDLE handle) {
    DWORD flags = FILE_NAME_NORMALIZED | VOLUME_NAME_DOS;
    DWORD room = GetFinalPathNameByHandleW(handle, NULL, 0, flags);
    wchar_t *wide = room ? malloc((room + 1) * sizeof *wide) : NULL;
    DWORD n = wide ? GetFinalPathNameByHandleW(handle, wide, room + 1, flags) : 0;
    if (n == 0 || n > room) {
        (void)failed();
        free(wide);
        return NULL;
    }
    for (wchar_t *p = wide; *p; p++)
        *p = *p == L'\\' ? L'/' : *p;
    const wchar_t *share = after(wide, L"//?/UNC/"), *local = after(wide, L"//?/");
    char *path = utf8_of(share ? share - 2 : local ? local : wide);
    if (path && share) /* the C and the slash before the server */
        path[0] = '/';
    free(wide);
    return path;
}

Str file_name(Str path) {
    size_t start = path.n >= 2 && path.p[1] == ':' ? 2 : 0;
    for (size_t i = start; i < path.n; i++)
        if (path.p[i] == '/' || path.p[i] == '\\')
            start = i + 1;
    return (Str){path.p + start, path.n - start};
}

size_t fs_root_length(Str real_path) {
    size_t slashes = 0, i = 0;
    if (!str_starts(real_path, STR("//")))
        return real_path.n >= 2 && real_path.p[1] == ':' ? 2 : 0;
    for (; i < real_path.n; i++)
        if (real_path.p[i] == '/' && ++slashes == 4)
            break;
    return i;
}

/* --- names that Windows reads otherwise ------------------------------------------ */

static bool is_same_letter(char a, char b) {
    return a == b || (char_is_letter(a) && char_is_letter(b) && (a ^ b) == 0x20);
}

/* Whether s begins with `word`, of whatever case, and `rest` of it follows. */
static bool is_word(Str s, const char *word, Str *rest) {
    size_t n = strlen(word);
    for (size_t i = 0; i < n; i++)
        if (i == s.n || !is_same_letter(s.p[i], word[i]))
            return false;
    *rest = (Str){s.p + n, s.n - n};
    return true;
}

/* Device names are taken whatever the folder and the extension: "a/nul.bin" is NUL.
 * Source: Microsoft, "Naming Files, Paths, and Namespaces". */
static bool is_device(Str part) {
    static const char *const alone[] = {"CON",    "PRN",     "AUX",   "NUL",
                                        "CONIN$", "CONOUT$", "CLOCK$"};
    static const char *const numbered[] = {"COM", "LPT"};
    Str name = str_before(part, '.'), rest;
    while (name.n && name.p[name.n - 1] == ' ')
        name.n--;
    for (size_t i = 0; i < OX_COUNT(alone); i++)
        if (is_word(name, alone[i], &rest) && rest.n == 0)
            return true;
    for (size_t i = 0; i < OX_COUNT(numbered); i++) {
        if (!is_word(name, numbered[i], &rest))
            continue;
        if (rest.n == 1 && char_is_digit(rest.p[0]))
            return true;
        /* superscripts one to three */
        if (str_is(rest, "\xC2\xB9") || str_is(rest, "\xC2\xB2") ||
            str_is(rest, "\xC2\xB3"))
            return true;
    }
    return false;
}

static const char *bad_part(Str part) {
    bool dots = str_is(part, ".") || str_is(part, "..");
    char last = part.n ? part.p[part.n - 1] : '/';
    if (!dots && (last == '.' || last == ' '))
        return "a part of its path ends in a dot or a space";
    return is_device(part) ? "its path names a device" : NULL;
}

const char *fs_bad_location(Str location) {
    if (location.n > 0x7000)
        return "its path is too long";
    for (size_t i = 0; i < location.n; i++) {
        unsigned char c = (unsigned char)location.p[i];
        if (c == '\\')
            return "its path holds a backslash";
        if (c == ':')
            return "its path holds a colon";
        if (c && (c < ' ' || strchr("<>\"|?*", c)))
            return "its path holds a character that no name has";
    }
    for (size_t i = 0; i < location.n;) {
        Str rest = {location.p + i, location.n - i}, part = str_before(rest, '/');
        const char *why = bad_part(part);
        if (why)
            return why;
        i += part.n + 1;
    }
    return NULL;
}

/* --- what a file is ------------------------------------------------------------- */

static HANDLE handle_of(int fd) {
    return (HANDLE)_get_osfhandle(fd);
}

static bool state_of(HANDLE handle, FileState *state) {
    BY_HANDLE_FILE_INFORMATION info;
    *state = (FileState){.kind = KIND_OTHER};
    if (handle == INVALID_HANDLE_VALUE)
        return false;
    if (GetFileType(handle) != FILE_TYPE_DISK)
        return true;
    if (!GetFileInformationByHandle(handle, &info))
        return failed();
    bool folder = info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY;
    state->kind = folder ? KIND_FOLDER : KIND_REGULAR;
    state->size = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow;
    state->volume = info.dwVolumeSerialNumber;
    state->id = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
    return true;
}

/* Folders, too; access 0 asks what it is. */
static HANDLE open_handle(const char *path, DWORD access, DWORD how) {
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    wchar_t *wide = system_path(path);
    if (!wide)
        return INVALID_HANDLE_VALUE;
    HANDLE handle =
        CreateFileW(wide, access, share, NULL, how,
                    FILE_ATTRIBUTE_NORMAL | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        (void)failed();
    free(wide);
    return handle;
}

bool fs_state(int fd, FileState *state) {
    return state_of(handle_of(fd), state);
}

bool fs_state_of(const char *path, FileState *state) {
    HANDLE handle = open_handle(path, 0, OPEN_EXISTING);
    bool ok = state_of(handle, state);
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    return ok;
}

char *fs_real_path(const char *path) {
    HANDLE handle = open_handle(path, 0, OPEN_EXISTING);
    if (handle == INVALID_HANDLE_VALUE)
        return NULL;
    char *real = final_path_of(handle);
    CloseHandle(handle);
    return real;
}

bool fs_is_link(const char *path) {
    wchar_t *wide = system_path(path);
    DWORD attributes = wide ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    free(wide);
    return attributes != INVALID_FILE_ATTRIBUTES &&
           (attributes & FILE_ATTRIBUTE_REPARSE_POINT);
}

bool fs_is_at_start(int fd) {
    return _lseeki64(fd, 0, SEEK_CUR) == 0;
}

/* --- opening, reading, writing -------------------------------------------------- */

static int descriptor_of(HANDLE handle) {
    if (handle == INVALID_HANDLE_VALUE)
        return -1;
    int fd = _open_osfhandle((intptr_t)handle, _O_BINARY | _O_NOINHERIT);
    if (fd < 0)
        CloseHandle(handle);
    return fd;
}

int fs_open(const char *path, bool wait) {
    (void)wait;
    return descriptor_of(open_handle(path, GENERIC_READ, OPEN_EXISTING));
}

int fs_open_output(const char *path) {
    return descriptor_of(open_handle(path, GENERIC_WRITE, OPEN_EXISTING));
}

int fs_create(const char *path) {
    return descriptor_of(open_handle(path, GENERIC_WRITE, CREATE_NEW));
}

static int dup_binary(int fd) {
    int copy = _dup(fd);
    if (copy >= 0)
        (void)_setmode(copy, _O_BINARY);
    return copy;
}

int fs_dup_input(void) {
    return dup_binary(0);
}

int fs_dup_output(void) {
    return dup_binary(1);
}

/* Who may do what comes from the folder. */
void fs_keep_mode(int fd, const FileState *replaced) {
    (void)fd, (void)replaced;
}

bool fs_close(int fd) {
    return _close(fd) == 0;
}

int64_t fs_read(int fd, char *p, size_t n) {
    return _read(fd, p, n < IO_MAX ? (unsigned)n : IO_MAX);
}

int64_t fs_write(int fd, const char *p, size_t n) {
    return _write(fd, p, n < IO_MAX ? (unsigned)n : IO_MAX);
}

bool fs_rename(const char *from, const char *to) {
    wchar_t *wide_from = system_path(from);
    wchar_t *wide_to = wide_from ? system_path(to) : NULL;
    bool ok = wide_to &&
              (MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING) || failed());
    free(wide_from);
    free(wide_to);
    return ok;
}

bool file_remove(const char *path) {
    wchar_t *wide = system_path(path);
    bool ok = wide && (DeleteFileW(wide) || failed());
    free(wide);
    return ok;
}

long fs_process(void) {
    return (long)GetCurrentProcessId();
}

/* --- maps ----------------------------------------------------------------------- */

void *fs_map(int fd, size_t n) {
    HANDLE map = CreateFileMappingW(handle_of(fd), NULL, PAGE_READONLY, 0, 0, NULL);
    void *p = map ? MapViewOfFile(map, FILE_MAP_READ, 0, 0, n) : NULL;
    if (!p)
        (void)failed();
    if (map)
        CloseHandle(map); /* the view keeps it */
    return p;
}

void fs_unmap(void *p, size_t n) {
    (void)n;
    UnmapViewOfFile(p);
}

void fs_advise(const char *p, size_t n, MapAdvice advice) {
    (void)p, (void)n, (void)advice;
}

size_t fs_copy(int to, int fd, uint64_t offset, size_t n, const atomic_bool *stop) {
    (void)to, (void)fd, (void)offset, (void)n, (void)stop;
    return 0;
}

/* --- beside the model ----------------------------------------------------------- */

/* Where the file lies is asked of what was opened, so that no link can change between. */
int fs_open_inside(const char *base, const char *path, const char **why) {
    int fd = fs_open(path, false);
    char *full = fd >= 0 ? final_path_of(handle_of(fd)) : NULL;
    bool folder = full && strcmp(full, base) == 0;
    if (full && !folder && !file_is_inside(base, full))
        *why = "it is reached through a link that leaves the model's folder";
    int error = folder ? EISDIR : errno;
    if (fd >= 0 && (!full || folder || *why)) {
        (void)fs_close(fd);
        fd = -1;
    }
    free(full);
    errno = error;
    return fd;
}
