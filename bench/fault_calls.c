/* Lets system calls fail: loaded before the C library (LD_PRELOAD), told what to do by bench/fault_calls.py.

   Counted are the calls of the chosen kinds that concern a file whose path begins with the chosen folder; those with a
   number from first to last fail with the chosen error, or are cut short where there is none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, CUT = 16, NAME = 32, REMOVE = 64, MAP = 128, LOCK = 256, TIME = 512 };
enum { MOST = 65536 };

static _Atomic int count, failed, first, last, kinds, error;
static char folder[4096];
static _Atomic char is_ours[MOST];

void faults_plan(const char *place, int chosen, int begin, int end, int number) {
    kinds = 0; count = 0; failed = 0; first = begin; last = end; error = number;
    snprintf(folder, sizeof folder, "%s", place);
    kinds = chosen;
}
void faults_end(void) { kinds = 0; }
int faults_count(void) { return count; }
int faults_failed(void) { return failed; }

static int reached(int kind) {
    if (!(kinds & kind)) return 0;
    int number = atomic_fetch_add(&count, 1) + 1;
    if (number < first || number > last) return 0;
    failed++;
    return 1;
}
static int within(const char *path) { return path && folder[0] && !strncmp(path, folder, strlen(folder)); }
static int ours(int fd) { return fd >= 0 && fd < MOST && is_ours[fd]; }
static int noted(int fd, const char *path) {
    if (fd >= 0 && fd < MOST) is_ours[fd] = (char)within(path);
    return fd;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define REFUSE return errno = error ? error : EIO, -1
#define BY_FD(kind) if (ours(fd) && reached(kind)) REFUSE
#define BY_PATH(kind) if (within(path) && reached(kind)) REFUSE

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        BY_PATH(OPEN); return noted(real(path, flags, mode), path); }
OPENING(open) OPENING(open64)
#define OPENING_AT(name) \
    int name(int at, const char *path, int flags, ...) { \
        REAL(name); va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        BY_PATH(OPEN); return noted(real(at, path, flags, mode), path); }
OPENING_AT(openat) OPENING_AT(openat64)

#define MOVING(name, kind, type) \
    ssize_t name(int fd, type data, size_t size, off_t at) { \
        REAL(name); if (ours(fd) && reached(kind)) { if (error || size < 2) REFUSE; size /= 2; } \
        return real(fd, data, size, at); }
MOVING(pread, READ, void *) MOVING(pread64, READ, void *)
MOVING(pwrite, WRITE, const void *) MOVING(pwrite64, WRITE, const void *)
#define PASSING(name, kind, type) \
    ssize_t name(int fd, type data, size_t size) { \
        REAL(name); if (ours(fd) && reached(kind)) { if (error || size < 2) REFUSE; size /= 2; } \
        return real(fd, data, size); }
PASSING(read, READ, void *) PASSING(write, WRITE, const void *)

int fsync(int fd) { REAL(fsync); BY_FD(SYNC); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); BY_FD(SYNC); return real(fd); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); BY_FD(CUT); return real(fd, size); }
int ftruncate64(int fd, off_t size) { REAL(ftruncate64); BY_FD(CUT); return real(fd, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate); if (ours(fd) && reached(CUT)) return error ? error : EIO; return real(fd, at, size); }
int flock(int fd, int what) { REAL(flock); BY_FD(LOCK); return real(fd, what); }
#define CONTROL(name) \
    int name(int fd, int what, ...) { \
        REAL(name); va_list more; va_start(more, what); void *with = va_arg(more, void *); va_end(more); \
        if ((what == F_SETLK || what == F_SETLKW) && ours(fd) && ((struct flock *)with)->l_type != F_UNLCK \
            && reached(LOCK)) REFUSE; \
        return real(fd, what, with); }
CONTROL(fcntl) CONTROL(fcntl64)
#define MAPPING(name) \
    void *name(void *near, size_t size, int kind, int flags, int fd, off_t at) { \
        REAL(name); if (ours(fd) && reached(MAP)) { errno = error ? error : ENOMEM; return MAP_FAILED; } \
        return real(near, size, kind, flags, fd, at); }
MAPPING(mmap) MAPPING(mmap64)

int rename(const char *path, const char *to) { REAL(rename); BY_PATH(NAME); return real(path, to); }
int link(const char *path, const char *to) { REAL(link); BY_PATH(NAME); return real(path, to); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); BY_PATH(NAME); return real(path, mode); }
int unlink(const char *path) { REAL(unlink); BY_PATH(REMOVE); return real(path); }
int rmdir(const char *path) { REAL(rmdir); BY_PATH(REMOVE); return real(path); }
int futimens(int fd, const struct timespec times[2]) { REAL(futimens); BY_FD(TIME); return real(fd, times); }
int utimensat(int at, const char *path, const struct timespec times[2], int flags) {
    REAL(utimensat); BY_PATH(TIME); return real(at, path, times, flags); }
