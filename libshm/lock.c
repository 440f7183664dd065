/*
 * Locks that die with their holder, and the lock file beside the region that keeps two masters apart. The file is never
 * unlinked: a lock on a name that can be replaced is no lock. The pid in it is only text for people and tools; whether
 * it means anything is decided by the lock.
 */

#include "libshm/lock.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libshm/fault.h"

#ifdef F_OFD_SETLK
enum { SET = F_OFD_SETLK, GET = F_OFD_GETLK };
#else
enum { SET = F_SETLK, GET = F_GETLK };
#endif

static int apply(int fd, int command, short type, uint64_t offset, struct flock *lock)
{
    int result;

    /* l_pid must be 0 for the locks of an open file description. */
    *lock = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = 1};
    do
        result = fcntl(fd, command, lock);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int gws_lock_try(int fd, uint64_t offset)
{
    struct flock lock;
    int result = apply(fd, SET, F_WRLCK, offset, &lock);
    return result == -EAGAIN || result == -EACCES ? 1 : result;
}

void gws_lock_drop(int fd, uint64_t offset)
{
    struct flock lock;
    (void)apply(fd, SET, F_UNLCK, offset, &lock);
}

int gws_lock_test(int fd, uint64_t offset)
{
    struct flock lock;
    int result = apply(fd, GET, F_WRLCK, offset, &lock);
    return result != 0 ? result : lock.l_type != F_UNLCK;
}

static bool lock_path(char path[PATH_MAX], const char *region_path)
{
    int length = snprintf(path, PATH_MAX, "%s.lock", region_path);
    return length > 0 && length < PATH_MAX;
}

/* The pid written in the file; 0 when there is none that could be one. */
static int32_t read_pid(int fd)
{
    char text[32] = {0};
    char *end;
    long pid;

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    pid = strtol(text, &end, 10);
    return end != text && pid > 0 && pid <= INT32_MAX ? (int32_t)pid : 0;
}

/* Longer text first would leave digits of an older pid behind; a reader in between sees no number at all. */
int gws_lock_sign(int fd, int32_t pid)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)pid);

    if (ftruncate(fd, 0) != 0)
        return -errno;
    return pwrite(fd, text, (size_t)length, 0) == length ? 0 : -ENOSPC;
}

static int refuse_busy(int fd, const char *path, struct gws_fault *fault)
{
    int32_t pid = read_pid(fd);

    if (pid == 0)
        return fault_set(fault, -EBUSY, "%s is held by another gatewayd: stop that one, or give this one another state",
                         path);
    return fault_set(fault, -EBUSY,
                     "%s is held by another gatewayd (pid %d): stop that one, or give this one another state", path,
                     (int)pid);
}

int gws_lock_take(const char *region_path, struct gws_fault *fault)
{
    char path[PATH_MAX];
    struct stat st;
    int result;
    int fd;

    if (!lock_path(path, region_path))
        return fault_set(fault, -ENAMETOOLONG, "%s: the path of the state is too long", region_path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0) {
        result = -errno;
        return fault_set(fault, result, "cannot open the lock file %s: %s%s", path, strerror(-result),
                         result == -ENOENT ? ": make the directory first" : "");
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return fault_set(fault, -EINVAL, "the lock file %s is not a regular file: remove it", path);
    }
    result = gws_lock_try(fd, 0);
    if (result == 0)
        result = gws_lock_sign(fd, (int32_t)getpid());
    else if (result == 1)
        result = refuse_busy(fd, path, fault);
    if (result != 0) {
        if (result != -EBUSY)
            fault_set(fault, result, "cannot lock %s: %s", path, strerror(-result));
        close(fd);
        return result;
    }
    return fd;
}

int32_t gws_lock_holder(const char *region_path)
{
    char path[PATH_MAX];
    int32_t pid = 0;
    int fd;

    if (!lock_path(path, region_path))
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return 0;
    if (gws_lock_test(fd, 0) == 1) {
        pid = read_pid(fd);
        if (pid == 0)
            pid = -1;
    }
    close(fd);
    return pid;
}
