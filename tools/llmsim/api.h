#ifndef LLMSIM_API_H
#define LLMSIM_API_H

/* The paths of the imagined provider, in one table: routing, counting and fault filters speak of the same ones. */

#include "gatewayd/str.h"

enum api {
    API_CHAT,
    API_COMPLETIONS,
    API_EMBEDDINGS,
    API_MODERATIONS,
    API_RESPONSES,
    API_MESSAGES,
    API_MODELS, /* the list, and one model by its name */
    API_OTHER,  /* any other path: answered 404 */
    API_CONTROL,
    API_COUNT
};

struct api_path {
    const char *name;   /* in a fault's /on= */
    const char *path;   /* in the counts */
    const char *method;
    const char *needs;  /* the member a request body must have beside `model` */
};

extern const struct api_path api_paths[API_COUNT];

enum api api_of(struct str path);

#endif
