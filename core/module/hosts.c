/* SPDX-License-Identifier: Apache-2.0
 * The host as modules see it: services of this folder, and those that other folders have installed. */
#include "module/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "module/host_services.h"
#include "module/module.h"

/* ---- where nothing is installed -------------------------------------------------------------------------------- */

static struct ost_tables *no_tables_open(const struct cfg_view *view, const char *spec, struct ost_why *why)
{
	host_why(why, "tables cannot be used in this process: %s", spec);
	return NULL;
}
static enum ost_found no_lookup(const struct ost_tables *tables, const char *key, const char **value, struct ost_why *why)
{
	host_why(why, "tables cannot be used in this process");
	return OST_TEMPFAIL;
}
static enum ost_found no_lookup_address(const struct ost_tables *tables, const char *address, const char **value,
					const char **extension, struct ost_why *why)
{
	return no_lookup(tables, address, value, why);
}
static enum ost_found no_access_search(const struct ost_tables *tables, enum ost_access_order order, const char *object,
				       const char **value, struct ost_why *why)
{
	return no_lookup(tables, object, value, why);
}
static struct ost_table *no_open_one(const struct cfg_view *view, const char *type_name, struct ost_why *why)
{
	host_why(why, "tables cannot be used in this process: %s", type_name);
	return NULL;
}
static enum ost_found no_ask(struct ost_table *table, const struct ost_query *query,
			     struct ost_answer *answer)
{
	return OST_TEMPFAIL;
}
static uint32_t no_flags(const struct ost_table *table)
{
	return 0;
}
static const char *no_guard(struct ost_tables *list)
{
	return NULL;
}
static uint64_t no_version(const struct ost_table *table)
{
	return 0;
}
static struct ost_cache *no_cache_open(const struct cfg_view *view, const char *type_name, struct ost_why *why)
{
	host_why(why, "tables cannot be used in this process: %s", type_name);
	return NULL;
}
static void no_report(struct ost_delivery *delivery, uint32_t rcpt, const struct ost_report *report)
{
	log_warning("a module reports a delivery in a process that makes none");
}
static int64_t no_content_read(struct ost_delivery *delivery, uint64_t at, void *p, size_t n)
{
	return -1;
}
static const char *no_content(struct ost_delivery *delivery, uint64_t *size)
{
	return NULL;
}
static void no_mark(struct ost_delivery *delivery)
{
}
static void no_as_user(struct ost_delivery *delivery, const struct ost_user_request *request, struct ost_user_done *done,
		       size_t n)
{
	for (size_t i = 0; i < n; i++)
		done[i].status = OST_DEFERRED;
}
static bool no_forward(struct ost_delivery *delivery, const struct ost_forward *forward, char queue_id[24],
		       struct ost_why *why)
{
	return host_why(why, "this process stores no messages");
}
static struct ost_delivery *no_next(struct ost_delivery *delivery)
{
	return NULL;
}
static bool no_content_wire_size(struct ost_delivery *delivery, uint64_t longest, uint64_t *size)
{
	return false;
}
static int64_t no_content_wire(struct ost_delivery *delivery, uint64_t at, const char **p)
{
	return -1;
}
static enum ost_dns no_mail_servers(struct ost_instance *instance, const char *domain, unsigned flags,
				    struct ost_mx *list, size_t max, size_t *count, int64_t deadline, struct ost_why *why)
{
	*count = 0;
	host_why(why, "this process does not look up mail servers");
	return OST_DNS_TEMPFAIL;
}
static int no_tcp_connect(const char *address, uint16_t port, const char *bind, int64_t deadline, struct ost_why *why)
{
	host_why(why, "this process makes no connections");
	return -1;
}
static bool no_addresses(const struct cfg_view *view, const char *host, struct ost_address *list, size_t max,
			 size_t *count, int64_t deadline, struct ost_why *why)
{
	*count = 0;
	return host_why(why, "this process looks up no hosts");
}
static int no_connect(const struct cfg_view *view, const char *host, const char *port, int64_t deadline,
		      struct ost_why *why)
{
	host_why(why, "this process makes no connections");
	return -1;
}
static const char *no_field(const struct ost_session *session, const char *name)
{
	return NULL;
}
static void no_reply(struct ost_session *session, int code, const char *dsn, const char *text)
{
}
static enum ost_verdict no_access_action(struct ost_session *session, const char *action, const char *kind,
					 const char *object)
{
	return OST_CHECK_FAILED;
}

static void no_dns(struct ost_session *session, struct ost_dns_question *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		list[i].outcome = OST_DNS_TEMPFAIL;
}

