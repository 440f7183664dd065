#include "gatewayd/statedir.h"

#include <errno.h>
#include <grp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gatewayd/log.h"

/* Only directories of ours are made; one that exists stays as it is, but it must be ours or root's, because whoever
 * owns the directory can put another region in its place. */

static int refuse(char *why, size_t size, const char *path, const char *what)
{
    snprintf(why, size, "%s: %s", path, what);
    return 1;
}

static int make_missing(char *path, const struct process_user *user, char *why, size_t size)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) == 0) {
            if (chmod(path, 0755) != 0) /* whatever the umask is: clients and operators pass through it */
                return refuse(why, size, path, strerror(errno));
            if (user->drop && chown(path, user->uid, user->gid) != 0)
                return refuse(why, size, path, strerror(errno));
        } else if (errno != EEXIST) {
            return refuse(why, size, path, errno == EACCES ? "cannot make this directory; make it, or change `state`"
                                                           : strerror(errno));
        }
        *slash = '/';
    }
    return 0;
}

static void warn_of_disk(const char *directory)
{
    struct statfs fs;
    if (statfs(directory, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
        log_warn("%s is not on tmpfs: writing it back to disk may stall workers. Put `state` under /run or /dev/shm",
                 directory);
}

int statedir_make(const struct conf *conf, const struct process_user *user, uint32_t *gid, char *why, size_t size)
{
    char path[4096];
    struct stat st;
    if (snprintf(path, sizeof path, "%s", conf->state) >= (int)sizeof path || !strchr(path, '/'))
        return refuse(why, size, conf->state, "`state` must be a path with a directory");
    if (conf->admin.group) {
        const struct group *group = getgrnam(conf->admin.group);
        if (!group)
            return refuse(why, size, conf->admin.group, "this group does not exist; create it or change `admin.group`");
        *gid = group->gr_gid;
    }
    if (make_missing(path, user, why, size) != 0)
        return 1;
    *strrchr(path, '/') = '\0';
    if (path[0] == '\0')
        snprintf(path, sizeof path, "/");
    if (stat(path, &st) != 0)
        return refuse(why, size, path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return refuse(why, size, path, "is no directory; remove it, or change `state`");
    bool ours = st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == user->uid;
    if (!ours || ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
        return refuse(why, size, path,
                      "others can replace files in this directory; give it to the gateway's user with mode 0755");
    warn_of_disk(path);
    return 0;
}
