// Every flush of this process takes 10 ms longer, as on a slow card. Loaded with LD_PRELOAD by the
// benchmark (src/slow_disk.rs).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void slowly(void) {
    int kept = errno;
    struct timespec left = {.tv_sec = 0, .tv_nsec = 10 * 1000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    errno = kept;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
    int result = NEXT(fsync)(fd);
    slowly();
    return result;
}

int fdatasync(int fd) {
    int result = NEXT(fdatasync)(fd);
    slowly();
    return result;
}

int syncfs(int fd) {
    int result = NEXT(syncfs)(fd);
    slowly();
    return result;
}

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned int flags) {
    int result = NEXT(sync_file_range)(fd, offset, count, flags);
    slowly();
    return result;
}

int msync(void *address, size_t length, int flags) {
    int result = NEXT(msync)(address, length, flags);
    slowly();
    return result;
}
