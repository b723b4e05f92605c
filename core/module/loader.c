/* SPDX-License-Identifier: Apache-2.0 */
#include "module/loader.h"

#include <dlfcn.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config.h"
#include "module/module.h"
#include "ostler/host.h"

/* ---- modules in the program ------------------------------------------------------------------------------------ */

#define DECLARE(name) extern const struct ost_module name##_LTX_ost_module;
OST_STATIC_MODULES(DECLARE)
#undef DECLARE

const struct ost_module *loader_static(const char *name)
{
	static const struct ost_module *const modules[] = {
#define ENTRY(name) &name##_LTX_ost_module,
		OST_STATIC_MODULES(ENTRY)
#undef ENTRY
		NULL,
	};
	for (size_t i = 0; modules[i]; i++)
		if (strcmp(modules[i]->name, name) == 0)
			return modules[i];
	return NULL;
}

/* ---- shared objects -------------------------------------------------------------------------------------------- */

void loader_module_name(const char *file, char *name, size_t size)
{
	const char *slash = strrchr(file, '/');
	const char *base = slash ? slash + 1 : file;
	size_t len = strcspn(base, ".");
	if (len >= size)
		len = size - 1;
	memcpy(name, base, len);
	name[len] = '\0';
}

/* Binds all symbols at once, so that one that is missing is a refusal now and not the end of the process later. libltdl,
 * which would bind lazily and tells little of what went wrong, then finds the object in place. */
static bool bind_now(const char *path, struct ost_why *why)
{
	if (dlopen(path, RTLD_NOW | RTLD_LOCAL)) /* stays open for the rest of the process */
		return true;
	const char *text = dlerror();
	return why_set(why, "cannot be opened: %s", text ? text : "unknown error");
}

