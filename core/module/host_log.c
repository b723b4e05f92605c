/* SPDX-License-Identifier: Apache-2.0
 * Host services: texts from modules, into the log, reasons and answers. Nothing that a module says is trusted. */
#include "module/host_services.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "module/answer.h"
#include "module/hosts.h"
#include "module/instance.h"

void host_log(struct ost_instance *instance, enum ost_level level, const char *fmt, ...)
{
	(void)instance;
	char text[2000];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	switch (level) {
	case OST_LOG_WARNING:
		log_warning("%s", text);
		break;
	case OST_LOG_ERROR:
		log_error("%s", text);
		break;
	case OST_LOG_DEBUG:
		log_debug("%s", text);
		break;
	default:
		log_info("%s", text);
	}
}

/* A reason, cleaned: it may quote what a server or a file said. */
static void set_reason(struct ost_why *why, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void set_reason(struct ost_why *why, const char *fmt, va_list ap)
{
	char text[sizeof why->text];
	vsnprintf(text, sizeof text, fmt, ap);
	if (why)
		sanitize_into(why->text, sizeof why->text, text, strlen(text), SANITIZE_LOG);
}

bool host_why(struct ost_why *why, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_reason(why, fmt, ap);
	va_end(ap);
	return false;
}

void host_answer(struct ost_answer *answer, const char *value, size_t len)
{
	answer->value = arena_strndup(answer->arena, value, len);
	answer->len = len;
}

const char *host_answer_value(const struct ost_answer *answer, size_t *len)
{
	*len = answer->len;
	return answer->value;
}

void host_answer_why(struct ost_answer *answer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_reason(answer->why, fmt, ap);
	va_end(ap);
}

const char *host_instance_name(const struct ost_instance *instance)
{
	return instance->core->name;
}

bool host_is_cache(const struct ost_instance *instance)
{
	return instance->core->cache;
}

const char *host_parameter(const struct ost_instance *instance, const char *name)
{
	return instance->core->view ? cfg_lookup(instance->core->view, name) : NULL;
}

struct ost_tables *host_tables_open(struct ost_instance *instance, const char *spec, struct ost_why *why)
{
	return mod_tables()->open(instance->core->view, spec, why);
}

struct ost_table *host_table_open(struct ost_instance *instance, const char *type_name, struct ost_why *why)
{
	return mod_tables()->open_one(instance->core->view, type_name, why);
}

bool host_addresses(struct ost_instance *instance, const char *host, struct ost_address *list, size_t max, size_t *count,
		    int64_t deadline, struct ost_why *why)
{
	return mod_connect()->addresses(instance->core->view, host, list, max, count, deadline, why);
}

int host_connect(struct ost_instance *instance, const char *host, const char *port, int64_t deadline, struct ost_why *why)
{
	return mod_connect()->connect(instance->core->view, host, port, deadline, why);
}

void host_set_table_flags(struct ost_instance *instance, uint32_t flags)
{
	instance->core->flags = flags;
}
