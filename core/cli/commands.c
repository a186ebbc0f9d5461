/* The command table: help, completion and manual are written from it, and the program runs on it.
 */
#include "cli/cli.h"

#define KEY_OPTION                                                                                 \
    {                                                                                              \
        "key", "KEY",                                                                              \
            "admin key: a file, or ssh:NAME of the ssh-agent; several where several admins must "  \
            "sign",                                                                                \
            0, true                                                                                \
    }
#define FORGET_OPTION                                                                              \
    {                                                                                              \
        "forget-signed", NULL, "sign although this key signed another text of that number before", \
            0, false                                                                               \
    }
#define DRY_OPTION                                                                                 \
    {                                                                                              \
        "dry-run", NULL, "only show what would change", 'n', false                                 \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, NULL, 0, false                                                                 \
    }

static const struct cli_option up_options[] = {
    {"name", "NAME", "name of the clan (home)", 0, false},
    {"machine", "NAME", "name of this machine in it (its host name)", 0, false},
    {"key", "KEY", "where the admin key lies or is made, or ssh:NAME: a key of the ssh-agent", 0,
        false},
    {"no-questions", NULL, "ask nothing", 0, false}, END};
static const struct cli_option invite_options[] = {
    {"for", "NAME", "the name that the new machine gets", 0, false},
    {"uses", "N", "how many machines may join with it (1)", 0, false},
    {"expires", "TIME", "how long it is good: 30m, 1h, 7d (1h)", 0, false},
    {"phone", NULL,
        "a WireGuard configuration instead, for a phone without Clan behind this machine", 0,
        false},
    {"endpoint", "HOST[:PORT]", "--phone: where this machine is from outside (its best address)", 0,
        false},
    {"file", "FILE", "--phone: write it to a new file that only you may read", 0, false},
    KEY_OPTION, END};
static const struct cli_option key_options[] = {KEY_OPTION, END};
static const struct cli_option join_options[] = {
    {"fingerprint", "WORDS", "the clan's six words, compared before anything is contacted", 0,
        false},
    {"as", "NAME", "what the clan is called here", 0, false},
    {"wait", "TIME", "how long to wait for the confirmation (5s)", 0, false}, END};
static const struct cli_option machines_options[] = {
    {"words", NULL, "the six words of each machine", 0, false}, END};
static const struct cli_option enable_options[] = {
    {"on", "MACHINE", "where it runs (this machine)", 0, false},
    {"as", "NAME", "name of the service (the plugin's)", 0, false},
    {"allow", "LIST", "who may use it: all, provisional, machines, tag:NAME (all)", 0, false},
    {"set", "KEY=VALUE", "a setting of the plugin, instead of being asked for it", 0, true},
    {"plugin-dir", "DIR", "where the plugins lie", 0, false}, DRY_OPTION, KEY_OPTION, FORGET_OPTION,
    END};
static const struct cli_option change_options[] = {DRY_OPTION, KEY_OPTION, FORGET_OPTION, END};
static const struct cli_option config_apply_options[] = {
    {"from", "VERSION", "the version that the text was made from; refused when another is in force",
        0, false},
    DRY_OPTION, KEY_OPTION, FORGET_OPTION, END};
static const struct cli_option generate_options[] = {
    {"machine", NULL, "of machine.yaml instead of clan.yaml", 0, false}, END};
static const struct cli_option apply_options[] = {
    {"owner", "USER", "who owns this machine (who called sudo, else root)", 0, false},
    {"plugin-dir", "DIR", "where the plugins lie", 0, false}, DRY_OPTION, END};
static const struct cli_option plugins_options[] = {
    {"plugin-dir", "DIR", "where the plugins lie", 0, false}, END};
static const struct cli_option grant_options[] = {
    {"hash", "HEX", "only if the file's hash begins so (8 digits or more); --yes needs it", 0,
        false},
    {"signer", "NAME",
        "for every version that this key signs, not just this file; a name of signatures.keys in "
        "machine.yaml",
        0, false},
    {"owner", "USER", "who owns this machine (who called sudo, else root)", 0, false},
    {"plugin-dir", "DIR", "where the plugins lie", 0, false}, DRY_OPTION, END};
