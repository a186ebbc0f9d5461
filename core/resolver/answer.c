/* DNS without I/O: parsing by glibc's ns_*, replies by the bounded writer. */
#include "resolver/answer.h"

#include "base/buf.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#define HEADER     12
#define SOA_MIN    RESOLVER_TTL_S /* how long "no such name" is kept */
#define EDNS_SIZE  RESOLVER_QUERY_MAX
#define LABELS_MAX 24
#define NIBBLES    32 /* of an IPv6 address */
#define ZONE_NIBS  12 /* of the /48 */
#define BADVERS    16

struct reply {
    const struct resolver_table *table;
    struct buf_writer w;
    const uint8_t *names[LABELS_MAX]; /* for compression */
    char zone[80];                    /* owner of the SOA: home.clan or c.b.a...d.f.ip6.arpa */
    bool edns;
    unsigned rcode, answers, authorities;
    bool authoritative;
};

struct question {
    ns_msg msg;
    char name[NS_MAXDNAME]; /* lower case, without the last dot */
    unsigned type, class;
    size_t end; /* where the question ends */
    bool edns, bad_version;
};

/* --- parsing --- */

static void lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

/* A compressed question could point into the header; nobody honest sends one. */
static bool question_plain(const uint8_t *query, size_t size, size_t *ret_end)
{
    uint8_t name[NS_MAXCDNAME];
    int consumed = ns_name_unpack(query, query + size, query + HEADER, name, sizeof name);
    const uint8_t *at = name;
    if (consumed < 0 || ns_name_skip(&at, name + sizeof name) != 0 || at - name != consumed)
        return false;
    *ret_end = HEADER + (size_t)consumed + 4;
    return *ret_end <= size;
}

static bool read_edns(struct question *q)
{
    ns_rr rr;
    for (int i = 0; i < ns_msg_count(q->msg, ns_s_ar); i++) {
        if (ns_parserr(&q->msg, ns_s_ar, i, &rr) != 0)
            return false;
        if (ns_rr_type(rr) != ns_t_opt)
            continue;
        if (q->edns || (ns_rr_name(rr)[0] && strcmp(ns_rr_name(rr), ".") != 0))
            return false;
        q->edns = true;
        q->bad_version = (ns_rr_ttl(rr) >> 16 & 0xff) != 0;
    }
    return true;
}

static bool read_question(const uint8_t *query, size_t size, struct question *q)
{
    ns_rr rr;
    if (ns_initparse(query, (int)size, &q->msg) != 0 || ns_msg_count(q->msg, ns_s_qd) != 1 ||
        ns_msg_count(q->msg, ns_s_an) != 0 || ns_msg_count(q->msg, ns_s_ns) != 0 ||
        !question_plain(query, size, &q->end) || ns_parserr(&q->msg, ns_s_qd, 0, &rr) != 0)
        return false;
    q->type = ns_rr_type(rr);
    q->class = ns_rr_class(rr);
    snprintf(q->name, sizeof q->name, "%s", ns_rr_name(rr));
    lower(q->name);
    return read_edns(q);
}

/* --- writing --- */

static void put_name(struct reply *r, const char *name)
{
    if (r->w.failed)
        return;
    /* compression needs the name where it will stand */
    int size = ns_name_compress(
        name, r->w.base + r->w.len, r->w.cap - r->w.len, r->names, r->names + LABELS_MAX);
    if (size < 0)
        r->w.failed = true;
    else
        r->w.len += (size_t)size;
}

static void put_head(struct reply *r, const char *owner, unsigned type)
{
    put_name(r, owner);
    buf_put_u16(&r->w, (uint16_t)type);
    buf_put_u16(&r->w, ns_c_in);
    buf_put_u32(&r->w, RESOLVER_TTL_S);
}

/* Writes the length of what was put since `at`, where two bytes were left for it. */
static void put_length(struct reply *r, size_t at)
{
    if (r->w.failed)
        return;
    struct buf_writer w = buf_writer_of(r->w.base + at, 2);
    buf_put_u16(&w, (uint16_t)(r->w.len - at - 2));
}

