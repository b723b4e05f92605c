/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/host.h: what the core offers to modules. The host struct is valid from load() until unload(); calls may come
 * from any thread unless said otherwise. Members are only added at the end: a module compiled for a newer minor
 * version is refused by an older core, so every member that its headers show is there.
 */
#ifndef OSTLER_HOST_H
#define OSTLER_HOST_H

#include "ostler/check.h"
#include "ostler/module.h"
#include "ostler/pool.h"
#include "ostler/table.h"
#include "ostler/transport.h"

enum ost_level { OST_LOG_INFO, OST_LOG_WARNING, OST_LOG_ERROR, OST_LOG_DEBUG };

struct ost_mx {           /* one server of a destination, in the order to try */
	char host[256];   /* name as in the MX record, or the address literal */
	char address[64]; /* numeric */
	uint16_t preference;
	bool ipv6;
};

struct ost_address {
	char text[64]; /* numeric: "192.0.2.1", "2001:db8::1", "fe80::1%eth0" */
};

/* For host->mail_servers(). */
#define OST_SERVERS_MX      0x1u /* mail exchangers; without: the host's own addresses */
#define OST_SERVERS_NATIVE  0x2u /* addresses by the system's ways (hosts file …), too */
#define OST_SERVERS_SHUFFLE 0x4u
#define OST_SERVERS_LOOPS   0x8u /* answer OST_DNS_LOOP when the best server is this machine, and leave out those behind it */

enum ost_dns {
	OST_DNS_OK = 0,
	OST_DNS_NOTFOUND,  /* the name does not exist, or has no such record */
	OST_DNS_NULLMX,    /* RFC 7505: takes no mail */
	OST_DNS_TEMPFAIL,  /* try again */
	OST_DNS_LOOP,      /* the best server is this machine */
};

enum ost_record { OST_RECORD_A = 1, OST_RECORD_TXT = 16, OST_RECORD_AAAA = 28 };

struct ost_dns_question { /* for host->session_dns() */
	const char *name;
	enum ost_record type;
	/* Filled in: OST_DNS_OK, OST_DNS_NOTFOUND or OST_DNS_TEMPFAIL. */
	enum ost_dns outcome;
	const char *const *texts; /* addresses in numbers, or texts; valid until the module's entry point returns */
	size_t count;
};

struct ost_host {
	uint32_t size;

