/* clan plugin new: a folder with a plugin that builds, tests itself and installs, from the SDK's templates. */
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/out.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE_MAX  (256u << 10)
#define NEW_FILES_MAX 8
#define NEW_NAME_MAX  31 /* of a plugin's id */

struct new_file {
    char from[64], to[80]; /* below the template, below the new folder */
    struct text text;
};

struct new_plugin {
    struct cli *c;
    const char *name, *kind, *suffix, *template_dir, *dir;
    char title[NEW_NAME_MAX + 1], source[NEW_NAME_MAX + 5];
    struct new_file files[NEW_FILES_MAX];
    unsigned file_count, written;
    bool made_dir, made_tests;
};

static bool one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static clan_status take_options(struct new_plugin *n)
{
    struct cli *c = n->c;
    const char *lang = cli_opt(c, "lang"), *dir = cli_opt(c, "dir"),
               *from = cli_opt(c, "template-dir");
    n->name = c->args[0];
    n->kind = cli_opt(c, "kind");
    n->suffix = lang && strcmp(lang, "c++") == 0 ? "cc" : "c";
    n->dir = dir ? dir : n->name;
    n->template_dir = from ? from : CLAN_TEMPLATEDIR;
    if (strlen(n->name) > NEW_NAME_MAX || !text_name_ok(n->name)) {
        err_set(&c->e, CLAN_E_INVAL, "\"%.40s\" is no name for a plugin", n->name);
        err_why(&c->e, "a name is 1 to %d of a-z, 0-9 and '-', no '-' at either end", NEW_NAME_MAX);
        err_remedy(&c->e, "choose another, for example: clan plugin new hello --kind service");
        return c->e.status;
    }
    if (!n->kind || !one_of(n->kind, "transport", "service")) {
        err_set(&c->e, CLAN_E_INVAL,
            n->kind ? "\"%.40s\" is no kind of plugin" : "a plugin needs a kind", n->kind);
        err_remedy(&c->e, "say --kind service (runs something for the clan) or --kind "
                          "transport (connects machines)");
        return c->e.status;
    }
    if (lang && !one_of(lang, "c", "c++")) {
        err_set(&c->e, CLAN_E_INVAL, "there is no template in \"%.40s\"", lang);
        err_remedy(&c->e, "say --lang c or --lang c++");
        return c->e.status;
    }
    snprintf(n->title, sizeof n->title, "%s", n->name);
    n->title[0] = (char)toupper((unsigned char)n->title[0]);
    for (char *at = n->title; *at; at++)
        *at = *at == '-' ? ' ' : *at;
    snprintf(n->source, sizeof n->source, "%s.%s", n->name, n->suffix);
    return CLAN_OK;
}

static void add_file(struct new_plugin *n, const char *folder, const char *from, const char *to)
{
    struct new_file *f = &n->files[n->file_count++];
    snprintf(f->from, sizeof f->from, "%s%s%s", folder, folder[0] ? "/" : "", from);
    snprintf(f->to, sizeof f->to, "%s", to);
}

static void list_files(struct new_plugin *n)
{
    bool plus = n->suffix[1] == 'c';
    char from[32], to[64];
    const char *build = plus ? "c++" : "c";
    add_file(n, build, "CMakeLists.txt", "CMakeLists.txt");
    add_file(n, build, "Makefile", "Makefile");
    add_file(n, n->kind, "README.md", "README.md");
    snprintf(from, sizeof from, "my-plugin.%s", n->suffix);
    add_file(n, n->kind, from, n->source);
    snprintf(to, sizeof to, "tests/%s_test.c", n->name);
    add_file(n, n->kind, "tests/my-plugin_test.c", to);
    add_file(n, "", "gitignore", ".gitignore");
}

/* The templates are a plugin called my-plugin: its names become those of the new one, in one pass. */
static void fill_in(const struct new_plugin *n, const char *text, struct text *ret)
{
    const char *const names[][2] = {{"my-plugin", n->name}, {"My plugin", n->title},
        {"my-kind", n->kind}, {"my-source", n->source}};
    while (*text) {
        unsigned i = 0;
        size_t len = 1;
        while (i < 4 && strncmp(text, names[i][0], strlen(names[i][0])) != 0)
            i++;
        if (i < 4) {
            len = strlen(names[i][0]);
            text_add(ret, "%s", names[i][1]);
        } else {
            len = strcspn(text + 1, "mM") + 1;
            text_add(ret, "%.*s", (int)len, text);
        }
        text += len;
    }
}