/* Files are opened where the process is, as the user that it is. */
static int plain_open(const char *path, struct ost_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		char text[128];
		host_why(why, "%s", strerror_r(errno, text, sizeof text));
	}
	return fd;
}

static const struct mod_caches_ops no_caches = { .open = no_cache_open }; /* so nobody has one to call the others with */
static const struct mod_tables_ops no_tables = { no_tables_open, no_lookup,   no_lookup_address, no_access_search,
						 no_open_one,	 no_ask,      no_flags,		 no_guard,
						 no_version,	 &no_caches };
static const struct mod_delivery_ops no_delivery = { no_report, no_content_read, no_content, no_mark, no_as_user,
						     no_forward, no_next, no_mark, no_content_wire_size, no_content_wire };
static const struct mod_net_ops no_net = { no_mail_servers, no_tcp_connect };
static const struct mod_connect_ops no_connections = { no_addresses, no_connect };
static const struct mod_session_ops no_session = { no_field, no_reply, no_access_action, no_dns, no_reply };
static const struct mod_files_ops plain_files = { plain_open };

/* ---- what is installed; set at the start of a process, then constant --------------------------------------------- */

static const struct mod_tables_ops *tables = &no_tables;
static const struct mod_delivery_ops *delivery = &no_delivery;
static const struct mod_net_ops *net = &no_net;
static const struct mod_connect_ops *connections = &no_connections;
static const struct mod_session_ops *session = &no_session;
static const struct mod_files_ops *files = &plain_files;

void mod_host_set_tables(const struct mod_tables_ops *ops)
{
	tables = ops ? ops : &no_tables;
}
void mod_host_set_delivery(const struct mod_delivery_ops *ops)
{
	delivery = ops ? ops : &no_delivery;
}
void mod_host_set_net(const struct mod_net_ops *ops)
{
	net = ops ? ops : &no_net;
}
void mod_host_set_connect(const struct mod_connect_ops *ops)
{
	connections = ops ? ops : &no_connections;
}
void mod_host_set_session(const struct mod_session_ops *ops)
{
	session = ops ? ops : &no_session;
}
void mod_host_set_files(const struct mod_files_ops *ops)
{
	files = ops ? ops : &plain_files;
}
const struct mod_tables_ops *mod_tables(void)
{
	return tables;
}
const struct mod_files_ops *mod_files(void)
{
	return files;
}

const struct mod_connect_ops *mod_connect(void)
{
	return connections;
}

/* ---- the way through --------------------------------------------------------------------------------------------- */

