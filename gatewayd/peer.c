#include "gatewayd/peer.h"

#include <sys/socket.h>
#include <unistd.h>

/* Linux has a socket option for this, the BSDs a function; POSIX has neither. */

bool peer_uid(int fd, uint32_t *uid)
{
#ifdef SO_PEERCRED
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    *uid = peer.uid;
    return true;
#else
    uid_t user;
    gid_t group;
    if (getpeereid(fd, &user, &group) != 0)
        return false;
    *uid = user;
    return true;
#endif
}
