/* Strict readers of single values: all of the text counts, nothing is guessed. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#define CFG_KEY_PREFIX "ed25519:"

struct grant_listen;

/* Digits only, no sign, no leading zero. */
bool cfg_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* "20G": a number and K, M, G or T (powers of 1024); at most 2^51 bytes */
bool cfg_size(const char *text, uint64_t *ret_bytes);
/* "50%", 1 to 100 */
bool cfg_percent(const char *text, unsigned *ret);
/* "5m": a number and s, m, h or d; at most ten years */
bool cfg_duration(const char *text, uint64_t *ret_seconds);
/* 52 characters of base32 in lower case: one spelling for one ID */
bool cfg_id(const char *text, uint8_t ret_id[32]);
/* "ed25519:" and 52 characters; a point that can sign */
bool cfg_admin_key(const char *text, uint8_t ret_key[32]);
/* "[::]:7117", "0.0.0.0:7117" */
bool cfg_listen(const char *text, struct grant_listen *ret);
bool cfg_name(const char *text, uint64_t max);
/* "all", "provisional", "tag:NAME", NAME */
bool cfg_allow(const char *text);
/* a permission that can be granted: "fs.state", "exec:PROFILE" */
bool cfg_permission(const char *text);
/* "RWQ...", 56 characters */
bool cfg_minisign(const char *text);
/* [a-z0-9][a-z0-9._-]*, below 64 characters */
bool cfg_setting_key(const char *text);
/* a user's name or number, as written; not looked up */
bool cfg_user(const char *text);

#endif
