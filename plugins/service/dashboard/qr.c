/* QR codes as the path of their dark modules, for an SVG of the page. */
#include "dashboard.h"

#include "base/text.h"

#include <qrencode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define QR_TEXT_MAX 2048 /* a link has less than 1,000 characters */

/* One rectangle for each run of dark modules in a row. */
static void draw(struct text *t, const QRcode *qr)
{
    int n = qr->width;
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++) {
            int from = x;
            while (x < n && (qr->data[y * n + x] & 1))
                x++;
            if (x > from)
                text_add(t, "M%d %dh%dv1h-%dz", from, y, x - from, x - from);
        }
}

static json_t *code_of(const char *text)
{
    struct text t = {0};
    QRcode *qr = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (!qr)
        return NULL;
    draw(&t, qr);
    json_t *o =
        t.failed ? NULL : json_pack("{s:i, s:i, s:s}", "v", 1, "size", qr->width, "path", t.data);
    sodium_memzero(qr->data, (size_t)qr->width * (size_t)qr->width);
    QRcode_free(qr);
    if (t.data)
        sodium_memzero(t.data, t.len);
    free(t.data);
    return o;
}

/* The session is good: nobody else has anything drawn. */
static void done(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    r->call = NULL;
    if (error)
        http_failed(r, error);
    else
        http_answer(r, MHD_HTTP_OK, code_of(r->job));
}

static void wipe(void *job)
{
    sodium_memzero(job, strlen(job));
    free(job);
}

static bool skip(void *arg, const clan_api_Answer *a)
{
    (void)arg, (void)a;
    return true;
}

void qr_post(struct request *r)
{
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *text = json_object_get(body, "text");
    size_t size = json_string_length(text);
    bool ok = size > 0 && size <= QR_TEXT_MAX && strlen(json_string_value(text)) == size;
    r->job = ok ? strdup(json_string_value(text)) : NULL;
    r->job_free = wipe;
    json_decref(body);
    if (r->job)
        route_call(r, &(clan_api_Request){.which_m = clan_api_Request_status_tag}, skip, done);
    else
        http_error(r, MHD_HTTP_BAD_REQUEST, "that is no text for a QR code",
            "{\"text\": \"...\"} was expected, of at most 2048 characters", "");
}
