/* Files that travel inside the plugin. */
#ifndef FILES_ASSETS_H
#define FILES_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name;
    const unsigned char *bytes;
    size_t size;
};

extern const struct asset asset_files_css, asset_files_js, asset_icon_svg, asset_lighttpd_conf_in;

#endif