static void put_soa(struct reply *r)
{
    char person[96];
    snprintf(person, sizeof person, "hostmaster.%s", r->zone);
    put_head(r, r->zone, ns_t_soa);
    size_t at = r->w.len;
    buf_put_u16(&r->w, 0);
    put_name(r, r->zone);
    put_name(r, person);
    buf_put_u32(&r->w, resolver_serial(r->table));
    buf_put_u32(&r->w, 3600); /* refresh, retry, expire: nobody copies this zone */
    buf_put_u32(&r->w, 600);
    buf_put_u32(&r->w, 86400);
    buf_put_u32(&r->w, SOA_MIN);
    put_length(r, at);
}

static void answer_soa(struct reply *r)
{
    put_soa(r);
    r->answers++;
}

static enum resolver_outcome nothing(struct reply *r, unsigned rcode)
{
    r->rcode = rcode;
    put_soa(r);
    r->authorities++;
    return rcode == ns_r_nxdomain ? RESOLVER_UNKNOWN : RESOLVER_ANSWERED;
}

static enum resolver_outcome refuse(struct reply *r, unsigned rcode)
{
    r->rcode = rcode;
    r->authoritative = false;
    return rcode == ns_r_formerr ? RESOLVER_MALFORMED : RESOLVER_REFUSED;
}

/* --- zones --- */

/* The part of name before ".suffix", "" for the suffix itself; NULL: outside. */
static const char *before(char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);
    if (len < tail || strcmp(name + len - tail, suffix) != 0)
        return NULL;
    if (len == tail)
        return "";
    if (name[len - tail - 1] != '.')
        return NULL;
    name[len - tail - 1] = 0;
    return name;
}