static clan_status read_templates(struct new_plugin *n)
{
    struct cli *c = n->c;
    int dir = open(n->template_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    clan_status st = CLAN_OK;
    if (dir < 0) {
        err_errno(&c->e, CLAN_E_NOENT, "there are no templates at %s", n->template_dir);
        err_remedy(&c->e, "install Clan with its SDK, or say --template-dir DIR");
        return c->e.status;
    }
    for (unsigned i = 0; st == CLAN_OK && i < n->file_count; i++) {
        uint8_t *data = NULL;
        size_t size;
        st = file_read(dir, n->files[i].from, NEW_FILE_MAX, &data, &size, &c->e);
        if (st == CLAN_OK)
            fill_in(n, (const char *)data, &n->files[i].text);
        if (n->files[i].text.failed)
            st = err_set(&c->e, CLAN_E_NOMEM, "out of memory");
        free(data);
    }
    close(dir);
    return st;
}

/* Nothing of anybody's is overwritten: the folder must be new or empty. */
static clan_status check_folder(struct new_plugin *n)
{
    struct cli *c = n->c;
    DIR *d = opendir(n->dir);
    const struct dirent *e = NULL;
    if (!d && errno == ENOENT)
        return CLAN_OK;
    if (!d)
        return err_errno(&c->e, CLAN_E_IO, "%s cannot be used for the plugin", n->dir);
    while ((e = readdir(d)) && one_of(e->d_name, ".", ".."))
        ;
    if (e) {
        err_set(&c->e, CLAN_E_EXIST, "%s is not empty", n->dir);
        err_why(&c->e, "%.64s is in it, and nothing is overwritten", e->d_name);
        err_remedy(&c->e, "choose another folder with --dir");
    }
    closedir(d);
    return e ? CLAN_E_EXIST : CLAN_OK;
}

static clan_status make_folder(struct new_plugin *n, int *ret_dir)
{
    struct cli *c = n->c;
    n->made_dir = mkdir(n->dir, 0777) == 0;
    *ret_dir =
        n->made_dir || errno == EEXIST ? open(n->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (*ret_dir < 0) {
        err_errno(&c->e, CLAN_E_IO, "the folder %s cannot be made", n->dir);
        err_remedy(&c->e, "see that the folder above it is there and yours");
        return c->e.status;
    }
    n->made_tests = mkdirat(*ret_dir, "tests", 0777) == 0;
    return n->made_tests ? CLAN_OK : err_errno(&c->e, CLAN_E_IO, "%s/tests cannot be made", n->dir);
}

static clan_status write_file(struct new_plugin *n, int dir, const struct new_file *f)
{
    int fd = openat(dir, f->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return err_errno(&n->c->e, CLAN_E_IO, "%s/%s cannot be written", n->dir, f->to);
    n->written++;
    clan_status st = file_write_all(fd, f->text.data, f->text.len);
    if (close(fd) != 0 || st != CLAN_OK)
        return err_errno(&n->c->e, CLAN_E_IO, "%s/%s cannot be written", n->dir, f->to);
    return CLAN_OK;
}

static void undo(struct new_plugin *n, int dir)
{
    for (unsigned i = 0; i < n->written; i++)
        unlinkat(dir, n->files[i].to, 0);
    if (n->made_tests)
        unlinkat(dir, "tests", AT_REMOVEDIR);
    if (n->made_dir)
        rmdir(n->dir);
}

static clan_status write_folder(struct new_plugin *n)
{
    int dir = -1;
    clan_status st = make_folder(n, &dir);
    for (unsigned i = 0; st == CLAN_OK && i < n->file_count; i++)
        st = write_file(n, dir, &n->files[i]);
    if (st != CLAN_OK)
        undo(n, dir);
    if (dir >= 0)
        close(dir);
    return st;
}

static void tell(const struct new_plugin *n, bool dry)
{
    struct cli *c = n->c;
    json_t *files = json_array();
    for (unsigned i = 0; i < n->file_count; i++)
        json_array_append_new(files, json_string(n->files[i].to));
    if (c->json) {
        out_json(c, json_pack("{s:s, s:s, s:s, s:o, s:b}", "name", n->name, "kind", n->kind, "dir",
                        n->dir, "files", files, "written", !dry));
        return;
    }
    json_decref(files);
    out_line(c, "%s %s/ with", dry ? "would make" : "made", n->dir);
    for (unsigned i = 0; i < n->file_count; i++)
        out_line(c, "  %s", n->files[i].to);
    if (!dry) {
        out_note(c, "build and test it:");
        out_note(c,
            "  cd %s && cmake -S . -B build && cmake --build build && ctest --test-dir build",
            n->dir);
        out_note(c, "or: make test check; README.md says how it gets into Clan");
    }
}

clan_status cmd_plugin_new(struct cli *c)
{
    struct new_plugin n = {.c = c};
    bool dry = cli_opt(c, "dry-run") != NULL;
    clan_status st = take_options(&n);
    if (st == CLAN_OK) {
        list_files(&n);
        st = read_templates(&n);
    }
    if (st == CLAN_OK)
        st = check_folder(&n);
    if (st == CLAN_OK && !dry)
        st = write_folder(&n);
    if (st == CLAN_OK)
        tell(&n, dry);
    for (unsigned i = 0; i < n.file_count; i++)
        free(n.files[i].text.data);
    return st;
}
