/* SPDX-License-Identifier: Apache-2.0
 * What is made of keys and parameters for a directory (the first byte says which), and what a memcached may
 * answer. Quoted text has none of the key's special bytes and becomes the key again; no answer makes the
 * client read what is not there. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/stream.h"
#include "tables/ldap/directory.h"
#include "tables/memcache/servers.h"

/* ---- ldap ---------------------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void check_quoted(expansion_quote_fn *quote, const char *special, const char *key, size_t klen)
{
	struct text_buf out = { 0 };
	size_t n = 0;
	quote(NULL, &out, key, klen);
	for (size_t i = 0; i < out.len; i++, n++) {
		char c = out.text[i];
		if (c == '\\') {
			int high = digit(out.text[i + 1]), low = high < 0 ? -1 : digit(out.text[i + 2]);
			if (low < 0)
				abort();
			c = (char)(high << 4 | low);
			i += 2;
		} else if (strchr(special, c) || c < ' ' || c > '~') {
			abort();
		}
		if (n >= klen || key[n] != c)
			abort();
	}
	if (n != klen)
		abort();
	text_buf_free(&out);
}

static void fuzz_quotes(const char *text, size_t len)
{
	check_quoted(directory_quote_for_filter, "*()", text, len);
	check_quoted(directory_quote_for_dn, " ,+\"<>;=#", text, len);
}

static void fuzz_servers(const char *text, size_t len)
{
	struct servers s;
	struct expansion_flaw flaw = { "" };
	(void)len;
	if (!directory_servers_parse(&s, text, 389, &flaw) && !flaw.text[0])
		abort();
	directory_servers_free(&s);
}

static void fuzz_attributes(const char *text, size_t len)
{
	const char *const lists[ATTRIBUTE_KINDS] = { text, text + len / 4, text + len / 2,
						     text + len - len / 4 };
	struct attributes list;
	if (!directory_attributes_parse(&list, lists))
		abort();
	char **all = directory_attributes_select(&list, list.names);
	for (size_t i = 0; i < list.count; i++)
		if (directory_attributes_find(&list, list.names[i]) > i)
			abort();
	free(all);
	directory_attributes_free(&list);
}

/* ---- memcache ------------------------------------------------------------------------------------------------------------- */

static struct stream stream; /* the connection of the only pool */

static int64_t now(void)
{
	return 0;
}

static bool why(struct ost_why *w, const char *fmt, ...)
{
	(void)fmt;
	w->text[0] = '!';
	return false;
}

static void *take(struct ost_pool *pool, int64_t deadline, bool *fresh, struct ost_why *w)
{
	(void)pool;
	(void)deadline;
	(void)w;
	*fresh = true;
	return &stream;
}

static void give(struct ost_pool *pool, void *connection, enum ost_pool_state state, const struct ost_why *w)
{
	(void)pool;
	(void)w;
	if (connection != &stream || (state == OST_POOL_GOOD && stream.at > stream.len))
		abort();
}

static const struct ost_host host = {
	.size = sizeof host, .now = now, .why = why, .pool_take = take, .pool_give = give
};

static void fuzz_answer(const char *text, size_t len)
{
	const struct memcache_config config = { .data_size_limit = 100,
						.line_size_limit = 200,
						.max_try = 1,
						.timeout = 1000000,
						.retry_pause = 0 };
	struct endpoint endpoint = { .name = "x" };
	struct memcache m = { .host = &host, .c = &config, .endpoints = { .list = &endpoint, .count = 1 } };
	struct server server = { .m = &m, .endpoint = &endpoint };
	struct asking q = { .m = &m, .deadline = 2000000 };
	int pair[2];
	m.servers = &server;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || write(pair[1], text, len) != (ssize_t)len)
		return;
	shutdown(pair[1], SHUT_WR);
	stream_init(&stream, pair[0], now);
	text_buf_puts(&q.name, "key");
	enum ost_found found = memcache_get(&q);
	if ((found == OST_FOUND) != (q.value != NULL) ||
	    (found == OST_FOUND && (q.vlen > 100 || q.value[q.vlen] != '\0')) ||
	    (found == OST_TEMPFAIL && !q.why.text[0]))
		abort();
	free(q.value);
	text_buf_free(&q.name);
	close(pair[1]);
	stream_close(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const forms[])(const char *, size_t) = { fuzz_quotes, fuzz_servers, fuzz_attributes,
							       fuzz_answer };
	if (size < 1 || size > 5000)
		return 0;
	char *text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	bool bytes = data[0] % 4 == 0 || data[0] % 4 == 3;
	forms[data[0] % 4](text, bytes ? size - 1 : strlen(text));
	free(text);
	return 0;
}
