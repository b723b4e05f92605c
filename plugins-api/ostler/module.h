/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/module.h: how a module introduces itself.
 *
 * A module is a shared object (or a static part of the program) with one exported symbol, the const descriptor that
 * OST_MODULE() defines. It has no undefined symbol of the core: all it needs it gets as a const struct ost_host *.
 *
 * Threads: every entry point may be called from many threads at once on one instance, unless the vtable sets
 * OST_SERIAL. All may block, up to the deadline they are given. Nothing may be done before load(): no constructors.
 */
#ifndef OSTLER_MODULE_H
#define OSTLER_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OST_MAGIC     0x4f73744du /* "OstM" */
#define OST_ABI_MAJOR 1u          /* a change that is not "a member at the end of a sized struct, or of an enum" */
#define OST_ABI_MINOR 4u          /* such an addition; each has its line in ABI-CHANGES */

struct ost_host;
struct ost_table;    /* one opened table, as other modules ask it */
struct ost_instance; /* one opened table, transport or check: the core's side of it, for host calls */

/* Why something failed, for the log: the caller's memory, so that it outlives the module. Always terminated. */
struct ost_why {
	char text[256];
};

/* One typed parameter: parsed, checked, documented and dumped by the core. The instance's config struct holds a member
 * of the C type named here at .offset. Strings are terminated, owned by the core, valid until close(). */
enum ost_param_type {
	OST_PARAM_STRING = 1, /* const char *, $name expanded */
	OST_PARAM_INT,        /* int64_t */
	OST_PARAM_BOOL,       /* bool; yes or no */
	OST_PARAM_TIME,       /* int64_t, microseconds; s m h d w, default unit seconds */
	OST_PARAM_SIZE,       /* int64_t, bytes */
	OST_PARAM_TABLES,     /* struct ost_tables *, an opened list of tables; NULL when the list is empty */
};

#define OST_PARAM_REQUIRED 0x1u /* open() without it is an error */
#define OST_PARAM_SECRET   0x2u /* never logged or shown */
#define OST_PARAM_FILE     0x4u /* names a file that the core opens before privileges go: host->file_open() */
#define OST_PARAM_SAFE     0x8u /* tables that decide on local users and files: an OST_TABLE_UNSAFE one is an error (since 1.2) */

struct ost_param {
	const char *name; /* in main.cf, or in the table's own .cf file */
	enum ost_param_type type;
	uint32_t flags;
	size_t offset;      /* use OST_PARAM_AT() */
	const char *defval; /* as an administrator would write it, $name and all; NULL: none */
	int64_t min, max;   /* both 0: no bounds */
	const char *help;   /* one line: the manual and `postconf` come from it */
	uintptr_t spare[2];
};

/* OST_PARAM_AT(struct my_config, member, OST_PARAM_INT): .type and .offset, refusing a member of the wrong C type. */
#define OST_PARAM_AT(conf, member, kind)                                                                             \
	.type = (kind), .offset = offsetof(conf, member) + 0 * sizeof(char[OST_PARAM_FITS(conf, member, kind) ? 1 : -1])
#define OST_PARAM_FITS(conf, member, kind)                                                                           \
	_Generic(((conf *)0)->member,                                                                                \
		const char *: (kind) == OST_PARAM_STRING,                                                            \
		int64_t: (kind) == OST_PARAM_INT || (kind) == OST_PARAM_TIME || (kind) == OST_PARAM_SIZE,            \
		bool: (kind) == OST_PARAM_BOOL,                                                                      \
		struct ost_tables *: (kind) == OST_PARAM_TABLES)

/* The head of every vtable. */
struct ost_ops {
	uint32_t size;                  /* of the whole vtable as compiled: an older, smaller one is served */
	uint32_t flags;                 /* OST_SERIAL and the flags of the kind's own header */
	const struct ost_param *params; /* ends with name NULL; NULL: none */
	size_t config_size;             /* of the struct that params point into */
	/* Pure: no I/O; also run by `ostler check`. May be NULL. */
	bool (*config_check)(const void *config, struct ost_why *);
	/* Makes *self, which is given to every other entry point. config is the core's and lives until close(). */
	bool (*open)(struct ost_instance *, const void *config, void **self, struct ost_why *);
	/* Called once for each open() that answered true, when no thread is inside the instance any more. */
	void (*close)(void *self);
	uintptr_t spare[4];
};
#define OST_SERIAL 0x80000000u /* the core never calls into one instance from two threads at once */

enum ost_kind {
	OST_KIND_END = 0,
	OST_KIND_TABLE = 1,
	OST_KIND_TRANSPORT = 2,
	OST_KIND_CHECK = 3,
};

struct ost_provide {
	enum ost_kind kind;
	const char *name;          /* as the configuration says it: hash, smtp, access */
	const struct ost_ops *ops; /* the head of the kind's own vtable */
};

/* The descriptor. The first five members never move. */
struct ost_module {
	uint32_t magic;
	uint16_t abi_major, abi_minor;
	uint32_t size;    /* of this struct as compiled */
	const char *name; /* as the file is called: NAME of NAME.so */
	const char *version, *summary, *license;
	const struct ost_provide *provides; /* ends with kind OST_KIND_END */
	/* Once per process, before the first open(); keeps the host pointer. May fail. May be NULL with unload. */
	bool (*load)(const struct ost_host *, struct ost_why *);
	void (*unload)(void);
};

/* OST_MODULE(hash, .version = …, .summary = …, …): the descriptor under the one symbol that the loader looks for. */
#define OST_MODULE(modname, ...)                                                                                     \
	extern const struct ost_module modname##_LTX_ost_module;                                                     \
	__attribute__((visibility("default"))) const struct ost_module modname##_LTX_ost_module = {                  \
		.magic = OST_MAGIC,                                                                                  \
		.abi_major = OST_ABI_MAJOR,                                                                          \
		.abi_minor = OST_ABI_MINOR,                                                                          \
		.size = sizeof(struct ost_module),                                                                   \
		.name = #modname,                                                                                    \
		__VA_ARGS__,                                                                                         \
	}

#endif
