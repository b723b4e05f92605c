/* SPDX-License-Identifier: Apache-2.0
 * Host services that other folders provide: this folder knows how modules call them, the others what they do. Each set is
 * installed once, at the start of a process, before the first module is opened; a process that has no use for one leaves
 * it out, and modules that call it then get an answer that says so. Signatures and contracts: ostler/host.h. */
#ifndef MODULE_HOSTS_H
#define MODULE_HOSTS_H

#include "config/view.h"
#include "ostler/host.h"

struct mod_caches_ops { /* core/table: caches behind caches */
	struct ost_cache *(*open)(const struct cfg_view *, const char *type_name, struct ost_why *);
	void (*close)(struct ost_cache *);
	enum ost_found (*ask)(struct ost_cache *, const struct ost_query *, struct ost_answer *);
	enum ost_found (*update)(struct ost_cache *, const char *key, size_t klen, const char *value, size_t vlen,
				 struct ost_why *);
	enum ost_found (*remove)(struct ost_cache *, const char *key, size_t klen, struct ost_why *);
	enum ost_found (*walk)(struct ost_cache *, struct ost_cursor **, struct ost_answer *key, struct ost_answer *value);
	void (*cursor_free)(struct ost_cache *, struct ost_cursor *);
};
struct mod_tables_ops { /* core/table */
	struct ost_tables *(*open)(const struct cfg_view *, const char *spec, struct ost_why *);
	enum ost_found (*lookup)(const struct ost_tables *, const char *key, const char **value, struct ost_why *);
	enum ost_found (*lookup_address)(const struct ost_tables *, const char *address, const char **value,
					 const char **extension, struct ost_why *);
	enum ost_found (*access_search)(const struct ost_tables *, enum ost_access_order, const char *object,
					const char **value, struct ost_why *);
	struct ost_table *(*open_one)(const struct cfg_view *, const char *type_name, struct ost_why *);
	enum ost_found (*ask)(struct ost_table *, const struct ost_query *, struct ost_answer *);
	uint32_t (*flags)(const struct ost_table *);
	/* From now on the list is not asked while a table in it is unfit for decisions on users and files. Which one is now, and
	 * why, in the calling thread's memory; NULL: none. */
	const char *(*guard)(struct ost_tables *);
	uint64_t (*version)(const struct ost_table *);
	const struct mod_caches_ops *caches;
};
struct mod_delivery_ops { /* core/deliver */
	void (*report)(struct ost_delivery *, uint32_t rcpt, const struct ost_report *);
	int64_t (*content_read)(struct ost_delivery *, uint64_t at, void *p, size_t n);
	const char *(*content)(struct ost_delivery *, uint64_t *size);
	void (*mark_connected)(struct ost_delivery *);
	void (*as_user)(struct ost_delivery *, const struct ost_user_request *, struct ost_user_done *, size_t n);
	bool (*forward)(struct ost_delivery *, const struct ost_forward *, char queue_id[24], struct ost_why *);
	struct ost_delivery *(*next)(struct ost_delivery *);
	void (*finish)(struct ost_delivery *);
	bool (*content_wire_size)(struct ost_delivery *, uint64_t longest, uint64_t *size);
	int64_t (*content_wire)(struct ost_delivery *, uint64_t at, const char **p);
};
struct mod_net_ops { /* core/net */
	enum ost_dns (*mail_servers)(struct ost_instance *, const char *domain, unsigned flags, struct ost_mx *list,
				     size_t max, size_t *count, int64_t deadline, struct ost_why *);
	int (*tcp_connect)(const char *address, uint16_t port, const char *bind, int64_t deadline, struct ost_why *);
};
struct mod_connect_ops { /* core/net */
	bool (*addresses)(const struct cfg_view *, const char *host, struct ost_address *list, size_t max, size_t *count,
			  int64_t deadline, struct ost_why *);
	int (*connect)(const struct cfg_view *, const char *host, const char *port, int64_t deadline, struct ost_why *);
};
struct mod_session_ops { /* core/smtpd */
	const char *(*session_field)(const struct ost_session *, const char *name);
	void (*reply)(struct ost_session *, int code, const char *dsn, const char *text);
	enum ost_verdict (*access_action)(struct ost_session *, const char *action, const char *kind, const char *object);
	void (*dns)(struct ost_session *, struct ost_dns_question *, size_t n);
	void (*reply_whole)(struct ost_session *, int code, const char *dsn, const char *text);
};
struct mod_files_ops { /* core/process, in a sealed worker: the master opens. Default: open(2) */
	int (*open)(const char *path, struct ost_why *); /* read-only; -1 with the system's reason alone */
};

/* NULL: back to none. The structs must stay. */
void mod_host_set_tables(const struct mod_tables_ops *);
void mod_host_set_delivery(const struct mod_delivery_ops *);
void mod_host_set_net(const struct mod_net_ops *);
void mod_host_set_connect(const struct mod_connect_ops *);
void mod_host_set_session(const struct mod_session_ops *);
void mod_host_set_files(const struct mod_files_ops *);

/* What is installed; never NULL: where nothing is, functions that say so. */
const struct mod_tables_ops *mod_tables(void);
const struct mod_files_ops *mod_files(void);
const struct mod_connect_ops *mod_connect(void);

#endif
