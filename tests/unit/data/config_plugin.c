/* A plugin for the tests of machine.yaml: its note counts, its code never runs. */
#include <clan/note.h>
#include <clan/plugin.h>
#include <stddef.h>

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_SERVICE, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .id = "files", .version = "1.2", .title = "Files",
    .sentence = "Shared files.", .asks_count = 4,
    .asks = {"fs.state", "net.service", "exec:lighttpd", "net.listen"});

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return NULL;
}