	/* ---- always -------------------------------------------------------------------------------------------- */
	void (*log)(struct ost_instance *, enum ost_level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
	int64_t (*now)(void);                                   /* monotonic microseconds; deadlines are in it */
	const char *(*instance_name)(const struct ost_instance *); /* a table's name behind the colon; a service's name */
	/* A main.cf parameter by name, expanded; NULL: unknown. Valid until close(). For names made at run time; fixed
	 * ones are declared in ost_param. */
	const char *(*parameter)(const struct ost_instance *, const char *name);
	/* A read-only descriptor of the file that the instance's name or a PARAM_FILE parameter names; the core opened it
	 * while it could. The caller closes it. -1 with the reason. suffix ("", ".db") is added to the path. */
	int (*file_open)(struct ost_instance *, const char *path, const char *suffix, struct ost_why *);
	bool (*why)(struct ost_why *, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* answers false */

	/* ---- tables -------------------------------------------------------------------------------------------- */
	void (*answer)(struct ost_answer *, const char *value, size_t len); /* copies; a second call replaces */
	void (*answer_why)(struct ost_answer *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	/* Looks a key up in the lists of tables that a parameter of type OST_PARAM_TABLES names. *value is the calling
	 * thread's, valid until its next call or 'til it leaves the module. NULL tables: OST_NOTFOUND. */
	enum ost_found (*tables_lookup)(const struct ost_tables *, const char *key, const char **value, struct ost_why *);
	/* The same with the search order for addresses: user+ext@domain, user@domain, user+ext, user (local domains),
	 * @domain. *extension: "+ext" when it was stripped, else NULL. */
	enum ost_found (*tables_lookup_address)(const struct ost_tables *, const char *address, const char **value,
						const char **extension, struct ost_why *);

	/* ---- transports ---------------------------------------------------------------------------------------- */
	/* Reports one recipient; once each. Copied. */
	void (*report)(struct ost_delivery *, uint32_t rcpt, const struct ost_report *);
	/* Content bytes from `at` (0: the first header) into p; lines end in LF. Less than n only at the end, -1: error. */
	int64_t (*content_read)(struct ost_delivery *, uint64_t at, void *p, size_t n);
	/* All of the content in memory, or NULL when it is too large: then content_read(). */
	const char *(*content)(struct ost_delivery *, uint64_t *size);
	/* Where the time went, for the log's delays=a/b/c/d: call when the connection is set up. */
	void (*mark_connected)(struct ost_delivery *);
	/* Does steps as users: hands each job to the child that has become its user, where the module's user_write() and
	 * user_publish() run. Waits for all n; jobs that wait at the same time for one user, of this delivery and of others,
	 * share their syncs. The outcomes are in done[0] … done[n - 1]. */
	void (*as_user)(struct ost_delivery *, const struct ost_user_request *, struct ost_user_done *done, size_t n);
	/* Servers for a domain (MX, then A/AAAA; RFC 5321 5.1), or for a host alone without OST_SERVERS_MX. An address
	 * literal ("[1.2.3.4]", "[IPv6:::1]", or without the brackets) is its own answer. Bounded: at most max entries are
	 * written to list, *count says how many. Sorted by preference; the addresses of one preference in random order with
	 * OST_SERVERS_SHUFFLE. */
	enum ost_dns (*mail_servers)(struct ost_instance *, const char *domain, unsigned flags, struct ost_mx *list,
				     size_t max, size_t *count, int64_t deadline, struct ost_why *);
	/* Connects to a numeric address; non-blocking descriptor of a TCP connection, or -1. bind: local address or NULL. */
	int (*tcp_connect)(const char *address, uint16_t port, const char *bind, int64_t deadline, struct ost_why *);

	/* ---- checks -------------------------------------------------------------------------------------------- */
	/* A field of the session, by name as in the policy delegation protocol (client_address, client_name, helo_name,
	 * sender, recipient, protocol_state, sasl_username, size, queue_id …); NULL: not known (yet). */
	const char *(*session_field)(const struct ost_session *, const char *name);
	/* Sets the reply for OST_REJECT, OST_DEFER …: code 400-599, dsn "x.y.z" of the same class, text of one line. */
	void (*reply)(struct ost_session *, int code, const char *dsn, const char *text);
	/* Access-table right-hand sides (access(5)): the core interprets `action` as if a table had given it; kind tells what
	 * the text was looked up for ("Client host", "Helo command", "Sender address", "Recipient address"), object what. */
	enum ost_verdict (*access_action)(struct ost_session *, const char *action, const char *kind, const char *object);
	/* Opens a list of tables for a restriction's arguments, at prepare() time; lives until the check is closed. */
	struct ost_tables *(*tables_open)(struct ost_instance *, const char *spec, struct ost_why *);
	/* Search orders of access(5) over a list of tables: by domain name and parents, by network address, by address. */
	enum ost_found (*access_search)(const struct ost_tables *, enum ost_access_order, const char *object,
					const char **value, struct ost_why *);

	/* ---- transports: local mail that goes on elsewhere --------------------------------------------------------- */
	/* Stores the message anew, for other recipients: aliases of local(8). True when it is on stable storage, so that the
	 * recipient may be reported as sent; queue_id then names it. Each call makes a message. */
	bool (*forward)(struct ost_delivery *, const struct ost_forward *, char queue_id[24], struct ost_why *);

	/* ---- transports: several messages in one call (since 1.1) --------------------------------------------------- */
	/* Another delivery to the same next hop that waits for a thread, or NULL. It is this call's from now on, with a
	 * deadline of its own: deliver() owes reports for it as well. Only take what can be delivered at once. */
	struct ost_delivery *(*next)(struct ost_delivery *);
	/* This delivery is over, while deliver() goes on with others: its results are recorded now, and it must not be used
	 * any more. What was not finished is so when deliver() returns. */
	void (*finish)(struct ost_delivery *);

	/* ---- tables made of other tables (since 1.2) ------------------------------------------------------------------ */
	/* "type:name" as an instance of its own, from open() alone. It belongs to the process and is shared by all who mention
	 * it. NULL with the reason when the text is no table at all; one that cannot be opened answers OST_TEMPFAIL at each
	 * use, and why says what is wrong with it ("": nothing). */
	struct ost_table *(*table_open)(struct ost_instance *, const char *type_name, struct ost_why *);
	/* One question, with the key as it is: folding and search orders are those of who asked this module. The answer may be
	 * the one that the caller has to fill, or NULL: the result is all that is wanted. */
	enum ost_found (*table_ask)(struct ost_table *, const struct ost_query *, struct ost_answer *);
	uint32_t (*table_flags)(const struct ost_table *); /* OST_TABLE_* */
	/* Another number than before when what the table holds was replaced: it, or one that it asks, was opened anew (a file
	 * has changed). What was kept of its answers is to be forgotten. */
	uint64_t (*table_version)(const struct ost_table *);
	/* This instance's flags (OST_TABLE_*), where they are not its vtable's: they follow from what it asks. From open()
	 * alone. */
	void (*set_table_flags)(struct ost_instance *, uint32_t flags);
	/* What an answer holds: NULL before host->answer(). Valid, with what it held before, until the lookup returns. */
	const char *(*answer_value)(const struct ost_answer *, size_t *len);

	/* ---- connections (since 1.2): see ostler/pool.h ---------------------------------------------------------------- */
	struct ost_pool *(*pool_new)(struct ost_instance *, const struct ost_pool_config *, struct ost_why *);
	void (*pool_free)(struct ost_pool *); /* when all connections were given back; NULL: nothing */
	/* A connection that nobody else has: an idle one, or a new one. Waits, until the deadline, while all are in use. NULL
	 * with the reason: no server can be reached now. *fresh (may be NULL): it was made for this call. */
	void *(*pool_take)(struct ost_pool *, int64_t deadline, bool *fresh, struct ost_why *);
	/* why: the reason of OST_POOL_FAILED, for the log and for those who are refused meanwhile; else NULL. */
	void (*pool_give)(struct ost_pool *, void *connection, enum ost_pool_state, const struct ost_why *why);

	/* ---- hosts (since 1.2), in every process that opens tables ------------------------------------------------------- */
	/* The numeric addresses of a host, by the system's ways (hosts file, name service, DNS), those of inet_protocols
	 * alone, in the order to try: at least one, at most max, or false with the reason. A numeric address, with or without
	 * brackets, is its own answer. Unlike getaddrinfo() it keeps the deadline. For libraries that connect by themselves. */
	bool (*addresses)(struct ost_instance *, const char *host, struct ost_address *list, size_t max, size_t *count,
			  int64_t deadline, struct ost_why *);
	/* Connects to a host, trying all of its addresses; port: a number or a name of services(5). A host that starts with a
	 * slash is a socket of the file system, and has no port. A non-blocking descriptor, or -1 with the reason. */
	int (*connect)(struct ost_instance *, const char *host, const char *port, int64_t deadline, struct ost_why *);
	/* ---- tables: caches (is_cache since 1.2, the others since 1.3) ------------------------------------------------ */
	/* Is the table opened as a cache, to be made when it is missing, and changed by several processes? It lies in
	 * data_directory, which stays open to its paths. Asked in open(). */
	bool (*is_cache)(const struct ost_instance *);
	/* A cache behind this one: "type:name", opened to be changed, from open() alone. NULL with the reason. The caller's, until
	 * cache_close() (NULL: nothing). Keys are taken as they are; failures are the caller's to tell. */
	struct ost_cache *(*cache_open)(struct ost_instance *, const char *type_name, struct ost_why *);
	void (*cache_close)(struct ost_cache *);
	enum ost_found (*cache_ask)(struct ost_cache *, const struct ost_query *, struct ost_answer *);
	enum ost_found (*cache_update)(struct ost_cache *, const char *key, size_t klen, const char *value, size_t vlen,
				       struct ost_why *);
	enum ost_found (*cache_remove)(struct ost_cache *, const char *key, size_t klen, struct ost_why *);
	/* All entries, one for each call; *cursor is NULL at first. Whoever does not go on to the end frees it. */
	enum ost_found (*cache_walk)(struct ost_cache *, struct ost_cursor **cursor, struct ost_answer *key, struct ost_answer *value);
	void (*cache_cursor_free)(struct ost_cache *, struct ost_cursor *);

	/* ---- transports: content as SMTP's DATA carries it (since 1.3) -------------------------------------------------- */
	/* Large messages are kept as RFC 5321 4.5.2 wants them sent: CRLF line ends, one dot more in front of lines that begin
	 * with one; without the final dot. Answers whether this one can be had so, no line longer than `longest` bytes without
	 * its line end (0: any length), no CR in it but those of line ends, and with a line end at its end. *size: bytes in this form. What is answered no is
	 * had by content() or content_read(), as everything is. */
	bool (*content_wire_size)(struct ost_delivery *, uint64_t longest, uint64_t *size);
	/* Lends bytes of it from `at` on, until the next call for this delivery: how many, as many as suit; 0: the end; -1:
	 * error. Asked for from 0 on without gaps: it is verified on the way, and the last bytes are given only when all of it is
	 * what was stored. So whoever got them all may say that the message ends here, and who got -1 must not: what was sent of
	 * it until then may be damaged. */
	int64_t (*content_wire)(struct ost_delivery *, uint64_t at, const char **p);

	/* ---- checks: name servers, and replies of one's own (since 1.4) ------------------------------------------------- */
	/* Asks all of these at once and waits for the answers, some seconds at most. They are kept for the whole process, as
	 * long as their TTL says, an hour at most. */
	void (*session_dns)(struct ost_session *, struct ost_dns_question *, size_t n);
	/* As reply(), where the text is the whole of it: the core puts nothing before it. */
	void (*reply_whole)(struct ost_session *, int code, const char *dsn, const char *text);
};

#endif