static const struct cli_option revoke_options[] = {DRY_OPTION, END};
static const struct cli_option new_options[] = {
    {"kind", "KIND", "service (runs something for the clan) or transport (connects machines)", 0,
        false},
    {"lang", "LANGUAGE", "c or c++ (c)", 0, false},
    {"dir", "DIR", "the folder to make (the name)", 0, false},
    {"template-dir", "DIR", "where the templates lie", 0, false},
    {"dry-run", NULL, "only show what would be made", 'n', false}, END};
static const struct cli_option remove_options[] = {KEY_OPTION, FORGET_OPTION, END};
static const struct cli_option status_options[] = {
    {"dismiss", NULL, "the alarms about invitations were read: show them no more", 0, false}, END};
static const struct cli_option ping_options[] = {{"count", "N", "how many times (4)", 'c', false},
    {"interval", "MS", "milliseconds between two (1000)", 'i', false},
    {"control", NULL, "over the control channel only", 0, false}, END};
static const struct cli_option ui_options[] = {
    {"print", NULL, "print the address instead of opening it", 0, false},
    {"no-sign", NULL, "do not stay to sign what the page asks for", 0, false},
    {"plugin-dir", "DIR", "where the plugins lie", 0, false}, END};
static const struct cli_option open_options[] = {
    {"print", NULL, "print the page's address instead of opening it", 0, false},
    {"plugin-dir", "DIR", "where the plugins lie", 0, false}, END};
static const struct cli_option sign_options[] = {
    {"watch", NULL, "stay for what comes", 'w', false}, KEY_OPTION, END};
static const struct cli_option logs_options[] = {
    {"follow", NULL, "go on with what comes", 'f', false},
    {"process", "NAME", "of one process: core, link, resolver, keeper, host-NAME, cland", 'p',
        false},
    {"lines", "N", "how many lines of the end (200)", 'n', false}, END};

