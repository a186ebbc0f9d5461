/* QR codes by half blocks: two modules above each other are one character. */
#include "cli/qr.h"

#include <qrencode.h>
#include <sodium.h>
#include <string.h>

#define MARGIN 2

static bool dark(const QRcode *qr, int x, int y)
{
    int n = qr->width;
    return x >= 0 && y >= 0 && x < n && y < n && (qr->data[y * n + x] & 1);
}

static void print_line(struct cli *c, const QRcode *qr, int y)
{
    /* light modules are drawn: on a dark terminal the code is dark on light */
    if (c->colour)
        fputs("\033[30;107m", c->out);
    for (int x = -MARGIN; x < qr->width + MARGIN; x++) {
        bool top = dark(qr, x, y), below = dark(qr, x, y + 1);
        if (c->colour)
            fputs(top ? (below ? "█" : "▀") : (below ? "▄" : " "), c->out);
        else
            fputs(top ? (below ? " " : "▄") : (below ? "▀" : "█"), c->out);
    }
    fprintf(c->out, "%s\n", c->colour ? "\033[0m" : "");
}

bool qr_print(struct cli *c, const char *text)
{
    QRcode *qr = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (!qr)
        return false;
    bool fits = c->out_tty && c->utf8 && (unsigned)(qr->width + 2 * MARGIN) <= c->width;
    for (int y = -MARGIN; fits && y < qr->width + MARGIN; y += 2)
        print_line(c, qr, y);
    sodium_memzero(qr->data, (size_t)qr->width * (size_t)qr->width);
    QRcode_free(qr);
    return fits;
}