static enum resolver_outcome forward(struct reply *r, const struct question *q, const char *label)
{
    char owner[TEXT_NAME_MAX + sizeof r->zone + 2];
    bool apex = !label[0];
    const uint8_t *address = apex ? NULL : resolver_find(r->table, label);
    if (apex && (q->type == ns_t_soa || q->type == ns_t_any)) {
        answer_soa(r);
        return RESOLVER_ANSWERED;
    }
    if (!apex && !address)
        return nothing(r, ns_r_nxdomain);
    if (apex || (q->type != ns_t_aaaa && q->type != ns_t_any))
        return nothing(r, ns_r_noerror);
    snprintf(owner, sizeof owner, "%.*s.%s", TEXT_NAME_MAX, label, r->zone);
    put_head(r, owner, ns_t_aaaa);
    buf_put_u16(&r->w, 16);
    buf_put(&r->w, address, 16);
    r->answers++;
    return RESOLVER_ANSWERED;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1.0.d.f" -> fd 01 and so on; returns the number of nibbles, -1: something else stands there */
static int read_nibbles(const char *text, uint8_t ret_address[16])
{
    size_t len = strlen(text);
    int count = (int)((len + 1) / 2);
    if (len % 2 == 0 || count > NIBBLES)
        return -1;
    for (int i = 0; i < count; i++) { /* from the end, which is the address's beginning */
        int v = nibble(text[len - 1 - 2 * (size_t)i]);
        if (v < 0 || (i + 1 < count && text[len - 2 - 2 * (size_t)i] != '.'))
            return -1;
        ret_address[i / 2] |= (uint8_t)(i % 2 ? v : v << 4);
    }
    return count;
}

static enum resolver_outcome reverse(struct reply *r, const struct question *q, const char *text)
{
    uint8_t address[16] = {0};
    char owner[NIBBLES * 2 + 16];
    int count = read_nibbles(text, address);
    if (count < ZONE_NIBS || !resolver_prefix_known(r->table, address))
        return refuse(r, ns_r_refused);
    snprintf(owner, sizeof owner, "%.*s.ip6.arpa", 2 * NIBBLES, text);
    snprintf(r->zone, sizeof r->zone, "%s", owner + 2 * (count - ZONE_NIBS));
    if (count == ZONE_NIBS && (q->type == ns_t_soa || q->type == ns_t_any)) {
        answer_soa(r);
        return RESOLVER_ANSWERED;
    }
    const char *name = count == NIBBLES ? resolver_find_address(r->table, address) : NULL;
    if (!name) /* a part of an address has names below it, or may have */
        return nothing(r, count == NIBBLES ? ns_r_nxdomain : ns_r_noerror);
    if (q->type != ns_t_ptr && q->type != ns_t_any)
        return nothing(r, ns_r_noerror);
    char target[TEXT_NAME_MAX * 2 + 8];
    snprintf(target, sizeof target, "%s.%s.clan", name, resolver_petname(r->table));
    put_head(r, owner, ns_t_ptr);
    size_t at = r->w.len;
    buf_put_u16(&r->w, 0);
    put_name(r, target);
    put_length(r, at);
    r->answers++;
    return RESOLVER_ANSWERED;
}

static enum resolver_outcome answer(struct reply *r, struct question *q)
{
    if (q->bad_version)
        return refuse(r, BADVERS);
    if (!resolver_petname(r->table)[0] || (q->class != ns_c_in && q->class != ns_c_any))
        return refuse(r, ns_r_refused);
    snprintf(r->zone, sizeof r->zone, "%s.clan", resolver_petname(r->table));
    const char *label = before(q->name, r->zone);
    if (label)
        return forward(r, q, label);
    label = before(q->name, "ip6.arpa");
    return label ? reverse(r, q, label) : refuse(r, ns_r_refused);
}

/* --- the whole message --- */

static void put_header(struct reply *r, const uint8_t *query, unsigned questions)
{
    struct buf_writer w = buf_writer_of(r->w.base, HEADER);
    uint8_t opcode_and_rd = query[2] & 0x79;
    buf_put(&w, query, 2);
    buf_put_u8(&w, (uint8_t)(0x80 | opcode_and_rd | (r->authoritative ? 0x04 : 0)));
    buf_put_u8(&w, (uint8_t)((query[3] & 0x10) | (r->rcode & 0x0f))); /* CD is copied */
    buf_put_u16(&w, (uint16_t)questions);
    buf_put_u16(&w, (uint16_t)r->answers);
    buf_put_u16(&w, (uint16_t)r->authorities);
    buf_put_u16(&w, r->edns);
}

static void put_edns(struct reply *r)
{
    buf_put_u8(&r->w, 0);
    buf_put_u16(&r->w, ns_t_opt);
    buf_put_u16(&r->w, EDNS_SIZE);
    buf_put_u8(&r->w, (uint8_t)(r->rcode >> 4));
    buf_put_u8(&r->w, 0);
    buf_put_u16(&r->w, 0);
    buf_put_u16(&r->w, 0);
}

/* A reply of a header alone. */
static size_t bare(struct reply *r, const uint8_t *query, unsigned rcode)
{
    r->rcode = rcode;
    r->answers = r->authorities = 0;
    r->edns = r->authoritative = false;
    put_header(r, query, 0);
    return HEADER;
}

size_t resolver_answer(const struct resolver_table *t, const uint8_t *query, size_t size,
    uint8_t *reply, size_t cap, enum resolver_outcome *ret_outcome)
{
    struct reply r = {.table = t,
        .w = buf_writer_of(reply, cap),
        .names = {reply, reply + HEADER},
        .authoritative = true};
    struct question q = {.end = 0};
    *ret_outcome = RESOLVER_MALFORMED;
    if (size < HEADER || size > RESOLVER_QUERY_MAX || cap < HEADER || query[2] & 0x80)
        return 0; /* an answer to a reply could go round for ever */
    if ((query[2] & 0x78) != ns_o_query << 3) {
        *ret_outcome = RESOLVER_REFUSED;
        return bare(&r, query, ns_r_notimpl);
    }
    if (!read_question(query, size, &q))
        return bare(&r, query, ns_r_formerr);
    r.w.len = HEADER;
    buf_put(&r.w, query + HEADER, q.end - HEADER); /* as it was asked, capitals too */
    *ret_outcome = answer(&r, &q);
    r.edns = q.edns;
    if (r.edns)
        put_edns(&r);
    if (r.w.failed)
        return bare(&r, query, ns_r_servfail);
    put_header(&r, query, 1);
    return r.w.len;
}