const struct cli_command cli_commands[] = {
    {"up", "", "make a clan of this machine, or start one that was put down", up_options,
        "clan up\nclan up --name home --machine nas\nclan up --key ssh:SHA256:0m...\n", 0, 0,
        cmd_up,
        "The first time it makes the clan's admin key, a file of the user that the daemon never "
        "sees, and "
        "shows twelve recovery words that are the same key in another form. With --key ssh:NAME "
        "the ssh-agent signs, with an Ed25519 key by fingerprint or comment; such a key has no "
        "recovery words, and its agent should ask before each use (`ssh-add -c`)."},
    {"join", "[-]", "join a clan by an invitation link", join_options,
        "clan join\nclan join - < link.txt\n"
        "clan join - --yes --fingerprint \"six words of the clan\" < link.txt\n",
        0, 1, cmd_join,
        "It asks twice: before it contacts the address in the link, and before it joins. A link is "
        "a "
        "secret: paste it when asked, never put it on a command line."},
    {"invite", "[NAME]", "make a link that lets a machine join, or a phone's configuration",
        invite_options,
        "clan invite --for laptop\nclan invite --uses 3 --expires 2h\nclan invite --phone pixel\n",
        0, 1, cmd_invite,
        "One admin may invite for up to 5 uses and 24 hours; more needs as many admins as the "
        "configuration does. With --phone [NAME] no link is made: a phone with the WireGuard app "
        "becomes a guest device behind this machine, which has to speak WireGuard and to be on. "
        "The phone's key is made here, shown once as QR code and text, and not kept. It reaches "
        "the clan's addresses as `allow` says, and nothing else; `clan remove NAME` ends it."},
    {"invite list", "", "the clan's invitations and who came by them", NULL, "clan invite list\n",
        0, 0, cmd_invite_list, NULL},
    {"invite withdraw", "ID", "close an invitation before it is used up", key_options,
        "clan invite withdraw q5kd7mza\n", 1, 1, cmd_invite_withdraw, NULL},
    {"status", "", "what needs attention, this machine, all machines", status_options,
        "clan status\nclan status --json\n", 0, 0, cmd_status,
        "Alarms about invitations that were used again stay for 30 days, or until they are "
        "dismissed."},
    {"machines", "", "the machines of the clan", machines_options,
        "clan machines\nclan machines --words\n", 0, 0, cmd_machines, NULL},
    {"machines remove", "NAME", "remove a machine for good", remove_options,
        "clan machines remove laptop\n", 1, 1, cmd_remove, "The same as `clan remove`."},
    {"machines rename", "OLD NEW", "give a machine another name", change_options,
        "clan machines rename m-q5kd7mza laptop\n", 2, 2, cmd_rename, NULL},
    {"remove", "NAME", "remove a machine for good", remove_options, "clan remove laptop\n", 1, 1,
        cmd_remove,
        "A removal is final: the machine comes back only by a new invitation and as a new machine. "
        "What "
        "it copied while it was a member cannot be taken back."},
    {"services", "", "the services of the clan and their addresses", NULL, "clan services\n", 0, 0,
        cmd_services, NULL},
    {"enable", "PLUGIN", "run a service on a machine of the clan", enable_options,
        "clan enable files --on nas\nclan enable files --as photos --on nas --allow "
        "laptop,tag:family\n"
        "clan enable files --on nas --set title=Photos\n"
        "clan enable files --on nas --dry-run\n",
        1, 1, cmd_enable,
        "PLUGIN is what `clan plugin list` shows on the machine that runs it. A name that is "
        "nearly "
        "that of a known plugin is refused before anything is signed. One that no machine is known "
        "to "
        "have is signed when you agree (or with --yes): the service waits until its plugin is "
        "installed and granted there."},
    {"disable", "SERVICE", "stop a service and take it out of the configuration", change_options,
        "clan disable files\n", 1, 1, cmd_disable, NULL},
    {"config show", "[VERSION]", "the text of clan.yaml", NULL, "clan config show > clan.yaml\n", 0,
        1, cmd_config_show, NULL},
    {"config check", "FILE", "every mistake in a clan.yaml", NULL, "clan config check clan.yaml\n",
        1, 1, cmd_config_check, NULL},
    {"config apply", "FILE", "sign an edited clan.yaml and send it to every machine",
        config_apply_options,
        "clan config show > clan.yaml; $EDITOR clan.yaml; clan config apply clan.yaml\n", 1, 1,
        cmd_config_apply,
        "The next version number is filled in when the text was made from the present one."},
    {"config diff", "[FILE | VERSION [VERSION]]", "what differs", NULL,
        "clan config diff\nclan config diff clan.yaml\nclan config diff 3 7\n", 0, 2,
        cmd_config_diff, NULL},
    {"config log", "", "all versions, when and by whom", NULL, "clan config log\n", 0, 0,
        cmd_config_log, NULL},
    {"config schema", "", "JSON Schema of clan.yaml", generate_options,
        "clan config schema > clan.schema.json\n", 0, 0, cmd_config_schema, NULL},
    {"config example", "", "a commented example of clan.yaml", generate_options,
        "clan config example\nclan config example --machine\n", 0, 0, cmd_config_example, NULL},
    {"machine apply", "[FILE]", "grant what machine.yaml says (as root)", apply_options,
        "sudo clan machine apply\nclan machine apply --dry-run my-machine.yaml\n", 0, 1,
        cmd_machine_apply,
        "The owner's word about this machine: which plugins may do what. Nothing in a clan can "
        "raise it."},
    {"machine show", "", "what is granted on this machine", NULL, "clan machine show\n", 0, 0,
        cmd_machine_show, NULL},
    {"machine plugins", "", "the plugins of this machine, what they ask for and have",
        plugins_options, "clan machine plugins\n", 0, 0, cmd_plugin_list,
        "The same as `clan plugin list`."},
    {"plugin list", "", "the plugins of this machine, what they ask for and have", plugins_options,
        "clan plugin list\n", 0, 0, cmd_plugin_list, NULL},
    {"plugin show", "PLUGIN", "what a plugin is, who signed it, what it may do, in words",
        plugins_options, "clan plugin show files\nclan plugin show ./hello.so\n", 1, 1,
        cmd_plugin_show,
        "A path shows a file that is not installed. None of the file's code runs."},
    {"plugin grant", "PLUGIN [PERMISSION...]", "let a plugin do what it asks for (as root)",
        grant_options,
        "sudo clan plugin grant files\nsudo clan plugin grant files fs.state net.service\n"
        "clan plugin grant files --dry-run\n",
        1, 16, cmd_plugin_grant,
        "It shows what the plugin may do then, asks once, and writes machine.yaml. Of a plugin "
        "that is "
        "known it shows what is new. Without permissions it grants all that the plugin asks for."},
    {"plugin revoke", "PLUGIN [PERMISSION...]", "take back what a plugin may do (as root)",
        revoke_options,
        "sudo clan plugin revoke files\nsudo clan plugin revoke tcp-noise net.connect:internet\n",
        1, 16, cmd_plugin_revoke,
        "Without permissions it takes all, and the plugin ends. Its data stays."},
    {"plugin new", "NAME", "make a folder with a plugin of your own, to build on", new_options,
        "clan plugin new hello --kind service\n"
        "clan plugin new pigeon --kind transport --lang c++ --dir ~/src/pigeon\n",
        1, 1, cmd_plugin_new,
        "It builds, tests itself and installs with CMake or a plain Makefile; the SDK comes with "
        "Clan. Nothing is overwritten."},
    {"ping", "MACHINE", "is a machine reachable, by which path, how fast", ping_options,
        "clan ping nas\nclan ping nas -c 1\n", 1, 1, cmd_ping, NULL},
    {"paths", "MACHINE", "by which transports a machine is reached, and which were used lately",
        NULL, "clan paths nas\n", 1, 1, cmd_paths,
        "Packets take the best path by the order in clan.yaml that answers. One that passes "
        "nothing is "
        "left at once; a better one takes over when it has answered for a while."},
    {"netcheck", "", "what of the network works, and what to do about the rest", NULL,
        "clan netcheck\nsudo clan netcheck\nclan netcheck --json\n", 0, 0, cmd_netcheck,
        "Each line is ok, warn, fail or unknown. The exit code is 1 when one of them is fail, else "
        "0; "
        "it is 1 also where Clan does not run. It sends packets to machines of the clan only. Some "
        "things root alone may see."},
    {"ui", "[MACHINE]", "the dashboard in your browser, signed in", ui_options,
        "clan ui\nclan ui --print\nclan ui nas\n", 0, 1, cmd_ui,
        "Its address is good once, for half a minute, in a browser of the user who asks. On a "
        "terminal it then does as `clan sign --watch`. In no clan yet the page makes one or joins "
        "one. With MACHINE, or the name of a service, it shows what that machine sees; its owner "
        "allows that, and nothing is changed from there. The dashboard is a plugin: sudo clan "
        "plugin grant dashboard."},
    {"open", "[LINK | -]", "ask about an invitation link, for desktops that open clan: links",
        open_options, "clan open - < link.txt\nclan open --print - < link.txt\n", 0, 1, cmd_open,
        "The question comes in the browser, else on the terminal, else in a window of zenity or "
        "kdialog. Nothing is contacted before the first yes. On a terminal `clan join` is the "
        "same; "
        "a link that is pasted there is seen by nobody else."},
    {"sign", "", "sign what pages of the dashboard ask for", sign_options,
        "clan sign\nclan sign --watch\n", 0, 0, cmd_sign,
        "Each request is shown with the command that it is and what would change, and asked about. "
        "Pages may ask for enable, disable, invite, invite withdraw, remove, machines rename and "
        "config apply, and for nothing else. --json lists the requests and signs none."},
    {"logs", "", "what the processes of Clan said", logs_options,
        "clan logs\nclan logs -f -p core\n", 0, 0, cmd_logs, NULL},
    {"down", "", "stop a clan on this machine; `clan up` starts it again", NULL, "clan down\n", 0,
        0, cmd_down, NULL},
    {"leave", "", "take this machine out of its clan for good", NULL, "clan leave\n", 0, 0,
        cmd_leave, NULL},
    {"help", "[COMMAND]", "what a command does", NULL, "clan help invite\n", 0, 2, cmd_help, NULL},
    {"completion", "SHELL", "completion for bash, zsh or fish", NULL,
        "clan completion bash > ~/.local/share/bash-completion/completions/clan\n", 1, 1,
        cmd_completion, NULL},
    {"man", "", "the manual page", NULL, "clan man > clan.1\n", 0, 0, cmd_man, NULL},
    {"version", "", "the version of this program", NULL, "clan version\n", 0, 0, cmd_version, NULL},
};
const unsigned cli_command_count = sizeof cli_commands / sizeof cli_commands[0];