const struct ost_module *loader_open(const char *path, unsigned user, struct ost_why *why)
{
	if (!mod_file_trusted(path, user, why) || !bind_now(path, why))
		return NULL;
	lt_dladvise advise;
	if (lt_dlinit() != 0 || lt_dladvise_init(&advise) != 0) {
		why_set(why, "libltdl: %s", lt_dlerror());
		return NULL;
	}
	lt_dladvise_local(&advise);
	lt_dlhandle handle = lt_dlopenadvise(path, advise);
	lt_dladvise_destroy(&advise);
	if (!handle) {
		why_set(why, "cannot be opened: %s", lt_dlerror());
		return NULL;
	}
	const struct ost_module *module = lt_dlsym(handle, "ost_module");
	if (!module) {
		char name[64];
		loader_module_name(path, name, sizeof name);
		why_set(why, "has no symbol %s_LTX_ost_module: not a module of Ostler, or renamed", name);
	}
	return module;
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

/* What every module of this major version has at least: up to the last member that a kind cannot do without. */
enum {
	MODULE_LEAST = offsetof(struct ost_module, unload) + sizeof(void *),
	TABLE_LEAST = offsetof(struct ost_table_ops, lookup) + sizeof(void *),
	TRANSPORT_LEAST = offsetof(struct ost_transport_ops, deliver) + sizeof(void *),
	CHECK_LEAST = offsetof(struct ost_check_ops, run) + sizeof(void *),
	AUTH_LEAST = offsetof(struct ost_auth_ops, end) + sizeof(void *),
};

/* Does the vtable have what its kind cannot do without? */
static bool table_complete(const struct ost_ops *ops)
{
	return ((const struct ost_table_ops *)ops)->lookup != NULL;
}
static bool transport_complete(const struct ost_ops *ops)
{
	return ((const struct ost_transport_ops *)ops)->deliver != NULL;
}
static bool check_complete(const struct ost_ops *ops)
{
	return ((const struct ost_check_ops *)ops)->run != NULL;
}
static bool auth_complete(const struct ost_ops *ops)
{
	const struct ost_auth_ops *auth = (const struct ost_auth_ops *)ops;
	return auth->mechanisms && auth->begin && auth->step && auth->end;
}

static const struct kind {
	const char *name;
	size_t size, least;
	bool (*complete)(const struct ost_ops *);
} kinds[] = {
	[OST_KIND_TABLE] = { "table", sizeof(struct ost_table_ops), TABLE_LEAST, table_complete },
	[OST_KIND_TRANSPORT] = { "transport", sizeof(struct ost_transport_ops), TRANSPORT_LEAST, transport_complete },
	[OST_KIND_CHECK] = { "check", sizeof(struct ost_check_ops), CHECK_LEAST, check_complete },
	[OST_KIND_AUTH] = { "auth", sizeof(struct ost_auth_ops), AUTH_LEAST, auth_complete },
};

/* NULL for a number that is no kind of this version. */
static const struct kind *find_kind(enum ost_kind kind)
{
	size_t i = (size_t)kind;
	return i < sizeof kinds / sizeof *kinds && kinds[i].name ? &kinds[i] : NULL;
}

const char *loader_kind_name(enum ost_kind kind)
{
	const struct kind *k = find_kind(kind);
	return k ? k->name : "unknown kind";
}

bool loader_check(const struct ost_module *m, const char *name, struct ost_why *why)
{
	if (m->magic != OST_MAGIC)
		return why_set(why, "wrong magic number 0x%08x: not a module of Ostler", m->magic);
	if (m->abi_major != OST_ABI_MAJOR)
		return why_set(why, "made for module interface %u.%u, this is %u.%u: compile it again", m->abi_major,
			       m->abi_minor, OST_ABI_MAJOR, OST_ABI_MINOR);
	if (m->abi_minor > OST_ABI_MINOR)
		return why_set(why, "made for the newer module interface %u.%u, this is %u.%u", m->abi_major, m->abi_minor,
			       OST_ABI_MAJOR, OST_ABI_MINOR);
	if (m->size < MODULE_LEAST)
		return why_set(why, "its descriptor has %u bytes, fewer than any version's", m->size);
	if (!m->name || strcmp(m->name, name) != 0)
		return why_set(why, "it calls itself %s, the file %s", m->name ? m->name : "nothing", name);
	if (!m->provides || m->provides[0].kind == OST_KIND_END)
		return why_set(why, "it provides nothing");
	return true;
}

/* "it provides table hash, table btree" */
static bool not_provided(const struct ost_module *m, const char *kind, const char *name, struct ost_why *why)
{
	char list[160] = "";
	size_t used = 0;
	for (const struct ost_provide *p = m->provides; p->kind != OST_KIND_END && used < sizeof list; p++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s %s", used ? ", " : "",
					 loader_kind_name(p->kind), p->name);
	return why_set(why, "it provides no %s %s, but %s", kind, name, list);
}

static const struct ost_provide *find_provide(const struct ost_module *m, enum ost_kind kind, const char *name)
{
	const struct ost_provide *p = m->provides;
	while (p->kind != OST_KIND_END && !(p->kind == kind && p->name && strcmp(p->name, name) == 0))
		p++;
	return p->kind == OST_KIND_END ? NULL : p;
}

struct ost_ops *loader_ops(const struct ost_module *m, enum ost_kind kind, const char *name, struct ost_why *why)
{
	const struct kind *k = find_kind(kind);
	const struct ost_provide *p = k ? find_provide(m, kind, name) : NULL;
	if (!p) {
		not_provided(m, loader_kind_name(kind), name, why);
		return NULL;
	}
	if (!p->ops || p->ops->size < k->least) {
		why_set(why, "the operations of %s %s are incomplete (%u bytes)", k->name, name, p->ops ? p->ops->size : 0);
		return NULL;
	}
	struct ost_ops *ops = mem_zalloc(k->size);
	memcpy(ops, p->ops, p->ops->size < k->size ? p->ops->size : k->size);
	ops->size = (uint32_t)k->size;
	if (!k->complete(ops)) {
		why_set(why, "%s %s lacks an entry point that every %s has", k->name, name, k->name);
		free(ops);
		return NULL;
	}
	return ops;
}
