/* SPDX-License-Identifier: Apache-2.0
 * One opened table, transport or check, from the inside. */
#ifndef MODULE_INSTANCE_H
#define MODULE_INSTANCE_H

#include <pthread.h>

#include "base/arena.h"
#include "module/module.h"

#define MOD_INSTANCE_MAGIC 0x6d6f6469u

struct ost_instance { /* what modules hold */
	struct mod_instance *core;
};

struct watched { /* a file that the instance has read, as it was then */
	struct watched *next;
	const char *path;
	uint64_t device, inode, size;
	int64_t changed; /* nanoseconds */
	bool missing;
};

struct mod_instance {
	unsigned magic;
	const struct mod_provider *provider;
	const struct cfg_view *view;
	const char *name;
	struct arena *arena; /* for all that lives as long as the instance; open() and prepare() run on one thread */
	const void *config;
	void *self;
	uint32_t flags; /* of the kind's header; set while it is opened */
	bool opened;
	bool cache; /* opened for changes */
	bool serial;
	pthread_mutex_t serial_lock; /* held while a thread is inside a module that sets OST_SERIAL */
	uint32_t page_module;
	pthread_mutex_t files_lock; /* guards files, arena while a module runs */
	struct watched *files;
	struct ost_instance handle;
	struct mod_instance *next; /* in the list of the retired */
};

#endif