static enum ost_found tables_lookup(const struct ost_tables *list, const char *key, const char **value, struct ost_why *why)
{
	return tables->lookup(list, key, value, why);
}
static enum ost_found tables_lookup_address(const struct ost_tables *list, const char *address, const char **value,
					    const char **extension, struct ost_why *why)
{
	return tables->lookup_address(list, address, value, extension, why);
}
static struct ost_tables *tables_open(struct ost_instance *instance, const char *spec, struct ost_why *why)
{
	return host_tables_open(instance, spec, why);
}
static enum ost_found access_search(const struct ost_tables *list, enum ost_access_order order, const char *object,
				    const char **value, struct ost_why *why)
{
	return tables->access_search(list, order, object, value, why);
}
static struct ost_table *table_open(struct ost_instance *instance, const char *type_name, struct ost_why *why)
{
	return host_table_open(instance, type_name, why);
}
static enum ost_found table_ask(struct ost_table *table, const struct ost_query *query,
				struct ost_answer *answer)
{
	return tables->ask(table, query, answer);
}
static uint32_t table_flags(const struct ost_table *table)
{
	return tables->flags(table);
}
static uint64_t table_version(const struct ost_table *table)
{
	return tables->version(table);
}
static struct ost_cache *cache_open(struct ost_instance *instance, const char *type_name, struct ost_why *why)
{
	return tables->caches->open(mod_handle_view(instance), type_name, why);
}
static void cache_close(struct ost_cache *cache)
{
	if (cache)
		tables->caches->close(cache);
}
static enum ost_found cache_ask(struct ost_cache *cache, const struct ost_query *query, struct ost_answer *answer)
{
	return tables->caches->ask(cache, query, answer);
}
static enum ost_found cache_update(struct ost_cache *cache, const char *key, size_t klen, const char *value, size_t vlen,
				   struct ost_why *why)
{
	return tables->caches->update(cache, key, klen, value, vlen, why);
}
static enum ost_found cache_remove(struct ost_cache *cache, const char *key, size_t klen, struct ost_why *why)
{
	return tables->caches->remove(cache, key, klen, why);
}
static enum ost_found cache_walk(struct ost_cache *cache, struct ost_cursor **cursor, struct ost_answer *key,
				 struct ost_answer *value)
{
	return tables->caches->walk(cache, cursor, key, value);
}
static void cache_cursor_free(struct ost_cache *cache, struct ost_cursor *cursor)
{
	if (cursor)
		tables->caches->cursor_free(cache, cursor);
}
static void report(struct ost_delivery *d, uint32_t rcpt, const struct ost_report *r)
{
	delivery->report(d, rcpt, r);
}
static int64_t content_read(struct ost_delivery *d, uint64_t at, void *p, size_t n)
{
	return delivery->content_read(d, at, p, n);
}
static const char *content(struct ost_delivery *d, uint64_t *size)
{
	return delivery->content(d, size);
}
static void mark_connected(struct ost_delivery *d)
{
	delivery->mark_connected(d);
}
static void as_user(struct ost_delivery *d, const struct ost_user_request *request, struct ost_user_done *done, size_t n)
{
	delivery->as_user(d, request, done, n);
}
static bool forward(struct ost_delivery *d, const struct ost_forward *f, char queue_id[24], struct ost_why *why)
{
	return delivery->forward(d, f, queue_id, why);
}
static struct ost_delivery *next(struct ost_delivery *d)
{
	return delivery->next(d);
}
static void finish(struct ost_delivery *d)
{
	delivery->finish(d);
}
static bool content_wire_size(struct ost_delivery *d, uint64_t longest, uint64_t *size)
{
	return delivery->content_wire_size(d, longest, size);
}
static int64_t content_wire(struct ost_delivery *d, uint64_t at, const char **p)
{
	return delivery->content_wire(d, at, p);
}
static enum ost_dns mail_servers(struct ost_instance *instance, const char *domain, unsigned flags, struct ost_mx *list,
				 size_t max, size_t *count, int64_t deadline, struct ost_why *why)
{
	return net->mail_servers(instance, domain, flags, list, max, count, deadline, why);
}
static int tcp_connect(const char *address, uint16_t port, const char *bind, int64_t deadline, struct ost_why *why)
{
	return net->tcp_connect(address, port, bind, deadline, why);
}
static const char *session_field(const struct ost_session *s, const char *name)
{
	return session->session_field(s, name);
}
static void reply(struct ost_session *s, int code, const char *dsn, const char *text)
{
	session->reply(s, code, dsn, text);
}
static enum ost_verdict access_action(struct ost_session *s, const char *action, const char *kind, const char *object)
{
	return session->access_action(s, action, kind, object);
}
static void session_dns(struct ost_session *s, struct ost_dns_question *list, size_t n)
{
	session->dns(s, list, n);
}
static void reply_whole(struct ost_session *s, int code, const char *dsn, const char *text)
{
	session->reply_whole(s, code, dsn, text);
}

const struct ost_host mod_host = {
	.size = sizeof mod_host,
	.log = host_log,
	.now = clock_mono,
	.instance_name = host_instance_name,
	.parameter = host_parameter,
	.file_open = host_file_open,
	.why = host_why,
	.answer = host_answer,
	.answer_why = host_answer_why,
	.tables_lookup = tables_lookup,
	.tables_lookup_address = tables_lookup_address,
	.report = report,
	.content_read = content_read,
	.content = content,
	.mark_connected = mark_connected,
	.as_user = as_user,
	.mail_servers = mail_servers,
	.tcp_connect = tcp_connect,
	.session_field = session_field,
	.reply = reply,
	.access_action = access_action,
	.tables_open = tables_open,
	.access_search = access_search,
	.forward = forward,
	.next = next,
	.finish = finish,
	.table_open = table_open,
	.table_ask = table_ask,
	.table_flags = table_flags,
	.table_version = table_version,
	.set_table_flags = host_set_table_flags,
	.answer_value = host_answer_value,
	.pool_new = host_pool_new,
	.pool_free = host_pool_free,
	.pool_take = host_pool_take,
	.pool_give = host_pool_give,
	.addresses = host_addresses,
	.connect = host_connect,
	.is_cache = host_is_cache,
	.cache_open = cache_open,
	.cache_close = cache_close,
	.cache_ask = cache_ask,
	.cache_update = cache_update,
	.cache_remove = cache_remove,
	.cache_walk = cache_walk,
	.cache_cursor_free = cache_cursor_free,
	.content_wire_size = content_wire_size,
	.content_wire = content_wire,
	.session_dns = session_dns,
	.reply_whole = reply_whole,
};
